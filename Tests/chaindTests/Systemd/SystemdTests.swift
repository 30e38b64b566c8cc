// What systemd is told by a node, and when it is told nothing.

import Chain
import Foundation
import Logging
import NIOPosix
import TestSupport
import Testing

@testable import chaind

@Suite(.serialized, .timeLimit(.minutes(2)))
struct SystemdTests {
    private static let beat = "WATCHDOG=1"

    /// A node that is not started yet, and what it is told of the socket.
    private static func withLaunched(
        socketName: (String) -> String = { $0 + "/notify" }, _ more: [String: String] = [:],
        _ body: (NodeProcess, DatagramSocket) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory { directory in
            let name = socketName(directory.path)
            let socket = try DatagramSocket(name)
            let environment = more.merging(["NOTIFY_SOCKET": name]) { $1 }
            let node = try NodeProcess(directory: directory.path, environment: environment)
            defer { node.stop() }
            try node.launch()
            try await body(node, socket)
        }
    }

    @Test(arguments: [false, true])
    func itIsReadyOnceItAnswersAndSaysThatItStops(isAbstract: Bool) async throws {
        let name: (String) -> String = { isAbstract ? "@" + $0 : $0 + "/notify" }
        try await Self.withLaunched(socketName: name) { node, socket async throws in
            #expect(try await socket.next() == ["READY=1"])
            #expect(try await node.client.get("/").status == 200)
            #expect(try await socket.received(withinSeconds: 0.5) == [])
            #expect(try await node.end(SIGTERM) == 0)
            #expect(socket.received() == ["STOPPING=1"])
            #expect(node.error == "")
        }
    }

    @Test func itGivesSignsOfLifeWhileItRuns() async throws {
        try await Self.withLaunched(["WATCHDOG_USEC": "400000"]) { node, socket async throws in
            #expect(try await socket.next().first == "READY=1")
            // One each fifth of a second, or later where the machine is busy.
            let beats = try await socket.received(withinSeconds: 2)
            #expect(3...11 ~= beats.count && Set(beats) == [Self.beat], "\(beats)")
            node.signal(SIGSTOP)
            _ = try await socket.received(withinSeconds: 0.2)
            #expect(try await socket.received(withinSeconds: 1) == [])
            node.signal(SIGCONT)
            #expect(try await socket.next().first == Self.beat)
            #expect(try await node.end(SIGTERM) == 0)
            #expect(socket.received().last == "STOPPING=1")
            #expect(node.error == "")
        }
    }

    @Test(arguments: ["", "not a name", "/nowhere/notify"])
    func aNodeWithoutSystemdDoesWithout(name: String) async throws {
        let environment = name.isEmpty ? [:] : ["NOTIFY_SOCKET": name, "WATCHDOG_USEC": "400000"]
        try await withNode(environment: environment) { node async throws in
            try await Task.sleep(for: .seconds(0.5))
            #expect(try await node.client.get("/").status == 200)
            #expect(try await node.end(SIGTERM) == 0)
            #expect(node.error.contains("systemd is not told") == name.hasPrefix("/"))
        }
    }

    @Test func theWatchdogIsForTheProcessThatItNames() throws {
        func watchdogSeconds(_ environment: [String: String]) -> Double? {
            let environment = environment.merging(["NOTIFY_SOCKET": "/run/systemd/notify"]) { $1 }
            return NotifySocket(environment: environment, processID: 7)?.watchdogSeconds
        }
        #expect(watchdogSeconds(["WATCHDOG_USEC": "30000000"]) == 30)
        #expect(watchdogSeconds(["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"]) == 30)
        #expect(watchdogSeconds(["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"]) == nil)
        for odd in ["0", "-1", "soon", ""] { #expect(watchdogSeconds(["WATCHDOG_USEC": odd]) == nil, "\(odd)") }
        #expect(watchdogSeconds([:]) == nil)
        #expect(NotifySocket(environment: [:]) == nil)
        let long = "/" + String(repeating: "x", count: 107)
        #expect(NotifySocket(environment: ["NOTIFY_SOCKET": long]) == nil)
        #expect(NotifySocket(environment: ["NOTIFY_SOCKET": String(long.dropLast())]) != nil)
    }

    /// In this process, whose parts can be made to hang.
    private func withService(_ body: (BlockList, DatagramSocket) async throws -> Void) async throws {
        try await withTemporaryDirectory { directory in
            let name = directory.path("notify")
            let datagrams = try DatagramSocket(name)
            let environment = ["NOTIFY_SOCKET": name, "WATCHDOG_USEC": "200000"]
            let list = try await BlockList.open(path: directory.path("chain.db")) { 1_700_000_000 }
            let (listening, isListening) = AsyncStream.makeStream(of: Void.self)
            let service = SystemdService(
                socket: try #require(NotifySocket(environment: environment)), list: list, listening: listening,
                logger: Logger(label: "test"), writerSecondsMax: 0.3)
            let running = Task { try await service.run() }
            #expect(try await datagrams.received(withinSeconds: 0.2) == [])
            isListening.yield()
            #expect(try await datagrams.next().first == "READY=1")
            #expect(try await datagrams.next().first == Self.beat)
            try await body(list, datagrams)
            #expect(try await datagrams.next().first == Self.beat)
            running.cancel()
            try await running.value
            #expect(datagrams.received().last == "STOPPING=1")
            try await list.close()
        }
    }

    /// Whether signs of life end while something hangs.
    private func expectSilence(of datagrams: DatagramSocket, while hang: (DispatchSemaphore) -> Void) async throws {
        let isOver = DispatchSemaphore(value: 0)
        defer { isOver.signal() }
        hang(isOver)
        _ = try await datagrams.received(withinSeconds: 0.8)
        #expect(try await datagrams.received(withinSeconds: 0.8) == [])
    }

    @Test func anEventLoopThatHangsEndsTheSignsOfLife() async throws {
        try await withService { _, datagrams async throws in
            let loop = MultiThreadedEventLoopGroup.singleton.next()
            try await expectSilence(of: datagrams) { isOver in loop.execute { isOver.wait() } }
        }
    }

    @Test func aWriterThatHangsEndsTheSignsOfLife() async throws {
        try await withService { list, datagrams async throws in
            try await expectSilence(of: datagrams) { isOver in list.afterWrites { isOver.wait() } }
        }
    }
}
