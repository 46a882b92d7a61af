internal import Core

/// The pages under `/`: read by GET, changed by forms, no scripts.
struct ConsolePages: Sendable {
    static let formBytesMax = 64 << 10
    static let alertsMax = 500
    static let deadLettersMax = 200

    /// How long an acknowledgement or a silence may be chosen to last.
    static let lengths: [(value: String, text: String)] = [
        ("1", "1 hour"), ("4", "4 hours"), ("8", "8 hours"), ("24", "1 day"), ("72", "3 days"), ("168", "1 week"),
    ]

    let alerting: ConsoleAlerting
    let access: ConsoleAccess
    let clock: any WallClock

    /// Answers a request for a page; nil where there is none of that path.
    func respond(_ request: ConsoleRequest) async -> ConsoleResponse? {
        do {
            switch (request.method, request.path.first ?? "", request.path.count) {
            case (.get, "login", 1), (.head, "login", 1): return login(next: request.parameter("next"), nil)
            case (.post, "login", 1): return try await logIn(request)
            case (.post, "logout", 1): return try await logOut(request)
            case (.get, "ack", 2), (.head, "ack", 2): return try await acknowledgeQuestion(request)
            case (.post, "ack", 2): return try await acknowledgeByLink(request)
            case (.get, _, _), (.head, _, _): return try await read(request)
            case (.post, _, _): return try await change(request)
            default: return nil
            }
        } catch let denial as ConsoleAccess.Denial {
            return refused(denial, request)
        } catch let failure as ConsoleFailure {
            return failed(failure, request)
        } catch let error as ConsoleRequest.BodyError {
            return AlertmanagerAPI.response(to: error)
        } catch {
            return problem(500, "This cannot be shown", "The log says why.", request)
        }
    }

    // MARK: - Reading

    private func read(_ request: ConsoleRequest) async throws -> ConsoleResponse? {
        let path = request.path
        guard path.count <= 2, ["alerts", "silences", "receivers", "dead-letters"].contains(path.first ?? "alerts"),
            path.count < 2 || path[0] == "alerts"
        else { return nil }
        let identity = try access.identify(request, scope: .read, acceptsSession: true)
        switch path.first {
        case nil: return try await alerts(request, identity)
        case "alerts" where path.count == 1: return .seeOther("/")
        case "alerts": return try await alert(request, identity, id: path[1])
        case "silences": return try await silences(request, identity)
        case "receivers": return try await receivers(request, identity)
        default: return try await deadLetters(request, identity)
        }
    }

    // MARK: - Changing

    private func change(_ request: ConsoleRequest) async throws -> ConsoleResponse? {
        let path = request.path
        switch (path.first, path.count, path.last) {
        case ("alerts", 3, "acknowledge"), ("alerts", 3, "unacknowledge"), ("silences", 1, _),
            ("silences", 3, "expire"):
            break
        default: return nil
        }
        let identity = try access.identify(request, scope: .write, acceptsSession: true)
        let fields = try await fields(of: request)
        guard access.isRight(formToken: fields["form"], request) else {
            return problem(
                403, "This form is not valid any more", "Open the page again and send it once more.", request)
        }
        let actor = ConsoleActor(name: identity.name, from: "page \(identity.address)")
        let desk = SilenceDesk(alerting: alerting, clock: clock)
        switch (path[0], path.last) {
        case ("alerts", "acknowledge"):
            let id = try fingerprint(path[1])
            try await alerting.control.acknowledge(
                id, comment: fields["comment"] ?? "", until: try end(fields["hours"]), by: actor)
            return .seeOther("/alerts/\(id)")
        case ("alerts", _):
            let id = try fingerprint(path[1])
            try await alerting.control.unacknowledge(id, by: actor)
            return .seeOther("/alerts/\(id)")
        case (_, "expire"):
            try await desk.expire(id: path[1].lowercased(), by: actor)
            return .seeOther("/silences")
        default:
            _ = try await desk.put(try silence(fields, author: identity.name), by: actor)
            return .seeOther("/silences")
        }
    }

    private func silence(_ fields: [String: String], author: String) throws -> ConsoleSilence {
        let matchers: [ConsoleMatcher]
        do { matchers = try ConsoleMatcher.parseList(fields["matchers"] ?? "") } catch {
            throw ConsoleFailure.invalid(error.message)
        }
        let comment = (fields["comment"] ?? "").split(whereSeparator: \.isNewline).joined(separator: " ")
        guard !comment.allSatisfy(\.isWhitespace) else {
            throw ConsoleFailure.invalid("a silence needs a comment that says why")
        }
        let now = clock.now()
        return ConsoleSilence(
            id: "", matchers: matchers, startsAt: now, endsAt: try end(fields["hours"]), author: author,
            comment: comment, updatedAt: now)
    }

