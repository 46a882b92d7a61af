import Foundation
import Synchronization
import Testing

/// The built program `alert-router`, as a user would start it.
enum Program {
    /// Beside the test bundle; nil where it was not built.
    static let path: String? = {
        let bundle = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        let path = bundle.deletingLastPathComponent().appendingPathComponent("alert-router").path
        return FileManager.default.isExecutableFile(atPath: path) ? path : nil
    }()

    static let isBuilt: Bool = {
        if path == nil { FileHandle.standardError.write(Data("alert-router is not built beside the tests\n".utf8)) }
        return path != nil
    }()

    /// The package's root, where `rules/`, `schema/` and `deploy/` are.
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

    /// What a run of the program left.
    struct Result {
        var code: Int32
        var output: String
        var errors: String
        /// Everything, as a terminal would show it, and the exit code.
        var transcript: String { output + errors + "[exit \(code)]\n" }
    }

    /// Runs the program to its end.
    static func run(
        _ arguments: [String], in folder: String, environment: [String: String] = [:], program: String? = nil
    ) async throws -> Result {
        let process = try process(arguments, in: folder, environment: environment)
        if let program { process.executableURL = URL(fileURLWithPath: program) }
        let name = folder + "/.run-\(UUID().uuidString)"
        for suffix in [".out", ".err"] { try Data().write(to: URL(fileURLWithPath: name + suffix)) }
        process.standardOutput = FileHandle(forWritingAtPath: name + ".out")
        process.standardError = FileHandle(forWritingAtPath: name + ".err")
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            process.terminationHandler = { _ in continuation.resume() }
            do { try process.run() } catch {
                process.terminationHandler = nil
                continuation.resume()
            }
        }
        let output = try String(contentsOfFile: name + ".out", encoding: .utf8)
        let errors = try String(contentsOfFile: name + ".err", encoding: .utf8)
        for suffix in [".out", ".err"] { try FileManager.default.removeItem(atPath: name + suffix) }
        return Result(code: process.terminationStatus, output: output, errors: errors)
    }

    /// Whether nothing listens at a port of this machine.
    static func refusesConnections(port: UInt16) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        return result != 0 && errno == ECONNREFUSED
    }

    static func process(_ arguments: [String], in folder: String, environment: [String: String]) throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try #require(path))
        process.arguments = arguments
        process.currentDirectoryURL = URL(fileURLWithPath: folder)
        let base = ["PATH": "/usr/bin:/bin", "COLUMNS": "80", "USER": "tester", "LC_ALL": "C.UTF-8"]
        process.environment = base.merging(environment) { $1 }
        process.standardInput = FileHandle.nullDevice
        return process
    }
}

/// The program while it runs: its log lines can be waited for, signals sent.
final class RunningProgram: Sendable {
    private struct State {
        var text = ""
        var isEnded = false
        var code: Int32 = 0
        var waiters: [Waiter] = []
        var waiterCount = 0
    }

    private struct Waiter {
        var number: Int
        var isMet: @Sendable (State) -> Bool
        var continuation: CheckedContinuation<Void, Never>
    }

    /// Who reads what the program prints.
    enum Reader {
        case thisObject
        /// Nobody: the pipe is closed, writing to it is an error.
        case nobody
    }

    struct Ended: Error, CustomStringConvertible {
        var description: String
    }

    private let state = Mutex(State())
    private let processId: Int32

    /// Starts it; what it logs goes to this object.
    init(
        _ arguments: [String], in folder: String, environment: [String: String], reader: Reader = .thisObject
    ) throws {
        let process = try Program.process(arguments, in: folder, environment: environment)
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        let relay = Relay()
        process.terminationHandler = { ended in
            relay.send {
                $0.isEnded = true
                $0.code = ended.terminationStatus
            }
        }
        try process.run()
        // A thread that reads, not a readability handler: libdispatch crashes when a handler's descriptor is closed and
        // its number given to another file meanwhile.
        let handle = pipe.fileHandleForReading
        switch reader {
        case .nobody: try handle.close()
        case .thisObject:
            Thread {
                while case let data = handle.availableData, !data.isEmpty {
                    relay.send { $0.text += String(decoding: data, as: UTF8.self) }
                }
            }.start()
        }
        processId = process.processIdentifier
        relay.connect { [weak self] change in self?.update(change) }
    }

    /// Everything logged or printed so far.
    var log: String { state.withLock { $0.text } }

