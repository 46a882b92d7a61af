/// Where a name reads from: row images and scalars are arrays of slot values, one array (*space*) per image.
public struct SlotReference: Sendable, Hashable {
    /// Which pointer of ``EvaluationFrame/spaces``: 0 before, 1 after, 2 scalars, 3 free.
    public var space: UInt8
    public var index: UInt16

    /// Names a slot of a space.
    public init(space: UInt8, index: UInt16) {
        self.space = space
        self.index = index
    }
}

/// What the names in an expression mean, and which functions it has beside the standard ones.
public struct Environment: Sendable {
    /// What a name, or a chain of selects such as `after.spec.target`, stands for.
    public enum Resolution: Sendable, Equatable {
        /// The value of a slot, with the declared type of its column (`dyn` when undeclared).
        case slot(SlotReference, CELType)
        /// A row image; only selects of it make sense.
        case record(space: UInt8)
        /// A value that the frame supplies by index when the expression runs.
        case dynamic(Int, CELType)
        /// A misspelt column of a declared table; the candidates feed the suggestion.
        case unknownColumn(candidates: [String])
        /// Nothing of that name.
        case none
    }

    /// One way to call a function that the environment adds.
    public struct Overload: Sendable {
        public var parameters: [CELType]
        public var result: CELType
        /// Whether it is called as `first.name(rest)`; the first parameter is then the receiver.
        public var isMember: Bool

        /// Describes an overload.
        public init(parameters: [CELType], result: CELType, isMember: Bool) {
            self.parameters = parameters
            self.result = result
            self.isMember = isMember
        }
    }

    /// A function that the environment adds: pure, total, and bounded in cost by the size of its arguments.
    public struct Function: Sendable {
        /// Computes the result; the second argument is ``EvaluationFrame/context``, such as the locale of a receiver.
        public typealias Body = @Sendable (_ arguments: [Value], _ context: AnyObject?) throws(EvaluationError) -> Value
        public var name: String
        public var overloads: [Overload]
        public var body: Body

        /// Declares a function.
        public init(name: String, overloads: [Overload], body: @escaping Body) {
            self.name = name
            self.overloads = overloads
            self.body = body
        }
    }

    /// Asked for a chain of selects, longest first: `["after", "spec", "target"]`, `["after", "spec"]`, `["after"]`.
    public var resolve: @Sendable ([String]) -> Resolution
    /// The names an expression may start with, for suggestions.
    public var rootNames: [String]
    /// Functions beside the standard ones.
    public var functions: [Function]
    /// Names of the values of enumerations in ascending order, by the name of their type.
    ///
    /// A value of the type `.message(name)` is an int at run time, the place in this list. It compares, also by order,
    /// with the names written as texts, and with nothing else.
    public var enumerations: [String: [String]]
    /// The namespace in which names are looked up, as CEL's containers; empty for none.
    public var container: String
    /// Whether types are checked at all; without it names and functions fail when the expression runs.
    public var isChecked: Bool
    /// Whether literal durations, timestamps, time zones and regular expressions are validated when compiling.
    public var validatesLiterals: Bool

    /// Makes an environment that is checked and has no container.
    public init(
        resolve: @escaping @Sendable ([String]) -> Resolution, rootNames: [String] = [], functions: [Function] = []
    ) {
        self.resolve = resolve
        self.rootNames = rootNames
        self.functions = functions
        enumerations = [:]
        container = ""
        isChecked = true
        validatesLiterals = true
    }
}

/// A name in an expression and what it stands for.
public struct Reference: Sendable, Equatable {
    /// The chain as written: `["after", "defect_rate"]`.
    public var path: [String]
    public var resolution: Environment.Resolution

    /// Makes a reference.
    public init(path: [String], resolution: Environment.Resolution) {
        self.path = path
        self.resolution = resolution
    }
}
