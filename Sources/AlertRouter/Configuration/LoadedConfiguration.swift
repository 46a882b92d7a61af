import AlertWorker
import Alerting
import ConfigFiles
import Core
import Foundation
import RuleEngine
import Store

/// The configuration with everything it names: rules compiled, secrets resolved; all diagnostics at once.
struct LoadedConfiguration {
    /// Whether secrets are looked up.
    enum Secrets { case resolve, leave }

    var path: String
    var configuration: RouterConfiguration?
    var rules: RuleSet?
    /// Routes, windows, inhibition and the silences of files; nil where anything is an error.
    var policy: RoutingPolicy?
    var diagnostics: [Diagnostic]
    /// Texts of the files that diagnostics are in.
    var sources: [String: String]
    var resolver: SecretResolver

    /// Reads, decodes and checks everything; nil parts have errors in `diagnostics`.
    static func load(path: String, secrets: Secrets) -> LoadedConfiguration {
        let file = ConfigFile.load(path: path)
        let reader = ConfigReader()
        let configuration = reader.mapping(of: file, RouterConfiguration.init)
        let folder = LoadedConfiguration.folder(of: path)
        var loaded = LoadedConfiguration(
            path: path, configuration: configuration, rules: nil, policy: nil, diagnostics: reader.diagnostics,
            sources: [file.file: file.source.text], resolver: .system(baseDirectory: folder))
        if !FileManager.default.fileExists(atPath: path), loaded.diagnostics.count == 1 {
            loaded.diagnostics[0].help =
                "name the configuration with --config; deploy/alert-router.example.yaml shows one, 'alert-router demo' "
                + "needs none"
        }
        guard let configuration else { return loaded }
        let rulesFolder = LoadedConfiguration.resolve(configuration.rulesFolder, in: folder)
        let rules = LoadedRules.load(
            folder: rulesFolder, receivers: configuration.receivers.map(\.name),
            digestColumns: configuration.routing.policy.routes.digestColumns)
        let silences = LoadedSilences.load(rulesFolder: rulesFolder, limits: configuration.routing.policy.silenceLimits)
        loaded.diagnostics += rules.diagnostics + silences.diagnostics
        loaded.sources.merge(rules.sources.merging(silences.sources) { own, _ in own }) { own, _ in own }
        if let rules = rules.rules { loaded.diagnostics += configuration.routingProblems(rules) }
        if secrets == .resolve, let problem = loaded.storeProblem { loaded.diagnostics.append(problem) }
        if secrets == .resolve {
            let missing = configuration.secretProblems(loaded.resolver, file: file.file)
            loaded.diagnostics += missing
            if missing.isEmpty { loaded.diagnostics += ValueProblems(loaded: loaded, configuration: configuration).all }
        }
        let hasErrors = loaded.diagnostics.contains { $0.level == .error }
        loaded.rules = hasErrors ? nil : rules.rules
        loaded.policy = hasErrors ? nil : configuration.routing.policy
        loaded.policy?.silences = silences.silences
        loaded.policy?.externalURL = configuration.http.pageAddress
        return loaded
    }

    /// Reads the configuration for a command that needs the store's place only.
    static func read(path: String) throws -> LoadedConfiguration {
        let loaded = load(path: path, secrets: .leave)
        guard loaded.configuration != nil else {
            let lines = loaded.diagnostics.map { $0.rendered(source: loaded.sources[$0.position.file]) }
            throw CommandFailure(.inputIsWrong, lines: lines)
        }
        return loaded
    }

    var folder: String { LoadedConfiguration.folder(of: path) }

    var storeLocation: StoreLocation {
        StoreLocation(
            folder: LoadedConfiguration.resolve(configuration?.storeFolder ?? "state", in: folder), name: "alert")
    }

    /// What would keep a store from being made or written.
    private var storeProblem: Diagnostic? {
        guard let configuration, let obstacle = storeLocation.obstacle() else { return nil }
        return Diagnostic(
            code: ProgramCode.unreadable, message: "the store cannot be written: \(obstacle.message)",
            position: configuration.storePosition,
            help: "store: names a folder that the service's user may write; it is made where it is missing")
    }

    /// The folder that relative paths in a file are relative to.
    static func folder(of path: String) -> String {
        let parent = (path as NSString).deletingLastPathComponent
        return parent.isEmpty ? "." : parent
    }

    /// A path, relative to a folder unless it is absolute.
    static func resolve(_ path: String, in folder: String) -> String {
        path.hasPrefix("/") ? path : folder == "." ? path : folder + "/" + path
    }
}

/// The rules of a folder together with the shipped rules about the router itself.
struct LoadedRules {
    var rules: RuleSet?
    var diagnostics: [Diagnostic]
    var sources: [String: String]

    /// - Parameters:
    ///   - receivers: what `notify` may name; nil leaves it unchecked.
    ///   - digestColumns: columns that rules keep with their alerts, for digests.
    static func load(
        folder: String, receivers: [String]? = nil, digestColumns: [String] = []
    ) -> LoadedRules {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder), isFolder.boolValue else {
            let place = SourcePosition(file: folder, line: 1, column: 1)
            let missing = Diagnostic(
                code: ProgramCode.unreadable, message: "the folder of the rule files does not exist", position: place,
                help: "set rules: in the configuration, or name the folder")
            return LoadedRules(rules: nil, diagnostics: [missing], sources: [:])
        }
        var (files, diagnostics) = ConfigFile.loadDirectory(path: folder)
        let names = Set(files.map { ($0.file as NSString).lastPathComponent })
        files.append(ConfigFile(text: HealthTable.tables, file: "built-in/tables.yaml"))
        if !names.contains(HealthTable.rulesFileName) {
            files.append(ConfigFile(text: HealthTable.rules, file: "built-in/\(HealthTable.rulesFileName)"))
        }
        var options = RuleLoadOptions.standard
        options.receivers = receivers
        options.digestColumns = digestColumns
        let (rules, found) = RuleSet.load(files: files, options: options)
        diagnostics += found
        return LoadedRules(
            rules: diagnostics.contains { $0.level == .error } ? nil : rules, diagnostics: diagnostics,
            sources: Dictionary(files.map { ($0.file, $0.source.text) }, uniquingKeysWith: { first, _ in first }))
    }
}
