internal import Core

/// The attributes of a binary CloudEvent, from the headers of its message.
struct CloudHeaders {
    var type: String?
    var sequence: String?
    var time: String?
    var operation: String?
    var position: String?
}

extension ChangeDecoder {
    /// The attributes, where the message is a binary CloudEvent and its topic may carry those.
    func cloudHeaders(_ message: RawMessage, _ topic: Int, _ raw: RawBatch) -> CloudHeaders? {
        guard message.headerCount > 0 else { return nil }
        if let format = topics[topic].format, format != .cloudevents { return nil }
        var headers = CloudHeaders()
        var isBinary = false
        for header in raw.headers(of: message) {
            guard header.nameCount >= 7, let value = header.value else { continue }
            let name = header.name.lowercased()
            if name == "content-type" {
                let type = String(decoding: value, as: UTF8.self).lowercased()
                if type.hasPrefix("application/cloudevents") { return nil }
            }
            guard name.hasPrefix("ce_") || name.hasPrefix("ce-") else { continue }
            let text = String(decoding: value, as: UTF8.self)
            switch name.dropFirst(3) {
            case "specversion": isBinary = true
            case "type": headers.type = text
            case "sequence": headers.sequence = text
            case "time": headers.time = text
            case "iodebeziumop": headers.operation = text
            case "iodebeziumlsn": headers.position = text
            default: break
            }
        }
        return isBinary ? headers : nil
    }
}
