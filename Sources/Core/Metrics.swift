internal import Synchronization

/// A number that only grows. Add once per batch, never per event.
public final class Counter: Sendable {
    private let value = Atomic<Int>(0)
    /// Adds to the counter.
    public func add(_ amount: Int = 1) { value.wrappingAdd(amount, ordering: .relaxed) }
    /// The sum so far.
    public var current: Int { value.load(ordering: .relaxed) }
}

/// A number that goes up and down.
public final class Gauge: Sendable {
    private let bits = Atomic<UInt64>(0)
    /// Sets the gauge.
    public func set(_ value: Double) { bits.store(value.bitPattern, ordering: .relaxed) }
    /// The value last set.
    public var current: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }
}

/// How often values fell into buckets, with their sum; for latencies and sizes.
public final class Histogram: Sendable {
    private struct State {
        var counts: [Int]
        var sum = 0.0
    }
    /// Upper bounds of the buckets, ascending; a last bucket holds the rest.
    public let bounds: [Double]
    private let state: Mutex<State>

    init(bounds: [Double]) {
        self.bounds = bounds
        state = Mutex(State(counts: Array(repeating: 0, count: bounds.count + 1)))
    }

    /// Counts one value.
    public func observe(_ value: Double) {
        let index = bounds.firstIndex { value <= $0 } ?? bounds.count
        state.withLock {
            $0.counts[index] += 1
            $0.sum += value
        }
    }

    /// Counts per bucket, the last one above all bounds, and the sum of all values.
    public var current: (counts: [Int], sum: Double) { state.withLock { ($0.counts, $0.sum) } }
}

/// All metrics of the process, written in the Prometheus text format.
///
/// Handles are made at start; a family never has more than ``seriesMax`` label sets, beyond them one series with the
/// label values `other` counts the rest, so that data cannot make the registry grow.
public final class MetricsRegistry: Sendable {
    private enum Kind: String { case counter, gauge, histogram }
    private enum Series: Sendable {
        case counter(Counter)
        case gauge(Gauge)
        case histogram(Histogram)
    }
    private struct Family {
        var kind: Kind
        var help: String
        var series: [String: Series] = [:]
    }

    /// Most label sets one family may have.
    public static let seriesMax = 2000

    private let families = Mutex<[String: Family]>([:])

    /// Makes an empty registry.
    public init() {}

    /// The counter of that name and label set; made at the first call. The name ends in `_total`.
    public func counter(_ name: String, _ help: String, labels: KeyValuePairs<String, String> = [:]) -> Counter {
        guard
            case .counter(let counter) = series(
                name, help, .counter, labels, make: { .counter(Counter()) })
        else { preconditionFailure("metric \(name) exists with another kind") }
        return counter
    }

    /// The gauge of that name and label set; made at the first call.
    public func gauge(_ name: String, _ help: String, labels: KeyValuePairs<String, String> = [:]) -> Gauge {
        guard case .gauge(let gauge) = series(name, help, .gauge, labels, make: { .gauge(Gauge()) }) else {
            preconditionFailure("metric \(name) exists with another kind")
        }
        return gauge
    }

    /// The histogram of that name and label set; made at the first call.
    public func histogram(
        _ name: String, _ help: String, bounds: [Double], labels: KeyValuePairs<String, String> = [:]
    ) -> Histogram {
        guard
            case .histogram(let histogram) = series(
                name, help, .histogram, labels, make: { .histogram(Histogram(bounds: bounds)) })
        else { preconditionFailure("metric \(name) exists with another kind") }
        return histogram
    }

    private func series(
        _ name: String, _ help: String, _ kind: Kind, _ labels: KeyValuePairs<String, String>,
        make: () -> Series
    ) -> Series {
        families.withLock { families in
            var family = families[name] ?? Family(kind: kind, help: help)
            var key = labels.map { "\($0.key)=\"\(MetricsRegistry.escaped($0.value))\"" }.joined(separator: ",")
            if family.series[key] == nil, family.series.count >= MetricsRegistry.seriesMax {
                key = labels.map { "\($0.key)=\"other\"" }.joined(separator: ",")
            }
            let series = family.series[key] ?? make()
            family.series[key] = series
            families[name] = family
            return series
        }
    }

    private static func escaped(_ value: String) -> String {
        value.map { character in
            switch character {
            case "\\": "\\\\"
            case "\"": "\\\""
            case "\n": "\\n"
            default: String(character)
            }
        }.joined()
    }

    /// All metrics in the Prometheus text format, version 0.0.4, sorted by name and labels.
    public func prometheusText() -> String {
        var text = ""
        for (name, family) in families.withLock({ $0 }).sorted(by: { $0.key < $1.key }) {
            text += "# HELP \(name) \(family.help)\n# TYPE \(name) \(family.kind.rawValue)\n"
            for (labels, series) in family.series.sorted(by: { $0.key < $1.key }) {
                text += MetricsRegistry.lines(name: name, labels: labels, series: series)
            }
        }
        return text
    }

    private static func lines(name: String, labels: String, series: Series) -> String {
        let braces = labels.isEmpty ? "" : "{\(labels)}"
        switch series {
        case .counter(let counter): return "\(name)\(braces) \(counter.current)\n"
        case .gauge(let gauge): return "\(name)\(braces) \(number(gauge.current))\n"
        case .histogram(let histogram):
            let (counts, sum) = histogram.current
            let comma = labels.isEmpty ? "" : ","
            var text = ""
            var total = 0
            for (index, count) in counts.enumerated() {
                total += count
                let bound = index < histogram.bounds.count ? number(histogram.bounds[index]) : "+Inf"
                text += "\(name)_bucket{\(labels)\(comma)le=\"\(bound)\"} \(total)\n"
            }
            return text + "\(name)_sum\(braces) \(number(sum))\n\(name)_count\(braces) \(total)\n"
        }
    }

    private static func number(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
    }
}
