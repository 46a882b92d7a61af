import Foundation
import Synchronization
import Testing

@testable import Store

#if canImport(Glibc)
import Glibc
#endif

@Suite(.serialized) struct ControlTests {
    let path = NSTemporaryDirectory() + "/control-\(UInt32.random(in: 0...UInt32.max))/alert.sock"

    func send(_ request: String, timeout: Duration = .seconds(20)) async throws -> String {
        String(decoding: try await ControlClient.send(Array(request.utf8), to: path, timeout: timeout), as: UTF8.self)
    }

    @Test func `a request line gets one answer line`() async throws {
        let server = try ControlServer(path: path, requestTimeout: .seconds(20)) { request in
            await Task.yield()
            return Array("{\"echo\":".utf8) + request + Array("}".utf8)
        }
        defer { server.stop() }
        #expect(try await send("1") == "{\"echo\":1}")
        let big = String(repeating: "7", count: 900_000)
        #expect(try await send(big) == "{\"echo\":\(big)}")
        await withTaskGroup(of: String?.self) { group in
            for number in 0..<8 { group.addTask { try? await send("\(number)") } }
            var answers: Set<String?> = []
            for await answer in group { answers.insert(answer) }
            #expect(answers == Set((0..<8).map { "{\"echo\":\($0)}" }))
        }
        var status = stat()
        #expect(stat(String(path.dropLast("/alert.sock".count)), &status) == 0 && status.st_mode & 0o777 == 0o700)
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
    }

    @Test func `a request is answered in time though every task of the process is stuck`() async throws {
        let server = try ControlServer(path: path, requestTimeout: .seconds(20)) { request in
            await Task.yield()
            return request
        }
        defer { server.stop() }
        let ends = DispatchSemaphore(value: 0)
        // More blocked tasks than the pool has threads; they end with the answer, which comes on a thread.
        let count = ProcessInfo.processInfo.activeProcessorCount * 2
        let path = path
        let answer = Mutex<Result<[UInt8], any Error>?>(nil)
        await withTaskGroup(of: Void.self) { group in
            Thread {
                let result = Result {
                    try ControlClient.sendBlocking(Array("1".utf8), to: path, timeout: .seconds(5))
                }
                answer.withLock { $0 = result }
                for _ in 0..<count { ends.signal() }
            }.start()
            for _ in 0..<count { group.addTask { ControlTests.block(ends) } }
        }
        #expect(try answer.withLock { $0 }?.get() == Array("1".utf8))
    }

    private static func block(_ ends: DispatchSemaphore) { ends.wait() }

    @Test func `requests that are too long, unfinished or not one line are refused`() async throws {
        let server = try ControlServer(path: path, requestTimeout: .milliseconds(100)) { _ in Array("a\nb".utf8) }
        defer { server.stop() }
        #expect(await code { try await send("a\nb") } == .misuse)
        #expect(await code { try await send(String(repeating: "x", count: 1 << 20)) } == .misuse)
        // A client that connects, says half a line and goes away harms nobody.
        let descriptor = try ControlAddress.makeSocket()
        #expect(try ControlAddress.with(path) { connect(descriptor, $0, $1) } == 0)
        #expect(write(descriptor, "half", 4) == 4)
        close(descriptor)
        // An answer of two lines would be misread.
        #expect(try await send("x") == #"{"error":"the answer is too long: ask for less"}"#)
    }

    @Test func `no service, or one that does not answer, is told apart from an answer`() async throws {
        #expect(await code { try await send("1") } == .noAnswer)
        let (held, release) = AsyncStream.makeStream(of: Void.self)
        let server = try ControlServer(path: path, requestTimeout: .seconds(20)) { _ in
            for await _ in held {}
            return []
        }
        #expect(await code { try await send("1", timeout: .milliseconds(50)) } == .noAnswer)
        release.finish()
        server.stop()
        server.stop()
        #expect(!FileManager.default.fileExists(atPath: path))
        #expect(await code { try await send("1") } == .noAnswer)
        // A socket left by a dead process is replaced.
        #expect(FileManager.default.createFile(atPath: path, contents: nil))
        let next = try ControlServer(path: path, requestTimeout: .seconds(20)) { _ in Array("ok".utf8) }
        #expect(try await send("1") == "ok")
        next.stop()
    }
}
