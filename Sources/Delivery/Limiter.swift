import Core

/// Exact sliding windows over sends; pure.
///
/// A slot is open from the moment a send may begin until its answer is known, and counts in a window of length W until
/// W (and a little) after the answer. So at the receiver, whose clock sees the request somewhere between the two, no
/// window holds more than its count.
struct SlidingWindowLimiter: Sendable, Equatable {
    private(set) var windows: [RateWindow]
    private(set) var openCount = 0
    /// When the answered slots were answered, ascending.
    private var answered: [Timestamp] = []
    private var firstKept = 0

    init(windows: [RateWindow]) { self.windows = windows }

    /// How long a slot counts in a window after its answer.
    ///
    /// A little longer than the window is: timestamps are cut to milliseconds, and the router's clock may run 1 % fast
    /// while it follows a system clock that was set forward.
    static func span(of duration: Duration) -> Int64 {
        let whole = duration.wholeMilliseconds
        return whole + whole / 100 + 1
    }

    var isUnlimited: Bool { windows.isEmpty }
    var longestWindow: Duration { windows.map(\.duration).max() ?? .zero }
    /// Whether nothing counts any more at `now`.
    func isIdle(at now: Timestamp) -> Bool {
        openCount == 0 && (answered.last.map { leaves($0, longestWindow) <= now } ?? true)
    }

    private func leaves(_ answer: Timestamp, _ duration: Duration) -> Timestamp {
        answer.adding(milliseconds: SlidingWindowLimiter.span(of: duration))
    }

    /// How many slots may be taken now.
    func availableCount(at now: Timestamp) -> Int {
        windows.map { window in
            max(0, window.count - openCount - countingCount(window, at: now))
        }.min() ?? Int.max
    }

    private func countingCount(_ window: RateWindow, at now: Timestamp) -> Int {
        // `answered` ascends: the slots that still count are a suffix.
        var low = firstKept
        var high = answered.count
        while low < high {
            let middle = (low + high) / 2
            if leaves(answered[middle], window.duration) > now { high = middle } else { low = middle + 1 }
        }
        return answered.count - low
    }

    /// When the next slot is free, if no other is taken; nil where only an answer can free one.
    func nextFree(at now: Timestamp) -> Timestamp? {
        var next = now
        for window in windows {
            let counting = countingCount(window, at: now)
            let excess = openCount + counting - window.count
            guard excess >= 0 else { continue }
            // The slot whose leaving makes room for one.
            guard excess < counting else { return nil }
            next = max(next, leaves(answered[answered.count - counting + excess], window.duration))
        }
        return next
    }

    /// Takes a slot.
    mutating func take() { openCount += 1 }

    /// Notes the answer to the send of an open slot.
    mutating func answer(at time: Timestamp) {
        openCount = max(0, openCount - 1)
        restore(answeredAt: time)
    }

    /// Gives back a slot that nothing was sent for.
    mutating func giveBack() { openCount = max(0, openCount - 1) }

    /// Adds an answered slot of an earlier run.
    mutating func restore(answeredAt time: Timestamp) {
        guard !windows.isEmpty else { return }
        let time = max(time, answered.last ?? time)
        answered.append(time)
    }

    /// Forgets slots that count nowhere any more.
    /// - Returns: whether any was forgotten.
    mutating func prune(at now: Timestamp) -> Bool {
        let kept = windows.map { countingCount($0, at: now) }.max() ?? 0
        let first = answered.count - kept
        guard first > firstKept else { return false }
        firstKept = first
        if firstKept > 64, firstKept * 2 > answered.count {
            answered.removeFirst(firstKept)
            firstKept = 0
        }
        return true
    }
}

/// A token bucket that spreads sends; pure. It decides no limit.
struct TokenBucket: Sendable, Equatable {
    private let pace: Pace
    private var tokens: Double
    private var filledAt: Timestamp?

    init(pace: Pace) {
        self.pace = pace
        tokens = Double(max(1, pace.burst))
    }

    private func tokens(at now: Timestamp) -> Double {
        guard let filledAt else { return tokens }
        let elapsed = Double(max(0, now.milliseconds(since: filledAt))) / 1000
        return min(Double(max(1, pace.burst)), tokens + elapsed * pace.perSecond)
    }

    func availableCount(at now: Timestamp) -> Int { Int(tokens(at: now) + 1e-9) }

    /// When the next token is there.
    func nextFree(at now: Timestamp) -> Timestamp {
        let missing = 1 - tokens(at: now)
        guard missing > 0, pace.perSecond > 0 else { return now }
        return now.adding(milliseconds: Int64((missing / pace.perSecond * 1000).rounded(.up)))
    }

    mutating func take(at now: Timestamp) {
        tokens = tokens(at: now) - 1
        filledAt = now
    }
}
