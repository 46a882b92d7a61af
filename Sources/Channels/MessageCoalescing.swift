internal import Alerting
internal import Core
public import Delivery
public import Store

/// How message channels join waiting rows: the newest row carries the news of all.
public enum MessageCoalescing {
    /// Joins rows of one lane, or of several lanes that must become one message; oldest first.
    ///
    /// An alert whose fire was not sent yet and that is over: from severity error up it stays as one item, fired and
    /// resolved; below it both are dropped. Nothing is joined to a row that may have been taken already.
    public static func coalesce(_ waiting: [OutboxRecord]) -> Coalescing {
        // What may have been taken goes out again as it is, alone.
        let certain = waiting.prefix { $0.ambiguousCount == 0 }
        guard let last = certain.last else { return .oldest(of: waiting) }
        // A row of one alert says one thing: there is nothing to join, and no need to read it.
        if certain.count == 1, IncidentKey(last.incidentKey) != nil { return .oldest(of: waiting) }
        var notifications: [Notification] = []
        for row in certain {
            guard let notification = try? Notification(bytes: row.payload) else { break }
            notifications.append(notification)
        }
        guard notifications.count == certain.count, let newest = notifications.last else {
            return .oldest(of: waiting)
        }
        let isMerge = Set(certain.map(\.lane)).count > 1
        let items = joined(notifications.flatMap(\.items))
        // One row may tell of a fire and its end too, when both were decided together.
        if certain.count == 1, items.count == newest.items.count { return .oldest(of: waiting) }
        let omittedCount = notifications.reduce(0) { $0 + $1.omittedCount }
        guard !items.isEmpty || omittedCount > 0 else {
            return Coalescing(
                sendId: nil, payload: nil,
                superseded: certain.map { Coalescing.Superseded(id: $0.id, reason: .resolved) })
        }
        var result = newest
        result.items = kept(items)
        let told = Set(result.items.map(\.incidentKey))
        result.others = newest.others.filter { !told.contains($0.incidentKey) }
        result.omittedCount = omittedCount + items.count - result.items.count
        if isMerge {
            result.reason = .merged
            result.openCount = openCount(notifications)
        } else if result.isResolved {
            result.reason = result.openCount > 0 ? .someResolved : .allResolved
        } else if result.reason == .allResolved || result.reason == .someResolved {
            result.reason = .first
        }
        return Coalescing(
            sendId: last.id, payload: result.bytes,
            superseded: certain.dropLast().map {
                Coalescing.Superseded(id: $0.id, reason: isMerge ? .merged : .newer)
            })
    }

    /// The news per incident, in the order in which incidents first appear.
    private static func joined(_ items: [Notification.Item]) -> [Notification.Item] {
        var result: [Notification.Item?] = []
        var indexOf: [String: Int] = [:]
        for item in items {
            guard item.state != .event, let index = indexOf[item.incidentKey], let before = result[index] else {
                if item.state != .event { indexOf[item.incidentKey] = result.count }
                result.append(item)
                continue
            }
            result[index] = joined(before, item)
        }
        return result.compactMap { $0 }
    }

    /// What is left to say of an incident whose older news was not sent; nil for nothing.
    private static func joined(_ before: Notification.Item, _ now: Notification.Item) -> Notification.Item? {
        var item = now
        guard before.state == .firing else { return item }
        // Without a level told before, this fire is the first that anybody hears.
        let isUnheard = before.previousSeverity == nil && !before.isToldBefore
        if now.state == .firing {
            item.previousSeverity = before.previousSeverity
            item.isToldBefore = before.isToldBefore && item.isToldBefore
        } else if now.state == .resolved, isUnheard {
            guard max(before.severity, now.severity) >= .error else { return nil }
            item.severity = max(before.severity, now.severity)
            item.firedAt = now.firedAt ?? before.firedAt
            item.firedText = now.firedText ?? before.firedText
        }
        return item
    }

    /// As many items as a notification holds: the most severe, firing before resolved, in their order.
    private static func kept(_ items: [Notification.Item]) -> [Notification.Item] {
        guard items.count > Notification.itemsMax else { return items }
        let ranked = items.indices.sorted {
            let left = items[$0], right = items[$1]
            return (right.severity, right.state == .firing ? 1 : 0, $0) < (
                left.severity, left.state == .firing ? 1 : 0, $1
            )
        }
        return ranked.prefix(Notification.itemsMax).sorted().map { items[$0] }
    }

    /// Open alerts of all groups: the newest word of each group counts.
    private static func openCount(_ notifications: [Notification]) -> Int {
        Dictionary(notifications.map { ($0.groupKey, $0.openCount) }) { _, newest in newest }.values.reduce(0, +)
    }
}
