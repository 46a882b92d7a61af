import CEL
import Core
import Testing

@Suite struct SmokeTests {
    @Test func `arithmetic gives a value`() throws {
        let environment = Environment(resolve: { _ in .none })
        let result = CEL.compile("1 + 2 * 3 == 7", at: SourceMap(file: "x"), in: environment, expecting: .bool)
        let frame = EvaluationFrame(spaces: (nil, nil, nil, nil), arena: RowArena())
        #expect(try result.program?.evaluate(frame) == .bool(true))
    }
}
