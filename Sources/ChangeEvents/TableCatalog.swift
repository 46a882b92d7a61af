/// The columns of one table that are extracted from its rows: row key, event time, and what rules read.
///
/// Slots are handed out while rules are compiled and stay the same for the life of the layout.
public struct ColumnLayout: Sendable, Equatable {
    /// Most columns a layout holds; a slot is addressed by 16 bits, and no rule set comes near it.
    public static let columnsMax = 1024

    /// One extracted column.
    public struct Column: Sendable, Equatable {
        /// Names of members from the row down, joined by dots.
        public var path: String
        /// The declared type; nil: as the JSON says.
        public var type: ColumnType?
        /// Whether a row without the column has null there (the column or a struct around it is declared).
        public var isDeclared: Bool
    }

    public private(set) var columns: [Column] = []
    /// The slots of the row key's columns, in order.
    public private(set) var rowKeySlots: [Int] = []
    /// The slot of the event time's column.
    public private(set) var eventTimeSlot: Int?
    private var slots: [String: Int] = [:]
    private let declaration: TableDeclaration

    /// Starts a layout with the columns of the row key and the event time.
    public init(declaration: TableDeclaration) {
        self.declaration = declaration
        rowKeySlots = declaration.rowKey.map { slot(for: $0) }
        eventTimeSlot = declaration.eventTime.map { slot(for: $0) }
    }

    /// The slot of a column path (`defect_rate`, `spec.target`); made at the first call.
    ///
    /// Above ``columnsMax`` columns the last slot is returned for all; ``isFull`` tells.
    public mutating func slot(for path: String) -> Int {
        if let slot = slots[path] { return slot }
        guard !isFull else { return columns.count - 1 }
        slots[path] = columns.count
        columns.append(Column(path: path, type: declaration.type(of: path), isDeclared: declaration.declares(path)))
        return columns.count - 1
    }

    /// The slot of a column path that has one.
    public func existingSlot(for path: String) -> Int? { slots[path] }

    /// Whether no further column fits.
    public var isFull: Bool { columns.count >= ColumnLayout.columnsMax }

    /// How many slots one row image takes.
    public var count: Int { columns.count }
}

/// All tables with their extracted columns, and which topic carries which of them; fixed once rules are compiled.
public struct TableCatalog: Sendable {
    /// One table as decoder, row memory and rules see it.
    public struct Table: Sendable {
        public var declaration: TableDeclaration
        public var layout: ColumnLayout
        /// Whether a loaded rule reads `before` or `changed`: then a postimage waits for its preimage.
        public var readsBefore: Bool

        public var name: String { declaration.name }

        /// Makes a table.
        public init(declaration: TableDeclaration, layout: ColumnLayout, readsBefore: Bool) {
            self.declaration = declaration
            self.layout = layout
            self.readsBefore = readsBefore
        }

        /// Makes a table of which no rule reads anything yet.
        public init(declaration: TableDeclaration) {
            self.init(declaration: declaration, layout: ColumnLayout(declaration: declaration), readsBefore: false)
        }
    }

    public var tables: [Table]

    /// Makes a catalog; ``ChangeEvent/table`` is an index into `tables`.
    public init(tables: [Table]) { self.tables = tables }

    /// The index of a table.
    public func index(of name: String) -> Int? { tables.firstIndex { $0.name == name } }

    /// The tables that a topic carries: a declared topic beats a name that matches.
    public func tables(carriedBy topic: String) -> [Int] {
        let declared = tables.indices.filter { tables[$0].declaration.topics.contains(topic) }
        return declared.isEmpty ? tables.indices.filter { tables[$0].declaration.isCarried(by: topic) } : declared
    }
}
