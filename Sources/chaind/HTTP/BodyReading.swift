// Reads the bodies of requests within limits of size, time and memory.

import HTTPTypes
import Hummingbird
import NIOCore
import NIOHTTPTypes

/// What is known of the connection that a request came by.
struct ConnectionContext: InitializableFromSource {
    let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        channel = source.channel
    }

    /// Whose share of the memory and the connections is counted.
    var client: ClientAddress? { .counted(channel.remoteAddress) }
}

extension Request {
    /// Whether a body follows, which must be read before the connection can serve another request.
    var announcesBody: Bool {
        headers[.transferEncoding] != nil || headers[.contentLength].map { $0 != "0" } ?? false
    }

    /// Tells a client to go on that waits for it before it sends the body.
    func continueIfExpected(context: ConnectionContext) async throws {
        guard headers[.expect]?.lowercased() == "100-continue" else { return }
        try await context.channel.writeAndFlush(HTTPResponsePart.head(HTTPResponse(status: .continue)))
    }

    /// Reads the body.
    ///
    /// - Parameters:
    ///   - sizeBytesMax: a larger body is not read to its end.
    ///   - memory: takes what the body takes.
    ///   - tooLarge: what a larger body is answered with.
    /// - Throws: `HTTPFailure` after which the connection ends; `CancellationError`.
    func readBody(
        sizeBytesMax: Int, memory: MemoryBudget.Share, tooLarge: HTTPFailure, context: ConnectionContext
    ) async throws -> [UInt8] {
        let announced = headers[.contentLength]
        let announcedBytes = announced.flatMap { Int($0) }
        guard announced == nil || announcedBytes.map({ $0 <= sizeBytesMax }) == true else {
            throw tooLarge.closingConnection()
        }
        var bytes: [UInt8] = []
        do {
            try await continueIfExpected(context: context)
            for try await buffer in body {
                guard bytes.count + buffer.readableBytes <= sizeBytesMax else { throw tooLarge.closingConnection() }
                guard memory.grow(by: buffer.readableBytes) else { throw HTTPFailure.outOfMemory.closingConnection() }
                if bytes.isEmpty, let announcedBytes { bytes.reserveCapacity(announcedBytes) }
                bytes.append(contentsOf: buffer.readableBytesView)
            }
        } catch let error where error is HTTPFailure || error is CancellationError {
            throw error
        } catch is BodyTimeout {
            throw HTTPFailure(.requestTimeout, "the body of the request took too long").closingConnection()
        } catch {
            throw HTTPFailure.bodyNotWhole
        }
        // The parts of a request also end when the task is cancelled or the client leaves.
        try Task.checkCancellation()
        guard announcedBytes == nil || announcedBytes == bytes.count else {
            throw HTTPFailure.bodyNotWhole
        }
        return bytes
    }
}

extension HTTPFailure {
    fileprivate static let bodyNotWhole =
        HTTPFailure(.badRequest, "the body of the request is not whole").closingConnection()
}
