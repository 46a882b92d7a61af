import Core
import Testing

@testable import Delivery

// Goal: every form of Retry-After seen in practice is read, and nothing else is. Method: tables.

@Suite struct RetryAfterTests {
    // Tue, 14 Nov 2023 22:13:20 GMT
    static let now = Timestamp(milliseconds: 1_700_000_000_000)

    @Test(
        arguments: [
            ("0", 0), ("120", 120_000), (" 7 ", 7000), ("1.5", 1500), ("0.2501", 251), ("1.2000", 1200), ("1.", nil),
            ("99999", 3_600_000), ("99999999999999999999999", 3_600_000), ("-1", nil), ("+1", nil), ("abc", nil),
            ("", nil),
            ("1e3", nil), ("1,5", nil), ("٣", nil),
        ] as [(String, Int64?)])
    func `seconds and fractions are read and capped`(text: String, milliseconds: Int64?) {
        #expect(RetryAfter.parse(text, date: nil, now: Self.now)?.wholeMilliseconds == milliseconds)
    }

    @Test(arguments: [
        "Tue, 14 Nov 2023 22:14:00 GMT", "Tuesday, 14-Nov-23 22:14:00 GMT", "Tue Nov 14 22:14:00 2023",
    ])
    func `all three forms of an HTTP date mean the same`(text: String) {
        #expect(RetryAfter.parse(text, date: nil, now: Self.now) == .milliseconds(40_000))
    }

    @Test func `a date is measured from the answer's own date`() {
        let wait = RetryAfter.parse(
            "Tue, 14 Nov 2023 23:00:10 GMT", date: "Tue, 14 Nov 2023 23:00:00 GMT", now: Self.now)
        #expect(wait == .milliseconds(10_000))
    }

    @Test func `a date in the past is no wait and a far one is capped`() {
        #expect(RetryAfter.parse("Tue, 14 Nov 2023 22:13:00 GMT", date: nil, now: Self.now) == .zero)
        #expect(RetryAfter.parse("Tue, 14 Nov 2028 22:13:00 GMT", date: nil, now: Self.now) == RetryAfter.longest)
        #expect(RetryAfter.parse(nil, date: nil, now: Self.now) == nil)
    }

    @Test func `a single-digit day of the asctime form is read`() {
        #expect(HTTPDate.parse("Thu Nov  2 08:05:06 2023", now: Self.now)?.description == "2023-11-02T08:05:06.000Z")
    }

    @Test func `a year of two digits is never more than fifty years ahead`() {
        #expect(HTTPDate.parse("Sunday, 06-Nov-94 08:49:37 GMT", now: Self.now)?.civil.year == 1994)
        #expect(HTTPDate.parse("Sunday, 06-Nov-60 08:49:37 GMT", now: Self.now)?.civil.year == 2060)
    }

    @Test(arguments: [
        "Tue, 14 Nov 2023 22:13:20", "Tue, 14 Nov 2023 22:13:20 CET", "Tue, 31 Feb 2023 22:13:20 GMT",
        "Tue, 14 Nov 2023 2:13:20 GMT", "Tue, 14 nov 2023 22:13:20 GMT", "14 Nov 2023 22:13:20 GMT", "a b c d e",
        "Tuesday, 14-Nov-2023 22:13:20 GMT", "Tue, 14 Nov 2023 25:13:20 GMT", "Tue,  GMT", "Tue, 14 Nov 2023 x:y:z GMT",
    ])
    func `anything else is no date`(text: String) {
        #expect(HTTPDate.parse(text, now: Self.now) == nil)
    }
}
