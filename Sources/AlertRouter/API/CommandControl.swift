import AlertWorker
import Alerting
import Console
import Core
import Spine

/// What the console changes, as commands to the worker: the change and its audit are one transaction.
struct CommandControl: AlertingControl {
    let worker: Worker<AlertDecider>
    let clock: any WallClock

    func acknowledge(
        _ id: Fingerprint, comment: String, until: Timestamp?, by actor: ConsoleActor
    ) async throws(ConsoleFailure) {
        _ = try await perform(
            .acknowledge(fingerprint: id, by: actor.name, comment: comment, until: until, from: actor.from))
    }

    func unacknowledge(_ id: Fingerprint, by actor: ConsoleActor) async throws(ConsoleFailure) {
        _ = try await perform(.unacknowledge(fingerprint: id, by: actor.name, from: actor.from))
    }

    func putSilence(_ silence: ConsoleSilence, by actor: ConsoleActor) async throws(ConsoleFailure) -> String {
        let stored = try silence.stored(source: .api, now: clock.now())
        let reply = try await perform(.putSilence(stored, by: actor.name, from: actor.from))
        if case .silence(let id) = reply { return id }
        return stored.id
    }

    func expireSilence(id: String, by actor: ConsoleActor) async throws(ConsoleFailure) {
        _ = try await perform(.expireSilence(id: id, by: actor.name, from: actor.from))
    }

    func push(_ alerts: [ConsolePushedAlert], by actor: ConsoleActor) async throws(ConsoleFailure) {
        let pushed = alerts.map { alert in
            PushedAlert(
                labels: alert.labels, annotations: alert.annotations, startsAt: alert.startsAt, endsAt: alert.endsAt,
                generatorURL: alert.generatorURL.isEmpty ? nil : alert.generatorURL)
        }
        _ = try await perform(.push(pushed, by: actor.name, from: actor.from))
    }

    private func perform(_ command: AlertCommand) async throws(ConsoleFailure) -> AlertReply {
        let reply: AlertReply
        do { reply = try await worker.perform(command) } catch {
            throw .unavailable("nothing can be changed now: \(error)")
        }
        if case .refused(let why) = reply { throw .invalid(why) }
        return reply
    }
}
