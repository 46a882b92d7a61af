import Core
import RouterTesting
import Store
import Testing

/// A stream of random rows over rules of every kind, in phases between which the worker catches up.
private struct RandomStream {
    static let rules = """
        table: t
        owner: o
        rules:
          - name: levels
            severity:
              critical: {when: after.x > 80, reset: after.x < 70}
              warning: {when: after.x > 60, reset: after.x < 50}
            notify: [team, mail]
            recipient: after.mail
          - name: lasting
            when: after.x > 50
            for: 2m
          - name: newest
            key: [plant]
            across: latest
            when: after.x > 70
            notify: [line]
          - name: any-row
            key: [plant]
            across: any
            when: after.x > 75
          - name: due
            deadline: after.due
            until: after.done == true
            warn_before: 3m
          - name: jump
            table: u
            when: before.x < 50 && after.x >= 50
            notify: [line]
        """

    let phases: [[@Sendable (World) -> Void]]

    init(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var time: Int64 = 0
        var version: Int64 = 0
        var phases: [[@Sendable (World) -> Void]] = []
        for _ in 0..<4 {
            var phase: [@Sendable (World) -> Void] = []
            for _ in 0..<Int.random(in: 3...25, using: &random) {
                time += Int64.random(in: 0...45, using: &random)
                version += 1
                let id = "r\(Int.random(in: 0..<6, using: &random))"
                phase.append(RandomStream.event(id, time, version, &random))
            }
            phases.append(phase)
        }
        self.phases = phases
    }

    private static func event(
        _ id: String, _ time: Int64, _ version: Int64, _ random: inout SeededRandom
    ) -> @Sendable (World) -> Void {
        let partition = Int32(id.utf8.reduce(0) { $0 + Int($1) } % 2)
        let x = JSON.double(Double.random(in: 30...100, using: &random).rounded())
        if Int.random(in: 0..<5, using: &random) == 0 {
            let isAlone = Bool.random(using: &random)
            let old = JSON.double(Double.random(in: 30...60, using: &random).rounded())
            return { world in
                world.row(id, at: time, ["x": x], table: "u", version: version)
                if !isAlone {
                    world.row(id, at: time, ["x": old], type: "update_preimage", table: "u", version: version)
                }
            }
        }
        if Int.random(in: 0..<8, using: &random) == 0 {
            return {
                $0.row(id, at: time, ["plant": .string("P")], type: "delete", partition: partition, version: version)
            }
        }
        let plant = JSON.string(["A", "B"].randomElement(using: &random) ?? "A")
        let mail = JSON.string(["a@x.example", "b@x.example", "c@evil.example"].randomElement(using: &random) ?? "")
        let due = JSON.string(second(time + Int64.random(in: -100...600, using: &random)).description)
        let done = JSON.bool(Int.random(in: 0..<3, using: &random) == 0)
        let columns: [String: JSON] = [
            "x": Int.random(in: 0..<15, using: &random) == 0 ? .null : x, "plant": plant, "mail": mail, "due": due,
            "done": done, "seen_at": .string(second(time - Int64.random(in: 0...60, using: &random)).description),
        ]
        return { $0.row(id, at: time, columns, partition: partition, version: version) }
    }
}

@Suite struct CrashTests {
    /// Runs the phases; a fault that ends the worker starts it again on the same store, until the phase is through.
    private func run(
        seed: UInt64, batchMax: Int, restarts: Bool = false, checkpointEventsMax: Int = 1_000_000,
        fault: (unit: Int, FaultyStore.Fault)? = nil
    ) async throws -> (outcome: Outcome, unitCount: Int, lives: Int) {
        let stream = RandomStream(seed: seed)
        let u = TopicPartition(topic: "u", partition: 0)
        let world = try World(RandomStream.rules, partitions: [p0, p1, u], batchMax: batchMax)
        world.checkpointEventsMax = checkpointEventsMax
        let count = Count()
        var isFaultDue = fault != nil
        var lives = 0
        var phase = 0
        while phase < stream.phases.count {
            lives += 1
            try #require(lives < 20)
            if lives == 1 { for step in stream.phases[0] { step(world) } }
            let begun = Phase(phase)
            do {
                let store = try await world.session { store in
                    if isFaultDue, let fault { store.fail(unit: fault.unit, fault.1) }
                    isFaultDue = false
                } _: { session in
                    try await session.settle()
                    while begun.value + 1 < stream.phases.count {
                        begun.value += 1
                        for step in stream.phases[begun.value] { step(world) }
                        try await session.settle()
                        if restarts { return }
                    }
                }
                count.value += store.unitCount
                phase = restarts ? max(begun.value, phase + 1) : stream.phases.count
                if restarts, begun.value + 1 >= stream.phases.count { phase = stream.phases.count }
            } catch {
                // The worker died: the next life goes on in the same phase.
                phase = begun.value
            }
        }
        let outcome = try await world.read { try Outcome($0) }
        return (outcome, count.value, lives)
    }

