internal import Core

/// The offsets of one time zone: all transitions it has had, and 400 years of those it will have.
///
/// The Gregorian calendar repeats after 400 years, to the weekday. So what follows the last transition of the zone's
/// file is laid out once for 400 years, and a later time is looked up 400 years, or several times 400, earlier: exact,
/// and one binary search for every time.
struct ZoneTable: Sendable, Equatable {
    /// Milliseconds since 1970 UTC at which the offset changes, ascending.
    let starts: [Int64]
    /// One more than ``starts``: the offset before the first, then the one from each start on, in milliseconds.
    let offsets: [Int64]
    /// From here on the zone repeats itself; nil where it keeps its last offset.
    let cycleEnd: Int64?

    /// 400 years: 146,097 days.
    static let cycle: Int64 = 146_097 * 86_400_000

    /// A stretch of time with one offset.
    struct Span: Sendable, Equatable {
        /// Inclusive; `Int64.min` for the first.
        var start: Int64
        /// Exclusive; `Int64.max` for the last.
        var end: Int64
        var offset: Int64
    }

    /// A zone whose offset never changes.
    init(offset: Int64) {
        starts = []
        offsets = [offset]
        cycleEnd = nil
    }

    /// Makes a table of the transitions of a file, ascending, and the rule that follows them.
    init(first: Int64, transitions: [(start: Int64, offset: Int64)], footer: ZoneFooter?) {
        var starts: [Int64] = []
        var offsets = [first]
        func append(_ start: Int64, _ offset: Int64) {
            if let last = starts.last, last >= start {
                guard last == start else { return }
                starts.removeLast()
                offsets.removeLast()
            }
            guard offsets.last != offset else { return }
            starts.append(start)
            offsets.append(offset)
        }
        for transition in transitions { append(transition.start, transition.offset) }
        guard let footer else {
            self.starts = starts
            self.offsets = offsets
            cycleEnd = nil
            return
        }
        let last = transitions.last?.start ?? 0
        let lastYear = LocalTime(milliseconds: max(last, 0)).civil.year
        let end = Int64(CivilDate.days(year: lastYear + 401, month: 1, day: 1)) * 86_400_000
        if transitions.isEmpty { offsets = [footer.offset(yearStart: lastYear)] }
        for year in lastYear...(lastYear + 401) {
            for transition in footer.transitions(year: year)
            where transition.start > last && transition.start < end {
                append(transition.start, transition.offset)
            }
        }
        self.starts = starts
        self.offsets = offsets
        cycleEnd = footer.hasDaylightTime ? end : nil
    }

    /// The stretch that holds a time.
    ///
    /// Where the zone repeats itself, a stretch may end although the next one has the same offset.
    func span(at milliseconds: Int64) -> Span {
        guard let cycleEnd, milliseconds >= cycleEnd else { return plainSpan(at: milliseconds) }
        let shift = ((milliseconds - cycleEnd) / ZoneTable.cycle + 1) * ZoneTable.cycle
        let span = plainSpan(at: milliseconds - shift)
        return Span(
            start: max(span.start, cycleEnd - ZoneTable.cycle) + shift, end: min(span.end, cycleEnd) + shift,
            offset: span.offset)
    }

    private func plainSpan(at milliseconds: Int64) -> Span {
        var low = 0
        var high = starts.count
        while low < high {
            let middle = (low + high) / 2
            if starts[middle] <= milliseconds { low = middle + 1 } else { high = middle }
        }
        return Span(
            start: low == 0 ? .min : starts[low - 1], end: low == starts.count ? cycleEnd ?? .max : starts[low],
            offset: offsets[low])
    }
}
