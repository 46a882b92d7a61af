internal import Core

/// What becomes of a silence that is put: Alertmanager's rules, as a value.
enum SilenceChange: Equatable {
    /// A silence of its own; where another is replaced, that one ends.
    case create(ConsoleSilence, replaces: String?)
    /// The same silence with other times or words.
    case update(ConsoleSilence)

    /// Decides what putting a silence does.
    ///
    /// - Parameters:
    ///   - wanted: what was asked for; its id names the silence to change, or is empty.
    ///   - previous: the silence of that id.
    ///   - newId: the id for a new one.
    /// - Throws: ``ConsoleFailure``; the words are Alertmanager's where it has some.
    static func plan(
        _ wanted: ConsoleSilence, previous: ConsoleSilence?, newId: String, now: Timestamp
    ) throws(ConsoleFailure) -> SilenceChange {
        guard wanted.startsAt < wanted.endsAt else {
            throw .invalid("Failed to create silence: start time must be before end time")
        }
        guard wanted.endsAt > now else { throw .invalid("Failed to create silence: end time can't be in the past") }
        if !wanted.id.isEmpty, previous == nil { throw .notFound("silence not found") }
        if let previous, previous.isFromFile {
            throw .invalid("silence \(previous.id) stands in a file; change it there")
        }
        if let previous, canChange(previous, to: wanted, now: now) { return .update(wanted) }
        var fresh = wanted
        fresh.id = newId
        fresh.startsAt = max(fresh.startsAt, now)
        let isReplaced = previous.map { $0.state(at: now) != .expired } ?? false
        return .create(fresh, replaces: isReplaced ? previous?.id : nil)
    }

    /// What it silences stays the same, and nothing that was is rewritten.
    private static func canChange(_ previous: ConsoleSilence, to wanted: ConsoleSilence, now: Timestamp) -> Bool {
        guard previous.matchers == wanted.matchers else { return false }
        switch previous.state(at: now) {
        case .active: return previous.startsAt.milliseconds / 1000 == wanted.startsAt.milliseconds / 1000
        case .pending: return wanted.startsAt >= now
        case .expired: return false
        }
    }
}

/// Checks and does what is asked of silences, for the API and the page alike.
struct SilenceDesk: Sendable {
    static let textBytesMax = 4096

    let alerting: ConsoleAlerting
    let clock: any WallClock

    /// Stores a silence by Alertmanager's rules.
    /// - Returns: its id, another than before where what it silences changed.
    func put(_ wanted: ConsoleSilence, by actor: ConsoleActor) async throws -> String {
        try check(wanted)
        let previous = try await alerting.views.silences().first { $0.id == wanted.id }
        let change = try SilenceChange.plan(
            wanted, previous: previous, newId: alerting.makeId(), now: clock.now())
        switch change {
        case .update(let silence): return try await alerting.control.putSilence(silence, by: actor)
        case .create(let silence, let replaced):
            let id = try await alerting.control.putSilence(silence, by: actor)
            if let replaced { try await alerting.control.expireSilence(id: replaced, by: actor) }
            return id
        }
    }

    /// Ends a silence.
    func expire(id: String, by actor: ConsoleActor) async throws {
        guard let silence = try await alerting.views.silences().first(where: { $0.id == id }) else {
            throw ConsoleFailure.notFound("silence not found")
        }
        guard !silence.isFromFile else {
            throw ConsoleFailure.invalid("silence \(id) stands in a file; remove it there")
        }
        guard silence.state(at: clock.now()) != .expired else {
            throw ConsoleFailure.invalid("silence \(id) already expired")
        }
        try await alerting.control.expireSilence(id: id, by: actor)
    }

    private func check(_ silence: ConsoleSilence) throws {
        guard !silence.matchers.isEmpty else {
            throw ConsoleFailure.invalid("invalid silence: at least one matcher required")
        }
        for (name, text) in [("comment", silence.comment), ("createdBy", silence.author)]
        where text.utf8.count > SilenceDesk.textBytesMax {
            throw ConsoleFailure.invalid("invalid silence: \(name) has more than \(SilenceDesk.textBytesMax) bytes")
        }
        if let expression = silence.matchers.first(where: { $0.name == ConsoleMatcher.expressionName }) {
            guard silence.matchers.count == 1, expression.isEqual, !expression.isRegex, !expression.value.isEmpty else {
                throw ConsoleFailure.invalid("invalid silence: the matcher __cel__ stands alone, with = and a value")
            }
            return
        }
        for matcher in silence.matchers where matcher.name.isEmpty {
            throw ConsoleFailure.invalid("invalid silence: a matcher has no name")
        }
        guard !(try MatcherSet(silence.matchers, views: alerting.views)).matchesNothingAtAll else {
            throw ConsoleFailure.invalid(
                "invalid silence: at least one matcher must not match the empty string")
        }
    }
}
