// `POST /blocks/` and `POST /blocks/batch`.

import Chain
import HTTPTypes
import Hummingbird
import NIOCore

/// Appends to a list.
struct AppendRoutes: Sendable {
    /// How long an append may wait for copies, in seconds.
    private static let waitSecondsMax = 60
    private static let waitSecondsDefault = 10

    let list: BlockList
    let replica: Replica
    let memory: MemoryBudget
    /// The largest text, in bytes of UTF-8.
    let dataSizeBytesMax: Int

    /// Appends the texts of a request, all or none.
    func append(_ request: Request, context: ConnectionContext, kind: AppendKind) async throws -> Response {
        let memory = memory.share(for: context.client)
        let copies = try request.uri.number("wait")
        let timeoutSeconds = min(try request.uri.number("timeout") ?? Self.waitSecondsDefault, Self.waitSecondsMax)
        let content = try await content(of: request, context: context, kind: kind, memory: memory)
        let idempotency = try idempotencyKey(of: request).map {
            Idempotency(key: $0, requestHash: content.requestHash(kind: kind))
        }
        let drafts = content.texts.map { Draft(data: $0) }
        let append = AppendRequest(drafts: drafts, lastHash: content.lastHash, idempotency: idempotency)
        let blocks = try await withCheckedContinuation { continuation in
            self.append(append) { continuation.resume(returning: $0) }
        }.get()
        var members: Int?
        if let copies, let last = blocks.last {
            replica.listChanged()
            members = await replica.waitForCopies(
                of: last, count: copies, timeoutSeconds: Double(timeoutSeconds))
        }
        return .blocks(blocks, members: members, holding: memory)
    }

    /// Appends to the list, or has it put in order where an engine does that. `answer` is called on any thread, and must not
    /// block it.
    func append(_ request: AppendRequest, answer: @escaping @Sendable (Result<[Block], AppendError>) -> Void) {
        if let consensus = replica.consensus { return consensus.append(request, answer: answer) }
        list.append(request) { [replica] result in
            if case .success = result { replica.listChanged() }
            answer(result)
        }
    }

    /// What the request asks for, within the limits: a JSON text may be six times as long as what it stands for.
    private func content(
        of request: Request, context: ConnectionContext, kind: AppendKind, memory: MemoryBudget.Share
    ) async throws -> AppendContent {
        let sizeBytesMax = kind == .single ? dataSizeBytesMax : AppendKind.batchSizeBytesMax
        let tooLarge = HTTPFailure(dataSizeBytesMax: sizeBytesMax)
        let body = try await request.readBody(
            sizeBytesMax: 6 * sizeBytesMax + 4_096, memory: memory, tooLarge: tooLarge, context: context)
        let content = try AppendContent(body, contentType: request.headers[.contentType], kind: kind)
        guard content.texts.reduce(0, { $0 + $1.utf8.count }) <= sizeBytesMax else { throw tooLarge }
        return content
    }

    private func idempotencyKey(of request: Request) throws(HTTPFailure) -> String? {
        guard let key = request.headers.first(where: { $0.name.canonicalName == "idempotency-key" })?.value else {
            return nil
        }
        guard 1...64 ~= key.utf8.count, key.utf8.allSatisfy({ 0x20...0x7E ~= $0 }) else {
            throw HTTPFailure(
                RequestFault(
                    ["header", "idempotency-key"], "ensure this value has 1 to 64 printable ASCII characters",
                    type: "value_error"))
        }
        return key
    }
}
