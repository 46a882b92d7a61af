internal import ChangeEvents
internal import Core

/// What the waits of a table's halves are measured with: a postimage for its preimage, a delete for its insert.
///
/// It runs with the router clock while the table is read to its end. While older rows may still come, after a slow
/// start or in a backlog, it runs at a fifteenth of that, so that a wait of 2 s ends after 30 s at the latest however
/// busy the source is. It never goes back. A pure value.
struct WaitClock: Sendable, Equatable {
    /// How much slower it runs while the table is not read to its end.
    static let divisor: Int64 = 15
    /// What one look adds at most, in router milliseconds: a loop that stood still says nothing about the source.
    static let stepMax: Int64 = 1000

    /// ``Timestamp/distantPast`` while the clock has not begun to run: no wait begins then.
    private(set) var now: Timestamp
    private var lastLook: Timestamp?
    private var wasAtEnd = false
    /// Router milliseconds that are less than one of this clock's.
    private var rest: Int64 = 0

    /// Starts with nothing waiting.
    init(mode: TableClock.Mode) { now = mode == .wall ? Timestamp(milliseconds: 0) : .distantPast }

    /// Moves to the time of a look. It counts as read to the end only where that held at the last look too.
    mutating func look(at router: Timestamp, isAtEnd: Bool) {
        defer {
            lastLook = router
            wasAtEnd = isAtEnd
        }
        guard let lastLook else { return }
        let step = min(max(router.milliseconds(since: lastLook), 0), WaitClock.stepMax)
        if isAtEnd, wasAtEnd {
            now = now.adding(milliseconds: step)
        } else {
            now = now.adding(milliseconds: (rest + step) / WaitClock.divisor)
            rest = (rest + step) % WaitClock.divisor
        }
    }

    /// Nothing waits: the next look begins anew.
    mutating func pause() {
        lastLook = nil
        wasAtEnd = false
    }

    /// Under `clock: data` it is the router clock, which only rows move.
    mutating func follow(_ router: Timestamp) { now = max(now, router) }
}
