// Which endpoint of etcd is asked: the one that answered last.

import Synchronization

/// The endpoints, of which one is in use.
final class EtcdEndpoints: Sendable {
    let urls: [String]
    private let index = Mutex(0)

    /// - Parameter urls: at least one.
    init(_ urls: [String]) {
        self.urls = urls
    }

    /// The one in use.
    var current: String { urls[index.withLock { $0 }] }

    /// All of them, beginning with the one in use.
    var fromCurrent: [String] {
        let start = index.withLock { $0 }
        return Array(urls[start...] + urls[..<start])
    }

    /// Goes on to the next one, if it is this one that is in use: of many requests that fail at once, the first does.
    func leave(_ url: String) {
        index.withLock { index in
            if urls[index] == url { index = (index + 1) % urls.count }
        }
    }
}
