public import Core

/// A condition on one label. A label that is missing is as good as empty.
public struct ConsoleMatcher: Sendable, Hashable, Codable {
    public var name: String
    public var value: String
    /// The value is an RE2 expression that the whole label must match.
    public var isRegex: Bool
    /// False turns the condition round.
    public var isEqual: Bool

    /// Describes a condition.
    public init(name: String, value: String, isRegex: Bool, isEqual: Bool) {
        self.name = name
        self.value = value
        self.isRegex = isRegex
        self.isEqual = isEqual
    }

    /// The name of a matcher whose value is a CEL expression.
    public static let expressionName = "__cel__"

    /// The matcher as it is written: `severity=~"error|critical"`.
    public var text: String {
        let sign = isEqual ? (isRegex ? "=~" : "=") : (isRegex ? "!~" : "!=")
        return "\(name)\(sign)\(JSON.string(value))"
    }
}

/// A silence as the API and the page show it.
public struct ConsoleSilence: Sendable, Equatable {
    /// Where a silence is in its life.
    public enum State: String, Sendable { case pending, active, expired }

    /// A UUID in lower case.
    public var id: String
    /// All must match; one named `__cel__` holds an expression instead.
    public var matchers: [ConsoleMatcher]
    public var startsAt: Timestamp
    public var endsAt: Timestamp
    public var author: String
    public var comment: String
    public var updatedAt: Timestamp
    /// It ends early, when no alert that it silences is open any more.
    public var isUntilResolved: Bool
    /// It stands in a file under version control, and is changed there.
    public var isFromFile: Bool

    /// Describes a silence that people made.
    public init(
        id: String, matchers: [ConsoleMatcher], startsAt: Timestamp, endsAt: Timestamp, author: String,
        comment: String, updatedAt: Timestamp
    ) {
        self.id = id
        self.matchers = matchers
        self.startsAt = startsAt
        self.endsAt = endsAt
        self.author = author
        self.comment = comment
        self.updatedAt = updatedAt
        isUntilResolved = false
        isFromFile = false
    }

    /// Where it is in its life.
    public func state(at now: Timestamp) -> State {
        now < startsAt ? .pending : now < endsAt ? .active : .expired
    }
}

/// An alert that another program pushes, as in Alertmanager's API.
public struct ConsolePushedAlert: Sendable, Equatable {
    public var labels: [String: String]
    public var annotations: [String: String]
    public var startsAt: Timestamp?
    /// When it ends or ended; nil where it holds until nobody repeats it.
    public var endsAt: Timestamp?
    public var generatorURL: String

    /// Describes a pushed alert.
    public init(
        labels: [String: String], annotations: [String: String], startsAt: Timestamp?, endsAt: Timestamp?,
        generatorURL: String
    ) {
        self.labels = labels
        self.annotations = annotations
        self.startsAt = startsAt
        self.endsAt = endsAt
        self.generatorURL = generatorURL
    }
}
