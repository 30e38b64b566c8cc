// The routes below `/sync/`: what clients and operators ask of the group, and what other nodes send.

import Chain
import HTTPTypes
import Hummingbird
import NIOCore

/// Answers for a node's part in its group.
struct SyncRoutes: Sendable {
    /// Bytes of a request that holds an address.
    private static let addressBodySizeBytesMax = 64 << 10
    /// Bytes of a list that a client sends.
    private static let listSizeBytesMax = 64 << 20
    private static let orphansMax = 1_000

    let replica: Replica
    let memory: MemoryBudget

    func answer(_ route: Route, _ request: Request, context: ConnectionContext) async throws -> Response {
        switch route {
        case .group: return try await group()
        case .groupAddress: return try await join(request, context: context)
        case .groupForget: return try await forget(request, context: context)
        case .groupAdopt: return try await adopt(request, context: context)
        case .receivedList: return try await receive(request, context: context)
        case .round: return try .json(encoding: RoundAnswer(members: await replica.round()))
        case .orphans: return try await orphans(request)
        case .peerStatus:
            let status: StatusMessage = try await message(
                request, context: context, sizeBytesMax: MessageLimits.statusSizeBytesMax)
            do {
                return try .json(encoding: try await replica.answer(status))
            } catch let error as MembershipError {
                throw HTTPFailure(.unprocessableContent, error.description)
            }
        case .peerLocate:
            let points: LocateRequest = try await message(request, context: context)
            return try .json(encoding: try await replica.answer(points))
        case .peerLeave:
            let leave: LeaveMessage = try await message(request, context: context)
            await replica.answer(leave)
            return .json(ByteBuffer(string: "{}"))
        case .peerForward: return try await forward(request, context: context)
        case .peerStream where request.method == .post: return try await takeStream(request, context: context)
        case .peerStream: return try await stream(request)
        default: throw HTTPFailure.notFound
        }
    }

    // MARK: Clients and operators

    private func group() async throws -> Response {
        try .json(encoding: await replica.groupAnswer)
    }

    private func join(_ request: Request, context: ConnectionContext) async throws -> Response {
        let (address, isMerging) = try await address(of: request, context: context)
        do {
            try await replica.join(address, merging: isMerging)
        } catch let error as JoinError {
            switch error {
            case .unreachable:
                throw HTTPFailure(RequestFault(["body", "address"], error.description, type: "value_error.url"))
            case .isSelf, .otherList, .membership: throw HTTPFailure(.conflict, error.description)
            }
        }
        return try await group()
    }

    private func forget(_ request: Request, context: ConnectionContext) async throws -> Response {
        let (address, _) = try await address(of: request, context: context)
        do {
            try await replica.forget(address)
        } catch let error as MembershipError {
            throw HTTPFailure(.conflict, error.description)
        } catch let error as FollowError {
            throw HTTPFailure(.conflict, error.reason)
        } catch let error as EtcdError {
            throw HTTPFailure(.serviceUnavailable, error.description)
        }
        return try await group()
    }

    private func adopt(_ request: Request, context: ConnectionContext) async throws -> Response {
        let (address, _) = try await address(of: request, context: context)
        let received: ReceivedStream
        do {
            received = try await replica.adopt(from: address)
        } catch let error as PeerError {
            throw HTTPFailure(RequestFault(["body", "address"], error.description, type: "value_error.url"))
        } catch ExchangeError.refused(let reason) {
            throw HTTPFailure(.badRequest, reason)
        } catch let error as FollowError {
            throw HTTPFailure(.conflict, error.reason)
        } catch let error as EtcdError {
            throw HTTPFailure(.serviceUnavailable, error.description)
        }
        switch received {
        case .adopted: return try await adoptionAnswer(adopted: true)
        case .ours: return try await adoptionAnswer(adopted: false)
        case .unknown, .unwanted: throw HTTPFailure(.serviceUnavailable, "the list changed meanwhile")
        case .conflict(let height): throw HTTPFailure(.conflict, "it would replace block \(height), which is final")
        case .refused(let reason): throw HTTPFailure(.badRequest, reason)
        case .broken(let reason), .overtaken(let reason): throw HTTPFailure(.serviceUnavailable, reason)
        }
    }

    private func receive(_ request: Request, context: ConnectionContext) async throws -> Response {
        let memory = memory.share(for: context.client)
        let body = try await request.readBody(
            sizeBytesMax: Self.listSizeBytesMax, memory: memory,
            tooLarge: HTTPFailure(.contentTooLarge, "a list is limited to \(Self.listSizeBytesMax) bytes"),
            context: context)
        guard request.headers[.contentType].map(JSONBody.isJSON) ?? true else {
            throw HTTPFailure(.notObject(["body"]))
        }
        // What the blocks take beside the text that they came in.
        guard memory.grow(by: body.count) else { throw HTTPFailure.outOfMemory }
        let blocks = try ReceivedList(body)
        let adopted = try await replica.receive(blocks)
        withExtendedLifetime(memory) {}
        return try await adoptionAnswer(adopted: adopted)
    }

    private func adoptionAnswer(adopted: Bool) async throws -> Response {
        let status = replica.list.status
        return try .json(
            encoding: AdoptionAnswer(adopted: adopted, height: status.height, headHash: status.headHash))
    }

