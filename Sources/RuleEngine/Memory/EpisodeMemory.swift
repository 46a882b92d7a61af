internal import Core

/// How many episodes an alert that is not open has had: survives its resolution, within a bound.
///
/// Two generations, as in ``NewestRowMemory``. Whatever is forgotten raises the floor, so that an incident key is never
/// used twice: an alert that was forgotten goes on above the highest forgotten number.
struct EpisodeMemory: Sendable {
    private let generationMax: Int
    private var young: [Fingerprint: UInt32] = [:]
    private var old: [Fingerprint: UInt32] = [:]
    /// The highest number that was forgotten.
    var floor: UInt32 = 0
    /// How many were forgotten, for metrics.
    private(set) var forgottenCount = 0

    init(fingerprintsMax: Int) { generationMax = max(fingerprintsMax / 2, 1) }

    /// The number of the last episode; 0 for none.
    func episode(of fingerprint: Fingerprint) -> UInt32 { young[fingerprint] ?? old[fingerprint] ?? floor }

    mutating func set(_ episode: UInt32, of fingerprint: Fingerprint) {
        guard episode > 0 else { return }
        if young.count >= generationMax, young[fingerprint] == nil {
            for (forgotten, episode) in old where young[forgotten] == nil {
                floor = max(floor, episode)
                forgottenCount += 1
            }
            old = young
            young = [:]
        }
        young[fingerprint] = episode
    }

    var count: Int { young.count + old.count }
}
