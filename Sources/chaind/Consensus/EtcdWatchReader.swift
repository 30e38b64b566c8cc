// Reads the changes that etcd sends on a watch, one JSON object a line.

import AsyncHTTPClient
import NIOCore

/// The answer to one request for a watch. The state belongs to this actor alone; without it, the connection ends.
actor EtcdWatchReader {
    /// The value of a change has 1.5 MiB at most, and in base64 a third more.
    static let lineSizeBytesMax = 16 << 20

    private let endpoint: String
    private let decode: @Sendable ([UInt8]) throws(JSONSyntaxError) -> EtcdWatchLine
    private let onBreak: @Sendable () -> Void
    /// None at the end.
    private var iterator: HTTPClientResponse.Body.AsyncIterator?
    private var received = ByteBuffer()
    /// So many of the received bytes have no line break among them.
    private var scannedSizeBytes = 0

    /// - Parameter onBreak: called if the connection breaks.
    init(
        _ body: HTTPClientResponse.Body, from endpoint: String,
        decode: @escaping @Sendable ([UInt8]) throws(JSONSyntaxError) -> EtcdWatchLine,
        onBreak: @escaping @Sendable () -> Void
    ) {
        self.endpoint = endpoint
        self.decode = decode
        self.onBreak = onBreak
        iterator = body.makeAsyncIterator()
    }

    /// Waits until etcd says that there is a watch.
    func begin() async throws(EtcdError) {
        guard let line = try await nextLine(), line.isCreated else {
            throw .unknown("\(endpoint): the watch does not begin")
        }
    }

    /// The next changes, or nil at the end.
    func next() async throws(EtcdError) -> [EtcdEvent]? {
        try await nextLine()?.events
    }

    private func nextLine() async throws(EtcdError) -> EtcdWatchLine? {
        do throws(EtcdError) {
            while true {
                if let bytes = try takeLine() { return try line(bytes) }
                guard await receive() else { return nil }
            }
        } catch {
            end()
            throw error
        }
    }

    private func line(_ bytes: [UInt8]) throws(EtcdError) -> EtcdWatchLine {
        let line: EtcdWatchLine
        do throws(JSONSyntaxError) {
            line = try decode(bytes)
        } catch {
            throw EtcdError(error, endpoint: endpoint)
        }
        if let revision = line.compactRevision { throw .compacted(revision: revision) }
        if line.isCanceled { throw EtcdError(cancelReason: oneLine(line.cancelReason), endpoint: endpoint) }
        if let reason = line.error { throw .unknown("\(endpoint): \(oneLine(reason))") }
        return line
    }

    /// The next whole line of what is received.
    private func takeLine() throws(EtcdError) -> [UInt8]? {
        let unscanned = received.readableBytesView.dropFirst(scannedSizeBytes)
        guard let lineBreak = unscanned.firstIndex(of: UInt8(ascii: "\n")) else {
            scannedSizeBytes = received.readableBytes
            guard scannedSizeBytes <= EtcdWatchReader.lineSizeBytesMax else {
                throw .unknown("\(endpoint): a line of a watch is too long")
            }
            return nil
        }
        scannedSizeBytes = 0
        let line = received.readBytes(length: lineBreak - received.readerIndex)
        received.moveReaderIndex(forwardBy: 1)
        return line
    }

    /// Waits for more bytes.
    ///
    /// - Returns: false at the end. Why it has come makes no difference: who watches begins anew.
    private func receive() async -> Bool {
        guard var iterator else { return false }
        do {
            if var bytes = try await iterator.next(isolation: self) {
                received.discardReadBytes()
                received.writeBuffer(&bytes)
                return true
            }
            if received.readableBytes > 0 {
                // The line in which etcd says why it breaks off has no line break.
                received.writeString("\n")
                self.iterator = nil
                return true
            }
        } catch let error as HTTPClientError where error == .readTimeout {
            // Nothing to tell for so long is no fault of the endpoint.
        } catch {
            if !Task.isCancelled { onBreak() }
        }
        end()
        return false
    }

    private func end() {
        iterator = nil
        received = ByteBuffer()
        scannedSizeBytes = 0
    }
}
