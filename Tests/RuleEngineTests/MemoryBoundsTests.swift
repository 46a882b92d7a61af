import Core
import Testing

@testable import RuleEngine

/// What the memories of rules forget for want of room is counted, each key once.
struct MemoryBoundsTests {
    @Test func `keys whose newest row is forgotten are counted, keys that are seen again are not`() {
        var memory = NewestRowMemory(keysMax: 4)
        func see(_ hash: UInt64) {
            _ = memory.observe(hash: hash, digest: hash, eventTime: 1, version: 1)
        }
        for hash in UInt64(1)...4 { see(hash) }
        // 1 and 2 are old, 3 and 4 young.
        #expect(memory.forgottenCount == 0)
        see(1)
        // Room for it: 3 and 4 are old, 2 is gone.
        #expect(memory.forgottenCount == 1)
        #expect(memory.newest(of: 2) == nil && memory.newest(of: 1) != nil && memory.newest(of: 3) != nil)
        see(3)
        see(5)
        // 1 and 3 are old, 5 is young, 4 is gone.
        #expect(memory.forgottenCount == 2)
        #expect(memory.newest(of: 4) == nil)
        #expect([1, 3, 5].allSatisfy { memory.newest(of: $0) != nil })
    }

    @Test func `episodes that are forgotten are counted and raise the floor`() {
        var memory = EpisodeMemory(fingerprintsMax: 4)
        let prints = (0..<6).map { Fingerprint(bytes: [UInt8](repeating: UInt8($0), count: 32)) }
        for (index, print) in prints.enumerated() { memory.set(UInt32(index + 1), of: print) }
        #expect(memory.forgottenCount == 2)
        #expect(memory.floor == 2)
        #expect(memory.episode(of: prints[0]) == 2)
        #expect(memory.episode(of: prints[5]) == 6)
    }
}
