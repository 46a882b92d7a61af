internal import Core

/// What the console asks the program for; implemented above this module.
public protocol ConsoleBackend: Sendable {
    /// Whether the service can do its work now, and why not.
    func readiness() async -> Readiness
}

/// Whether a service is ready: ready exactly when nothing stands in the way.
public struct Readiness: Sendable, Equatable {
    /// One thing that stands in the way. Shown to anybody who can reach the port: no secrets, no row data.
    public struct Reason: Sendable, Equatable {
        /// What is concerned, such as `store` or `partition orders[3]`.
        public var name: String
        public var message: String
        /// Makes a reason.
        public init(name: String, message: String) {
            self.name = name
            self.message = message
        }
    }

    public var reasons: [Reason]

    /// Lists what stands in the way; nothing means ready.
    public init(reasons: [Reason]) { self.reasons = reasons }

    public static let ready = Readiness(reasons: [])

    /// Whether nothing stands in the way.
    public var isReady: Bool { reasons.isEmpty }

    /// Reasons written out; the others are counted.
    static let reasonCountMax = 50

    var json: JSON {
        let shown = reasons.prefix(Readiness.reasonCountMax).map { reason in
            JSON.object(["name": .string(reason.name), "message": .string(reason.message)])
        }
        return .object([
            "status": .string(isReady ? "ready" : "not ready"), "reasons": .array(Array(shown)),
            "omitted": .integer(reasons.count - shown.count),
        ])
    }
}
