// A transfer between real nodes that breaks shortly before its end: it goes on where it broke, which is seen by what goes
// through the link the second time.

import Foundation
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(3)))
struct BrokenTransferTests {
    /// Who asks for the transfer.
    enum Asker {
        case receiver, sender
    }

    /// What happens to it.
    enum Accident {
        /// Its connection is reset.
        case cut
        /// Its connection stays, and nothing comes through it any more.
        case halfOpen
        /// The node that receives is killed.
        case killed
    }

    private static let textSizeBytes = 65_536
    private static let texts = 120
    private static let listSizeBytes = textSizeBytes * texts

    @Test(arguments: [
        (Asker.receiver, Accident.cut), (.receiver, .halfOpen), (.receiver, .killed), (.sender, .cut),
        (.sender, .killed),
    ])
    func itGoesOnWhereItBroke(asker: Asker, accident: Accident) async throws {
        try await withGroup(count: 2, meeting: .none) { group in
            let (sender, receiver) = (group.nodes[0], group.nodes[1])
            try await Self.appendLargeTexts(to: sender)
            // A list of its own, so that what comes is not in the list before it is whole.
            let own = try await receiver.append("of the node that receives")

            let link = asker == .receiver ? (from: 1, to: 0) : (from: 0, to: 1)
            group.setLink(from: link.to, to: link.from, .cut)
            group.setLink(from: link.from, to: link.to, .slow(milliseconds: 5))
            let passed = { group.traffic(from: link.from, to: link.to).sizeBytes }
            try await group.join(link.to, on: link.from, merging: true)
            try await eventually("nine tenths have come") { passed() >= Self.listSizeBytes / 10 * 9 }

            switch accident {
            case .cut: group.setLink(from: link.from, to: link.to, .cut)
            case .halfOpen: group.setLink(from: link.from, to: link.to, .halfOpen)
            case .killed:
                try await receiver.end(SIGKILL)
                group.setLink(from: link.from, to: link.to, .cut)
                try await receiver.start()
            }
            let passedBefore = passed()
            #expect(try await receiver.wholeList().dropFirst() == [own], "it was over before it broke")
            if accident != .halfOpen { group.setLink(from: link.from, to: link.to, .open) }

            #expect(try await group.waitUntilEqual().height == Self.texts + 1)
            let passedAgain = passed() - passedBefore
            #expect(passedAgain > Self.listSizeBytes / 50, "it was over before it broke")
            #expect(passedAgain < Self.listSizeBytes / 2, "\(passedAgain) bytes of \(Self.listSizeBytes) came again")
            for node in group.nodes {
                let last = try await node.client.get("/blocks/head").json(BlockAnswer.self)
                #expect(last.data == own.data && last.identity == own.hash)
                #expect(try await node.client.get("/blocks/valid").json(ValidationAnswer.self).state == "valid")
            }
        }
    }

    private static func appendLargeTexts(to node: NodeProcess) async throws {
        let texts = (0..<texts).map { index in
            let name = "text \(index) "
            return name + String(repeating: "x", count: textSizeBytes - name.utf8.count)
        }
        let answer = try await node.client.post("/blocks/batch", ["data": texts])
        #expect(answer.status == 200, "\(answer.text.prefix(200))")
    }
}
