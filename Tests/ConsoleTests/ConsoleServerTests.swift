import Console
import Core
import Logging
import ServiceLifecycle
import Synchronization
import Testing

/// A backend whose readiness a test sets.
private final class Backend: ConsoleBackend {
    private let state = Mutex(Readiness.ready)
    func set(_ readiness: Readiness) { state.withLock { $0 = readiness } }
    func readiness() async -> Readiness { state.withLock { $0 } }
}

/// Goal: the endpoints answer over a real loopback connection as Prometheus and orchestrators expect.
@Suite(.timeLimit(.minutes(1))) struct ConsoleServerTests {
    private func access() -> ConsoleAccess {
        ConsoleAccess(settings: .loopbackReads, key: [1], clock: SetClock(), metrics: MetricsRegistry())
    }

    /// Runs a server, gives `body` its port, shuts it down gracefully.
    private func withServer(
        metrics: MetricsRegistry = MetricsRegistry(), backend: Backend = Backend(),
        _ body: @Sendable (Int) async throws -> Void
    ) async throws {
        let (ports, continuation) = AsyncStream<Int>.makeStream()
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        let server = ConsoleServer(
            configuration: .loopback, metrics: metrics, backend: backend, alerting: nil,
            access: access(), clock: SetClock(), logger: logger, onBound: { continuation.yield($0) })
        let group = ServiceGroup(configuration: .init(services: [server], logger: logger))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            var iterator = ports.makeAsyncIterator()
            let port = try #require(await iterator.next())
            try await body(port)
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }

    @Test func `metrics are Prometheus text`() async throws {
        let metrics = MetricsRegistry()
        metrics.counter("events_total", "Events read.", labels: ["table": "a"]).add(3)
        try await withServer(metrics: metrics) { port in
            #expect(port > 0)
            let answer = try await Loopback.get("/metrics", port: port)
            #expect(answer.status == 200)
            #expect(answer.header("content-type") == "text/plain; version=0.0.4; charset=utf-8")
            #expect(answer.body.contains("# TYPE events_total counter\nevents_total{table=\"a\"} 3\n"))
        }
    }

    @Test func `readiness carries its reasons as JSON`() async throws {
        let backend = Backend()
        try await withServer(backend: backend) { port in
            #expect(try await Loopback.get("/readyz", port: port).status == 200)
            backend.set(Readiness(reasons: [.init(name: "store", message: "the disk is \"full\"")]))
            let answer = try await Loopback.get("/readyz", port: port)
            #expect(answer.status == 503)
            let json = try JSON.parse(answer.body.dropLast(1).utf8)
            #expect(json["status"] == .string("not ready"))
            #expect(json["reasons"]?[0]?["message"] == .string("the disk is \"full\""))
            #expect(try await Loopback.get("/healthz", port: port).status == 200)
            let many = (0..<1000).map { Readiness.Reason(name: "p\($0)", message: "no leader") }
            backend.set(Readiness(reasons: many))
            let long = try JSON.parse(try await Loopback.get("/readyz", port: port).body.dropLast(1).utf8)
            #expect(long["reasons"]?.elements?.count == 50)
            #expect(long["omitted"]?.intValue == 950)
        }
    }

    @Test(arguments: [
        ("GET /nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 404),
        ("POST /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\nconnection: close\r\n\r\nx", 404),
        ("GET /../etc/passwd HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 400),
        ("nonsense\r\n\r\n", 400),
    ])
    func `what is not offered is refused`(request: String, status: Int) async throws {
        try await withServer { port in
            let answer = try await Loopback.exchange(request, port: port)
            #expect(answer.status == status)
            #expect(try await Loopback.get("/healthz", port: port).status == 200)
        }
    }

    @Test func `a port in use is an error that ends the service`() async throws {
        try await withServer { port in
            let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
            let second = ConsoleServer(
                configuration: ConsoleConfiguration(host: "127.0.0.1", port: port), metrics: MetricsRegistry(),
                backend: Backend(), alerting: nil, access: access(), clock: SetClock(), logger: logger,
                onBound: { _ in })
            await #expect(throws: (any Error).self) { try await second.run() }
        }
    }

    @Test func `cancelling the task ends the server`() async throws {
        let (ports, continuation) = AsyncStream<Int>.makeStream()
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        let server = ConsoleServer(
            configuration: .loopback, metrics: MetricsRegistry(), backend: Backend(), alerting: nil,
            access: access(), clock: SetClock(), logger: logger, onBound: { continuation.yield($0) })
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try? await server.run() }
            var iterator = ports.makeAsyncIterator()
            let port = try #require(await iterator.next())
            tasks.cancelAll()
            try await tasks.waitForAll()
            await #expect(throws: (any Error).self) { try await Loopback.get("/healthz", port: port) }
        }
    }
}
