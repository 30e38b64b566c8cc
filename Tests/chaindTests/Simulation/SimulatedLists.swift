// Lists that clients of simulated nodes send: what one node's list was, given to another one.

import Chain
import NIOCore

@testable import chaind

extension Simulation {
    /// A client reads a node's list, or the end of it, and sends it to another one after a while.
    func sendList(to node: SimulatedNode) async {
        guard let source = pick(nodes.filter { $0 !== node })?.process else { return }
        var blocks: [Block] = []
        do throws(ReadError) {
            for try await slice in source.list.slices(from: chance(0.5) ? 0 : number(0...source.list.status.height)) {
                blocks += slice.blocks
            }
        } catch {
            return
        }
        guard !blocks.isEmpty else { return }
        let isForged = chance(0.2)
        if isForged, let block = blocks.popLast() {
            blocks.append(
                Block(
                    height: block.height, timestamp: block.timestamp, data: "forged",
                    previousHash: block.previousHash, hash: block.hash, origin: block.origin))
        }
        let body = json(blocks)
        after(seconds(0...60)) { [number = node.number] simulation in
            await simulation.deliver(body, isForged: isForged, to: simulation.nodes[number])
        }
    }

    /// As the original's clients write it.
    private func json(_ blocks: [Block]) -> [UInt8] {
        var body = ByteBuffer(string: "{\"blocks\":[")
        for (index, block) in blocks.enumerated() {
            if index > 0 { body.writeStaticString(",") }
            body.writeJSON(block)
        }
        body.writeStaticString("]}")
        return [UInt8](buffer: body)
    }

    private func deliver(_ body: [UInt8], isForged: Bool, to node: SimulatedNode) async {
        guard let process = node.process else { return }
        await step(process) { [self] in
            do {
                let isAdopted = try await process.replica.receive(try ReceivedList(body))
                await listReceived(by: process, "adopted: \(isAdopted)")
                if isForged, isAdopted { await violate("node \(process.nodeID) adopted a forged list") }
            } catch {
                await listReceived(by: process, "\(error)")
            }
        }
    }

    private func listReceived(by process: SimulatedProcess, _ outcome: String) {
        trace("process \(process.number) was sent a list: \(outcome)")
    }
}
