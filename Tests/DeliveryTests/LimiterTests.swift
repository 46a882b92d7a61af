import Core
import Testing

@testable import Delivery

// Goal: no window at the receiver ever holds more than its count. Method: scripts, and random traffic compared with a
// naive count of the arrivals.

@Suite struct LimiterTests {
    func time(_ milliseconds: Int64) -> Timestamp { Timestamp(milliseconds: milliseconds) }

    @Test func `a slot is freed one window after its answer, not after it was taken`() {
        var limiter = SlidingWindowLimiter(windows: [RateWindow(count: 2, duration: .seconds(10))])
        limiter.take()
        limiter.take()
        #expect(limiter.availableCount(at: time(60_000)) == 0)
        #expect(limiter.nextFree(at: time(60_000)) == nil)
        limiter.answer(at: time(60_000))
        #expect(limiter.nextFree(at: time(60_000)) == time(70_101))
        #expect(limiter.availableCount(at: time(70_100)) == 0)
        #expect(limiter.availableCount(at: time(70_101)) == 1)
    }

    @Test func `the tightest of several windows decides`() {
        var limiter = SlidingWindowLimiter(windows: [
            RateWindow(count: 1, duration: .seconds(1)), RateWindow(count: 3, duration: .seconds(60)),
        ])
        for second: Int64 in 0..<3 {
            #expect(limiter.availableCount(at: time(second * 2000)) == 1)
            limiter.take()
            limiter.answer(at: time(second * 2000))
        }
        #expect(limiter.availableCount(at: time(6000)) == 0)
        #expect(limiter.nextFree(at: time(6000)) == time(60_601))
        #expect(limiter.prune(at: time(60_601)) == true)
        #expect(limiter.availableCount(at: time(60_601)) == 1)
    }

    @Test func `a slot given back counts nowhere`() {
        var limiter = SlidingWindowLimiter(windows: [RateWindow(count: 1, duration: .seconds(1))])
        limiter.take()
        limiter.giveBack()
        #expect(limiter.availableCount(at: time(0)) == 1)
        #expect(limiter.isIdle(at: time(0)))
    }

    @Test(arguments: [1, 2, 3, 4, 5, 6, 7, 8])
    func `random traffic never exceeds a window at the receiver`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let windows = [
            RateWindow(count: 2, duration: .milliseconds(100)), RateWindow(count: 5, duration: .milliseconds(700)),
            RateWindow(count: 30, duration: .milliseconds(9000)),
        ]
        var limiter = SlidingWindowLimiter(windows: windows)
        var arrivals: [Int64] = []
        var open: [Int64] = []
        var now: Int64 = 0
        for _ in 0..<10_000 {
            now += Int64.random(in: 0...40, using: &random)
            if Bool.random(using: &random), limiter.availableCount(at: time(now)) > 0 {
                limiter.take()
                // The receiver sees it somewhere between the taking and the answer.
                let arrival = now + Int64.random(in: 0...300, using: &random)
                arrivals.append(arrival)
                open.append(arrival + Int64.random(in: 0...50, using: &random))
            }
            for answer in open where answer <= now {
                // Answered in order of time, as the answers come in.
                _ = answer
                limiter.answer(at: time(now))
            }
            open.removeAll { $0 <= now }
            _ = limiter.prune(at: time(now))
            if let next = limiter.nextFree(at: time(now)), next > time(now) {
                #expect(limiter.availableCount(at: next.adding(milliseconds: -1)) == 0)
                #expect(limiter.availableCount(at: next) > 0)
            }
        }
        #expect(arrivals.count > 50, "seed \(seed)")
        arrivals.sort()
        for window in windows {
            for index in arrivals.indices where index + window.count < arrivals.count {
                #expect(
                    arrivals[index + window.count] - arrivals[index] >= window.duration.wholeMilliseconds,
                    "seed \(seed), window \(window)")
            }
        }
    }

    @Test func `a bucket spreads sends and refills up to its burst`() {
        var bucket = TokenBucket(pace: Pace(perSecond: 2, burst: 2))
        #expect(bucket.availableCount(at: time(0)) == 2)
        bucket.take(at: time(0))
        bucket.take(at: time(0))
        #expect(bucket.availableCount(at: time(0)) == 0)
        #expect(bucket.nextFree(at: time(0)) == time(500))
        #expect(bucket.availableCount(at: time(499)) == 0)
        #expect(bucket.availableCount(at: time(500)) == 1)
        #expect(bucket.availableCount(at: time(3_600_000)) == 2)
    }

    @Test func `backoff stays within base times two to the n and the cap`() {
        var random = SeededRandom(seed: 7)
        var policy = DestinationPolicy.standard
        policy.retryCap = .seconds(60)
        for attempt in [1, 2, 3, 7, 64, 100_000] {
            let bound = attempt < 7 ? Duration.seconds(1 << (attempt - 1)) : .seconds(60)
            let delays = (0..<500).map { _ in
                Backoff.delay(attemptCount: attempt, policy: policy, random: &random)
            }
            #expect(delays.allSatisfy { $0 >= .zero && $0 <= bound })
            #expect(delays.contains { $0 > bound / 2 } && delays.contains { $0 < bound / 2 })
        }
    }

    @Test func `a breaker opens after failures in a row, probes, and doubles its patience`() {
        var breaker = Breaker(
            policy: BreakerPolicy(failureCountMax: 2, openBase: .seconds(10), openCap: .seconds(25)))
        #expect(breaker.failed(at: time(0)) == false)
        #expect(breaker.succeeded() == false)
        #expect(breaker.failed(at: time(0)) == false)
        #expect(breaker.failed(at: time(0)) == true)
        #expect(breaker.permission(at: time(9999)) == .none(until: time(10_000)))
        #expect(breaker.permission(at: time(10_000)) == .probe)
        breaker.probeStarted()
        #expect(breaker.permission(at: time(10_000)) == .none(until: nil))
        #expect(breaker.failed(at: time(10_000)) == false, "a failing probe is no news")
        #expect(breaker.permission(at: time(10_000)) == .none(until: time(30_000)))
        breaker.probeStarted()
        _ = breaker.failed(at: time(30_000))
        #expect(breaker.permission(at: time(30_000)) == .none(until: time(55_000)), "the cap")
        breaker.probeStarted()
        #expect(breaker.succeeded() == true)
        #expect(breaker.permission(at: time(55_000)) == .all)
        #expect(breaker.unauthorized(at: time(60_000)) == true, "opens at once")
        #expect(breaker.permission(at: time(60_000)) == .none(until: time(85_000)))
    }

    @Test func `the heartbeat is silent while nothing is consumed or delivered`() {
        var heartbeat = Heartbeat(every: .seconds(60))
        #expect(heartbeat.check(at: time(0), isConsuming: true, isDelivering: true) == .send)
        #expect(heartbeat.check(at: time(1), isConsuming: true, isDelivering: true) == .wait(until: time(60_000)))
        #expect(
            heartbeat.check(at: time(60_000), isConsuming: false, isDelivering: true) == .wait(until: time(66_000)))
        #expect(
            heartbeat.check(at: time(66_000), isConsuming: true, isDelivering: false) == .wait(until: time(72_000)))
        #expect(heartbeat.check(at: time(72_000), isConsuming: true, isDelivering: true) == .send)
    }
}
