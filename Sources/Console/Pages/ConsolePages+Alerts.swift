internal import Core

extension ConsolePages {
    private static let severities: [(value: String, text: String)] =
        [("", "any severity")] + Severity.allCases.map { ("\($0)", "\($0) or above") }

    /// Open alerts, the most severe first.
    func alerts(_ request: ConsoleRequest, _ identity: ConsoleIdentity) async throws -> ConsoleResponse {
        let text = request.parameter("filter") ?? ""
        let severityText = request.parameter("severity") ?? ""
        let isAllShown = request.parameter("held") == "1"
        var problem: String?
        var filter: MatcherSet?
        do { filter = try MatcherSet(try ConsoleMatcher.parseList(text), views: alerting.views) } catch {
            switch error {
            case let error as ConsoleMatcher.Problem: problem = error.message
            case ConsoleFailure.invalid(let why): problem = why
            default: throw error
            }
        }
        let severity = Severity(name: severityText) ?? .info
        var list = ConsoleAlertList(alerts: [], isCut: false)
        if let filter {
            list = try await alerting.views.alerts(countMax: ConsolePages.alertsMax) { alert in
                (isAllShown || !alert.isSuppressed) && alert.severity >= severity && filter.matches(alert.labels)
            }
        }
        let alerts = list.alerts.sorted {
            ($1.severity, $1.startsAt.milliseconds, $0.id) < ($0.severity, $0.startsAt.milliseconds, $1.id)
        }
        let form = HTML.tag(
            "form", [.type("fields"), .named("method", "get"), .link("action", "/")],
            PageLayout.field("Filter, such as team=\"quality\", plant=~\"P.*\"", name: "filter", value: text),
            PageLayout.choice("Severity", name: "severity", ConsolePages.severities, chosen: severityText),
            PageLayout.choice(
                "Show", name: "held", [("", "what is told"), ("1", "also what is held back")],
                chosen: isAllShown ? "1" : ""),
            PageLayout.button("Show"))
        let note: HTML =
            list.isCut
            ? PageLayout.dim("Only \(ConsolePages.alertsMax) alerts are shown; narrow them down.")
            : PageLayout.dim(alerts.isEmpty ? "No open alerts." : "\(alerts.count) open alerts")
        return PageLayout.page(
            problem == nil ? 200 : 400, title: "Open alerts", identity: identity,
            formToken: access.formToken(request), problem.map(PageLayout.problem) ?? .nothing, form, note,
            .group(alerts.map { ConsolePages.card(of: $0) }))
    }

    private static func card(of alert: ConsoleAlert) -> HTML {
        .tag(
            "article", [.type("\(alert.severity)")],
            .tag("a", [.link("href", "/alerts/\(alert.id)")], .text(alert.title)),
            PageLayout.dim(
                "\(alert.severity) since \(PageLayout.time(alert.startsAt)), rule \(alert.rule)"
                    + (alert.key.isEmpty ? "" : ", \(alert.key)")),
            tags(of: alert))
    }

    /// Labels, and what holds the alert back.
    private static func tags(of alert: ConsoleAlert) -> HTML {
        var texts = alert.labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        if let acknowledgement = alert.acknowledgement { texts.append("acknowledged by \(acknowledgement.by)") }
        if !alert.silencedBy.isEmpty { texts.append("silenced") }
        if !alert.inhibitedBy.isEmpty { texts.append("inhibited") }
        texts += alert.mutedBy.map { "muted by \($0)" }
        return .group(texts.map { .tag("span", [.type("tag")], .text($0)) })
    }

    /// One alert's whole life.
    func alert(_ request: ConsoleRequest, _ identity: ConsoleIdentity, id: String) async throws -> ConsoleResponse {
        guard let fingerprint = Fingerprint(hex: id), let life = try await alerting.views.life(of: fingerprint) else {
            throw ConsoleFailure.notFound("No alert has this id.")
        }
        let alert = life.alert
        let formToken = access.formToken(request)
        let isChangeable = identity.scopes.contains(.write) && alert.state == "firing"
        let silenceText = alert.labels.sorted { $0.key < $1.key }
            .map { ConsoleMatcher(name: $0.key, value: $0.value, isRegex: false, isEqual: true).text }
            .joined(separator: ", ")
        return PageLayout.page(
            200, title: alert.title, identity: identity, formToken: formToken,
            .tag(
                "article", [.type("\(alert.severity)")],
                PageLayout.dim(
                    "\(alert.state) \(alert.severity), episode \(alert.episode), since "
                        + PageLayout.time(alert.startsAt)),
                alert.about.map { .tag("p", [], .text($0)) } ?? .nothing,
                ConsolePages.tags(of: alert)),
            ConsolePages.facts(of: alert),
            isChangeable ? acknowledgeForm(alert, formToken) : .nothing,
            .tag(
                "p", [],
                .tag(
                    "a", [.link("href", "/silences?matchers=\(ConsoleRequest.percentEncoded(silenceText))")],
                    "Silence alerts like this")),
            .tag("h2", [], "What happened, and why"),
            life.isCut ? PageLayout.dim("Older entries are not shown.") : .nothing,
            .element("ol", [], life.entries.map(ConsolePages.line)))
    }

    private static func facts(of alert: ConsoleAlert) -> HTML {
        let links = alert.links.map { link -> [HTML] in
            [.text(link.name), .tag("a", [.link("href", link.value), .named("rel", "noreferrer")], .text(link.value))]
        }
        let plain = [
            ConsolePair("Rule", alert.rule), ConsolePair("Table", alert.table), ConsolePair("Owner", alert.owner),
            ConsolePair("Key", alert.key), ConsolePair("Receivers", alert.receivers.joined(separator: ", ")),
            ConsolePair("Silenced by", alert.silencedBy.joined(separator: ", ")),
            ConsolePair("Inhibited by", alert.inhibitedBy.joined(separator: ", ")),
            ConsolePair("Id", alert.id),
        ]
        let rows = (alert.facts + plain.filter { !$0.value.isEmpty }).map { [HTML.text($0.name), .text($0.value)] }
        return PageLayout.table(["", ""], rows + links)
    }

    private func acknowledgeForm(_ alert: ConsoleAlert, _ formToken: String) -> HTML {
        guard let held = alert.acknowledgement else {
            return PageLayout.form(
                action: "/alerts/\(alert.id)/acknowledge", formToken: formToken,
                PageLayout.field("Comment", name: "comment", value: ""),
                PageLayout.choice("For", name: "hours", ConsolePages.lengths, chosen: "4"),
                PageLayout.button("Acknowledge"))
        }
        let until = held.until.map { " until \(PageLayout.time($0))" } ?? ""
        return .group([
            .tag("p", [], "Acknowledged by \(held.by)\(until): \(held.comment)"),
            PageLayout.form(
                action: "/alerts/\(alert.id)/unacknowledge", formToken: formToken,
                PageLayout.button("Take the acknowledgement back")),
        ])
    }

    private static func line(of entry: ConsoleAlertLife.Entry) -> HTML {
        .element(
            "li", entry.isPart ? [.type("part")] : [],
            [
                .tag("span", [.type("dim")], .text(PageLayout.time(entry.at))), " ", .tag("b", [], .text(entry.what)),
            ] + entry.details.map { .tag("div", [], .text($0)) })
    }
}
