// What `openapi.json` says of answers: every answer that the tests' client gets is held against it.

import Foundation

/// A description of routes, as far as a test needs it: the keywords of JSON Schema that ours uses, and no others.
public struct OpenAPI: Sendable {
    private let document: JSONValue

    /// The one among the sources.
    public static let ours = Result {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let file = root.appendingPathComponent("Sources/CPages/description/openapi.json")
        return OpenAPI(document: try JSONDecoder().decode(JSONValue.self, from: Data(contentsOf: file)))
    }

    /// Each path with its methods, in upper case.
    public var routes: [String: Set<String>] {
        (document["paths"]?.object ?? [:]).mapValues { Set(($0.object ?? [:]).keys.map { $0.uppercased() }) }
    }

    /// The version that is described.
    public var version: String? { document["info"]?["version"]?.string }

    /// What is wrong with an answer; `nil` if it is as described.
    public func fault(of answer: HTTPAnswer, to method: String, _ target: String) -> String? {
        let path = withoutSlash(target.prefix { $0 != "?" })
        let paths = document["paths"]?.object ?? [:]
        let route =
            paths.first { withoutSlash($0.key[...]) == path }
            ?? paths.first {
                $0.key == "/blocks/{block}" && path.hasPrefix("/blocks/") && path.split(separator: "/").count == 2
            }
        guard let route else {
            return answer.status == 404 ? nil : "\(answer.status) of a path that is not described"
        }
        let operations = route.value.object ?? [:]
        guard let operation = operations[method == "HEAD" ? "get" : method.lowercased()] else {
            let allowed = Set((answer.fields["allow"] ?? "").split(separator: ",").map { $0.filter { $0 != " " } })
            let described = Set(operations.keys.map { $0.uppercased() } + (operations["get"] == nil ? [] : ["HEAD"]))
            return answer.status == 405 && allowed == described ? nil : "\(answer.status), and it allows \(allowed)"
        }
        guard let response = operation["responses"]?["\(answer.status)"].flatMap(resolved) else {
            return "the status \(answer.status) is not described"
        }
        for (name, header) in response["headers"]?.object ?? [:] {
            let header = resolved(header)
            guard let text = answer.fields[name.lowercased()] else {
                if header?["required"] == .bool(true) { return "the field \(name) is missing" }
                continue
            }
            let value = Int(text).map(JSONValue.integer) ?? .string(text)
            if let schema = header?["schema"], let fault = fault(of: value, by: schema, at: name) { return fault }
        }
        let type = String((answer.fields["content-type"] ?? "").prefix { $0 != ";" })
        guard let content = response["content"]?.object?.first(where: { $0.key.prefix { $0 != ";" } == type })?.value
        else {
            return "the type \"\(type)\" is not described"
        }
        guard method != "HEAD", type == "application/json", let schema = content["schema"] else { return nil }
        do {
            return fault(of: try answer.json(JSONValue.self), by: schema, at: "")
        } catch {
            return "\(error)"
        }
    }

    /// What is wrong with the examples of the description itself.
    public var exampleFaults: [String] { exampleFaults(in: document, at: "") }

    private func exampleFaults(in value: JSONValue, at place: String) -> [String] {
        var faults: [String] = []
        if let schema = value["schema"] {
            let examples = (value["examples"]?.object ?? [:]).values.compactMap { resolved($0)?["value"] }
            for example in examples + [value["example"]].compactMap(\.self) {
                if let fault = fault(of: example, by: schema, at: "") { faults.append("\(place): \(fault)") }
            }
        }
        switch value {
        case .object(let members):
            for (name, member) in members { faults += exampleFaults(in: member, at: "\(place)/\(name)") }
        case .array(let items):
            for (index, item) in items.enumerated() { faults += exampleFaults(in: item, at: "\(place)/\(index)") }
        default: break
        }
        return faults
    }

    private func withoutSlash(_ path: Substring) -> String {
        path.count > 1 && path.last == "/" ? String(path.dropLast()) : String(path)
    }

