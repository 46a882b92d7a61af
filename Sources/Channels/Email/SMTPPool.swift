internal import Core

/// Which message goes over which connection: a synchronous value; ``SMTPClient`` carries its actions out.
///
/// An idle connection is taken first, then a new one is opened up to the limit, and only then a message is queued
/// behind another one on a connection that pipelines.
struct SMTPPool {
    struct Request {
        let ticket: Int
        let message: SMTPMessage
        /// It was already sent over a connection that turned out to be stale.
        var isSecondTry = false
    }

    enum Action {
        case open(connection: Int)
        case submit(connection: Int, Request)
        case quit(connection: Int)
        /// Cuts the connection; what it had in flight is completed by that.
        case abort(connection: Int, reason: String)
        case finish(ticket: Int, SMTPReport)
    }

    private struct Connection {
        var isReady = false
        /// Takes nothing more; counts until it is closed, since the server counts it too.
        var isRetired = false
        var inFlightCount = 0
        var takenCount = 0
        var completedCount = 0
        var openedAt: Timestamp
    }

    private let limits: SMTPLimits
    private let usesPipelining: Bool
    private var connections: [Int: Connection] = [:]
    private var waiting: [Request] = []
    private var inFlight: [Int: (connection: Int, request: Request)] = [:]
    private var lastConnection = 0
    private var isShutDown = false

    init(limits: SMTPLimits, usesPipelining: Bool) {
        self.limits = limits
        self.usesPipelining = usesPipelining
    }

    var connectionCount: Int { connections.count }
    var waitingCount: Int { waiting.count }

    mutating func submit(_ request: Request, now: Timestamp, into actions: inout [Action]) {
        guard !isShutDown else { return fail(request, "the client is shut down", into: &actions) }
        guard waiting.count < limits.waitingMax else {
            return fail(request, "\(limits.waitingMax) messages wait for a connection already", into: &actions)
        }
        waiting.append(request)
        assign(now: now, into: &actions)
    }

    mutating func connectionReady(_ id: Int, now: Timestamp, into actions: inout [Action]) {
        connections[id]?.isReady = true
        assign(now: now, into: &actions)
    }

    /// - Parameter isUsable: false when the connection is breaking down; it then takes nothing more.
    mutating func completed(
        ticket: Int, _ report: SMTPReport, isUsable: Bool, now: Timestamp, into actions: inout [Action]
    ) {
        guard let (id, request) = inFlight.removeValue(forKey: ticket) else { return }
        if !isUsable { connections[id]?.isRetired = true }
        connections[id]?.inFlightCount -= 1
        let hasServed = (connections[id]?.completedCount ?? 0) > 0
        if report.isUntouched, !isUsable, hasServed, !request.isSecondTry, !isShutDown {
            // The server closed a connection that it had served before: no failure of this message.
            var again = request
            again.isSecondTry = true
            waiting.insert(again, at: 0)
        } else {
            connections[id]?.completedCount += 1
            actions.append(.finish(ticket: ticket, report))
        }
        assign(now: now, into: &actions)
    }

    /// Gives a message up: one that waits is answered, one in flight loses its connection.
    mutating func cancel(ticket: Int, _ reason: String, into actions: inout [Action]) {
        if let index = waiting.firstIndex(where: { $0.ticket == ticket }) {
            fail(waiting.remove(at: index), reason, into: &actions)
        } else if let (id, request) = inFlight[ticket] {
            // Not a second try: the message itself must not go back to the queue.
            inFlight[ticket] = (id, Request(ticket: request.ticket, message: request.message, isSecondTry: true))
            connections[id]?.isRetired = true
            actions.append(.abort(connection: id, reason: reason))
        }
    }

    /// A connection is closed or takes nothing more; its messages have been completed before.
    ///
    /// When it never became ready the server is the problem, not the message: everything that waits shares the failure,
    /// unless another connection works.
    mutating func connectionClosed(
        _ id: Int, failure: SMTPFailure?, wasReady: Bool, now: Timestamp, into actions: inout [Action]
    ) {
        guard connections.removeValue(forKey: id) != nil else { return }
        if let failure, !wasReady, !connections.values.contains(where: { $0.isReady && !$0.isRetired }) {
            let all = waiting
            waiting.removeAll()
            for request in all {
                let report = SMTPReport(all: request.message.recipients, failure: failure, isUntouched: true)
                actions.append(.finish(ticket: request.ticket, report))
            }
        }
        assign(now: now, into: &actions)
    }

    /// Ends: what waits is answered as retryable, idle connections say goodbye, busy ones finish what they have.
    mutating func shutDown(into actions: inout [Action]) {
        isShutDown = true
        let all = waiting
        waiting.removeAll()
        for request in all { fail(request, "the client is shut down", into: &actions) }
        for (id, connection) in connections where connection.inFlightCount == 0 {
            actions.append(.quit(connection: id))
        }
    }

    private mutating func assign(now: Timestamp, into actions: inout [Action]) {
        retire(now: now, into: &actions)
        while let request = waiting.first {
            if let id = free(inFlight: 0) {
                take(request, on: id, into: &actions)
            } else if connections.count < limits.connectionsMax, opening < waiting.count {
                lastConnection += 1
                connections[lastConnection] = Connection(openedAt: now)
                actions.append(.open(connection: lastConnection))
            } else if usesPipelining, let id = free(inFlight: 1) {
                take(request, on: id, into: &actions)
            } else {
                return
            }
        }
    }

    private mutating func take(_ request: Request, on id: Int, into actions: inout [Action]) {
        waiting.removeFirst()
        connections[id]?.inFlightCount += 1
        connections[id]?.takenCount += 1
        inFlight[request.ticket] = (id, request)
        actions.append(.submit(connection: id, request))
    }

    private var opening: Int { connections.values.count { !$0.isReady && !$0.isRetired } }

    private func free(inFlight count: Int) -> Int? {
        var best: Int?
        for (id, connection) in connections
        where connection.isReady && !connection.isRetired && connection.inFlightCount == count
            && connection.takenCount < limits.messagesPerConnectionMax
        {
            best = min(best ?? id, id)
        }
        return best
    }

    /// Says goodbye to connections that are too old or have carried enough.
    private mutating func retire(now: Timestamp, into actions: inout [Action]) {
        for (id, connection) in connections
        where connection.isReady && !connection.isRetired && connection.inFlightCount == 0 {
            let isSpent = connection.takenCount >= limits.messagesPerConnectionMax
            let isOld = connection.takenCount > 0 && now >= connection.openedAt.adding(limits.connectionAge)
            guard isShutDown || isSpent || isOld else { continue }
            connections[id]?.isRetired = true
            actions.append(.quit(connection: id))
        }
    }

    private func fail(_ request: Request, _ reason: String, into actions: inout [Action]) {
        let failure = SMTPFailure(outcome: .retryable, reason: reason)
        let report = SMTPReport(all: request.message.recipients, failure: failure, isUntouched: true)
        actions.append(.finish(ticket: request.ticket, report))
    }
}
