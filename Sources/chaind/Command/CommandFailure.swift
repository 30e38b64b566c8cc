// How a command ends that cannot do what it was asked for: one line on standard error and exit status 1.

import ArgumentParser
import Foundation

/// Says why a command ends, on one line.
///
/// - Returns: the exit status to throw.
func commandFailure(_ reason: some CustomStringConvertible) -> ExitCode {
    FileHandle.standardError.write(Data("chaind: \(reason)\n".utf8))
    return .failure
}

/// Makes a folder and those above it where they are missing.
///
/// - Throws: `CommandError` with the folder that could not be made.
func makeDirectory(_ path: String) throws(CommandError) {
    if isDirectory(path) { return }
    if let slash = path.dropLast().lastIndex(of: "/"), slash > path.startIndex {
        try makeDirectory(String(path[..<slash]))
    }
    guard mkdir(path, 0o755) == 0 || isDirectory(path) else {
        let code = errno == EEXIST ? ENOTDIR : errno
        throw CommandError("\(path): cannot make the folder: \(String(cString: strerror(code)))")
    }
}

private func isDirectory(_ path: String) -> Bool {
    var information = stat()
    return stat(path, &information) == 0 && information.st_mode & S_IFMT == S_IFDIR
}

/// A reason for which a command ends, as one line.
struct CommandError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
