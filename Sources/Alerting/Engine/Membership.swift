public import Core

/// Whom an alert's episode belongs to and what was told there; stored with the alert.
public struct Membership: Sendable, Hashable {
    /// The alert's place in one group, or its own lane at an incident channel.
    public struct Lane: Sendable, Hashable {
        public var receiver: String
        public var recipient: String?
        public var groupKey: String
        public var isIncident: Bool
        /// The severity last told; nil where nothing was told yet.
        public var told: Severity?
        /// Known there without a message of its own, as after a bootstrap: its end is not told.
        public var isQuiet: Bool
        /// The group is told by schedule.
        public var isDigest = false

        /// Describes a place.
        public init(
            receiver: String, recipient: String?, groupKey: String, isIncident: Bool, told: Severity?, isQuiet: Bool
        ) {
            self.receiver = receiver
            self.recipient = recipient
            self.groupKey = groupKey
            self.isIncident = isIncident
            self.told = told
            self.isQuiet = isQuiet
        }

        /// Its end will be told there.
        public var isTold: Bool { told != nil && !isQuiet }
    }

    public var lanes: [Lane]
    /// Why it fired, in an operator's words, while that is not told everywhere.
    public var cause: String?

    /// The highest severity of the episode.
    public var peak: Severity

    /// Belongs nowhere yet.
    public static let none = Membership(lanes: [], cause: nil, peak: .info)

    /// Gathers the places of an alert.
    public init(lanes: [Lane], cause: String?, peak: Severity) {
        self.lanes = lanes
        self.cause = cause
        self.peak = peak
    }

    /// Writes the stored form.
    public func write(to writer: inout ByteWriter) {
        writer.count(lanes.count)
        for lane in lanes {
            writer.text(lane.receiver)
            writer.optional(lane.recipient) { $0.text($1) }
            writer.text(lane.groupKey)
            writer.byte(
                (lane.isIncident ? 1 : 0) | (lane.isQuiet ? 2 : 0) | (lane.isDigest ? 32 : 0)
                    | (lane.told.map { 4 | $0.rawValue << 3 } ?? 0))
        }
        writer.optional(cause) { $0.text($1) }
        writer.byte(peak.rawValue)
    }

    /// Reads the stored form.
    public init(from reader: inout ByteReader) throws(ByteReadError) {
        lanes = []
        for _ in 0..<(try reader.count()) {
            let receiver = try reader.text()
            let recipient = try reader.optional { reader throws(ByteReadError) in try reader.text() }
            let groupKey = try reader.text()
            let bits = try reader.byte()
            guard let severity = Severity(rawValue: bits >> 3 & 3) else {
                throw ByteReadError(message: "unknown severity of what was told", byteOffset: 0)
            }
            var lane = Lane(
                receiver: receiver, recipient: recipient, groupKey: groupKey, isIncident: bits & 1 != 0,
                told: bits & 4 != 0 ? severity : nil, isQuiet: bits & 2 != 0)
            lane.isDigest = bits & 32 != 0
            lanes.append(lane)
        }
        cause = try reader.optional { reader throws(ByteReadError) in try reader.text() }
        guard let severity = Severity(rawValue: try reader.byte()) else {
            throw ByteReadError(message: "unknown highest severity", byteOffset: 0)
        }
        peak = severity
    }
}

/// Who takes care of an alert, so that nobody is reminded of it.
public struct Acknowledgement: Sendable, Hashable {
    public var by: String
    public var comment: String
    public var at: Timestamp
    /// Nil: until the alert is over.
    public var until: Timestamp?

    /// States who took care when.
    public init(by: String, comment: String, at: Timestamp, until: Timestamp?) {
        self.by = by
        self.comment = comment
        self.at = at
        self.until = until
    }
}

/// What holds messages about an open alert back, and who is told next; stored while there is any of it.
public struct AlertStatus: Sendable, Hashable {
    /// Somebody who is told if the alert goes on.
    public struct PendingEscalation: Sendable, Hashable {
        public var dueAt: Timestamp
        public var unless: Escalation.Unless
        public var notify: [String]
        public var after: Duration
        public var routePath: [String]
        /// Told already; kept so that it is not told again.
        public var isDone: Bool
    }

