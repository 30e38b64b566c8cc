// Everything that is answered instead of what was asked for, in the shapes of the original service (FastAPI).

import Chain
import HTTPTypes
import NIOCore

/// An answer other than 200.
struct HTTPFailure: Error {
    /// How long a client should wait before it tries again, in seconds.
    private static let retryAfterSeconds = 1

    let status: HTTPResponse.Status
    /// The JSON of the answer.
    let content: ByteBuffer
    private(set) var fields: HTTPFields = [:]
    /// Set where the rest of the request is not read, so that the connection cannot serve another one.
    private(set) var closesConnection = false

    private init(_ status: HTTPResponse.Status, content: ByteBuffer) {
        self.status = status
        self.content = content
    }

    /// `{"detail": "text"}`.
    init(_ status: HTTPResponse.Status, _ detail: String) {
        var content = ByteBuffer()
        content.writeStaticString("{\"detail\":")
        content.writeJSON(detail)
        content.writeStaticString("}")
        self.init(status, content: content)
        if status == .serviceUnavailable { fields[.retryAfter] = String(HTTPFailure.retryAfterSeconds) }
    }

    /// 422: what is wrong with the request, and where.
    init(_ faults: RequestFault...) {
        var content = ByteBuffer()
        content.writeStaticString("{\"detail\":[")
        for (index, fault) in faults.enumerated() {
            if index > 0 { content.writeStaticString(",") }
            fault.write(to: &content)
        }
        content.writeStaticString("]}")
        self.init(.unprocessableContent, content: content)
    }

    /// 400: `last_hash` is not the hash of the head.
    init(invalidLastHash head: Block) {
        var content = ByteBuffer()
        content.writeStaticString("{\"detail\":\"Invalid last hash\",\"head\":")
        content.writeJSON(head)
        content.writeStaticString("}")
        self.init(.badRequest, content: content)
    }

    /// 404: the block was replaced, and what became of it.
    init(orphan: Orphan) {
        var content = ByteBuffer()
        content.writeStaticString("{\"detail\":")
        content.writeJSON("Block \(orphan.hash) was replaced")
        content.writeStaticString(",\"orphan\":{\"state\":")
        let (state, height, hash) =
            switch orphan.state {
            case .moved(let height, let hash): ("moved", height, hash)
            case .pending: ("pending", orphan.height, orphan.hash)
            }
        content.writeJSON(state)
        content.writeString(",\"height\":\(height),\"hash\":")
        content.writeJSON(hash)
        content.writeStaticString("}}")
        self.init(.notFound, content: content)
    }

    /// 405: the route has other methods.
    init(allowed methods: [HTTPRequest.Method]) {
        self.init(.methodNotAllowed, "Method Not Allowed")
        fields[.allow] = methods.map(\.rawValue).joined(separator: ", ")
    }

    /// The same, after which the connection ends.
    func closingConnection() -> HTTPFailure {
        var failure = self
        failure.closesConnection = true
        return failure
    }

    static let notFound = HTTPFailure(.notFound, "Not Found")
    static let internalError = HTTPFailure(.internalServerError, "Internal Server Error")
    static let outOfMemory = HTTPFailure(.serviceUnavailable, "too much is under way: try again")
    /// 401: no token, or none that is known. Browsers ask their user for the one of Basic.
    static let noToken: HTTPFailure = {
        var failure = HTTPFailure(.unauthorized, "a token of this node is needed")
        failure.fields.append(HTTPField(name: .wwwAuthenticate, value: "Bearer realm=\"chaind\""))
        failure.fields.append(
            HTTPField(name: .wwwAuthenticate, value: "Basic realm=\"chaind: the token is the password\""))
        return failure
    }()
    /// 421 (RFC 9110, section 15.5.20).
    static let misdirected = HTTPFailure(
        .misdirectedRequest, "this node does not go by the name in Host: see --allow-host")
    /// 429 (RFC 6585).
    static let tooManyRequests: HTTPFailure = {
        var failure = HTTPFailure(.tooManyRequests, "too many requests from this address")
        failure.fields[.retryAfter] = String(retryAfterSeconds)
        return failure
    }()
    /// The node stops, or the client has closed its side while it waits.
    static let givenUp = HTTPFailure(.serviceUnavailable, "the request was given up").closingConnection()
}

extension HTTPFailure {
    /// What an append that was refused is answered with.
    init(_ error: AppendError) {
        switch error {
        case .invalidLastHash(let head): self.init(invalidLastHash: head)
        case .textTooLarge(_, _, let sizeBytesMax): self.init(dataSizeBytesMax: sizeBytesMax)
        case .idempotencyKeyReused: self.init(.conflict, error.description)
        case .queueFull, .damagedHead, .damaged, .unavailable, .notOrdered, .closed:
            self.init(.serviceUnavailable, error.description)
        case .outcomeUnknown, .orderUnknown, .pending: self.init(.gatewayTimeout, error.description)
        case .diskFull: self.init(.init(code: 507, reasonPhrase: "Insufficient Storage"), error.description)
        case .textCount, .timeGoesBack, .invalidOrigin, .identityExists: self = .internalError
        }
    }

    /// What a read that failed is answered with.
    init(_ error: ReadError) {
        self.init(.serviceUnavailable, error.description)
    }

    /// 413: a text is larger than it may be.
    init(dataSizeBytesMax: Int) {
        self.init(.contentTooLarge, "data is limited to \(dataSizeBytesMax) bytes of UTF-8")
    }
}

/// What is wrong with one part of a request, as pydantic said it.
struct RequestFault {
    /// A step on the way to the part.
    enum Step: ExpressibleByStringLiteral {
        case name(String)
        case index(Int)

        init(stringLiteral name: String) { self = .name(name) }
    }

    let location: [Step]
    let message: String
    let type: String

    init(_ location: [Step], _ message: String, type: String) {
        self.location = location
        self.message = message
        self.type = type
    }

    static func missing(_ location: [Step]) -> RequestFault {
        RequestFault(location, "field required", type: "value_error.missing")
    }

    static func null(_ location: [Step]) -> RequestFault {
        RequestFault(location, "none is not an allowed value", type: "type_error.none.not_allowed")
    }

    static func notText(_ location: [Step]) -> RequestFault {
        RequestFault(location, "str type expected", type: "type_error.str")
    }

    static func notObject(_ location: [Step]) -> RequestFault {
        RequestFault(location, "value is not a valid dict", type: "type_error.dict")
    }

    fileprivate func write(to content: inout ByteBuffer) {
        content.writeStaticString("{\"loc\":[")
        for (index, step) in location.enumerated() {
            if index > 0 { content.writeStaticString(",") }
            switch step {
            case .name(let name): content.writeJSON(name)
            case .index(let index): content.writeString(String(index))
            }
        }
        content.writeStaticString("],\"msg\":")
        content.writeJSON(message)
        content.writeStaticString(",\"type\":")
        content.writeJSON(type)
        content.writeStaticString("}")
    }
}
