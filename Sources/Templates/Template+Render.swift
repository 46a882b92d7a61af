public import CEL
public import Core

/// A rendered text, and why it is not what the author meant, if it is not.
public struct Rendered: Sendable, Equatable {
    public var text: String
    /// The expressions that went wrong and why; the text has `?` in their places. Nil when all is well; a null or
    /// unknown value is no problem.
    public var problem: String?
}

extension Template {
    /// Renders from the row images that a rule was just judged by.
    ///
    /// - Parameter locale: nil writes plainly, as labels are: no grouping, RFC 3339, nulls as empty texts.
    public func render(_ frame: borrowing EvaluationFrame, alert: Alert, locale: RenderLocale?) -> Rendered {
        let inner = frame.dynamic
        let own = EvaluationFrame(
            spaces: frame.spaces, arena: frame.arena,
            dynamic: { index in TemplateVariables.value(index, of: alert) ?? inner?(index) },
            context: RenderContext(locale: locale))
        return render(own, locale: locale)
    }

    /// Renders from the texts that were stored with an alert, in the receiver's locale and zone.
    ///
    /// A column that was not stored counts as unknown.
    public func render(columns: [String: ColumnText], alert: Alert, locale: RenderLocale) -> Rendered {
        let arena = RowArena(capacity: 1024)
        var counts = [0, 0, 0, 0]
        for (slot, _) in slots where slot.space < 4 {
            counts[Int(slot.space)] = max(counts[Int(slot.space)], Int(slot.index) + 1)
        }
        let starts = [0, counts[0], counts[0] + counts[1], counts[0] + counts[1] + counts[2]]
        var values = ContiguousArray(repeating: SlotValue.unknown, count: max(1, counts.reduce(0, +)))
        for (slot, path) in slots where slot.space < 4 {
            guard let column = columns[path] else { continue }
            values[starts[Int(slot.space)] + Int(slot.index)] = column.slot(in: arena)
        }
        return values.withUnsafeBufferPointer { buffer in
            let base = buffer.baseAddress
            let spaces = (
                base.map { $0 + starts[0] }, base.map { $0 + starts[1] }, base.map { $0 + starts[2] },
                base.map { $0 + starts[3] }
            )
            let frame = EvaluationFrame(
                spaces: spaces, arena: arena, dynamic: { TemplateVariables.value($0, of: alert) },
                context: RenderContext(locale: locale))
            return render(frame, locale: locale)
        }
    }

    private func render(_ frame: borrowing EvaluationFrame, locale: RenderLocale?) -> Rendered {
        var text = ""
        var problems: [String] = []
        for part in parts {
            switch part {
            case .text(let literal): text += literal
            case .placeholder(let placeholder):
                do throws(EvaluationError) {
                    text += Template.cleaned(try Template.text(of: placeholder, frame, locale: locale))
                } catch {
                    text += Template.substitute(for: error, locale: locale)
                    if Template.isProblem(error) { problems.append("{{ \(placeholder.source) }}: \(error.message)") }
                }
            }
            guard text.utf8.count <= Template.outputByteCountMax else { break }
        }
        return Rendered(
            text: text.cut(toByteCount: Template.outputByteCountMax),
            problem: problems.isEmpty
                ? nil : problems.joined(separator: "; ").cut(toByteCount: Template.valueByteCountMax))
    }

    private static func text(
        of placeholder: Placeholder, _ frame: borrowing EvaluationFrame, locale: RenderLocale?
    ) throws(EvaluationError) -> String {
        if let direct = placeholder.direct, let text = direct.text(in: frame, locale: locale) { return text }
        switch try placeholder.program.evaluate(frame) {
        case .null, .optional(.none): return nullText(locale)
        case .timestamp(let time): return locale?.dateTime(time.timestamp) ?? time.description
        case .optional(.some(let value)), let value: return value.display
        }
    }

    private static func nullText(_ locale: RenderLocale?) -> String { locale == nil ? "" : "–" }

