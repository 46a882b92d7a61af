import AsyncHTTPClient
public import Core
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
internal import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// HTTP/1.1 to destinations: pooled connections, no redirects, bounded answers, no cookies, no ambient proxy.
///
/// Its results tell a request of which nothing was written from one that was written and not answered; the difference
/// decides whether a repetition may duplicate.
public final class HTTPTransport: HTTPSending {
    private let direct: HTTPClient
    private let proxied: HTTPClient?
    private let noProxy: NoProxyList
    private let responseBytesMax: Int
    private let clock: any WallClock

    /// Reads the certificate files and makes the clients; nothing is connected yet.
    ///
    /// - Throws: ``HTTPTransportError`` when a certificate or key cannot be read.
    public init(configuration: HTTPTransportConfiguration, clock: any WallClock) throws {
        let client = try HTTPTransport.clientConfiguration(configuration)
        direct = HTTPClient(eventLoopGroupProvider: .singleton, configuration: client)
        if let proxy = configuration.proxy {
            var throughProxy = client
            throughProxy.proxy = .server(
                host: proxy.host, port: proxy.port,
                authorization: proxy.userName.map {
                    .basic(username: $0, password: proxy.password?.reveal() ?? "")
                })
            proxied = HTTPClient(eventLoopGroupProvider: .singleton, configuration: throughProxy)
        } else {
            proxied = nil
        }
        noProxy = configuration.noProxy
        responseBytesMax = configuration.responseBytesMax
        self.clock = clock
    }

    private static func clientConfiguration(
        _ configuration: HTTPTransportConfiguration
    ) throws -> HTTPClient.Configuration {
        var tls = TLSConfiguration.makeClientConfiguration()
        do {
            if let file = configuration.certificateAuthorityFile {
                tls.additionalTrustRoots = [.certificates(try NIOSSLCertificate.fromPEMFile(file))]
            }
            if let client = configuration.clientCertificate {
                tls.certificateChain = try NIOSSLCertificate.fromPEMFile(client.chainFile).map { .certificate($0) }
                tls.privateKey = .privateKey(try NIOSSLPrivateKey(file: client.keyFile, format: .pem))
            }
        } catch {
            throw HTTPTransportError(message: "certificate or key cannot be read: \(error)")
        }
        var client = HTTPClient.Configuration(
            tlsConfiguration: tls, redirectConfiguration: .disallow,
            timeout: .init(
                connect: .milliseconds(configuration.connectTimeout.wholeMilliseconds),
                read: .milliseconds(configuration.readTimeout.wholeMilliseconds),
                write: .milliseconds(configuration.readTimeout.wholeMilliseconds)),
            decompression: .disabled)
        client.httpVersion = .http1Only
        client.connectionPool = .init(
            idleTimeout: .milliseconds(configuration.idleTimeout.wholeMilliseconds),
            concurrentHTTP1ConnectionsPerHostSoftLimit: configuration.connectionsPerHostMax)
        // Our own policy repeats; a failed connection is told at once.
        client.connectionPool.retryConnectionEstablishment = false
        return client
    }

    public func send(_ request: HTTPRequest, deadline: Timestamp) async -> HTTPResult {
        let remaining = deadline.milliseconds(since: clock.now())
        guard remaining > 0 else {
            return .notWritten(HTTPFailure(message: "no time was left to send", isTimeout: true))
        }
        let built: HTTPClient.Request
        do { built = try HTTPTransport.build(request) } catch {
            return .notWritten(HTTPTransport.failure(error, request: request))
        }
        let client = noProxy.covers(host: request.url.host, port: request.url.port) ? direct : proxied ?? direct
        let collector = ResponseCollector(bytesMax: responseBytesMax)
        let task = client.execute(
            request: built, delegate: collector, deadline: .now() + .milliseconds(remaining))
        do {
            let response = try await withTaskCancellationHandler {
                try await task.get()
            } onCancel: {
                task.cancel()
            }
            return .response(response)
        } catch {
            let (response, isWritten) = collector.progress
            // A head is an answer, however its body ended.
            if let response { return .response(response) }
            let failure = HTTPTransport.failure(error, request: request)
            return isWritten ? .unanswered(failure) : .notWritten(failure)
        }
    }

