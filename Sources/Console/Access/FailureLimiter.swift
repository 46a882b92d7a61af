internal import Core

/// Counts wrong tokens per network, so that guessing is slow and fills no log. Bounded.
struct FailureLimiter: Sendable {
    /// Wrong tokens of one network within ``window`` that are answered as such.
    static let failuresMax = 10
    static let window: Duration = .seconds(60)
    /// Networks that are remembered; beyond it the oldest window is forgotten.
    static let networksMax = 1024

    private struct Count {
        var began: Timestamp
        var failures: Int
    }

    private var counts: [String: Count] = [:]

    /// Counts a failure.
    /// - Returns: seconds until the network is listened to again; nil while it is.
    mutating func fail(_ network: String, now: Timestamp) -> Int? {
        var count = counts[network] ?? Count(began: now, failures: 0)
        let age = Duration.milliseconds(now.milliseconds(since: count.began))
        if age >= FailureLimiter.window || age < .zero { count = Count(began: now, failures: 0) }
        count.failures += 1
        if counts[network] == nil, counts.count >= FailureLimiter.networksMax,
            let oldest = counts.min(by: { $0.value.began < $1.value.began })?.key
        {
            counts[oldest] = nil
        }
        counts[network] = count
        guard count.failures > FailureLimiter.failuresMax else { return nil }
        let left = count.began.adding(FailureLimiter.window).milliseconds(since: now)
        return max(1, Int((left + 999) / 1000))
    }

    var networkCount: Int { counts.count }
}
