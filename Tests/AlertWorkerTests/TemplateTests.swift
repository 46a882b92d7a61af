import AlertWorker
import Alerting
import Core
import Spine
import Store
import Testing

@Suite struct TemplateTests {
    static func rules(_ summary: String) -> String {
        """
        table: t
        owner: o
        rules:
          - name: r
            when: after.x > 60
            summary: "\(summary)"
            facts: {Value: "{{ after.x }}"}
        """
    }

    @Test func `a text that cannot be rendered is replaced by a plain one, and the operator hears of it once`()
        async throws
    {
        // The text divides by zero where x is 65.
        let world = try World(TemplateTests.rules("{{ 10 / int(after.x - 65.0) }} of {{ after.id }}"))
        try await world.session { session in
            try await session.settle()
            world.x("a", 65, at: 1)
            world.x("b", 75, at: 2)
            world.x("c", 65, at: 3)
            try await session.settle()
            let told = try session.outbox()
            let items = told.filter { $0.row.receiver == "team" }.flatMap(\.notification.items)
            let texts = Dictionary(uniqueKeysWithValues: items.map { ($0.keyDisplay, $0) })
            let plain = try #require(texts["id=a"])
            // What cannot be said is a question mark; everything else is said.
            #expect(plain.title == "? of a" && plain.facts == [.init("Value", "65.0")])
            #expect(plain.templateProblem?.contains("divi") == true, "\(plain.templateProblem ?? "no problem")")
            #expect(texts["id=c"]?.templateProblem != nil)
            #expect(texts["id=b"]?.title == "1 of b" && texts["id=b"]?.templateProblem == nil)

            let toOperator = told.filter { $0.row.receiver == "ops" }
            #expect(
                toOperator.map(\.description) == [
                    "ops: first router-health/component=template, subject=r/firing/error"
                ])
            let detail = toOperator.first?.notification.items.first?.title ?? ""
            #expect(detail.contains("divi"), "\(detail)")

            _ = try await session.reload(TemplateTests.rules("{{ after.id }}"))
            try await session.settle()
            #expect(try session.openAlerts("router-health").isEmpty)
            #expect(try session.openAlerts("r").count == 3)
        }
    }
}
