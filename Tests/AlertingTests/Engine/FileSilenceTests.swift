import Alerting
import Core
import Testing

/// Silences of files that last until what they silence is over.
@Suite struct FileSilenceTests {
    private static func configuration(
        endsAfter hours: Int64 = 10, value: String = "r", line: Int = 2, untilResolved: Bool = true
    ) -> AlertingConfiguration {
        Scenario.configuration(policy: {
            $0.silences = [
                Silence(
                    id: "f", expression: .labels([LabelMatcher("alertname", equals: value)]),
                    startsAt: Scenario.start, endsAt: Scenario.start.adding(.seconds(hours * 3600)), author: "ann",
                    comment: "known", untilResolved: untilResolved,
                    source: .file(SourcePosition(file: "silences/a.yaml", line: line, column: 5)),
                    createdAt: Scenario.start, updatedAt: Scenario.start)
            ]
        })
    }

    /// The silenced alert is over after five minutes, and with it the silence.
    private static func ended() -> Scenario {
        let world = Scenario(configuration())
        world.fires("a")
        world.at(5)
        world.resolves("a")
        world.expectNothing()
        return world
    }

    private static func state(_ world: Scenario) -> Silence.State? {
        world.engine.silences.silences["f"]?.state(at: world.now)
    }

    @Test func `once ended it stays ended over a restart and a reload while its file says the same`() throws {
        for restarts in [0, 1, 2] {
            let world = FileSilenceTests.ended()
            #expect(world.storedCount(.silence) == 1)
            for _ in 0..<restarts { try world.restarts() }
            world.reloads()
            #expect(FileSilenceTests.state(world) == .expired)
            world.fires("b")
            world.at(6)
            world.expect("5:30 team first b")
            // A comment above it moves its place in the file: nothing that matters changed.
            world.reloads(FileSilenceTests.configuration(line: 7))
            #expect(FileSilenceTests.state(world) == .expired)
            #expect(world.storedCount(.silence) == 1)
        }
    }

    @Test(arguments: [true, false])
    func `an edited file counts anew, in a reload and at a start`(isReload: Bool) throws {
        for edited in [
            FileSilenceTests.configuration(endsAfter: 20), FileSilenceTests.configuration(endsAfter: 5),
            FileSilenceTests.configuration(untilResolved: false),
        ] {
            let world = FileSilenceTests.ended()
            if isReload { world.reloads(edited) } else { world.configuration = edited }
            try world.restarts()
            #expect(FileSilenceTests.state(world) == .active)
            #expect(world.storedCount(.silence) == 0)
            world.fires("b")
            world.at(60)
            world.expectNothing()
        }
    }

    @Test func `a silence that is gone from its file leaves nothing behind`() throws {
        let world = FileSilenceTests.ended()
        world.configuration = Scenario.configuration()
        try world.restarts()
        #expect(world.engine.silences.silences.isEmpty)
        #expect(world.storedCount(.silence) == 0)
    }

    @Test func `a silence of a file is ended in its file, by no command`() {
        let world = Scenario(FileSilenceTests.configuration())
        #expect(
            world.does(.expireSilence(id: "f")) == .refused("silence f stands in silences/a.yaml; end it there"))
        #expect(FileSilenceTests.state(world) == .active)
        #expect(world.storedCount(.silence) == 0)
    }
}
