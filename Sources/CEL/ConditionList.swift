// HOT
internal import Core

/// Conditions that are asked together: for almost every row the answer is that none of them holds.
///
/// One call for all of them costs no reference count and no copy of the frame per condition.
public struct ConditionList: Sendable {
    // SAFETY: the pointers name what `programs` own, which is constant and lives as long as this value.
    private struct Entry: @unchecked Sendable {
        var nodes: UnsafePointer<FastNode>
        var regexes: UnsafePointer<OpaquePointer>
        var root: Int32
        var rejectsNaN: Bool
    }

    private let programs: [Program]
    private let entries: ContiguousArray<Entry>
    private let usesTexts: Bool
    private let isFast: Bool

    /// Gathers conditions; the order is that of evaluation.
    public init(_ programs: [Program]) {
        self.programs = programs
        var entries: ContiguousArray<Entry> = []
        for program in programs {
            guard let nodes = program.fastNodes, let regexes = program.fastRegexes else { continue }
            entries.append(
                Entry(nodes: nodes, regexes: regexes, root: program.fastRoot, rejectsNaN: program.readsColumns))
        }
        self.entries = entries
        usesTexts = programs.contains { $0.fastUsesTexts }
        isFast = entries.count == programs.count
    }

    /// Whether every condition is plainly false: no value that was used is unknown, and no error was absorbed.
    ///
    /// False also where that cannot be told quickly; then each condition has to be evaluated.
    public func areAllFalse(_ frame: borrowing EvaluationFrame) -> Bool {
        guard isFast else { return false }
        let arena = usesTexts ? frame.arena.bytes(offset: 0, count: 0).baseAddress : nil
        let spaces = frame.spaces
        return entries.withUnsafeBufferPointer { entries in
            for entry in entries {
                var evaluation = FastEvaluation(
                    nodes: entry.nodes, regexes: entry.regexes, spaces: spaces, arena: arena,
                    rejectsNaN: entry.rejectsNaN)
                guard evaluation.condition(entry.root) == FastEvaluation.isFalse, evaluation.absorbed == 0 else {
                    return false
                }
            }
            return true
        }
    }
}
