import Core
import Store

/// A store as a first start of the service leaves it.
enum StoreFixture {
    static func make(in folder: String) async throws {
        let now = Timestamp(milliseconds: 1_768_200_000_000)
        let location = StoreLocation(folder: folder + "/state", name: "alert")
        let store = try SQLiteStore(
            StoreOptions(location: location, limits: .standard, now: now, metrics: MetricsRegistry()),
            holder: .current(startedAt: now, socketPath: ""))
        await store.close(now: now)
    }
}
