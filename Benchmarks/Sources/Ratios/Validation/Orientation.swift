// How long others need for a block: the original's way in Python, git, and PostgreSQL's SQL. Of fewer blocks, since they
// are slow, and the time of a block does not depend on their number.

import Foundation

/// - Returns: nanoseconds a block of each, by its name; `nil` where it is not installed.
func measureOtherWays(_ bench: Bench, table: OrdinaryTable) async throws -> [(
    name: String, aim: Aim?, figures: Figures?
)] {
    let blocks = bench.scale.otherWaysBlocks
    let repository = bench.folder + "/repository"
    let (python, git) = (Tool.path("python3"), Tool.path("git"))
    if let git { try makeCommits(blocks, git: git, repository: repository, sample: bench.sample) }
    let postgres = try await PostgreSQL.start()
    defer { postgres?.stop() }
    try postgres?.query(PostgreSQL.blocksTable(blocks))

    func figures(_ isInstalled: Bool, _ work: () throws -> Void) async rethrows -> Figures? {
        guard isInstalled else { return nil }
        var figures = Figures()
        for _ in 0..<bench.scale.runs { figures.add(try await seconds(work) * 1e9 / Double(blocks)) }
        return figures
    }
    return [
        (
            "Python, hashlib and sqlite3", .atMost(1 / 40.0),
            try await figures(python != nil) {
                let answer = try Tool.run(python ?? "", ["-c", originalWay, table.path, "\(blocks)"])
                guard answer == "valid\n" else { throw MeasurementError("Python: \(answer)") }
            }
        ),
        (
            "git fsck of commits", nil,
            try await figures(git != nil) {
                try Tool.run(git ?? "", ["-C", repository, "fsck", "--full", "--no-progress"])
            }
        ),
        (
            "PostgreSQL, sha256() in SQL", nil,
            try await figures(postgres != nil) {
                let answer = try postgres?.query(PostgreSQL.validation)
                guard answer == "t\n" else { throw MeasurementError("PostgreSQL: \(answer ?? "")") }
            }
        ),
    ]
}

/// Row by row, as the original service validates: previous hash, then the hash of previous hash, time and text.
private let originalWay = """
    import hashlib, sqlite3, struct, sys
    rows = sqlite3.connect(sys.argv[1]).execute(
        "SELECT timestamp, data, previous_hash, hash FROM blocks ORDER BY height LIMIT ?", (int(sys.argv[2]),))
    last = bytes(32)
    valid = True
    for timestamp, data, previous_hash, hash in rows:
        digest = hashlib.sha256()
        digest.update(previous_hash)
        digest.update(struct.pack(">Q", timestamp))
        digest.update(data.encode())
        valid = valid and previous_hash == last and digest.digest() == hash
        last = hash
    print("valid" if valid else "invalid")
    """

/// A commit a block: its message is the text.
private func makeCommits(_ count: Int, git: String, repository: String, sample: Sample) throws {
    try Tool.run(git, ["init", "--quiet", "--bare", repository])
    var stream = ""
    for height in 0..<count {
        let text = sample.text(height)
        stream += "commit refs/heads/main\ncommitter a <a@b> 1700000000 +0000\ndata \(text.utf8.count)\n\(text)\n"
    }
    try Tool.run(git, ["-C", repository, "fast-import", "--quiet"], input: Data(stream.utf8))
}

extension PostgreSQL {
    /// A table of as many blocks; the previous hash is any, which makes no difference for hashing.
    fileprivate static func blocksTable(_ count: Int) -> String {
        """
        CREATE TABLE blocks AS SELECT height, timestamp, data, previous_hash,
            sha256(previous_hash || int8send(timestamp) || convert_to(data, 'UTF8')) AS hash
        FROM (SELECT height, 1700000000::bigint AS timestamp, repeat('x', 64) AS data,
            sha256(int8send(height::bigint)) AS previous_hash FROM generate_series(1, \(count)) height) raw
        """
    }

    fileprivate static let validation =
        "SELECT bool_and(sha256(previous_hash || int8send(timestamp) || convert_to(data, 'UTF8')) = hash) FROM blocks"
}
