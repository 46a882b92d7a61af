import CEL
import ConfigFiles
import Core
import Testing

@testable import Alerting

@Suite struct SilenceTests {
    static func time(_ minutes: Int64) -> Timestamp { Timestamp(milliseconds: 1_768_000_000_000 + minutes * 60_000) }

    static func silence(
        _ id: String, _ text: String, from start: Int64 = 0, to end: Int64 = 60, source: Silence.Source = .cli
    ) throws -> Silence {
        Silence(
            id: id, expression: .labels(try LabelMatcher.parse(text)), startsAt: time(start), endsAt: time(end),
            author: "j.doe", comment: "work", untilResolved: false, source: source, createdAt: time(start),
            updatedAt: time(start))
    }

    private func subject(_ labels: [String: String]) -> AlertSubject { SubjectTests.subject(labels: labels, key: []) }

    @Test func `a silence holds from its start until its end`() throws {
        var set = SilenceSet()
        set.put(try SilenceTests.silence("a", "team=\"quality\"", from: 10, to: 20))
        let alert = subject(["team": "quality"])
        let at = { (minute: Int64) in set.silencing(alert, at: SilenceTests.time(minute)) }
        #expect(at(9) == [] && at(10) == ["a"] && at(19) == ["a"] && at(20) == [])
        #expect(set.silencing(subject(["team": "other"]), at: SilenceTests.time(15)) == [])
        #expect(set.nextChange(after: SilenceTests.time(0)) == SilenceTests.time(10))
        #expect(set.nextChange(after: SilenceTests.time(10)) == SilenceTests.time(20))
        #expect(set.nextChange(after: SilenceTests.time(20)) == nil)
    }

    @Test func `expiring ends a silence at once, also one that has not begun`() throws {
        var set = SilenceSet()
        set.put(try SilenceTests.silence("a", "team=\"quality\""))
        set.put(try SilenceTests.silence("b", "team=\"quality\"", from: 30, to: 60))
        let now = SilenceTests.time(5)
        #expect(set.expire(id: "a", at: now)?.state(at: now) == .expired)
        #expect(set.expire(id: "b", at: now)?.state(at: now) == .expired)
        #expect(set.expire(id: "a", at: SilenceTests.time(6)) == nil)
        #expect(set.expire(id: "none", at: now) == nil)
        for minute in [5, 6, 31] as [Int64] {
            #expect(set.silencing(subject(["team": "quality"]), at: SilenceTests.time(minute)) == [])
        }
        #expect(set.nextChange(after: now) == nil)
        #expect(set.removeExpired(before: now) == [])
        #expect(set.removeExpired(before: SilenceTests.time(6)) == ["a", "b"])
        #expect(set.silences.isEmpty)
    }

    @Test func `replacing a silence takes its new matchers and times`() throws {
        var set = SilenceSet()
        set.put(try SilenceTests.silence("a", "team=\"quality\""))
        set.put(try SilenceTests.silence("a", "team=\"planning\"", to: 90))
        #expect(set.silencing(subject(["team": "quality"]), at: SilenceTests.time(1)) == [])
        #expect(set.silencing(subject(["team": "planning"]), at: SilenceTests.time(80)) == ["a"])
        #expect(set.nextChange(after: SilenceTests.time(1)) == SilenceTests.time(90))
    }

    @Test func `silences of files come and go with the files`() throws {
        let source = Silence.Source.file(SourcePosition(file: "s.yaml", line: 2, column: 5))
        var set = SilenceSet()
        set.put(try SilenceTests.silence("cli", "a=b"))
        set.replaceFiles([try SilenceTests.silence("f1", "a=b", source: source)])
        #expect(set.silencing(subject(["a": "b"]), at: SilenceTests.time(1)) == ["cli", "f1"])
        set.replaceFiles([try SilenceTests.silence("f2", "a=b", source: source)])
        #expect(set.silencing(subject(["a": "b"]), at: SilenceTests.time(1)) == ["cli", "f2"])
    }

