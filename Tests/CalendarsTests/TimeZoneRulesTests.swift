import Core
import Foundation
import Testing

@testable import Calendars

@Suite(.serialized) struct TimeZoneRulesTests {
    @Test(arguments: oddZones)
    func `ten years of civil time are those of the C library`(name: String) throws {
        // Method: every quarter of an hour of 2009 to 2038, and every second around each transition of ours.
        let rules = try zone(name)
        var times = Array(stride(from: Int64(1_230_768_000), to: 2_177_452_800, by: name == "UTC" ? 86_400 : 10_800))
        var transition = Timestamp(milliseconds: 1_230_768_000_000)
        var count = 0
        while let next = rules.nextTransition(after: transition), next.milliseconds < 2_177_452_800_000 {
            let second = next.milliseconds / 1000
            times += (second - 5)...(second + 5)
            times += stride(from: second - 7200, through: second + 7200, by: 60)
            transition = next
            count += 1
        }
        let expected = LibcClock.local(name, at: times)
        for (time, local) in zip(times, expected) {
            let ours = rules.local(Timestamp(milliseconds: time * 1000)).milliseconds
            guard ours != local * 1000 else { continue }
            Issue.record("\(name) at \(time): \(ours) instead of \(local * 1000)")
            break
        }
        if ["Europe/Berlin", "Australia/Lord_Howe", "Africa/Casablanca"].contains(name) { #expect(count >= 40) }
    }

    @Test func `every zone of the database agrees with the C library around its transitions and in the far future`()
        throws
    {
        let names = ZoneDatabase.system.names
        try #require(names.count > 300)
        var transitions = 0
        for name in names where name != "Factory" {
            let rules = try zone(name)
            var times: [Int64] = [0, 4_102_444_800, 7_258_118_400, 13_000_000_000, 50_000_000_000, 200_000_000_000]
            var last = Timestamp(milliseconds: 946_684_800_000)
            while let next = rules.nextTransition(after: last), next.milliseconds < 2_524_608_000_000 {
                times += [next.milliseconds / 1000 - 1, next.milliseconds / 1000]
                last = next
                transitions += 1
            }
            // Half-years of every tenth year, up to the year 3000 and into the second cycle of 400 years.
            times += (0..<200).map { 1_767_225_600 + Int64($0) * 157_680_000 }
            let ours = times.map { rules.local(Timestamp(milliseconds: $0 * 1000)).milliseconds }
            let theirs = LibcClock.local(name, at: times).map { $0 * 1000 }
            let wrong = zip(times, zip(ours, theirs)).first { $0.1.0 != $0.1.1 }
            #expect(wrong == nil, "\(name): \(String(describing: wrong))")
        }
        #expect(transitions > 5000)
    }

    @Test func `a local time occurs once, twice or never`() throws {
        let berlin = try zone("Europe/Berlin")
        #expect(try berlin.occurrence(of: wall("2026-07-01T12:00")) == .once(utc("2026-07-01T10:00:00Z")))
        #expect(try berlin.occurrence(of: wall("2026-03-29T02:30")) == .never(gapEnd: utc("2026-03-29T01:00:00Z")))
        #expect(try berlin.occurrence(of: wall("2026-03-29T02:00")) == .never(gapEnd: utc("2026-03-29T01:00:00Z")))
        #expect(try berlin.occurrence(of: wall("2026-03-29T03:00")) == .once(utc("2026-03-29T01:00:00Z")))
        #expect(
            try berlin.occurrence(of: wall("2026-10-25T02:30"))
                == .twice(first: utc("2026-10-25T00:30:00Z"), second: utc("2026-10-25T01:30:00Z")))
        let howe = try zone("Australia/Lord_Howe")
        #expect(
            try howe.occurrence(of: wall("2026-04-05T01:45"))
                == .twice(first: utc("2026-04-04T14:45:00Z"), second: utc("2026-04-04T15:15:00Z")))
        #expect(try howe.occurrence(of: wall("2026-10-04T02:15")) == .never(gapEnd: utc("2026-10-03T15:30:00Z")))
        let apia = try zone("Pacific/Apia")
        #expect(try apia.occurrence(of: wall("2011-12-30T12:00")) == .never(gapEnd: utc("2011-12-30T10:00:00Z")))
        #expect(try apia.occurrence(of: wall("2011-12-29T23:59")) == .once(utc("2011-12-30T09:59:00Z")))
        // Morocco sets its clocks back for Ramadan.
        let casablanca = try zone("Africa/Casablanca")
        #expect(try casablanca.offset(at: utc("2025-03-10T00:00:00Z")) == 0)
        #expect(try casablanca.offset(at: utc("2025-05-10T00:00:00Z")) == 3_600_000)
        let kathmandu = try zone("Asia/Kathmandu")
        #expect(try kathmandu.offset(at: utc("2026-01-01T00:00:00Z")) == (5 * 60 + 45) * 60_000)
        let chatham = try zone("Pacific/Chatham")
        #expect(try chatham.offset(at: utc("2026-01-01T00:00:00Z")) == (13 * 60 + 45) * 60_000)
    }

    @Test(arguments: oddZones)
    func `the first occurrence never falls while local time rises`(name: String) throws {
        let rules = try zone(name)
        var generator = Seeded(7)
        for _ in 0..<800 {
            let local = LocalTime(
                milliseconds: Int64.random(in: 1_000_000_000_000...2_500_000_000_000, using: &generator))
            let time = rules.first(local)
            #expect(rules.first(LocalTime(milliseconds: local.milliseconds + 1)) >= time)
            switch rules.occurrence(of: local) {
            case .once(let only):
                #expect(only == time)
                #expect(rules.local(only) == local)
            case .twice(let first, let second):
                #expect(first == time && first < second)
                #expect(rules.local(first) == local && rules.local(second) == local)
            case .never(let gapEnd):
                #expect(gapEnd == time && rules.local(gapEnd) > local)
                #expect(rules.local(gapEnd.adding(milliseconds: -1)) < local)
            }
        }
    }

    @Test func `a short file with a rule gives what a long one lists`() throws {
        // Method: all transitions of Berlin's file after 2000 are cut off; its rule must give them again.
        let berlin = try zone("Europe/Berlin")
        let table = berlin.table
        let old = zip(table.starts, table.offsets.dropFirst()).filter { $0.0 < 946_684_800_000 }
        let footer = try #require(ZoneFooter("CET-1CEST,M3.5.0,M10.5.0/3".utf8))
        let short = ZoneTable(first: table.offsets[0], transitions: old.map { ($0.0, $0.1) }, footer: footer)
        var time: Int64 = 946_684_800_000
        while time < 20_000_000_000_000 {
            #expect(short.span(at: time).offset == table.span(at: time).offset, "at \(time)")
            time += 86_400_000 * 37
        }
        let bytes = TZif.file(transitions: [(0, 0)], offsets: [3600], footer: "CET-1CEST,M3.5.0,M10.5.0/3")
        let slim = try ZoneFile.table(bytes)
        #expect(try slim.span(at: utc("2026-07-01T00:00:00Z").milliseconds).offset == 7_200_000)
        #expect(try slim.span(at: utc("2526-01-01T00:00:00Z").milliseconds).offset == 3_600_000)
    }

    @Test func `rules of all forms are read`() throws {
        #expect(ZoneFooter("UTC0".utf8)?.standard == 0)
        #expect(ZoneFooter("<-03>3".utf8)?.standard == -10_800_000)
        #expect(ZoneFooter("<+0545>-5:45".utf8)?.standard == 20_700_000)
        // Daylight time all year: no second of standard time.
        let always = try #require(ZoneFooter("EST5EDT,0/0,J365/25".utf8))
        let table = ZoneTable(first: -5 * 3_600_000, transitions: [(1_000_000, -4 * 3_600_000)], footer: always)
        for year in 1975...2030 {
            let start = Int64(CivilDate.days(year: year, month: 1, day: 1)) * 86_400_000
            for hour in -30...30 {
                #expect(table.span(at: start + Int64(hour) * 3_600_000).offset == -4 * 3_600_000)
            }
        }
        // Greenland changes on the evening before: a negative time.
        let nuuk = try #require(ZoneFooter("<-02>2<-01>,M3.5.0/-1,M10.5.0/0".utf8))
        #expect(try nuuk.transitions(year: 2026).map(\.start).first == utc("2026-03-29T01:00:00Z").milliseconds)
        for text in [
            "", "C", "CET", "CET-1CEST", "CET-1CEST,M3.5.0", "CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M3.6.0,M10.5.0",
            "CET-1CEST,M3.5.7,M10.5.0", "CET-1CEST,M3.5.0,M10.5.0/3x", "CET-99", "<CET-1", "CET-1CEST,J0,J366",
            "CET-1CEST,M3.5.0/168,M10.5.0",
        ] {
            #expect(ZoneFooter(text.utf8) == nil, "\(text)")
        }
    }

    @Test func `a broken zone file is an error, never a crash`() throws {
        let path = ZoneDatabase.system.directory + "/Europe/Berlin"
        let original = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
        #expect(try ZoneFile.table(original) == zone("Europe/Berlin").table)
        for count in 0..<original.count {
            #expect(throws: ZoneFile.Failure.self) { try ZoneFile.table(Array(original[..<count])) }
        }
        var generator = Seeded(20_261_101)
        for _ in 0..<3000 {
            var bytes = original
            for _ in 0...Int.random(in: 0...6, using: &generator) {
                let index = Int.random(in: 0..<bytes.count, using: &generator)
                bytes[index] = UInt8.random(in: 0...255, using: &generator)
            }
            if let table = try? ZoneFile.table(bytes) {
                for time in [Int64.min / 8, 0, 1_800_000_000_000, Int64.max / 8] { _ = table.span(at: time) }
            }
        }
    }

    @Test func `an unknown zone is an error that names the nearest one`() throws {
        func failure(_ name: String) -> ZoneDatabase.Failure? {
            do {
                _ = try ZoneDatabase.system.find(name)
                return nil
            } catch {
                return error
            }
        }
        #expect(failure("Europe/Berln")?.help == "did you mean 'Europe/Berlin'?")
        #expect(failure("europe/berlin")?.help == "did you mean 'Europe/Berlin'?")
        #expect(failure("Berlin")?.help == "did you mean 'Europe/Berlin'?")
        #expect(failure("new york")?.help == "did you mean 'America/New_York'?")
        for name in ["", "../../etc/passwd", "/etc/passwd", "Europe", "right/UTC", "zone.tab", "A\0B", "+02:00", "PST"]
        {
            #expect(failure(name) != nil, "\(name)")
        }
        #expect(failure("UTC") == nil)
        let none = ZoneDatabase(directory: "/nonexistent")
        #expect(none.zone("UTC") == .utc)
        #expect(throws: ZoneDatabase.Failure.self) { try none.find("Europe/Berlin") }
    }

    @Test func `times at the ends of what can be written do not overflow`() throws {
        for name in oddZones {
            let rules = try zone(name)
            for time in [
                Timestamp.distantPast, .distantFuture, Timestamp(milliseconds: .min), Timestamp(milliseconds: .max),
            ] {
                _ = rules.local(time)
                _ = rules.nextTransition(after: time)
                _ = rules.first(LocalTime(milliseconds: time.milliseconds))
            }
        }
    }

    @Test func `dates are read and counted`() throws {
        #expect(CivilDate.parse("2026-02-28")?.adding(days: 1).description == "2026-03-01")
        #expect(CivilDate.parse("2024-02-29")?.weekday == .thursday)
        #expect(CivilDate(days: WorkCalendar.dayRange.lowerBound).description == "1900-01-01")
        #expect(CivilDate(days: WorkCalendar.dayRange.upperBound).description == "2199-12-31")
        #expect(HolidayFile.lastDay.description == "2099-12-31")
        for text in [
            "2026-02-29", "2026-2-03", "2026-13-01", "20260203", "", "２０２６-01-01",
            "2026-01-01T00:00",
        ] {
            #expect(CivilDate.parse(text) == nil, "\(text)")
        }
        for text in ["2026-01-01", "2026-01-01T24:00", "2026-01-01T10:00Z", "2026-01-01T10:00+01:00", "2026-01-01T10"] {
            #expect(LocalTime.parse(text) == nil, "\(text)")
        }
        #expect(LocalTime(milliseconds: -1).date.description == "1969-12-31")
        #expect(LocalTime(milliseconds: -1).minuteOfDay == 1439)
    }
}

/// Writes zone files.
enum TZif {
    /// A file of version 2 with 32-bit data left empty.
    static func file(transitions: [(Int64, UInt8)], offsets: [Int32], footer: String) -> [UInt8] {
        func header(_ times: Int, _ types: Int) -> [UInt8] {
            var bytes = Array("TZif2".utf8) + [UInt8](repeating: 0, count: 15)
            for count in [0, 0, 0, times, types, 1] { bytes += big(UInt64(count), 4) }
            return bytes
        }
        func big(_ value: UInt64, _ size: Int) -> [UInt8] {
            (0..<size).reversed().map { UInt8(truncatingIfNeeded: value >> (UInt64($0) * 8)) }
        }
        var bytes = header(0, 1) + [UInt8](repeating: 0, count: 7)
        bytes += header(transitions.count, offsets.count)
        for transition in transitions { bytes += big(UInt64(bitPattern: transition.0), 8) }
        bytes += transitions.map(\.1)
        for offset in offsets { bytes += big(UInt64(UInt32(bitPattern: offset)), 4) + [0, 0] }
        return bytes + [0] + Array("\n\(footer)\n".utf8)
    }
}
