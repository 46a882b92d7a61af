import Core
import Testing

@testable import Templates

@Suite struct RenderLocaleTests {
    private func locale(_ name: String, _ zone: String = "UTC") -> RenderLocale {
        RenderLocale(locale: name, timeZone: zone)
    }

    @Test(arguments: [
        ("en_US", "-1,234,567.89", "1,234.5", "6.3%"), ("en_GB", "-1,234,567.89", "1,234.5", "6.3%"),
        ("de_DE", "-1.234.567,89", "1.234,5", "6,3\u{A0}%"),
        ("fr_FR", "-1\u{202F}234\u{202F}567,89", "1\u{202F}234,5", "6,3\u{202F}%"),
        ("es_ES", "-1.234.567,89", "1234,5", "6,3\u{A0}%"), ("es_MX", "-1,234,567.89", "1,234.5", "6.3%"),
        ("it_IT", "-1.234.567,89", "1.234,5", "6,3%"), ("pt_BR", "-1.234.567,89", "1.234,5", "6,3%"),
        ("nl_NL", "-1.234.567,89", "1.234,5", "6,3%"),
        ("pl_PL", "-1\u{A0}234\u{A0}567,89", "1234,5", "6,3%"),
        ("cs_CZ", "-1\u{A0}234\u{A0}567,89", "1\u{A0}234,5", "6,3\u{A0}%"),
        ("sv_SE", "\u{2212}1\u{A0}234\u{A0}567,89", "1\u{A0}234,5", "6,3\u{A0}%"),
        ("zh_CN", "-1,234,567.89", "1,234.5", "6.3%"), ("ja_JP", "-1,234,567.89", "1,234.5", "6.3%"),
    ])
    func `numbers have each locale's signs`(name: String, long: String, short: String, percent: String) {
        let locale = locale(name)
        #expect(locale.number("-1234567.890", digits: 2) == long)
        #expect(locale.number("1234.5", digits: nil) == short)
        #expect(locale.percent("0.0625", digits: 1) == percent)
    }

    @Test(arguments: [
        ("0.0625", 1, "6.3%"), ("0.06249999999999999999999999999999999999", 1, "6.2%"), ("0.005", 0, "1%"),
        ("0.00499", 0, "0%"), ("-0.0625", 1, "-6.3%"), ("-0.0004", 1, "0.0%"), ("0.99999", 1, "100.0%"),
        ("1", 0, "100%"), ("4.2E-7", 6, "0.000042%"),
        (
            "12345678901234567890123456789012345678", 0,
            "1,234,567,890,123,456,789,012,345,678,901,234,567,800%"
        ),
        ("0", 2, "0.00%"), ("1E2", 0, "10,000%"),
    ])
    func `percentages are rounded once and exactly`(text: String, digits: Int, expected: String) {
        #expect(locale("en_US").percent(text, digits: digits) == expected)
    }

    @Test func `numbers keep all their digits when none are asked for`() {
        let locale = locale("de_DE")
        #expect(locale.number("12.3400", digits: nil) == "12,34")
        #expect(locale.number("0.1", digits: nil) == "0,1")
        #expect(locale.number("1.5", digits: 0) == "2")
        #expect(locale.number("2.5", digits: 0) == "3")
        #expect(locale.number("abc", digits: 0) == nil)
        #expect(locale.number("1E99999", digits: 0) == "1E99999")
    }

