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

// Goal: the sample stream gives the same alerts however it is read. Method: the real worker and store, `clock: data`;
// live in small pieces, afterwards in one go, and with orderly restarts and crashes between pieces; all compared.

@Suite struct LiveCatchUpTests {
    private static func sampleRules() throws -> RuleSet {
        var (files, diagnostics) = ConfigFile.loadDirectory(path: WorkerRig.root.appendingPathComponent("rules").path)
        #expect(diagnostics.isEmpty)
        files.append(ConfigFile(text: HealthTable.tables, file: "built-in/tables.yaml"))
        return try WorkerRig.rules(files)
    }

    private static func source(_ player: SamplePlayer, batchMax: Int) -> ScriptedEventSource {
        ScriptedEventSource(
            partitions: player.topics.map { TopicPartition(topic: $0, partition: 0) }, batchMax: batchMax)
    }

    private static func append(_ lines: ArraySlice<SamplePlayer.Line>, to source: ScriptedEventSource) {
        for line in lines {
            source.append(
                TopicPartition(topic: line.topic, partition: 0), keyBytes: line.message.key,
                valueBytes: line.message.value, timestamp: line.timestamp.milliseconds)
        }
    }

    private static func rig(_ source: ScriptedEventSource, folder: String? = nil) throws -> WorkerRig {
        try WorkerRig(
            rules: sampleRules(), source: source, folder: folder, clock: SystemWallClock(), clockMode: .data)
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
        append(player.lines[...], to: source)
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
}
