// What a node says of itself and of its group, as far as a person reads it.

/// `GET /`.
struct NodeAnswer: Decodable {
    let version: String
    let nodeID: String
    let height: Int
    let headHash: String
    let validatedHeight: Int?
    let damaged: [Int]

    enum CodingKeys: String, CodingKey {
        case version, height, damaged
        case nodeID = "node_id"
        case headHash = "head_hash"
        case validatedHeight = "validated_height"
    }

    var text: String {
        let validated = validatedHeight.map { $0 == height ? "all" : "up to \($0)" } ?? "none yet"
        return """
            height     \(height)
            head       \(BlockOutput.visible(headHash, allowingLines: false))
            validated  \(validated)
            damaged    \(damaged.isEmpty ? "none" : damaged.map(String.init).joined(separator: ", "))
            node       \(BlockOutput.visible("\(nodeID), chaind \(version)", allowingLines: false))

            """
    }
}

extension GroupAnswer {
    /// The group for a person.
    var text: String {
        var lines = ["url        \(ourURL)"]
        if let consensus {
            let leader = consensus.leader.map { ", led by \($0)" } ?? ""
            lines.append("order      \(consensus.state)\(leader)\(consensus.reason.map { ": \($0)" } ?? "")")
        }
        for member in members {
            let height = member.height.map { "height \($0)" } ?? "height unknown"
            let lag = member.lagBlocks.map { $0 > 0 ? ", \($0) behind" : "" } ?? ""
            lines.append(
                "member     \(member.address)  \(member.state)  \(height)\(lag)\(member.lastError.map { "  (\($0))" } ?? "")"
            )
        }
        return lines.map { BlockOutput.visible($0, allowingLines: false) + "\n" }.joined()
    }
}

extension ReadNode {
    private struct First: Decodable {
        struct Block: Decodable {
            let height: Int
        }

        let blocks: [Block]
    }

    /// The height of the first block that is not older; `nil` if there is none.
    func firstHeight(since timestamp: Int) async throws -> Int? {
        try await value(First.self, at: "/blocks/?since=\(timestamp)&limit=1").blocks.first?.height
    }
}
