internal import Core

extension FunctionTable {
    /// Accessors of a timestamp that may be given a time zone.
    static let zoned: Set<String> = [
        "getFullYear", "getMonth", "getDayOfYear", "getDayOfMonth", "getDate", "getDayOfWeek", "getHours",
        "getMinutes", "getSeconds", "getMilliseconds",
    ]

    static var times: [Function] {
        zoned.map { name in
            var overloads = [member([.timestamp], .int), member([.timestamp, .string], .int)]
            if ["getHours", "getMinutes", "getSeconds", "getMilliseconds"].contains(name) {
                overloads.append(member([.duration], .int))
            }
            return declare(name, overloads) { arguments, meter throws(EvaluationError) in
                try meter.spend(2)
                return .int(try part(name, arguments))
            }
        }
    }

    private static func part(_ name: String, _ arguments: [Value]) throws(EvaluationError) -> Int64 {
        if case .duration(let nanoseconds)? = arguments.first, arguments.count == 1 {
            switch name {
            case "getHours": return nanoseconds / 3_600_000_000_000
            case "getMinutes": return nanoseconds / 60_000_000_000
            case "getSeconds": return nanoseconds / 1_000_000_000
            case "getMilliseconds": return nanoseconds / 1_000_000 % 1000
            default: throw noOverload(name, arguments)
            }
        }
        guard case .timestamp(let time)? = arguments.first, arguments.count <= 2 else {
            throw noOverload(name, arguments)
        }
        var zone = CivilZone.utc
        if arguments.count == 2 {
            guard case .string(let text) = arguments[1] else { throw noOverload(name, arguments) }
            guard let named = CivilZone(text) else {
                throw EvaluationError(.invalidArgument, "there is no time zone \"\(text.prefix(64))\"")
            }
            zone = named
        }
        return part(name, time, zone)
    }

    private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
        Timestamp.daysFromCivil(year: year, month: month, day: day)
    }

    private static func part(_ name: String, _ time: PreciseTime, _ zone: CivilZone) -> Int64 {
        let civil = zone.civil(time)
        switch name {
        case "getFullYear": return Int64(civil.year)
        case "getMonth": return Int64(civil.month - 1)
        case "getDayOfMonth": return Int64(civil.day - 1)
        case "getDate": return Int64(civil.day)
        case "getHours": return Int64(civil.hour)
        case "getMinutes": return Int64(civil.minute)
        case "getSeconds": return Int64(civil.second)
        case "getMilliseconds": return Int64(civil.millisecond)
        case "getDayOfYear":
            return Int64(
                days(civil.year, civil.month, civil.day) - days(civil.year, 1, 1))
        default:
            // Day of the week, 0 is Sunday; 1970-01-01 was a Thursday.
            let days = days(civil.year, civil.month, civil.day) + 4
            return Int64(((days % 7) + 7) % 7)
        }
    }
}
