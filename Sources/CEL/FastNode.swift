internal import Core

/// One operation of a condition in its compact form: trivial, so that evaluating touches no reference count.
internal struct FastNode {
    enum Operation: UInt8 {
        // Conditions: false, true, or a problem.
        case and
        case or
        case not
        case conditional
        case hasSlot
        case slotIsNull
        /// A slot against a double.
        case slotAgainstDouble
        case slotAgainstInt
        /// A text slot equal, or not, to a text.
        case slotAgainstText
        case compare
        case inList
        case startsWith
        case endsWith
        case contains
        case matches
        // Values.
        case constant
        case slot
        case slotOr
        case add
        case subtract
        case multiply
        case divide
        case modulo
        case negate
        case toDouble
        case size
        case absolute
        case floor
        case ceiling
        case round
    }

    /// How a slot is read: by its declared type; an undeclared integer stays one in comparisons only.
    enum Mode: UInt8 {
        case exact
        case inexact
        case double
        case int
        case uint
        case decimal
        case bool
        case string
        case timestamp
    }

    var operation: Operation
    /// Which orders make a comparison true.
    var relation: UInt8 = 0
    var mode = Mode.exact
    var space: UInt8 = 0
    var slot: UInt16 = 0
    /// Operands; the first term of a chain, the first element of a list.
    var left: Int32 = -1
    var right: Int32 = -1
    var third: Int32 = -1
    /// The next term of the chain that it is in.
    var next: Int32 = -1
    var value = FastValue(tag: .other)
}

/// A value of the fast path; texts lie in the arena of the rows or in the program.
internal struct FastValue {
    enum Tag: UInt8 {
        /// Evaluation failed; the context knows why.
        case problem
        case bool
        case int
        case uint
        case double
        case decimal
        case string
        /// `bits` are seconds, `count` nanoseconds.
        case timestamp
        case duration
        /// A value that compares with nothing here: a list or an object.
        case other
    }

    var tag: Tag
    var count: UInt32 = 0
    var bits: UInt64 = 0
    /// The bytes of a text; of a number its decimal text, where there is one.
    var text: UnsafeRawPointer?

    @inline(__always)
    static func double(_ value: Double) -> FastValue { FastValue(tag: .double, bits: value.bitPattern) }
    @inline(__always)
    static func int(_ value: Int64) -> FastValue { FastValue(tag: .int, bits: UInt64(bitPattern: value)) }
    @inline(__always)
    static func bool(_ value: Bool) -> FastValue { FastValue(tag: .bool, bits: value ? 1 : 0) }

    @inline(__always)
    var double: Double { Double(bitPattern: bits) }
    @inline(__always)
    var int: Int64 { Int64(bitPattern: bits) }
    @inline(__always)
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: text, count: Int(count)) }
    @inline(__always)
    var isNumber: Bool { tag.rawValue >= Tag.int.rawValue && tag.rawValue <= Tag.decimal.rawValue }

    /// The nearest double of a number.
    @inline(__always)
    var approximate: Double {
        switch tag {
        case .int: Double(int)
        case .uint: Double(bits)
        default: double
        }
    }
}

/// The orders of two values, as bits of a relation.
internal enum FastOrder {
    static let less: UInt8 = 1
    static let equal: UInt8 = 2
    static let greater: UInt8 = 4
    /// One is NaN.
    static let unordered: UInt8 = 8
    /// Values of types without an order between them.
    static let incomparable: UInt8 = 16

    static func relation(_ operation: Operator) -> UInt8 {
        switch operation {
        case .less: less
        case .lessEqual: less | equal
        case .greater: greater
        case .greaterEqual: greater | equal
        case .equal: equal
        default: less | greater | unordered | incomparable
        }
    }
}

/// Why the fast path has no value.
internal enum FastProblem: UInt8 {
    case none
    case nullValue
    case missing
    case unknownValue
    case notANumber
    case wrongType
    case noSuchOverload
    case overflow
    case divideByZero
}

/// A condition in compact form, with the texts and expressions it refers to.
internal final class FastProgram: @unchecked Sendable {
    // SAFETY: written only while it is built; afterwards every access reads.
    let nodes: UnsafeMutablePointer<FastNode>
    let nodeCount: Int
    let root: Int32
    let texts: UnsafeMutableRawPointer
    let regexes: UnsafeMutablePointer<OpaquePointer>
    let usesTexts: Bool
    /// Keeps the compiled expressions alive.
    private let owners: [Regex]
    /// By node: where it stands and which column it reads.
    let sites: [(location: Location, column: String)]

    init(_ builder: FastBuilder, root: Int32) {
        nodeCount = builder.nodes.count
        nodes = .allocate(capacity: max(1, nodeCount))
        nodes.initialize(from: builder.nodes, count: nodeCount)
        let texts = UnsafeMutableRawPointer.allocate(byteCount: max(1, builder.texts.count), alignment: 8)
        builder.texts.withUnsafeBytes { bytes in
            if let base = bytes.baseAddress { texts.copyMemory(from: base, byteCount: bytes.count) }
        }
        self.texts = texts
        // Literal texts were noted as offsets, since the buffer moved while it grew.
        for (node, offset) in builder.textOffsets { nodes[node].value.text = UnsafeRawPointer(texts) + offset }
        owners = builder.regexes
        regexes = .allocate(capacity: max(1, owners.count))
        for (index, regex) in owners.enumerated() { regexes[index] = regex.handle }
        self.root = root
        usesTexts = builder.usesTexts
        sites = builder.sites
    }

    deinit {
        nodes.deallocate()
        texts.deallocate()
        regexes.deallocate()
    }

    /// The error that a problem at a node is.
    func error(_ problem: FastProblem, at node: Int32, source: SourceMap) -> EvaluationError {
        let site = sites[Int(node)]
        let kind: EvaluationError.Kind
        switch problem {
        case .nullValue: kind = .nullValue(column: site.column)
        case .missing: kind = .missing(column: site.column)
        case .unknownValue: kind = .unknownValue(column: site.column)
        case .notANumber: kind = .notANumber(column: site.column.isEmpty ? nil : site.column)
        case .wrongType: kind = .wrongType(column: site.column)
        case .overflow: kind = .overflow
        case .divideByZero: kind = .divideByZero
        case .noSuchOverload, .none: kind = .noSuchOverload
        }
        return EvaluationError(kind, nil, at: site.location, in: source)
    }
}
