import AlertWorker
import Console
import Core
import Spine
import Store

/// Carries out what comes over the control socket.
struct ServiceCommands {
    let service: RouterService

    func perform(_ request: JSON) async throws -> JSON {
        let name = request["command"]?.stringValue ?? ""
        switch name {
        case "dead_letters.replay", "dead_letters.discard":
            return try await settle(request, isReplay: name == "dead_letters.replay")
        case "alerts.acknowledge", "alerts.unacknowledge":
            return try await acknowledge(request, isTakenBack: name == "alerts.unacknowledge")
        case SilenceRequest.putName, SilenceRequest.expireName: return try await silence(request)
        case "reload":
            await service.reload()
            return .object(["text": .string("reload asked for; the log says how it ended")])
        default: return .object(["error": .string("the service knows no command '\(name)'")])
        }
    }

    private func acknowledge(_ request: JSON, isTakenBack: Bool) async throws -> JSON {
        guard let id = request["id"]?.stringValue.flatMap(Fingerprint.init(hex:)) else {
            return .object(["error": .string("an alert's id has 64 hexadecimal digits")])
        }
        let control = CommandControl(worker: service.worker, clock: service.clock)
        let actor = ConsoleActor(name: request["by"]?.stringValue ?? "unknown", from: "command line")
        do throws(ConsoleFailure) {
            if isTakenBack {
                try await control.unacknowledge(id, by: actor)
                return .object(["text": .string("the acknowledgement is taken back")])
            }
            let until = request["seconds"]?.intValue.map { service.clock.now().adding(.seconds($0)) }
            try await control.acknowledge(
                id, comment: request["comment"]?.stringValue ?? "", until: until, by: actor)
            return .object(["text": .string("acknowledged until \(until?.description ?? "it is over")")])
        } catch {
            return .object(["error": .string(error.text)])
        }
    }

    private func silence(_ request: JSON) async throws -> JSON {
        let control = CommandControl(worker: service.worker, clock: service.clock)
        let actor = ConsoleActor(name: request["by"]?.stringValue ?? "unknown", from: "command line")
        do throws(ConsoleFailure) {
            guard request["command"]?.stringValue == SilenceRequest.putName else {
                let id = request["id"]?.stringValue ?? ""
                try await control.expireSilence(id: id, by: actor)
                return .object(["id": .string(id)])
            }
            guard let silence = SilenceRequest.silence(of: request) else {
                return .object(["error": .string("the request holds no silence")])
            }
            return .object(["id": .string(try await control.putSilence(ConsoleSilence(silence), by: actor))])
        } catch {
            return .object(["error": .string(error.text)])
        }
    }

    private func settle(_ request: JSON, isReplay: Bool) async throws -> JSON {
        let by = request["by"]?.stringValue ?? "unknown"
        var results: [JSON] = []
        for id in (request["ids"]?.elements ?? []).compactMap(\.intValue) {
            do {
                let text = try await settle(id, isReplay: isReplay, by: by)
                results.append(OfflineCommands.result(id, isDone: true, text))
            } catch let failure as CommandFailure {
                results.append(OfflineCommands.result(id, isDone: false, failure.reason))
            } catch let error as StoreError where !error.isStorageFailure {
                results.append(OfflineCommands.result(id, isDone: false, error.message))
            }
        }
        return .object(["results": .array(results)])
    }

    private func settle(_ id: Int64, isReplay: Bool, by: String) async throws -> String {
        guard let letter = try service.store.read({ try $0.deadLetter(id: id) }) else {
            throw StoreError(.conflict, "there is no dead letter \(id)", systemCode: nil)
        }
        guard letter.state == .open else {
            throw StoreError(.conflict, "dead letter \(id) is \(letter.state.rawValue)", systemCode: nil)
        }
        guard isReplay else {
            if case .done(let text) = try await service.worker.perform(.discard(letter: letter, by: by)) { return text }
            return "discarded"
        }
        if letter.kind == .delivery {
            if case .done(let text) = try await service.worker.perform(.requeueDelivery(letter: letter, by: by)) {
                return text
            }
            return "back in the outbox"
        }
        let whole = try await MessageRecovery.recover(letter, configurationPath: service.configurationPath)
        let report = try await service.worker.replay([whole], by: by)
        if let reason = report.refused[id] { throw StoreError(.conflict, "still refused: \(reason)", systemCode: nil) }
        return "read again\(letter.areBytesDropped ? " from Kafka" : ""); \(report.judgedCount) events were judged"
    }
}
