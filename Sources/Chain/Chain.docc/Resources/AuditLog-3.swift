// Appends lines to a list that nobody can change unnoticed, and validates it.

import Chain
import Foundation

func fail(_ reason: String) -> Never {
    FileHandle.standardError.write(Data("\(reason)\n".utf8))
    exit(1)
}

let list = try await BlockList.open(path: "audit.db") {
    Int64(Date().timeIntervalSince1970)
}
while let line = readLine() {
    let block = try await list.append(line)
    print("\(block.height) \(block.hash)")
}
let report = try await list.validate()
try await list.close()
if let fault = report.fault { fail("\(fault)") }
print("all \(report.blocks) blocks are good, head \(list.status.headHash)")
