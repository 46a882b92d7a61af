import Alerting
import Core
import Testing

/// Alerts, silences, inhibition, acknowledgements, reloads and restarts at random instants, by a seed.
@Suite struct SimulationTests {
    /// SplitMix64: the same numbers on every machine.
    struct Numbers: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }

    private static func configuration(_ random: inout Numbers, incident: Bool) -> AlertingConfiguration {
        let receivers = [["team"], ["team", "other"], ["other"], ["team", "incidents"]].randomElement(using: &random)
        let grouping: [GroupSettings.Grouping] = [.rule, .labels(["plant"]), .each]
        let chosen = grouping.randomElement(using: &random) ?? .rule
        return Scenario.configuration(
            { $0.grouping = chosen }, incident: incident,
            policy: {
                SuppressionTests.inhibiting(&$0)
                $0.routes.root.receivers = receivers ?? ["team"]
            })
    }

    /// One run. Restarts happen at the same instants or not at all; everything else is the same.
    private static func run(seed: UInt64, restarts: Bool, lowers: Bool) throws -> Scenario {
        var random = Numbers(state: seed)
        let incident = seed % 5 == 0
        let world = Scenario(configuration(&random, incident: incident))
        var minutes = 0.0
        var silence = 0
        for _ in 0..<120 {
            minutes += Double.random(in: 0...4, using: &random)
            world.at(minutes)
            let key = "k\(Int.random(in: 0..<6, using: &random))"
            let plant = ["plant": "\((key.utf8.last ?? 0) & 1)"]
            switch Int.random(in: 0..<20, using: &random) {
            case 0...5: world.fires(key, as: Bool.random(using: &random) ? .warning : .error, labels: plant)
            case 6...9: world.resolves(key)
            case 10: world.fires("s" + key, rule: "s", labels: plant)
            case 11: world.resolves("s" + key, rule: "s")
            case 12: world.becomes(.critical, key)
            case 13: if lowers { world.becomes(.info, key) } else { world.becomes(.critical, key) }
            case 14, 15:
                silence += 1
                world.silences(
                    "id", key, id: "s\(silence)", forMinutes: Double.random(in: 1...30, using: &random),
                    untilResolved: Bool.random(using: &random))
            case 16: world.does(.expireSilence(id: "s\(max(1, silence))"))
            case 17:
                world.does(
                    .acknowledge(
                        Scenario.fingerprint(key), by: "ann", comment: "",
                        until: world.now.adding(.seconds(Int.random(in: 60...3600, using: &random)))))
            case 18: world.reloads(configuration(&random, incident: incident))
            default: if restarts { try world.restarts() }
            }
        }
        world.at(minutes + 24 * 60)
        return world
    }

    @Test func `nobody is forgotten, no end comes without its beginning, nothing is told twice`() throws {
        for seed in UInt64(1)...150 {
            let world = try SimulationTests.run(seed: seed, restarts: true, lowers: true)
            let problems = SimulationTests.problems(world)
            #expect(problems.isEmpty, "seed \(seed): \(problems.prefix(5))\n\(world.told.suffix(20))")
            if !problems.isEmpty { return }
        }
    }

    @Test func `restarts at random instants change no message`() throws {
        for seed in UInt64(1000)...1100 {
            let undisturbed = try SimulationTests.run(seed: seed, restarts: false, lowers: false)
            let restarted = try SimulationTests.run(seed: seed, restarts: true, lowers: false)
            let (one, two) = (undisturbed.told.map(\.description).sorted(), restarted.told.map(\.description).sorted())
            let (extra, missing) = (two.filter { !one.contains($0) }, one.filter { !two.contains($0) })
            #expect(one == two, "seed \(seed): extra \(extra.prefix(3)), missing \(missing.prefix(3))")
            if one != two { return }
        }
    }

    private struct Place: Hashable {
        var receiver: String
        var incident: String
    }

    private static func problems(_ world: Scenario) -> [String] {
        var problems: [String] = []
        var told: [Place: Severity] = [:]
        var over: Set<Place> = []
        for message in world.told {
            for item in message.message.items {
                let place = Place(
                    receiver: message.message.receiver, incident: item.alert.incidentKey.description)
                if over.contains(place) { problems.append("told after its end: \(message)") }
                switch item.news {
                case .firing:
                    if told[place] != nil { problems.append("told as new twice: \(message)") }
                    told[place] = item.alert.severity
                case .raised, .lowered:
                    if told[place] == nil || told[place] == item.alert.severity {
                        problems.append("no change: \(message)")
                    }
                    told[place] = item.alert.severity
                case .open: if told[place] == nil { problems.append("repeated before it was told: \(message)") }
                case .resolved:
                    if told[place] == nil { problems.append("an end without its beginning: \(message)") }
                    over.insert(place)
                case .resolvedUnheard:
                    if told[place] != nil { problems.append("said to be unheard and was told: \(message)") }
                    over.insert(place)
                case .event: break
                }
            }
        }
        let open = Set(world.pool.alerts.values.map(\.incidentKey.description))
        for (place, _) in told where !open.contains(place.incident) && !over.contains(place) {
            problems.append("its end was not told: \(place.receiver) \(place.incident.prefix(8))")
        }
        for alert in world.pool.alerts.values {
            let key = alert.incidentKey.description
            let status = world.engine.status(of: alert.fingerprint)
            if status?.isSuppressed == true { continue }
            let heard = told.filter { $0.key.incident == key }
            if heard.isEmpty { problems.append("nobody was told: \(alert.keyDisplay) \(alert.rule)") }
            for (place, severity) in heard where severity != alert.severity {
                problems.append("\(place.receiver) believes \(severity), it is \(alert.severity): \(alert.keyDisplay)")
            }
        }
        return problems
    }
}
