public import Core

/// Alerts that nobody is told of for a while.
public struct Silence: Sendable, Equatable {
    /// Where a silence comes from.
    public enum Source: Sendable, Equatable {
        /// A file in version control; it ends when the file is gone.
        case file(SourcePosition)
        case api
        case cli
    }

    /// Where a silence is in its life, in Alertmanager's words.
    public enum State: String, Sendable { case pending, active, expired }

    /// A UUID as text.
    public var id: String
    public var expression: MatchExpression
    public var startsAt: Timestamp
    /// It is over at this time.
    public var endsAt: Timestamp
    /// When it was to be over, where it ended before.
    public var plannedEndsAt: Timestamp?
    public var author: String
    public var comment: String
    /// It also ends when no alert that it silences is open any more.
    public var untilResolved: Bool
    public var source: Source
    public var createdAt: Timestamp
    public var updatedAt: Timestamp

    /// States who silenced what from when until when.
    public init(
        id: String, expression: MatchExpression, startsAt: Timestamp, endsAt: Timestamp, author: String,
        comment: String, untilResolved: Bool, source: Source, createdAt: Timestamp, updatedAt: Timestamp
    ) {
        self.id = id
        self.expression = expression
        self.startsAt = startsAt
        self.endsAt = endsAt
        self.author = author
        self.comment = comment
        self.untilResolved = untilResolved
        self.source = source
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }

    /// Whether it comes from a file in version control.
    public var isOfFile: Bool {
        if case .file = source { true } else { false }
    }

    /// Where it is in its life.
    public func state(at time: Timestamp) -> State {
        time >= endsAt ? .expired : time < startsAt ? .pending : .active
    }

    /// Whether it silences an alert now.
    public func silences(_ subject: AlertSubject, at time: Timestamp) -> Bool {
        state(at: time) == .active && expression.matches(subject)
    }

    /// A UUID from 16 random or digested bytes.
    public static func id(bytes: [UInt8]) -> String {
        var bytes = Array(bytes.prefix(16)) + Array(repeating: 0, count: max(0, 16 - bytes.count))
        bytes[6] = bytes[6] & 0x0F | 0x40
        bytes[8] = bytes[8] & 0x3F | 0x80
        let hex = Array(Hex.encode(bytes))
        return [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].map { String(hex[$0]) }.joined(separator: "-")
    }
}

extension Silence {
    /// Version 1 has no planned end.
    private static let formatVersion: UInt8 = 2

    /// The silence in its stored binary form.
    public var bytes: [UInt8] {
        var writer = ByteWriter(reserving: 256)
        writer.byte(Silence.formatVersion)
        writer.text(id)
        switch expression {
        case .labels(let matchers):
            writer.byte(0)
            writer.count(matchers.count)
            for matcher in matchers {
                writer.text(matcher.name)
                writer.text(matcher.value)
                writer.bool(matcher.isRegex)
                writer.bool(matcher.isEqual)
            }
        case .cel(let condition):
            writer.byte(1)
            writer.text(condition.text)
        }
        for time in [startsAt, endsAt, createdAt, updatedAt] { writer.signed(time.milliseconds) }
        writer.text(author)
        writer.text(comment)
        writer.bool(untilResolved)
        switch source {
        case .api: writer.byte(0)
        case .cli: writer.byte(1)
        case .file(let position):
            writer.byte(2)
            writer.text(position.file)
            writer.signed(Int64(position.line))
            writer.signed(Int64(position.column))
        }
        writer.optional(plannedEndsAt) { $0.signed($1.milliseconds) }
        return writer.bytes
    }

    /// Reads the stored binary form.
    public init(bytes: [UInt8]) throws(ByteReadError) {
        var reader = ByteReader(bytes)
        let version = try reader.byte()
        guard (1...Silence.formatVersion).contains(version) else {
            throw ByteReadError(message: "unknown silence format \(version)", byteOffset: 0)
        }
        id = try reader.text()
        expression = try Silence.expression(&reader)
        startsAt = Timestamp(milliseconds: try reader.signed())
        endsAt = Timestamp(milliseconds: try reader.signed())
        createdAt = Timestamp(milliseconds: try reader.signed())
        updatedAt = Timestamp(milliseconds: try reader.signed())
        author = try reader.text()
        comment = try reader.text()
        untilResolved = try reader.bool()
        switch try reader.byte() {
        case 0: source = .api
        case 1: source = .cli
        case 2:
            let file = try reader.text()
            let line = Int(truncatingIfNeeded: try reader.signed())
            source = .file(
                SourcePosition(file: file, line: line, column: Int(truncatingIfNeeded: try reader.signed())))
        case let other: throw ByteReadError(message: "unknown source \(other) of a silence", byteOffset: 0)
        }
        plannedEndsAt = version == 1 ? nil : try reader.optionalTimestamp()
    }

    private static func expression(_ reader: inout ByteReader) throws(ByteReadError) -> MatchExpression {
        switch try reader.byte() {
        case 0:
            var matchers: [LabelMatcher] = []
            for _ in 0..<(try reader.count()) { matchers.append(try matcher(&reader)) }
            return .labels(matchers)
        case 1:
            let text = try reader.text()
            do throws(LabelMatcher.Problem) {
                return try MatchExpression(matchers: [LabelMatcher(MatchExpression.celMatcherName, equals: text)])
            } catch { throw ByteReadError(message: error.message, byteOffset: 0) }
        case let other: throw ByteReadError(message: "unknown kind \(other) of a silence", byteOffset: 0)
        }
    }

    private static func matcher(_ reader: inout ByteReader) throws(ByteReadError) -> LabelMatcher {
        let name = try reader.text()
        let value = try reader.text()
        let isRegex = try reader.bool()
        let isEqual = try reader.bool()
        do throws(LabelMatcher.Problem) {
            return try LabelMatcher(name: name, value: value, isRegex: isRegex, isEqual: isEqual)
        } catch { throw ByteReadError(message: error.message, byteOffset: 0) }
    }
}
