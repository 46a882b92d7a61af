import ArgumentParser
import Foundation

/// A fast webhook in a process of its own; ends with its standard input.
struct PushSinkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "push-sink",
        abstract: "Runs a webhook; 'wait COUNT SECONDS PATH' on standard input writes when each mark came.")

    func run() async throws {
        let sink = try MarkSink()
        BenchOutput.line("port=\(sink.port)")
        while let line = readLine() {
            let words = line.split(separator: " ")
            guard words.count == 4, words[0] == "wait", let count = Int(words[1]), let seconds = Double(words[2])
            else { continue }
            let deadline = Loopback.microseconds() + Int64(seconds * 1_000_000)
            while sink.markCount < count, Loopback.microseconds() < deadline {
                try await ContinuousClock().sleep(for: .milliseconds(5))
            }
            let text = sink.marks.map { "\($0.key.dropFirst(5)) \($0.value)\n" }.joined()
            try text.write(toFile: String(words[3]), atomically: true, encoding: .utf8)
            BenchOutput.line("written=\(words[3])")
        }
        sink.stop()
    }
}
