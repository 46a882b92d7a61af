import ArgumentParser
import Core
import Foundation
import Sandbox
import Store

/// Kills the real program at random instants under load and checks that everything arrived.
struct CrashCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "crash",
        abstract: "Kills alert-router at random instants and checks what its receivers got.",
        discussion: """
            The program runs against a mock cluster in another process and receivers in this one; the expected \
            messages come from a state machine that shares no code with it. Three kills of four wait until the worker \
            runs, the others fall into starts too. Exit code 1 on any violation, 2 when the kills prove too little: \
            fewer than 80 % left rows or messages undone, half hit a running worker, or a quarter hit a message that \
            waited or was being sent.
            """)

    @Option(help: "How often it is killed.") var kills = 100
    @Option(help: "Repeats a run's rows and kill instants; else one is drawn and printed.") var seed: UInt64?
    @Option(help: "Rows a second.") var rate = 200
    @Option(help: "The alert-router program; else the one beside this program.") var binary: String?
    @Option(help: "Folder for configuration, store and logs; else a temporary one, removed after success.")
    var folder: String?

    func run() async throws {
        let seed = seed ?? UInt64.random(in: 1...999_999)
        let place = folder ?? NSTemporaryDirectory() + "/router-crash-\(ProcessInfo.processInfo.processIdentifier)"
        BenchOutput.remark("crash: \(kills) kills, seed \(seed), \(rate) rows/s, folder \(place)")
        let world = try await CrashWorld(place: place, binary: try program(), seed: seed, rate: rate)
        let verdict: CrashVerdict
        do {
            verdict = try await world.play(kills: kills)
        } catch {
            await world.stop()
            BenchOutput.remark("the run failed: \(error)")
            throw ExitCode(1)
        }
        await world.stop()
        verdict.show()
        guard verdict.violations.isEmpty else { throw ExitCode(1) }
        if folder == nil { try? FileManager.default.removeItem(atPath: place) }
        guard verdict.voidReason == nil else { throw ExitCode(2) }
    }

    private func program() throws -> String {
        if let binary { return binary }
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        for name in ["alert-router", "AlertRouter"] {
            let path = (own as NSString).deletingLastPathComponent + "/" + name
            if FileManager.default.isExecutableFile(atPath: path) { return path }
        }
        throw ValidationError("alert-router is not beside \(own); build it, or say where it is with --binary")
    }
}

/// Broker, receivers, stream and the program under test.
final class CrashWorld {
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    /// What a killed process left behind.
    struct KillFigures {
        /// Whether its worker had started.
        var isPastStart = false
        var unreadCount = 0
        var unsentCount = 0
        var leasedCount = 0

        var messageCount: Int { unsentCount + leasedCount }
        var inFlightCount: Int { unreadCount + messageCount }
    }

    private let place: String
    private let binary: String
    private let broker: ChildProcess
    private let recorder: CrashRecorder
    private let feed: CrashFeed
    private let clock = SystemWallClock()
    private let seed: UInt64
    private let rate: Int
    private var numbers: SeededNumbers
    private var router: ChildProcess? {
        didSet { routerNumber = startCount }
    }
    private var routerNumber = 0
    private var startCount = 0

    private var location: StoreLocation { StoreLocation(folder: place + "/state", name: "alert") }

    init(place: String, binary: String, seed: UInt64, rate: Int) async throws {
        self.place = place
        self.binary = binary
        self.seed = seed
        self.rate = rate
        numbers = SeededNumbers(seed: seed ^ 0xDEAD)
        try? FileManager.default.removeItem(atPath: place)
        try FileManager.default.createDirectory(atPath: place + "/rules", withIntermediateDirectories: true)
        broker = try ChildProcess(
            ChildProcess.own,
            ["broker", "--partitions", "1", "--topic", "\(CrashStream.topic):\(CrashStream.partitionCount)"])
        let bootstrap = try await broker.value("bootstrap=")
        recorder = try await CrashRecorder.start()
        feed = try CrashFeed(bootstrap: bootstrap)
        let chats = recorder.chats.map { (name: $0.name, address: $0.sink.webhookAddress) }
        for chat in chats { try write(chat.address, "\(chat.name).url") }
        try write(CrashStream.tables, "rules/tables.yaml")
        try write(CrashStream.rules, "rules/crash.yaml")
        try write(
            CrashStream.configuration(bootstrap: bootstrap, chats: chats, mailPort: recorder.mail.port),
            "alert-router.yaml")
    }

