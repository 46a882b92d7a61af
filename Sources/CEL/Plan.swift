/// What the evaluator walks: names resolved, calls bound, macros as loops, literals folded.
internal indirect enum Plan: Sendable {
    case constant(Value)
    case slot(SlotPlan)
    /// `after.?column`.
    case slotOptional(SlotPlan)
    /// `has(after.column)`.
    case slotPresence(SlotPlan)
    /// `after.column == null`, or `!= null`.
    case slotIsNull(SlotPlan, isEqual: Bool)
    case dynamic(Int, name: String, Location)
    case local(Int)
    case select(Plan, field: String, isOptional: Bool, Location)
    case presence(Plan, field: String, Location)
    case not(Plan, Location)
    case negate(Plan, Location)
    case arithmetic(Operator, Plan, Plan, Location)
    case equality(isEqual: Bool, Plan, Plan, Location)
    case ordering(Operator, Plan, Plan, Location)
    case membership(Plan, Plan, Location)
    case index(Plan, Plan, isOptional: Bool, Location)
    case logical(isAnd: Bool, [Plan], Location)
    case conditional(Plan, Plan, Plan, Location)
    case call(FunctionTable.Function, [Plan], Location)
    /// `matches` with a literal pattern.
    case matches(Plan, Regex, Location)
    case list([Plan], optionals: [Bool], Location)
    case map([MapEntry], Location)
    case comprehension(Loop, Location)
    case binding(Int, Plan, Plan)
    case optionalMap(Int, Plan, Plan, isFlat: Bool, Location)
    /// A name or function that an unchecked expression has and nobody declared.
    case failure(EvaluationError)

    struct MapEntry: Sendable {
        var key: Plan
        var value: Plan
        var isOptional: Bool
    }

    struct Loop: Sendable {
        var kind: ComprehensionKind
        var range: Plan
        /// Where the first variable lives; the second follows it.
        var local: Int
        var hasTwoVariables: Bool
        var predicate: Plan?
        var transform: Plan?
    }
}

/// A read of a column.
internal struct SlotPlan: Sendable {
    var slot: SlotReference
    var type: CELType
    /// The column's name without the row image in front, for messages.
    var column: String
    /// Whether an integer of an undeclared column stays one (in comparisons) or becomes the double it stands for.
    var isExact: Bool
    var location: Location
}
