// Appends lines to a list in which nothing can be changed unnoticed, and validates all of it: AuditLog FILE < LINES

import Chain
import Foundation

let list = try await BlockList.open(path: "audit.db") { Int64(Date().timeIntervalSince1970) }
try await list.close()
