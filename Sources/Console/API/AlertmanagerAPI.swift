internal import Core

/// The HTTP API under `/api/v2`, as Alertmanager 0.25 to 0.27 describe theirs.
struct AlertmanagerAPI: Sendable {
    /// Bytes of a body at most.
    static let bodyBytesMax = 4 << 20
    /// Alerts answered at most; with more the question must be narrower.
    static let alertsMax = 50_000
    /// Alerts of one push.
    static let pushedMax = 10_000
    /// How long an alert is said to last whose end nobody knows.
    static let assumedLength: Duration = .seconds(300)

    let alerting: ConsoleAlerting
    let access: ConsoleAccess
    let clock: any WallClock

    /// Answers a request whose path begins with `/api/v2`.
    /// - Parameter path: what follows.
    func respond(_ request: ConsoleRequest, path: ArraySlice<String>) async -> ConsoleResponse {
        let route = Route(path: Array(path), method: request.method)
        guard let route else { return .json(404, .string("there is no \(request.method.rawValue) of this path")) }
        do {
            let identity = try access.identify(request, scope: route.scope, acceptsSession: false)
            return try await respond(request, route, identity)
        } catch let denial as ConsoleAccess.Denial {
            return AlertmanagerAPI.response(to: denial)
        } catch let failure as ConsoleFailure {
            return AlertmanagerAPI.response(to: failure)
        } catch let error as ConsoleRequest.BodyError {
            return AlertmanagerAPI.response(to: error)
        } catch {
            return .json(500, .string("the question could not be answered; the log says why"))
        }
    }

    private enum Route {
        case status, receivers, alerts, groups, silences, silence(String), push, putSilence, expire(String)

        init?(path: [String], method: ConsoleRequest.Method) {
            let isRead = method == .get || method == .head
            switch (path.first, path.count) {
            case ("status", 1) where isRead: self = .status
            case ("receivers", 1) where isRead: self = .receivers
            case ("alerts", 1) where isRead: self = .alerts
            case ("alerts", 1) where method == .post: self = .push
            case ("alerts", 2) where isRead && path[1] == "groups": self = .groups
            case ("silences", 1) where isRead: self = .silences
            case ("silences", 1) where method == .post: self = .putSilence
            case ("silence", 2) where isRead: self = .silence(path[1].lowercased())
            case ("silence", 2) where method == .delete: self = .expire(path[1].lowercased())
            default: return nil
            }
        }

        var scope: AccessScope {
            switch self {
            case .status, .receivers, .alerts, .groups, .silences, .silence: .read
            case .push, .putSilence, .expire: .write
            }
        }
    }

    private func respond(
        _ request: ConsoleRequest, _ route: Route, _ identity: ConsoleIdentity
    ) async throws -> ConsoleResponse {
        let actor = ConsoleActor(name: identity.name, from: "api \(identity.address)")
        switch route {
        case .status: return .json(200, await status())
        case .receivers:
            return .json(200, .array(await alerting.views.receiverNames().map { .object(["name": .string($0)]) }))
        case .alerts: return .json(200, try await alerts(request))
        case .groups: return .json(200, try await groups(request))
        case .silences: return .json(200, try await silences(request))
        case .silence(let id):
            guard let silence = try await alerting.views.silences().first(where: { $0.id == id }) else {
                throw ConsoleFailure.notFound("silence not found")
            }
            return .json(200, silence.json(at: clock.now()))
        case .putSilence:
            let silence = try ConsoleSilence(json: try await body(of: request), now: clock.now())
            let desk = SilenceDesk(alerting: alerting, clock: clock)
            return .json(200, .object(["silenceID": .string(try await desk.put(silence, by: actor))]))
        case .expire(let id):
            try await SilenceDesk(alerting: alerting, clock: clock).expire(id: id, by: actor)
            return ConsoleResponse(200, "application/json", [])
        case .push: return try await push(try await body(of: request), by: actor)
        }
    }

    /// Scripts of other sites can send texts and forms without asking, but no JSON.
    private func body(of request: ConsoleRequest) async throws -> JSON {
        guard request.isJSON else { throw ConsoleFailure.invalid("the body must be application/json") }
        let bytes = try await request.readBody(AlertmanagerAPI.bodyBytesMax)
        do { return try JSON.parse(bytes, depthMax: 16) } catch {
            throw ConsoleFailure.invalid("the body is no JSON: \(error)")
        }
    }

    // MARK: - Answers

    private func status() async -> JSON {
        let status = await alerting.views.status()
        return .object([
            "cluster": .object(["name": .string(""), "peers": .array([]), "status": .string("disabled")]),
            "config": .object(["original": .string(status.configuration)]),
            "uptime": .string(status.startedAt.description),
            "versionInfo": .object([
                "branch": .string(""), "buildDate": .string(""), "buildUser": .string(""), "goVersion": .string(""),
                "revision": .string(""), "version": .string(status.version),
            ]),
        ])
    }

    private func alerts(_ request: ConsoleRequest) async throws -> JSON {
        let found = try await matching(request)
        let now = clock.now()
        return .array(found.sorted { $0.id < $1.id }.map { $0.json(at: now) })
    }

    private func groups(_ request: ConsoleRequest) async throws -> JSON {
        let pattern = try receiverPattern(request)
        var members: [ConsoleAlert.Group: [ConsoleAlert]] = [:]
        for alert in try await matching(request) {
            for group in alert.groups where pattern?(group.receiver) ?? true {
                members[group, default: []].append(alert)
            }
        }
        let now = clock.now()
        func order(_ group: ConsoleAlert.Group) -> String {
            group.labels.sorted { $0.key < $1.key }.map { "\($0.key)\u{1}\($0.value)" }.joined(separator: "\u{2}")
                + "\u{3}" + group.receiver
        }
        let sorted = members.map { (order: order($0.key), group: $0.key, alerts: $0.value) }
            .sorted { $0.order < $1.order }
        return .array(
            sorted.map { entry in
                .object([
                    "alerts": .array(entry.alerts.sorted { $0.id < $1.id }.map { $0.json(at: now) }),
                    "labels": .labels(entry.group.labels),
                    "receiver": .object(["name": .string(entry.group.receiver)]),
                ])
            })
    }

