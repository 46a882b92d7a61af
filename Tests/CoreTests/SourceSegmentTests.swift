import Core
import Testing

@Suite struct SourceSegmentTests {
    private let segments = [
        SourceSegment(textLine: 1, textColumn: 1, line: 5, column: 9),
        SourceSegment(textLine: 1, textColumn: 4, line: 6, column: 3),
        SourceSegment(textLine: 2, textColumn: 1, line: 8, column: 3),
    ]

    @Test func `a place follows the last segment before it`() {
        func place(_ line: Int, _ column: Int) -> String {
            let place = SourceSegment.place(line: line, column: column, in: segments)
            return "\(place.line):\(place.column)"
        }
        #expect([place(1, 1), place(1, 3), place(1, 4), place(1, 9)] == ["5:9", "5:11", "6:3", "6:8"])
        #expect([place(2, 1), place(2, 5)] == ["8:3", "8:7"])
    }

    @Test func `places outside the segments do not crash`() {
        let before = SourceSegment.place(line: 0, column: 0, in: segments)
        #expect(before.line == 5)
        #expect(SourceSegment.place(line: 3, column: 2, in: []) == (3, 2))
        #expect(SourceSegment.place(line: 9, column: 4, in: segments) == (8, 3))
    }
}
