public import Core

/// One header of a request or an answer.
public struct HTTPHeader: Sendable, Equatable {
    public var name: String
    public var value: String
    /// Makes a header.
    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// A request to a destination.
public struct HTTPRequest: Sendable {
    public var method: String
    public var url: HTTPURL
    public var headers: [HTTPHeader]
    public var body: [UInt8]

    /// Makes a request. `Content-Length` and `Host` are added when it is sent.
    public init(method: String, url: HTTPURL, headers: [HTTPHeader], body: [UInt8]) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
    }
}

/// An answer: at least its head arrived.
public struct HTTPResponse: Sendable, Equatable {
    public var status: Int
    public var headers: [HTTPHeader]
    /// The body, cut at the transport's cap.
    public var body: [UInt8]
    /// False where the body was cut at the cap or the connection broke within it.
    public var isComplete: Bool

    /// Makes an answer.
    public init(status: Int, headers: [HTTPHeader], body: [UInt8], isComplete: Bool) {
        self.status = status
        self.headers = headers
        self.body = body
        self.isComplete = isComplete
    }

    /// The first header of that name, whatever its case.
    public func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }
}

/// Why there was no answer. The message names no secret.
public struct HTTPFailure: Sendable, Equatable, CustomStringConvertible {
    public var message: String
    /// Whether time ran out, as opposed to a refusal or a broken connection.
    public var isTimeout: Bool
    public var description: String { message }

    /// Makes a failure.
    public init(message: String, isTimeout: Bool) {
        self.message = message
        self.isTimeout = isTimeout
    }
}

/// What became of a request.
public enum HTTPResult: Sendable, Equatable {
    /// The head of an answer arrived, at least.
    case response(HTTPResponse)
    /// No byte of the request was written: sending it again cannot duplicate anything.
    case notWritten(HTTPFailure)
    /// The request was written, in part or whole, and no answer came: it may have had its effect.
    case unanswered(HTTPFailure)
}

/// Sends requests; the seam between channels and the network.
public protocol HTTPSending: Sendable {
    /// Sends a request and waits for its answer, at most until `deadline`. Never throws, never follows a redirect.
    func send(_ request: HTTPRequest, deadline: Timestamp) async -> HTTPResult
}
