internal import Core
internal import Foundation

/// A time zone of an accessor: a name of the IANA database or a fixed offset.
internal struct CivilZone: Sendable {
    private enum Form: Sendable {
        case fixed(seconds: Int64)
        case named(TimeZone)
    }
    private let form: Form

    static let utc = CivilZone(form: .fixed(seconds: 0))

    private init(form: Form) { self.form = form }

    /// The zone of a name such as `Europe/Berlin`, `UTC`, `+01:00`, `-02:30` or `02:00`; nil for none.
    init?(_ name: String) {
        if let seconds = CivilZone.offset(name) {
            form = .fixed(seconds: seconds)
        } else if name.utf8.count <= 64, let zone = TimeZone(identifier: name) {
            form = .named(zone)
        } else {
            return nil
        }
    }

    private static func offset(_ name: String) -> Int64? {
        if name == "UTC" || name == "Z" { return 0 }
        var digits = Substring(name)
        var sign: Int64 = 1
        if let first = digits.first, first == "+" || first == "-" {
            sign = first == "-" ? -1 : 1
            digits = digits.dropFirst()
        }
        let parts = digits.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ $0.utf8.count == 2 && $0.allSatisfy { $0.isASCII && $0.isNumber } }),
            let hours = Int64(parts[0]), let minutes = Int64(parts[1]), hours <= 23, minutes <= 59
        else { return nil }
        return sign * (hours * 3600 + minutes * 60)
    }

    /// Seconds that the zone is ahead of UTC at a time.
    func offset(at time: PreciseTime) -> Int64 {
        switch form {
        case .fixed(let seconds): seconds
        case .named(let zone):
            Int64(zone.secondsFromGMT(for: Date(timeIntervalSince1970: TimeInterval(time.seconds))))
        }
    }

    /// The date and time of day that the zone's clocks show.
    func civil(_ time: PreciseTime) -> Timestamp.CivilTime {
        var civil = Timestamp(milliseconds: (time.seconds + offset(at: time)) * 1000).civil
        civil.millisecond = Int(time.nanoseconds / 1_000_000)
        return civil
    }
}
