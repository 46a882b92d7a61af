import Foundation
import Testing

// Goal: kill -9 at any instant loses nothing and tells nobody twice unflagged. Method: the short run of the crash
// harness with the built program; `make crash` is the long one.

private enum Harness {
    /// The folder of the built programs: the one this test was built into.
    static let folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()

    static let isBuilt: Bool = {
        let missing = ["RouterBench", "alert-router"].filter {
            !FileManager.default.isExecutableFile(atPath: folder.appendingPathComponent($0).path)
        }
        for name in missing {
            FileHandle.standardError.write(Data("\(name) is not built beside the tests: no crash test\n".utf8))
        }
        return missing.isEmpty
    }()

    static func run(_ arguments: [String]) async throws -> (code: Int32, output: String) {
        let file = NSTemporaryDirectory() + "/harness-\(UUID().uuidString).out"
        try Data().write(to: URL(fileURLWithPath: file))
        defer { try? FileManager.default.removeItem(atPath: file) }
        let process = Process()
        process.executableURL = folder.appendingPathComponent("RouterBench")
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle(forWritingAtPath: file)
        process.standardError = FileHandle(forWritingAtPath: file)
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            process.terminationHandler = { _ in continuation.resume() }
            do { try process.run() } catch {
                process.terminationHandler = nil
                continuation.resume()
            }
        }
        return (process.terminationStatus, try String(contentsOfFile: file, encoding: .utf8))
    }
}

/// Beside a whole test run the program gets too little of the processors for times to mean anything: it has a run of
/// its own, `make crash-short`, which sets ALERT_ROUTER_CRASH_TEST.
private let isWanted = ProcessInfo.processInfo.environment["ALERT_ROUTER_CRASH_TEST"] != nil

@Suite(.enabled(if: isWanted && Harness.isBuilt, "make crash-short runs it"), .timeLimit(.minutes(5)))
struct CrashHarnessTests {
    @Test func `killed at random instants, everything is delivered and nothing twice`() async throws {
        // A run counts only when most kills hit work in flight; a void one says nothing and is repeated.
        for attempt in 1...3 {
            let (code, output) = try await Harness.run(["crash", "--kills", "6", "--rate", "400"])
            if code == 2, attempt < 3 { continue }
            #expect(code == 0, "\(output)")
            #expect(output.contains("lost=0") && output.contains("violations=0"))
            return
        }
    }
}

@Suite struct CrashOracleTests {
    @Test func `the oracle shares no code with what it judges`() throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Sources/RouterBench/CrashOracle.swift")
        let imports = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
            .filter { $0.hasPrefix("import ") || $0.contains("al import ") || $0.contains("@testable ") }
        #expect(imports == ["import Crypto"])
    }
}
