import Core
import Foundation
import KafkaClient

/// Random numbers that a seed repeats (SplitMix64).
struct SeededNumbers: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// One version of a unit's row, as generated.
struct CrashRow: Sendable {
    var version: Int
    var unit: Int
    /// Milliseconds; always even, so that no time falls on a timer of ``CrashStream/heldMilliseconds``.
    var committedAt: Int64
    var temp = 60
    var wear = 10
    var stock = 50
    var load = 10
    var defects = 0
    var isFlagged = false

    var unitId: String { "U\(1000 + unit)" }
    var line: Int { unit % CrashStream.lineCount }
    var lineId: String { "L\(line)" }
    var planner: String { "planner\(unit % 12)@crash.example" }
    /// All units of a line share a partition: what one line does is in order.
    var partition: Int { line % CrashStream.partitionCount }

    /// The row as an image of a change.
    func image(_ change: String, version: Int, committedAt: Int64) -> [UInt8] {
        let time = Timestamp(milliseconds: committedAt).description
        return Array(
            """
            {"unit_id":"\(unitId)","line":"\(lineId)","planner":"\(planner)","temp":\(temp),"wear":\(wear),\
            "stock":\(stock),"load":\(load),"defects":\(defects),"flagged":\(isFlagged),\
            "_change_type":"\(change)","_commit_version":\(version),"_commit_timestamp":"\(time)"}
            """.utf8)
    }
}

/// A change of a row: two messages, or one for a new row.
struct CrashChange: Sendable {
    var row: CrashRow
    var before: CrashRow?
    /// The image before the change is sent first; else last.
    var isBeforeFirst: Bool

    var values: [[UInt8]] {
        guard let before else { return [row.image("insert", version: row.version, committedAt: row.committedAt)] }
        let images = [
            before.image("update_preimage", version: row.version, committedAt: row.committedAt),
            row.image("update_postimage", version: row.version, committedAt: row.committedAt),
        ]
        return isBeforeFirst ? images : images.reversed()
    }
}

/// The stream of the crash harness: rows of units whose values wander over the limits of the rules and back.
struct CrashStream {
    static let topic = "crash.gold.crash_fact"
    static let unitCount = 240
    static let lineCount = 24
    static let partitionCount = 6
    /// Odd, while commit times are even: a timer never falls on a row.
    static let heldMilliseconds: Int64 = 2001
    static let maxDelaySeconds = 5

    private var numbers: SeededNumbers
    private var latest: [CrashRow]
    private var version = 0

    init(seed: UInt64) {
        numbers = SeededNumbers(seed: seed)
        latest = (0..<CrashStream.unitCount).map { CrashRow(version: 0, unit: $0, committedAt: 0) }
    }

    /// The next change, committed at that time.
    mutating func next(milliseconds: Int64) -> CrashChange {
        // Every unit is inserted once before any changes.
        let isNew = version < CrashStream.unitCount
        let unit = isNew ? version : Int.random(in: 0..<CrashStream.unitCount, using: &numbers)
        var row = latest[unit]
        row.version = version
        row.committedAt = milliseconds & ~1
        if !isNew { change(&row) }
        version += 1
        let before = latest[unit]
        latest[unit] = row
        return CrashChange(
            row: row, before: isNew ? nil : before, isBeforeFirst: Int.random(in: 0..<4, using: &numbers) > 0)
    }

    private mutating func change(_ row: inout CrashRow) {
        let low = Int.random(in: 0..<20, using: &numbers)
        let isUp = Int.random(in: 0..<10, using: &numbers) < 4
        switch Int.random(in: 0..<9, using: &numbers) {
        case 0: row.temp = isUp ? 91 + low : 70 + low
        case 1: row.wear = isUp ? 70 + low : 20 + low
        case 2: row.stock = isUp ? low : 20 + low
        case 3: row.load = isUp ? 91 + low : 20 + low
        case 4: row.defects = isUp ? 6 + low : low % 6
        case 5: row.isFlagged = isUp
        default: break  // a version that changes nothing
        }
    }

    static let tables = """
        tables:
          crash_fact:
            row_key: [unit_id]
            topics: [\(topic)]
            format: cdf
            max_delay: \(maxDelaySeconds)s
            columns:
              unit_id: string
              line: string
              planner: string
              temp: int
              wear: int
              stock: int
              load: int
              defects: int
              flagged: bool
        """

    /// What a message says of an alert, so that the recorder can read it from a card and a mail alike.
    private static func summary(_ key: String) -> String {
        "\"#{{ rule }}|{{ key.\(key) }}|{{ episode }}|{{ state }}#\""
    }

    static let rules = """
        table: crash_fact
        owner: crash
        rules:
          - name: hot
            when: after.temp > 90
            reset: after.temp < 80
            severity: critical
            notify: [chat-a]
            summary: \(summary("unit_id"))
          - name: worn
            when: after.wear >= 70
            severity: error
            notify: [planners]
            recipient: after.planner
            summary: \(summary("unit_id"))
          - name: low
            when: after.stock < 20
            severity: warning
            notify: [chat-b]
            summary: \(summary("unit_id"))
          - name: held
            when: after.load > 90
            for: \(heldMilliseconds)ms
            severity: error
            notify: [chat-c]
            summary: \(summary("unit_id"))
          - name: line-defects
            key: [line]
            across: any
            when: after.defects > 5
            severity: critical
            notify: [chat-c]
            summary: \(summary("line"))
          - name: wear-rose
            kind: event
            when: before.wear < 70 && after.wear >= 70
            severity: error
            notify: [chat-b]
            summary: "#{{ rule }}|{{ key.unit_id }}|{{ version }}|event#"
          - name: flagged
            when: after.flagged
            severity: error
            notify: [chat-a, desk]
            summary: \(summary("unit_id"))
        """

    static func configuration(bootstrap: String, chats: [(name: String, address: String)], mailPort: Int) -> String {
        var text = """
            store: state
            rules: rules
            start: earliest
            kafka:
              brokers: ["\(bootstrap)"]
              group: crash
              topics: [\(topic)]
              properties: {fetch.wait.max.ms: "20"}
            http: {enabled: false}
            log: {level: info}
            default_receiver: chat-a
            operator: ops
            receivers:

            """
        for chat in chats {
            // One chat shows few alerts of a message, so that every run has some that are only counted.
            let itemsMax = chat.name == "chat-c" ? 4 : 50
            text += """
                  - {name: \(chat.name), channel: teams, url: "${file:\(chat.name).url}", messages_per_minute: 0,
                     messages_per_second: 0, items_max: \(itemsMax), message_bytes_max: 28000, merge_above: 10000}

                """
        }
        for (name, to) in [("planners", "fallback@crash.example"), ("desk", "desk@crash.example")] {
            text += """
                  - {name: \(name), channel: email, host: 127.0.0.1, port: \(mailPort), tls: none,
                     from: alerts@crash.example, to: [\(to)], allowed_domains: [crash.example],
                     messages_per_second: 0, recipient_messages_per_hour: 100000, merge_above: 10000}

                """
        }
        return text
    }
}
