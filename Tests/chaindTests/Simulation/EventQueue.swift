// What is to happen in a simulated history, and when. The simulation owns the queue.

/// Events in the order of their time, and those of one time in the order in which they were added.
struct EventQueue<Action> {
    private struct Event {
        let seconds: Double
        let number: Int
        let action: Action

        func isBefore(_ other: Event) -> Bool { (seconds, number) < (other.seconds, other.number) }
    }

    /// A binary heap.
    private var events: [Event] = []
    private var added = 0

    mutating func add(_ action: Action, at seconds: Double) {
        events.append(Event(seconds: seconds, number: added, action: action))
        added += 1
        var child = events.count - 1
        while child > 0, events[child].isBefore(events[(child - 1) / 2]) {
            events.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    /// Takes out the next event if it is due by then.
    mutating func next(until endSeconds: Double) -> (seconds: Double, action: Action)? {
        guard let first = events.first, first.seconds <= endSeconds else { return nil }
        events.swapAt(0, events.count - 1)
        events.removeLast()
        var parent = 0
        while true {
            let children = [2 * parent + 1, 2 * parent + 2].filter { $0 < events.count }
            guard let least = children.min(by: { events[$0].isBefore(events[$1]) }),
                events[least].isBefore(events[parent])
            else { return (first.seconds, first.action) }
            events.swapAt(parent, least)
            parent = least
        }
    }
}
