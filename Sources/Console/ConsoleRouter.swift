internal import Core

/// Leads a request to what answers it. Knows nothing of sockets.
struct ConsoleRouter: Sendable {
    let metrics: MetricsRegistry
    let backend: any ConsoleBackend
    let access: ConsoleAccess
    let clock: any WallClock
    /// Nil where there is nothing but metrics and health.
    let alerting: ConsoleAlerting?

    func respond(_ request: ConsoleRequest) async -> ConsoleResponse {
        var response = await answer(request)
        response.headers += PageLayout.headers
        if request.method == .head { response.body = [] }
        return response
    }

    private func answer(_ request: ConsoleRequest) async -> ConsoleResponse {
        let isRead = request.method == .get || request.method == .head
        switch request.path.first {
        case "healthz" where request.path.count == 1 && isRead: return .text(200, "ok\n")
        case "metrics" where request.path.count == 1 && isRead:
            return guarded(request) {
                ConsoleResponse(200, "text/plain; version=0.0.4; charset=utf-8", Array(metrics.prometheusText().utf8))
            }
        case "readyz" where request.path.count == 1 && isRead:
            let readiness = await backend.readiness()
            return guarded(request) { .json(readiness.isReady ? 200 : 503, readiness.json) }
        case "api" where request.path.count >= 2 && request.path[1] == "v2":
            guard let alerting else { break }
            let api = AlertmanagerAPI(alerting: alerting, access: access, clock: clock)
            return await api.respond(request, path: request.path.dropFirst(2))
        default:
            guard let alerting else {
                return request.path.isEmpty && isRead
                    ? guarded(request) { .text(200, "/metrics\n/healthz\n/readyz\n") } : .text(404, "not found\n")
            }
            let pages = ConsolePages(alerting: alerting, access: access, clock: clock)
            if let response = await pages.respond(request) { return response }
        }
        return .text(404, "not found\n")
    }

    private func guarded(_ request: ConsoleRequest, _ answer: () -> ConsoleResponse) -> ConsoleResponse {
        if access.settings.areMetricsPublic { return answer() }
        do throws(ConsoleAccess.Denial) {
            _ = try access.identify(request, scope: .read, acceptsSession: true)
            return answer()
        } catch { return AlertmanagerAPI.response(to: error) }
    }
}
