public import Core

/// What the configuration says of routes, silences, windows and inhibition: all of it is replaced at a reload.
public struct RoutingPolicy: Sendable {
    public var routes: RouteTree
    public var muteTimes: MuteTimes
    public var maintenance: MaintenanceWindows
    public var inhibition: InhibitionRules
    /// Silences of files in version control.
    public var silences: [Silence]
    public var silenceLimits: SilenceLimits
    /// Where people reach the router's page, without a slash at the end; for links in messages.
    public var externalURL: String?

    /// States a policy.
    public init(
        routes: RouteTree, muteTimes: MuteTimes, maintenance: MaintenanceWindows, inhibition: InhibitionRules,
        silences: [Silence], silenceLimits: SilenceLimits, externalURL: String?
    ) {
        self.routes = routes
        self.muteTimes = muteTimes
        self.maintenance = maintenance
        self.inhibition = inhibition
        self.silences = silences
        self.silenceLimits = silenceLimits
        self.externalURL = externalURL
    }

    /// Nothing configured but one receiver.
    public static func single(receiver: String) -> RoutingPolicy {
        RoutingPolicy(
            routes: .single(receiver: receiver), muteTimes: .none, maintenance: .none, inhibition: .none, silences: [],
            silenceLimits: .standard, externalURL: nil)
    }
}

/// Bounds of silences.
public struct SilenceLimits: Sendable, Equatable {
    /// Longest silence.
    public var durationMax: Duration
    /// Most silences that are pending or active at once.
    public var countMax: Int

    /// 30 days, 10,000 silences.
    public static let standard = SilenceLimits(durationMax: .seconds(30 * 86_400), countMax: 10_000)

    /// States bounds.
    public init(durationMax: Duration, countMax: Int) {
        self.durationMax = durationMax
        self.countMax = countMax
    }

    /// Why a new silence is refused, in words for whoever made it; nil where it is taken.
    ///
    /// - Parameter openCount: how many others are pending or active.
    public func refusal(of silence: Silence, at now: Timestamp, openCount: Int) -> String? {
        guard silence.endsAt > silence.startsAt else { return "a silence must end after it starts" }
        guard silence.endsAt > now else { return "a silence must not be over when it is made" }
        let longest = durationMax.wholeMilliseconds
        guard silence.endsAt.milliseconds(since: max(silence.startsAt, now)) <= longest else {
            return "a silence lasts at most \(DurationText.format(durationMax))"
        }
        if case .labels(let matchers) = silence.expression {
            let isEmpty = { (matcher: LabelMatcher) in matcher.matches([:]) }
            guard !matchers.allSatisfy(isEmpty) else {
                return
                    "a silence needs a matcher that does not match a missing label, so that it never takes all alerts"
            }
        }
        guard openCount < countMax else { return "there are \(countMax) silences already" }
        return nil
    }
}