    @Test func `a file's silence that ended with its alerts stays ended until it is changed`() throws {
        let source = Silence.Source.file(SourcePosition(file: "s.yaml", line: 2, column: 5))
        var silence = try SilenceTests.silence("f", "a=b", to: 600, source: source)
        silence.untilResolved = true
        let alert = subject(["a": "b"])
        var set = SilenceSet()
        set.replaceFiles([silence])
        let expired = set.expire(id: "f", at: SilenceTests.time(30))
        let ended = try #require(expired)
        set.replaceFiles([silence])
        #expect(set.silencing(alert, at: SilenceTests.time(40)) == [])
        // As after a restart, when the ended one was stored.
        var restarted = SilenceSet()
        restarted.put(try Silence(bytes: ended.bytes))
        restarted.replaceFiles([silence])
        #expect(restarted.silencing(alert, at: SilenceTests.time(40)) == [])
        silence.startsAt = SilenceTests.time(20)
        set.replaceFiles([silence])
        #expect(set.silencing(alert, at: SilenceTests.time(40)) == ["f"])
        set.replaceFiles([])
        #expect(set.silences.isEmpty)
    }

    @Test func `the index finds what trying each silence finds`() throws {
        var generator = Generator(state: 42)
        let names = ["plant", "line", "team", "severity", "owner", "alertname"]
        let values = ["", "a", "b", "c", "error", "defects"]
        for _ in 0..<60 {
            var set = SilenceSet()
            var plain: [String: Silence] = [:]
            for number in 0..<80 {
                let id = "s\(Int.random(in: 0..<60, using: &generator))"
                if number % 7 == 6 {
                    set.remove(id: id)
                    plain[id] = nil
                    continue
                }
                var matchers: [LabelMatcher] = []
                for _ in 0..<Int.random(in: 1...3, using: &generator) {
                    let isRegex = Bool.random(using: &generator)
                    let one = values.randomElement(using: &generator) ?? ""
                    let other = values.randomElement(using: &generator) ?? ""
                    let value = !isRegex ? one : Bool.random(using: &generator) ? "\(one)|\(other)" : "[ab]|\(one).*"
                    matchers.append(
                        try LabelMatcher(
                            name: names.randomElement(using: &generator) ?? "plant", value: value, isRegex: isRegex,
                            isEqual: Int.random(in: 0..<4, using: &generator) > 0))
                }
                var silence = try SilenceTests.silence(
                    id, "a=b", from: Int64.random(in: 0..<10, using: &generator),
                    to: Int64.random(in: 10..<20, using: &generator))
                silence.expression = .labels(matchers)
                set.put(silence)
                plain[id] = silence
            }
            for _ in 0..<40 {
                var labels: [String: String] = [:]
                for name in ["plant", "line", "team"] where Bool.random(using: &generator) {
                    labels[name] = values.randomElement(using: &generator)
                }
                let alert = subject(labels)
                let now = SilenceTests.time(Int64.random(in: -1..<21, using: &generator))
                let expected = plain.values.filter { $0.silences(alert, at: now) }.map(\.id).sorted()
                #expect(set.silencing(alert, at: now) == expected)
                let changes = plain.values.flatMap { [$0.startsAt, $0.endsAt] }.filter { $0 > now }
                #expect(set.nextChange(after: now) == changes.min())
            }
        }
    }

    /// Trying each silence on each alert would be 100,000,000 matchers: far beyond the limit.
    @Test(.timeLimit(.minutes(1))) func `ten thousand silences cost an alert a look at the few that may match`() throws
    {
        var set = SilenceSet()
        for number in 0..<10_000 {
            set.put(try SilenceTests.silence("s\(number)", "plant=~\"P\(number)|Q\(number)\", severity=\"error\""))
        }
        for number in 0..<10_000 {
            let found = set.silencing(subject(["plant": "P\(number)"]), at: SilenceTests.time(1))
            #expect(found == ["s\(number)"])
        }
    }

    @Test func `a silence survives its stored form`() throws {
        var silence = try SilenceTests.silence("id", "a=\"b\", c=~\"d|e.*\", f!=\"g\"")
        silence.untilResolved = true
        #expect(try Silence(bytes: silence.bytes) == silence)
        silence.source = .file(SourcePosition(file: "s.yaml", line: 3, column: 5))
        silence.expression = try MatchExpression(matchers: [LabelMatcher("__cel__", equals: "severity >= \"error\"")])
        let read = try Silence(bytes: silence.bytes)
        #expect(read == silence && read.expression.matches(SubjectTests.subject(severity: .critical)))
    }

