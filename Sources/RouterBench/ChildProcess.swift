import Foundation
import Synchronization

/// A process of a benchmark: its lines are read as they come.
///
/// On `posix_spawn` and threads: Foundation's process and its readability handlers crash at times on Linux when many
/// short processes end.
final class ChildProcess: Sendable {
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    private struct State {
        var lines: [String] = []
        var isOutputEnded = false
        var input: Int32
        var exitCode: Int32?
    }

    let processId: Int32
    private let name: String
    private let state: Mutex<State>

    /// Starts a program; its standard error is ours unless a file is given.
    init(
        _ executable: String, _ arguments: [String], environment: [String: String] = [:], errorFile: String? = nil
    ) throws {
        name = (executable as NSString).lastPathComponent
        let input = try ChildProcess.makePipe()
        let output = try ChildProcess.makePipe()
        let errors = errorFile.map { open($0, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600) } ?? -1
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input.read, 0)
        posix_spawn_file_actions_adddup2(&actions, output.write, 1)
        if errors >= 0 { posix_spawn_file_actions_adddup2(&actions, errors, 2) }
        // Threads of the task pool block signals, which a child would inherit: it could not be ended.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        let all = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let code = ChildProcess.withPointers([executable] + arguments) { argv in
            ChildProcess.withPointers(all.map { "\($0.key)=\($0.value)" }) { envp -> (Int32, pid_t) in
                var id: pid_t = 0
                return (posix_spawn(&id, executable, &actions, &attributes, argv, envp), id)
            }
        }
        for descriptor in [input.read, output.write, errors] where descriptor >= 0 { close(descriptor) }
        guard code.0 == 0 else { throw Failure(description: "cannot start \(executable): error \(code.0)") }
        processId = code.1
        state = Mutex(State(input: input.write))
        Thread { [self] in readLines(output.read) }.start()
        Thread { [self] in waitForEnd() }.start()
    }

    private static func makePipe() throws -> (read: Int32, write: Int32) {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw Failure(description: "no pipe") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    private static func withPointers<T>(
        _ texts: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> T
    ) -> T {
        var pointers: [UnsafeMutablePointer<CChar>?] = texts.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        return pointers.withUnsafeMutableBufferPointer { buffer in
            // Never empty: it ends with a null.
            body(buffer.baseAddress ?? UnsafeMutablePointer.allocate(capacity: 1))
        }
    }

    private func readLines(_ descriptor: Int32) {
        var partial: [UInt8] = []
        while true {
            var bytes = [UInt8](repeating: 0, count: 4096)
            let count = read(descriptor, &bytes, bytes.count)
            guard count > 0 else { break }
            partial += bytes[..<count]
            while let end = partial.firstIndex(of: 10) {
                let line = String(decoding: partial[..<end], as: UTF8.self)
                partial.removeFirst(end + 1)
                state.withLock { $0.lines.append(line) }
            }
        }
        close(descriptor)
        state.withLock { $0.isOutputEnded = true }
    }

    private func waitForEnd() {
        var status: Int32 = 0
        while waitpid(processId, &status, 0) < 0, errno == EINTR {}
        let code = status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
        state.withLock { $0.exitCode = code }
    }

    var isRunning: Bool { state.withLock { $0.exitCode == nil } }

    /// The rest of the first line that begins with `prefix`, as soon as it is there.
    func value(_ prefix: String) async throws -> String {
        while true {
            let (found, isEnded) = state.withLock { state in
                (state.lines.first { $0.hasPrefix(prefix) }, state.isOutputEnded)
            }
            if let found { return String(found.dropFirst(prefix.count)) }
            if isEnded { throw Failure(description: "\(name) ended without '\(prefix)'") }
            try await ContinuousClock().sleep(for: .milliseconds(5))
        }
    }

    /// Writes a line to its standard input.
    func send(_ line: String) {
        let input = state.withLock { $0.input }
        let bytes = Array((line + "\n").utf8)
        _ = write(input, bytes, bytes.count)
    }

    func kill() { _ = Glibc.kill(processId, SIGKILL) }
    func terminate() { if isRunning { _ = Glibc.kill(processId, SIGTERM) } }

    /// Closes its standard input, which ends our own helper processes, and waits.
    func finish() {
        closeInput()
        _ = waitUntilExit()
    }

    private func closeInput() {
        state.withLock { state in
            if state.input >= 0 { close(state.input) }
            state.input = -1
        }
    }

    /// Waits until it has ended; its exit code, or 128 and the signal.
    func waitUntilExit() -> Int32 {
        while true {
            if let code = state.withLock({ $0.exitCode }) {
                closeInput()
                return code
            }
            usleep(1000)
        }
    }

    /// Resident memory now, in MB (10^6 bytes); nil when it has ended.
    var residentMegabytes: Double? { megabytes("VmRSS:") }

    /// The most memory that was ever resident, in MB (10^6 bytes); nil when it has ended.
    var peakMegabytes: Double? { megabytes("VmHWM:") }

    /// Processor time used so far, of all threads, in seconds; nil when it has ended.
    var processorSeconds: Double? {
        guard let text = try? String(contentsOfFile: "/proc/\(processId)/stat", encoding: .utf8),
            let end = text.lastIndex(of: ")")
        else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return nil }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    func hangUp() { if isRunning { _ = Glibc.kill(processId, SIGHUP) } }

    private func megabytes(_ name: String) -> Double? {
        guard let text = try? String(contentsOfFile: "/proc/\(processId)/status", encoding: .utf8),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix(name) }),
            let kilobytes = Double(line.split(whereSeparator: \.isWhitespace)[1])
        else { return nil }
        return kilobytes * 1024 / 1_000_000
    }

    /// This program, to be started again with another command.
    static var own: String { CommandLine.arguments[0].hasPrefix("/") ? CommandLine.arguments[0] : "/proc/self/exe" }
}
