import ChangeEvents
import Core
import Testing

struct TableClockTests {
    private static let one = TopicPartition(topic: "t", partition: 0)
    private static let two = TopicPartition(topic: "t", partition: 1)

    private func time(_ seconds: Int64) -> Timestamp { Timestamp(milliseconds: seconds * 1000) }

    private func clock(_ mode: TableClock.Mode = .wall) -> TableClock {
        var clock = TableClock(maxDelay: .seconds(60), mode: mode, stored: nil)
        clock.add(Self.one)
        clock.add(Self.two)
        return clock
    }

    // Method: one step per line; after each the value of the clock in seconds.
    @Test func `the slowest partition decides and the clock never goes back`() {
        var clock = clock()
        #expect(clock.now == .distantPast)
        clock.observe(partition: Self.one, commitTime: time(1000))
        #expect(clock.now == .distantPast, "a partition that was never read holds the clock")
        clock.observe(partition: Self.two, commitTime: time(500))
        #expect(clock.now == time(440))
        clock.observe(partition: Self.two, commitTime: time(2000))
        #expect(clock.now == time(940))
        clock.observe(partition: Self.one, commitTime: time(100))
        #expect(clock.now == time(940))
        clock.observe(partition: Self.one, commitTime: time(1500))
        #expect(clock.now == time(1440))
    }

    @Test func `a partition at its end with a live leader follows the wall clock`() {
        var clock = clock()
        clock.observe(partition: Self.one, commitTime: time(1000))
        clock.partitionAtEnd(Self.two, wall: time(5000))
        #expect(clock.now == time(940), "the other partition still has rows to come")
        clock.partitionAtEnd(Self.one, wall: time(5001))
        #expect(clock.now == time(4941))
        clock.leaderAnswered(Self.two, wall: time(5010))
        clock.leaderAnswered(Self.one, wall: time(5010))
        #expect(clock.now == time(4950))
        #expect(!clock.isLagging)
    }

    @Test func `without an answer within a quarter of the delay the clock stands and lags`() {
        var clock = clock()
        clock.partitionAtEnd(Self.one, wall: time(5000))
        clock.partitionAtEnd(Self.two, wall: time(5000))
        clock.leaderAnswered(Self.one, wall: time(5015))
        #expect(clock.now == time(4955))
        clock.leaderAnswered(Self.one, wall: time(5016))
        #expect(clock.now == time(4955), "the other leader has been silent for 16 s of 15")
        #expect(clock.isLagging)
        #expect(clock.laggingPartitions == [Self.two])
        clock.leaderAnswered(Self.two, wall: time(5020))
        #expect(!clock.isLagging)
        #expect(clock.now == time(4960))
    }

    @Test func `a lost leader freezes the clock until it answers`() {
        var clock = clock()
        clock.partitionAtEnd(Self.one, wall: time(5000))
        clock.partitionAtEnd(Self.two, wall: time(5000))
        clock.leaderLost(Self.two)
        clock.leaderAnswered(Self.one, wall: time(5010))
        #expect(clock.now == time(4940))
        #expect(clock.isLagging)
        clock.leaderAnswered(Self.two, wall: time(5012))
        #expect(clock.now == time(4952))
    }

    @Test func `a row after the end takes the partition off the wall clock`() {
        var clock = clock()
        clock.partitionAtEnd(Self.one, wall: time(5000))
        clock.partitionAtEnd(Self.two, wall: time(5000))
        clock.observe(partition: Self.one, commitTime: time(4990))
        clock.leaderAnswered(Self.two, wall: time(5010))
        #expect(clock.now == time(4940), "rows up to 5010 may still come")
        clock.observe(partition: Self.one, commitTime: time(5008))
        #expect(clock.now == time(4948))
    }

    @Test func `the wall clock going back moves nothing`() {
        var clock = clock()
        clock.partitionAtEnd(Self.one, wall: time(5000))
        clock.partitionAtEnd(Self.two, wall: time(5000))
        clock.advance(wall: time(1000))
        #expect(clock.now == time(4940))
    }

    @Test func `a clock of data ignores the wall and moves by rows and ticks`() {
        var clock = clock(.data)
        clock.partitionAtEnd(Self.two, wall: time(99_999))
        clock.observe(partition: Self.one, commitTime: time(1000))
        #expect(clock.now == time(940), "an empty partition at its end does not hold a clock of data")
        clock.advance(wall: time(100_000))
        #expect(clock.now == time(940))
        clock.tick(to: time(2000))
        #expect(clock.now == time(2000))
        #expect(!clock.isLagging)
    }

    @Test func `a stored clock starts where it stood`() {
        var clock = TableClock(maxDelay: .seconds(60), mode: .wall, stored: time(4000))
        clock.add(Self.one)
        #expect(clock.now == time(4000))
        clock.observe(partition: Self.one, commitTime: time(3000))
        #expect(clock.now == time(4000))
        clock.observe(partition: Self.one, commitTime: time(4100))
        #expect(clock.now == time(4040))
    }

    @Test func `a removed partition holds the clock no longer`() {
        var clock = clock()
        clock.observe(partition: Self.one, commitTime: time(1000))
        clock.remove(Self.two)
        #expect(clock.now == time(940))
    }
}
