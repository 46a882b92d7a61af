/// What a name was found to mean.
internal enum ResolvedName: Sendable {
    /// A variable of a macro.
    case local(Int)
    case slot(SlotReference, CELType)
    case record(space: UInt8)
    case dynamic(Int)
    case type(String)
    case undeclared
}

/// A resolved call: which function, and whether the receiver is its first argument.
internal struct ResolvedCall: Sendable {
    var function: FunctionTable.Function
    var hasReceiver: Bool
}

/// An expression with the types and meanings of its nodes.
internal struct CheckedExpression: Sendable {
    var tree: ExpressionTree
    var types: [CELType]
    /// By node: identifiers and the topmost select of a chain that is one name.
    var names: [Int: ResolvedName] = [:]
    /// By node: the chain as written.
    var paths: [Int: [String]] = [:]
    var calls: [Int: ResolvedCall] = [:]
    /// By node of a macro: where its variables live.
    var locals: [Int: Int] = [:]
    var localCount = 0
}
