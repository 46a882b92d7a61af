internal import Core

/// Where the change lies in the JSON, and what shape it has there.
struct EventForm: Hashable, Sendable {
    /// The members around the body.
    enum Wrapper: Int, CaseIterable, Sendable {
        case none
        /// Kafka Connect's `{"schema":…,"payload":…}`.
        case payload
        /// A structured CloudEvent.
        case data
        /// A structured CloudEvent around Connect's schema and payload.
        case dataPayload

        var path: [String] {
            switch self {
            case .none: []
            case .payload: ["payload"]
            case .data: ["data"]
            case .dataPayload: ["data", "payload"]
            }
        }
    }

    enum Body: Int, CaseIterable, Sendable {
        /// A row with `_change_type`.
        case cdf
        /// `before`, `after`, `op`, `source`.
        case debezium
        /// `before` and `after` without `op`.
        case images
        /// A row with `__op` or `__deleted`.
        case flat
        /// A row with `__dbz_operation`.
        case deltaflow
        /// A row.
        case plain
    }

    var wrapper: Wrapper
    var body: Body
    /// Whether attributes of a CloudEvent stand around it (structured) or in the headers (binary).
    var isCloudEvent: Bool

    /// The format this form belongs to: positions of different formats cannot be compared.
    var format: EventFormat {
        if isCloudEvent { return .cloudevents }
        switch body {
        case .cdf: return .cdf
        case .debezium, .images: return .debezium
        case .flat: return .debeziumFlat
        case .deltaflow: return .deltaflow
        case .plain: return .plain
        }
    }

    /// The form a topic of a declared format most likely has; its first message tells.
    static func likely(_ format: EventFormat) -> EventForm? {
        switch format {
        case .detect: nil
        case .cdf: EventForm(wrapper: .none, body: .cdf, isCloudEvent: false)
        case .debezium: EventForm(wrapper: .none, body: .debezium, isCloudEvent: false)
        case .debeziumFlat: EventForm(wrapper: .none, body: .flat, isCloudEvent: false)
        case .cloudevents: nil
        case .deltaflow: EventForm(wrapper: .none, body: .deltaflow, isCloudEvent: false)
        case .plain: EventForm(wrapper: .none, body: .plain, isCloudEvent: false)
        }
    }

    var isStructured: Bool { wrapper == .data || wrapper == .dataPayload }

    var conventions: RowConventions {
        switch body {
        case .debezium: RowConventions(missingIsNull: false, isDebezium: true)
        case .flat: RowConventions(missingIsNull: false, isDebezium: true)
        case .deltaflow: RowConventions(missingIsNull: true, isDebezium: true)
        case .images where wrapper == .payload || wrapper == .dataPayload:
            RowConventions(missingIsNull: false, isDebezium: true)
        case .cdf, .images, .plain: RowConventions(missingIsNull: true, isDebezium: false)
        }
    }
}

/// Slots behind the row images: what the format itself says.
enum MetaSlot: Int, CaseIterable {
    /// Hash and member count of the first and second image.
    case firstRow, secondRow
    case operation, position, time, table
    case deleted
    /// MySQL's binlog file and position.
    case file, filePosition
    case eventType, eventSequence, cloudOperation, cloudPosition, specVersion
    /// Hash of the Connect schema.
    case schema
    /// Members that say the row is of another form.
    case foreign
}

/// The compiled extraction of one form for one table. Immutable.
final class EventShape: Sendable {
    let form: EventForm
    /// Slots of one row image.
    let columnCount: Int
    let plan: JSONPlan
    /// JSON columns that may come as text, with the columns rules read inside.
    let nested: [NestedColumns]
    let conventions: RowConventions

    struct NestedColumns: Sendable {
        /// The slot of the text, per image.
        var textSlots: [Int]
        var plan: JSONPlan
        /// Slot in `plan` and slot in the image.
        var columns: [(from: Int, to: Int)]
    }

    init?(form: EventForm, table: TableCatalog.Table) {
        guard let plan = JSONPlan() else { return nil }
        self.form = form
        self.plan = plan
        conventions = form.conventions
        columnCount = table.layout.count
        let root = form.wrapper.path
        var images = [root]
        if form.body == .debezium || form.body == .images { images = [root + ["before"], root + ["after"]] }
        let paths = table.layout.columns.map { EventShape.members(of: $0.path, in: table.declaration) }
        for (index, image) in images.enumerated() {
            for (column, path) in paths.enumerated() { plan.want(image + path, slot: index * columnCount + column) }
            plan.wantRow(image, slot: 2 * columnCount + index)
        }
        let builder = EventShape.Builder(plan: plan, base: 2 * columnCount, root: root)
        builder.addBody(form.body, table.declaration)
        if form.isStructured { builder.addCloudEvent() }
        if form.wrapper == .payload { plan.wantRow(["schema"], slot: builder.base + MetaSlot.schema.rawValue) }
        if form.wrapper == .dataPayload {
            plan.wantRow(["data", "schema"], slot: builder.base + MetaSlot.schema.rawValue)
        }
        guard let nested = EventShape.nested(plan, paths, images, table, conventions, after: builder.base) else {
            return nil
        }
        self.nested = nested
    }

