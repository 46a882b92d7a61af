public import Core

/// An Adaptive Card as lines of text: what a person sees of it in Teams.
public enum CardText {
    /// The lines of a Workflows message with cards; nil where the text is none.
    public static func lines(message bytes: [UInt8]) -> [String]? {
        guard let message = try? JSON.parse(bytes), let attachments = message["attachments"]?.elements else { return nil }
        return attachments.compactMap { $0["content"] }.flatMap { lines(card: $0) }
    }

    /// The lines of one card.
    public static func lines(card: JSON) -> [String] {
        var lines: [String] = []
        for element in card["body"]?.elements ?? [] { add(element, indent: "", to: &lines) }
        let actions = (card["actions"]?.elements ?? []).compactMap { action in
            action["title"]?.stringValue.map { "[\($0)] \(action["url"]?.stringValue ?? "")" }
        }
        return lines + actions
    }

    private static func add(_ element: JSON, indent: String, to lines: inout [String]) {
        switch element["type"]?.stringValue {
        case "TextBlock": lines += split(element["text"]?.stringValue, indent: indent)
        case "RichTextBlock":
            let runs = (element["inlines"]?.elements ?? []).map { $0["text"]?.stringValue ?? $0.stringValue ?? "" }
            lines += split(runs.joined(), indent: indent)
        case "FactSet":
            let facts = element["facts"]?.elements ?? []
            let width = facts.map { ($0["title"]?.stringValue ?? "").count }.max() ?? 0
            for fact in facts {
                let title = fact["title"]?.stringValue ?? ""
                let gap = String(repeating: " ", count: width - title.count + 2)
                lines.append("\(indent)\(title)\(gap)\(fact["value"]?.stringValue ?? "")")
            }
        case "ColumnSet":
            var columns: [[String]] = []
            for column in element["columns"]?.elements ?? [] {
                var cell: [String] = []
                for item in column["items"]?.elements ?? [] { add(item, indent: "", to: &cell) }
                columns.append(cell)
            }
            for row in 0..<(columns.map(\.count).max() ?? 0) {
                lines.append(indent + columns.map { row < $0.count ? $0[row] : "" }.joined(separator: "  "))
            }
        case "Table":
            for row in element["rows"]?.elements ?? [] {
                let cells = (row["cells"]?.elements ?? []).map { cell in
                    var parts: [String] = []
                    for item in cell["items"]?.elements ?? [] { add(item, indent: "", to: &parts) }
                    return parts.joined(separator: " ")
                }
                lines.append(indent + cells.joined(separator: " | "))
            }
        case "ActionSet":
            for action in element["actions"]?.elements ?? [] {
                lines.append("\(indent)[\(action["title"]?.stringValue ?? "")] \(action["url"]?.stringValue ?? "")")
            }
        default:
            for item in element["items"]?.elements ?? [] { add(item, indent: indent, to: &lines) }
        }
    }

    private static func split(_ text: String?, indent: String) -> [String] {
        (text ?? "").split(separator: "\n").map { indent + $0 }
    }
}
