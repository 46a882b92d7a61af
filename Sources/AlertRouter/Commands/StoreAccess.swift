import ConfigFiles
import Core
import Foundation
import Store

/// How commands reach the store: read-only beside the service, or through it, or under its lock where none runs.
enum StoreAccess {
    /// Who acts, as the store notes it.
    static var person: String {
        let environment = ProcessInfo.processInfo.environment
        if let name = environment["SUDO_USER"] ?? environment["USER"] ?? environment["LOGNAME"] { return name }
        return getpwuid(getuid()).map { String(cString: $0.pointee.pw_name) } ?? "uid \(getuid())"
    }

    /// The store's place, by the configuration; only that key of it has to be right.
    static func location(_ options: ConfigurationOptions) throws -> StoreLocation {
        let loaded = try LoadedConfiguration.read(path: options.config)
        return loaded.storeLocation
    }

    /// Opens the store for reading, without the lock.
    static func reading(_ options: ConfigurationOptions) throws -> ReadOnlyStore {
        let location = try location(options)
        do {
            return try ReadOnlyStore(location: location)
        } catch let error as StoreError where error.code == .notFound {
            throw CommandFailure(
                .inputIsWrong, "there is no store in \(location.folder)",
                help: "'alert-router run' makes it at its first start")
        } catch let error as StoreError {
            throw CommandFailure(.inputIsWrong, error.message)
        }
    }

    /// Sends a command to the service; without one, acts on the store itself.
    static func command(_ request: JSON, _ options: ConfigurationOptions) async throws -> JSON {
        let location = try location(options)
        guard FileManager.default.fileExists(atPath: location.databasePath) else {
            throw CommandFailure(
                .inputIsWrong, "there is no store in \(location.folder)",
                help: "'alert-router run' makes it at its first start")
        }
        do {
            switch try ControlClient.route(for: location) {
            case .service(let holder):
                let answer = try await ControlClient.send(
                    request.bytes, to: holder.socketPath, timeout: ControlLimits.clientTimeout)
                return try checked(JSON.parse(answer))
            case .free: return try checked(try await OfflineCommands.perform(request, location: location))
            }
        } catch let error as StoreError where error.code == .noAnswer {
            throw CommandFailure(
                .serviceUnreachable, "the service holds the store in \(location.folder) but does not answer",
                help: "look at its log; a service that is starting or draining does not answer")
        } catch let error as StoreError {
            throw CommandFailure(.inputIsWrong, error.message)
        } catch let error as JSON.ParseError {
            throw CommandFailure(.serviceUnreachable, "the service's answer cannot be read: \(error)")
        }
    }

    private static func checked(_ answer: JSON) throws -> JSON {
        if let error = answer["error"]?.stringValue { throw CommandFailure(.inputIsWrong, error) }
        return answer
    }
}

/// What mutating commands do where no service runs: they take the lock and act on the store.
enum OfflineCommands {
    static func perform(_ request: JSON, location: StoreLocation) async throws -> JSON {
        let clock = SystemWallClock()
        let now = clock.now()
        let name = request["command"]?.stringValue ?? ""
        let isSilence = [SilenceRequest.putName, SilenceRequest.expireName].contains(name)
        guard isSilence || name.hasPrefix("dead_letters.") else {
            return .object(["error": .string("'\(name)' needs a running service: start it with 'alert-router run'")])
        }
        let store = try SQLiteStore(
            StoreOptions(location: location, limits: .standard, now: now, metrics: MetricsRegistry()),
            holder: .current(startedAt: now, socketPath: ""))
        if isSilence {
            let answer: JSON
            do {
                answer = try await store.write(byteCount: 4096) { transaction in
                    try SilenceRequest.perform(request, now: now, in: transaction)
                }
            } catch let error as StoreError where !error.isStorageFailure {
                answer = .object(["error": .string(error.message)])
            }
            await store.close(now: clock.now())
            return answer
        }
        let by = request["by"]?.stringValue ?? "unknown"
        var results: [JSON] = []
        for id in (request["ids"]?.elements ?? []).compactMap(\.intValue) {
            do {
                let isReplay = name == "dead_letters.replay"
                let text = try await store.write(byteCount: 1024) { transaction in
                    try settle(id, isReplay: isReplay, by: by, now: now, in: transaction)
                }
                results.append(result(id, isDone: true, text))
            } catch let error as StoreError where !error.isStorageFailure {
                results.append(result(id, isDone: false, error.message))
            }
        }
        await store.close(now: clock.now())
        return .object(["results": .array(results)])
    }

    static func result(_ id: Int64, isDone: Bool, _ text: String) -> JSON {
        .object(["id": .integer(id), "ok": .bool(isDone), "text": .string(text)])
    }

    private static func settle(
        _ id: Int64, isReplay: Bool, by: String, now: Timestamp, in transaction: any StoreTransaction
    ) throws -> String {
        guard let letter = try transaction.deadLetter(id: id) else {
            throw StoreError(.conflict, "there is no dead letter \(id)", systemCode: nil)
        }
        guard letter.state == .open else {
            throw StoreError(.conflict, "dead letter \(id) is \(letter.state.rawValue)", systemCode: nil)
        }
        guard isReplay else {
            if let row = letter.outboxId {
                try transaction.settle(
                    id: row,
                    OutboxSettlement(
                        state: .discarded, reason: "discarded by \(by)", providerId: nil, at: now, isAmbiguous: false),
                    attempt: nil)
            }
            try transaction.settleDeadLetter(id: id, state: .discarded, by: by, at: now)
            return "discarded"
        }
        if let row = letter.outboxId {
            try transaction.requeue(id: row, at: now)
            try transaction.settleDeadLetter(id: id, state: .replayed, by: by, at: now)
            return "back in the outbox; it is sent when the service runs"
        }
        try transaction.setMeta("\(ReplayRequests.prefix)\(id)", Array(by.utf8))
        return "noted; it is read and judged at the next start"
    }
}

/// Replays of messages that were asked for while no service ran.
enum ReplayRequests {
    static let prefix = "alert.replay."
}

/// Who looked at the bytes of messages, which may hold personal data: a file beside the store.
enum RawAccessLog {
    /// Larger than this, it becomes `.1` and a new one begins: some 10,000 looks.
    private static let byteCountMax = 1 << 20

    /// Notes a look before the bytes are shown.
    /// - Throws: ``CommandFailure`` where it cannot be noted; then nothing may be shown.
    static func note(letter: Int64, by person: String, at: Timestamp, in location: StoreLocation) throws {
        let path = "\(location.folder)/raw-access.log"
        var status = stat()
        if stat(path, &status) == 0, status.st_size > byteCountMax { rename(path, path + ".1") }
        let line = Array("\(at) \(person) dead letter \(letter)\n".utf8)
        let file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
        defer { if file >= 0 { close(file) } }
        guard file >= 0, write(file, line, line.count) == line.count else {
            throw CommandFailure(
                .inputIsWrong, "the look could not be noted in \(path): \(String(cString: strerror(errno)))",
                help: "bytes of messages are shown to those only who may write there")
        }
    }
}
