public import Core

/// All silences, indexed by label, so that an alert is looked at against thousands of them cheaply.
///
/// A silence that wants a text of some label (`plant="Plant 1"`, `plant=~"Plant 1|Plant 2"`) is found under that text;
/// only the others (CEL, other regular expressions, `!=`) are tried one by one.
public struct SilenceSet: Sendable {
    /// Silences by id; expired ones stay until they are removed.
    public private(set) var silences: [String: Silence] = [:]
    private var index = MatcherIndex<String>()
    /// Start and end times, sorted, with repetitions.
    private var changes: [Timestamp] = []

    /// Makes an empty set.
    public init() {}

    /// Adds a silence or replaces the one of that id.
    public mutating func put(_ silence: Silence) {
        remove(id: silence.id)
        silences[silence.id] = silence
        index.insert(silence.id, silence.expression)
        for time in [silence.startsAt, silence.endsAt] { changes.insert(time, at: firstChange(atOrAfter: time)) }
    }

    /// Ends a silence; one that has not begun ends before it begins.
    ///
    /// - Returns: the silence as it is now; nil where there is none of that id, or it is over already.
    @discardableResult
    public mutating func expire(id: String, at time: Timestamp) -> Silence? {
        guard var silence = silences[id], silence.state(at: time) != .expired else { return nil }
        silence.startsAt = min(silence.startsAt, time)
        silence.plannedEndsAt = silence.plannedEndsAt ?? silence.endsAt
        silence.endsAt = time
        silence.updatedAt = time
        put(silence)
        return silence
    }

    /// Forgets a silence.
    @discardableResult
    public mutating func remove(id: String) -> Silence? {
        guard let old = silences.removeValue(forKey: id) else { return nil }
        index.remove(id, old.expression)
        for time in [old.startsAt, old.endsAt] {
            let place = firstChange(atOrAfter: time)
            if place < changes.count, changes[place] == time { changes.remove(at: place) }
        }
        return old
    }

    /// Silences of files together with what is stored of silences.
    public init(files: [Silence], stored: [Silence]) {
        for silence in stored { put(silence) }
        replaceFiles(files)
    }

    /// Takes the silences of files in place of those it had of files.
    ///
    /// One that ended because its alerts did (`until_resolved`) stays ended until its expression or its times change.
    public mutating func replaceFiles(_ files: [Silence]) {
        var ended: [String: Silence] = [:]
        for (id, silence) in silences {
            guard case .file = silence.source else { continue }
            _ = remove(id: id)
            if silence.untilResolved { ended[id] = silence }
        }
        for silence in files {
            guard var old = ended[silence.id], silence.untilResolved, old.plannedEndsAt == silence.endsAt,
                old.startsAt == silence.startsAt, old.expression == silence.expression
            else {
                put(silence)
                continue
            }
            // What does not say when it holds may have changed: who, why, and where it stands.
            (old.author, old.comment, old.source) = (silence.author, silence.comment, silence.source)
            put(old)
        }
    }

    /// Forgets all that were over before a time.
    ///
    /// - Returns: their ids, sorted.
    public mutating func removeExpired(before time: Timestamp) -> [String] {
        let old = silences.values.filter { $0.endsAt < time }.map(\.id).sorted()
        for id in old { _ = remove(id: id) }
        return old
    }

    /// The ids of the silences that silence an alert now, sorted.
    public func silencing(_ subject: AlertSubject, at time: Timestamp) -> [String] {
        guard !silences.isEmpty else { return [] }
        var found: [String] = []
        index.forEachCandidate(subject) { id in
            if let silence = silences[id], silence.silences(subject, at: time) { found.append(id) }
        }
        return found.count > 1 ? found.sorted() : found
    }

    /// When a silence begins or ends next.
    public func nextChange(after time: Timestamp) -> Timestamp? {
        let place = firstChange(atOrAfter: time.adding(milliseconds: 1))
        return place < changes.count ? changes[place] : nil
    }

    private func firstChange(atOrAfter time: Timestamp) -> Int {
        var low = 0
        var high = changes.count
        while low < high {
            let middle = (low + high) / 2
            if changes[middle] < time { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
