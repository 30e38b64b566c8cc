// swift-tools-version: 6.2
import PackageDescription

// A package of its own, as a user's would be: it has the library, and none of what the program needs.
let package = Package(
    name: "Examples",
    dependencies: [.package(name: "chaind", path: "..")],
    targets: [
        .executableTarget(name: "AuditLog", dependencies: [.product(name: "Chain", package: "chaind")])
    ],
    swiftLanguageModes: [.v6]
)

// As in the package above.
if Context.environment["CI"] != nil {
    for target in package.targets { target.swiftSettings = [.treatAllWarnings(as: .error)] }
}