    func end(_ hours: String?) throws -> Timestamp {
        guard let hours, ConsolePages.lengths.contains(where: { $0.value == hours }), let count = Int64(hours) else {
            throw ConsoleFailure.invalid("choose how long it lasts")
        }
        return clock.now().adding(.seconds(count * 3600))
    }

    private func fingerprint(_ text: String) throws -> Fingerprint {
        guard let id = Fingerprint(hex: text) else { throw ConsoleFailure.notFound("there is no such alert") }
        return id
    }

    /// The fields of a posted form; of a repeated one the first.
    func fields(of request: ConsoleRequest) async throws -> [String: String] {
        guard request.isForm else { throw ConsoleFailure.invalid("a form was expected") }
        let bytes = try await request.readBody(ConsolePages.formBytesMax)
        guard let text = String(validating: bytes, as: UTF8.self),
            let parameters = ConsoleRequest.parameters(Substring(text))
        else { throw ConsoleFailure.invalid("the form cannot be read") }
        return Dictionary(parameters.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
    }

    // MARK: - Login

    private func login(next: String?, _ problem: String?, status: Int = 200) -> ConsoleResponse {
        PageLayout.page(
            status, title: "Log in", identity: nil, formToken: "",
            problem.map(PageLayout.problem) ?? .nothing,
            .tag(
                "form", [.type("fields"), .named("method", "post"), .link("action", "/login")],
                PageLayout.hidden("next", ConsolePages.ownPath(next)),
                PageLayout.field("Your token", name: "token", value: "", type: "password"),
                PageLayout.button("Log in")))
    }

    private func logIn(_ request: ConsoleRequest) async throws -> ConsoleResponse {
        guard access.isOwnOrigin(request) else { throw ConsoleAccess.Denial.foreignOrigin }
        let fields = try await fields(of: request)
        let presented = fields["token"] ?? ""
        do throws(ConsoleAccess.Denial) { _ = try access.identity(token: presented, of: request) } catch {
            guard error == .wrongToken else { return AlertmanagerAPI.response(to: error) }
            return login(next: fields["next"], "This token is not known.", status: 401)
        }
        guard let session = access.session(token: presented) else {
            return login(next: fields["next"], "This token is not known.", status: 401)
        }
        var response = ConsoleResponse.seeOther(ConsolePages.ownPath(fields["next"]))
        response.headers.append(("set-cookie", access.cookieHeader(session)))
        return response
    }

    private func logOut(_ request: ConsoleRequest) async throws -> ConsoleResponse {
        guard access.isOwnOrigin(request), access.isRight(formToken: try await fields(of: request)["form"], request)
        else { throw ConsoleAccess.Denial.foreignOrigin }
        var response = ConsoleResponse.seeOther("/login")
        response.headers.append(("set-cookie", access.cookieHeader(nil)))
        return response
    }

    /// A path of our own to go on to; anything else leads to the start.
    private static func ownPath(_ path: String?) -> String {
        guard let path, path.hasPrefix("/"), HTML.isSafe(address: path), !path.contains("\\") else { return "/" }
        return path
    }

    // MARK: - Refusals

    private func refused(_ denial: ConsoleAccess.Denial, _ request: ConsoleRequest) -> ConsoleResponse {
        switch denial {
        case .noToken:
            let path = "/" + request.path.map(ConsoleRequest.percentEncoded).joined(separator: "/")
            let next = request.method == .post ? "/" : path
            return .seeOther("/login?next=\(ConsoleRequest.percentEncoded(next))")
        case .missingScope:
            return problem(403, "You may read only", "Your token does not allow to change anything.", request)
        case .foreignOrigin:
            return problem(403, "This was not sent by our own page", "Open the page here and try again.", request)
        case .wrongToken, .tooManyFailures: return AlertmanagerAPI.response(to: denial)
        }
    }

    private func failed(_ failure: ConsoleFailure, _ request: ConsoleRequest) -> ConsoleResponse {
        switch failure {
        case .invalid(let why): problem(400, "This cannot be done", why, request)
        case .notFound(let why): problem(404, "There is nothing here", why, request)
        case .unavailable(let why): problem(503, "Not now", why, request)
        }
    }

    func problem(_ status: Int, _ title: String, _ text: String, _ request: ConsoleRequest) -> ConsoleResponse {
        let identity = try? access.identify(request, scope: .read, acceptsSession: true)
        return PageLayout.page(
            status, title: title, identity: identity, formToken: access.formToken(request), PageLayout.problem(text))
    }
}
