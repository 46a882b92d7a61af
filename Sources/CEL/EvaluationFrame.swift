public import Core

/// The inputs of one evaluation: row images as slots, their texts, and values supplied by the caller.
///
/// It borrows its pointers: they must stay valid until the evaluation returns.
public struct EvaluationFrame {
    /// The slots of each space; nil where that image is not known. By convention 0 is `before`, 1 is `after`, 2 holds
    /// scalars (`op`, `table`, `version`, `ts`, windows), 3 is free.
    public var spaces:
        (
            UnsafePointer<SlotValue>?, UnsafePointer<SlotValue>?, UnsafePointer<SlotValue>?, UnsafePointer<SlotValue>?
        )
    /// Where the texts of the slots lie.
    public var arena: RowArena
    /// Supplies the value of a dynamic reference; nil for a value that is not known.
    public var dynamic: ((Int) -> Value?)?
    /// Handed to the functions that the environment adds.
    public var context: AnyObject?

    /// Makes a frame.
    public init(
        spaces: (
            UnsafePointer<SlotValue>?, UnsafePointer<SlotValue>?, UnsafePointer<SlotValue>?, UnsafePointer<SlotValue>?
        ), arena: RowArena, dynamic: ((Int) -> Value?)? = nil, context: AnyObject? = nil
    ) {
        self.spaces = spaces
        self.arena = arena
        self.dynamic = dynamic
        self.context = context
    }

    /// The slots of a space.
    internal func space(_ index: UInt8) -> UnsafePointer<SlotValue>? {
        switch index {
        case 0: spaces.0
        case 1: spaces.1
        case 2: spaces.2
        default: spaces.3
        }
    }
}