    private static func build(_ request: HTTPRequest) throws -> HTTPClient.Request {
        var headers = HTTPHeaders()
        for header in request.headers { headers.add(name: header.name, value: header.value) }
        var built = try HTTPClient.Request(
            url: request.url.text, method: HTTPMethod(rawValue: request.method), headers: headers)
        if !request.body.isEmpty { built.body = .byteBuffer(ByteBuffer(bytes: request.body)) }
        return built
    }

    /// What went wrong, in words that hold no part of the address but its host.
    private static func failure(_ error: any Error, request: HTTPRequest) -> HTTPFailure {
        guard let known = error as? HTTPClientError else {
            return HTTPFailure(
                message: request.url.redacted(from: "connection to \(request.url.host) failed: \(reason(of: error))"),
                isTimeout: false)
        }
        let timeouts: [(HTTPClientError, String)] = [
            (.connectTimeout, "connecting to \(request.url.host) took too long"),
            (.tlsHandshakeTimeout, "the TLS handshake with \(request.url.host) took too long"),
            (.httpProxyHandshakeTimeout, "the proxy did not answer in time"),
            (.getConnectionFromPoolTimeout, "no connection to \(request.url.host) became free in time"),
            (.readTimeout, "no answer from \(request.url.host) in time"),
            (.writeTimeout, "\(request.url.host) did not take the request in time"),
            (.deadlineExceeded, "no answer from \(request.url.host) in time"),
        ]
        if let timeout = timeouts.first(where: { $0.0 == known }) {
            return HTTPFailure(message: timeout.1, isTimeout: true)
        }
        if known == .remoteConnectionClosed {
            return HTTPFailure(message: "\(request.url.host) closed the connection without an answer", isTimeout: false)
        }
        return HTTPFailure(
            message: request.url.redacted(from: "request to \(request.url.host) failed: \(known.shortDescription)"),
            isTimeout: false)
    }

    /// The system's words for an error of a socket: "Connection refused" rather than a chain of types.
    private static func reason(of error: any Error) -> String {
        if let error = error as? NIOConnectionError, let first = error.connectionErrors.first {
            return reason(of: first.error)
        }
        guard let error = error as? IOError else { return "\(error)" }
        return String(cString: strerror(error.errnoCode))
    }

    /// Closes all connections; requests under way fail.
    public func shutdown() async {
        try? await direct.shutdown()
        try? await proxied?.shutdown()
    }
}

/// Collects an answer up to a bound, and notes how far the request came.
private final class ResponseCollector: HTTPClientResponseDelegate {
    struct BodyTooLarge: Error {}

    private struct State {
        var isWritten = false
        var response: HTTPResponse?
    }

    private let state = Mutex(State())
    private let bytesMax: Int

    init(bytesMax: Int) { self.bytesMax = bytesMax }

    var progress: (response: HTTPResponse?, isWritten: Bool) { state.withLock { ($0.response, $0.isWritten) } }

    func didSendRequestHead(task: HTTPClient.Task<HTTPResponse>, _ head: HTTPRequestHead) {
        state.withLock { $0.isWritten = true }
    }

    func didReceiveHead(task: HTTPClient.Task<HTTPResponse>, _ head: HTTPResponseHead) -> EventLoopFuture<Void> {
        let response = HTTPResponse(
            status: Int(head.status.code), headers: head.headers.map { HTTPHeader($0.name, $0.value) }, body: [],
            isComplete: false)
        state.withLock { $0.response = response }
        return task.eventLoop.makeSucceededVoidFuture()
    }

    func didReceiveBodyPart(task: HTTPClient.Task<HTTPResponse>, _ buffer: ByteBuffer) -> EventLoopFuture<Void> {
        let isFull = state.withLock { state in
            let room = bytesMax - (state.response?.body.count ?? 0)
            state.response?.body += buffer.readableBytesView.prefix(room)
            return buffer.readableBytes > room
        }
        return isFull
            ? task.eventLoop.makeFailedFuture(BodyTooLarge()) : task.eventLoop.makeSucceededVoidFuture()
    }

    func didFinishRequest(task: HTTPClient.Task<HTTPResponse>) throws -> HTTPResponse {
        try state.withLock { state in
            state.response?.isComplete = true
            guard let response = state.response else { throw HTTPClientError.remoteConnectionClosed }
            return response
        }
    }
}
