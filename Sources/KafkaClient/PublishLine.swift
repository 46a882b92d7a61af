internal import Core

/// One line of a file to publish: a Kafka record as a JSON object whose last member is the value.
///
/// `{"key":"INS-1","headers":{"source-table":"orders"},"value":{"id":"INS-1","rate":0.0500}}`. The value is taken
/// byte by byte, never parsed: what stands between the first `"value":` of the object and its closing brace, without
/// the blanks around it; `null` is a tombstone. `value_b64` (and `key_b64`) give bytes that are no text. Members with
/// other names are passed over, apart from `topic`, `partition_hint` and `timestamp` (Unix milliseconds).
public struct PublishLine: Sendable, Equatable {
    public var topic: String?
    public var key: [UInt8]?
    /// The value; nil is a tombstone.
    public var value: [UInt8]?
    /// Headers in the order of the line; names may repeat.
    public var headers: [ProducerMessage.Header] = []
    public var timestampMilliseconds: Int64?
    /// The partition that the line's author expects; publishing may follow it or let the key decide.
    public var partitionHint: Int32?

    /// Reads a line, without its line break.
    ///
    /// - Parameter number: the line's number in its file, from 1 on, for the error.
    /// - Throws: ``KafkaError/Code/malformedLine`` with line, column and reason.
    public init(_ bytes: [UInt8], line number: Int) throws(KafkaError) {
        var scanner = LineScanner(bytes: bytes, line: number)
        try scanner.expect(UInt8(ascii: "{"), "a line must be a JSON object")
        var hasValue = false
        while !hasValue {
            scanner.skipBlanks()
            let name = try scanner.string("a member name in quotes")
            scanner.skipBlanks()
            try scanner.expect(UInt8(ascii: ":"), "expected ':' after '\(name)'")
            if name == "value" {
                value = try scanner.verbatimRest()
                hasValue = true
            } else {
                hasValue = try read(name, &scanner)
                scanner.skipBlanks()
                if hasValue {
                    try scanner.expectEnd()
                } else if scanner.take(UInt8(ascii: "}")) {
                    throw scanner.failure("the line has no 'value'")
                } else {
                    try scanner.expect(UInt8(ascii: ","), "expected ',' or '}'")
                }
            }
        }
    }

    /// Reads a member that is not the value. Returns whether it was the value in Base64.
    private mutating func read(_ name: String, _ scanner: inout LineScanner) throws(KafkaError) -> Bool {
        let start = scanner
        let json = try scanner.json()
        switch name {
        case "topic": topic = json.stringValue
        case "key":
            guard json == .null || json.stringValue != nil else {
                throw start.failure("'key' must be a string or null")
            }
            key = json.stringValue.map { Array($0.utf8) }
        case "key_b64", "value_b64":
            guard let decoded = json.stringValue.flatMap({ Base64.decode($0.utf8) }) else {
                throw start.failure("'\(name)' must be a string in Base64")
            }
            if name == "key_b64" { key = decoded } else { value = decoded }
            return name == "value_b64"
        case "headers": headers = try PublishLine.headers(json, start)
        case "timestamp":
            guard let time = json.intValue else { throw start.failure("'timestamp' must be Unix milliseconds") }
            timestampMilliseconds = time
        case "partition_hint": partitionHint = json.intValue.flatMap { Int32(exactly: $0) }
        default: break
        }
        return false
    }

    private static func headers(_ json: JSON, _ scanner: LineScanner) throws(KafkaError) -> [ProducerMessage.Header] {
        if json == .null { return [] }
        guard let members = json.members else { throw scanner.failure("'headers' must be an object") }
        var result: [ProducerMessage.Header] = []
        for member in members {
            switch member.value {
            case .null: result.append(.init(name: member.name, value: nil))
            case .string(let text): result.append(.init(name: member.name, value: Array(text.utf8)))
            default: result.append(.init(name: member.name, value: member.value.bytes))
            }
        }
        return result
    }

    /// The message that the line stands for.
    ///
    /// - Parameter topic: used where the line names none, or instead of it.
    public func message(topic: String, partition: Int32?) -> ProducerMessage {
        ProducerMessage(
            topic: topic, partition: partition, key: key, value: value, headers: headers,
            timestamp: timestampMilliseconds.map { Timestamp(milliseconds: $0) })
    }
}

/// Walks through the members of a line without parsing the value.
private struct LineScanner {
    let bytes: [UInt8]
    let line: Int
    var index = 0

    init(bytes: [UInt8], line: Int) {
        self.bytes = bytes
        self.line = line
        skipBlanks()
    }

    func failure(_ message: String) -> KafkaError {
        KafkaError(.malformedLine, "line \(line), column \(index + 1): \(message)")
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D || byte == 0x0A }

    mutating func skipBlanks() { while index < bytes.count, LineScanner.isBlank(bytes[index]) { index += 1 } }

    mutating func take(_ byte: UInt8) -> Bool {
        guard index < bytes.count, bytes[index] == byte else { return false }
        index += 1
        return true
    }

    mutating func expect(_ byte: UInt8, _ message: String) throws(KafkaError) {
        guard take(byte) else { throw failure(message) }
    }

    /// The rest of the line must be the closing brace.
    mutating func expectEnd() throws(KafkaError) {
        try expect(UInt8(ascii: "}"), "the value must be the last member")
        skipBlanks()
        guard index == bytes.count else { throw failure("unexpected text after the object") }
    }

    mutating func string(_ what: String) throws(KafkaError) -> String {
        guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") else { throw failure("expected \(what)") }
        let start = index
        guard let text = try json().stringValue else {
            index = start
            throw failure("expected \(what)")
        }
        return text
    }

    /// Parses one JSON value, of which only the extent is found here.
    mutating func json() throws(KafkaError) -> JSON {
        skipBlanks()
        let start = index
        try skipValue()
        do {
            return try JSON.parse(bytes[start..<index])
        } catch {
            index = start + error.byteOffset
            throw failure(error.message)
        }
    }

    private mutating func skipValue() throws(KafkaError) {
        var depth = 0
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "\""):
                try skipString()
                if depth == 0 { return }
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                index += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                if depth == 0 { return }
                depth -= 1
                index += 1
                if depth == 0 { return }
            case UInt8(ascii: ","), UInt8(ascii: ":"), 0x20, 0x09:
                if depth == 0 { return }
                index += 1
            default: index += 1
            }
        }
        guard depth == 0 else { throw failure("the line ends inside a member") }
    }

    private mutating func skipString() throws(KafkaError) {
        index += 1
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "\""):
                index += 1
                return
            case UInt8(ascii: "\\"): index += 2
            default: index += 1
            }
        }
        throw failure("the line ends inside a string")
    }

    /// The bytes up to the last brace of the line; nil for `null`.
    mutating func verbatimRest() throws(KafkaError) -> [UInt8]? {
        skipBlanks()
        var end = bytes.count
        while end > index, LineScanner.isBlank(bytes[end - 1]) { end -= 1 }
        guard end > index, bytes[end - 1] == UInt8(ascii: "}") else {
            index = end
            throw failure("the line must end with the '}' that closes it")
        }
        end -= 1
        while end > index, LineScanner.isBlank(bytes[end - 1]) { end -= 1 }
        guard end > index else { throw failure("'value' has no value; write null for a tombstone") }
        let value = bytes[index..<end]
        return value.elementsEqual("null".utf8) ? nil : Array(value)
    }
}
