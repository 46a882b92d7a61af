import Alerting
import Calendars
import ConfigFiles
import Core
import Testing

/// A configuration of routes as a text, read.
struct RoutingFile {
    var policy: RoutingPolicy
    var diagnostics: [Diagnostic]

    static let receivers = ["default", "quality", "planners", "oncall", "service"]

    init(_ text: String) {
        let reader = ConfigReader()
        var policy = RoutingPolicy.single(receiver: "default")
        _ = reader.mapping(of: ConfigFile(text: text, file: "r.yaml")) { mapping in
            _ = mapping.string("default_receiver", "")
            policy =
                RoutingReader(
                    mapping, receivers: RoutingFile.receivers, defaultReceiver: "default", operatorReceiver: "service",
                    zones: .system
                ).policy
        }
        self.policy = policy
        diagnostics = reader.sortedDiagnostics
    }

    /// `code line:column message`, one per diagnostic.
    var findings: [String] {
        diagnostics.map { "\($0.code) \($0.position.line):\($0.position.column) \($0.message)" }
    }

    var codes: [String] { diagnostics.map(\.code) }

    /// Who is told of an alert.
    func receivers(of subject: AlertSubject, notify: [String] = []) -> [String] {
        policy.routes.matches(subject, notify: notify).map(\.receiver)
    }
}
