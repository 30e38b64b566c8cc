// Faults of a group with an engine, one after the other at random, each beginning while others last.

import Foundation
import TestSupport

/// What goes wrong in one history.
struct TortureFaults {
    /// What happened, for who has to find out why a history failed.
    private(set) var told: [String] = []
    /// The node whose disk was deleted or set back, if that happened. It is always the same: more of them at a time would
    /// be too many.
    private(set) var forgetfulNodes: Set<Int> = []
    private let forgetfulNode: Int
    private let group: NodeGroup
    private let etcd: EtcdCluster
    private var random: SeededGenerator
    private var killedNodes: Set<Int> = []
    private var stoppedNodes: Set<Int> = []
    private var killedMembers: Set<Int> = []
    private var frozenMembers: Set<Int> = []
    private var hasCopy = false
    private let start = ContinuousClock.now

    init(group: NodeGroup, etcd: EtcdCluster, seed: Int) {
        self.group = group
        self.etcd = etcd
        random = SeededGenerator(seed: UInt64(seed))
        forgetfulNode = Int.random(in: group.nodes.indices, using: &random)
    }

    /// Lets one thing happen, and some time pass.
    mutating func next() async throws {
        switch Int.random(in: 0..<24, using: &random) {
        case 0..<3: try await killOrStartNode(try await someNode())
        case 3..<6: stopOrContinueNode(try await someNode())
        case 6..<8: try await loseLeaderUntilItsLeaseIsOver()
        case 8: try await delayWhatTheLeaderSends()
        case 9: try killOrStartMember(try await someMember())
        case 10: freezeOrThawMember(try await someMember())
        case 11: freezeTwoMembers()
        case 12: try await killEverything()
        case 13..<15: breakLinkBetweenNodes()
        case 15..<18: breakLinkToMember(from: try await someNode())
        case 18: breakLinkBetweenMembers()
        case 19: await compact()
        case 20: try await changeDisk()
        default: try await heal()
        }
        try await pause(milliseconds: 50...900)
    }

    /// Everything works again, or begins to.
    mutating func heal() async throws {
        tell("all is well")
        group.openLinks()
        for (from, to) in memberPairs { etcd.setPeerLink(from: from, to: to, .open) }
        for member in frozenMembers { etcd.thaw(member) }
        frozenMembers = []
        for member in killedMembers { try etcd.start(member) }
        killedMembers = []
        for node in stoppedNodes { group.nodes[node].signal(SIGCONT) }
        stoppedNodes = []
        for node in killedNodes { try group.nodes[node].launch() }
        killedNodes = []
    }

    // MARK: Nodes

    private mutating func killOrStartNode(_ node: Int) async throws {
        if killedNodes.contains(node) {
            tell("node \(node) starts")
            try group.nodes[node].launch()
            killedNodes.remove(node)
        } else if Int.random(in: 0..<4, using: &random) == 0, !stoppedNodes.contains(node) {
            tell("node \(node) is told to end")
            let status = try await group.nodes[node].end(SIGTERM)
            // One that has just been started is not prepared for that.
            guard [0, 128 + SIGTERM].contains(status) else {
                throw TestSupportError("node \(node) ended with \(status)")
            }
            killedNodes.insert(node)
        } else {
            tell("node \(node) is killed")
            try await kill(node)
        }
    }

    private mutating func kill(_ node: Int) async throws {
        if !killedNodes.contains(node) {
            let status = try await group.nodes[node].end(SIGKILL)
            guard status == 128 + SIGKILL else { throw TestSupportError("node \(node) had ended with \(status)") }
        }
        killedNodes.insert(node)
        stoppedNodes.remove(node)
    }

    private mutating func stopOrContinueNode(_ node: Int) {
        guard !killedNodes.contains(node) else { return }
        if stoppedNodes.remove(node) != nil {
            tell("node \(node) goes on")
            group.nodes[node].signal(SIGCONT)
        } else {
            tell("node \(node) is stopped")
            group.nodes[node].signal(SIGSTOP)
            stoppedNodes.insert(node)
        }
    }

    /// The leader stands still, or what it sends to etcd does: it comes there when another one leads.
    private mutating func loseLeaderUntilItsLeaseIsOver() async throws {
        let node = try await leadingNode()
        guard !killedNodes.contains(node) else { return }
        let states: [LinkState?] = [nil, .frozen, .frozen, .answersLost]
        let state = states[Int.random(in: states.indices, using: &random)]
        tell("node \(node) is \(state.map { "\($0) to etcd" } ?? "stopped") for some seconds")
        if let state { setEtcdLinks(from: node, state) } else { group.nodes[node].signal(SIGSTOP) }
        try await pause(milliseconds: 3_500...5_000)
        tell("node \(node) goes on")
        if state != nil { setEtcdLinks(from: node, .open) } else { group.nodes[node].signal(SIGCONT) }
        if state == nil { stoppedNodes.remove(node) }
    }

    /// What the leader sends stands still on its way to each member of etcd, and comes there when it was sent again by another
    /// way and is long done.
    private mutating func delayWhatTheLeaderSends() async throws {
        let node = try await leadingNode()
        tell("node \(node) is frozen to etcd for a moment")
        setEtcdLinks(from: node, .frozen)
        try await pause(milliseconds: 500...2_500)
        for member in etcd.endpoints.indices.shuffled(using: &random) {
            tell("from node \(node) to etcd \(member): open")
            group.setEtcdLink(from: node, to: member, .open)
            try await pause(milliseconds: 300...1_500)
        }
    }

