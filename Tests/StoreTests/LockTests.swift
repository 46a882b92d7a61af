import Core
import Foundation
import Synchronization
import Testing

@testable import Store

/// Time stands still until somebody sleeps; then it jumps to that deadline.
private final class JumpingClock: WallClock {
    let state = Mutex((now: StoreFixture.start, sleeps: 0))
    let onSleep: @Sendable (Int) -> Void
    init(onSleep: @escaping @Sendable (Int) -> Void) { self.onSleep = onSleep }
    func now() -> Timestamp { state.withLock { $0.now } }
    func sleep(until deadline: Timestamp) async throws {
        let count = state.withLock { state in
            state.now = deadline
            state.sleeps += 1
            return state.sleeps
        }
        onSleep(count)
        try Task.checkCancellation()
    }
}

private final class Flag: Sendable {
    let isSet = Atomic<Bool>(false)
}

@Suite struct LockTests {
    let holder = LockHolder(
        processId: 4711, host: "plant-7", startedAt: StoreFixture.start, socketPath: "/run/x/alert.sock")

    @Test func `a second holder gets an error that names the first`() throws {
        let fixture = StoreFixture()
        #expect(try ProcessLock.holder(of: fixture.location) == nil)
        let lock = try ProcessLock(location: fixture.location, holder: holder)
        do {
            _ = try ProcessLock(location: fixture.location, holder: holder)
            Issue.record("two locks at once")
        } catch let error as StoreError {
            #expect(error.code == .locked)
            #expect(error.message.contains("4711") && error.message.contains("plant-7"))
            #expect(error.message.contains(StoreFixture.start.description))
        }
        #expect(try ProcessLock.holder(of: fixture.location) == holder)
        #expect(try ControlClient.route(for: fixture.location) == .service(holder))
        lock.release()
        #expect(try ProcessLock.holder(of: fixture.location) == nil)
        #expect(try ControlClient.route(for: fixture.location) == .free)
        _ = try ProcessLock(location: fixture.location, holder: holder)
    }

    @Test func `nobody who asks after the lock is in the way of a start`() async throws {
        let fixture = StoreFixture()
        try fixture.location.makeFolder()
        let (location, holder) = (fixture.location, holder)
        _ = FileManager.default.createFile(atPath: location.lockPath, contents: nil)
        let flag = Flag()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<2 {
                group.addTask {
                    while !flag.isSet.load(ordering: .relaxed) { _ = try ProcessLock.holder(of: location) }
                }
            }
            // Each of them would fail now and then, were the lock taken to look at it.
            defer { flag.isSet.store(true, ordering: .relaxed) }
            for _ in 0..<2000 { try ProcessLock(location: location, holder: holder).release() }
        }
    }

    @Test func `two workers share a folder`() throws {
        let fixture = StoreFixture()
        let first = try ProcessLock(location: fixture.location, holder: holder)
        let second = try ProcessLock(
            location: StoreLocation(folder: fixture.folder, name: "writeback"), holder: holder)
        #expect(first.path != second.path)
    }

    @Test func `garbage in the lock file harms nobody`() throws {
        let fixture = StoreFixture()
        try fixture.location.makeFolder()
        try Data("{\"pid\": \"x".utf8).write(to: URL(fileURLWithPath: fixture.location.lockPath))
        #expect(try ProcessLock.holder(of: fixture.location) == nil)
        let lock = try ProcessLock(location: fixture.location, holder: holder)
        #expect(try ProcessLock.holder(of: fixture.location) == holder)
        try Data("garbage".utf8).write(to: URL(fileURLWithPath: fixture.location.lockPath), options: [])
        lock.release()
    }

    @Test func `a process that stands by takes over when the lock is given up`() async throws {
        let fixture = StoreFixture()
        let lock = try ProcessLock(location: fixture.location, holder: holder)
        let clock = JumpingClock { if $0 == 3 { lock.release() } }
        let next = try await ProcessLock.waitForLock(
            location: fixture.location, holder: holder, clock: clock, interval: .milliseconds(500))
        #expect(clock.state.withLock { $0.sleeps } == 3)
        #expect(try ProcessLock.holder(of: fixture.location) == holder)
        next.release()
    }

    @Test func `a socket path that is too long moves to the runtime folder`() {
        let short = StoreLocation(folder: "/var/lib/alert-router/", name: "alert")
        #expect(short.socketPath(environment: [:]) == "/var/lib/alert-router/alert.sock")
        let long = StoreLocation(folder: "/srv/" + String(repeating: "d", count: 120), name: "alert")
        let moved = long.socketPath(environment: ["XDG_RUNTIME_DIR": "/run/user/7"])
        #expect(moved.hasPrefix("/run/user/7/alert-router-") && moved.hasSuffix("/alert.sock"))
        #expect(moved.utf8.count <= StoreLocation.socketPathBytesMax)
        #expect(long.socketPath(environment: [:]).hasPrefix("/tmp/alert-router-"))
        let other = StoreLocation(folder: "/srv/" + String(repeating: "e", count: 120), name: "alert")
        #expect(other.socketPath(environment: [:]) != long.socketPath(environment: [:]))
        // Exactly 107 bytes still fit.
        let edge = StoreLocation(folder: "/" + String(repeating: "f", count: 107 - 12), name: "alert")
        #expect(edge.socketPath(environment: [:]).utf8.count == 107)
    }
}
