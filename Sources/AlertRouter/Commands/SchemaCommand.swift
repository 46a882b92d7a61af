import Alerting
import ArgumentParser
import Calendars
import ChangeEvents
import ConfigFiles
import Core
import Foundation
import RuleEngine

/// Writes the JSON Schemas of all file formats, as they are committed under `schema/`.
struct SchemaCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema", abstract: "Writes the JSON Schemas of the file formats, for editors.",
        discussion: "Example: alert-router schema --folder schema", shouldDisplay: false)

    @Option(help: "The folder to write them to.") var folder = "schema"

    /// The schemas by file name.
    static var schemas: [(name: String, schema: ConfigSchema)] {
        [
            (
                "alert-router.schema.json",
                ConfigSchema.describing(title: "Configuration of AlertRouter") { RouterConfiguration($0) }
            ),
            ("calendars.schema.json", CalendarSet.schema), ("rules.schema.json", RuleSet.schema),
            ("silences.schema.json", SilenceFiles.schema),
            ("tables.schema.json", TableDeclarations.schema),
        ]
    }

    func run() async throws {
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            for (name, schema) in SchemaCommand.schemas {
                try Data(schema.text.utf8).write(to: URL(fileURLWithPath: folder + "/" + name))
                Output.line("\(folder)/\(name)")
            }
        } catch {
            throw CommandFailure(.inputIsWrong, "the schemas could not be written: \(error.localizedDescription)")
        }
    }
}
