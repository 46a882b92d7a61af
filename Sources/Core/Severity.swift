/// How bad an alert is, from `info` to `critical`.
public enum Severity: UInt8, Sendable, Hashable, Comparable, CaseIterable, Codable, CustomStringConvertible {
    case info = 0
    case warning = 1
    case error = 2
    case critical = 3

    public static func < (left: Severity, right: Severity) -> Bool { left.rawValue < right.rawValue }

    /// The name as written in rule files, metrics and messages.
    public var description: String {
        switch self {
        case .info: "info"
        case .warning: "warning"
        case .error: "error"
        case .critical: "critical"
        }
    }

    /// The severity of that name; nil for any other text.
    public init?(name: String) {
        guard let match = Severity.allCases.first(where: { $0.description == name }) else { return nil }
        self = match
    }
}
