import AlertWorker
import Console
import Core
import Spine

/// What the console changes, as commands to the worker.
struct CommandControl: AlertingControl {
    let worker: Worker<AlertDecider>

    func acknowledge(_ id: Fingerprint, comment: String, until: Timestamp?, by actor: ConsoleActor)
        async throws(ConsoleFailure)
    {
        throw CommandControl.missing
    }

    func unacknowledge(_ id: Fingerprint, by actor: ConsoleActor) async throws(ConsoleFailure) {
        throw CommandControl.missing
    }

    func putSilence(_ silence: ConsoleSilence, by actor: ConsoleActor) async throws(ConsoleFailure) -> String {
        throw CommandControl.missing
    }

    func expireSilence(id: String, by actor: ConsoleActor) async throws(ConsoleFailure) { throw CommandControl.missing }

    func push(_ alerts: [ConsolePushedAlert], by actor: ConsoleActor) async throws(ConsoleFailure) {
        throw CommandControl.missing
    }

    private static let missing = ConsoleFailure.unavailable(
        "this router does not keep silences and acknowledgements yet")
}
