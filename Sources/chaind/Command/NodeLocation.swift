// Where other nodes find this one, and whom it is to join, as the settings say it.

/// The addresses that the settings name.
struct NodeLocation {
    /// Where other nodes find this one; `nil` for this machine's own name and the port.
    let url: MemberAddress?
    /// A node whose group this one is to join.
    let join: MemberAddress?
    private let speaksTLS: Bool

    /// - Throws: `SettingError` for a text that is no address, and where an address of this node is needed that others
    ///   than this machine can use.
    init(host: String, url: String, join: String, speaksTLS: Bool) throws(SettingError) {
        self.speaksTLS = speaksTLS
        self.url = try NodeLocation.address(url, setting: "url")
        self.join = try NodeLocation.address(join, setting: "join")
        if let url = self.url {
            guard url.text.hasPrefix("https:") || !speaksTLS else {
                throw SettingError(description: "url (\(url)): begins with https:// where there is a tls-cert")
            }
            return
        }
        guard NodeLocation.isLoopback(host) else {
            throw SettingError(description: "url must say where other nodes find this one, since host is \(host)")
        }
        if let join = self.join, !NodeLocation.isLoopback(join.host) {
            throw SettingError(description: "url must say where \(join) finds this node")
        }
    }

    /// The address of this node.
    func ownAddress(port: Int) throws(MemberAddressError) -> MemberAddress {
        if let url { return url }
        return try MemberAddress("\(speaksTLS ? "https" : "http")://localhost:\(port)")
    }

    private static func address(_ text: String, setting: String) throws(SettingError) -> MemberAddress? {
        if text.isEmpty { return nil }
        do {
            return try MemberAddress(text)
        } catch {
            throw SettingError(description: "\(setting) (\(text)): \(error)")
        }
    }

    /// Whether only this machine reaches a host.
    static func isLoopback(_ host: String) -> Bool {
        host == "localhost" || host == "::1" || host == "[::1]"
            || host.hasPrefix("127.") && host.allSatisfy { $0.isNumber || $0 == "." }
    }
}
