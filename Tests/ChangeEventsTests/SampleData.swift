import ChangeEvents
import Core
import Foundation

/// The sample events of `Tests/Data`.
enum SampleData {
    static let folder = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Data").path

    /// One line of a sample file.
    struct Line {
        var name: String
        var message: RawBatch.Copied
    }

    /// A file, or the numbered parts of one that is large, joined.
    static func bytes(_ file: String) throws -> [UInt8] {
        let whole = URL(fileURLWithPath: folder + "/" + file)
        if FileManager.default.fileExists(atPath: whole.path) { return try [UInt8](Data(contentsOf: whole)) }
        let name = whole.deletingPathExtension().lastPathComponent
        var bytes: [UInt8] = []
        for number in 1... {
            let part = whole.deletingLastPathComponent().appendingPathComponent("\(name).\(number).ndjson")
            if number > 1, !FileManager.default.fileExists(atPath: part.path) { return bytes }
            bytes += try [UInt8](Data(contentsOf: part))
        }
        return bytes
    }

    /// The messages of a file, value bytes verbatim; offsets count per partition.
    static func lines(_ file: String) throws -> [Line] {
        let bytes = try bytes(file)
        var offsets: [TopicPartition: Int64] = [:]
        return try bytes.split(separator: 0x0A).map { line in
            let marker = Array("\"value\":".utf8)
            var head = Array(line)
            var value: [UInt8]?
            if let start = line.indices.first(where: { line[$0...].starts(with: marker) }) {
                var verbatim = Array(line[(start + marker.count)...].dropLast())
                if verbatim == Array("null".utf8) { verbatim = [] }
                value = verbatim.isEmpty ? nil : verbatim
                head = Array(line[..<start])
                while head.last == 0x20 || head.last == UInt8(ascii: ",") { head.removeLast() }
                head.append(UInt8(ascii: "}"))
            }
            let object = try JSON.parse(head)
            if let encoded = object["value_b64"]?.stringValue {
                value = [UInt8](Data(base64Encoded: encoded) ?? Data())
            }
            if let text = value.map({ String(decoding: $0, as: UTF8.self) }), text.contains("@REPEAT(x,1200000)@") {
                value = Array(
                    text.replacingOccurrences(
                        of: "@REPEAT(x,1200000)@", with: String(repeating: "x", count: 1_200_000)
                    ).utf8)
            }
            let partition = TopicPartition(
                topic: object["topic"]?.stringValue ?? "", partition: Int32(object["partition_hint"]?.intValue ?? 0))
            let offset = offsets[partition, default: 0]
            offsets[partition] = offset + 1
            let headers = (object["headers"]?.members ?? []).map {
                (name: $0.name, value: $0.value.stringValue.map { Array($0.utf8) })
            }
            return Line(
                name: object["case"]?.stringValue ?? "",
                message: RawBatch.Copied(
                    partition: partition, offset: offset, timestamp: object["timestamp"]?.intValue ?? -1,
                    key: object["key"]?.stringValue.map { Array($0.utf8) }, value: value, headers: headers))
        }
    }

    // MARK: - Tables

    static let customer: TableDeclaration = TableDeclaration(
        name: "gld_dim_customer", rowKey: ["customer_id"],
        columns: [
            "customer_id": .string, "name": .string, "contact_name": .string, "email": .string, "phone": .string,
            "address": .object, "segment": .string, "annual_revenue_eur": .decimal(.base64(scale: 2)),
            "churn_risk": .double, "health_score": .int, "is_active": .bool, "updated_at": .timestamp(.detect),
        ])

    static let inventory: TableDeclaration = TableDeclaration(
        name: "gld_fact_inventory", rowKey: ["plant", "material"],
        columns: [
            "plant": .string, "material": .string, "material_desc": .string, "uom": .string,
            "on_hand": .decimal(.base64(scale: 3)), "safety_stock": .decimal(.base64(scale: 3)),
            "reorder_point": .decimal(.base64(scale: 3)), "unit_cost_eur": .decimal(.base64(scale: 8)),
            "lead_time_days": .int, "planner_email": .string, "is_blocked": .bool, "last_count_date": .date,
            "snapshot_at": .timestamp(.detect),
        ])

