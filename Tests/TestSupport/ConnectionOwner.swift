// Whose a TCP connection on this machine is, as /proc tells it.

import Foundation

/// The one of some processes that has the calling end of a connection between two ports of 127.0.0.1; `nil` if none of
/// them has, or has it no more.
func ownerOfConnection(from callerPort: Int, to port: Int, among processIDs: [pid_t]) -> pid_t? {
    guard let inode = inodeOfSocket(localPort: callerPort, remotePort: port) else { return nil }
    return processIDs.first { hasSocket($0, inode: inode) }
}

private func inodeOfSocket(localPort: Int, remotePort: Int) -> String? {
    guard let table = fopen("/proc/net/tcp", "r") else { return nil }
    defer { fclose(table) }
    let ends = [localPort, remotePort].map { String(format: "0100007F:%04X", $0) }
    // Line by line: its size is not known before, and a table that is read at once is cut off after a page.
    var buffer = [CChar](repeating: 0, count: 512)
    while fgets(&buffer, Int32(buffer.count), table) != nil {
        let line = text(buffer)
        // Number, local end, remote end, state, queues, timer, retransmits, user, time-out, inode.
        let fields = line.split(separator: " ", omittingEmptySubsequences: true)
        if fields.count > 9, fields[1] == ends[0], fields[2] == ends[1] { return String(fields[9]) }
    }
    return nil
}

private func hasSocket(_ processID: pid_t, inode: String) -> Bool {
    let folder = "/proc/\(processID)/fd"
    let target = "socket:[\(inode)]"
    do {
        return try FileManager.default.contentsOfDirectory(atPath: folder).contains { name in
            var buffer = [CChar](repeating: 0, count: 64)
            let count = readlink("\(folder)/\(name)", &buffer, buffer.count - 1)
            return count > 0 && text(buffer) == target
        }
    } catch {
        return false  // It has ended.
    }
}

/// The text before the byte that ends it.
private func text(_ buffer: [CChar]) -> String {
    String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}
