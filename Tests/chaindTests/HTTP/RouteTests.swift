// Which path is which route.

import Testing

@testable import chaind

@Suite struct RouteTests {
    @Test(arguments: [
        ("/", Route.status), ("", .status),
        ("/blocks", .blocks), ("/blocks/", .blocks),
        ("/blocks/batch", .batch), ("/blocks/batch/", .batch),
        ("/blocks/head", .head), ("/blocks/head/", .head),
        ("/blocks/valid", .validation), ("/blocks/valid/", .validation),
        ("/blocks/17", .block("17")), ("/blocks/17/", .block("17")),
        ("/blocks/%31", .block("1")), ("/%62locks/", .blocks),
    ])
    func pathsWithAndWithoutTheSlash(path: String, route: Route) {
        #expect(Route(path: path) == route)
    }

    @Test(arguments: [
        "/block", "//", "/blocks//", "/blocks/1/2", "//blocks", "/BLOCKS/", "/blocks/%", "/blocks/%FF", "*",
    ])
    func otherPathsAreNone(path: String) {
        #expect(Route(path: path) == nil)
    }
}
