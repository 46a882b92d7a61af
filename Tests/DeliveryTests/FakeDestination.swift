import Core
import Delivery
import Store
import Synchronization

/// A destination whose answers a test scripts.
final class FakeDestination: Destination {
    let receiver: String
    let channel = "fake"
    let policy: DestinationPolicy
    /// Joins as a message channel does; else the oldest row goes alone.
    let joins: Bool

    private struct Pending {
        var row: OutboxRecord
        var continuation: CheckedContinuation<AttemptReport, Never>
    }
    private struct State {
        var pending: [Pending] = []
        var waiters: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
        var sentCount = 0
        var renderCount = 0
        var bodies: [[UInt8]] = []
        var isRenderFailing = false
        var coalescing: (@Sendable ([OutboxRecord]) -> Coalescing)?
    }
    private let state = Mutex(State())

    init(_ receiver: String, policy: DestinationPolicy, joins: Bool) {
        self.receiver = receiver
        self.policy = policy
        self.joins = joins
    }

    func coalesce(_ waiting: [OutboxRecord]) -> Coalescing {
        if let coalescing = state.withLock({ $0.coalescing }) { return coalescing(waiting) }
        return joins ? FakeMessage.coalesce(waiting) : .oldest(of: waiting)
    }

    /// Decides in place of the destination; nil ends that.
    func coalesce(with coalescing: (@Sendable ([OutboxRecord]) -> Coalescing)?) {
        state.withLock { $0.coalescing = coalescing }
    }

    struct RenderError: Error {}
    func failRendering() { state.withLock { $0.isRenderFailing = true } }

    func render(_ row: OutboxRecord) throws -> RenderedBody {
        let (count, isFailing) = state.withLock { state in
            state.renderCount += 1
            return (state.renderCount, state.isRenderFailing)
        }
        if isFailing { throw RenderError() }
        return RenderedBody(bytes: Array("body \(count) ".utf8) + row.payload, problem: nil)
    }

    /// Suspends until the test answers, or the task is cancelled.
    func send(_ body: RenderedBody, row: OutboxRecord, deadline: Timestamp) async -> AttemptReport {
        await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<AttemptReport, Never>) in
                let ready = state.withLock { state in
                    state.sentCount += 1
                    state.bodies.append(body.bytes)
                    state.pending.append(Pending(row: row, continuation: continuation))
                    let ready = state.waiters.filter { $0.count <= state.sentCount }
                    state.waiters.removeAll { $0.count <= state.sentCount }
                    return ready
                }
                for waiter in ready { waiter.continuation.resume() }
            }
        } onCancel: {
            let pending = state.withLock { state in
                let index = state.pending.firstIndex { $0.row.id == row.id }
                return index.map { state.pending.remove(at: $0) }
            }
            pending?.continuation.resume(
                returning: AttemptReport(outcome: .ambiguous(reason: "broken off"), statusCode: nil, detail: nil))
        }
    }

    var bodies: [[UInt8]] { state.withLock { $0.bodies } }
    var pendingRows: [OutboxRecord] { state.withLock { $0.pending.map(\.row) } }

    /// Waits until that many attempts have begun since the start.
    func waitForSends(_ count: Int) async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isReady = state.withLock { state in
                if state.sentCount >= count { return true }
                state.waiters.append((count, continuation))
                return false
            }
            if isReady { continuation.resume() }
        }
    }

    /// Answers the oldest attempt that waits.
    @discardableResult
    func answer(_ outcome: AttemptOutcome) -> OutboxRecord? {
        let pending = state.withLock { $0.pending.isEmpty ? nil : $0.pending.removeFirst() }
        pending?.continuation.resume(
            returning: AttemptReport(outcome: outcome, statusCode: nil, detail: nil))
        return pending?.row
    }
}

/// A tiny message: which incidents fire and which resolve.
struct FakeMessage: Equatable {
    enum News: String { case fire, resolve, both }
    var news: [(incident: String, news: News)] = []

    static func == (left: FakeMessage, right: FakeMessage) -> Bool { left.bytes == right.bytes }

    init(_ news: [(incident: String, news: News)]) { self.news = news }

    init(bytes: [UInt8]) {
        for part in String(decoding: bytes, as: UTF8.self).split(separator: " ") {
            let pair = part.split(separator: "=")
            if pair.count == 2, let kind = News(rawValue: String(pair[1])) { news.append((String(pair[0]), kind)) }
        }
    }

    var bytes: [UInt8] { Array(news.map { "\($0.incident)=\($0.news.rawValue)" }.joined(separator: " ").utf8) }

    /// The newest row carries everything; a fire and a resolve that were both unsent become `both` from error up, else
    /// nothing.
    static func coalesce(_ rows: [OutboxRecord]) -> Coalescing {
        guard let last = rows.last, rows.count > 1 else { return .oldest(of: rows) }
        // Nothing is joined to what may have been taken.
        guard rows.allSatisfy({ $0.ambiguousCount == 0 }) else { return .oldest(of: rows) }
        var joined: [(incident: String, news: News)] = []
        for row in rows {
            for item in FakeMessage(bytes: row.payload).news {
                guard let index = joined.firstIndex(where: { $0.incident == item.incident }) else {
                    joined.append(item)
                    continue
                }
                if joined[index].news == .fire, item.news == .resolve {
                    if row.severity >= .error { joined[index].news = .both } else { joined.remove(at: index) }
                } else {
                    joined[index] = item
                }
            }
        }
        let older = rows.dropLast()
        if joined.isEmpty {
            return Coalescing(
                sendId: nil, payload: nil, superseded: rows.map { .init(id: $0.id, reason: .resolved) })
        }
        let isMerge = Set(rows.map(\.lane)).count > 1
        return Coalescing(
            sendId: last.id, payload: FakeMessage(joined).bytes,
            superseded: older.map { .init(id: $0.id, reason: isMerge ? .merged : .newer) })
    }
}

func makeRow(
    _ receiver: String, lane: String, payload: String, at: Timestamp, severity: Severity = .error,
    priority: OutboxPriority = .normal, recipient: String? = nil
) -> OutboxRecord {
    OutboxRecord(
        receiver: receiver, lane: lane, kind: "notification", incidentKey: lane, rule: "rule", severity: severity,
        priority: priority, createdAt: at, idempotencyKey: "\(lane)-\(payload)", payload: Array(payload.utf8),
        recipient: recipient)
}