    static let quality: TableDeclaration = {
        var table = TableDeclaration(
            name: "gld_fact_quality", rowKey: ["inspection_id"],
            columns: [
                "inspection_id": .string, "plant": .string, "line": .string, "sku": .string, "product_name": .string,
                "batch_id": .string, "inspected_at": .timestamp(.detect), "shift_date": .date, "sample_size": .int,
                "defects": .int, "defect_rate": .double, "ppm": .decimal(.plain), "measured_mm": .double,
                "spec": .object, "spec.lsl": .double, "spec.usl": .double, "spec.target": .double,
                "defect_codes": .list, "inspector": .string, "status": .string, "image_sha256": .bytes,
                "rework_cost_eur": .decimal(.plain),
            ])
        table.eventTime = "inspected_at"
        return table
    }()

    static let sla: TableDeclaration = TableDeclaration(
        name: "gld_fact_sla", rowKey: ["ticket_id"],
        columns: [
            "ticket_id": .string, "order_no": .int, "customer_id": .string, "priority": .string, "status": .string,
            "opened_at": .timestamp(.detect), "due_at": .timestamp(.detect), "owner_email": .string,
        ])

    /// A catalog whose rules read all declared columns, or those given.
    static func catalog(
        _ declarations: [TableDeclaration], columns: [String]? = nil, readsBefore: Bool = true
    ) -> TableCatalog {
        TableCatalog(
            tables: declarations.map { declaration in
                var layout = ColumnLayout(declaration: declaration)
                for path in columns ?? declaration.columns.keys.sorted() { _ = layout.slot(for: path) }
                return TableCatalog.Table(declaration: declaration, layout: layout, readsBefore: readsBefore)
            })
    }
}

/// What a batch holds, as values that can be compared.
struct Seen: Equatable, CustomStringConvertible {
    var table: String
    var key: String
    var kind: ChangeEvent.Kind
    var before: [String: String]?
    var after: [String: String]?

    var description: String { "\(table) \(key) \(kind)\n  before \(before ?? [:])\n  after \(after ?? [:])" }

    init(_ event: ChangeEvent, _ batch: ChangeBatch, _ catalog: TableCatalog) {
        let table = catalog.tables[Int(event.table)]
        self.table = table.name
        key = batch.rowKey(of: event)
        kind = event.kind
        func image(_ slot: Int32) -> [String: String]? {
            guard slot >= 0 else { return nil }
            var columns: [String: String] = [:]
            for (index, column) in table.layout.columns.enumerated() {
                columns[column.path] = Seen.text(batch.slots[Int(slot) + index], batch.arena)
            }
            return columns
        }
        before = image(event.beforeSlot)
        after = image(event.afterSlot)
    }

    /// One text per value, whatever its format: decimals canonical, times as milliseconds, objects with sorted names.
    static func text(_ slot: SlotValue, _ arena: RowArena) -> String {
        switch slot.kind {
        case .missing: return "missing"
        case .null: return "null"
        case .unknown: return "unknown"
        case .decimal, .int, .double, .uint:
            let text = slot.display(in: arena) ?? ""
            return "#" + (DecimalText.canonical(text) ?? text)
        case .timestamp: return "@\(slot.timestampValue.milliseconds)"
        case .object, .list:
            let text = slot.text(in: arena)
            return ((try? JSON.parse(text)).map(sorted) ?? .string("bad JSON")).description
        default: return slot.display(in: arena) ?? ""
        }
    }

    private static func sorted(_ value: JSON) -> JSON {
        switch value {
        case .object(let members):
            .object(members.map { JSON.Member($0.name, sorted($0.value)) }.sorted { $0.name < $1.name })
        case .array(let elements): .array(elements.map(sorted))
        default: value
        }
    }
}
