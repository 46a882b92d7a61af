internal import Alerting
internal import Core

/// The HTML part: tables and inline styles only, which Outlook and phones agree on; no scripts, no images.
///
/// Source: Outlook for Windows lays mail out with Word: no flex, no max-width without a table, no style sheets that are
/// sure to be kept.
extension EmailLayout {
    /// The HTML part; items are left out from the end until it fits ``htmlBytesMax``.
    var html: String {
        var count = min(notification.items.count, EmailLayout.itemsMax)
        while true {
            let text = html(itemCountMax: count)
            if text.utf8.count <= EmailLayout.htmlBytesMax || count <= 1 { return text }
            count /= 2
        }
    }

    static func escaped(_ text: String) -> String {
        // Nearly every text is plain; looking at a scalar's category costs more than the rest.
        if text.utf8.allSatisfy({ isPlainInHTML($0) }) { return text }
        var result = ""
        result.reserveCapacity(text.utf8.count + 16)
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            case "\n": result += "<br>\n"
            case "\t": result += " "
            default:
                let isHidden = scalar.isControl
                if !isHidden { result.unicodeScalars.append(scalar) }
            }
        }
        return result
    }

    private static func isPlainInHTML(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x26, 0x3C, 0x3E, 0x22, 0x27, 0x7F: false
        default: (0x20..<0x80).contains(byte)
        }
    }

    static func colour(of severity: Severity?) -> String {
        switch severity {
        case .critical: "#a4161a"
        case .error: "#c2410c"
        case .warning: "#b45309"
        case .info: "#1d4ed8"
        case nil: "#15803d"
        }
    }

    private static let font = "font-family:Segoe UI,Helvetica,Arial,sans-serif;"

    private func html(itemCountMax: Int) -> String {
        let shown = notification.items.prefix(itemCountMax)
        var body = ""
        if let meantFor {
            body += paragraph("\(phrases.meantFor) \(meantFor).", "color:#555555;font-size:13px;")
        }
        if let counts { body += paragraph(counts, "font-size:14px;") }
        if shown.count == 1, let item = shown.first {
            body += single(item)
        } else {
            body += overview(Array(shown))
        }
        let rest = itemCount - shown.count
        if rest > 0 { body += paragraph(phrases.more(rest), "font-size:14px;font-weight:bold;") }
        if itemCount != 1 || notification.openCount > 1 {
            body += paragraph("\(phrases.open(notification.openCount)).", "font-size:14px;")
        }
        body += paragraph("\(phrases.footer) · \(notification.receiver)", "color:#777777;font-size:12px;")
        return frame(body)
    }

    private func frame(_ body: String) -> String {
        let language = notification.locale.prefix { $0.isASCII && $0.isLetter }
        let colour = EmailLayout.colour(of: openSeverity)
        return """
            <!DOCTYPE html>
            <html lang="\(language.isEmpty ? "en" : language)">
            <head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
            <title>\(EmailLayout.escaped(subject))</title></head>
            <body style="margin:0;padding:0;background-color:#f3f4f6;">
            <table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" bgcolor="#f3f4f6">
            <tr><td align="center" style="padding:12px;">
            <table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" bgcolor="#ffffff" \
            style="max-width:640px;border:1px solid #d1d5db;">
            <tr><td bgcolor="\(colour)" style="height:6px;line-height:6px;font-size:6px;">&nbsp;</td></tr>
            <tr><td style="padding:16px;\(EmailLayout.font)color:#111111;">
            \(body)</td></tr>
            </table>
            </td></tr>
            </table>
            </body>
            </html>

            """
    }

    private func paragraph(_ text: String, _ style: String) -> String {
        "<p style=\"margin:12px 0 0 0;\(EmailLayout.font)\(style)\">\(EmailLayout.escaped(text))</p>\n"
    }

    private func badge(_ item: Notification.Item) -> String {
        let isOver = item.state == .resolved
        let text = isOver ? phrases.resolvedWord : phrases.name(of: item.severity)
        return """
            <span style="background-color:\(EmailLayout.colour(of: isOver ? nil : item.severity));color:#ffffff;\
            padding:2px 8px;font-size:12px;font-weight:bold;\(EmailLayout.font)">\
            \(EmailLayout.escaped(text.uppercased()))</span>
            """
    }

    // MARK: One item

    private func single(_ item: Notification.Item) -> String {
        var text = badge(item) + "\n"
        text += """
            <h1 style="margin:8px 0 12px 0;font-size:20px;line-height:26px;\(EmailLayout.font)">\
            \(EmailLayout.escaped(title(of: item)))</h1>

            """
        return text + details(item) + buttons(item)
    }

    private func details(_ item: Notification.Item) -> String {
        var text = "<table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\">\n"
        for row in rows(of: item) {
            text += """
                <tr><td valign="top" style="padding:4px 12px 4px 0;width:120px;color:#555555;font-size:14px;\
                border-bottom:1px solid #e5e7eb;\(EmailLayout.font)">\(EmailLayout.escaped(row.name))</td>\
                <td valign="top" style="padding:4px 0;font-size:14px;border-bottom:1px solid #e5e7eb;\
                word-break:break-word;\(EmailLayout.font)">\(EmailLayout.escaped(row.value))</td></tr>

                """
        }
        text += "</table>\n"
        for remark in remarks(of: item) { text += paragraph(remark, "color:#92400e;font-size:13px;") }
        return text
    }

    /// Links as buttons: a table cell with a background, since Outlook pads no links.
    private func buttons(_ item: Notification.Item) -> String {
        let links = links(of: item)
        guard !links.isEmpty else { return "" }
        var text = ""
        for link in links {
            text += """
                <table role="presentation" cellpadding="0" cellspacing="0" border="0" style="margin-top:12px;">\
                <tr><td bgcolor="#1f2937" style="padding:10px 16px;"><a href="\(EmailLayout.escaped(link.value))" \
                style="color:#ffffff;text-decoration:none;font-size:14px;\(EmailLayout.font)">\
                \(EmailLayout.escaped(link.name))</a></td></tr></table>

                """
        }
        return text
    }

    // MARK: Several items

    /// A table that can be read at a glance, then the details of each item.
    private func overview(_ items: [Notification.Item]) -> String {
        let cell = "padding:6px 8px;font-size:13px;border-bottom:1px solid #e5e7eb;\(EmailLayout.font)"
        var text = """
            <h1 style="margin:0 0 12px 0;font-size:20px;line-height:26px;\(EmailLayout.font)">\
            \(EmailLayout.escaped(subject))</h1>
            <table width="100%" cellpadding="0" cellspacing="0" border="0">
            <tr bgcolor="#f3f4f6">
            """
        for name in [phrases.state, phrases.alert, phrases.key, phrases.since] {
            text += "<th align=\"left\" style=\"\(cell)\">\(EmailLayout.escaped(name))</th>"
        }
        text += "</tr>\n"
        for item in items {
            let time = item.state == .resolved ? item.resolvedText ?? item.firedText : item.firedText
            text += "<tr><td valign=\"top\" style=\"\(cell)\">\(badge(item))</td>"
            for value in [title(of: item), item.keyDisplay, time ?? ""] {
                text += "<td valign=\"top\" style=\"\(cell)\">\(EmailLayout.escaped(value))</td>"
            }
            text += "</tr>\n"
        }
        text += "</table>\n"
        for item in items {
            text += """
                <h2 style="margin:20px 0 6px 0;font-size:16px;\(EmailLayout.font)">\
                \(EmailLayout.escaped(title(of: item)))</h2>

                """
            text += details(item) + buttons(item)
        }
        return text
    }
}
