public import Core
internal import Hummingbird
internal import HummingbirdCore
public import Logging
internal import NIOCore
public import ServiceLifecycle

/// Where the console listens, and its bounds.
public struct ConsoleConfiguration: Sendable, Equatable {
    /// An address of this machine; loopback unless metrics are to be read from elsewhere.
    public var host: String
    /// 0 takes any free port.
    public var port: Int
    /// Connections at a time; others wait.
    public var connectionsMax: Int
    /// A connection that says nothing for so long is closed.
    public var idleTimeout: Duration

    /// Listens on `host` and `port` with 64 connections and 30 s of silence.
    public init(host: String, port: Int) {
        self.host = host
        self.port = port
        connectionsMax = 64
        idleTimeout = .seconds(30)
    }

    /// Only this machine, any free port.
    public static let loopback = ConsoleConfiguration(host: "127.0.0.1", port: 0)
}

/// Serves `/metrics` (Prometheus text), `/healthz` (the process answers) and `/readyz` (it can do its work).
///
/// Reads only: there is nothing to change and nothing secret behind it. A graceful shutdown lets requests finish.
public final class ConsoleServer: Service {
    private let configuration: ConsoleConfiguration
    private let metrics: MetricsRegistry
    private let backend: any ConsoleBackend
    private let logger: Logger
    private let onBound: @Sendable (_ port: Int) -> Void

    /// Makes a server that listens when it is run.
    ///
    /// - Parameter onBound: told the port once the server listens.
    public init(
        configuration: ConsoleConfiguration, metrics: MetricsRegistry, backend: any ConsoleBackend, logger: Logger,
        onBound: @escaping @Sendable (_ port: Int) -> Void
    ) {
        self.configuration = configuration
        self.metrics = metrics
        self.backend = backend
        self.logger = logger
        self.onBound = onBound
    }

    /// Serves until the task is cancelled or its service group shuts down.
    ///
    /// - Throws: when the address cannot be bound.
    public func run() async throws {
        let onBound = onBound
        var log = logger
        // What the framework says of its own start and stop is not news of the router.
        log.logLevel = max(logger.logLevel, .warning)
        let idle = TimeAmount.milliseconds(configuration.idleTimeout.wholeMilliseconds)
        let application = Application(
            router: router(),
            server: .http1(configuration: .init(idleTimeout: idle)),
            configuration: ApplicationConfiguration(
                address: .hostname(configuration.host, port: configuration.port), serverName: nil,
                availableConnectionsDelegate: .maximum(configuration.connectionsMax, logger: log)),
            onServerRunning: { channel in onBound(channel.localAddress?.port ?? 0) },
            logger: log)
        try await application.run()
    }

    private func router() -> Router<BasicRequestContext> {
        let router = Router()
        router.get("/metrics") { [metrics] _, _ in
            ConsoleServer.response(
                .ok, "text/plain; version=0.0.4; charset=utf-8", metrics.prometheusText())
        }
        router.get("/healthz") { _, _ in
            ConsoleServer.response(.ok, "text/plain; charset=utf-8", "ok\n")
        }
        router.get("/readyz") { [backend] _, _ in
            let readiness = await backend.readiness()
            return ConsoleServer.response(
                readiness.isReady ? .ok : .serviceUnavailable, "application/json", readiness.json.description + "\n")
        }
        router.get("/") { _, _ in
            ConsoleServer.response(.ok, "text/plain; charset=utf-8", "/metrics\n/healthz\n/readyz\n")
        }
        return router
    }

    private static func response(_ status: HTTPResponse.Status, _ contentType: String, _ body: String) -> Response {
        var response = Response(status: status, body: ResponseBody(byteBuffer: ByteBuffer(string: body)))
        response.headers[.contentType] = contentType
        response.headers[.cacheControl] = "no-store"
        return response
    }
}
