// What a client would rather have (RFC 9110, section 12.5).

import HTTPTypes

/// The weights of `Accept` or `Accept-Language`.
struct Preference {
    private let weights: [(name: String, weight: Double)]

    /// - Parameter fields: all fields of the name.
    init(_ fields: [String]) {
        weights = fields.flatMap { $0.split(separator: ",") }.map { part in
            let words = part.split(separator: ";").map { $0.filter { $0 != " " && $0 != "\t" }.lowercased() }
            let weight = words.dropFirst().first { $0.hasPrefix("q=") }.flatMap { Double($0.dropFirst(2)) } ?? 1
            return (words.first ?? "", weight)
        }
    }

    /// How much a media type is wanted; 0 for not at all.
    func weight(ofType type: String) -> Double {
        let range = type.prefix { $0 != "/" } + "/*"
        for name in [type, String(range), "*/*"] {
            if let found = weights.first(where: { $0.name == name }) { return found.weight }
        }
        return 0
    }

    /// How much a language is wanted, such as `pt`, which stands for `pt-BR` too; 0 for not at all.
    func weight(ofLanguage language: String) -> Double {
        let weights = weights.filter { $0.name == language || $0.name.hasPrefix(language + "-") }.map(\.weight)
        return weights.max() ?? self.weights.first { $0.name == "*" }?.weight ?? 0
    }
}
