// Tells threads and tasks that the measurement is over.

import Synchronization

final class StopSign: Sendable {
    private let raised = Mutex(false)

    var isRaised: Bool { raised.withLock { $0 } }

    func raise() { raised.withLock { $0 = true } }
}
