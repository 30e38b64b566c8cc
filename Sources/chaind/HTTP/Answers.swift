// The shapes of answers, and what they hold until they are sent.

import Chain
import HTTPTypes
import Hummingbird
import NIOCore

extension ByteBuffer {
    /// One block.
    static func block(_ block: Block) -> ByteBuffer {
        var content = ByteBuffer()
        content.writeJSON(block)
        return content
    }

    /// `{"blocks": [...]}`, and how many members have them where that was asked for.
    static func blocks(_ blocks: [Block], members: Int?) -> ByteBuffer {
        var content = ByteBuffer()
        content.writeStaticString("{\"blocks\":[")
        for (index, block) in blocks.enumerated() {
            if index > 0 { content.writeStaticString(",") }
            content.writeJSON(block)
        }
        content.writeStaticString("]")
        if let members { content.writeString(",\"members\":\(members)") }
        content.writeStaticString("}")
        return content
    }
}

extension Response {
    /// Answers larger than this hold a share of the memory until they are sent.
    private static let smallSizeBytesMax = 64 << 10

    /// An answer in JSON.
    ///
    /// - Parameter memory: kept until the answer is sent, if that is large.
    static func json(
        status: HTTPResponse.Status = .ok, fields: HTTPFields = [:], _ content: ByteBuffer,
        holding memory: MemoryBudget.Share? = nil
    ) -> Response {
        var fields = fields
        fields[.contentType] = "application/json"
        guard let memory, content.readableBytes > smallSizeBytesMax else {
            return Response(status: status, headers: fields, body: ResponseBody(byteBuffer: content))
        }
        let body = ResponseBody(contentLength: content.readableBytes) { writer in
            try await writer.write(content)
            try await writer.finish(nil)
            withExtendedLifetime(memory) {}
        }
        return Response(status: status, headers: fields, body: body)
    }

    /// One block.
    static func block(_ block: Block, holding share: MemoryBudget.Share) throws(HTTPFailure) -> Response {
        let content = ByteBuffer.block(block)
        guard share.grow(by: content.readableBytes) else { throw .outOfMemory }
        return .json(content, holding: share)
    }

    /// Blocks that were appended.
    static func blocks(_ blocks: [Block], members: Int?, holding memory: MemoryBudget.Share) -> Response {
        .json(.blocks(blocks, members: members), holding: memory)
    }

    /// What `GET /` answers.
    static func nodeStatus(_ status: ListStatus, nodeID: String) -> Response {
        var content = ByteBuffer()
        content.writeStaticString("{\"health\":true,\"version\":")
        content.writeJSON(Chaind.version)
        content.writeStaticString(",\"node_id\":")
        content.writeJSON(nodeID)
        content.writeString(",\"height\":\(status.height),\"head_hash\":")
        content.writeJSON(status.headHash)
        content.writeString(",\"validated_height\":\(status.validatedHeight.map(String.init) ?? "null")")
        content.writeString(
            ",\"damaged\":[\(status.damagedHeights.map(String.init).joined(separator: ","))],\"repairs\":[")
        for (index, repair) in status.repairs.enumerated() {
            content.writeString(
                "\(index > 0 ? "," : ""){\"time\":\(repair.time),\"height\":\(repair.height),\"fault\":")
            content.writeJSON(repair.fault)
            content.writeStaticString(",\"source\":")
            content.writeJSON(repair.source)
            content.writeStaticString("}")
        }
        content.writeStaticString("]}")
        // A browser gets a page at the same place.
        return .json(fields: [.vary: "Accept, Accept-Language"], content)
    }

    /// An answer other than what was asked for.
    init(_ failure: HTTPFailure) {
        self = .json(status: failure.status, fields: failure.fields, failure.content)
    }

    /// The same, after which the connection ends.
    func closingConnection() -> Response {
        struct ConnectionEnds: Error {}
        var response = self
        let body = response.body
        response.headers[.connection] = "close"
        response.body = ResponseBody(contentLength: body.contentLength) { writer in
            try await body.write(writer)
            // The server ends a connection whose answer throws; `OrderlyCloseHandler` sends the answer first.
            throw ConnectionEnds()
        }
        return response
    }
}
