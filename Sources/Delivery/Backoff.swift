import Core

/// A small generator of random numbers with a seed, so that every run can be repeated. Not for secrets.
struct SeededRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// Source: Guy Steele, Doug Lea, Christine Flood, "Fast splittable pseudorandom number generators" (SplitMix64).
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}

/// How long to wait before the next attempt; pure but for its random numbers.
enum Backoff {
    /// A random time from zero to base · 2ⁿ⁻¹, at most the cap (full jitter).
    /// - Parameter attemptCount: attempts made so far, at least 1.
    static func delay(
        attemptCount: Int, policy: DestinationPolicy, random: inout some RandomNumberGenerator
    ) -> Duration {
        let base = max(1, policy.retryBase.wholeMilliseconds)
        let cap = max(base, policy.retryCap.wholeMilliseconds)
        let exponent = min(max(0, attemptCount - 1), 40)
        let (product, overflow) = base.multipliedReportingOverflow(by: 1 << Int64(exponent))
        return .milliseconds(Int64.random(in: 0...(overflow ? cap : min(cap, product)), using: &random))
    }
}
