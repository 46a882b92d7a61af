import ChangeEvents
import Testing

struct ColumnTypeTests {
    @Test func `every type name parses back to its type`() {
        for name in ColumnType.names { #expect(ColumnType(name: name)?.name == name) }
        #expect(ColumnType(name: "decimal(-1)") == nil)
        #expect(ColumnType(name: "number") == nil)
    }
}