    /// How often a text was logged.
    func count(of text: String) -> Int { log.components(separatedBy: text).count - 1 }

    /// Waits until a text was logged so many times.
    /// - Throws: with the whole log, when the program ended without.
    func wait(for text: String, times: Int = 1) async throws {
        await wait { $0.isEnded || $0.text.components(separatedBy: text).count > times }
        guard count(of: text) >= times else {
            throw Ended(description: "ended without '\(text)' (\(times) times):\n\(log)")
        }
    }

    /// Waits for the end.
    /// - Returns: the exit code.
    func waitForExit() async -> Int32 {
        await wait { $0.isEnded }
        return state.withLock { $0.code }
    }

    func send(_ signal: Int32) { kill(processId, signal) }

    /// Sends a signal and waits until the program took it, so that the next one is another one to the kernel too.
    func sendTaken(_ signal: Int32) async throws {
        send(signal)
        let bit = UInt64(1) << UInt64(signal - 1)
        while !Task.isCancelled {
            let status = try String(contentsOfFile: "/proc/\(processId)/status", encoding: .utf8)
            let pending = status.firstMatch(of: /ShdPnd:\s*([0-9a-f]+)/).flatMap { UInt64($0.1, radix: 16) }
            guard let pending, pending & bit != 0 else { return }
            await Task.yield()
        }
    }

    /// A test that ran out of time waits no more, and takes the program with it.
    private func wait(_ isMet: @escaping @Sendable (State) -> Bool) async {
        let number = state.withLock { state in
            state.waiterCount += 1
            return state.waiterCount
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isNow = state.withLock { state in
                    if isMet(state) || Task.isCancelled { return true }
                    state.waiters.append(Waiter(number: number, isMet: isMet, continuation: continuation))
                    return false
                }
                if isNow { continuation.resume() }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.waiters.firstIndex { $0.number == number }.map { state.waiters.remove(at: $0) }
            }
            if !state.withLock({ $0.isEnded }) { kill(processId, SIGKILL) }
            waiter?.continuation.resume()
        }
    }

    private func update(_ change: @Sendable (inout State) -> Void) {
        let met = state.withLock { state in
            change(&state)
            let now = state
            let met = state.waiters.filter { $0.isMet(now) }.map(\.continuation)
            state.waiters.removeAll { $0.isMet(now) }
            return met
        }
        for continuation in met { continuation.resume() }
    }

    /// Keeps what comes before the object is ready.
    private final class Relay: Sendable {
        private struct Link {
            var early: [@Sendable (inout State) -> Void] = []
            var target: (@Sendable (@Sendable (inout State) -> Void) -> Void)?
        }
        private let link = Mutex(Link())

        func send(_ change: @escaping @Sendable (inout State) -> Void) {
            let target = link.withLock { link in
                if link.target == nil { link.early.append(change) }
                return link.target
            }
            target?(change)
        }

        func connect(_ target: @escaping @Sendable (@Sendable (inout State) -> Void) -> Void) {
            let early = link.withLock { link in
                link.target = target
                defer { link.early = [] }
                return link.early
            }
            for change in early { target(change) }
        }
    }
}

/// A folder that is removed afterwards.
struct Workspace: ~Copyable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "/ar-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ text: String, to name: String) throws {
        let file = URL(fileURLWithPath: path + "/" + name)
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file)
    }
}

/// Texts the program prints, kept in `Golden/`; `ALERT_ROUTER_GOLDEN=write` writes them anew.
enum Golden {
    static func expect(_ text: String, _ name: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let path = Program.root + "/Tests/AlertRouterTests/Golden/" + name
        if ProcessInfo.processInfo.environment["ALERT_ROUTER_GOLDEN"] == "write" {
            try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        }
        let kept = try String(contentsOfFile: path, encoding: .utf8)
        guard text != kept else { return }
        let lines = text.components(separatedBy: "\n")
        let expected = kept.components(separatedBy: "\n")
        let index = zip(lines, expected).enumerated().first { $1.0 != $1.1 }?.offset ?? min(lines.count, expected.count)
        Issue.record(
            """
            \(name):\(index + 1) differs (ALERT_ROUTER_GOLDEN=write keeps the new text)
            kept:    \(index < expected.count ? expected[index] : "(end)")
            printed: \(index < lines.count ? lines[index] : "(end)")
            """, sourceLocation: sourceLocation)
    }
}
