import Alerting
import Calendars
import ChangeEvents
import ConfigFiles
import Core
import Spine

/// The program's configuration, `alert-router.yaml`, as decoded; secrets are references until they are resolved.
struct RouterConfiguration {
    /// How Kafka is reached and what is read.
    struct Kafka {
        var brokers: [String]
        var group: String
        var topics: [String]
        /// Any property of librdkafka.
        var properties: [(key: ConfigText, value: SecretText)]
        var oauth: OAuth?
        var position: SourcePosition
    }

    /// Where a token for SASL OAUTHBEARER comes from.
    struct OAuth {
        var tokenFile: ConfigText?
        var endpoint: ConfigText?
        var clientId: String?
        var clientSecret: SecretText?
        var scope: String?
        var position: SourcePosition
    }

    struct Heartbeat {
        var url: SecretText
        var every: Duration
    }

    struct Logging {
        enum Format: String, CaseIterable { case text, json }
        enum Level: String, CaseIterable { case debug, info, notice, warning, error }
        var format: Format
        var level: Level
    }

    var storeFolder: String
    var storePosition: SourcePosition
    var rulesFolder: String
    var start: StartPosition?
    var clockMode: TableClock.Mode
    var kafka: Kafka
    var receivers: [ReceiverConfiguration]
    var defaultReceiver: String
    var operatorReceiver: String
    /// Routes, mute times, maintenance, inhibition, bounds of silences, calendars.
    var routing: RoutingReader
    var heartbeat: Heartbeat?
    var http: HTTPConfiguration
    var logging: Logging

    init(_ mapping: MappingReader) {
        storeFolder = mapping.string("store", "Folder of the store; relative to this file.", default: "state")
        storePosition = mapping.position(of: "store")
        rulesFolder = mapping.string("rules", "Folder of the rule files; relative to this file.", default: "rules")
        start = RouterConfiguration.start(mapping)
        clockMode =
            mapping.choice(
                "clock", "What drives timers: the wall clock with the rows' times, or the rows' times alone.",
                among: [("live", TableClock.Mode.wall), ("data", .data)], defaultName: "live") ?? .wall
        kafka =
            mapping.requiredMapping("kafka", "How Kafka is reached and what is read.", Kafka.init)
            ?? Kafka(
                brokers: [], group: "", topics: [], properties: [], oauth: nil, position: mapping.position(of: "kafka"))
        receivers = mapping.mappings("receivers", "Whom alerts can be sent to.", ReceiverConfiguration.init)
        defaultReceiver = mapping.requiredString(
            "default_receiver", "The receiver that is told where a rule names nobody.")
        operatorReceiver = mapping.requiredString("operator", "The receiver that hears about the router itself.")
        routing = RoutingReader(
            mapping, receivers: receivers.map(\.name), defaultReceiver: defaultReceiver,
            operatorReceiver: operatorReceiver, zones: .system)
        heartbeat = mapping.mapping("heartbeat", "A URL that is called while events are consumed and delivered.") {
            Heartbeat(
                url: $0.requiredSecretText("url", "The URL; a GET is sent to it.")
                    ?? SecretText(parts: [], position: nil),
                every: $0.duration(
                    "every", "How often.", in: .seconds(1)...(.seconds(86_400)), default: .seconds(60)))
        }
        http =
            mapping.mapping("http", "The API, the page, metrics and health.", HTTPConfiguration.init) ?? .standard
        http.externalURL = HTTPConfiguration.externalURL(mapping)
        logging =
            mapping.mapping("log", "What is logged and how.", Logging.init) ?? Logging(format: .text, level: .info)
        checkNames(mapping)
    }

    private static func start(_ mapping: MappingReader) -> StartPosition? {
        guard
            let text = mapping.text(
                "start",
                "Where reading begins the first time: earliest, latest, or a time such as 2026-01-12T00:00:00Z.")
        else { return nil }
        switch text.value {
        case "earliest": return .earliest
        case "latest": return .latest
        default:
            if let time = Timestamp.parse(text.value, zoneRequired: true) { return .timestamp(time) }
            mapping.report(
                ProgramCode.outOfRange,
                "'start' must be 'earliest', 'latest' or a time with its zone; found '\(text.value)'", at: "start",
                help: "a time is written as 2026-01-12T00:00:00Z")
            return nil
        }
    }

    private func checkNames(_ mapping: MappingReader) {
        guard !mapping.isDescribing else { return }
        let names = receivers.map(\.name)
        for (key, name) in [("default_receiver", defaultReceiver), ("operator", operatorReceiver)]
        where !name.isEmpty && !names.contains(name) {
            mapping.report(
                ProgramCode.outOfRange, "'\(key)' must name a receiver; found '\(name)'", at: key,
                help: Spelling.nearest(to: name, among: names).map { "did you mean '\($0)'?" }
                    ?? "receivers: \(names.sorted().joined(separator: ", "))")
        }
        var seen: Set<String> = []
        for receiver in receivers where !receiver.name.isEmpty && !seen.insert(receiver.name).inserted {
            mapping.report(ProgramCode.outOfRange, "two receivers are named '\(receiver.name)'", at: "receivers")
        }
    }
}

extension RouterConfiguration.Kafka {
    init(_ mapping: MappingReader) {
        position = mapping.position(of: "brokers")
        let addresses = mapping.requiredTexts("brokers", "Addresses of brokers, host:port.")
        brokers = addresses.map(\.value)
        for address in addresses where !NetworkAddress.isBroker(address.value) {
            mapping.report(
                ProgramCode.address, "a broker must be host:port; found '\(address.value)'", at: "brokers",
                help: "such as kafka-1.example.com:9092")
        }
        group = mapping.string(
            "group", "The consumer group under which offsets are committed for lag tools.", default: "alert-router")
        topics = mapping.requiredTexts("topics", "The topics that are read.").map(\.value)
        properties = mapping.propertyMap("properties", "Any property of librdkafka.")
        oauth = mapping.mapping(
            "oauth", "Where a token for SASL OAUTHBEARER comes from.", RouterConfiguration.OAuth.init)
    }
}

extension RouterConfiguration.OAuth {
    init(_ mapping: MappingReader) {
        position = mapping.position(of: "token_file")
        tokenFile = mapping.text("token_file", "A file that holds the token and is read again before it expires.")
        endpoint = mapping.text("token_endpoint", "URL of the token endpoint, for client credentials.")
        clientId = mapping.string("client_id", "The client's id.")
        clientSecret = mapping.secret("client_secret", "The client's secret.")
        scope = mapping.string("scope", "The scope asked for.")
        mapping.exclusive(["token_file", "token_endpoint"])
        guard !mapping.isDescribing else { return }
        if tokenFile == nil, endpoint == nil || clientId == nil || clientSecret == nil {
            mapping.report(
                ProgramCode.missingKey,
                "'oauth' needs either 'token_file' or 'token_endpoint', 'client_id' and 'client_secret'", at: nil)
        }
    }
}

extension RouterConfiguration.Logging {
    init(_ mapping: MappingReader) {
        format = mapping.choice("format", "Lines for people or JSON for machines.", default: Format.text)
        level = mapping.choice("level", "The least level that is logged.", default: Level.info)
    }
}
