internal import Core

// The page behind the link in a message. Looking at it changes nothing: scanners of mail follow links too.
extension ConsolePages {
    private enum LinkState {
        case usable(AcknowledgeLink, ConsoleAlert)
        case useless(ConsoleResponse)
    }

    /// Asks whether to acknowledge.
    func acknowledgeQuestion(_ request: ConsoleRequest) async throws -> ConsoleResponse {
        switch try await linkState(request) {
        case .useless(let response): return response
        case .usable(let link, let alert):
            let path = "/ack/\(request.path[1])"
            let known: HTML =
                alert.acknowledgement.map { PageLayout.dim("Acknowledged already by \($0.by): \($0.comment)") }
                ?? .nothing
            return PageLayout.page(
                200, title: "Acknowledge this alert?", identity: nil, formToken: "",
                .tag(
                    "article", [.type("\(alert.severity)")], .tag("p", [], .text(alert.title)),
                    PageLayout.dim(
                        "\(alert.severity) since \(PageLayout.time(alert.startsAt)), told to \(link.receiver)"),
                    known),
                .tag(
                    "form", [.type("fields"), .named("method", "post"), .link("action", path)],
                    PageLayout.field("Comment", name: "comment", value: ""),
                    PageLayout.choice("For", name: "hours", ConsolePages.lengths, chosen: "4"),
                    PageLayout.button("Acknowledge")),
                PageLayout.dim("While it is acknowledged, no reminders of it are sent."))
        }
    }

    /// Acknowledges.
    func acknowledgeByLink(_ request: ConsoleRequest) async throws -> ConsoleResponse {
        switch try await linkState(request) {
        case .useless(let response): return response
        case .usable(let link, let alert):
            guard access.isOwnOrigin(request) else { throw ConsoleAccess.Denial.foreignOrigin }
            let fields = try await fields(of: request)
            let until = try end(fields["hours"])
            try await alerting.control.acknowledge(
                link.incident.fingerprint, comment: fields["comment"] ?? "", until: until,
                by: ConsoleActor(name: link.actor, from: "link \(request.peer.address)"))
            return PageLayout.page(
                200, title: "Acknowledged", identity: nil, formToken: "",
                .tag("article", [.type("\(alert.severity)")], .tag("p", [], .text(alert.title))),
                PageLayout.dim("No reminders are sent until \(PageLayout.time(until)). You can close this page."))
        }
    }

    private func linkState(_ request: ConsoleRequest) async throws -> LinkState {
        let link: AcknowledgeLink
        do throws(AcknowledgeLink.Problem) {
            link = try AcknowledgeLink(token: request.path[1], key: alerting.linkKey, now: clock.now())
        } catch {
            switch error {
            case .expired:
                return .useless(
                    message(410, "This link has expired", "Open the alert itself, or ask for it to be acknowledged."))
            case .tampered:
                if let seconds = access.countFailure(of: request) {
                    return .useless(AlertmanagerAPI.response(to: .tooManyFailures(seconds: seconds)))
                }
                return .useless(
                    message(404, "This is no link of ours", "It may have been cut off: copy the whole link."))
            }
        }
        guard let alert = try await alerting.views.alert(id: link.incident.fingerprint) else {
            return .useless(message(410, "This alert is not known any more", "There is nothing to acknowledge."))
        }
        guard alert.state == "firing", alert.episode == link.incident.episode else {
            return .useless(
                message(
                    410, "This alert is over",
                    "What the message told of has ended. A later firing has its own message and link."))
        }
        return .usable(link, alert)
    }

    private func message(_ status: Int, _ title: String, _ text: String) -> ConsoleResponse {
        PageLayout.page(status, title: title, identity: nil, formToken: "", .tag("p", [], .text(text)))
    }
}
