// Under which names a node may be asked. A page elsewhere can give its own name the address of a node, and would then pass for
// a page of the node (DNS rebinding); a browser still says the name that it asked for.

import Glibc

/// The names of a node.
struct HostNames: Sendable {
    private let names: Set<String>
    private let takesAny: Bool

    /// - Parameter names: without ports; `*` takes any.
    init(_ names: [String]) {
        self.names = Set(names.map { $0.lowercased() })
        takesAny = names.contains("*")
    }

    /// Whether a request may be for it.
    ///
    /// - Parameter authority: what the request says in `Host`: a name or an address, and perhaps a port. Addresses are always
    ///   taken, since nobody can give them another meaning, and so are `localhost` and names below it (RFC 6761).
    func include(_ authority: String) -> Bool {
        if takesAny { return true }
        if authority.hasPrefix("[") { return isAddress(AF_INET6, String(authority.dropFirst().prefix { $0 != "]" })) }
        var name = authority.prefix { $0 != ":" }.lowercased()
        if name.hasSuffix(".") { name.removeLast() }
        return name == "localhost" || names.contains(name) || name.hasSuffix(".localhost")
            || isAddress(AF_INET, name)
    }

    private func isAddress(_ family: Int32, _ text: String) -> Bool {
        var address = in6_addr()
        return inet_pton(family, text, &address) == 1
    }
}