    public var episode: UInt32
    /// Ids of silences.
    public var silencedBy: [String] = []
    /// Names of maintenance windows.
    public var maintainedBy: [String] = []
    /// Fingerprints of alerts, as hexadecimal digits.
    public var inhibitedBy: [String] = []
    /// Names of mute times that hold a message back now.
    public var mutedBy: [String] = []
    public var acknowledgement: Acknowledgement?
    public var escalations: [PendingEscalation] = []

    /// Nothing holds the alert back.
    public init(episode: UInt32) { self.episode = episode }

    /// Whether there is nothing to keep.
    public var isEmpty: Bool {
        !isSuppressed && mutedBy.isEmpty && acknowledgement == nil && escalations.isEmpty
    }

    /// Nobody is told of it now.
    public var isSuppressed: Bool { !silencedBy.isEmpty || !maintainedBy.isEmpty || !inhibitedBy.isEmpty }

    /// What holds it back, in words.
    public var suppression: String {
        let parts =
            silencedBy.map { "silence \($0)" } + maintainedBy.map { "maintenance window \($0)" }
            + inhibitedBy.map { "inhibited by \($0.prefix(16))" }
        return parts.joined(separator: ", ")
    }

    /// The stored form.
    public var bytes: [UInt8] {
        var writer = ByteWriter(reserving: 128)
        writer.byte(1)
        writer.unsigned(UInt64(episode))
        for list in [silencedBy, maintainedBy, inhibitedBy, mutedBy] { writer.texts(list) }
        writer.optional(acknowledgement) { writer, ack in
            writer.text(ack.by)
            writer.text(ack.comment)
            writer.signed(ack.at.milliseconds)
            writer.optional(ack.until) { $0.signed($1.milliseconds) }
        }
        writer.count(escalations.count)
        for escalation in escalations {
            writer.signed(escalation.dueAt.milliseconds)
            writer.text(escalation.unless.rawValue)
            writer.texts(escalation.notify)
            writer.signed(escalation.after.wholeMilliseconds)
            writer.texts(escalation.routePath)
            writer.bool(escalation.isDone)
        }
        return writer.bytes
    }

    /// Reads the stored form.
    public init(bytes: [UInt8]) throws(ByteReadError) {
        var reader = ByteReader(bytes)
        guard try reader.byte() == 1 else { throw ByteReadError(message: "unknown status format", byteOffset: 0) }
        episode = UInt32(truncatingIfNeeded: try reader.unsigned())
        silencedBy = try reader.texts()
        maintainedBy = try reader.texts()
        inhibitedBy = try reader.texts()
        mutedBy = try reader.texts()
        acknowledgement = try reader.optional { reader throws(ByteReadError) in
            let by = try reader.text()
            let comment = try reader.text()
            let at = Timestamp(milliseconds: try reader.signed())
            return Acknowledgement(by: by, comment: comment, at: at, until: try reader.optionalTimestamp())
        }
        for _ in 0..<(try reader.count()) {
            let dueAt = Timestamp(milliseconds: try reader.signed())
            guard let unless = Escalation.Unless(rawValue: try reader.text()) else {
                throw ByteReadError(message: "unknown condition of an escalation", byteOffset: 0)
            }
            let notify = try reader.texts()
            let after = Duration.milliseconds(try reader.signed())
            escalations.append(
                PendingEscalation(
                    dueAt: dueAt, unless: unless, notify: notify, after: after, routePath: try reader.texts(),
                    isDone: try reader.bool()))
        }
    }
}

extension ByteWriter {
    mutating func texts(_ texts: [String]) {
        count(texts.count)
        for text in texts { self.text(text) }
    }
}

extension ByteReader {
    mutating func texts() throws(ByteReadError) -> [String] {
        var texts: [String] = []
        for _ in 0..<(try count()) { texts.append(try text()) }
        return texts
    }
}
