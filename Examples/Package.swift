// swift-tools-version: 6.2
import PackageDescription

// A package of its own, as that of who embeds the library.
let package = Package(
    name: "Examples",
    dependencies: [.package(name: "chaind", path: "..")],
    targets: [
        .executableTarget(
            name: "AuditLog",
            dependencies: [.product(name: "Chain", package: "chaind")]
        )
    ],
    swiftLanguageModes: [.v6]
)

// Warnings are errors in CI only.
if Context.environment["CI"] != nil {
    for target in package.targets {
        target.swiftSettings = [.treatAllWarnings(as: .error)]
    }
}
