internal import Core

extension ConsolePages {
    /// Silences, with a form for a new one.
    func silences(_ request: ConsoleRequest, _ identity: ConsoleIdentity) async throws -> ConsoleResponse {
        let now = clock.now()
        let formToken = access.formToken(request)
        let isChangeable = identity.scopes.contains(.write)
        let silences = ConsoleSilence.inOrder(try await alerting.views.silences(), at: now)
        let form = PageLayout.form(
            action: "/silences", formToken: formToken,
            PageLayout.field(
                "Alerts with these labels", name: "matchers", value: request.parameter("matchers") ?? ""),
            PageLayout.choice("For", name: "hours", ConsolePages.lengths, chosen: "4"),
            PageLayout.field("Why", name: "comment", value: ""), PageLayout.button("Silence"))
        let cards = silences.prefix(ConsolePages.alertsMax).map { silence -> HTML in
            let state = silence.state(at: now)
            let origin = silence.isFromFile ? "; from a file" : silence.isUntilResolved ? "; until resolved" : ""
            return .tag(
                "article", [],
                .group(silence.matchers.map { .tag("span", [.type("tag")], .text($0.text)) }),
                .tag("p", [], .text(silence.comment)),
                PageLayout.dim(
                    "\(state.rawValue), \(PageLayout.time(silence.startsAt)) to \(PageLayout.time(silence.endsAt)), by "
                        + "\(silence.author)\(origin); \(silence.id)"),
                isChangeable && state != .expired && !silence.isFromFile
                    ? PageLayout.form(
                        action: "/silences/\(silence.id)/expire", formToken: formToken, PageLayout.button("End it now"))
                    : .nothing)
        }
        return PageLayout.page(
            200, title: "Silences", identity: identity, formToken: formToken,
            isChangeable ? form : PageLayout.dim("Log in with a token that may write to make one."),
            cards.isEmpty ? PageLayout.dim("No silences.") : .group(cards))
    }

    /// Receivers, what waits for them, and what holds it up.
    func receivers(_ request: ConsoleRequest, _ identity: ConsoleIdentity) async throws -> ConsoleResponse {
        let receivers = try await alerting.views.receivers()
        let rows = receivers.map { receiver -> [HTML] in
            [
                .text(receiver.name), .text(receiver.channel),
                .group(receiver.counts.map { .tag("span", [.type("tag")], "\($0.name) \($0.value)") }),
                .text(receiver.oldestWaiting.map(PageLayout.time) ?? ""), .text(receiver.limiter ?? ""),
                .text(receiver.breaker ?? ""),
            ]
        }
        return PageLayout.page(
            200, title: "Receivers", identity: identity, formToken: access.formToken(request),
            PageLayout.table(
                ["Receiver", "Channel", "Notifications", "Oldest waits since", "Limiter", "Breaker"], rows))
    }

    /// Open dead letters; their bytes are not shown.
    func deadLetters(_ request: ConsoleRequest, _ identity: ConsoleIdentity) async throws -> ConsoleResponse {
        let letters = try await alerting.views.deadLetters(countMax: ConsolePages.deadLettersMax)
        let rows = letters.map { letter -> [HTML] in
            [
                "\(letter.id)", .text(letter.kind), .text(PageLayout.time(letter.at)), .text(letter.place),
                .text(letter.reason),
            ]
        }
        return PageLayout.page(
            200, title: "Dead letters", identity: identity, formToken: access.formToken(request),
            letters.isEmpty
                ? PageLayout.dim("No open dead letters.")
                : PageLayout.table(["Id", "Kind", "At", "Where", "Reason"], rows),
            PageLayout.dim("'alert-router dead-letters replay ID' tries one again."))
    }
}
