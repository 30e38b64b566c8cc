// What a setting is, and how its value is found: a flag, then the environment, then the file, then the default.

import ArgumentParser
import Chain
import Configuration
import Logging

/// A value that a setting can have.
protocol SettingValue: ExpressibleByArgument, Sendable {
    /// How it stands in the environment and in the file.
    static var configType: ConfigType { get }
    /// `nil` if the content is not such a value.
    init?(content: ConfigContent)
}

extension Int: SettingValue {
    static var configType: ConfigType { .int }

    init?(content: ConfigContent) {
        guard case .int(let number) = content else { return nil }
        self = number
    }
}

extension String: SettingValue {
    static var configType: ConfigType { .string }

    init?(content: ConfigContent) {
        guard case .string(let text) = content else { return nil }
        self = text
    }
}

extension Bool: SettingValue {
    static var configType: ConfigType { .bool }

    init?(content: ConfigContent) {
        guard case .bool(let value) = content else { return nil }
        self = value
    }
}

/// A log level by its name.
struct LogLevel: SettingValue, CustomStringConvertible {
    static var configType: ConfigType { .string }

    let level: Logger.Level

    init(_ level: Logger.Level) { self.level = level }

    init?(argument: String) {
        guard let level = Logger.Level(rawValue: argument) else { return nil }
        self.init(level)
    }

    init?(content: ConfigContent) {
        guard case .string(let text) = content else { return nil }
        self.init(argument: text)
    }

    var description: String { level.rawValue }
}

extension HashLanes: SettingValue, CustomStringConvertible {
    static var configType: ConfigType { .string }

    public init?(argument: String) { self.init(name: argument) }

    init?(content: ConfigContent) {
        guard case .string(let text) = content else { return nil }
        self.init(name: text)
    }

    public var description: String { name }
}

/// One setting: the name of its flag and of its key in the file, its default, its limits and its help.
struct Setting<Value: SettingValue>: Sendable {
    /// As in `--queue-appends-max`; the environment's name is made from it.
    let name: String
    let defaultValue: Value
    /// The values that it takes, in words.
    let limits: String
    /// Whether it takes a value.
    let accepts: @Sendable (Value) -> Bool
    /// What it does, and its unit.
    let help: String
    /// The name that the original service had for it in the environment; ours goes before it.
    let originalName: String?

    /// The name in the environment.
    var environmentName: String { "CHAIND_" + name.uppercased().replacing("-", with: "_") }

    private var shownDefault: String { "\(defaultValue)".isEmpty ? "none" : "\(defaultValue)" }

    /// The help for the command line: what it does, what it takes, and how else it can be set.
    var argumentHelp: ArgumentHelp {
        let environment = ([environmentName] + [originalName].compactMap { $0 }).joined(separator: ", ")
        return ArgumentHelp("\(help) (\(limits); default: \(shownDefault); environment: \(environment))")
    }
}

extension Setting where Value == Int {
    /// A number within a range.
    init(_ name: String, default: Int, in range: ClosedRange<Int>, originalName: String? = nil, help: String) {
        self.init(
            name: name, defaultValue: `default`, limits: "\(range.lowerBound) to \(range.upperBound)",
            accepts: { range.contains($0) }, help: help, originalName: originalName)
    }
}

extension Setting where Value == String {
    /// A text, as a rule one that is not empty.
    init(_ name: String, default: String, acceptsEmpty: Bool = false, help: String) {
        self.init(
            name: name, defaultValue: `default`, limits: acceptsEmpty ? "any text" : "any text but an empty one",
            accepts: { acceptsEmpty || !$0.isEmpty }, help: help, originalName: nil)
    }
}

extension Setting where Value == Bool {
    /// Something that is done only if it is asked for.
    init(_ name: String, help: String) {
        self.init(
            name: name, defaultValue: false, limits: "true or false", accepts: { _ in true }, help: help,
            originalName: nil)
    }
}

