import ChangeEvents
import Core
import RuleEngine
import Testing

/// A small generator with a printed seed (SplitMix64).
struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// Goal: the same rows give the same alerts, however they are cut into batches, whether the clock follows closely or
/// comes after the fact, and across restarts from what is stored. Method: random rows under each kind of rule, several
/// runs per seed, compared alert by alert.
@Suite struct ReplayTests {
    static let rules: [String] = [
        "when: after.x > 5",
        "when: after.x > 5\nreset: after.x < 2\nfor: 30s",
        """
        severity:
          critical: {when: after.x > 8, reset: after.x < 7}
          warning: {when: after.x > 5, reset: after.x < 3}
        for: 15s
        """,
        "key: [line]\nseverity:\n  error: {when: after.x > 8}\n  info: {when: after.x > 4}\nhold: 20s",
        """
        key: [line]
        across: any
        severity:
          critical: {when: after.x > 8, reset: after.x < 7}
          info: {when: after.x > 5}
        for: 10s
        """,
        "deadline: after.due\nuntil: after.status == \"done\"\nwarn_before: 20s",
        "when: before.x <= 5 && after.x > 5",
        "key: [line, plant]\nwhen: after.x > 5 || after.y > 5\nfor: 20s\nlate: accept",
    ]

    private static func stream(_ random: inout Seeded, count: Int) -> [Change] {
        var changes: [Change] = []
        var time: Int64 = 0
        var last: [String: [String: Cell]] = [:]
        for version in 1...count {
            time += Int64.random(in: 0...12, using: &random)
            let id = "row\(Int.random(in: 0..<6, using: &random))"
            func number() -> Cell {
                Int.random(in: 0..<10, using: &random) == 0
                    ? .null : .double(Double(Int.random(in: 0...10, using: &random)))
            }
            let isDelete = Int.random(in: 0..<12, using: &random) == 0
            let due = Int.random(in: 0..<8, using: &random)
            let after: [String: Cell] = [
                "id": .text(id), "line": .text("L\(Int.random(in: 0..<2, using: &random))"), "plant": .text("P"),
                "x": number(), "y": number(), "status": due == 0 ? "done" : "open",
                "due": due == 1 ? .null : .time(time + Int64.random(in: -20...80, using: &random)),
            ]
            let isLate = Int.random(in: 0..<20, using: &random) == 0
            changes.append(
                Change(
                    kind: isDelete ? .delete : last[id] == nil ? .insert : .update, at: time, version: Int64(version),
                    eventTime: time - Int64.random(in: 0...15, using: &random), before: last[id],
                    after: isDelete ? nil : after, rowKey: id, disposition: isLate && !isDelete ? .late : .judge))
            if !isLate { last[id] = isDelete ? nil : after }
        }
        return changes
    }

    /// All that a transition says, by alert, in order.
    private static func story(_ transitions: [Transition]) -> [String: [String]] {
        var story: [String: [String]] = [:]
        for transition in transitions {
            let alert = transition.alert
            let line = [
                Harness.line(transition), transition.reason, "\(alert.episode)", "\(alert.isLastValueUnknown)",
                "\(alert.isOverdue)", alert.labels["line"] ?? "-", alert.columns["after.x"]?.text ?? "-",
            ]
            story[alert.fingerprint.description, default: []].append(line.joined(separator: " "))
        }
        return story
    }

    enum Way: CaseIterable { case atOnce, batches, restarts }

    private static func run(_ rule: String, _ changes: [Change], _ way: Way, _ random: inout Seeded) throws -> (
        [String: [String]], Set<[UInt8]>
    ) {
        let texts = "labels: {line: \"{{ after.line }}\"}\nsummary: \"{{ after.x }}\""
        var harness = try Harness(Harness.rule(rule + "\n" + texts))
        var transitions: [Transition] = []
        var stored: [Fingerprint: Alert] = [:]
        func take() {
            transitions += harness.output.transitions
            for alert in harness.output.changed { stored[alert.fingerprint] = alert }
            for fingerprint in harness.output.removed { stored[fingerprint] = nil }
            harness.output = EvaluationOutput()
        }
        var rest = changes[...]
        while !rest.isEmpty {
            let size = way == .atOnce ? rest.count : Int.random(in: 1...7, using: &random)
            let batch = Array(rest.prefix(size))
            rest = rest.dropFirst(size)
            harness.send(batch)
            if let last = batch.last { harness.clock(last.at) }
            take()
            guard way == .restarts, Int.random(in: 0..<3, using: &random) == 0 else { continue }
            let memory = harness.evaluator.memory()
            var fresh = RuleEvaluator(rules: harness.rules)
            for chunk in memory { try fresh.restoreMemory(chunk) }
            let alerts = try stored.values.map { try Alert(bytes: $0.bytes) }
            fresh.restore(
                open: alerts.filter { $0.state == .pending || $0.state == .firing }.shuffled(using: &random),
                episodes: Dictionary(uniqueKeysWithValues: alerts.map { ($0.fingerprint, $0.episode) }))
            harness.evaluator = fresh
        }
        harness.clock((changes.last?.at ?? 0) + 500)
        take()
        return (story(transitions), Set(stored.values.map(\.bytes)))
    }

    @Test(arguments: rules.indices) func `one go, batches and restarts tell the same story`(_ index: Int) throws {
        for seed in 1...40 {
            var random = Seeded(state: UInt64(seed * 1000 + index))
            let changes = ReplayTests.stream(&random, count: 120)
            let expected = try ReplayTests.run(ReplayTests.rules[index], changes, .atOnce, &random)
            for way in [Way.batches, .restarts] {
                let found = try ReplayTests.run(ReplayTests.rules[index], changes, way, &random)
                let isSameStory = found.0 == expected.0
                let areSameAlerts = found.1 == expected.1
                #expect(isSameStory, "seed \(seed), rule \(index), \(way)")
                #expect(areSameAlerts, "seed \(seed), rule \(index), \(way): stored alerts")
                guard isSameStory, areSameAlerts else { return }
            }
        }
    }

    @Test func `remembered rows keep older rows from being judged after a replay`() throws {
        var harness = try Harness(Harness.rule("key: [line]\nwhen: after.x > 5"))
        harness.row(0, "1", ["line": "L", "x": 1.0], kind: .insert, eventTime: 100)
        let memory = harness.evaluator.memory()
        #expect(memory.map(\.name) == ["t/line"])
        var fresh = RuleEvaluator(rules: harness.rules)
        for chunk in memory { try fresh.restoreMemory(chunk) }
        harness.evaluator = fresh
        harness.row(1, "2", ["line": "L", "x": 9.0], kind: .insert, eventTime: 50)
        #expect(harness.take() == [])
        for count in 0..<memory[0].bytes.count {
            let cut = RuleMemoryChunk(name: "t/line", bytes: Array(memory[0].bytes.prefix(count)))
            #expect(throws: ByteReadError.self) { try fresh.restoreMemory(cut) }
        }
    }
}
