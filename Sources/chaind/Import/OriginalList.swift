// Verifies a list of the original service: each row by itself, then the links. It keeps no texts.

import Chain
import Foundation

/// The rows of an original's table, about a hundred bytes each.
struct OriginalList {
    /// A block of the valid list, as far as it is needed to read it again.
    struct Member: Equatable, Sendable {
        let rowID: Int64
        let hash: Hash
        /// Whole seconds since 1970.
        let timestamp: Int64
    }

    private enum Link: UInt8 {
        case genesis
        case previous
        /// The previous hash is no hash at all.
        case none
    }

    private struct Entry {
        let hash: Hash
        let previous: Hash
        let rowID: Int64
        /// As if it were UTC until `longest` has read it in its zone; `nil` is a fault that was reported.
        var seconds: Int64?
        let link: Link
        /// Whether the row by itself has no fault.
        let isSound: Bool
    }

    private(set) var faults = OriginalFaults()
    /// How many rows there are.
    private(set) var rows = 0
    private var entries: [Entry] = []
    private let dataSizeBytesMax: Int
    private var preimage: [UInt8] = []

    /// - Parameter rowsExpected: how many rows there will be, as far as that is known.
    init(dataSizeBytesMax: Int, rowsExpected: Int) {
        self.dataSizeBytesMax = dataSizeBytesMax
        entries.reserveCapacity(rowsExpected)
    }

    // MARK: Rows

    /// The hash as the original computed it: over timestamp, data and previous hash, one text after the other.
    static func hash(of row: OriginalDatabase.Row, _ preimage: inout [UInt8]) -> Hash {
        preimage.removeAll(keepingCapacity: true)
        for text in [row.timestamp, row.data, row.previousHash] { if let text { preimage += text } }
        return preimage.withUnsafeBytes { Hash(sha256: $0) }
    }

    /// Takes a row and checks what can be checked without the others.
    mutating func append(_ row: OriginalDatabase.Row) {
        rows += 1
        let faultsBefore = faults.count
        let name = OriginalList.name(row.hash)
        let hash = OriginalList.hash(of: row, &preimage)
        if row.hash.map({ $0.elementsEqual(hash.hex.utf8) }) != true {
            faults.add(.hash, name, "the row's texts have the hash \(hash)")
        }
        let timestamp = row.timestamp.flatMap(OriginalTimestamp.init)
        if timestamp == nil {
            faults.add(.timestamp, name, "the timestamp is not of the form YYYY-MM-DD HH:MM:SS[.ffffff]")
        }
        if row.data.flatMap({ String(validating: $0, as: UTF8.self) }) == nil {
            faults.add(.text, name, "the data is not UTF-8 text")
        } else if let data = row.data, data.count > dataSizeBytesMax {
            faults.add(.tooLong, name, "the data has \(data.count) bytes, the limit is \(dataSizeBytesMax)")
        }
        // A row whose own hash is malformed can't be linked; that its hash is wrong is reported above.
        guard let stored = OriginalList.storedHash(row.hash) else { return }
        let isGenesis = row.previousHash?.elementsEqual("0".utf8) == true
        let previous = OriginalList.storedHash(row.previousHash)
        entries.append(
            Entry(
                hash: stored, previous: previous ?? .zero, rowID: row.id, seconds: timestamp?.localSeconds,
                link: isGenesis ? .genesis : previous == nil ? .none : .previous,
                isSound: faults.count == faultsBefore))
    }

    /// The hash of 64 lower-case digits, as the original wrote them.
    private static func storedHash(_ text: UnsafeRawBufferPointer?) -> Hash? {
        guard let text, let found = Hash(hex: String(decoding: text, as: UTF8.self)),
            text.elementsEqual(found.hex.utf8)
        else {
            return nil
        }
        return found
    }

    /// A stored hash for a message, whatever stands there.
    private static func name(_ text: UnsafeRawBufferPointer?) -> String {
        guard let text else { return "(no hash)" }
        return String(
            String(decoding: text.prefix(64), as: UTF8.self).map { $0.isASCII && $0.isLetter || $0.isNumber ? $0 : "?" }
        )
    }

    // MARK: Links

