// Ways to hash many messages at once, by what the processor has.

import CLanes

/// How the stored hashes of many blocks are confirmed at once.
///
/// It is only ever a confirmation: what is not confirmed is hashed by OpenSSL before anything is said of it, so that a fault
/// in here makes validation slow, and never wrong.
public struct HashLanes: Sendable {
    typealias Compress =
        @Sendable (
            UnsafeMutablePointer<UInt32>, UnsafePointer<UnsafePointer<UInt8>?>, UnsafePointer<UInt32>
        ) -> Void

    /// What it is called in settings and answers: `avx512`, `sha-ni`, `avx2` or `openssl`.
    public let name: String
    /// How many messages are hashed at once; 1 for one after the other, by OpenSSL.
    let width: Int
    /// As many messages are worth the work of all lanes.
    let messagesMin: Int
    /// A way for fewer messages; none or one.
    let others: [HashLanes]
    /// SHA-256's compression: `clanes_compress`.
    let compress: Compress

    init(
        name: String, width: Int, messagesMin: Int, others: [HashLanes] = [], compress: @escaping Compress
    ) {
        self.name = name
        self.width = width
        self.messagesMin = messagesMin
        self.others = others
        self.compress = compress
    }

    private init?(_ way: clanes_way, name: String, messagesMin: Int, others: [HashLanes] = []) {
        guard clanes_has(way) != 0 else { return nil }
        self.init(name: name, width: clanes_width(way), messagesMin: messagesMin, others: others) {
            states, messages, blocks in
            clanes_compress(way, states, messages, blocks)
        }
    }

    /// No lanes: one message after the other, by OpenSSL.
    public static let none = HashLanes(name: "openssl", width: 1, messagesMin: .max) { _, _, _ in }

    /// What this processor has, the fastest first; the last one is ``none``.
    public static let all: [HashLanes] = {
        let shaNI = HashLanes(CLANES_SHA_NI, name: "sha-ni", messagesMin: 2)
        // Sixteen lanes take as long as eight messages do with SHA-NI.
        let avx512 = HashLanes(
            CLANES_AVX512, name: "avx512", messagesMin: shaNI == nil ? 7 : 9, others: shaNI.map { [$0] } ?? [])
        return [avx512, shaNI, HashLanes(CLANES_AVX2, name: "avx2", messagesMin: 5)].compactMap { $0 } + [none]
    }()

    /// The fastest that this processor has.
    public static var best: HashLanes { all[0] }

    /// The one of a ``name``; `nil` if there is none of that name, or this processor does not have it.
    public init?(name: String) {
        guard let lanes = HashLanes.all.first(where: { $0.name == name }) else { return nil }
        self = lanes
    }
}
