// How what is logged is written.

import ArgumentParser
import Configuration
import Logging

/// The form of the log.
enum LogFormat: String, CaseIterable, SettingValue, CustomStringConvertible {
    case text, json

    static var configType: ConfigType { .string }

    init?(content: ConfigContent) {
        guard case .string(let text) = content else { return nil }
        self.init(rawValue: text)
    }

    var description: String { rawValue }

    /// Writes to standard error.
    func handler(label: String, metadataProvider: Logger.MetadataProvider?) -> any LogHandler {
        switch self {
        case .text: StreamLogHandler.standardError(label: label, metadataProvider: metadataProvider)
        case .json: JSONLogHandler(metadataProvider: metadataProvider)
        }
    }
}

extension Setting where Value == LogFormat {
    /// A form of the log by its name.
    init(_ name: String, default: LogFormat, help: String) {
        let names = "one of " + LogFormat.allCases.map(\.rawValue).joined(separator: ", ")
        self.init(
            name: name, defaultValue: `default`, limits: names, accepts: { _ in true }, help: help, originalName: nil)
    }
}