    private static func substitute(for error: EvaluationError, locale: RenderLocale?) -> String {
        switch error.kind {
        case .nullValue, .missing: nullText(locale)
        case .notANumber: "NaN"
        default: "?"
        }
    }

    /// A null, unknown or NaN value is what the row says; anything else the author should hear of.
    private static func isProblem(_ error: EvaluationError) -> Bool {
        switch error.kind {
        case .nullValue, .missing, .unknownValue, .notANumber: false
        default: true
        }
    }

    /// A value on one line and within its bound: what comes from a row cannot break a message's layout.
    private static func cleaned(_ value: String) -> String {
        let cut = value.cut(toByteCount: valueByteCountMax)
        guard cut.unicodeScalars.contains(where: isControl) else { return cut }
        var scalars = String.UnicodeScalarView()
        for scalar in cut.unicodeScalars { scalars.append(isControl(scalar) ? " " : scalar) }
        return String(scalars)
    }

    /// Control characters, line separators, and the marks that reorder text.
    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0, 0x2028, 0x2029, 0x202A...0x202E, 0x2066...0x2069: true
        default: false
        }
    }
}

extension Template.DirectColumn {
    /// The column's original text in its form; nil where evaluation has to say what is wrong.
    func text(in frame: borrowing EvaluationFrame, locale: RenderLocale?) -> String? {
        let space: UnsafePointer<SlotValue>? =
            switch slot.space {
            case 0: frame.spaces.0
            case 1: frame.spaces.1
            case 2: frame.spaces.2
            default: frame.spaces.3
            }
        guard let value = space?[Int(slot.index)], let text = value.display(in: frame.arena) else { return nil }
        switch form {
        case .plain: return text
        case .percent(let digits):
            guard let locale else {
                return NumberLayout.format(text, shift: 2, digits: digits, table: nil).map { $0 + "%" }
            }
            return locale.percent(text, digits: digits)
        case .number(let digits): return NumberLayout.format(text, shift: 0, digits: digits, table: locale?.table)
        }
    }
}

extension ColumnText {
    /// The slot that a column's text was read from, its text appended to the arena.
    func slot(in arena: RowArena) -> SlotValue {
        func number(_ kind: SlotValue.Kind, _ bits: UInt64?) -> SlotValue {
            let count = text.utf8.count
            guard let bits, count <= Int(UInt16.max) else { return .unknown }
            return SlotValue(
                kind: kind, shortTextCount: UInt16(count), textOffset: append(to: arena), bits: bits)
        }
        switch kind {
        case .missing: return .missing
        case .null: return .null
        case .unknown: return .unknown
        case .bool: return text == "true" ? .bool(true) : text == "false" ? .bool(false) : .unknown
        case .int: return number(.int, Int64(text).map { UInt64(bitPattern: $0) })
        case .uint: return number(.uint, UInt64(text))
        case .double: return number(.double, Double(text)?.bitPattern)
        case .decimal: return number(.decimal, Double(text)?.bitPattern)
        case .timestamp:
            return number(.timestamp, Timestamp.parse(text).map { UInt64(bitPattern: $0.milliseconds) })
        case .string, .bytes, .list, .object:
            return SlotValue(kind: kind, textOffset: append(to: arena), bits: UInt64(text.utf8.count))
        }
    }

    private func append(to arena: RowArena) -> UInt32 {
        var copy = text
        return copy.withUTF8 { arena.append(UnsafeRawBufferPointer($0)) }
    }
}

extension String {
    /// At most that many UTF-8 bytes, cut between characters, with `…` where something was cut.
    func cut(toByteCount limit: Int) -> String {
        guard utf8.count > limit else { return self }
        var end = utf8.index(startIndex, offsetBy: max(0, limit - 3))
        while end > startIndex, end.samePosition(in: unicodeScalars) == nil { end = utf8.index(before: end) }
        return self[..<end] + "…"
    }
}
