import ChangeEvents
import Core
import Testing

struct DecodingTests {
    // Goal: every change row of the corpus becomes an event with its key, version and times.
    @Test(arguments: ["gld_fact_quality", "gld_fact_inventory", "gld_fact_sla", "gld_dim_customer"])
    func `every row of the change feed decodes`(table: String) throws {
        let catalog = SampleData.catalog([
            SampleData.quality, SampleData.inventory, SampleData.sla, SampleData.customer,
        ])
        let lines = try SampleData.lines("cdf/\(table).ndjson")
        var decoder = ChangeDecoder(catalog: catalog)
        let batch = ChangeBatch()
        decoder.decode(RawBatch.copying(lines.map(\.message)), into: batch)
        #expect(batch.rejected == [])
        #expect(batch.events.count == lines.count)
        for (event, line) in zip(batch.events, lines) {
            let value = try JSON.parse(line.message.value ?? [])
            #expect(event.version == value["_commit_version"]?.intValue)
            #expect(event.commitTime == Timestamp.parse(value["_commit_timestamp"]?.stringValue ?? ""))
            #expect(catalog.tables[Int(event.table)].name == table)
            let names = catalog.tables[Int(event.table)].declaration.rowKey
            #expect(batch.rowKey(of: event) == names.map { value[$0]?.stringValue ?? "" }.joined(separator: "|"))
        }
    }
}
