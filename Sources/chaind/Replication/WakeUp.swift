// Lets one task sleep until something happens or a time is over.

import Synchronization

/// A bell for one sleeper. It rings once for all that happened while nobody slept.
final class WakeUp: Sendable {
    private struct State {
        var isRung = false
        var sleeper: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    /// Wakes the sleeper, or keeps the next one from falling asleep.
    func ring() {
        let sleeper = state.withLock { state in
            let sleeper = state.sleeper
            state.sleeper = nil
            if sleeper == nil { state.isRung = true }
            return sleeper
        }
        sleeper?.resume()
    }

    /// Sleeps until the bell rings, the time is over, or the task is cancelled.
    func wait(seconds: Double) async {
        let timer = Task {
            do {
                try await Task.sleep(for: .seconds(seconds))
                ring()
            } catch {
                // Something else rang first.
            }
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isRung = state.withLock { state in
                    if state.isRung {
                        state.isRung = false
                        return true
                    }
                    state.sleeper = continuation
                    return false
                }
                if isRung { continuation.resume() }
            }
        } onCancel: {
            ring()
        }
        timer.cancel()
    }
}
