// Who waits for the list to change: readers that follow its end.

import Synchronization

/// Tasks that sleep until the list has another head, or some of its blocks were replaced.
final class HeadWaiters: Sendable {
    private struct State {
        var lastID = 0
        var waiters: [Int: CheckedContinuation<Void, Never>] = [:]
    }

    private let state = Mutex(State())

    /// Wakes all.
    func wakeAll() {
        let waiters = state.withLock { state in
            if state.waiters.isEmpty { return state.waiters }
            defer { state.waiters = [:] }
            return state.waiters
        }
        for waiter in waiters.values { waiter.resume() }
    }

    /// Sleeps until `wakeAll` is called, or the task is cancelled; not at all if the list is not as it was.
    func wait(while isUnchanged: @Sendable () -> Bool) async {
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                state.withLock { $0.waiters[id] = continuation }
                // What changed before it was put there woke nobody.
                if Task.isCancelled || !isUnchanged() { wake(id) }
            }
        } onCancel: {
            wake(id)
        }
    }

    private func wake(_ id: Int) {
        state.withLock { $0.waiters.removeValue(forKey: id) }?.resume()
    }
}
