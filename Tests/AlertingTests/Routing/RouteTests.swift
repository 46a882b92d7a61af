import Core
import Testing

@testable import Alerting

@Suite struct RouteTests {
    static let tree = """
        default_receiver: default
        route_defaults:
          group_wait: 10s
          storm: {more_than: 20, within: 1m}
        routes:
          - name: quality
            match: labels.team == "quality"
            receiver: quality
            group_by: [plant, line]
            routes:
              - match: severity >= "error"
                receiver: [quality, oncall]
                group_wait: 0s
                storm: none
                continue: true
              - matchers: ['plant=~"Plant (1|2)"']
                receiver: planners
          - matchers: [team=planning, 'severity!="info"']
            receiver: planners
            group_by: each
            repeat_interval: 1d
            send_resolved: false
        """

    private let file = RoutingFile(tree)

    private func subject(_ labels: [String: String], _ severity: Severity = .warning) -> AlertSubject {
        SubjectTests.subject(severity: severity, labels: labels, key: [("line", "L2")])
    }

    @Test func `the tree is read without a word`() {
        #expect(file.findings == [])
    }

    @Test func `the first child that matches is taken, else the node itself`() {
        #expect(file.receivers(of: subject(["team": "quality", "plant": "Plant 9"])) == ["quality"])
        #expect(file.receivers(of: subject(["team": "quality", "plant": "Plant 1"])) == ["planners"])
        #expect(file.receivers(of: subject(["team": "planning"])) == ["planners"])
        #expect(file.receivers(of: subject(["team": "planning"], .info)) == ["default"])
        #expect(file.receivers(of: subject([:])) == ["default"])
    }

