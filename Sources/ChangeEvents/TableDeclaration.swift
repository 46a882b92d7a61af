/// What the messages of a table's topics are.
public enum EventFormat: String, Sendable, Hashable, CaseIterable {
    /// Found out from the first messages of the topic, then remembered.
    case detect
    /// Rows of Delta's change data feed, with `_change_type`, `_commit_version` and `_commit_timestamp`.
    case cdf
    /// Debezium's envelope, with or without its schema.
    case debezium
    /// Debezium's flattened rows, with `__op` or `__deleted`.
    case debeziumFlat = "debezium_flat"
    /// CloudEvents, structured or binary, around a row, `{before, after}`, a CDF row or a Debezium envelope.
    case cloudevents
    /// Rows of Fabric's DeltaFlow, with `__dbz_operation`.
    case deltaflow
    /// Rows without metadata; a message without a value deletes.
    case plain
}

/// What is known of a table before any of its rows is read (one entry of `rules/tables.yaml`).
public struct TableDeclaration: Sendable, Equatable {
    /// Whether the source sends the row as it was before an update.
    public enum Preimages: String, Sendable, CaseIterable {
        /// The preimage comes with the event or as a message of the same version.
        case sent
        /// Never: `before` is what the router remembers of the row.
        case none
    }

    /// What happens to a row older than the newest one of its key.
    public enum Late: String, Sendable, CaseIterable {
        /// It is counted and changes no state.
        case drop
        /// It is judged as if it were new; the newest position stays.
        case accept
    }

    public var name: String
    /// The columns that identify a row, in order; empty: the message key as a whole.
    public var rowKey: [String]
    /// The column that orders rows inside windows; nil: the commit time.
    public var eventTime: String?
    /// Raised by the operator when the table is recreated and its versions start again.
    public var epoch: Int32
    /// Columns by path; the fields of a struct have paths such as `spec.target`.
    public var columns: [String: ColumnType]
    public var preimages: Preimages
    /// How late rows may arrive; the table clock stays this far behind.
    public var maxDelay: Duration
    public var late: Late
    /// Most row keys that are remembered.
    public var rowKeysMax: Int
    /// How long a row key is remembered after its last change, by commit time.
    public var rowStateTTL: Duration
    /// How long a delete must stand before it resolves an alert.
    public var deleteHold: Duration
    /// The topics the table comes on; empty: every topic whose last dotted part is the table's name.
    public var topics: [String]
    public var format: EventFormat
    /// The column that says what happened, in rows of format `plain`; nil: every row is an upsert.
    public var operationColumn: String?
    /// The column that orders changes of a row, in rows of format `plain` and `cloudevents`; nil: the offset.
    public var positionColumn: String?

    /// Makes a declaration with the defaults of `tables.yaml`; set what differs.
    public init(name: String, rowKey: [String], columns: [String: ColumnType]) {
        self.name = name
        self.rowKey = rowKey
        self.columns = columns
        eventTime = nil
        epoch = 0
        preimages = .sent
        maxDelay = .seconds(60)
        late = .drop
        rowKeysMax = 1_000_000
        rowStateTTL = .seconds(7 * 86_400)
        deleteHold = .seconds(60)
        topics = []
        format = .detect
    }

    /// The declared type of a column path: of the path itself, or `nil` where it is not declared.
    public func type(of path: String) -> ColumnType? { columns[path] }

    /// Whether the path, or a struct it lies in, is declared.
    public func declares(_ path: String) -> Bool {
        if columns[path] != nil { return true }
        var rest = Substring(path)
        while let dot = rest.lastIndex(of: ".") {
            rest = rest[..<dot]
            if columns[String(rest)] != nil { return true }
        }
        return false
    }

    /// Whether a topic carries this table.
    public func isCarried(by topic: String) -> Bool {
        if topics.isEmpty { return topic == name || topic.hasSuffix("." + name) }
        return topics.contains(topic)
    }
}

extension TableDeclaration {
    /// Whether late rows are judged.
    public var lateAccept: Bool { late == .accept }
}
