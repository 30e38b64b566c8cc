// The log as JSON, for those who collect it: one object a line.

import Glibc
import Logging
import NIOCore
import Synchronization

/// Writes to standard error: `time` (RFC 3339, UTC), `level`, `message`, and each field of the metadata under its name.
struct JSONLogHandler: LogHandler {
    /// Long lines are not written at once by themselves.
    private static let lock = Mutex(())

    var logLevel = Logger.Level.info
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let line = String(buffer: line(event, at: now))
        Self.lock.withLock { _ in StandardError.write(line) }
    }

    /// What an event is written as, with the end of the line.
    func line(_ event: LogEvent, at time: timespec) -> ByteBuffer {
        var fields = metadata
        for more in [metadataProvider?.get(), event.metadata].compactMap(\.self) {
            fields.merge(more) { $1 }
        }
        if let error = event.error { fields["error"] = "\(error)" }
        var line = ByteBuffer()
        line.writeStaticString("{\"time\":")
        line.writeJSON(Self.text(time))
        line.writeStaticString(",\"level\":")
        line.writeJSON(event.level.rawValue)
        line.writeStaticString(",\"message\":")
        line.writeJSON("\(event.message)")
        for (name, value) in fields.sorted(by: { $0.key < $1.key }) {
            line.writeStaticString(",")
            line.writeJSON(["time", "level", "message"].contains(name) ? "metadata.\(name)" : name)
            line.writeStaticString(":")
            line.writeJSON(value)
        }
        line.writeStaticString("}\n")
        return line
    }

    private static func text(_ time: timespec) -> String {
        var seconds = time.tv_sec
        var parts = tm()
        gmtime_r(&seconds, &parts)
        var text = [CChar](repeating: 0, count: 32)
        let count = strftime(&text, text.count, "%Y-%m-%dT%H:%M:%S", &parts)
        let milliseconds = String(1_000 + time.tv_nsec / 1_000_000).dropFirst()
        return String(decoding: text.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self) + ".\(milliseconds)Z"
    }
}

extension ByteBuffer {
    /// Numbers stay numbers.
    fileprivate mutating func writeJSON(_ value: Logger.MetadataValue) {
        switch value {
        case .string(let text): writeJSON(text)
        case .stringConvertible(let number as any BinaryInteger): writeString("\(number)")
        case .stringConvertible(let number as Double) where number.isFinite: writeString("\(number)")
        case .stringConvertible(let value): writeJSON(value.description)
        case .array(let values):
            writeStaticString("[")
            for (index, value) in values.enumerated() {
                if index > 0 { writeStaticString(",") }
                writeJSON(value)
            }
            writeStaticString("]")
        case .dictionary(let fields):
            writeStaticString("{")
            for (index, field) in fields.sorted(by: { $0.key < $1.key }).enumerated() {
                if index > 0 { writeStaticString(",") }
                writeJSON(field.key)
                writeStaticString(":")
                writeJSON(field.value)
            }
            writeStaticString("}")
        }
    }
}