    /// Links the rows, reports what is wrong with the links, and finds the longest valid list.
    ///
    /// - Returns: its blocks after the genesis, in order, for `member`; of equally long lists that with the smaller last
    ///   hash. `nil` without a genesis that is valid.
    mutating func longest(in zone: TimeZone) -> [Int32]? {
        // A sound row before another of the same hash, so that it is the one that is found.
        entries.sort { ($0.hash, $0.isSound ? 0 : 1, $0.rowID) < ($1.hash, $1.isSound ? 0 : 1, $1.rowID) }
        let parents = entries.map { $0.link == .previous ? entry(of: $0.previous) : nil }
        reportGeneses()
        let children = Children(parents: parents)
        reportForks(children)
        for (index, entry) in entries.enumerated() where entry.link != .genesis && parents[index] == nil {
            let previous = entry.link == .previous ? "\(entry.previous)" : "its previous hash is no hash"
            faults.add(.gap, entry.hash.hex, "the block before it is missing (\(previous))")
        }
        guard let head = walk(children, parents, in: zone) else { return nil }
        var path: [Int32] = []
        var index = Int32(head)
        while let parent = parents[Int(index)] {
            path.append(index)
            index = parent
        }
        path.reverse()
        return path
    }

    /// A block of the list that `longest` found.
    func member(_ index: Int32) -> Member {
        let entry = entries[Int(index)]
        return Member(rowID: entry.rowID, hash: entry.hash, timestamp: entry.seconds ?? 0)
    }

    private func entry(of hash: Hash) -> Int32? {
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].hash < hash { low = middle + 1 } else { high = middle }
        }
        return low < entries.count && entries[low].hash == hash ? Int32(low) : nil
    }

    private mutating func reportGeneses() {
        let geneses = entries.filter { $0.link == .genesis }
        if geneses.isEmpty { faults.add(.genesis, "", "no block has the previous hash 0") }
        guard geneses.count > 1 else { return }
        for genesis in geneses {
            faults.add(.genesis, genesis.hash.hex, "one of \(geneses.count) blocks with the previous hash 0")
        }
    }

    private mutating func reportForks(_ children: Children) {
        for index in entries.indices {
            let next = children.of(index)
            guard next.count > 1 else { continue }
            let names = next.prefix(3).map { entries[Int($0)].hash.hex } + (next.count > 3 ? ["..."] : [])
            faults.add(
                .fork, entries[index].hash.hex, "\(next.count) blocks follow it: \(names.joined(separator: ", "))")
        }
    }

    /// Goes from the geneses to all that can be reached, in time order along each list.
    ///
    /// - Returns: the head of the longest valid list.
    private mutating func walk(_ children: Children, _ parents: [Int32?], in zone: TimeZone) -> Int? {
        /// The height in a valid list; -1 in one that is not.
        var heights = [Int32](repeating: -1, count: entries.count)
        var reached: [Int32] = []
        var head: Int?
        for index in entries.indices where entries[index].link == .genesis {
            // The genesis becomes ours, and so does its time.
            entries[index].seconds = Block.genesis.timestamp
            heights[index] = entries[index].isSound ? 0 : -1
            reached.append(Int32(index))
        }
        var position = 0
        while position < reached.count {
            let index = Int(reached[position])
            position += 1
            if let parent = parents[index].map(Int.init) {
                let isInOrder = resolveTime(of: index, after: parent, in: zone)
                let isValid = isInOrder && entries[index].isSound && heights[parent] >= 0
                heights[index] = isValid ? heights[parent] + 1 : -1
            }
            // The rows are sorted by hash, so the smaller index has the smaller hash.
            let best = head.map { (heights[$0], -$0) } ?? (-1, 0)
            if heights[index] >= 0, (heights[index], -index) > best { head = index }
            reached += children.of(index)
        }
        return head
    }

    /// Whether the time does not go back.
    private mutating func resolveTime(of index: Int, after parent: Int, in zone: TimeZone) -> Bool {
        let earliest = entries[parent].seconds ?? Block.genesis.timestamp
        guard let localSeconds = entries[index].seconds else {
            entries[index].seconds = earliest
            return false
        }
        let seconds = zone.seconds(OriginalTimestamp(localSeconds: localSeconds), notBefore: earliest)
        entries[index].seconds = seconds
        if seconds >= earliest { return true }
        faults.add(
            .time, entries[index].hash.hex, "the time goes back by \(earliest - seconds) s from the block before it")
        return false
    }

    /// The rows that follow each row.
    private struct Children {
        private let starts: [Int32]
        private let order: [Int32]

        init(parents: [Int32?]) {
            var starts = [Int32](repeating: 0, count: parents.count + 1)
            for case let parent? in parents { starts[Int(parent) + 1] += 1 }
            for index in parents.indices { starts[index + 1] += starts[index] }
            var order = [Int32](repeating: 0, count: Int(starts[parents.count]))
            var next = starts
            for (index, parent) in parents.enumerated() {
                guard let parent = parent.map(Int.init) else { continue }
                order[Int(next[parent])] = Int32(index)
                next[parent] += 1
            }
            self.starts = starts
            self.order = order
        }

        func of(_ index: Int) -> ArraySlice<Int32> { order[Int(starts[index])..<Int(starts[index + 1])] }
    }
}