    private func receiverPattern(_ request: ConsoleRequest) throws -> (@Sendable (String) -> Bool)? {
        guard let text = request.parameter("receiver"), !text.isEmpty else { return nil }
        do { return try alerting.views.pattern(text) } catch ConsoleFailure.invalid(let why) {
            throw ConsoleFailure.invalid("failed to parse receiver param: \(why)")
        }
    }

    private func matching(_ request: ConsoleRequest) async throws -> [ConsoleAlert] {
        func flag(_ name: String) throws -> Bool {
            switch request.parameter(name) {
            case nil, "true": return true
            case "false": return false
            case let other?: throw ConsoleFailure.invalid("\(name) must be true or false; found '\(other)'")
            }
        }
        let isActive = try flag("active")
        let isSilenced = try flag("silenced")
        let isInhibited = try flag("inhibited")
        let isMuted = request.parameter("muted") == nil ? true : try flag("muted")
        _ = try flag("unprocessed")
        let filter = try filter(request)
        let receiver = try receiverPattern(request)
        let list = try await alerting.views.alerts(countMax: AlertmanagerAPI.alertsMax) { alert in
            if !isActive, !alert.isSuppressed { return false }
            if !isSilenced, !alert.silencedBy.isEmpty { return false }
            if !isInhibited, !alert.inhibitedBy.isEmpty { return false }
            if !isMuted, !alert.mutedBy.isEmpty { return false }
            if let receiver, !alert.receivers.contains(where: receiver) { return false }
            return filter.matches(alert.labels)
        }
        guard !list.isCut else {
            throw ConsoleFailure.invalid("more than \(AlertmanagerAPI.alertsMax) alerts; narrow it down with filter=")
        }
        return list.alerts
    }

    private func filter(_ request: ConsoleRequest) throws -> MatcherSet {
        var matchers: [ConsoleMatcher] = []
        for text in request.parameters("filter") {
            do throws(ConsoleMatcher.Problem) {
                let isList = text.drop(while: \.isWhitespace).first == "{"
                matchers += isList ? try ConsoleMatcher.parseList(text) : [try ConsoleMatcher.parse(text)]
            } catch { throw ConsoleFailure.invalid(error.message) }
        }
        return try MatcherSet(matchers, views: alerting.views)
    }

    /// Shows silences whose own matchers, read as labels, pass the filter.
    private func silences(_ request: ConsoleRequest) async throws -> JSON {
        let filter = try filter(request)
        let now = clock.now()
        let silences = try await alerting.views.silences().filter { silence in
            filter.matches(
                Dictionary(silence.matchers.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first }))
        }
        return .array(ConsoleSilence.inOrder(silences, at: now).map { $0.json(at: now) })
    }

    private func push(_ json: JSON, by actor: ConsoleActor) async throws -> ConsoleResponse {
        guard let elements = json.elements else { throw ConsoleFailure.invalid("the body must be a list of alerts") }
        guard elements.count <= AlertmanagerAPI.pushedMax else {
            throw ConsoleFailure.invalid("more than \(AlertmanagerAPI.pushedMax) alerts at once")
        }
        var right: [ConsolePushedAlert] = []
        var problems: [String] = []
        for element in elements {
            do throws(ConsoleFailure) { right.append(try ConsolePushedAlert(json: element)) } catch {
                if case .invalid(let why) = error, problems.count < 20 { problems.append(why) }
            }
        }
        if !right.isEmpty { try await alerting.control.push(right, by: actor) }
        // As in Alertmanager: what is right is taken, and the rest is said.
        guard problems.isEmpty else { return .json(400, .string(problems.joined(separator: "; "))) }
        return ConsoleResponse(200, "application/json", [])
    }
}

extension AlertmanagerAPI {
    /// What somebody is told who may not.
    static func response(to denial: ConsoleAccess.Denial) -> ConsoleResponse {
        switch denial {
        case .noToken, .wrongToken:
            var response = ConsoleResponse.json(
                401, .string(denial == .noToken ? "a bearer token is needed" : "the token is not known"))
            response.headers.append(("www-authenticate", "Bearer realm=\"alert-router\""))
            return response
        case .tooManyFailures(let seconds):
            var response = ConsoleResponse.json(429, .string("too many wrong tokens came from your address"))
            response.headers.append(("retry-after", String(seconds)))
            return response
        case .missingScope(let scope):
            return .json(403, .string("the token does not have the scope '\(scope.rawValue)'"))
        case .foreignOrigin: return .json(403, .string("a page of another site may not do this"))
        }
    }

    static func response(to failure: ConsoleFailure) -> ConsoleResponse {
        switch failure {
        case .invalid(let why): return .json(400, .string(why))
        case .notFound(let why): return .json(404, .string(why))
        case .unavailable(let why):
            var response = ConsoleResponse.json(503, .string(why))
            response.headers.append(("retry-after", "5"))
            return response
        }
    }

    static func response(to error: ConsoleRequest.BodyError) -> ConsoleResponse {
        switch error {
        case .tooLarge: .json(413, .string("the body is too large"))
        case .tooSlow: .json(408, .string("the body did not come in time"))
        case .broken: .json(400, .string("the body did not come whole"))
        }
    }
}