    private mutating func killEverything() async throws {
        tell("everything is killed")
        for node in group.nodes.indices { group.nodes[node].signal(SIGKILL) }
        for member in etcd.endpoints.indices { etcd.kill(member) }
        for node in group.nodes.indices { try await kill(node) }
        killedMembers = Set(etcd.endpoints.indices)
        frozenMembers = []
        try await heal()
    }

    /// The first time a copy is made; later the disk is set back to it, or nothing is left of it.
    private mutating func changeDisk() async throws {
        let node = group.nodes[forgetfulNode]
        let copyPath = node.directory + "/copy"
        try await kill(forgetfulNode)
        if hasCopy {
            forgetfulNodes = [forgetfulNode]
            try FileManager.default.removeItem(atPath: node.dataDirectory)
            if Bool.random(using: &random) {
                tell("the disk of node \(forgetfulNode) is set back")
                try FileManager.default.copyItem(atPath: copyPath, toPath: node.dataDirectory)
            } else {
                tell("the disk of node \(forgetfulNode) is lost")
            }
        } else {
            tell("the disk of node \(forgetfulNode) is copied")
            try FileManager.default.copyItem(atPath: node.dataDirectory, toPath: copyPath)
            hasCopy = true
        }
        try node.launch()
        killedNodes.remove(forgetfulNode)
    }

    // MARK: Members of etcd

    private mutating func killOrStartMember(_ member: Int) throws {
        if killedMembers.remove(member) != nil {
            tell("etcd \(member) starts")
            try etcd.start(member)
        } else {
            tell("etcd \(member) is killed")
            etcd.kill(member)
            killedMembers.insert(member)
            frozenMembers.remove(member)
        }
    }

    private mutating func freezeOrThawMember(_ member: Int) {
        guard !killedMembers.contains(member) else { return }
        if frozenMembers.remove(member) != nil {
            tell("etcd \(member) goes on")
            etcd.thaw(member)
        } else {
            tell("etcd \(member) is frozen")
            etcd.freeze(member)
            frozenMembers.insert(member)
        }
    }

    private mutating func freezeTwoMembers() {
        let members = etcd.endpoints.indices.shuffled(using: &random).prefix(2)
        tell("etcd \(members[0]) and \(members[1]) are frozen")
        for member in members where !killedMembers.contains(member) {
            etcd.freeze(member)
            frozenMembers.insert(member)
        }
    }

    private mutating func compact() async {
        let member = Int.random(in: etcd.endpoints.indices, using: &random)
        do {
            try await etcd.compact(by: member)
            tell("etcd is compacted by \(member)")
        } catch {
            // It may be one that is killed, or have no leader.
            tell("etcd is not compacted by \(member)")
        }
    }

    // MARK: Links

    private mutating func breakLinkBetweenNodes() {
        let pair = group.nodes.indices.shuffled(using: &random)
        let state = someState()
        tell("from node \(pair[0]) to node \(pair[1]): \(state)")
        group.setLink(from: pair[0], to: pair[1], state)
    }

    private mutating func breakLinkToMember(from node: Int) {
        let state = someState()
        let member = Int.random(in: etcd.endpoints.indices, using: &random)
        // Now and then all of them, so that the node has no other way.
        if Bool.random(using: &random) {
            tell("from node \(node) to etcd: \(state)")
            setEtcdLinks(from: node, state)
        } else {
            tell("from node \(node) to etcd \(member): \(state)")
            group.setEtcdLink(from: node, to: member, state)
        }
    }

    private func setEtcdLinks(from node: Int, _ state: LinkState) {
        for member in etcd.endpoints.indices { group.setEtcdLink(from: node, to: member, state) }
    }

    private mutating func breakLinkBetweenMembers() {
        let pair = memberPairs[Int.random(in: memberPairs.indices, using: &random)]
        let state = someState()
        tell("from etcd \(pair.0) to etcd \(pair.1): \(state)")
        etcd.setPeerLink(from: pair.0, to: pair.1, state)
    }

    private mutating func someState() -> LinkState {
        let states: [LinkState] = [
            .cut, .frozen, .halfOpen, .slow(milliseconds: 50), .slow(milliseconds: 300), .answersLost,
            .brittle(sizeBytes: 20_000), .open,
        ]
        return states[Int.random(in: states.indices, using: &random)]
    }

    // MARK: Choices

    private var memberPairs: [(Int, Int)] {
        etcd.endpoints.indices.flatMap { from in
            etcd.endpoints.indices.filter { $0 != from }.map { (from, $0) }
        }
    }

    /// Any node, or the leader.
    private mutating func someNode() async throws -> Int {
        if Bool.random(using: &random) { return Int.random(in: group.nodes.indices, using: &random) }
        return try await leadingNode()
    }

    /// The node that leads; any if no other one knows.
    private mutating func leadingNode() async throws -> Int {
        let any = Int.random(in: group.nodes.indices, using: &random)
        let asked = group.nodes.indices.filter { !killedNodes.contains($0) && !stoppedNodes.contains($0) }
        return try await group.leaderIndex(asking: asked) ?? any
    }

    /// Any member of etcd, or its leader.
    private mutating func someMember() async throws -> Int {
        let any = Int.random(in: etcd.endpoints.indices, using: &random)
        if Bool.random(using: &random) { return any }
        do {
            return try await etcd.leaderIndex(timeoutSeconds: 0.5)
        } catch let error as CancellationError {
            throw error
        } catch {
            return any
        }
    }

    private mutating func pause(milliseconds: ClosedRange<Int>) async throws {
        try await Task.sleep(for: .milliseconds(Int.random(in: milliseconds, using: &random)))
    }

    private mutating func tell(_ what: String) {
        told.append("\(((ContinuousClock.now - start) / .milliseconds(1)).rounded() / 1_000) s: \(what)")
    }
}
