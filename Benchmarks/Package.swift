// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that users of the library do not fetch what only measuring needs.
let package = Package(
    name: "Benchmarks",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "chaind", path: ".."),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0"),
        // Without traits: the counters of allocations hook malloc, which is not what is measured here.
        .package(url: "https://github.com/ordo-one/benchmark", from: "1.38.0", traits: []),
    ],
    targets: [
        .systemLibrary(
            name: "CSQLite", path: "Sources/CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        // The client that all servers are measured with, and the loop that hashing is measured against.
        .target(name: "CBaselines", linkerSettings: [.linkedLibrary("crypto")]),
        // The ratios that the project promises: `make bench`.
        .executableTarget(
            name: "ratios",
            dependencies: [
                "CBaselines", "CSQLite",
                .product(name: "Chain", package: "chaind"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Hummingbird", package: "hummingbird"),
            ],
            path: "Sources/Ratios"
        ),
        // For work on one part: `swift package --package-path Benchmarks benchmark`.
        .executableTarget(
            name: "Suites",
            dependencies: [
                .product(name: "Chain", package: "chaind"),
                .product(name: "Benchmark", package: "benchmark"),
            ],
            path: "Suites",
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]
        ),
    ],
    swiftLanguageModes: [.v6]
)
