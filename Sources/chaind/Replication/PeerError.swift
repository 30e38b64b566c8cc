// Why a message to or from a member came to nothing.

import AsyncHTTPClient
import NIOCore
import NIOHTTP1

/// A message that was not answered, or not as the protocol says.
enum PeerError: Error, Hashable, Sendable {
    /// There is no connection, or it broke.
    case unreachable(reason: String)
    /// Nothing came in time.
    case timedOut
    /// Something came, but so slowly that it would take for ever.
    case tooSlow
    /// The member answered with a status other than 200, and perhaps with a reason.
    case refused(status: Int, detail: String)
    /// What came is not of the protocol.
    case invalid(reason: String)
    /// The address sends its clients elsewhere.
    case redirect(location: String)
    /// The task that asked was cancelled.
    case cancelled

    /// How much of what a member says is kept.
    static let detailCharactersMax = 300

    /// The same failure as it is told outside of a request.
    init(_ error: any Error) {
        switch error {
        case let error as PeerError: self = error
        case is CancellationError: self = .cancelled
        case is TimeLimitExceeded, is BodyTimeout: self = .timedOut
        case let error as StreamError: self = .invalid(reason: error.description)
        case let error as MessageError: self = .invalid(reason: error.description)
        case is NIOTooManyBytesError, is ResponseAccumulator.ResponseTooBigError:
            self = .invalid(reason: "the answer is too large")
        case HTTPParserError.invalidEOFState: self = .unreachable(reason: "it ended in the middle of a message")
        case is HTTPParserError: self = .invalid(reason: "the answer is not HTTP")
        case let error as HTTPClientError: self = PeerError(error)
        default: self = .unreachable(reason: connectionReason(of: error))
        }
    }

    private init(_ error: HTTPClientError) {
        switch error {
        case .cancelled: self = .cancelled
        case .connectTimeout, .readTimeout, .writeTimeout, .deadlineExceeded, .getConnectionFromPoolTimeout,
            .tlsHandshakeTimeout:
            self = .timedOut
        default: self = .unreachable(reason: connectionReason(of: error))
        }
    }
}

extension PeerError: CustomStringConvertible {
    /// One line.
    var description: String {
        switch self {
        case .unreachable(let reason): "no connection: \(reason)"
        case .timedOut: "nothing came in time"
        case .tooSlow: "too slow"
        case .refused(let status, ""): "refused with status \(status)"
        case .refused(let status, let detail): "refused with status \(status): \(detail)"
        case .invalid(let reason): "not of the protocol: \(reason)"
        case .redirect(let location): "redirects to \(location)"
        case .cancelled: "given up"
        }
    }
}

/// A text of limited length without line breaks and other control characters.
func oneLine(_ text: String) -> String {
    let scalars = text.unicodeScalars.lazy.map { $0.properties.generalCategory == .control ? " " : Character($0) }
    return String(String(scalars.prefix(PeerError.detailCharactersMax)))
}
