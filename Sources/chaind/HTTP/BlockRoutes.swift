// The routes that read: one block, pages, the whole list, its validation.

import Chain
import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// Reads a list.
struct BlockRoutes: Sendable {
    /// A page of at most this size is sent only once it is whole, so that damage in it is a 503 and not a cut.
    private static let wholePageSizeBytesMax = 2 << 20

    /// As much of a longer one is written at a time.
    private static let partSizeBytesMin = 192 << 10

    let list: BlockList
    let memory: MemoryBudget
    let verification: Verification
    let logger: Logger

    /// `GET /blocks/head`.
    func head(context: ConnectionContext) async throws -> Response {
        try await block(at: list.status.height, context: context)
    }

    /// `GET /blocks/{height}` and `GET /blocks/{hash}`: 64 hexadecimal digits are a hash, fewer decimal ones a height.
    func block(_ name: String, context: ConnectionContext) async throws -> Response {
        if let hash = Hash(hex: name) {
            guard let block = try await list.block(hash: hash) else {
                if let orphan = try await list.orphan(hash) { throw HTTPFailure(orphan: orphan) }
                throw HTTPFailure(.notFound, "Block \(hash) not found")
            }
            return try .block(block, holding: memory.share(for: context.client))
        }
        guard !name.isEmpty, name.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }) else {
            throw HTTPFailure(
                RequestFault(
                    ["path", "block"], "value is neither a height nor a hash of 64 hexadecimal digits",
                    type: "value_error"))
        }
        guard let height = Int(name) else { throw HTTPFailure(.notFound, "Block not found") }
        return try await block(at: height, context: context)
    }

    private func block(at height: Int, context: ConnectionContext) async throws -> Response {
        guard let block = try await list.block(at: height) else {
            throw HTTPFailure(.notFound, "Block \(height) not found")
        }
        return try .block(block, holding: memory.share(for: context.client))
    }

    /// `GET /blocks/`: the whole list or a page of it.
    func page(_ request: Request, context: ConnectionContext) async throws -> Response {
        let from = try request.uri.number("from")
        let since = try request.uri.number("since")
        let limit = try request.uri.number("limit")
        guard from == nil || since == nil else {
            throw HTTPFailure(
                RequestFault(["query", "since"], "from and since exclude each other", type: "value_error"))
        }
        let end = list.status.height + 1
        let start = if let since { try await list.firstHeight(notBefore: Int64(since)) ?? end } else { from ?? 0 }
        var page = BlockPage(list.slices(from: start, limit: max(0, min(limit ?? .max, end - min(start, end)))))

        let memory = memory.share(for: context.client)
        var buffer = ByteBuffer()
        buffer.writeStaticString("{\"blocks\":[")
        while buffer.readableBytes < BlockRoutes.wholePageSizeBytesMax {
            let sizeBytes = buffer.readableBytes
            guard try await page.writeSlice(to: &buffer) else {
                buffer.writeStaticString("]}")
                return .json(buffer, holding: memory)
            }
            guard memory.grow(by: buffer.readableBytes - sizeBytes) else { throw HTTPFailure.outOfMemory }
        }
        return stream(page, after: buffer, holding: memory)
    }

    /// Sends what is written so far, then slice by slice. Where the list cannot be read on, the connection is cut.
    private func stream(_ page: BlockPage, after buffer: ByteBuffer, holding memory: MemoryBudget.Share) -> Response {
        let requestID = RequestID.current
        return Response(
            status: .ok, headers: [.contentType: "application/json"],
            body: ResponseBody { writer in
                var page = page
                try await writer.write(buffer)
                do {
                    var part = ByteBuffer()
                    while try await page.writeSlice(to: &part) {
                        guard part.readableBytes >= BlockRoutes.partSizeBytesMin else { continue }
                        try await writer.write(part)
                        part.clear(minimumCapacity: part.capacity)
                    }
                    try await writer.write(part)
                } catch let error as ReadError {
                    logger.error(
                        "answer cut short",
                        metadata: ["reason": "\(error)", "request_id": "\(requestID ?? "none")"])
                    throw error
                }
                try await writer.write(ByteBuffer(string: "]}"))
                try await writer.finish(nil)
                withExtendedLifetime(memory) {}
            })
    }

    /// `GET /blocks/valid`. Who leaves has no more part in the validation.
    func validate(_ request: Request) async throws -> Response {
        let start = ContinuousClock.now
        let report = try await request.body.consumeWithCancellationOnInboundClose { _ in
            try await list.validate()
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        verification.validationEnded(report, durationSeconds: seconds)
        let answer = ValidationAnswer(report: report, seconds: seconds)
        return .json(ByteBuffer(string: answer.json))
    }
}

/// Consecutive blocks that are still to be written, slice by slice.
struct BlockPage: Sendable {
    private var slices: BlockSlices.Iterator
    private var isEmpty = true

    init(_ slices: BlockSlices) {
        self.slices = slices.makeAsyncIterator()
    }

    /// Writes the next slice, after a comma unless it is the first.
    ///
    /// - Returns: false if the page is at its end.
    /// - Throws: `ReadError`; `.listChanged` if the slice does not follow the one before.
    mutating func writeSlice(to buffer: inout ByteBuffer) async throws(ReadError) -> Bool {
        guard let slice = try await slices.next() else { return false }
        slice.forEachBlock { block in
            if !isEmpty { buffer.writeStaticString(",") }
            isEmpty = false
            buffer.writeJSON(
                height: block.height, timestamp: block.timestamp, data: block.data, previousHash: block.previousHash,
                hash: block.hash, origin: block.origin)
        }
        return true
    }
}
