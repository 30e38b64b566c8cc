// The check of histories finds each kind of fault, and none where there is none.

import TestSupport
import Testing

@Suite
struct HistoryCheckTests {
    /// Genesis and blocks "a" to "e", of which "c" and "d" came together.
    private static let list = ["", "a", "b", "c", "d", "e"].enumerated().map { height, text in
        block(height, text)
    }

    private static func block(_ height: Int, _ text: String, hash: String? = nil) -> BlockAnswer {
        BlockAnswer(
            height: height, timestamp: 0, data: text, previousHash: "hash \(height - 1)",
            hash: hash ?? "hash \(height)")
    }

    private static func call(
        _ request: ClientCall.Request, _ outcome: ClientCall.Outcome, _ start: Double, _ end: Double, node: Int = 0
    ) -> ClientCall {
        ClientCall(node: node, request: request, outcome: outcome, startSeconds: start, endSeconds: end)
    }

    private static func append(_ heights: ClosedRange<Int>, _ start: Double, _ end: Double, node: Int = 0) -> ClientCall
    {
        call(.append(list[heights].map(\.data)), .appended(Array(list[heights])), start, end, node: node)
    }

    private static func head(_ height: Int, _ start: Double, _ end: Double, node: Int = 0) -> ClientCall {
        call(.head(isLinearizable: true), .read(list[height]), start, end, node: node)
    }

    /// Everything was acknowledged, one after the other.
    private static let appends = [
        append(1...1, 1, 2), append(2...2, 3, 4), append(3...4, 5, 6), append(5...5, 7, 8),
    ]

    private static func kinds(
        _ calls: [ClientCall], list: [BlockAnswer] = list, orphans: Set<String> = []
    ) -> Set<HistoryViolation.Kind> {
        Set(HistoryCheck.violations(of: calls, list: list, orphans: orphans).map(\.kind))
    }

    @Test
    func whatIsAsItShouldBeIsNotReported() {
        let reads = [
            Self.head(1, 1.5, 3.5), Self.head(2, 2, 6), Self.head(4, 5.5, 7.5), Self.head(5, 7.5, 9),
            Self.call(.head(isLinearizable: false), .read(Self.list[1]), 8, 9, node: 1),
            Self.call(.block(5, isLinearizable: true), .missing, 7.5, 9),
            Self.call(.block(6, isLinearizable: true), .missing, 20, 21),
            Self.call(.append(["x"], lastHash: "hash 1"), .invalidLastHash(head: Self.list[2]), 5, 5.5),
            Self.call(.append(["y"], lastHash: "hash 1"), .refused("503"), 5, 5.5),
            Self.call(.append(["z"]), .unknown("504"), 5, 5.5),
        ]
        #expect(HistoryCheck.violations(of: Self.appends + reads, list: Self.list).isEmpty)
    }

    @Test
    func appendsThatOverlapMayStandInEitherOrder() {
        let calls = [
            Self.append(1...1, 3, 9), Self.append(2...2, 1, 8), Self.append(3...4, 2, 7), Self.append(5...5, 4, 6),
        ]
        #expect(Self.kinds(calls).isEmpty)
    }

    @Test
    func anUnknownAppendMayComeLate() {
        let unknown = Self.call(.append(["a"]), .unknown("broken"), 1, 2)
        #expect(Self.kinds([unknown, Self.head(0, 4.5, 5)] + Self.appends.dropFirst()) == [.order, .invisible])
        let later = [Self.append(2...2, 5, 6), Self.append(3...4, 7, 8), Self.append(5...5, 7, 8)]
        #expect(Self.kinds([unknown, Self.head(0, 4.5, 5)] + later).isEmpty)
    }

    @Test
    func aLostBlockIsFound() {
        let other = Self.block(2, "b", hash: "another")
        #expect(Self.kinds(Self.appends, list: Array(Self.list.dropLast())).contains(.lost))
        let replaced = Self.call(.append(["b"]), .appended([other]), 3, 4)
        #expect(Self.kinds([replaced] + Self.appends.dropFirst(2)).contains(.lost))
        let beyond = Self.call(.append(["f"]), .appended([Self.block(6, "f")]), 9, 10)
        #expect(Self.kinds(Self.appends + [beyond]) == [.lost])
    }

    @Test
    func aBlockThatIsThereTwiceIsFound() {
        #expect(Self.kinds(Self.appends, list: Self.list + [Self.block(6, "b")]) == [.twice])
    }