    @Test func `rounding agrees with integer arithmetic on random decimals`() throws {
        let seed: UInt64 = 77
        print("seed \(seed)")
        var state = seed
        for _ in 0..<2000 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let number = Int64(state >> 24) % 1_000_000_000
            let scale = Int(state % 7)
            let digits = Int((state >> 8) % 5)
            var factor: Int64 = 1
            for _ in 0..<scale { factor *= 10 }
            let fraction = String(number % factor).leftPadded(scale)
            let text = scale == 0 ? String(number) : "\(number / factor).\(fraction)"
            var expected = number
            if digits < scale {
                var cut: Int64 = 1
                for _ in digits..<scale { cut *= 10 }
                expected = (number + cut / 2) / cut
            } else {
                for _ in scale..<digits { expected *= 10 }
            }
            let plain = try #require(NumberLayout.format(text, shift: 0, digits: digits, table: nil))
            #expect(Int64(plain.filter { $0 != "." }) == expected, "\(text) to \(digits)")
        }
    }

    @Test(arguments: [
        ("en_US", "Jan 2, 2026", "3:05 PM UTC"), ("en_GB", "2 Jan 2026", "15:05 UTC"),
        ("de_DE", "02.01.2026", "15:05 UTC"), ("fr_FR", "2 janv. 2026", "15:05 UTC"),
        ("es_ES", "2 ene 2026", "15:05 UTC"), ("es_MX", "2 ene 2026", "15:05 UTC"),
        ("it_IT", "2 gen 2026", "15:05 UTC"), ("pt_BR", "2 de jan. de 2026", "15:05 UTC"),
        ("nl_NL", "2 jan 2026", "15:05 UTC"), ("pl_PL", "2 sty 2026", "15:05 UTC"),
        ("cs_CZ", "2. 1. 2026", "15:05 UTC"), ("sv_SE", "2 jan. 2026", "15:05 UTC"),
        ("zh_CN", "2026年1月2日", "15:05 UTC"), ("ja_JP", "2026/01/02", "15:05 UTC"),
    ])
    func `dates and times have each locale's order`(name: String, date: String, time: String) throws {
        let moment = try #require(Timestamp.parse("2026-01-02T15:05:59.9Z"))
        #expect(locale(name).date(moment) == date)
        #expect(locale(name).time(moment) == time)
        #expect(locale(name).dateTime(moment) == date + " " + time)
    }

    @Test(arguments: [
        ("Europe/Berlin", "2026-01-12T05:27:00Z", "12.01.2026 06:27 UTC+1"),
        ("Europe/Berlin", "2026-03-29T00:59:00Z", "29.03.2026 01:59 UTC+1"),
        ("Europe/Berlin", "2026-03-29T01:00:00Z", "29.03.2026 03:00 UTC+2"),
        ("America/Sao_Paulo", "2026-01-12T01:00:00Z", "11.01.2026 22:00 UTC-3"),
        ("Asia/Kolkata", "2026-01-12T00:00:00Z", "12.01.2026 05:30 UTC+5:30"),
        ("Asia/Tokyo", "1999-12-31T15:00:00Z", "01.01.2000 00:00 UTC+9"),
        ("America/Los_Angeles", "2045-07-01T07:00:00Z", "01.07.2045 00:00 UTC-7"),
    ])
    func `times are shown in the zone and carry it`(zone: String, moment: String, expected: String) throws {
        let time = try #require(Timestamp.parse(moment))
        #expect(locale("de_DE", zone).dateTime(time) == expected)
    }

    @Test func `midnight and noon are right on a clock of twelve hours`() throws {
        let english = locale("en_US")
        #expect(english.time(try #require(Timestamp.parse("2026-01-02T00:05:00Z"))) == "12:05 AM UTC")
        #expect(english.time(try #require(Timestamp.parse("2026-01-02T12:05:00Z"))) == "12:05 PM UTC")
    }

    @Test func `times beyond all calendars do not crash`() {
        for time in [Timestamp.distantPast, .distantFuture] { #expect(!locale("en_US").dateTime(time).isEmpty) }
    }

    @Test func `unknown locales and zones are named`() {
        #expect(RenderLocale.problems(locale: "de-AT", timeZone: "Europe/Vienna") == [])
        #expect(RenderLocale(locale: "de-AT", timeZone: "Europe/Vienna").name == "de_DE")
        #expect(RenderLocale(locale: "tlh", timeZone: "x").name == "en_US")
        let problems = RenderLocale.problems(locale: "tlh", timeZone: "Mars/Base")
        #expect(problems.count == 2)
        #expect(problems.last == "a time zone must have a name such as 'Europe/Berlin'; found 'Mars/Base'")
    }
}
