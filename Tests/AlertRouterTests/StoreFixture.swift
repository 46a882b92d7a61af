import Core
import Store

/// A store as a first start of the service leaves it.
enum StoreFixture {
    static func make(in folder: String) async throws {
        let clock = SystemWallClock()
        let location = StoreLocation(folder: folder + "/state", name: "alert")
        let store = try SQLiteStore(
            StoreOptions(location: location, limits: .standard, now: clock.now(), metrics: MetricsRegistry()),
            holder: .current(startedAt: clock.now(), socketPath: ""))
        await store.close(now: clock.now())
    }
}
