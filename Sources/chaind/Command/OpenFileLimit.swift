// Makes room for as many connections as the settings allow: each takes a file descriptor.

import Glibc
import Logging

/// Raises the process's limit of open files, if it is too low for this many connections and may be raised.
func raiseOpenFileLimit(connectionsMax: Int, logger: Logger) {
    /// The database, its readers, the event loops and the standard streams, with room to spare.
    let otherFiles = 256
    let needed = rlim_t(connectionsMax + otherFiles)
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    var limit = rlimit()
    guard getrlimit(resource, &limit) == 0, limit.rlim_cur < needed else { return }
    limit.rlim_cur = min(needed, limit.rlim_max)
    if setrlimit(resource, &limit) != 0 || limit.rlim_cur < needed {
        logger.warning(
            "the limit of open files is too low for connections-max",
            metadata: ["limit": "\(limit.rlim_max)", "needed": "\(needed)"])
    }
}
