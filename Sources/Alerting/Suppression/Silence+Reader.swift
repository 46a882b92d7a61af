public import ConfigFiles
internal import Core

/// The silences of files in version control: `rules/silences/*.yaml`.
///
/// ```yaml
/// silences:
///   - name: filler-rebuild
///     matchers: ['plant="Plant 1"', 'line="L2"']
///     starts_at: 2026-03-02T06:00:00+01:00
///     ends_at: 2026-03-06T22:00:00+01:00
///     author: j.doe
///     comment: The filler is rebuilt.
/// ```
public struct SilenceFiles {
    private let limits: SilenceLimits
    private let reader: ConfigReader
    private var names: [String: SourcePosition] = [:]
    /// What was read so far.
    public private(set) var silences: [Silence] = []

    /// Reports what is wrong to `reader`.
    public init(limits: SilenceLimits, reader: ConfigReader) {
        self.limits = limits
        self.reader = reader
    }

    /// Reads one file.
    public mutating func add(_ file: ConfigFile) {
        let found = reader.mapping(of: file) { SilenceFiles.read($0, names: &names, limits: limits) }
        for silence in (found ?? []).compactMap({ $0 }) {
            guard silences.count < limits.countMax else {
                return reader.report(
                    Diagnostic(
                        code: RoutingCode.tooMany, message: "there are more than \(limits.countMax) silences",
                        position: SourcePosition(file: file.file, line: 1, column: 1)))
            }
            silences.append(silence)
        }
    }

    /// The JSON Schema of a file of silences.
    public static var schema: ConfigSchema {
        ConfigSchema.describing(title: "Silences of AlertRouter") { mapping in
            var names: [String: SourcePosition] = [:]
            return read(mapping, names: &names, limits: .standard)
        }
    }

    private static func read(
        _ mapping: MappingReader, names: inout [String: SourcePosition], limits: SilenceLimits
    ) -> [Silence?] {
        mapping.mappings("silences", "Alerts that nobody is told of for a while.") { silence in
            read(one: silence, names: &names, limits: limits)
        }
    }

    private static func read(
        one mapping: MappingReader, names: inout [String: SourcePosition], limits: SilenceLimits
    ) -> Silence? {
        let name = RoutingName.read(in: mapping, "A name that no other silence of a file has.", known: &names)
        let expression = MatchExpression.readRequired(in: mapping)
        let startsAt = time(mapping, "starts_at", "When it begins, with its zone: 2026-03-02T06:00:00+01:00.")
        let endsAt = time(mapping, "ends_at", "When it is over, with its zone.")
        let untilResolved = mapping.bool(
            "until_resolved", "Whether it also ends when none of its alerts is open any more.", default: false)
        let author = mapping.requiredString("author", "Who silences.")
        let comment = mapping.requiredString("comment", "Why.")
        guard let node = mapping.node, let name, let expression, let startsAt, let endsAt else { return nil }
        let silence = Silence(
            id: Silence.id(bytes: Digest.sha256("silence file\u{1F}\(name)".utf8)), expression: expression,
            startsAt: startsAt, endsAt: endsAt, author: author, comment: comment, untilResolved: untilResolved,
            source: .file(node.position), createdAt: startsAt, updatedAt: startsAt)
        // Whether it is over already is no mistake of the file.
        if let refusal = limits.refusal(of: silence, at: startsAt, openCount: 0) {
            mapping.report(RoutingCode.silence, refusal, at: mapping.has("ends_at") ? "ends_at" : nil)
            return nil
        }
        return silence
    }

    private static func time(_ mapping: MappingReader, _ key: String, _ about: String) -> Timestamp? {
        guard let text = mapping.requiredText(key, about) else { return nil }
        if let time = Timestamp.parse(text.value, zoneRequired: true) { return time }
        mapping.report(
            RoutingCode.silence, "'\(key)' must be a time with its zone; found \(text.node.foundText)", at: key,
            help: "a time is written as 2026-03-02T06:00:00+01:00")
        return nil
    }
}
