public import Alerting
internal import Core

/// How cards are laid out.
public struct TeamsCardOptions: Sendable, Equatable {
    /// Most bytes of the whole message, as sent.
    public var bytesMax: Int
    /// Most alerts in one card.
    public var itemsMax: Int
    public var isFullWidth: Bool

    /// The least budget: a title, a severity, a link and the count of the rest fit into it whatever they say.
    public static let bytesLeast = 6000
    /// Teams takes about 28 KB.
    public static let bytesMost = 28_000

    /// Makes options.
    public init(bytesMax: Int, itemsMax: Int, isFullWidth: Bool) {
        self.bytesMax = max(TeamsCardOptions.bytesLeast, bytesMax)
        self.itemsMax = max(1, itemsMax)
        self.isFullWidth = isFullWidth
    }
}

/// Lays a notification out as an Adaptive Card in a Workflows message; pure.
///
/// Texts from data stand in `RichTextBlock`s, which know no markup; a `FactSet`, which does, is used only for texts
/// that hold none. Each alert's container carries its incident key as `id`. What does not fit is shortened in a fixed
/// order:
/// description, facts beyond five, facts beyond two, all facts, long texts, alerts beyond those that fit; title,
/// severity, a link and the count of the rest always stay.
public enum TeamsCard {
    /// What is left out to fit the budget, from nothing on.
    struct Detail: Equatable {
        var hasDescription = true
        var factsMax = 20
        var textBytesMax = 1000
        var titleBytesMax = 600
        var linksMax = 5
        var linkBytesMax = 2000

        static let steps: [Detail] = [
            Detail(),
            Detail(hasDescription: false),
            Detail(hasDescription: false, factsMax: 5),
            Detail(hasDescription: false, factsMax: 2, textBytesMax: 300),
            Detail(hasDescription: false, factsMax: 0, textBytesMax: 200, titleBytesMax: 300, linksMax: 3),
            Detail(
                hasDescription: false, factsMax: 0, textBytesMax: 120, titleBytesMax: 160, linksMax: 1),
        ]
    }

    /// The message as JSON, at most as many bytes as the options allow.
    public static func message(for notification: Notification, options: TeamsCardOptions) -> [UInt8] {
        let itemCount = min(notification.items.count, options.itemsMax)
        for detail in Detail.steps {
            let bytes = render(notification, itemCount: itemCount, detail: detail, options: options)
            if bytes.count <= options.bytesMax { return bytes }
        }
        // The most alerts that fit with the least detail.
        let least = Detail.steps[Detail.steps.count - 1]
        var fits = 1
        var tooMany = itemCount
        while fits + 1 < tooMany {
            let middle = (fits + tooMany) / 2
            let size = render(notification, itemCount: middle, detail: least, options: options).count
            if size <= options.bytesMax { fits = middle } else { tooMany = middle }
        }
        return render(notification, itemCount: fits, detail: least, options: options)
    }

    private static func render(
        _ notification: Notification, itemCount: Int, detail: Detail, options: TeamsCardOptions
    ) -> [UInt8] {
        let layout = TeamsCardLayout(notification: notification, detail: detail)
        let card = layout.card(itemCount: itemCount, isFullWidth: options.isFullWidth)
        return JSON.object([
            "type": .string("message"),
            "attachments": .array([
                .object([
                    "contentType": .string("application/vnd.microsoft.card.adaptive"), "contentUrl": .null,
                    "content": card,
                ])
            ]),
        ]).bytes
    }
}