    private func write(_ text: String, _ name: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: place + "/" + name))
    }

    func play(kills: Int) async throws -> CrashVerdict {
        // The first start finds an empty topic, so that nothing counts as open before.
        router = try start()
        try await wait(seconds: 30, "the first start") { (try? self.offsetsCount()) == CrashStream.partitionCount }
        let feeding = Task { [feed, seed, rate] in await feed.run(seed: seed, rate: rate) }
        defer { feeding.cancel() }
        var figures: [KillFigures] = []
        for kill in 1...max(kills, 1) where kills > 0 {
            let isAnywhere = Int.random(in: 0..<4, using: &numbers) == 0
            let delay = Int64.random(in: 50...1500, using: &numbers)
            if !isAnywhere { try await wait(seconds: 60, "the worker's start") { try self.hasStarted() } }
            try await clock.sleep(until: clock.now().adding(milliseconds: delay))
            try requireRunning()
            let standby = kill == (kills + 1) / 2 ? try await secondProcesses() : nil
            figures.append(try killAndLook())
            let last = figures[figures.count - 1]
            BenchOutput.remark(
                "kill \(kill) \(delay) ms into a \(isAnywhere ? "start" : "run"): \(last.unreadCount) rows not "
                    + "stored, \(last.unsentCount) messages waiting, \(last.leasedCount) being sent")
            if let standby { try await takeOver(standby) } else { router = try start() }
        }
        feed.stop()
        await feeding.value
        if let failure = feed.failure { throw Failure(description: failure) }
        try await settle()
        let exitCode = try await end()
        return try CrashVerdict(
            figures: figures, rows: feed.rows, recorder: recorder, store: ReadOnlyStore(location: location),
            exitCode: exitCode)
    }

    func stop() async {
        feed.stop()
        router?.kill()
        broker.finish()
        await recorder.stop()
    }

    // MARK: - The program under test

    private func start(_ flags: [String] = []) throws -> ChildProcess {
        startCount += 1
        return try ChildProcess(
            binary, ["run", "--config", place + "/alert-router.yaml"] + flags,
            errorFile: place + "/router-\(startCount).log")
    }

    private func log(_ number: Int) -> String {
        (try? String(contentsOfFile: place + "/router-\(number).log", encoding: .utf8)) ?? ""
    }

    /// Whether the worker of the newest process runs.
    private func hasStarted() throws -> Bool {
        try requireRunning()
        return log(routerNumber).contains("worker started")
    }

    private func requireRunning() throws {
        guard router?.isRunning ?? false else {
            throw Failure(description: "alert-router ended by itself:\n\(log(routerNumber).suffix(3000))")
        }
    }

    private func killAndLook() throws -> KillFigures {
        let produced = feed.producedCount
        router?.kill()
        _ = router?.waitUntilExit()
        var figures = try figures(producedCount: produced)
        figures.isPastStart = log(routerNumber).contains("worker started")
        return figures
    }

    /// Reads a copy of the store, so that looking changes nothing of what the next start finds.
    private func figures(producedCount: Int) throws -> KillFigures {
        let copy = StoreLocation(folder: place + "/copy", name: "alert")
        try? FileManager.default.removeItem(atPath: copy.folder)
        try FileManager.default.createDirectory(atPath: copy.folder, withIntermediateDirectories: true)
        for suffix in ["", "-wal"] where FileManager.default.fileExists(atPath: location.databasePath + suffix) {
            try FileManager.default.copyItem(
                atPath: location.databasePath + suffix, toPath: copy.databasePath + suffix)
        }
        return try ReadOnlyStore(location: copy).read { reader in
            var figures = KillFigures()
            let stored = try reader.offsets().reduce(0) { $0 + $1.nextOffset }
            figures.unreadCount = max(0, producedCount - Int(stored))
            for count in try reader.outboxCounts() {
                if count.state == .waiting { figures.unsentCount += count.count }
                if count.state == .leased { figures.leasedCount += count.count }
            }
            return figures
        }
    }

    /// A second process on the store must end at once and name the holder; one that stands by must wait.
    private func secondProcesses() async throws -> ChildProcess {
        try await wait(seconds: 10, "the lock is taken") {
            self.lockOwner == self.router?.processId
        }
        let holder = router?.processId ?? 0
        let second = try start()
        let number = startCount
        let began = clock.now()
        try await wait(seconds: 10, "the end of a second process on the same store") { !second.isRunning }
        let code = second.waitUntilExit()
        BenchOutput.figure("second_process_ms", Double(clock.now().milliseconds(since: began)), digits: 0)
        guard code != 0, log(number).contains("Process \(holder) ") else {
            throw Failure(
                description: "a second process ended with \(code) and did not name the holder: \(log(number))")
        }
        let standby = try start(["--standby"])
        try await wait(seconds: 10, "a process that stands by") { self.log(self.startCount).contains("standing by") }
        return standby
    }

    private func takeOver(_ standby: ChildProcess) async throws {
        let began = clock.now()
        router = standby
        try await wait(seconds: 10, "the process that stands by to take over") {
            self.lockOwner == standby.processId
        }
        BenchOutput.figure("take_over_ms", Double(clock.now().milliseconds(since: began)), digits: 0)
    }

    // MARK: - The end

    /// Waits until every row is judged, every timer has run and nothing waits to be sent.
    private func settle() async throws {
        let produced = feed.producedCount
        try await wait(seconds: 120, "everything to be read") {
            try self.requireRunning()
            return try ReadOnlyStore(location: self.location).read { try $0.offsets().reduce(0) { $0 + $1.nextOffset } }
                >= Int64(produced)
        }
        let last = Timestamp(milliseconds: feed.rows.last?.committedAt ?? 0)
        let quiet = last.adding(
            milliseconds: CrashStream.heldMilliseconds + Int64(CrashStream.maxDelaySeconds) * 1000 + 2500)
        try await clock.sleep(until: quiet)
        try await wait(seconds: 120, "the outbox to be empty") {
            try self.requireRunning()
            return try ReadOnlyStore(location: self.location).read { reader in
                try reader.outboxCounts().allSatisfy { $0.state.isSettled || $0.count == 0 }
            }
        }
    }

    private func end() async throws -> Int32 {
        router?.terminate()
        try await wait(seconds: 10, "an orderly end") { !(self.router?.isRunning ?? false) }
        return router?.waitUntilExit() ?? -1
    }

    /// Who wrote the lock file last; asking for the lock itself could disturb the process that is about to take it.
    private var lockOwner: Int32? {
        guard let text = try? String(contentsOfFile: location.lockPath, encoding: .utf8) else { return nil }
        return (try? JSON.parse(Array(text.utf8)))?["pid"]?.intValue.map { Int32(clamping: $0) }
    }

    private func offsetsCount() throws -> Int {
        try requireRunning()
        return try ReadOnlyStore(location: location).read { try $0.offsets().count }
    }

    private func wait(
        seconds: Int64, _ what: String, until isThere: () throws -> Bool
    ) async throws {
        let limit = clock.now().adding(milliseconds: seconds * 1000)
        while try !isThere() {
            guard clock.now() < limit else {
                throw Failure(
                    description: "\(what): not within \(seconds) s; the log ends:\n\(log(startCount).suffix(3000))")
            }
            try await clock.sleep(until: clock.now().adding(milliseconds: 25))
        }
    }
}
