import Foundation
import Synchronization

/// A process of a benchmark: its lines are read as they come; it ends with us.
final class ChildProcess: Sendable {
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    private struct State {
        var lines: [String] = []
        var partial = ""
        var isEnded = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let process: Process
    private let input = Pipe()
    private let state = Mutex(State())

    /// Starts a program; its standard error is ours unless a file is given.
    init(_ executable: String, _ arguments: [String], environment: [String: String] = [:], errorFile: String? = nil)
        throws
    {
        process = Process()
        process.executableURL = URL(fileURLWithPath: executable)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let output = Pipe()
        process.standardInput = input
        process.standardOutput = output
        if let errorFile {
            _ = FileManager.default.createFile(atPath: errorFile, contents: nil)
            process.standardError = FileHandle(forWritingAtPath: errorFile)
        }
        try process.run()
        // A thread that reads: a handler of Foundation's may outlive the pipe's descriptor and bring the process down.
        let handle = output.fileHandleForReading
        Thread { [self] in
            while true {
                let data = handle.availableData
                receive(String(decoding: data, as: UTF8.self), isEnd: data.isEmpty)
                if data.isEmpty { return }
            }
        }.start()
    }

    var processId: Int32 { process.processIdentifier }
    var isRunning: Bool { process.isRunning }

    private func receive(_ text: String, isEnd: Bool) {
        let waiters = state.withLock { state in
            state.partial += text
            var parts = state.partial.components(separatedBy: "\n")
            state.partial = parts.removeLast()
            state.lines += parts
            state.isEnded = state.isEnded || isEnd
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// The rest of the first line that begins with `prefix`, as soon as it is there.
    func value(_ prefix: String) async throws -> String {
        while true {
            let (found, isEnded) = state.withLock { state in
                (state.lines.first { $0.hasPrefix(prefix) }, state.isEnded)
            }
            if let found { return String(found.dropFirst(prefix.count)) }
            if isEnded {
                throw Failure(
                    description: "\(process.executableURL?.lastPathComponent ?? "a process") ended without '\(prefix)'")
            }
            await withCheckedContinuation { continuation in
                let isReady = state.withLock { state in
                    if state.isEnded || state.lines.contains(where: { $0.hasPrefix(prefix) }) { return true }
                    state.waiters.append(continuation)
                    return false
                }
                if isReady { continuation.resume() }
            }
        }
    }

    /// Writes a line to its standard input.
    func send(_ line: String) { try? input.fileHandleForWriting.write(contentsOf: Data((line + "\n").utf8)) }

    func kill() { _ = Foundation.kill(processId, SIGKILL) }
    func terminate() { process.terminate() }

    /// Closes its standard input, which ends our own helper processes, and waits.
    func finish() {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }

    /// Waits until it has ended; its exit code.
    func waitUntilExit() -> Int32 {
        process.waitUntilExit()
        return process.terminationStatus
    }

    /// Resident memory now, in MB (10^6 bytes); nil when it has ended.
    var residentMegabytes: Double? {
        guard let text = try? String(contentsOfFile: "/proc/\(processId)/status", encoding: .utf8),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("VmRSS:") }),
            let kilobytes = Double(line.split(whereSeparator: \.isWhitespace)[1])
        else { return nil }
        return kilobytes * 1024 / 1_000_000
    }

    /// This program, to be started again with another command.
    static var own: String { CommandLine.arguments[0].hasPrefix("/") ? CommandLine.arguments[0] : "/proc/self/exe" }
}
