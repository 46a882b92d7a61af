import Core
import Foundation
import GRDB
import Testing

@testable import Store

/// A store in a folder of its own, removed at the end of the test.
final class StoreFixture {
    let folder: String
    let location: StoreLocation
    var limits = StoreLimits.standard
    static let start = Timestamp(milliseconds: 1_767_000_000_000)

    init() {
        folder = NSTemporaryDirectory() + "/store-tests-\(UUID().uuidString)"
        location = StoreLocation(folder: folder, name: "alert")
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func open(at time: Timestamp = StoreFixture.start) throws -> SQLiteStore {
        let options = StoreOptions(location: location, limits: limits, now: time, metrics: MetricsRegistry())
        return try SQLiteStore(options, holder: .current(startedAt: time, socketPath: "/tmp/x.sock"))
    }

    /// Copies the database files as a crash at this instant would leave them.
    func copyFiles(to other: StoreLocation) throws {
        try other.makeFolder()
        for suffix in ["", "-wal"] {
            let (source, target) = (location.databasePath + suffix, other.databasePath + suffix)
            try? FileManager.default.removeItem(atPath: target)
            if FileManager.default.fileExists(atPath: source) {
                try FileManager.default.copyItem(atPath: source, toPath: target)
            }
        }
    }
}

/// SplitMix64: the same seed gives the same test.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}

func code(_ body: () throws -> some Any) -> StoreError.Code? {
    do {
        _ = try body()
        return nil
    } catch {
        return (error as? StoreError)?.code
    }
}

func code(_ body: () async throws -> some Any) async -> StoreError.Code? {
    do {
        _ = try await body()
        return nil
    } catch {
        return (error as? StoreError)?.code
    }
}

func outboxRow(
    receiver: String = "team", lane: String = "a", priority: OutboxPriority = .normal,
    at time: Timestamp = StoreFixture.start, key: String = "k"
) -> OutboxRecord {
    OutboxRecord(
        receiver: receiver, lane: lane, kind: "notification", incidentKey: "incident-\(lane)", rule: "rule",
        severity: .warning, priority: priority, createdAt: time, idempotencyKey: key, payload: [1, 2, 3],
        recipient: nil)
}

/// A step in the life of one incident.
func incidentRow() -> OutboxRecord {
    var row = outboxRow()
    row.kind = OutboxKind.incident
    return row
}

func alertRecord(_ number: Int, isOpen: Bool = true, byteCount: Int = 64) -> AlertRecord {
    AlertRecord(
        fingerprint: Fingerprint(rule: "r", keyColumns: ["k"], keyTexts: ["\(number)"]).bytes, rule: "r", table: "t",
        state: isOpen ? 2 : 3, severity: .error, episode: Int64(number % 7),
        changedAt: StoreFixture.start.adding(milliseconds: Int64(number)), isOpen: isOpen,
        bytes: [UInt8](repeating: UInt8(number & 255), count: byteCount))
}

extension OutboxLease {
    static func of(_ run: Int64, at time: Timestamp) -> OutboxLease {
        OutboxLease(
            run: run, until: time.adding(milliseconds: 30_000), at: time, payload: nil, body: nil,
            waitedMilliseconds: 0)
    }
}

extension OutboxSettlement {
    static func of(_ state: OutboxState, at time: Timestamp, reason: String? = nil) -> OutboxSettlement {
        OutboxSettlement(state: state, reason: reason, providerId: nil, at: time, isAmbiguous: false)
    }
}
