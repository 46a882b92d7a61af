import Alerting
import Core
import Delivery
import Store
import Testing

@testable import Channels

// Goal: while messages wait, the newest says everything once. Method: tables of waiting rows and the decision.

@Suite struct MessageCoalescingTests {
    func row(
        _ id: Int64, _ items: [Notification.Item], lane: String = "g", change: (inout OutboxRecord) -> Void = { _ in }
    )
        -> OutboxRecord
    {
        var notification = TeamsSample.notification(
            items, reason: items.allSatisfy { $0.state == .resolved } ? .allResolved : .first)
        notification.groupKey = lane
        notification.openCount = Int(id)
        var row = OutboxRecord(
            receiver: "quality", lane: lane, kind: "notification", incidentKey: lane, rule: "r",
            severity: notification.severity, priority: .normal, createdAt: .epoch, idempotencyKey: "k\(id)",
            payload: notification.bytes, recipient: nil)
        row.id = id
        change(&row)
        return row
    }

    func item(_ number: Int, _ state: Notification.Item.State, _ severity: Severity) -> Notification.Item {
        TeamsSample.item(number, state: state, severity: severity)
    }

    func sent(_ coalescing: Coalescing) throws -> Notification {
        try Notification(bytes: try #require(coalescing.payload))
    }

    @Test func `one row is sent as it is`() {
        let rows = [row(1, [item(1, .firing, .error)])]
        #expect(MessageCoalescing.coalesce(rows) == .oldest(of: rows))
    }

    @Test func `the newest carries the older ones' items in their order`() throws {
        let coalescing = MessageCoalescing.coalesce([
            row(1, [item(1, .firing, .info)]), row(2, [item(2, .firing, .error), item(3, .resolved, .info)]),
            row(3, [item(4, .firing, .info)]),
        ])
        #expect(coalescing.sendId == 3)
        #expect(coalescing.superseded == [.init(id: 1, reason: .newer), .init(id: 2, reason: .newer)])
        let notification = try sent(coalescing)
        #expect(notification.items.map(\.incidentKey) == [1, 2, 3, 4].map { item($0, .firing, .info).incidentKey })
        #expect(notification.openCount == 3 && notification.reason == .first)
    }

    @Test func `from error up an unsent fire that is over stays as one item, fired and resolved`() throws {
        var over = item(1, .resolved, .error)
        over.firedText = nil
        let notification = try sent(
            MessageCoalescing.coalesce([row(1, [item(1, .firing, .critical)]), row(2, [over])]))
        #expect(notification.items.count == 1 && notification.isResolved && notification.reason == .someResolved)
        #expect(notification.items[0].severity == .critical)
        #expect(notification.items[0].firedText != nil && notification.items[0].resolvedText != nil)
    }

    @Test func `below error both are dropped; with nothing left nothing is sent`() throws {
        let coalescing = MessageCoalescing.coalesce([
            row(1, [item(1, .firing, .warning)]), row(2, [item(1, .resolved, .warning)]),
        ])
        #expect(coalescing.sendId == nil)
        #expect(coalescing.superseded == [.init(id: 1, reason: .resolved), .init(id: 2, reason: .resolved)])
        let partly = try sent(
            MessageCoalescing.coalesce([
                row(1, [item(1, .firing, .warning), item(2, .firing, .warning)]),
                row(2, [item(1, .resolved, .warning)]),
            ]))
        #expect(partly.items.map(\.incidentKey) == [item(2, .firing, .info).incidentKey])
        #expect(partly.reason == .first)
    }

    @Test func `one row that tells of a fire and its end says it once, or nothing below error`() throws {
        let both = row(
            1,
            [
                item(1, .firing, .error), item(2, .firing, .warning), item(1, .resolved, .error),
                item(2, .resolved, .warning),
            ])
        let coalescing = MessageCoalescing.coalesce([both])
        #expect(coalescing.sendId == 1 && coalescing.superseded.isEmpty)
        let notification = try sent(coalescing)
        #expect(notification.items.map(\.incidentKey) == [item(1, .firing, .error).incidentKey])
        #expect(notification.isResolved && notification.reason == .someResolved)
        let nothing = row(2, [item(1, .firing, .warning), item(1, .resolved, .warning)])
        #expect(MessageCoalescing.coalesce([nothing]).sendId == nil)
        // What may have been taken goes out again as it is.
        let maybe = row(3, both.payloadItems) { $0.ambiguousCount = 1 }
        #expect(MessageCoalescing.coalesce([maybe]) == .oldest(of: [maybe]))
    }

    @Test func `a resolve is never dropped when a lower level was told before`() throws {
        var raised = item(1, .firing, .warning)
        raised.previousSeverity = .info
        let notification = try sent(
            MessageCoalescing.coalesce([row(1, [raised]), row(2, [item(1, .resolved, .warning)])]))
        #expect(notification.items.map(\.state) == [.resolved])
    }

    @Test func `a raise of an unsent fire is the first that anybody hears`() throws {
        var raised = item(1, .firing, .critical)
        raised.previousSeverity = .warning
        let rows = [row(1, [item(1, .firing, .warning)]), row(2, [raised])]
        let notification = try sent(MessageCoalescing.coalesce(rows))
        #expect(notification.items.map(\.previousSeverity) == [nil])
        #expect(notification.items.map(\.severity) == [.critical])
    }

    @Test func `events are never joined to one another`() throws {
        let notification = try sent(
            MessageCoalescing.coalesce([row(1, [item(1, .event, .info)]), row(2, [item(1, .event, .info)])]))
        #expect(notification.items.count == 2)
    }

    @Test func `nothing is joined to what may have been taken`() {
        let rows = [row(1, [item(1, .firing, .info)]) { $0.ambiguousCount = 1 }, row(2, [item(1, .resolved, .info)])]
        #expect(MessageCoalescing.coalesce(rows) == .oldest(of: rows))
        let later = [
            row(1, [item(1, .firing, .info)]), row(2, [item(2, .firing, .info)]),
            row(3, [item(3, .firing, .info)]) { $0.ambiguousCount = 1 },
        ]
        #expect(MessageCoalescing.coalesce(later).sendId == 2)
    }

    @Test func `rows of several lanes merge, and their open alerts add up`() throws {
        let coalescing = MessageCoalescing.coalesce([
            row(1, [item(1, .firing, .info)], lane: "a"), row(2, [item(2, .firing, .info)], lane: "b"),
            row(3, [item(3, .firing, .info)], lane: "a"),
        ])
        #expect(coalescing.superseded.map(\.reason) == [.merged, .merged])
        let notification = try sent(coalescing)
        #expect(notification.reason == .merged && notification.openCount == 5)
    }

    @Test func `a notification stays bounded: the most severe and the open ones are kept`() throws {
        let rows = (1...150).map { number in
            row(Int64(number), [item(number, number % 3 == 0 ? .resolved : .firing, number > 140 ? .critical : .info)])
        }
        let notification = try sent(MessageCoalescing.coalesce(rows))
        #expect(notification.items.count == Notification.itemsMax)
        #expect(notification.omittedCount == 50)
        #expect(notification.items.count { $0.severity == .critical } == 10)
        #expect(notification.items.count { $0.state == .resolved } == 4)
    }

    @Test func `a payload that cannot be read harms no other row`() {
        let rows = [row(1, [item(1, .firing, .info)]) { $0.payload = [1, 2] }, row(2, [item(2, .firing, .info)])]
        #expect(MessageCoalescing.coalesce(rows) == .oldest(of: rows))
    }
}

extension OutboxRecord {
    fileprivate var payloadItems: [Notification.Item] { (try? Notification(bytes: payload))?.items ?? [] }
}
