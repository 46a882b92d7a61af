import AlertWorker
import Alerting
import ConfigFiles
import Console
import Core
import Delivery
import Logging
import RuleEngine
import Spine
import Store

/// The console of a running service: its server, and what a reload changes in it.
struct ConsoleParts: Sendable {
    let server: ConsoleServer
    let access: ConsoleAccess
    let views: StoreViews
    let control: CommandControl
    private let isListeningOnLoopback: Bool

    init(
        configuration: RouterConfiguration, resolver: SecretResolver, rules: RuleSet, store: SQLiteStore, key: [UInt8],
        worker: Worker<AlertDecider>, dispatcher: Dispatcher, metrics: MetricsRegistry, clock: any WallClock,
        logger: Logger, onBound: @escaping @Sendable (_ port: Int) -> Void
    ) throws {
        let http = configuration.http
        let settings = try http.access(resolver)
        isListeningOnLoopback = settings.isListeningOnLoopback
        access = ConsoleAccess(settings: settings, key: key, clock: clock, metrics: metrics)
        let current = ConsoleParts.current(rules: rules, configuration: configuration)
        views = StoreViews(store: store, current: current, metrics: metrics, clock: clock)
        control = CommandControl(worker: worker, clock: clock)
        server = ConsoleServer(
            configuration: ConsoleConfiguration(host: http.host, port: http.port), metrics: metrics,
            backend: ReadinessBackend(worker: worker, dispatcher: dispatcher),
            alerting: ConsoleAlerting(
                views: views, control: control, makeId: { ConsoleParts.newId() }, linkKey: key),
            access: access, clock: clock, logger: logger, onBound: onBound)
    }

    /// A random UUID in lower case.
    private static func newId() -> String {
        var random = SystemRandomNumberGenerator()
        return Silence.id(bytes: (0..<16).map { _ in UInt8.random(in: .min ... .max, using: &random) })
    }

    /// What the views take from rules and configuration.
    static func current(rules: RuleSet, configuration: RouterConfiguration) -> StoreViews.Current {
        let directory = configuration.receiverDirectory
        return StoreViews.Current(
            descriptions: AlertDescriptions(rules: rules, receivers: directory),
            profiles: configuration.receivers.compactMap(\.profile), defaultReceiver: configuration.defaultReceiver,
            fileSilences: directory.policy.silences, pageAddress: configuration.http.pageAddress)
    }

    /// Who may do what by a configuration that was read anew, for the place where the server listens already.
    func settings(of configuration: HTTPConfiguration, _ resolver: SecretResolver) throws -> AccessSettings {
        var settings = try configuration.access(resolver)
        settings.isListeningOnLoopback = isListeningOnLoopback
        return settings
    }
}
