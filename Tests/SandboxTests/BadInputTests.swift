import ChangeEvents
import Core
import RouterTesting
import RuleEngine
import Spine
import Store
import Testing

// Goal: bad input is kept with its reason and the partition goes on. Method: the real worker and store; a good row
// behind every bad message must be judged.

@Suite(.timeLimit(.minutes(5))) struct BadInputTests {
    private static let tables = """
        tables:
          line_state:
            row_key: [line]
            topics: [t, big]
            format: cdf
            columns: {line: string, temp: int, note: string}
        """
    private static let rules = """
        table: line_state
        owner: test
        rules:
          - {name: hot, when: after.temp > 90, severity: error}
        """

    private static let partition = TopicPartition(topic: "t", partition: 0)
    private static let big = TopicPartition(topic: "big", partition: 0)

    private static func row(_ version: Int, line: String, temp: String, note: String = "") -> [UInt8] {
        Array(
            """
            {"line":"\(line)","temp":\(temp),"note":"\(note)","_change_type":"insert","_commit_version":\(version),\
            "_commit_timestamp":"2026-01-12T10:00:00.000Z"}
            """.utf8)
    }

    private static func rig(_ rules: String = rules, tables: String = tables) throws -> WorkerRig {
        let source = ScriptedEventSource(partitions: [partition, big], batchMax: 5)
        return try WorkerRig(
            rules: WorkerRig.rules(tables: tables, rules: rules), source: source, folder: nil,
            clock: TestClock(WorkerRig.start),
            clockMode: .data)
    }

    private static func append(_ value: [UInt8]?, to rig: WorkerRig, _ place: TopicPartition = partition) {
        rig.source.append(place, keyBytes: Array("k".utf8), valueBytes: value, timestamp: 1_768_212_000_000)
    }

    private static let bad: [(name: String, value: [UInt8])] = [
        ("truncated", Array(row(1, line: "L0", temp: "95").dropLast(30))),
        ("no JSON", Array("line=L0 temp=95".utf8)),
        ("empty", []),
        ("a scalar", Array("42".utf8)),
        ("deep nesting", Array((String(repeating: "[", count: 200_000)).utf8)),
        ("deep object", Array((String(repeating: "{\"a\":", count: 100_000)).utf8)),
        ("invalid UTF-8", row(1, line: "L0", temp: "95").map { $0 == UInt8(ascii: "L") ? 0xFF : $0 }),
        ("zero bytes", Array(repeating: 0, count: 1000)),
        (
            "version of the wrong type",
            Array(
                "{\"line\":\"L0\",\"temp\":95,\"_change_type\":\"insert\",\"_commit_version\":\"x\"}".utf8)
        ),
        (
            "change of an unknown type",
            Array(
                "{\"line\":\"L0\",\"temp\":95,\"_change_type\":\"explode\",\"_commit_version\":1}".utf8)
        ),
    ]

    @Test func `every message that is no event is kept, and the rows behind it are judged`() async throws {
        let rig = try BadInputTests.rig()
        defer { rig.remove() }
        try await rig.drain()
        for (index, bad) in BadInputTests.bad.enumerated() {
            BadInputTests.append(bad.value, to: rig)
            BadInputTests.append(BadInputTests.row(10 + index, line: "L\(index + 1)", temp: "95"), to: rig)
        }
        try await rig.drain()
        let letters = try rig.deadLetters(.input)
        #expect(letters.compactMap(\.offset).sorted() == BadInputTests.bad.indices.map { Int64($0 * 2) })
        for letter in letters {
            let offset = Int(try #require(letter.offset))
            #expect(!letter.reason.isEmpty && letter.reason.count < 400, "\(BadInputTests.bad[offset / 2].name)")
            #expect(letter.value == BadInputTests.bad[offset / 2].value)
        }
        #expect(try rig.store.read { try $0.openAlertCount() } == BadInputTests.bad.count)
        let rejected = rig.registry.counter("alert_router_messages_rejected_total", "", labels: ["worker": "alert"])
        #expect(rejected.current == BadInputTests.bad.count)
        try await rig.stop()
    }

    @Test func `a null payload, and values of the wrong type, change no alert and stop nothing`() async throws {
        let rig = try BadInputTests.rig()
        defer { rig.remove() }
        try await rig.drain()
        BadInputTests.append(BadInputTests.row(1, line: "L1", temp: "95"), to: rig)
        BadInputTests.append(nil, to: rig)
        for (index, temp) in ["\"hot\"", "null", "[1]", "{\"a\":1}", "true", "1e400", "\"NaN\""].enumerated() {
            BadInputTests.append(BadInputTests.row(2 + index, line: "L1", temp: temp), to: rig)
        }
        BadInputTests.append(BadInputTests.row(20, line: "L2", temp: "95"), to: rig)
        try await rig.drain()
        // The operator is told of the rule that errs; of its own alerts two are open.
        let hot = AlertQuery(isOpen: true, rule: "hot", severityMin: nil, countMax: 10, skipCount: 0)
        #expect(try rig.store.read { try $0.alerts(hot).count } == 2)
        #expect(try rig.transitions().count { $0.hasPrefix("hot ") } == 2)
        let errors = try rig.store.read { try $0.evaluationErrors(rule: "hot", countMax: 100) }
        let letters = try rig.deadLetters(.input)
        // Every wrong value is accounted for, as the third outcome of the rule or as a message that is no event.
        #expect(errors.reduce(0) { $0 + $1.count } + Int64(letters.count { $0.value != nil }) == 7)
        try await rig.stop()
    }

    @Test func `a message of 10 MB on its own topic`() async throws {
        let rig = try BadInputTests.rig()
        defer { rig.remove() }
        try await rig.drain()
        let note = String(repeating: "0123456789", count: 1 << 20)
        BadInputTests.append(BadInputTests.row(1, line: "L1", temp: "95", note: note), to: rig, BadInputTests.big)
        BadInputTests.append(
            Array(BadInputTests.row(2, line: "L2", temp: "95", note: note).dropLast(1)), to: rig, BadInputTests.big)
        BadInputTests.append(BadInputTests.row(3, line: "L3", temp: "95"), to: rig)
        BadInputTests.append(BadInputTests.row(4, line: "L4", temp: "95"), to: rig, BadInputTests.big)
        try await rig.drain()
        #expect(try rig.store.read { try $0.openAlertCount() } == 3)
        let letters = try rig.deadLetters(.input)
        #expect(letters.map(\.offset) == [1] && (letters.first?.value?.count ?? 0) > 10 << 20)
        try await rig.stop()
    }

    @Test func `a rule that errors on every row: an exact count, a bounded log, bounded dead letters`() async throws {
        let rules = """
            table: line_state
            owner: test
            rules:
              - {name: fails, when: 100 / (after.temp - after.temp) > 1, severity: error}
              - {name: hot, when: after.temp > 90, severity: error}
            """
        let rig = try BadInputTests.rig(rules)
        defer { rig.remove() }
        try await rig.drain()
        for index in 0..<5000 {
            BadInputTests.append(
                BadInputTests.row(
                    index + 1, line: "L\(index % 50)", temp: index % 1000 == 999 ? "95" : "\(index % 80)"),
                to: rig)
        }
        try await rig.drain()
        let errors = try rig.store.read { try $0.evaluationErrors(rule: "fails", countMax: 1000) }
        #expect(errors.reduce(0) { $0 + $1.count } == 5000)
        #expect(errors.count <= 100)
        #expect(try rig.deadLetters(.evaluation).count <= 20)
        #expect(rig.registry.counter("alert_router_evaluation_errors_total", "").current == 5000)
        #expect(try rig.transitions().contains { $0.hasPrefix("hot ") })
        try await rig.stop()
    }

    @Test func `more row keys than the bound: counted, and ONE alert about it`() async throws {
        let tables = BadInputTests.tables.replacing("format: cdf", with: "format: cdf\n    row_keys_max: 200")
        let rig = try BadInputTests.rig(tables: tables)
        defer { rig.remove() }
        try await rig.drain()
        for index in 0..<3000 {
            BadInputTests.append(BadInputTests.row(index + 1, line: "L\(index)", temp: "20"), to: rig)
        }
        try await rig.drain()
        try await rig.wait { try rig.store.read { try $0.openAlertCount() } > 0 }
        let evicted = rig.registry.counter("alert_router_row_keys_evicted_total", "", labels: ["worker": "alert"])
        #expect(evicted.current >= 2800 && evicted.current <= 3000)
        let told = try rig.transitions()
        #expect(told.count == 1 && told.first?.contains("subject=line_state") == true, "\(told)")
        try await rig.stop()
        // A restart finds the table still full: nothing more is told.
        let again = try WorkerRig(
            rules: WorkerRig.rules(tables: tables, rules: BadInputTests.rules), source: rig.source, folder: rig.folder,
            clock: TestClock(WorkerRig.start), clockMode: .data)
        for index in 3000..<4000 {
            BadInputTests.append(BadInputTests.row(index + 1, line: "L\(index)", temp: "20"), to: again)
        }
        try await again.drain()
        #expect(try again.transitions() == told)
        try await again.stop()
        // With a higher bound there is room: the alert ends.
        let wide = tables.replacing("row_keys_max: 200", with: "row_keys_max: 100000")
        let last = try WorkerRig(
            rules: WorkerRig.rules(tables: wide, rules: BadInputTests.rules), source: rig.source, folder: rig.folder,
            clock: TestClock(WorkerRig.start), clockMode: .data)
        try await last.wait { try last.store.read { try $0.openAlertCount() } == 0 }
        try await last.stop()
    }
}
