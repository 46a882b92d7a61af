internal import Synchronization

#if canImport(Glibc)
internal import Glibc
#endif

/// The wall clock as a parameter: sends, limiters, leases and retries read it; rules never do.
public protocol WallClock: Sendable {
    /// The present time.
    func now() -> Timestamp
    /// Suspends until `deadline`, or throws when the task is cancelled.
    func sleep(until deadline: Timestamp) async throws
}

/// The machine's clock, read once at start and then advanced by CLOCK_BOOTTIME.
///
/// A change of the system clock does not jump through: the difference is slewed in at no more than 1 %, so no timer
/// fires early, twice or never because somebody set the clock.
public final class SystemWallClock: WallClock {
    private struct State {
        var offsetMilliseconds: Int64
        var lastBoot: Int64
    }

    private let state: Mutex<State>
    private let readBoot: @Sendable () -> Int64
    private let readReal: @Sendable () -> Int64

    /// Starts from the system clock.
    public convenience init() {
        self.init(
            boot: { SystemWallClock.read(CLOCK_BOOTTIME) }, real: { SystemWallClock.read(CLOCK_REALTIME) })
    }

    /// Starts from two given clocks, in milliseconds; tests pass their own.
    public init(boot: @escaping @Sendable () -> Int64, real: @escaping @Sendable () -> Int64) {
        readBoot = boot
        readReal = real
        let start = boot()
        state = Mutex(State(offsetMilliseconds: real() - start, lastBoot: start))
    }

    public func now() -> Timestamp {
        let boot = readBoot()
        let real = readReal()
        return state.withLock { state in
            let elapsed = max(0, boot - state.lastBoot)
            let difference = real - boot - state.offsetMilliseconds
            let step = min(abs(difference), elapsed / 100)
            // A step is only taken for whole hundredths, so `lastBoot` moves with the steps and nothing is lost.
            if step > 0 || elapsed >= 100 {
                state.offsetMilliseconds += difference < 0 ? -step : step
                state.lastBoot = boot
            }
            return Timestamp(milliseconds: boot + state.offsetMilliseconds)
        }
    }

    /// How far the system clock is ahead of this one, in milliseconds; above 2 s it is worth a report.
    public func systemClockAheadMilliseconds() -> Int64 {
        let time = now()
        return readReal() - time.milliseconds
    }

    public func sleep(until deadline: Timestamp) async throws {
        let wait = deadline.milliseconds(since: now())
        if wait > 0 { try await ContinuousClock().sleep(for: .milliseconds(wait)) }
    }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}
