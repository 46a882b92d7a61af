import Core
import Store

/// The key that signs links, sessions and forms. It lives in the store, so that they survive a restart.
enum ConsoleKey {
    static let name = "console.key"
    private static let byteCount = 32

    /// The stored key, or a new one that is stored before this returns from the writer's queue.
    static func load(from store: SQLiteStore) throws -> [UInt8] {
        if let key = try store.read({ try $0.meta(name) }), key.count >= byteCount { return key }
        var random = SystemRandomNumberGenerator()
        let key = (0..<byteCount).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        // A write that fails leaves links and logins that end with this run.
        store.submit(byteCount: 128, chain: nil, { try $0.setMeta(name, key) }, completion: { _ in })
        return key
    }
}
