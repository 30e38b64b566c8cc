// The description of the routes and the routes themselves. That each answer is as described is checked by the tests' client.

import TestSupport
import Testing

@testable import chaind

@Suite struct DescriptionTests {
    private static let routes: [Route] =
        [
            .status, .blocks, .batch, .head, .validation, .events, .block("7"), .live, .ready, .verified, .metrics,
            .group,
            .groupAddress, .groupForget, .groupAdopt, .receivedList, .round, .orphans, .peerStatus, .peerLocate,
            .peerStream,
            .peerLeave, .peerForward,
        ] + Asset.allCases.map(Route.asset)

    @Test func itsExamplesAreAsItSays() throws {
        #expect(try OpenAPI.ours.get().exampleFaults == [])
    }

    @Test func itIsOfThisVersion() throws {
        #expect(try OpenAPI.ours.get().version == Chaind.version)
    }

    @Test func itHasAllRoutesAndNoOthers() throws {
        let described = try OpenAPI.ours.get().routes
        for (path, methods) in described {
            let route = try #require(Route(path: path.replacing("{block}", with: "7")), "\(path)")
            #expect(
                Set(route.methods.map(\.rawValue)) == methods.union(methods.contains("GET") ? ["HEAD"] : []), "\(path)")
            #expect(route.name == path, "\(path)")
        }
        // The parts of pages are no routes for clients.
        let pages: [Asset] = [.explorerStyle, .explorerScript, .documentationStyle, .documentationScript]
        let names = Set(Self.routes.map(\.name)).subtracting(pages.map(\.rawValue))
        #expect(names == Set(described.keys))
    }

    @Test func itIsServed() async throws {
        try await withNode { node async throws in
            let answer = try await node.client.get("/openapi.json")
            #expect(answer.status == 200 && answer.fields["content-type"] == "application/json")
            #expect(answer.body.count > 100_000)
        }
    }
}
