import Core
import Testing

@Suite struct TimestampTests {
    @Test(
        arguments: [
            ("2026-01-12T05:27:49.985Z", 1_768_195_669_985),
            ("2024-02-29T12:34:56.123456789+01:00", 1_709_206_496_123),
            ("2024-02-29T12:34:56", 1_709_210_096_000),
            ("1969-12-31T23:59:59.999Z", -1),
            ("2024-02-29", 1_709_164_800_000),
            ("2024-02-29 12:34:56Z", 1_709_210_096_000),
            ("2024-02-29T12:34Z", 1_709_210_040_000),
            ("0001-01-01T00:00:00Z", -62_135_596_800_000),
        ] as [(String, Int64)])
    func `times of every accepted form are read`(text: String, milliseconds: Int64) {
        #expect(Timestamp.parse(text)?.milliseconds == milliseconds)
    }

    @Test(arguments: [
        "", "2024", "2024-02-30T00:00:00Z", "2023-02-29", "2024-13-01", "2024-02-29T24:00:00Z", "2024-02-29T12:60:00Z",
        "2024-02-29T12:34:56.Z", "2024-02-29T12:34:56.1234567890Z", "2024-02-29T12:34:56+1", "2024-02-29T12:34:56Zx",
        "x024-02-29", "2024-02-29T12:34:56+25:00",
    ])
    func `impossible times and other forms are refused`(text: String) {
        #expect(Timestamp.parse(text) == nil)
    }

    @Test func `a zone can be required`() {
        #expect(Timestamp.parse("2024-02-29T12:34:56", zoneRequired: true) == nil)
        #expect(Timestamp.parse("2024-02-29T12:34:56Z", zoneRequired: true) != nil)
    }

    @Test func `every day of four centuries survives writing and reading`() {
        // Goal: the civil-time arithmetic is right in every month of a whole Gregorian cycle. Method: round trip.
        var previous = Int64.min
        for day in stride(from: -141_427, to: 4670, by: 1) {
            let time = Timestamp(milliseconds: Int64(day) * 86_400_000 + 12_345_678)
            #expect(Timestamp.parse(time.description) == time)
            #expect(time.milliseconds > previous)
            previous = time.milliseconds
        }
    }

    @Test func `adding saturates instead of overflowing`() {
        #expect(Timestamp(milliseconds: .max).adding(milliseconds: 1) == .distantFuture)
        #expect(Timestamp(milliseconds: .min).adding(milliseconds: -1) == .distantPast)
    }
}

@Suite struct DurationTextTests {
    @Test(
        arguments: [
            ("500ms", 500), ("30s", 30_000), ("10m", 600_000), ("4h", 14_400_000), ("1h30m", 5_400_000),
            ("7d", 604_800_000),
            ("2w", 1_209_600_000),
        ] as [(String, Int64)])
    func `durations are read and written`(text: String, milliseconds: Int64) throws {
        let duration = try #require(DurationText.parse(text))
        #expect(duration.wholeMilliseconds == milliseconds)
        #expect(DurationText.parse(DurationText.format(duration)) == duration)
    }

    @Test(arguments: ["", "5", "m", "-5m", "5 m", "1.5h", "5x", "99999999999999999d", "９m"])
    func `other texts are no durations`(text: String) {
        #expect(DurationText.parse(text) == nil)
    }
}

@Suite struct SystemWallClockTests {
    /// Two clocks that the test turns by hand.
    private final class Hands: @unchecked Sendable {
        // SAFETY: used by one test on one thread.
        var boot: Int64 = 1000
        var real: Int64 = 1_000_000
        func clock() -> SystemWallClock { SystemWallClock(boot: { self.boot }, real: { self.real }) }
    }

    @Test func `a jump of the system clock is slewed in at one percent`() {
        let hands = Hands()
        let clock = hands.clock()
        hands.real += 3_600_000
        hands.boot += 10_000
        hands.real += 10_000
        let time = clock.now()
        #expect(time.milliseconds == 1_000_000 + 10_000 + 100)
        #expect(clock.systemClockAheadMilliseconds() == 3_600_000 - 100)
    }

    @Test func `a system clock set back never makes time go back`() {
        let hands = Hands()
        let clock = hands.clock()
        hands.real -= 3_600_000
        var last = clock.now()
        for _ in 0..<1000 {
            hands.boot += 7
            hands.real += 7
            let time = clock.now()
            #expect(time >= last)
            last = time
        }
        #expect(last.milliseconds >= 1_000_000 + 6900)
    }
}
