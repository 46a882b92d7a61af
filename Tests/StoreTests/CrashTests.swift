import Core
import Foundation
import GRDB
import Synchronization
import Testing

@testable import Store

#if canImport(Glibc)
import Glibc
#endif

/// Every job moves one offset and writes one alert and one outbox row with it. Whatever the crash, the three agree.
@Suite struct CrashTests {
    static func job(_ number: Int) -> @Sendable (any StoreTransaction) throws -> Void {
        { transaction in
            try transaction.advanceOffset(
                topic: "t", partition: 0, expected: number == 0 ? nil : Int64(number), next: Int64(number + 1))
            try transaction.upsertAlert(alertRecord(number, byteCount: 700))
            _ = try transaction.insertOutbox(outboxRow(lane: "lane\(number % 5)", key: "\(number)"))
        }
    }

    /// Opens files as a crash left them and returns how many jobs they hold.
    static func recovered(_ location: StoreLocation) async throws -> Int {
        let options = StoreOptions(
            location: location, limits: .standard, now: StoreFixture.start, metrics: MetricsRegistry())
        let store = try SQLiteStore(options, holder: .current(startedAt: StoreFixture.start, socketPath: ""))
        let (offset, alerts, rows) = try store.read {
            (
                try $0.nextOffset(topic: "t", partition: 0) ?? 0, try $0.openAlertCount(),
                try $0.outboxCounts().reduce(0) { $0 + $1.count }
            )
        }
        #expect(Int(offset) == alerts && alerts == rows)
        await store.close(now: StoreFixture.start)
        #expect(try ReadOnlyStore(location: location).check().problems == [])
        return alerts
    }

    @Test func `files copied in the middle of a transaction hold exactly the jobs before it`() async throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        for number in 0..<40 {
            if number % 8 == 3 {
                let copy = StoreFixture()
                let (source, target) = (fixture.location, copy.location)
                try await store.write(byteCount: 1) { transaction in
                    try CrashTests.job(number)(transaction)
                    try target.makeFolder()
                    for suffix in ["", "-wal"] {
                        try FileManager.default.copyItem(
                            atPath: source.databasePath + suffix, toPath: target.databasePath + suffix)
                    }
                }
                #expect(try await CrashTests.recovered(target) == number)
            } else {
                try await store.write(byteCount: 1, CrashTests.job(number))
            }
        }
        await store.close(now: StoreFixture.start)
    }

    @Test(arguments: 1...8) func `a log torn at any byte holds a prefix of the jobs`(seed: Int) async throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        for number in 0..<25 { try await store.write(byteCount: 1, CrashTests.job(number)) }
        let copy = StoreFixture()
        try fixture.copyFiles(to: copy.location)
        await store.close(now: StoreFixture.start)
        var random = SeededGenerator(seed: UInt64(seed))
        let log = copy.location.databasePath + "-wal"
        let size = try #require(try FileManager.default.attributesOfItem(atPath: log)[.size] as? Int)
        // The first transactions made the schema; a log torn before them is a new store.
        let keep = Int.random(in: 0...size, using: &random)
        #expect(truncate(log, keep) == 0)
        let count = try await CrashTests.recovered(copy.location)
        #expect((0...25).contains(count), "seed \(seed)")
    }

    @Test(arguments: 1...6) func `a process killed at any instant loses no job that it acknowledged`(
        seed: Int
    ) async throws {
        let fixture = StoreFixture()
        let folder = fixture.folder
        await #expect(processExitsWith: .signal(SIGKILL)) { [folder = folder as String, seed = seed as Int] in
            let location = StoreLocation(folder: folder, name: "alert")
            let options = StoreOptions(
                location: location, limits: .standard, now: StoreFixture.start, metrics: MetricsRegistry())
            let store = try SQLiteStore(options, holder: .current(startedAt: StoreFixture.start, socketPath: ""))
            let acknowledged = open(folder + "/acknowledged", O_WRONLY | O_CREAT | O_APPEND, 0o600)
            // The killer runs beside the writer, so the signal falls anywhere in a job, a commit or an answer.
            let counter = MetricsRegistry().counter("jobs_total", "Jobs begun.")
            Thread {
                while counter.current < seed * 131 { sched_yield() }
                kill(getpid(), SIGKILL)
            }.start()
            var number = 0
            let chain = WriteChain()
            let waiting = DispatchSemaphore(value: 50)
            while true {
                await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                    waiting.wait()
                    continuation.resume()
                }
                let job = CrashTests.job(number)
                store.submit(
                    byteCount: 1000, chain: chain,
                    { transaction in
                        counter.add()
                        try job(transaction)
                    }
                ) { result in
                    if case .success = result {
                        var byte: UInt8 = 1
                        write(acknowledged, &byte, 1)
                    }
                    waiting.signal()
                }
                number += 1
            }
        }
        let file = folder + "/acknowledged"
        let acknowledged = (try? FileManager.default.attributesOfItem(atPath: file)[.size] as? Int) ?? 0
        let count = try await CrashTests.recovered(fixture.location)
        #expect(count >= acknowledged, "seed \(seed): \(acknowledged) were acknowledged, \(count) are there")
        // At most the jobs under way may be there without having been acknowledged.
        #expect(count <= acknowledged + 51)
    }
}
