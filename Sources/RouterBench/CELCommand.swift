import ArgumentParser
import CEL
import ChangeEvents
import ConfigFiles
import Core
import RuleEngine

/// cel_eval_per_s, decode_per_s, judge_per_s: parts of the loop alone, as information.
struct CELCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cel", abstract: "Measures conditions, decoding and judging alone, on one thread.")

    @Option(help: "Rounds.") var rounds = 5

    func run() async throws {
        let files = [
            ConfigFile(text: BenchStream.tables, file: "tables.yaml"),
            ConfigFile(text: BenchStream.rules, file: "bench.yaml"),
        ]
        guard let rules = RuleSet.load(files: files, options: .standard).0 else { throw ExitCode(1) }
        let raws = CELCommand.batches(count: 40, size: 1000)
        var decoded: [Double] = []
        var admitted: [Double] = []
        var judged: [Double] = []
        for _ in 0..<rounds {
            var decoder = ChangeDecoder(catalog: rules.catalog)
            var memory = RowMemory(catalog: rules.catalog)
            var evaluator = RuleEvaluator(rules: rules)
            let batch = ChangeBatch()
            var times = (decode: Duration.zero, admit: Duration.zero, judge: Duration.zero)
            for raw in raws {
                let start = ContinuousClock.now
                batch.reset()
                decoder.decode(raw, into: batch)
                let afterDecode = ContinuousClock.now
                memory.admit(batch)
                let afterAdmit = ContinuousClock.now
                var output = EvaluationOutput()
                evaluator.evaluate(batch, output: &output)
                let end = ContinuousClock.now
                times.decode += afterDecode - start
                times.admit += afterAdmit - afterDecode
                times.judge += end - afterAdmit
            }
            let count = Double(raws.reduce(0) { $0 + $1.messages.count })
            decoded.append(count / (times.decode / .seconds(1)))
            admitted.append(count / (times.admit / .seconds(1)))
            judged.append(count / (times.judge / .seconds(1)))
        }
        let conditions = try CELCommand.conditions(rounds: rounds)
        BenchOutput.remark(
            "cel: one thread, \(rounds) rounds, medians; conditions a second over two columns (information), rows a "
                + "second decoded, admitted, and judged by 20 rules")
        BenchOutput.figure("cel_eval_per_s", conditions.median, digits: 0)
        BenchOutput.figure("decode_per_s", decoded.median, digits: 0)
        BenchOutput.figure("admit_per_s", admitted.median, digits: 0)
        BenchOutput.figure("judge_per_s", judged.median, digits: 0)
    }

    /// Batches of the throughput stream, as the consumer hands them over.
    static func batches(count: Int, size: Int) -> [RawBatch] {
        let stream = BenchStream()
        var offsets = [Int64](repeating: 0, count: 100)
        return (0..<count).map { number in
            RawBatch.copying(
                (number * size..<(number + 1) * size).map { index in
                    let partition = index % stream.keyCount % 100
                    defer { offsets[partition] += 1 }
                    let time = 1_768_200_000_000 + Int64(index)
                    return RawBatch.Copied(
                        partition: TopicPartition(topic: BenchStream.topic, partition: Int32(partition)),
                        offset: offsets[partition], timestamp: time,
                        key: Array("U-\(100_000 + index % stream.keyCount)".utf8),
                        value: stream.value(index, milliseconds: time))
                })
        }
    }

    private static func conditions(rounds: Int) throws -> [Double] {
        let columns: [(name: String, type: CELType)] = [("defect_rate", .double), ("is_blocked", .bool)]
        let environment = Environment { path in
            guard path.count == 2, path[0] == "after" else { return path == ["after"] ? .record(space: 1) : .none }
            guard let index = columns.firstIndex(where: { $0.name == path[1] }) else {
                return .unknownColumn(candidates: columns.map(\.name))
            }
            return .slot(SlotReference(space: 1, index: UInt16(index)), columns[index].type)
        }
        let result = CEL.compile(
            "after.defect_rate > 0.05 && !after.is_blocked", at: SourceMap(file: "bench"), in: environment,
            expecting: .bool)
        guard let program = result.program else { throw ExitCode(1) }
        let slots = [SlotValue(kind: .double, bits: (0.08).bitPattern), SlotValue.bool(false)]
        let arena = RowArena()
        let count = 2_000_000
        return slots.withUnsafeBufferPointer { slots in
            let frame = EvaluationFrame(spaces: (nil, slots.baseAddress, nil, nil), arena: arena)
            return (0..<rounds).map { _ in
                var absorbed = 0
                var holds = 0
                let start = ContinuousClock.now
                for _ in 0..<count {
                    if case .isTrue = program.evaluateCondition(frame, absorbed: &absorbed) { holds += 1 }
                }
                let elapsed = (ContinuousClock.now - start) / .seconds(1)
                return holds == count ? Double(count) / elapsed : .nan
            }
        }
    }
}
