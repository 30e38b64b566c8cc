// `make demo` and `make demo-etcd`: play the story of a group on this machine in about a minute, and check each step. The exit
// status is 1 if one is not as it should be.

import Foundation
import TestSupport

do {
    // Checks and syncs come every second in these groups, not every five, so that a lease has 3 s.
    if CommandLine.arguments.dropFirst() == ["etcd"] {
        try await withEtcd { etcd in
            try await withGroup(count: 3, meeting: .none, etcd: etcd) { group in
                try await EtcdStory(group: group, etcd: etcd).play()
            }
        }
    } else {
        // Blocks that nobody else has are looked after at once.
        try await withGroup(count: 3, arguments: ["--orphan-seconds", "2"]) { group in
            var story = GroupStory(group: group)
            try await story.play()
        }
    }
} catch {
    print("FAILED: \(error)")
    exit(1)
}
