internal import Core
public import Store
internal import Synchronization

/// A store that fails when a test says so; what it does not fail it hands on.
///
/// It counts submitted units of work: the n-th can fail before it is done (a full disk, a crash before the commit) or
/// after it is durable (a crash before anybody was told).
public final class FaultyStore: RouterStore {
    /// How a unit of work fails.
    public enum Fault: Sendable, Equatable {
        /// Nothing of it is stored.
        case before(StoreError.Code)
        /// It is stored, but nobody hears of it.
        case after(StoreError.Code)
    }

    private struct State {
        var count = 0
        var faults: [Int: Fault] = [:]
        var probeFailures = 0
        var probeCount = 0
        /// Submitted while the store hangs; nil while it does not.
        var held: [@Sendable () -> Void]?
    }

    private let store: any RouterStore
    private let state = Mutex(State())

    /// Wraps a store.
    public init(_ store: any RouterStore) { self.store = store }

    public var run: Int64 { store.run }

    /// Units submitted so far, failed ones included.
    public var unitCount: Int { state.withLock { $0.count } }

    /// How often it was probed.
    public var probeCount: Int { state.withLock { $0.probeCount } }

    /// Fails the n-th unit from now, the next one being 1.
    public func fail(unit number: Int, _ fault: Fault) {
        state.withLock { $0.faults[$0.count + number] = fault }
    }

    /// Lets units that are submitted from now on wait, as a disk that hangs does.
    public func hang() { state.withLock { $0.held = $0.held ?? [] } }

    /// Ends ``hang()``: what waits is done, in order.
    public func goOn() {
        let held = state.withLock { state in
            defer { state.held = nil }
            return state.held ?? []
        }
        for unit in held { unit() }
    }

    /// Fails the next probes.
    public func failProbes(_ count: Int) { state.withLock { $0.probeFailures = count } }

    public func write<T: Sendable>(
        byteCount: Int, _ body: @escaping @Sendable (any StoreTransaction) throws -> T
    ) async throws -> T {
        switch nextFault() {
        case .before(let code): throw FaultyStore.error(code)
        case .after(let code):
            _ = try await store.write(byteCount: byteCount, body)
            throw FaultyStore.error(code)
        case nil: return try await store.write(byteCount: byteCount, body)
        }
    }

    public func submit(
        byteCount: Int, chain: WriteChain?, _ body: @escaping @Sendable (any StoreTransaction) throws -> Void,
        completion: @escaping @Sendable (Result<Void, any Error>) -> Void
    ) {
        let isHeld = state.withLock { state in
            guard state.held != nil else { return false }
            state.held?.append { self.submit(byteCount: byteCount, chain: chain, body, completion: completion) }
            return true
        }
        if isHeld { return }
        switch nextFault() {
        case .before(let code):
            store.submit(byteCount: byteCount, chain: chain) { _ in
                throw FaultyStore.error(code)
            } completion: {
                completion($0)
            }
        case .after(let code):
            store.submit(byteCount: byteCount, chain: chain, body) { _ in
                completion(.failure(FaultyStore.error(code)))
            }
        case nil: store.submit(byteCount: byteCount, chain: chain, body, completion: completion)
        }
    }

    public func read<T>(_ body: (any StoreReader) throws -> T) throws -> T { try store.read(body) }

    public func probe() async throws {
        let fails = state.withLock { state in
            state.probeCount += 1
            guard state.probeFailures > 0 else { return false }
            state.probeFailures -= 1
            return true
        }
        if fails { throw FaultyStore.error(.diskFull) }
        try await store.probe()
    }

    private func nextFault() -> Fault? {
        state.withLock { state in
            state.count += 1
            return state.faults.removeValue(forKey: state.count)
        }
    }

    private static func error(_ code: StoreError.Code) -> StoreError {
        StoreError(code, "A test made this unit fail.", systemCode: nil)
    }
}
