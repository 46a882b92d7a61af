import Core
import Foundation
import Glibc
import Synchronization

@testable import Calendars

/// The C library's reading of the same database: another implementation to compare with.
///
/// It has one zone per process, so all of its users take turns.
enum LibcClock {
    private static let turn = Mutex<Void>(())

    /// Local seconds since 1970 at each of the times (seconds), in a zone.
    static func local(_ zone: String, at times: [Int64]) -> [Int64] {
        var local = times
        turn.withLock { _ in
            setenv("TZ", ":" + ZoneDatabase.system.directory + "/" + zone, 1)
            tzset()
            var parts = tm()
            local.withUnsafeMutableBufferPointer { buffer in
                var index = 0
                while index < buffer.count {
                    var seconds = time_t(buffer[index])
                    localtime_r(&seconds, &parts)
                    buffer[index] += Int64(parts.tm_gmtoff)
                    index += 1
                }
            }
            unsetenv("TZ")
            tzset()
        }
        return local
    }
}

/// What a zone's clocks show at each minute of a period, by the C library.
struct MinuteScan {
    /// Seconds of the first minute.
    let start: Int64
    /// Local minutes since 1970, one a minute.
    let local: [Int64]
    /// The latest local minute shown up to each minute: it never falls.
    private let latest: [Int64]

    init(zone: String, from start: Int64, days: Int) {
        self.start = start
        var minutes = [Int64](repeating: start, count: days * 1440)
        for index in minutes.indices { minutes[index] += Int64(index) * 60 }
        minutes = LibcClock.local(zone, at: minutes)
        // All of these times are after 1970.
        for index in minutes.indices { minutes[index] /= 60 }
        local = minutes
        for index in minutes.indices.dropFirst() { minutes[index] = max(minutes[index], minutes[index - 1]) }
        latest = minutes
    }

    /// The index of the first minute at which the clocks show `minute` or later; the count where none does.
    func first(_ minute: Int64) -> Int {
        var low = 0
        var high = latest.count
        while low < high {
            let middle = (low + high) / 2
            if latest[middle] < minute { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func time(_ index: Int) -> Timestamp { Timestamp(milliseconds: (start + Int64(index) * 60) * 1000) }
}

/// SplitMix64: the same numbers for the same seed.
struct Seeded: RandomNumberGenerator {
    var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

func zone(_ name: String) throws -> TimeZoneRules { try ZoneDatabase.system.find(name) }

/// A time in UTC, as RFC 3339.
func utc(_ text: String) throws -> Timestamp {
    guard let time = Timestamp.parse(text, zoneRequired: true) else { throw Unreadable(text: text) }
    return time
}

/// A local time such as `2026-12-24T14:00`.
func wall(_ text: String) throws -> LocalTime {
    guard let time = LocalTime.parse(text) else { throw Unreadable(text: text) }
    return time
}

struct Unreadable: Error { var text: String }

/// Zones whose clocks do what others do not.
let oddZones = [
    "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Chatham",
    "Asia/Kathmandu",
    "Australia/Adelaide", "Africa/Casablanca", "Pacific/Apia", "Europe/Dublin", "Asia/Gaza", "America/Scoresbysund",
    "America/St_Johns", "Africa/Cairo", "Antarctica/Troll", "Asia/Almaty", "UTC",
]

/// The starts (seconds) of two periods of 25 days that hold transitions of a zone, if it has any.
func scanStarts(_ name: String) throws -> [Int64] {
    let rules = try zone(name)
    var time = Timestamp(milliseconds: 1_323_000_000_000)
    return (0..<2).map { _ in
        time = rules.nextTransition(after: time) ?? time.adding(milliseconds: 200 * 86_400_000)
        return (time.milliseconds / 86_400_000 - 12) * 86_400
    }
}
