// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "chaind",
    products: [
        .library(name: "Chain", targets: ["Chain"]),
        .executable(name: "chaind", targets: ["chaind"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.1.0"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // The package manager splits `pkgConfig` on spaces, so one target covers both libraries.
        .systemLibrary(
            name: "CSystemLibs",
            pkgConfig: "libcrypto sqlite3",
            providers: [.apt(["libssl-dev", "libsqlite3-dev"])]
        ),
        .target(name: "CLanes"),
        .target(name: "CPages", exclude: ["explorer", "description"]),
        .target(name: "Chain", dependencies: ["CLanes", "CSystemLibs"]),
        .executableTarget(
            name: "chaind",
            dependencies: [
                "CPages", "CSystemLibs", "Chain",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "OrderedCollections", package: "swift-collections"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ]
        ),
        .target(
            name: "TestSupport",
            dependencies: [
                "Chain", "CSystemLibs",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            path: "Tests/TestSupport"
        ),
        .executableTarget(name: "demo", dependencies: ["TestSupport"], path: "Tests/Demo"),
        .testTarget(name: "ChainTests", dependencies: ["Chain", "CSystemLibs", "TestSupport"]),
        .testTarget(
            name: "chaindTests",
            dependencies: [
                "chaind", "Chain", "CSystemLibs", "TestSupport",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Hummingbird", package: "hummingbird"),
            ],
            // Compiled by the tests that load them into a node, and copied by those that need it.
            exclude: [
                "Documents/run_documents.py", "Explorer/drive.py", "Explorer/shoot.py", "Faults/failing_disk.c",
                "Faults/wrong_clock.c", "HTTP/check_description.sh", "Migration/version_1.db", "Migration/version_3.db",
                "Migration/version_3_messages.json", "Telemetry/check_monitoring.py",
            ]
        ),
    ],
    swiftLanguageModes: [.v6]
)

// Warnings are errors in CI only: a newer compiler's new warning must not keep a user from building.
if Context.environment["CI"] != nil {
    for target in package.targets where target.type != .system {
        target.swiftSettings = [.treatAllWarnings(as: .error)]
    }
}
