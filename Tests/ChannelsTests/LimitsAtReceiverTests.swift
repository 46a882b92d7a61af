import Alerting
import ConfigFiles
import Core
import Delivery
import Foundation
import HTTPTransport
import Logging
import NIOPosix
import Sandbox
import Store
import Synchronization
import Testing

@testable import Channels

// Goal: what a Teams webhook gets never exceeds the receiver's limits, also over a restart in the middle of a window.
// Method: the real store, dispatcher and transport against the sandbox's webhook, which keeps when each request came;
// all read one clock, on which waiting takes no time.

@Suite(.timeLimit(.minutes(2))) struct LimitsAtReceiverTests {
    static let messageCount = 75
    /// What the webhook has seen when the first process dies: in the middle of the first minute.
    static let seenAtCrash = 20

    /// Whoever waits for a time makes it come at once, unless a request is under way: then when it is answered.
    final class JumpingClock: WallClock {
        private struct State {
            var now = Timestamp(milliseconds: 1_700_000_000_000)
            var requestCount = 0
            var nextId = 0
            var sleepers: [Int: CheckedContinuation<Void, Never>] = [:]
        }
        private let state = Mutex(State())

        func now() -> Timestamp { state.withLock { $0.now } }
        func advance(milliseconds: Int64) { state.withLock { $0.now = $0.now.adding(milliseconds: milliseconds) } }
        func requestBegins() { state.withLock { $0.requestCount += 1 } }

        func requestEnds() {
            let sleepers = state.withLock { state in
                state.requestCount -= 1
                guard state.requestCount == 0 else { return [CheckedContinuation<Void, Never>]() }
                defer { state.sleepers = [:] }
                return Array(state.sleepers.values)
            }
            for sleeper in sleepers { sleeper.resume() }
        }

        func sleep(until deadline: Timestamp) async throws {
            let id = state.withLock { state in
                state.nextId += 1
                return state.nextId
            }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let isFree = state.withLock { state in
                        if state.requestCount == 0 || Task.isCancelled { return true }
                        state.sleepers[id] = continuation
                        return false
                    }
                    if isFree { continuation.resume() }
                }
            } onCancel: {
                state.withLock { $0.sleepers.removeValue(forKey: id) }?.resume()
            }
            try Task.checkCancellation()
            state.withLock { $0.now = max($0.now, deadline) }
        }
    }

    /// Tells the clock when requests are under way.
    struct WatchedTransport: HTTPSending {
        let transport: HTTPTransport
        let clock: JumpingClock
        func send(_ request: HTTPRequest, deadline: Timestamp) async -> HTTPResult {
            clock.requestBegins()
            defer { clock.requestEnds() }
            return await transport.send(request, deadline: deadline)
        }
    }

    let clock = JumpingClock()

    func open(_ folder: String) throws -> SQLiteStore {
        try SQLiteStore(
            StoreOptions(
                location: StoreLocation(folder: folder, name: "alert"), limits: .standard, now: clock.now(),
                metrics: MetricsRegistry()), holder: .current(startedAt: clock.now(), socketPath: ""))
    }

    func dispatcher(_ store: SQLiteStore, _ sink: TeamsSink, _ transport: HTTPTransport) throws -> Dispatcher {
        // The limits are those of a receiver that sets none. Nothing is merged, so that each row is a request.
        let (configuration, problems) = TeamsDestinationTests.configuration(
            "url: ${env:TEAMS_URL}\nmerge_above: 1000\n")
        #expect(problems.isEmpty)
        let destination = try TeamsDestination(
            configuration: try #require(configuration), resolver: TeamsDestinationTests.resolver(sink.webhookAddress),
            http: WatchedTransport(transport: transport, clock: clock), clock: clock)
        return Dispatcher(
            store: store, destinations: [destination], clock: clock, seed: 1, metrics: MetricsRegistry(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, onFact: { _ in })
    }

    func row(_ number: Int) -> OutboxRecord {
        var item = TeamsSample.item()
        item.incidentKey = "incident-\(number)"
        return OutboxRecord(
            receiver: "quality", lane: "lane-\(number)", kind: "notification", incidentKey: item.incidentKey,
            rule: "r", severity: .error, priority: .normal, createdAt: clock.now(), idempotencyKey: "key-\(number)",
            payload: TeamsSample.notification([item]).bytes, recipient: nil)
    }

    @Test func `no minute and no second at the webhook holds too many cards, a restart between them`() async throws {
        let folder = NSTemporaryDirectory() + "/limits-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let arrived = AsyncStream<String>.makeStream()
        let sink = try await TeamsSink.start(
            port: 0, group: MultiThreadedEventLoopGroup.singleton, clock: clock, isThrottling: true,
            onCard: { [clock] card in
                // A webhook takes its time to answer: a slot counts from the answer, not from the request.
                clock.advance(milliseconds: 30)
                for id in card.ids { arrived.continuation.yield(id) }
            })
        let transport = try HTTPTransport(configuration: .standard, clock: clock)

        let first = try open(folder)
        let rows = (0..<Self.messageCount).map(row)
        try await first.write(byteCount: 1_000_000) { transaction in
            for row in rows { _ = try transaction.insertOutbox(row) }
        }
        let firstLife = try dispatcher(first, sink, transport)
        let running = Task { await firstLife.run() }
        await sink.http.waitForRequests(Self.seenAtCrash)
        running.cancel()
        await running.value
        await first.close(now: clock.now())
        let countAtCrash = sink.http.requestCount

        let second = try open(folder)
        let secondLife = try dispatcher(second, sink, transport)
        let again = Task { await secondLife.run() }
        var seen: Set<String> = []
        var cardCount = 0
        for await id in arrived.stream {
            seen.insert(id)
            cardCount += 1
            if seen.count == Self.messageCount { break }
        }
        again.cancel()
        await again.value
        await second.close(now: clock.now())
        await transport.shutdown()
        await sink.stop()

        let times = sink.http.requests.map(\.receivedAt.milliseconds).sorted()
        #expect(sink.throttledCount == 0 && sink.faults.isEmpty)
        #expect(cardCount - seen.count <= 4, "only what was under way at the restart may come twice")
        for index in times.indices where index + 30 < times.count {
            #expect(times[index + 30] - times[index] >= 60_000, "31 requests within a minute, from number \(index)")
        }
        // The restart falls into a minute that is used up, so that a limit forgotten there would show.
        try #require(times.count > 31 && countAtCrash < 30)
        // Of those under way at the crash, some may have taken a slot without reaching the webhook.
        #expect(times[25] - times[0] < 60_000)
        #expect(times[30] - times[0] < 75_000, "the limit is used")
    }
}
