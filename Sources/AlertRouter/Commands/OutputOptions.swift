public import ArgumentParser
public import Core

/// `--output text|json`, the same for every command that lists or shows.
struct OutputOptions: ParsableArguments {
    enum Format: String, ExpressibleByArgument, CaseIterable { case text, json }

    @Option(name: .long, help: "How to print: text for people, json for programs.")
    var output: Format = .text

    /// Whether the arguments of a command that failed asked for JSON.
    static func isJSON(_ arguments: [String]) -> Bool {
        arguments.contains("--output=json")
            || zip(arguments, arguments.dropFirst()).contains { $0 == ("--output", "json") }
    }

    /// Prints one value, as JSON or by the closure.
    func show(_ json: @autoclosure () -> JSON, text: () -> Void) {
        switch output {
        case .json: Output.line(json().description)
        case .text: text()
        }
    }
}

/// `--limit N`, the same for every list.
struct LimitOptions: ParsableArguments {
    @Option(name: .long, help: "How many at most.")
    var limit = 100

    func validate() throws {
        guard limit > 0 else { throw ValidationError("--limit must be at least 1; found \(limit)") }
    }
}

extension Severity: ExpressibleByArgument {
    /// The severity of that name.
    public init?(argument: String) { self.init(name: argument) }
    /// The names, for help and errors.
    public static var allValueStrings: [String] { allCases.map { "\($0)" } }
}

/// Where the configuration is.
struct ConfigurationOptions: ParsableArguments {
    @Option(name: .long, help: "The configuration file.")
    var config = "alert-router.yaml"
}