    private func orphans(_ request: Request) async throws -> Response {
        let before = try request.uri.number("before")
        let limit = min(try request.uri.number("limit") ?? 100, Self.orphansMax)
        let orphans = try await replica.list.orphans(before: before, limit: limit)
        return try .json(
            encoding: OrphansAnswer(
                orphans: orphans.map(OrphanAnswer.init),
                next: limit > 0 && orphans.count == limit ? orphans.last?.id : nil))
    }

    private func address(
        of request: Request, context: ConnectionContext
    ) async throws -> (MemberAddress, isMerging: Bool) {
        let body = try await body(of: request, context: context, sizeBytesMax: Self.addressBodySizeBytesMax)
        let members = try JSONBody.members(
            of: body, contentType: request.headers[.contentType], named: ["address", "merge"])
        let location: [RequestFault.Step] = ["body", "address"]
        let text: String
        switch members["address"] {
        case .string(let value): text = value
        case .null: throw HTTPFailure(.null(location))
        case nil: throw HTTPFailure(.missing(location))
        default: throw HTTPFailure(.notText(location))
        }
        let isMerging: Bool
        switch members["merge"] {
        case .bool(let value): isMerging = value
        case nil, .null: isMerging = false
        default:
            throw HTTPFailure(
                RequestFault(["body", "merge"], "value could not be parsed to a boolean", type: "type_error.bool"))
        }
        do {
            return (try MemberAddress(text), isMerging)
        } catch {
            throw HTTPFailure(RequestFault(location, error.description, type: "value_error.url"))
        }
    }

    // MARK: Other nodes

    private func stream(_ request: Request) async throws -> Response {
        guard let height = try request.uri.number("after"), let text = request.uri.queryParameters["hash"],
            let hash = Hash(hex: text)
        else {
            throw HTTPFailure(
                RequestFault(["query", "after"], "after and hash name the block to begin after", type: "value_error"))
        }
        guard let stream = try await replica.stream(after: BlockPoint(height: height, hash: hash)) else {
            throw HTTPFailure(.notFound, "Block \(height) with this hash not found")
        }
        return Response(
            status: .ok, headers: [.contentType: "application/octet-stream"], body: ResponseBody(stream))
    }

    private func takeStream(_ request: Request, context: ConnectionContext) async throws -> Response {
        // What a part may take while it is read.
        let memory = memory.share(for: context.client)
        guard memory.grow(by: BlockStream.runSizeBytesMax) else { throw HTTPFailure.outOfMemory.closingConnection() }
        let stream: IncomingStream
        do {
            stream = try await request.blockStream(context: context)
        } catch {
            throw HTTPFailure(error)
        }
        let answer = try await replica.take(stream)
        withExtendedLifetime(memory) {}
        let response = try Response.json(encoding: answer)
        // Of a stream that is not taken, the rest is not read.
        return answer.outcome == .adopted ? response : response.closingConnection()
    }

    /// A member's appends, for which this node is to find the place in the order.
    private func forward(_ request: Request, context: ConnectionContext) async throws -> Response {
        guard let consensus = replica.consensus else {
            throw HTTPFailure(.conflict, "this node is in a group without an engine")
        }
        let memory = memory.share(for: context.client)
        let body = try await request.readBody(
            sizeBytesMax: ForwardMessage.sizeBytesMax, memory: memory,
            tooLarge: HTTPFailure(
                .contentTooLarge, "the body is limited to \(ForwardMessage.sizeBytesMax) bytes"), context: context)
        let message: ForwardMessage
        do throws(StreamError) {
            message = try ForwardMessage(decoding: ByteBuffer(bytes: body))
        } catch {
            throw HTTPFailure(RequestFault(["body"], "no forwarded appends of version 1", type: "value_error"))
        }
        let outcomes = await withCheckedContinuation { continuation in
            Task { await consensus.forwarded(message) { continuation.resume(returning: $0) } }
        }
        withExtendedLifetime(memory) {}
        return Response(
            status: .ok, headers: [.contentType: "application/octet-stream"],
            body: ResponseBody(byteBuffer: ForwardAnswer.encode(outcomes)))
    }

    private func message<Message: Decodable>(
        _ request: Request, context: ConnectionContext, sizeBytesMax: Int = MessageLimits.sizeBytesMax
    ) async throws -> Message {
        let body = try await body(of: request, context: context, sizeBytesMax: sizeBytesMax)
        do {
            return try MessageCoding.decode(from: ByteBuffer(bytes: body))
        } catch {
            throw HTTPFailure(RequestFault(["body"], error.description, type: "value_error"))
        }
    }

    private func body(of request: Request, context: ConnectionContext, sizeBytesMax: Int) async throws -> [UInt8] {
        try await request.readBody(
            sizeBytesMax: sizeBytesMax, memory: memory.share(for: context.client),
            tooLarge: HTTPFailure(.contentTooLarge, "the body is limited to \(sizeBytesMax) bytes"), context: context)
    }
}

extension Response {
    /// A value in JSON.
    static func json(encoding value: some Encodable) throws -> Response {
        .json(try MessageCoding.encode(value))
    }
}

extension HTTPFailure {
    /// What a stream that cannot be read is answered with.
    fileprivate init(_ error: PeerError) {
        switch error {
        case .timedOut, .tooSlow:
            self = HTTPFailure(.requestTimeout, error.description).closingConnection()
        case .invalid(let reason):
            self = HTTPFailure(RequestFault(["body"], reason, type: "value_error")).closingConnection()
        case .unreachable, .refused, .redirect, .cancelled:
            self = HTTPFailure(.badRequest, error.description).closingConnection()
        }
    }
}
