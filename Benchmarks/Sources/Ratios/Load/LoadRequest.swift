// The bytes of a request that is sent over and over.

/// A request, in which a row of `#` stands for its number.
struct LoadRequest: Sendable {
    let bytes: [UInt8]
    /// The number is scattered below this, to ask for blocks in no order; 0 for the number itself.
    var numberEnd = 0

    init(_ bytes: [UInt8], numberEnd: Int = 0) {
        self.bytes = bytes
        self.numberEnd = numberEnd
    }

    static func get(_ path: String, numberEnd: Int = 0) -> LoadRequest {
        LoadRequest(Array("GET \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8), numberEnd: numberEnd)
    }

    static func post(_ path: String, _ body: String) -> LoadRequest {
        LoadRequest(
            Array(
                """
                POST \(path) HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                Content-Length: \(body.utf8.count)\r\n\r\n\(body)
                """.utf8))
    }

    /// Where the digits of the number are.
    var number: Range<Int> {
        guard let start = bytes.firstIndex(of: UInt8(ascii: "#")) else { return 0..<0 }
        return start..<(bytes[start...].firstIndex { $0 != UInt8(ascii: "#") } ?? bytes.count)
    }
}

/// The text of an append: 64 bytes with a number in them.
let loadText = "text ############ " + String(repeating: "x", count: 46)
