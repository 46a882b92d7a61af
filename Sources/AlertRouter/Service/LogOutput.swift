import Core
import Foundation
import Logging

/// Structured log lines on standard error: text for people, JSON for machines. Quiet: nothing per event.
struct LogOutput: LogHandler {
    private let label: String
    private let isJSON: Bool
    private let clock: any WallClock
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]

    init(label: String, isJSON: Bool, level: Logger.Level, clock: any WallClock) {
        self.label = label
        self.isJSON = isJSON
        self.clock = clock
        logLevel = level
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
        var bytes: [UInt8] = []
        if isJSON {
            let members = [
                JSON.Member("at", .string(clock.now().description)),
                JSON.Member("level", .string(event.level.rawValue)),
                JSON.Member("logger", .string(label)), JSON.Member("message", .string(event.message.description)),
            ]
            let object = JSON.object(members + all.map { JSON.Member($0.key, .string($0.value.description)) })
            object.write(to: &bytes)
        } else {
            let level = event.level.rawValue.uppercased().padding(toLength: 7, withPad: " ", startingAt: 0)
            var text = "\(clock.now()) \(level) \(event.message)"
            for (key, value) in all { text += " \(key)=\(LogOutput.quoted(value.description))" }
            bytes = Array(text.utf8)
        }
        bytes.append(UInt8(ascii: "\n"))
        // One write, so that lines of several threads do not mix.
        try? FileHandle.standardError.write(contentsOf: Data(bytes))
    }

    private static func quoted(_ text: String) -> String {
        let isPlain = !text.isEmpty && text.unicodeScalars.allSatisfy { $0.value > 0x20 && $0 != "\"" && $0 != "=" }
        return isPlain ? text : JSON.string(text).description
    }
}

extension Logger.Level {
    init(_ level: RouterConfiguration.Logging.Level) {
        switch level {
        case .debug: self = .debug
        case .info: self = .info
        case .notice: self = .notice
        case .warning: self = .warning
        case .error: self = .error
        }
    }
}
