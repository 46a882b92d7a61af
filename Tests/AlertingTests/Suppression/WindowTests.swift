import Core
import Testing

@testable import Alerting

@Suite struct WindowTests {
    private func time(_ text: String) throws -> Timestamp { try #require(Timestamp.parse(text, zoneRequired: true)) }

    private let file = RoutingFile(
        """
        calendars:
          plant-de: {timezone: Europe/Berlin, hours: {monday-friday: [06:00-22:00]}}
        mute_times:
          nights: {policy: defer, windows: [{calendar: plant-de, while: closed}]}
          may-day: {windows: [{days_of_month: "1", months: may, location: Europe/Berlin}]}
        maintenance:
          - name: weekly-stop
            matchers: [plant=P1]
            windows:
              - {schedule: 0 6 * * 0, duration: 4h, timezone: Europe/Berlin}
              - {schedule: 0 12 * * 3, duration: 30m, timezone: Europe/Berlin}
            comment: The line is cleaned.
        """)

    @Test func `mute times follow their calendar over a change of clocks`() throws {
        #expect(file.findings == [])
        let mutes = file.policy.muteTimes
        // 2026-03-29: clocks go forward in Berlin; Friday 22:00 is 21:00Z, Monday 06:00 is 04:00Z.
        #expect(!mutes.isActive("nights", at: try time("2026-03-27T20:59:59Z")))
        #expect(mutes.isActive("nights", at: try time("2026-03-27T21:00:00Z")))
        #expect(
            mutes.nextChange(of: "nights", after: try time("2026-03-28T00:00:00Z"))
                == Timestamp.parse("2026-03-30T04:00:00Z"))
        #expect(!mutes.isActive("none", at: try time("2026-03-27T21:00:00Z")))
        #expect(mutes.nextChange(of: "none", after: .epoch) == nil)
    }

    @Test func `a time that drops comes before one that defers`() throws {
        let references = [
            MuteReference(name: "nights", policy: .defer), MuteReference(name: "may-day", policy: .drop),
        ]
        let mutes = file.policy.muteTimes
        #expect(mutes.active(among: references, at: try time("2026-05-01T02:00:00+02:00"))?.name == "may-day")
        #expect(mutes.active(among: references, at: try time("2026-05-04T02:00:00+02:00"))?.name == "nights")
        #expect(mutes.active(among: references, at: try time("2026-05-04T12:00:00+02:00")) == nil)
        #expect(
            mutes.nextChange(among: references, after: try time("2026-04-30T12:00:00+02:00"))
                == Timestamp.parse("2026-04-30T22:00:00+02:00"))
    }

    @Test func `maintenance suppresses the alerts that match while its window is open`() throws {
        let windows = file.policy.maintenance
        let alert = SubjectTests.subject(labels: ["plant": "P1"])
        let sunday = try time("2026-01-11T06:00:00+01:00")
        #expect(windows.suppressing(alert, at: sunday) == ["weekly-stop"])
        #expect(windows.suppressing(alert, at: sunday.adding(milliseconds: -1)) == [])
        #expect(windows.suppressing(alert, at: sunday.adding(.seconds(4 * 3600))) == [])
        #expect(windows.suppressing(SubjectTests.subject(labels: ["plant": "P2"]), at: sunday) == [])
        #expect(windows.open(at: sunday).map(\.comment) == ["The line is cleaned."])
        #expect(windows.nextChange(after: sunday) == sunday.adding(.seconds(4 * 3600)))
        #expect(
            windows.nextChange(after: sunday.adding(.seconds(4 * 3600)))
                == Timestamp.parse("2026-01-14T12:00:00+01:00"))
        #expect(MaintenanceWindows.none.nextChange(after: sunday) == nil)
    }
}
