internal import Synchronization

/// Jobs that build on each other: when one fails, all later ones of the chain fail unrun.
///
/// After a failure a chain stays broken. The submitter drops what it decided on top, reads the stored state and begins
/// a new chain.
public final class WriteChain: Sendable {
    private let broken = Atomic<Bool>(false)

    /// Begins a chain.
    public init() {}

    /// True from the moment a job of the chain failed.
    public var isBroken: Bool { broken.load(ordering: .acquiring) }

    func breakChain() { broken.store(true, ordering: .releasing) }
}