extension Setting where Value == LogLevel {
    /// A log level by its name.
    init(_ name: String, default: LogLevel, help: String) {
        let names = "one of " + Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
        self.init(
            name: name, defaultValue: `default`, limits: names, accepts: { _ in true }, help: help, originalName: nil)
    }
}

extension Setting where Value == HashLanes {
    /// A way to hash that this processor has.
    init(_ name: String, help: String) {
        let names = HashLanes.all.map(\.name).joined(separator: ", ")
        self.init(
            name: name, defaultValue: .best, limits: "one of " + names, accepts: { _ in true }, help: help,
            originalName: nil)
    }
}

extension Option {
    /// The flag of a setting: `nil` where it is not given, so that the other layers come into play.
    init<SettingType: SettingValue>(_ setting: Setting<SettingType>) where Value == SettingType? {
        self.init(name: .customLong(setting.name), help: setting.argumentHelp)
    }
}

extension Flag where Value == Bool {
    /// The flag of a setting, which takes no value there.
    init(wrappedValue: Bool, _ setting: Setting<Bool>) {
        self.init(wrappedValue: wrappedValue, name: .customLong(setting.name), help: setting.argumentHelp)
    }
}

/// A setting whose value cannot be used: one line with its name, where the value comes from, and the limits.
struct SettingError: Error, CustomStringConvertible {
    let description: String
}

/// The layers below the flags: the environment and the optional file.
struct SettingSource: Sendable {
    private let environment: EnvironmentVariablesProvider
    private let file: FileProvider<JSONSnapshot>?
    private let filePath: String

    /// Reads the file, if there is one.
    ///
    /// - Parameters:
    ///   - environment: the process's environment.
    ///   - configPath: `--config`; `nil` for `CHAIND_CONFIG`, or for no file.
    init(environment: EnvironmentVariablesProvider, configPath: String?) async throws(SettingError) {
        self.environment = environment
        do {
            filePath = try configPath ?? environment.environmentValue(forName: "CHAIND_CONFIG") ?? ""
            file = filePath.isEmpty ? nil : try await FileProvider<JSONSnapshot>(filePath: .init(filePath))
        } catch {
            throw SettingError(description: "\(configPath ?? "CHAIND_CONFIG"): cannot be read as a JSON object")
        }
    }

    /// The value of a setting from the first layer that has it.
    func value<Value>(_ setting: Setting<Value>, flag: Value?) throws(SettingError) -> Value {
        if let flag {
            return try check(flag, setting, source: "--\(setting.name)")
        }
        for name in [setting.environmentName, setting.originalName].compactMap({ $0 }) {
            if let value = try value(setting, in: environment, key: name, source: name) { return value }
        }
        if let file, let value = try value(setting, in: file, key: setting.name, source: filePath) { return value }
        return setting.defaultValue
    }

    /// A variable of the environment that is no setting of ours.
    func environmentValue(_ name: String) throws(SettingError) -> String? {
        do {
            return try environment.environmentValue(forName: name)
        } catch {
            throw SettingError(description: "\(name): \(error)")
        }
    }

    private func value<Value>(
        _ setting: Setting<Value>, in provider: some ConfigProvider, key: String, source: String
    ) throws(SettingError) -> Value? {
        let content: ConfigContent?
        do {
            content = try provider.value(forKey: AbsoluteConfigKey([key]), type: Value.configType).value?.content
        } catch {
            throw invalid(setting, source: source)
        }
        guard let content else { return nil }
        guard let value = Value(content: content) else { throw invalid(setting, source: source) }
        return try check(value, setting, source: source)
    }

    private func check<Value>(
        _ value: Value, _ setting: Setting<Value>, source: String
    ) throws(SettingError) -> Value {
        guard setting.accepts(value) else { throw invalid(setting, source: source) }
        return value
    }

    private func invalid<Value>(_ setting: Setting<Value>, source: String) -> SettingError {
        let kind = Value.self == Int.self ? "a whole number, " : ""
        return SettingError(description: "\(setting.name) (\(source)) must be \(kind)\(setting.limits)")
    }
}
