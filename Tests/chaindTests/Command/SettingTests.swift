// Which layer a setting's value comes from, and what is said of one that cannot be used.

import Configuration
import Foundation
import Logging
import TestSupport
import Testing

@testable import chaind

@Suite struct SettingTests {
    private func source(environment: [String: String] = [:], file: String? = nil) async throws -> SettingSource {
        try await withTemporaryDirectory { directory in
            let path = directory.path("settings.json")
            if let file { try Data(file.utf8).write(to: URL(fileURLWithPath: path)) }
            return try await SettingSource(
                environment: EnvironmentVariablesProvider(environmentVariables: environment),
                configPath: file == nil ? nil : path)
        }
    }

    @Test func aFlagGoesBeforeTheEnvironmentThatBeforeTheFileThatBeforeTheDefault() async throws {
        let environment = ["CHAIND_PORT": "2", "UVICORN_PORT": "3", "CHAIND_DATA_DIR": "environment"]
        let file = #"{"port": 4, "data-dir": "file", "log-level": "debug"}"#
        let all = try await source(environment: environment, file: file)
        #expect(try all.value(Settings.port, flag: 1) == 1)
        #expect(try all.value(Settings.port, flag: nil) == 2)
        #expect(try all.value(Settings.dataDirectory, flag: nil) == "environment")
        #expect(try all.value(Settings.logLevel, flag: nil).level == .debug)
        #expect(try all.value(Settings.host, flag: nil) == "127.0.0.1")

        let original = try await source(environment: ["UVICORN_PORT": "3"], file: file)
        #expect(try original.value(Settings.port, flag: nil) == 3)
        #expect(try original.value(Settings.dataDirectory, flag: nil) == "file")

        #expect(try await source(file: file).value(Settings.port, flag: nil) == 4)
        #expect(try await source().value(Settings.port, flag: nil) == 8_000)
    }

    @Test(arguments: ["65536", "-1", "x", "", "1.5", "99999999999999999999"])
    func aNumberThatCannotBeUsedIsNamedWithItsLimits(text: String) async throws {
        let source = try await source(environment: ["CHAIND_PORT": text])
        let error = #expect(throws: SettingError.self) { try source.value(Settings.port, flag: nil) }
        #expect(error?.description == "port (CHAIND_PORT) must be a whole number, 0 to 65535")
    }

    @Test(arguments: [#"{"port": "8000"}"#, #"{"port": 70000}"#, #"{"port": 1.5}"#, #"{"port": [1]}"#])
    func theFileIsCheckedTheSame(file: String) async throws {
        let source = try await source(file: file)
        let error = #expect(throws: SettingError.self) { try source.value(Settings.port, flag: nil) }
        #expect(error?.description.hasSuffix("settings.json) must be a whole number, 0 to 65535") == true)
    }

    @Test func aFlagOutOfRangeIsRefusedToo() async throws {
        let source = try await source()
        let error = #expect(throws: SettingError.self) { try source.value(Settings.readers, flag: 0) }
        #expect(error?.description == "readers (--readers) must be a whole number, 1 to 64")
    }

    @Test(arguments: ["", "{", "[]", "{\"port\": }"])
    func aFileThatIsNoJSONObjectIsRefused(file: String) async {
        await #expect(throws: SettingError.self) { _ = try await source(file: file) }
    }

    @Test func theOriginalsServerIDNamesTheDatabase() async throws {
        #expect(try Settings.databasePath(dataDirectory: "d", source: await source()) == "d/chain.db")
        let named = try await source(environment: ["SERVER_ID": "node-1"])
        #expect(try Settings.databasePath(dataDirectory: "d", source: named) == "d/node-1.db")
    }

    @Test(arguments: ["", "../x", "a/b", "/"])
    func aServerIDThatIsNoFileNameIsRefused(name: String) async throws {
        let source = try await source(environment: ["SERVER_ID": name])
        #expect(throws: SettingError.self) { try Settings.databasePath(dataDirectory: "d", source: source) }
    }
}
