// Appends lines to a list that nobody can change unnoticed, and validates it.

import Chain
import Foundation

let list = try await BlockList.open(path: "audit.db") {
    Int64(Date().timeIntervalSince1970)
}
try await list.close()
