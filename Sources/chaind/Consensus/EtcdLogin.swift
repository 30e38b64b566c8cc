// The token that says to etcd who we are: one for all requests, and one login at a time, since etcd makes it costly.

import Synchronization

/// Keeps the token.
final class EtcdLogin: Sendable {
    struct Token: Equatable, Sendable {
        /// None from an etcd that asks nobody who they are.
        let text: String?
    }

    private enum State {
        case known(Token)
        case renewing(Task<Result<Token, EtcdError>, Never>)
    }

    private let state = Mutex<State?>(nil)

    /// The token.
    ///
    /// - Parameters:
    ///   - spent: one that etcd does not take any more.
    ///   - logIn: gets another one. Who waits for it waits as long as it takes, even when cancelled.
    func token(
        insteadOf spent: Token? = nil, logIn: @escaping @Sendable () async throws(EtcdError) -> Token
    ) async throws(EtcdError) -> Token {
        let current = state.withLock { state -> State in
            switch state {
            case .renewing(let renewal)?: return .renewing(renewal)
            case .known(let token)? where token != spent: return .known(token)
            default:
                let renewing = State.renewing(Task { await self.renew(logIn) })
                state = renewing
                return renewing
            }
        }
        switch current {
        case .known(let token): return token
        case .renewing(let renewal): return try await renewal.value.get()
        }
    }

    private func renew(_ logIn: () async throws(EtcdError) -> Token) async -> Result<Token, EtcdError> {
        do throws(EtcdError) {
            let token = try await logIn()
            state.withLock { $0 = .known(token) }
            return .success(token)
        } catch {
            state.withLock { $0 = nil }
            return .failure(error)
        }
    }
}
