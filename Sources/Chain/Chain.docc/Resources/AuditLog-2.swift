// Appends lines to a list that nobody can change unnoticed, and validates it.

import Chain
import Foundation

let list = try await BlockList.open(path: "audit.db") {
    Int64(Date().timeIntervalSince1970)
}
while let line = readLine() {
    let block = try await list.append(line)
    print("\(block.height) \(block.hash)")
}
try await list.close()
