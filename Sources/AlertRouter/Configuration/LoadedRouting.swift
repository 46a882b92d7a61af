import Alerting
import ChangeEvents
import ConfigFiles
import Core
import Foundation
import RuleEngine

/// The silences of files in version control: `silences/` below the folder of the rules.
struct LoadedSilences {
    var silences: [Silence]
    var diagnostics: [Diagnostic]
    var sources: [String: String]

    static let folderName = "silences"

    static func load(rulesFolder: String, limits: SilenceLimits) -> LoadedSilences {
        let folder = rulesFolder + "/" + folderName
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder), isFolder.boolValue else {
            return LoadedSilences(silences: [], diagnostics: [], sources: [:])
        }
        let (files, diagnostics) = ConfigFile.loadDirectory(path: folder)
        let reader = ConfigReader()
        var silences = SilenceFiles(limits: limits, reader: reader)
        for file in files { silences.add(file) }
        return LoadedSilences(
            silences: silences.silences, diagnostics: diagnostics + reader.diagnostics,
            sources: Dictionary(files.map { ($0.file, $0.source.text) }, uniquingKeysWith: { first, _ in first }))
    }
}

extension RouterConfiguration {
    /// Where routes and rules do not go together: warnings.
    func routingProblems(_ rules: RuleSet) -> [Diagnostic] {
        let reader = ConfigReader()
        let used = Set(rules.rules.flatMap(\.notify)).union([defaultReceiver, operatorReceiver])
        RoutingReader.reportUnused(
            receivers.compactMap(\.nameText), policy: routing.policy, used: used, reader: reader)
        routing.reportUnknownColumns(reader: reader) { column in
            rules.catalog.tables.contains { table in
                table.declaration.columns.isEmpty || table.declaration.declares(column)
            }
        }
        return reader.diagnostics
    }
}