    @Test func `continue goes on to the siblings`() {
        #expect(
            file.receivers(of: subject(["team": "quality", "plant": "Plant 1"], .error))
                == ["quality", "oncall", "planners"])
        #expect(file.receivers(of: subject(["team": "quality", "plant": "Plant 9"], .error)) == ["quality", "oncall"])
    }

    @Test func `settings are inherited and overridden, and a part can be switched off`() throws {
        let matches = file.policy.routes.matches(subject(["team": "quality", "plant": "Plant 1"], .error), notify: [])
        let urgent = try #require(matches.first { $0.receiver == "oncall" }).settings
        #expect(urgent.wait == .zero && urgent.storm == nil && urgent.grouping == .labels(["plant", "line"]))
        let plain = try #require(matches.first { $0.receiver == "planners" }).settings
        #expect(plain.wait == .seconds(10) && plain.storm == .init(moreThan: 20, within: .seconds(60)))
        #expect(plain.interval == .seconds(300) && plain.repeatInterval == .seconds(4 * 3600))
        let planning = try #require(
            file.policy.routes.matches(subject(["team": "planning"]), notify: []).first
        ).settings
        #expect(planning.grouping == .each && !planning.sendsResolved && planning.repeatInterval == .seconds(86_400))
        #expect(file.policy.routes.root.settings.grouping == .rule)
    }

    @Test func `the path names file and line of each step`() {
        let matches = file.policy.routes.matches(subject(["team": "quality"], .error), notify: [])
        #expect(
            matches.first?.path == [
                "r.yaml:1: default_receiver", "r.yaml:6: quality", "r.yaml:11: severity >= \"error\"",
            ])
    }

    @Test func `a rule's notify overrides the tree with the settings of the root`() {
        let matches = file.policy.routes.matches(
            subject(["team": "quality"], .error), notify: ["planners", "oncall", "planners"])
        #expect(matches.map(\.receiver) == ["planners", "oncall"])
        #expect(matches.allSatisfy { $0.path == ["rule defects: notify"] && $0.settings.wait == .seconds(10) })
    }

    @Test func `alerts about the router itself go to the operator whatever the routes say`() {
        let all = RoutingFile("routes: [{receiver: planners}]")
        let health = SubjectTests.subject(rule: "router-health", table: "router_health")
        #expect(all.receivers(of: health) == ["service"])
        #expect(all.receivers(of: health, notify: ["oncall"]) == ["oncall"])
        #expect(all.receivers(of: SubjectTests.subject()) == ["planners"])
        #expect(all.policy.routes.matches(health, notify: []).first?.settings.wait == .zero)
    }

    @Test func `a receiver is told once, by the first path that leads to it`() {
        let file = RoutingFile(
            """
            routes:
              - {receiver: quality, continue: true, group_wait: 1s}
              - {receiver: [oncall, quality], group_wait: 2s}
            """)
        let matches = file.policy.routes.matches(SubjectTests.subject(), notify: [])
        #expect(matches.map(\.receiver) == ["quality", "oncall"])
        #expect(matches.map(\.settings.wait) == [.seconds(1), .seconds(2)])
    }

    @Test func `without routes everything goes to the default receiver`() {
        #expect(RoutingFile("").receivers(of: SubjectTests.subject()) == ["default"])
        #expect(
            RouteTree.single(receiver: "x").matches(SubjectTests.subject(), notify: []).map(\.receiver) == ["x"])
    }

    @Test func `groups are told apart by rule, labels or alert`() {
        let one = subject(["team": "quality"])
        var settings = GroupSettings.standard
        #expect(settings.groupLabels(of: one).map(\.value) == ["defects"])
        settings.grouping = .labels(["team", "line", "none"])
        #expect(settings.groupLabels(of: one).map { "\($0.name)=\($0.value)" } == ["line=L2", "none=", "team=quality"])
        settings.grouping = .each
        #expect(settings.groupLabels(of: one).map(\.value) == [one.fingerprint.description])
    }

    @Test func `escalations, mute times and digests are read`() throws {
        let file = RoutingFile(
            """
            calendars:
              plant-de: {timezone: Europe/Berlin, hours: {monday-friday: [06:00-22:00]}}
            mute_times:
              nights: {policy: defer, windows: [{calendar: plant-de, while: closed}]}
              may-day: {windows: [{days_of_month: "1", months: may}]}
            routes:
              - match: labels.team == "planning"
                mute_times: [nights, may-day]
                escalate:
                  - {after: 15m, notify: oncall}
                  - {after: 1h, unless: resolved, notify: [oncall, service]}
                digest:
                  schedule: 0 7 * * 1-5
                  calendar: plant-de
                  by: recipient
                  columns: {Material: key.material, On hand: after.on_hand, Since: since}
                  sort: [-after.on_hand, key.material]
                routes:
                  - {match: severity == "critical", digest: none, mute_times: [], escalate: []}
            """)
        #expect(file.findings == [])
        let settings = try #require(
            file.policy.routes.matches(subject(["team": "planning"]), notify: []).first
        ).settings
        #expect(settings.muteTimes == [.init(name: "nights", policy: .defer), .init(name: "may-day", policy: .drop)])
        #expect(
            settings.escalations == [
                Escalation(after: .seconds(900), unless: .acknowledged, notify: ["oncall"]),
                Escalation(after: .seconds(3600), unless: .resolved, notify: ["oncall", "service"]),
            ])
        let digest = try #require(settings.digest)
        #expect(digest.split == .recipient && digest.columns.map(\.title) == ["Material", "On hand", "Since"])
        #expect(
            digest.sort == [
                .init(source: "after.on_hand", isDescending: true), .init(source: "key.material", isDescending: false),
            ])
        let saturday = try #require(Timestamp.parse("2026-01-10T12:00:00+01:00"))
        #expect(digest.nextTime(after: saturday) == Timestamp.parse("2026-01-12T07:00:00+01:00"))
        #expect(file.policy.routes.digestColumns == ["after.on_hand"])
        #expect(file.policy.routes.receivers == ["default", "oncall", "service"])
        let critical = try #require(
            file.policy.routes.matches(subject(["team": "planning"], .critical), notify: []).first
        ).settings
        #expect(critical.digest == nil && critical.muteTimes == [] && critical.escalations == [])
    }
}
