import Core
import Logging
import Store
import Synchronization
import Testing

@testable import Delivery

// Goal: whoever sets the system clock changes nothing at the receivers. Method: the dispatcher with the router's own
// clock over two clocks that the test moves: the one that counts on, and the one that people set.

@Suite(.timeLimit(.minutes(2))) struct ClockJumpTests {
    /// The router's clock on a machine whose clocks the test moves.
    final class MachineClock: WallClock {
        private struct State {
            var boot: Int64 = 50_000_000
            var ahead: Int64 = 1_700_000_000_000
            var nextId = 0
            var sleepers: [Int: (until: Timestamp, continuation: CheckedContinuation<Void, any Error>)] = [:]
            var cancelled: Set<Int> = []
        }
        private final class Box: Sendable {
            let state = Mutex(State())
        }
        private let box = Box()
        private let clock: SystemWallClock

        init() {
            let box = box
            clock = SystemWallClock(
                boot: { box.state.withLock { $0.boot } }, real: { box.state.withLock { $0.boot + $0.ahead } })
        }

        func now() -> Timestamp { clock.now() }
        /// What a receiver's watch shows.
        var boot: Int64 { box.state.withLock { $0.boot } }
        /// Whether somebody sleeps, and nobody should have been woken already.
        var isAsleep: Bool {
            let now = now()
            return box.state.withLock { state in
                !state.sleepers.isEmpty && state.sleepers.values.allSatisfy { $0.until > now }
            }
        }

        func setSystemClock(ahead milliseconds: Int64) { box.state.withLock { $0.ahead += milliseconds } }

        func advance(milliseconds: Int64) {
            box.state.withLock { $0.boot += milliseconds }
            let now = now()
            let woken = box.state.withLock { state in
                let woken = state.sleepers.filter { $0.value.until <= now }
                for id in woken.keys { state.sleepers[id] = nil }
                return woken.values.map(\.continuation)
            }
            for continuation in woken { continuation.resume() }
        }

        func sleep(until deadline: Timestamp) async throws {
            let box = box
            let now = now()
            let id = box.state.withLock { state in
                state.nextId += 1
                return state.nextId
            }
            try await withTaskCancellationHandler {
                try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                    let result: Result<Void, any Error>? = box.state.withLock { state in
                        if state.cancelled.remove(id) != nil { return .failure(CancellationError()) }
                        if deadline <= now { return .success(()) }
                        state.sleepers[id] = (deadline, continuation)
                        return nil
                    }
                    if let result { continuation.resume(with: result) }
                }
            } onCancel: {
                let sleeper = box.state.withLock { state in
                    let sleeper = state.sleepers.removeValue(forKey: id)
                    if sleeper == nil { state.cancelled.insert(id) }
                    return sleeper
                }
                sleeper?.continuation.resume(throwing: CancellationError())
            }
        }
    }

    /// A receiver with a watch of its own: refuses the first attempt of every fourth row, takes everything else.
    final class Receiver: Destination {
        struct Arrival { var row: Int64, at: Int64, isTaken: Bool }

        let receiver = "ops"
        let channel = "fake"
        let policy: DestinationPolicy
        private let clock: MachineClock
        private let state = Mutex<[Arrival]>([])

        init(_ clock: MachineClock, _ policy: DestinationPolicy) {
            self.clock = clock
            self.policy = policy
        }

        var arrivals: [Arrival] { state.withLock { $0 } }
        func coalesce(_ waiting: [OutboxRecord]) -> Coalescing { .oldest(of: waiting) }
        func render(_ row: OutboxRecord) throws -> RenderedBody { RenderedBody(bytes: row.payload, problem: nil) }

        func send(_ body: RenderedBody, row: OutboxRecord, deadline: Timestamp) async -> AttemptReport {
            let isTaken = row.attemptCount > 0 || row.id % 4 != 0
            state.withLock { $0.append(Arrival(row: row.id, at: clock.boot, isTaken: isTaken)) }
            return AttemptReport(
                outcome: isTaken ? .accepted(providerId: nil) : .retryable(after: nil, reason: "503"),
                statusCode: isTaken ? 200 : 503, detail: nil)
        }
    }

    private struct World {
        let clock = MachineClock()
        let store = MemoryStore(run: 1)
        let receiver: Receiver
        /// When, by the watch, a row was written, and how long it was to wait.
        var written: [Int64: (at: Int64, delay: Int64)] = [:]
        var random = SeededRandom(seed: 5)

        init(_ policy: DestinationPolicy) { receiver = Receiver(clock, policy) }

        mutating func add(_ number: Int) throws {
            let delay = number % 3 == 0 ? Int64.random(in: 1000...30_000, using: &random) : 0
            let now = clock.now()
            let id = try store.sync { transaction in
                var row = makeRow("ops", lane: "l\(number % 17)", payload: "i\(number)=fire", at: now)
                row.notBefore = now.adding(milliseconds: delay)
                return try transaction.insertOutbox(row)
            }
            written[id] = (clock.boot, delay)
        }

        /// Waits until nothing more happens before time passes.
        func settle() async {
            while true {
                if clock.isAsleep, store.state.active.values.allSatisfy({ $0.state != .leased }) { return }
                await Task.yield()
            }
        }
    }

    @Test(arguments: [[3_600_000], [-3_600_000], [3_600_000, -7_200_000, 3_600_000], [-1500, 1500, -900]])
    func `nothing is lost, early, late or twice, and the limit holds at the receiver`(jumps: [Int64]) async throws {
        let policy = DestinationPolicy.test {
            $0.windows = [RateWindow(count: 5, duration: .seconds(10))]
            ($0.concurrency, $0.claimBatch) = (4, 4)
            $0.retryBase = .seconds(2)
            $0.retryCap = .seconds(8)
            $0.breaker.failureCountMax = 1000
        }
        var world = World(policy)
        let dispatcher = Dispatcher(
            store: world.store, destinations: [world.receiver], clock: world.clock, seed: 3,
            metrics: MetricsRegistry(), logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            onFact: { _ in })
        async let running: Void = dispatcher.run()
        let steps = 6000
        for step in 0..<steps {
            if step % (steps / 4) == 750, jumps.count > step / (steps / 4) {
                world.clock.setSystemClock(ahead: jumps[step / (steps / 4)])
            }
            // Often more than the limit lets through at once, never more in the long run.
            if step % 70 == 0, step < 4500 { try world.add(step / 70) }
            dispatcher.wake()
            world.clock.advance(milliseconds: 50)
            await world.settle()
        }
        await dispatcher.drain(within: .seconds(5))
        await running
        try check(world)
    }

    private func check(_ world: World) throws {
        let arrivals = world.receiver.arrivals
        let taken = Dictionary(grouping: arrivals.filter(\.isTaken), by: \.row)
        #expect(taken.count == world.written.count && world.store.state.rows.values.allSatisfy { $0.state == .sent })
        #expect(taken.values.allSatisfy { $0.count == 1 }, "twice")
        for arrival in arrivals {
            let (at, delay) = try #require(world.written[arrival.row])
            // The router's clock may run 1 % fast or slow while it follows.
            #expect(arrival.at - at >= delay - delay / 100 - 1, "row \(arrival.row) was early")
            #expect(arrival.at - at <= delay + 90_000, "row \(arrival.row) was late")
        }
        let spans = zip(arrivals, arrivals.dropFirst(5)).map { $1.at - $0.at }
        #expect(spans.contains { $0 < 10_500 }, "the limit was at work")
        for (first, sixth) in zip(arrivals, arrivals.dropFirst(5)) {
            #expect(sixth.at - first.at >= 10_000, "six within ten seconds, from \(first.at)")
        }
    }
}
