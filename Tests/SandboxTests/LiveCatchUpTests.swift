import AlertWorker
import ChangeEvents
import ConfigFiles
import Core
import Foundation
import KafkaClient
import RouterTesting
import RuleEngine
import Sandbox
import Spine
import Testing

// Goal: the sample stream gives the same alerts however it is read. Method: the real worker and store, `clock: data`,
// three partitions; live in small pieces, afterwards in one go, one partition after the other, with restarts and
// crashes between pieces, in orders of arrival drawn from a seed; all compared.

@Suite(.timeLimit(.minutes(5))) struct LiveCatchUpTests {
    private static func sampleRules() throws -> RuleSet {
        var (files, diagnostics) = ConfigFile.loadDirectory(path: WorkerRig.root.appendingPathComponent("rules").path)
        #expect(diagnostics.isEmpty)
        files.append(ConfigFile(text: HealthTable.tables, file: "built-in/tables.yaml"))
        return try WorkerRig.rules(files)
    }

    private static func source(_ player: SamplePlayer, batchMax: Int) -> ScriptedEventSource {
        ScriptedEventSource(
            partitions: player.topics.flatMap { topic in
                (0..<Int32(SamplePlayer.partitionCount)).map { TopicPartition(topic: topic, partition: $0) }
            }, batchMax: batchMax)
    }

    /// Where a line goes: what it says, else by its key; any rule will do as long as it is always the same.
    private static func partition(_ line: SamplePlayer.Line) -> TopicPartition {
        let sum = (line.message.key ?? []).reduce(UInt32(7)) { $0 &* 31 &+ UInt32($1) }
        return TopicPartition(
            topic: line.topic,
            partition: line.message.partition ?? Int32(sum >> 3) % Int32(SamplePlayer.partitionCount))
    }

    private static func append(_ lines: some Sequence<SamplePlayer.Line>, to source: ScriptedEventSource) {
        for line in lines {
            source.append(
                partition(line), keyBytes: line.message.key, valueBytes: line.message.value,
                timestamp: line.timestamp.milliseconds)
        }
    }

    private static func rig(_ source: ScriptedEventSource, folder: String? = nil) throws -> WorkerRig {
        try WorkerRig(
            rules: sampleRules(), source: source, folder: folder, clock: TestClock(WorkerRig.start), clockMode: .data)
    }

    private static func expectSame(_ one: [String], _ other: [String]) {
        let (missing, more) = (Set(other).subtracting(one).sorted(), Set(one).subtracting(other).sorted())
        #expect(missing.isEmpty && more.isEmpty && one.count == other.count, "missing \(missing), more \(more)")
    }

    /// Reads everything at once. The first start finds empty topics, so that nothing was open before.
    private static func inOneGo(_ player: SamplePlayer) async throws -> [String] {
        let source = source(player, batchMax: 1000)
        let rig = try rig(source)
        defer { rig.remove() }
        try await rig.drain()
        append(player.lines, to: source)
        try await rig.drain()
        let result = try rig.transitions()
        try await rig.stop()
        return result
    }

    @Test func `read live in small pieces, and read afterwards in one go`() async throws {
        let player = try SamplePlayer()
        let atOnce = try await LiveCatchUpTests.inOneGo(player)
        #expect(atOnce.count > 50)
        let source = LiveCatchUpTests.source(player, batchMax: 7)
        let rig = try LiveCatchUpTests.rig(source)
        defer { rig.remove() }
        for start in stride(from: 0, to: player.lines.count, by: 23) {
            LiveCatchUpTests.append(player.lines[start..<min(start + 23, player.lines.count)], to: source)
            try await rig.drain()
        }
        try LiveCatchUpTests.expectSame(rig.transitions(), atOnce)
        try await rig.stop()
    }

    @Test(arguments: [false, true]) func `read with restarts`(isCrash: Bool) async throws {
        let player = try SamplePlayer()
        let atOnce = try await LiveCatchUpTests.inOneGo(player)
        let source = LiveCatchUpTests.source(player, batchMax: 50)
        var rig = try LiveCatchUpTests.rig(source)
        for start in stride(from: 0, to: player.lines.count, by: 131) {
            LiveCatchUpTests.append(player.lines[start..<min(start + 131, player.lines.count)], to: source)
            try await rig.drain()
            // A crash is a copy of the files: the one that goes on has seen no orderly end and no late checkpoint.
            let folder = isCrash ? try rig.copy() : rig.folder
            try await rig.stop()
            if isCrash { rig.remove() }
            rig = try LiveCatchUpTests.rig(source, folder: folder)
        }
        try await rig.drain()
        try LiveCatchUpTests.expectSame(rig.transitions(), atOnce)
        try await rig.stop()
        rig.remove()
    }

    /// An order in which the lines may arrive: tables run ahead of each other as they like; within a commit of a table
    /// (the next is further away than `max_delay`) so do partitions; a partition keeps its order.
    private static func arrival(
        _ player: SamplePlayer, _ random: inout SeededRandom
    ) -> [SamplePlayer.Line] {
        var tables = player.topics.map { topic in
            let lines = player.lines.filter { $0.topic == topic }
            var ordered: [SamplePlayer.Line] = []
            for commit in Set(lines.map(\.timestamp)).sorted() {
                let rows = lines.filter { $0.timestamp == commit }
                ordered += shuffled(Dictionary(grouping: rows, by: partition).values.map { $0[...] }, &random)
            }
            return ordered[...]
        }
        tables.shuffle(using: &random)
        return shuffled(tables, &random)
    }

    /// Deals from several queues at random, in runs, until all are empty.
    private static func shuffled(
        _ queues: [ArraySlice<SamplePlayer.Line>], _ random: inout SeededRandom
    ) -> [SamplePlayer.Line] {
        // The order of a dictionary's values differs from run to run: a seed must mean one order.
        var queues = queues.sorted {
            ($0.first.map { partition($0) } ?? none) < ($1.first.map { partition($0) } ?? none)
        }
        var result: [SamplePlayer.Line] = []
        while let index = queues.indices.filter({ !queues[$0].isEmpty }).randomElement(using: &random) {
            let count = Int.random(in: 1...40, using: &random)
            result += queues[index].prefix(count)
            queues[index] = queues[index].dropFirst(count)
        }
        return result
    }

    private static let none = TopicPartition(topic: "", partition: 0)

    @Test(arguments: [1, 2, 3, 4, 5, 6] as [UInt64]) func `read in an order of arrival drawn from a seed`(
        seed: UInt64
    ) async throws {
        let player = try SamplePlayer()
        let atOnce = try await LiveCatchUpTests.inOneGo(player)
        var random = SeededRandom(seed: seed)
        let lines = LiveCatchUpTests.arrival(player, &random)
        let source = LiveCatchUpTests.source(player, batchMax: 1000)
        let rig = try LiveCatchUpTests.rig(source)
        defer { rig.remove() }
        var start = 0
        while start < lines.count {
            let end = min(start + Int.random(in: 1...120, using: &random), lines.count)
            LiveCatchUpTests.append(lines[start..<end], to: source)
            // Ends of partitions are told, or not, depending on whether the reader comes in between.
            if Bool.random(using: &random) { try await rig.drain() }
            start = end
        }
        try await rig.drain()
        try LiveCatchUpTests.expectSame(rig.transitions(), atOnce)
        try await rig.stop()
    }

    @Test func `read after the fact, one partition after the other`() async throws {
        let player = try SamplePlayer()
        let atOnce = try await LiveCatchUpTests.inOneGo(player)
        let source = LiveCatchUpTests.source(player, batchMax: 100)
        let parts = Dictionary(grouping: player.lines, by: LiveCatchUpTests.partition)
        for partition in parts.keys.sorted() { LiveCatchUpTests.append(parts[partition] ?? [], to: source) }
        let rig = try LiveCatchUpTests.rig(source)
        defer { rig.remove() }
        try await rig.drain()
        try LiveCatchUpTests.expectSame(rig.transitions(), atOnce)
        try await rig.stop()
    }
}
