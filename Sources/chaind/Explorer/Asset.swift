// The files that are part of the program, for browsers and for whoever writes a client.

import CPages
import HTTPTypes
import Hummingbird
import NIOCore

/// A file by the path that it is served at.
enum Asset: String, CaseIterable, Sendable {
    case explorerStyle = "/explorer.css"
    case explorerScript = "/explorer.js"
    case description = "/openapi.json"
    case documentation = "/docs"
    case documentationStyle = "/docs.css"
    case documentationScript = "/docs.js"

    var content: ByteBuffer {
        switch self {
        case .explorerStyle: ByteBuffer(page_explorer_css())
        case .explorerScript: ByteBuffer(page_explorer_js())
        case .description: ByteBuffer(page_openapi_json())
        case .documentation: ByteBuffer(page_docs_html())
        case .documentationStyle: ByteBuffer(page_docs_css())
        case .documentationScript: ByteBuffer(page_docs_js())
        }
    }

    private var contentType: String {
        switch self {
        case .explorerStyle, .documentationStyle: "text/css; charset=utf-8"
        case .explorerScript, .documentationScript: "text/javascript; charset=utf-8"
        case .description: "application/json"
        case .documentation: "text/html; charset=utf-8"
        }
    }

    /// The file as an answer. It is asked for again each time, so that a new version of the program is never half of an old one.
    var response: Response {
        var fields = HTTPFields.forBrowsers
        fields[.contentType] = contentType
        fields[.cacheControl] = "no-cache"
        if self == .documentation {
            fields[.contentSecurityPolicy] = """
                default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                form-action 'none'; frame-ancestors 'none'
                """
        }
        return Response(status: .ok, headers: fields, body: ResponseBody(byteBuffer: content))
    }
}

extension HTTPFields {
    /// What keeps a browser from taking an answer for something else.
    static var forBrowsers: HTTPFields {
        [.xContentTypeOptions: "nosniff"]
    }
}

extension ByteBuffer {
    /// A file that is part of the program.
    init(_ page: page) {
        self.init(bytes: UnsafeBufferPointer(start: page.bytes, count: Int(page.size_bytes)))
    }
}
