import ArgumentParser
import Core

/// `--output text|json`, the same for every command that lists or shows.
struct OutputOptions: ParsableArguments {
    enum Format: String, ExpressibleByArgument, CaseIterable { case text, json }

    @Option(name: .long, help: "How to print: text for people, json for programs.")
    var output: Format = .text

    /// Prints one value, as JSON or by the closure.
    func print(_ json: @autoclosure () -> JSON, text: () -> Void) {
        switch output {
        case .json: Output.line(json().description)
        case .text: text()
        }
    }
}

/// Where the configuration is.
struct ConfigurationOptions: ParsableArguments {
    @Option(name: .long, help: "The configuration file.")
    var config = "alert-router.yaml"
}
