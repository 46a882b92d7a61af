internal import Core

extension JSON {
    /// Names and texts as an object, by name.
    static func labels(_ labels: [String: String]) -> JSON {
        .object(labels.sorted { $0.key < $1.key }.map { Member($0.key, .string($0.value)) })
    }

    static func strings(_ texts: [String]) -> JSON { .array(texts.map { .string($0) }) }
}

extension ConsoleAlert {
    /// Summary, description and facts as annotations; a fact never hides the others.
    var annotations: [String: String] {
        var annotations = Dictionary(facts.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
        annotations["summary"] = title
        if let about { annotations["description"] = about }
        return annotations
    }

    /// The alert as `gettableAlert`. Its fingerprint is the first 16 digits of ours.
    func json(at now: Timestamp) -> JSON {
        .object([
            "annotations": .labels(annotations),
            "endsAt": .string((endsAt ?? now.adding(AlertmanagerAPI.assumedLength)).description),
            "fingerprint": .string(String(id.prefix(16))),
            "receivers": .array(receivers.map { .object(["name": .string($0)]) }),
            "startsAt": .string(startsAt.description),
            "status": .object([
                "inhibitedBy": .strings(inhibitedBy), "mutedBy": .strings(mutedBy),
                "silencedBy": .strings(silencedBy), "state": .string(isSuppressed ? "suppressed" : "active"),
            ]),
            "updatedAt": .string(updatedAt.description),
            "generatorURL": .string(generatorURL),
            "labels": .labels(labels),
        ])
    }
}

extension ConsoleSilence {
    /// The silence as `gettableSilence`.
    func json(at now: Timestamp) -> JSON {
        .object([
            "id": .string(id),
            "status": .object(["state": .string(state(at: now).rawValue)]),
            "updatedAt": .string(updatedAt.description),
            "comment": .string(comment),
            "createdBy": .string(author),
            "endsAt": .string(endsAt.description),
            "matchers": .array(
                matchers.map { matcher in
                    .object([
                        "isEqual": .bool(matcher.isEqual), "isRegex": .bool(matcher.isRegex),
                        "name": .string(matcher.name), "value": .string(matcher.value),
                    ])
                }),
            "startsAt": .string(startsAt.description),
        ])
    }

    /// Active ones by their end, pending ones by their start, then expired ones, the last first.
    static func inOrder(_ silences: [ConsoleSilence], at now: Timestamp) -> [ConsoleSilence] {
        func rank(_ silence: ConsoleSilence) -> (Int, Int64, String) {
            switch silence.state(at: now) {
            case .active: (0, silence.endsAt.milliseconds, silence.id)
            case .pending: (1, silence.startsAt.milliseconds, silence.id)
            case .expired: (2, -silence.endsAt.milliseconds, silence.id)
            }
        }
        return silences.sorted { rank($0) < rank($1) }
    }

    /// Reads a `postableSilence`.
    init(json: JSON, now: Timestamp) throws(ConsoleFailure) {
        let reader = PostedFields(json: json, what: "invalid silence")
        var matchers: [ConsoleMatcher] = []
        let elements = json["matchers"]?.elements ?? []
        guard elements.count <= MatcherSet.countMax else { throw .invalid("more than \(MatcherSet.countMax) matchers") }
        for element in elements {
            guard let name = element["name"]?.stringValue, let value = element["value"]?.stringValue else {
                throw .invalid("invalid silence: a matcher needs name and value")
            }
            let isEqual = element["isEqual"]?.boolValue ?? true
            matchers.append(
                ConsoleMatcher(
                    name: name, value: value, isRegex: element["isRegex"]?.boolValue ?? false, isEqual: isEqual))
        }
        guard let startsAt = try reader.time("startsAt"), let endsAt = try reader.time("endsAt") else {
            throw .invalid("invalid silence: startsAt and endsAt are needed")
        }
        self.init(
            id: (json["id"]?.stringValue ?? "").lowercased(), matchers: matchers, startsAt: startsAt, endsAt: endsAt,
            author: try reader.text("createdBy"), comment: try reader.text("comment"), updatedAt: now)
    }
}

extension ConsolePushedAlert {
    /// Labels and annotations of one alert at most.
    static let labelsMax = 64
    static let textBytesMax = 16_384

    /// Reads a `postableAlert` by Alertmanager's rules: empty labels are none, a start is not after an end.
    init(json: JSON) throws(ConsoleFailure) {
        let reader = PostedFields(json: json, what: "invalid alert")
        let labels = try reader.labels("labels").filter { !$0.value.isEmpty }
        guard !labels.isEmpty else { throw .invalid("invalid alert: at least one label is needed") }
        for name in labels.keys where !ConsolePushedAlert.isLabelName(name) {
            throw .invalid("invalid alert: '\(name.prefix(100))' is no name of a label")
        }
        // Go writes a time that is not there as the year 1.
        let startsAt = try reader.time("startsAt").flatMap { $0.civil.year <= 1 ? nil : $0 }
        let endsAt = try reader.time("endsAt").flatMap { $0.civil.year <= 1 ? nil : $0 }
        if let startsAt, let endsAt, startsAt > endsAt {
            throw .invalid("invalid alert: start time must be before end time")
        }
        self.init(
            labels: labels, annotations: try reader.labels("annotations").filter { !$0.value.isEmpty },
            startsAt: startsAt, endsAt: endsAt, generatorURL: try reader.text("generatorURL"))
    }

    private static func isLabelName(_ name: String) -> Bool {
        name.utf8.enumerated().allSatisfy { index, byte in
            switch byte {
            case 0x41...0x5A, 0x61...0x7A, 0x5F: true
            case 0x30...0x39: index > 0
            default: false
            }
        }
    }
}

/// Reads the members of a posted object.
private struct PostedFields {
    let json: JSON
    let what: String

    func text(_ name: String) throws(ConsoleFailure) -> String {
        switch json[name] {
        case nil, .null?: return ""
        case .string(let text)?:
            guard text.utf8.count <= ConsolePushedAlert.textBytesMax else {
                throw .invalid("\(what): \(name) has more than \(ConsolePushedAlert.textBytesMax) bytes")
            }
            return text
        default: throw .invalid("\(what): \(name) must be a string")
        }
    }

    func time(_ name: String) throws(ConsoleFailure) -> Timestamp? {
        let text = try text(name)
        guard !text.isEmpty else { return nil }
        guard let time = Timestamp.parse(text, zoneRequired: true) else {
            throw .invalid("\(what): \(name) is no time: '\(text.prefix(40))'")
        }
        return time
    }

    func labels(_ name: String) throws(ConsoleFailure) -> [String: String] {
        let members: [JSON.Member]
        switch json[name] {
        case nil, .null?: return [:]
        case .object(let found)?: members = found
        default: throw .invalid("\(what): \(name) must be an object")
        }
        guard members.count <= ConsolePushedAlert.labelsMax else {
            throw .invalid("\(what): more than \(ConsolePushedAlert.labelsMax) \(name)")
        }
        var labels: [String: String] = [:]
        for member in members {
            guard let value = member.value.stringValue,
                member.name.utf8.count + value.utf8.count <= ConsolePushedAlert.textBytesMax
            else { throw .invalid("\(what): \(name) must be strings of at most 16 KiB") }
            labels[member.name] = value
        }
        return labels
    }
}
