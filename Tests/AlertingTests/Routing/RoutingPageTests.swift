import Calendars
import ConfigFiles
import Core
import Foundation
import Testing

@testable import Alerting

/// The examples and figures of docs/routing.md.
@Suite struct RoutingPageTests {
    private let page: String

    init() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        page = try String(contentsOf: root.appendingPathComponent("docs/routing.md"), encoding: .utf8)
    }

    private var blocks: [String] {
        page.components(separatedBy: "```yaml\n").dropFirst().compactMap { $0.components(separatedBy: "```").first }
    }

    @Test func `every example is read without a word`() {
        #expect(blocks.count >= 5)
        for block in blocks {
            if block.hasPrefix("silences:") {
                let reader = ConfigReader()
                var files = SilenceFiles(limits: .standard, reader: reader)
                files.add(ConfigFile(text: block, file: "s.yaml"))
                #expect(reader.diagnostics.map(\.message) == [] && files.silences.count == 2)
            } else {
                #expect(RoutingFile(block).findings == [], "\(block)")
            }
        }
    }

    @Test func `the defaults in the table are those of the code`() {
        let settings = GroupSettings.standard
        for (key, value) in [
            ("group_wait", settings.wait), ("critical_wait", settings.criticalWait),
            ("group_interval", settings.interval), ("repeat_interval", settings.repeatInterval),
        ] {
            #expect(page.contains("| `\(key)` | \(DurationText.format(value)) |"))
        }
        #expect(settings.grouping == .rule && page.contains("| `group_by` | `rule` |"))
        #expect(settings.sendsResolved && page.contains("| `send_resolved` | true |"))
        #expect(settings.storm == nil && settings.digest == nil && settings.muteTimes == [])
        let limits = SilenceLimits.standard
        #expect(page.contains("`silences.max_duration` (\(DurationText.format(limits.durationMax)))"))
        #expect(limits.countMax == 10_000 && page.contains("`silences.max_count` (10,000)"))
    }

    @Test func `every kind of setting and every source of a digest stands on the page`() {
        let schema = ConfigSchema.describing(title: "") { mapping in
            RoutingReader(
                mapping, receivers: [], defaultReceiver: "", operatorReceiver: "", zones: .system)
        }
        let keys = Set(
            schema.keyPaths.filter { $0.hasPrefix("route_defaults.") }.compactMap { path in
                path.split(separator: ".").dropFirst().first.map { $0.replacing("[]", with: "") }
            })
        #expect(keys.count == 10)
        for key in keys { #expect(page.contains("| `\(key)` |"), "\(key)") }
        for source in DigestSettings.plainSources { #expect(page.contains("`\(source)`"), "\(source)") }
        #expect(page.contains("5,000 routes") && RouteTree.countMax == 5_000)
        #expect(page.contains("At most 100 matchers in a list") && LabelMatcher.countMax == 100)
    }

    @Test func `an alert that is inhibited still inhibits`() {
        let file = RoutingFile(
            """
            inhibit:
              - {name: a, source: {match: rule == "x"}, target: {match: rule == "y"}}
              - {name: b, source: {match: rule == "y"}, target: {match: rule == "z"}}
            """)
        let alerts = ["x", "y", "z"].map { SubjectTests.subject(rule: $0) }
        let inhibited = alerts.map { file.policy.inhibition.inhibitors(of: $0, among: alerts).map(\.rule) }
        #expect(inhibited == [[], ["a"], ["b"]])
    }
}