    /// What a reference leads to.
    private func resolved(_ value: JSONValue) -> JSONValue? {
        guard let reference = value["$ref"]?.string else { return value }
        return reference.split(separator: "/").dropFirst().reduce(document) { $0?[String($1)] }
    }

    // MARK: Schemas

    private func fault(of value: JSONValue, by schema: JSONValue, at place: String) -> String? {
        guard let schema = resolved(schema)?.object else { return "\(place): no schema" }
        func fault(_ reason: String) -> String { "\(place.isEmpty ? "/" : place): \(reason)" }
        for (keyword, limit) in schema {
            switch (keyword, value) {
            case ("description", _), ("format", _), ("default", _), ("required", _), ("additionalProperties", _):
                continue
            case ("type", _):
                let types = limit.array?.compactMap(\.string) ?? [limit.string ?? ""]
                if !types.contains(where: value.isOfType) { return fault("is not \(types)") }
            case ("const", _): if value != limit { return fault("is not \(limit)") }
            case ("enum", _): if limit.array?.contains(value) != true { return fault("is none of the values") }
            case ("anyOf", _):
                let faults = (limit.array ?? []).map { self.fault(of: value, by: $0, at: place) }
                if !faults.contains(nil) { return faults.compactMap(\.self).joined(separator: "; ") }
            case ("properties", .object(let members)):
                let properties = limit.object ?? [:]
                for case .string(let name) in schema["required"]?.array ?? [] where members[name] == nil {
                    return fault("lacks \(name)")
                }
                for (name, member) in members {
                    guard let property = properties[name] else {
                        if schema["additionalProperties"] == .bool(false) { return fault("has \(name)") }
                        continue
                    }
                    if let found = self.fault(of: member, by: property, at: "\(place)/\(name)") { return found }
                }
            case ("items", .array(let items)):
                for (index, item) in items.enumerated() {
                    if let found = self.fault(of: item, by: limit, at: "\(place)/\(index)") { return found }
                }
            case ("minItems", .array(let items)): if items.count < limit.integer ?? .max { return fault("too few") }
            case ("maxItems", .array(let items)): if items.count > limit.integer ?? 0 { return fault("too many") }
            case ("pattern", .string(let text)):
                if text.range(of: limit.string ?? "(?!)", options: .regularExpression) == nil {
                    return fault("has another form")
                }
            case ("minLength", .string(let text)):
                if text.unicodeScalars.count < limit.integer ?? .max { return fault("too short") }
            case ("maxLength", .string(let text)):
                if text.unicodeScalars.count > limit.integer ?? 0 { return fault("too long") }
            case ("minimum", .integer(let number)): if number < limit.integer ?? .max { return fault("too small") }
            case ("maximum", .integer(let number)): if number > limit.integer ?? .min { return fault("too large") }
            case ("minimum", .number(let number)):
                if number < Double(limit.integer ?? .max) { return fault("too small") }
            case ("maximum", .number(let number)):
                if number > Double(limit.integer ?? .min) { return fault("too large") }
            case ("properties", _), ("items", _), ("minItems", _), ("maxItems", _), ("pattern", _), ("minLength", _),
                ("maxLength", _), ("minimum", _), ("maximum", _):
                continue
            default: return fault("the keyword \(keyword) is not known")
            }
        }
        return nil
    }
}

/// Any JSON.
enum JSONValue: Decodable, Hashable, Sendable {
    case null
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSONValue].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }

    subscript(name: String) -> JSONValue? { object?[name] }

    var object: [String: JSONValue]? { if case .object(let value) = self { value } else { nil } }
    var array: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
    var string: String? { if case .string(let value) = self { value } else { nil } }
    var integer: Int? { if case .integer(let value) = self { value } else { nil } }

    func isOfType(_ type: String) -> Bool {
        switch (type, self) {
        case ("null", .null), ("boolean", .bool), ("integer", .integer), ("number", .integer), ("number", .number),
            ("string", .string), ("array", .array), ("object", .object):
            true
        default: false
        }
    }
}