    func meta(_ slot: MetaSlot) -> Int { 2 * columnCount + slot.rawValue }

    /// The members that a column path names: a declared name with a dot in it is one member.
    static func members(of path: String, in declaration: TableDeclaration) -> [String] {
        path.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    }

    private struct Builder {
        let plan: JSONPlan
        let base: Int
        let root: [String]

        func want(_ path: [String], _ slot: MetaSlot, excluded: Bool) {
            plan.want(root + path, slot: base + slot.rawValue)
            if excluded { plan.exclude(root + path) }
        }

        func addBody(_ body: EventForm.Body, _ declaration: TableDeclaration) {
            switch body {
            case .cdf:
                for spelling in [{ $0 }, { $0.uppercased() }] as [(String) -> String] {
                    want([spelling("_change_type")], .operation, excluded: true)
                    want([spelling("_commit_version")], .position, excluded: true)
                    want([spelling("_commit_timestamp")], .time, excluded: true)
                }
            case .debezium:
                want(["op"], .operation, excluded: false)
                want(["source", "lsn"], .position, excluded: false)
                want(["source", "file"], .file, excluded: false)
                want(["source", "pos"], .filePosition, excluded: false)
                want(["source", "ts_ms"], .time, excluded: false)
                want(["source", "table"], .table, excluded: false)
            case .images:
                want(["op"], .operation, excluded: false)
                want([declaration.positionColumn ?? "commit_version"], .position, excluded: false)
                want(["source", "lsn"], .cloudPosition, excluded: false)
            case .flat:
                want(["__op"], .operation, excluded: true)
                want(["__deleted"], .deleted, excluded: true)
                want(["__source_ts_ms"], .time, excluded: true)
                want(["__table"], .table, excluded: true)
                for name in ["__lsn", "__source_lsn", "__ts_ms"] { plan.exclude(root + [name]) }
            case .deltaflow:
                want(["__dbz_operation"], .operation, excluded: true)
                want(["__dbz_timestamp"], .time, excluded: true)
                want(["__dbz_table"], .table, excluded: true)
                for name in ["__dbz_server", "__dbz_schema"] { plan.exclude(root + [name]) }
            case .plain:
                if let name = declaration.operationColumn { want([name], .operation, excluded: true) }
                if let name = declaration.positionColumn { want([name], .position, excluded: true) }
                for name in ["_change_type", "_CHANGE_TYPE", "__op", "__deleted", "__dbz_operation", "specversion"] {
                    want([name], .foreign, excluded: false)
                }
            }
        }

        func addCloudEvent() {
            plan.want(["specversion"], slot: base + MetaSlot.specVersion.rawValue)
            plan.want(["type"], slot: base + MetaSlot.eventType.rawValue)
            plan.want(["sequence"], slot: base + MetaSlot.eventSequence.rawValue)
            plan.want(["iodebeziumop"], slot: base + MetaSlot.cloudOperation.rawValue)
            plan.want(["iodebeziumlsn"], slot: base + MetaSlot.cloudPosition.rawValue)
            plan.want(["time"], slot: base + MetaSlot.time.rawValue)
        }
    }

    private static func nested(
        _ plan: JSONPlan, _ paths: [[String]], _ images: [[String]], _ table: TableCatalog.Table,
        _ conventions: RowConventions, after base: Int
    ) -> [NestedColumns]? {
        guard conventions.isDebezium else { return [] }
        var next = base + MetaSlot.allCases.count
        var groups: [String: [Int]] = [:]
        for (column, path) in paths.enumerated() where path.count > 1 { groups[path[0], default: []].append(column) }
        var nested: [NestedColumns] = []
        for (name, columns) in groups.sorted(by: { $0.key < $1.key }) {
            guard let inner = JSONPlan() else { return nil }
            var mapped: [(from: Int, to: Int)] = []
            for (index, column) in columns.enumerated() {
                inner.want(Array(paths[column].dropFirst()), slot: index)
                mapped.append((index, column))
            }
            var texts: [Int] = []
            for image in images {
                plan.want(image + [name], slot: next)
                texts.append(next)
                next += 1
            }
            nested.append(NestedColumns(textSlots: texts, plan: inner, columns: mapped))
        }
        return nested
    }
}