    @Test func `damaged silences are errors, never crashes`() throws {
        let bytes = try SilenceTests.silence("id", "a=\"b\", c=~\"d|e.*\"").bytes
        for count in 0..<bytes.count {
            #expect(throws: ByteReadError.self) { try Silence(bytes: Array(bytes.prefix(count))) }
        }
        var generator = Generator(state: 3)
        for _ in 0..<5_000 {
            var noise = bytes
            for _ in 0..<3 {
                noise[Int.random(in: 0..<noise.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            _ = try? Silence(bytes: noise)
        }
    }

    @Test func `identifiers are UUIDs`() {
        #expect(Silence.id(bytes: Array(repeating: 0xFF, count: 16)) == "ffffffff-ffff-4fff-bfff-ffffffffffff")
        #expect(Silence.id(bytes: []).count == 36)
    }

    @Test func `limits refuse what is too long, over, backwards, or takes everything`() throws {
        let limits = SilenceLimits(durationMax: .seconds(3600), countMax: 2)
        let now = SilenceTests.time(10)
        func refusal(_ text: String, _ start: Int64, _ end: Int64, _ count: Int = 0) throws -> String? {
            limits.refusal(of: try SilenceTests.silence("a", text, from: start, to: end), at: now, openCount: count)
        }
        #expect(try refusal("a=b", 0, 70) == nil)
        #expect(try refusal("a=b", 0, 71) == "a silence lasts at most 1h")
        #expect(try refusal("a=b", 20, 20) == "a silence must end after it starts")
        #expect(try refusal("a=b", 0, 10) == "a silence must not be over when it is made")
        #expect(try refusal("a=b", 0, 20, 2) == "there are 2 silences already")
        for text in ["{}", "a=~\".*\"", "a!=b", "a=\"\""] {
            #expect(try refusal(text, 0, 20)?.hasPrefix("a silence needs a matcher") == true, "\(text)")
        }
        #expect(try refusal("a!=b, c=d", 0, 20) == nil)
    }

    // MARK: Files

    private func read(_ text: String) -> (silences: [Silence], findings: [String]) {
        let reader = ConfigReader()
        var files = SilenceFiles(limits: .standard, reader: reader)
        files.add(ConfigFile(text: text, file: "rules/silences/s.yaml"))
        return (
            files.silences,
            reader.sortedDiagnostics.map { "\($0.code) \($0.position.line):\($0.position.column) \($0.message)" }
        )
    }

    @Test func `files of silences are read and keep their identity`() throws {
        let text = """
            silences:
              - name: filler-rebuild
                matchers: ['plant="Plant 1"', line=L2]
                starts_at: 2026-03-02T06:00:00+01:00
                ends_at: 2026-03-06T22:00:00+01:00
                author: j.doe
                comment: The filler is rebuilt.
              - name: known-defect
                match: rule == "defects" && severity <= "error"
                starts_at: 2026-03-02T06:00:00Z
                ends_at: 2026-03-20T06:00:00Z
                until_resolved: true
                author: a.b
                comment: Known.
            """
        let (silences, findings) = read(text)
        #expect(findings == [])
        #expect(silences.map(\.untilResolved) == [false, true])
        #expect(
            silences.map(\.expression.description) == [
                "plant=\"Plant 1\", line=\"L2\"", "rule == \"defects\" && severity <= \"error\"",
            ])
        #expect(silences.first?.startsAt == Timestamp.parse("2026-03-02T05:00:00Z"))
        #expect(silences.first?.source == .file(SourcePosition(file: "rules/silences/s.yaml", line: 2, column: 5)))
        #expect(read(text).silences.map(\.id) == silences.map(\.id))
        #expect(Set(silences.map(\.id)).count == 2)
    }

    @Test func `mistakes in files of silences are named`() {
        let head = "silences:\n  - name: a\n    author: x\n    comment: why\n    matchers: [a=b]\n"
        #expect(
            read(head + "    starts_at: 2026-03-02T06:00:00\n    ends_at: tomorrow\n").findings == [
                "N009 6:16 'starts_at' must be a time with its zone; found '2026-03-02T06:00:00'",
                "N009 7:14 'ends_at' must be a time with its zone; found 'tomorrow'",
            ])
        #expect(
            read(head + "    starts_at: 2026-03-02T06:00:00Z\n    ends_at: 2026-05-02T06:00:00Z\n").findings
                == ["N009 7:14 a silence lasts at most 30d"])
        #expect(read("silences: [{name: a}]").findings.count == 5)
        #expect(read("silence: []").findings == ["Y010 1:1 unknown key 'silence'"])
        #expect(read("silences: [{name: a, name: b}]").findings.first?.hasPrefix("Y003") == true)
        let twice = head + "    starts_at: 2026-03-02T06:00:00Z\n    ends_at: 2026-03-02T07:00:00Z\n"
        #expect(
            read(twice + twice.dropFirst("silences:\n".count)).findings
                == ["N008 8:11 a name must be unique here; found 'a' again"])
    }
}
