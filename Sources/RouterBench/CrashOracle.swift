import Crypto

/// What the rows of a crash run must lead to, worked out by a plain state machine that shares no code with the router.
struct CrashOracle {
    /// One time an alert fired: whom it was for, and whether it ended.
    struct Episode: Hashable {
        /// Receiver, or receiver and mail address.
        var addressee: String
        var rule: String
        var key: String
        var number: Int
    }

    struct Expected {
        /// Every episode and whether it resolved.
        var episodes: [Episode: Bool] = [:]
        /// Rules below error: a fire and a resolve that both wait may vanish together.
        var mayVanish: Set<String> = ["low"]
    }

    private struct Alert {
        var isFiring = false
        var episode = 0
        var pendingSince: Int64?
    }

    private var alerts: [String: Alert] = [:]
    /// Units of a line that have too many defects.
    private var bad: [String: Set<Int>] = [:]
    private var addressees: [String: [String]] = [:]
    private var wears: [Int: Int] = [:]

    /// Runs over all rows, in the order of their versions.
    static func expected(of rows: [CrashRow]) -> Expected {
        var oracle = CrashOracle()
        var expected = Expected()
        for row in rows { oracle.judge(row, &expected) }
        // Time goes on after the last row: what is still pending fires.
        for (name, alert) in oracle.alerts where alert.pendingSince != nil {
            let parts = name.split(separator: "|").map(String.init)
            oracle.fire(parts[0], parts[1], &expected)
        }
        return expected
    }

    private mutating func judge(_ row: CrashRow, _ expected: inout Expected) {
        let unit = row.unitId
        set("hot", unit, holds: row.temp > 90, ends: row.temp < 80, to: ["chat-a"], &expected)
        set("worn", unit, holds: row.wear >= 70, ends: row.wear < 70, to: ["planners \(row.planner)"], &expected)
        set("low", unit, holds: row.stock < 20, ends: row.stock >= 20, to: ["chat-b"], &expected)
        set(
            "flagged", unit, holds: row.isFlagged, ends: !row.isFlagged, to: ["chat-a", "desk desk@crash.example"],
            &expected)
        if row.defects > 5 { bad[row.lineId, default: []].insert(row.unit) } else { bad[row.lineId]?.remove(row.unit) }
        let isLineBad = !(bad[row.lineId] ?? []).isEmpty
        set("line-defects", row.lineId, holds: isLineBad, ends: !isLineBad, to: ["chat-c"], &expected)
        hold(row, &expected)
        // The one rule about a change: each is told once, by its version, and resolves nothing.
        if let before = wears[row.unit], before < 70, row.wear >= 70 {
            expected.episodes[Episode(addressee: "chat-b", rule: "wear-rose", key: unit, number: row.version)] = false
        }
        wears[row.unit] = row.wear
    }

    private mutating func set(
        _ rule: String, _ key: String, holds: Bool, ends: Bool, to: [String], _ expected: inout Expected
    ) {
        let name = "\(rule)|\(key)"
        addressees[name] = to
        let isFiring = alerts[name]?.isFiring ?? false
        if !isFiring, holds { fire(rule, key, &expected) }
        if isFiring, ends { resolve(rule, key, &expected) }
    }

    /// The rule with a duration: its condition must have held for a while, by the rows' times.
    private mutating func hold(_ row: CrashRow, _ expected: inout Expected) {
        let name = "held|\(row.unitId)"
        addressees[name] = ["chat-c"]
        if let since = alerts[name]?.pendingSince, row.committedAt >= since + CrashStream.heldMilliseconds {
            fire("held", row.unitId, &expected)
        }
        let isHigh = row.load > 90
        if alerts[name]?.isFiring ?? false {
            if !isHigh { resolve("held", row.unitId, &expected) }
        } else if isHigh {
            if alerts[name]?.pendingSince == nil { alerts[name, default: Alert()].pendingSince = row.committedAt }
        } else {
            alerts[name]?.pendingSince = nil
        }
    }

    private mutating func fire(_ rule: String, _ key: String, _ expected: inout Expected) {
        let name = "\(rule)|\(key)"
        alerts[name, default: Alert()].episode += 1
        alerts[name]?.isFiring = true
        alerts[name]?.pendingSince = nil
        note(rule, key, isOver: false, &expected)
    }

    private mutating func resolve(_ rule: String, _ key: String, _ expected: inout Expected) {
        alerts["\(rule)|\(key)"]?.isFiring = false
        note(rule, key, isOver: true, &expected)
    }

    private func note(_ rule: String, _ key: String, isOver: Bool, _ expected: inout Expected) {
        let name = "\(rule)|\(key)"
        for addressee in addressees[name] ?? [] {
            let episode = Episode(addressee: addressee, rule: rule, key: key, number: alerts[name]?.episode ?? 0)
            expected.episodes[episode] = isOver
        }
    }
}

extension CrashOracle.Episode {
    /// The incident key that cards carry, from its definition and not by the router's code: SHA-256 over the rule's
    /// name, the number of key columns, their names and their texts, each behind its length in four bytes, highest
    /// first; in hexadecimal, a dash, the episode.
    var incidentKey: String {
        let column = rule == "line-defects" ? "line" : "unit_id"
        var bytes: [UInt8] = []
        for text in [rule, "1", column, key] {
            let length = text.utf8.count
            bytes += [24, 16, 8, 0].map { UInt8(length >> $0 & 255) }
            bytes += text.utf8
        }
        let digits = Array("0123456789abcdef")
        let digest = SHA256.hash(data: bytes).flatMap { [digits[Int($0) / 16], digits[Int($0) % 16]] }
        return String(digest) + "-\(number)"
    }
}
