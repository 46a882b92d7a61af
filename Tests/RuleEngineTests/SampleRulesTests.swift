import ChangeEvents
import Core
import Foundation
import RuleEngine
import Testing

/// Goal: the shipped rules load without a word and say something sensible about the shared sample data, whether it is
/// read as it comes or after the fact. Method: the real decoder and row memory over the real rows.
@Suite struct SampleRulesTests {
    private static func load() throws -> RuleSet {
        let options = RuleLoadOptions(receivers: ["quality", "planners", "service", "sales"], rulesMax: 100)
        let (rules, diagnostics) = RuleSet.load(directory: Places.root.path + "/rules", options: options)
        #expect(diagnostics.map { $0.rendered(source: nil) } == [])
        return try #require(rules)
    }

    @Test func `the sample rules load without a diagnostic`() throws {
        let rules = try SampleRulesTests.load()
        #expect(
            rules.rules.map(\.name) == [
                "below-safety-stock", "churn-risk-rose", "dimension-out-of-spec", "line-defect-rate", "negative-stock",
                "ticket-sla",
            ])
        #expect(rules.rule(named: "churn-risk-rose")?.policy.kind == .event)
        #expect(Set(rules.rules.map(\.hash)).count == rules.rules.count)
    }

    private static func messages(_ table: String) throws -> [RawBatch.Copied] {
        // A large file lies there in numbered parts.
        let names = try FileManager.default.contentsOfDirectory(atPath: "\(Places.data)/cdf").sorted()
        let text = try names.filter { $0.hasPrefix("\(table).") }.map {
            try String(contentsOfFile: "\(Places.data)/cdf/\($0)", encoding: .utf8)
        }.joined()
        return try text.split(separator: "\n").enumerated().map { index, line in
            let start = try #require(line.range(of: "\"value\":")).upperBound
            return RawBatch.Copied(
                partition: TopicPartition(topic: "fabric.gold.\(table)", partition: 0), offset: Int64(index),
                timestamp: 0, key: nil, value: Array(line[start..<line.index(before: line.endIndex)].utf8))
        }
    }

    /// Alerts by rule and kind, over all tables, the clock following rows at `step` messages a batch.
    private static func run(step: Int) throws -> (counts: [String: Int], story: [String: [String]]) {
        let rules = try load()
        var counts: [String: Int] = [:]
        var story: [String: [String]] = [:]
        for (index, table) in rules.catalog.tables.enumerated() {
            var decoder = ChangeDecoder(catalog: rules.catalog)
            var memory = RowMemory(catalog: rules.catalog)
            var evaluator = RuleEvaluator(rules: rules)
            var newest = Timestamp.distantPast
            var output = EvaluationOutput()
            var rest = try messages(table.name)[...]
            while !rest.isEmpty {
                let batch = ChangeBatch()
                decoder.decode(.copying(Array(rest.prefix(step))), into: batch)
                rest = rest.dropFirst(step)
                #expect(batch.rejected.isEmpty)
                memory.admit(batch)
                evaluator.evaluate(batch, output: &output)
                newest = max(newest, batch.events.map(\.commitTime).max() ?? newest)
                evaluator.advance(
                    table: index, to: newest.adding(milliseconds: -60_000), versionFloor: .max, output: &output)
            }
            evaluator.advance(
                table: index, to: newest.adding(milliseconds: 3_600_000), versionFloor: .max, output: &output)
            for transition in output.transitions {
                counts["\(transition.alert.rule) \(transition.kind)", default: 0] += 1
                story["\(transition.alert.rule) \(transition.alert.keyDisplay)", default: []].append(
                    "\(transition.at) \(transition.kind) \(transition.alert.severity)")
            }
            for (rule, counters) in evaluator.counters where counters.errors > 0 {
                counts["\(rule) errors", default: 0] += counters.errors
            }
        }
        return (counts, story)
    }

    @Test func `the sample data fires dozens of alerts and resolves many`() throws {
        let counts = try SampleRulesTests.run(step: 50).counts
        func count(_ kind: String) -> Int { counts.filter { $0.key.hasSuffix(" \(kind)") }.map(\.value).reduce(0, +) }
        #expect((40...300).contains(count("firing")))
        #expect(count("resolved") > 20)
        #expect((1...40).contains(count("event")))
        for rule in ["below-safety-stock", "line-defect-rate", "negative-stock", "ticket-sla"] {
            #expect((counts["\(rule) firing"] ?? 0) > 0, "\(rule) never fires")
            #expect((counts["\(rule) resolved"] ?? 0) > 0, "\(rule) never resolves")
        }
        for rule in ["churn-risk-rose", "dimension-out-of-spec"] {
            #expect((counts["\(rule) event"] ?? 0) > 0, "\(rule) never matches")
        }
    }

    @Test func `read live and read after the fact give the same alerts`() throws {
        let live = try SampleRulesTests.run(step: 7)
        let catchUp = try SampleRulesTests.run(step: 100_000)
        #expect(live.counts == catchUp.counts)
        #expect(live.story == catchUp.story)
    }
}