    @Test
    func whatWasRefusedOrNeverSentIsFound() {
        let refused = Self.call(.append(["a"]), .refused("503"), 1, 2)
        #expect(Self.kinds([refused] + Self.appends.dropFirst()) == [.refusedButThere])
        let outdated = Self.call(.append(["a"], lastHash: "x"), .invalidLastHash(head: Self.list[0]), 1, 2)
        #expect(Self.kinds([outdated] + Self.appends.dropFirst()) == [.refusedButThere])
        #expect(Self.kinds(Array(Self.appends.dropFirst())) == [.unsent])
    }

    @Test
    func partsOfABatchAreFound() {
        let half = Self.call(.append(["e", "f"]), .unknown("504"), 7, 8)
        #expect(Self.kinds(Self.appends.dropLast() + [half]) == [.torn])
        let parted = Self.call(.append(["b", "e"]), .unknown("504"), 3, 4)
        #expect(Self.kinds([Self.appends[0], Self.appends[2], parted]).contains(.torn))
        #expect(Self.kinds(Self.appends + [Self.head(3, 5, 6)]).contains(.torn))
    }

    @Test
    func aKeyHasOneAnswer() {
        let (first, second) = (Self.list[1], Self.block(1, "a", hash: "another"))
        let tries = [
            Self.call(.append(["a"], key: "k"), .appended([first]), 1, 2),
            Self.call(.append(["a"], key: "k"), .appended([second]), 1, 2),
        ]
        #expect(Self.kinds(tries + Self.appends.dropFirst()).contains(.answersDiffer))
    }

    @Test
    func aTryThatWasRefusedIsNotTheOneThatAppended() {
        let tries = [
            Self.call(.append(["a"], key: "k"), .refused("503"), 0, 1),
            Self.call(.append(["a"], key: "k"), .appended([Self.list[1]]), 6, 6.5),
        ]
        #expect(Self.kinds(tries + Self.appends.dropFirst()) == [.order])
    }

    @Test
    func theOrderOfAppendsIsThatOfTime() {
        let calls = [
            Self.append(1...1, 1, 2), Self.append(2...2, 9, 10), Self.append(3...4, 5, 6), Self.append(5...5, 7, 8),
        ]
        #expect(Self.kinds(calls) == [.order])
    }

    @Test
    func staleReadsAreFound() {
        #expect(Self.kinds(Self.appends + [Self.head(1, 4.5, 5, node: 1)]) == [.order])
        #expect(Self.kinds(Self.appends + [Self.head(5, 5, 6, node: 1)]) == [.order])
        // Each may be, and they go back together.
        let appends = Self.appends.dropLast() + [Self.call(.append(["e"]), .unknown("504"), 6, 7)]
        #expect(Self.kinds(appends + [Self.head(5, 8, 9, node: 1), Self.head(4, 10, 11, node: 2)]) == [.order])
        let missing = Self.call(.block(2, isLinearizable: true), .missing, 5, 6, node: 1)
        #expect(Self.kinds(Self.appends + [missing]) == [.order])
        let outdated = Self.call(.append(["x"], lastHash: "x"), .invalidLastHash(head: Self.list[1]), 5, 6)
        #expect(Self.kinds(Self.appends + [outdated]) == [.order])
    }

    @Test
    func aHeadThatWasNamedIsNoReasonToRefuse() {
        let call = Self.call(.append(["x"], lastHash: "hash 2"), .invalidLastHash(head: Self.list[2]), 4.5, 4.6)
        #expect(Self.kinds(Self.appends + [call]) == [.lastHash])
        let follows = Self.call(.append(["e"], lastHash: "hash 2"), .appended([Self.list[5]]), 7, 8)
        #expect(Self.kinds(Self.appends.dropLast() + [follows]) == [.lastHash])
    }

    @Test
    func whatIsNotInTheListIsFound() {
        let call = Self.call(.head(isLinearizable: false), .read(Self.block(1, "a", hash: "another")), 2, 3)
        #expect(Self.kinds(Self.appends + [call]) == [.unlisted])
        #expect(Self.kinds(Self.appends, orphans: ["hash 2"]) == [.orphaned])
        #expect(Self.kinds(Self.appends + [Self.call(.append(["x"]), .unexpected("500"), 2, 3)]) == [.unexpected])
    }

    @Test
    func aNodeShowsWhatItAcknowledged() {
        let call = Self.call(.block(2, isLinearizable: false), .missing, 5, 6)
        #expect(Self.kinds(Self.appends + [call]) == [.invisible])
        #expect(HistoryCheck.violations(of: Self.appends + [call], list: Self.list, forgetfulNodes: [0]).isEmpty)
    }
}