    @Test(arguments: [1, 7])
    func `whatever commit a crash falls on, the alerts, the history and what is told are those of an undisturbed run`(
        batchMax: Int
    ) async throws {
        for seed in UInt64(1)...4 {
            let undisturbed = try await run(seed: seed, batchMax: batchMax)
            try #require(undisturbed.outcome.transitions.count > 5, "seed \(seed) is void")
            var random = SeededRandom(seed: seed)
            for _ in 0..<5 {
                let unit = Int.random(in: 1...undisturbed.unitCount, using: &random)
                for fault in [FaultyStore.Fault.before(.corrupt), .after(.corrupt)] {
                    let disturbed = try await run(seed: seed, batchMax: batchMax, fault: (unit, fault))
                    expectSame(disturbed.outcome, undisturbed.outcome, "seed \(seed), unit \(unit), \(fault)")
                }
            }
        }
    }

    @Test func `a commit that fails for a while leaves the outcome of an undisturbed run in the same process`()
        async throws
    {
        for seed in UInt64(11)...14 {
            let undisturbed = try await run(seed: seed, batchMax: 3)
            var random = SeededRandom(seed: seed)
            for code in [StoreError.Code.diskFull, .readOnly] {
                let unit = Int.random(in: 1...undisturbed.unitCount, using: &random)
                let disturbed = try await run(seed: seed, batchMax: 3, fault: (unit, .before(code)))
                #expect(disturbed.lives == 1, "seed \(seed), unit \(unit)")
                expectSame(
                    disturbed.outcome, undisturbed.outcome, "seed \(seed), unit \(unit), \(code)")
            }
        }
    }

    @Test func `orderly restarts between phases change nothing, with checkpoints and without`() async throws {
        for seed in UInt64(21)...26 {
            let undisturbed = try await run(seed: seed, batchMax: 4)
            for events in [1, 1_000_000] {
                let restarted = try await run(seed: seed, batchMax: 4, restarts: true, checkpointEventsMax: events)
                #expect(restarted.lives > 1)
                expectSame(
                    restarted.outcome, undisturbed.outcome, "seed \(seed), checkpoint every \(events)")
            }
        }
    }
}

private final class Count: @unchecked Sendable {
    var value = 0
}

/// SAFETY: written by the session's task, read after it ended.
private final class Phase: @unchecked Sendable {
    var value: Int
    init(_ value: Int) { self.value = value }
}

func expectSame(_ left: Outcome, _ right: Outcome, _ place: String) {
    func compare(_ name: String, _ path: KeyPath<Outcome, [String]>) {
        let (one, two) = (left[keyPath: path], right[keyPath: path])
        guard one != two else { return }
        let extra = one.filter { !two.contains($0) }.prefix(4).joined(separator: "\n  ")
        let missing = two.filter { !one.contains($0) }.prefix(4).joined(separator: "\n  ")
        Issue.record("\(place): \(name) \(one.count)/\(two.count)\n extra:\n  \(extra)\n missing:\n  \(missing)")
    }
    compare("alerts", \.alerts)
    compare("transitions", \.transitions)
    compare("last told", \.lastTold)
    for outcome in [left, right] where !outcome.faults.isEmpty {
        Issue.record("\(place): \(outcome.faults.prefix(4).joined(separator: "\n  "))")
    }
    compare("offsets", \.offsets)
}
