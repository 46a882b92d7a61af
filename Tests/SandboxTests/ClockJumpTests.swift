import ChangeEvents
import Core
import RouterTesting
import Spine
import Store
import Synchronization
import Testing

// Goal: setting the system clock by an hour loses, hastens and repeats no timer. Method: the real worker and store on
// the real clock over two given clocks; sleeping moves them at once; the system clock jumps while a timer runs.

/// The machine's clock over a time that passes only while somebody sleeps.
private final class SimulatedClock: WallClock {
    static let start: Int64 = 1_768_200_000_000
    private final class Boot: Sendable {
        let milliseconds = Mutex<Int64>(5_000_000)
        var now: Int64 { milliseconds.withLock { $0 } }
    }

    private let boot: Boot
    private let clock: SystemWallClock

    init(jump: Int64, afterMilliseconds: Int64) {
        let boot = Boot()
        let origin = boot.now
        self.boot = boot
        clock = SystemWallClock(
            boot: { boot.now },
            real: {
                let elapsed = boot.now - origin
                return SimulatedClock.start + elapsed + (elapsed >= afterMilliseconds ? jump : 0)
            })
    }

    func now() -> Timestamp { clock.now() }

    func sleep(until deadline: Timestamp) async throws {
        try Task.checkCancellation()
        let wait = deadline.milliseconds(since: clock.now())
        if wait > 0 { boot.milliseconds.withLock { $0 += wait } }
        await Task.yield()
    }
}

@Suite(.timeLimit(.minutes(5))) struct ClockJumpTests {
    private static let tables = """
        tables:
          line_state:
            row_key: [line]
            topics: [t]
            format: cdf
            columns: {line: string, temp: int, due_at: timestamp}
        """
    private static let rules = """
        table: line_state
        owner: test
        rules:
          - {name: hot, when: after.temp > 90, for: 10m, severity: error}
          - {name: due, deadline: after.due_at, severity: error}
        """

    @Test(arguments: [0, 3_600_000, -3_600_000] as [Int64])
    func `timers run once and in time`(jump: Int64) async throws {
        let clock = SimulatedClock(jump: jump, afterMilliseconds: 240_000)
        let partition = TopicPartition(topic: "t", partition: 0)
        let source = ScriptedEventSource(partitions: [partition], batchMax: 10)
        let rig = try WorkerRig(
            rules: WorkerRig.rules(tables: ClockJumpTests.tables, rules: ClockJumpTests.rules), source: source,
            folder: nil, clock: clock, clockMode: .wall)
        defer { rig.remove() }
        try await rig.wait { try rig.store.read { try $0.offsets().count } == 1 }
        let start = Timestamp(milliseconds: SimulatedClock.start)
        source.append(
            partition, key: nil,
            value: """
                {"line":"L1","temp":95,"due_at":"\(start.adding(.seconds(900)))","_change_type":"insert",\
                "_commit_version":1,"_commit_timestamp":"\(start)"}
                """, timestamp: start.milliseconds)
        try await rig.wait {
            try rig.store.read { try $0.openAlertCount() } == 2 && rig.transitions().count == 4
        }
        // The later timer ran when the table clock, a minute behind, had passed it; the slewing clock is off by 1 %.
        // The simulated clock runs on while the loop looks around; what counts is when the timer ran.
        let ranAt = try rig.store.read { try $0.transitions(beforeId: nil, countMax: 100) }.map(\.recordedAt).max()
        let ran = Double(try #require(ranAt).milliseconds(since: start))
        let expected = 960_000.0
        #expect(abs(ran - expected) <= expected / 100 + 2000)
        try await rig.stop()
        let again = try WorkerRig(
            rules: WorkerRig.rules(tables: ClockJumpTests.tables, rules: ClockJumpTests.rules), source: source,
            folder: rig.folder, clock: clock, clockMode: .wall)
        try await again.drain()
        let transitions = try again.transitions()
        #expect(
            transitions == [
                "due line=L1 0 0 error \(start)", "due line=L1 1 2 error \(start.adding(.seconds(900)))",
                "hot line=L1 0 0 error \(start)", "hot line=L1 1 2 error \(start.adding(.seconds(600)))",
            ])
        try await again.stop()
    }
}
