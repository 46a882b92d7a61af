import Foundation
import KafkaClient
import Testing

func write(_ text: String, to path: String) throws { try Data(text.utf8).write(to: URL(fileURLWithPath: path)) }
func remove(_ path: String) { try? FileManager.default.removeItem(atPath: path) }

private let data = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Data").path
// asread_order.ndjson lists positions and has no values.
private let samples: [String] = ["cdf", "formats"].flatMap { folder in
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "\(data)/\(folder)")) ?? []
    return names.filter { $0.hasSuffix(".ndjson") && $0 != "asread_order.ndjson" }.sorted().map {
        "\(data)/\(folder)/\($0)"
    }
}

/// Values of a file to publish go out byte by byte as they stand there.
struct PublishLineTests {
    private static func value(_ line: String) throws -> String? {
        try PublishLine(bytes(line), line: 1).value.map { String(decoding: $0, as: UTF8.self) }
    }

    @Test func `the value is taken verbatim`() throws {
        for value in [
            "{\"a\":12.3400,\"b\":0E-8}", "123456789012345678901234567890.10", "\"text\"", "[1, 2 ]", "{\"n\":NaN}",
            "{\"value\":{\"value\":1}}", "{ \"unclosed\": ", "{\"x\":\"}\"}", "nullx",
        ] {
            let taken = try PublishLineTests.value("{\"key\":null,\"value\":\(value)}")
            #expect(taken == value.trimmingCharacters(in: .whitespaces))
        }
        #expect(try PublishLineTests.value("{\"value\": {\"a\":1} } \r") == "{\"a\":1}")
        #expect(try PublishLineTests.value("{\"value\" : null }") == nil)
    }

    @Test func `a member named value inside another member is not the value`() throws {
        let line = try PublishLine(
            bytes(#"{"headers":{"value":"h\"}","n":5,"none":null},"key":"k{\"value\":1}","value":{"x":1}}"#), line: 1)
        #expect(line.value == bytes("{\"x\":1}"))
        #expect(line.key == bytes("k{\"value\":1}"))
        #expect(line.headers.map(\.name) == ["value", "n", "none"])
        #expect(line.headers.map(\.value) == [bytes("h\"}"), bytes("5"), nil])
    }

    @Test func `bytes that are no text come as Base64`() throws {
        let line = try PublishLine(bytes(#"{"key_b64":"AP8=","timestamp":5,"value_b64":"H4sIAA=="}"#), line: 1)
        #expect(line.key == [0, 255])
        #expect(line.value == [0x1F, 0x8B, 8, 0])
        #expect(line.timestampMilliseconds == 5)
        #expect(try PublishLine(bytes(#"{"value_b64":""}"#), line: 1).value == [])
    }

    @Test(arguments: [
        ("", "line 7, column 1: a line must be a JSON object"),
        ("[]", "line 7, column 1: a line must be a JSON object"),
        ("{}", "line 7, column 2: expected a member name in quotes"),
        (#"{"key":"a"}"#, "line 7, column 12: the line has no 'value'"),
        (#"{"key":5,"value":1}"#, "line 7, column 8: 'key' must be a string or null"),
        (#"{"key":"a" "value":1}"#, "line 7, column 12: expected ',' or '}'"),
        (#"{"headers":[1],"value":1}"#, "line 7, column 12: 'headers' must be an object"),
        (#"{"value":1"#, "line 7, column 11: the line must end with the '}' that closes it"),
        (#"{"value":}"#, "line 7, column 10: 'value' has no value; write null for a tombstone"),
        (#"{"value_b64":"?"}"#, "line 7, column 14: 'value_b64' must be a string in Base64"),
        (#"{"value_b64":"AA==","key":"a"}"#, "line 7, column 20: the value must be the last member"),
        (#"{"key":"abc"#, "line 7, column 12: the line ends inside a string"),
        (#"{"key":{"a":1"#, "line 7, column 14: the line ends inside a member"),
    ])
    func `a line of another form is an error with its place`(line: String, message: String) {
        let error = #expect(throws: KafkaError.self) { try PublishLine(bytes(line), line: 7) }
        #expect(error?.message == message)
        #expect(error?.code == .malformedLine)
    }

    @Test func `lines are counted, blank ones passed over, and the last needs no line break`() throws {
        let path = "/tmp/publish-\(UInt64.random(in: 0 ... .max)).ndjson"
        let long = String(repeating: "x", count: 600_000)
        try write("{\"value\":1}\n\n  \n{\"value\":\"\(long)\"}\nbad\n{\"value\":3}", to: path)
        defer { remove(path) }
        var reader = try PublishLineReader(path: path)
        #expect(try reader.next()?.value == bytes("1"))
        #expect(try reader.next()?.value?.count == 600_002)
        #expect(reader.lineNumber == 4)
        do {
            _ = try reader.next()
            Issue.record("a bad line was read")
        } catch { #expect(error.message.hasPrefix("line 5,")) }
        #expect(try reader.next()?.value == bytes("3"))
        #expect(try reader.next() == nil)
        #expect(reader.byteCount == reader.readByteCount - 1)
        #expect(throws: KafkaError.self) { _ = try PublishLineReader(path: "/nowhere/at.all") }
    }

    @Test func `there are samples`() { #expect(samples.count > 10) }

    @Test(arguments: samples)
    func `every sample line is read, its value cut as the data's page says`(path: String) throws {
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
        var reader = try PublishLineReader(path: path)
        var count = 0
        for text in lines {
            let line = try #require(try reader.next())
            count += 1
            guard let cut = text.range(of: "\"value\":"), !text.contains("\"value_b64\":") else { continue }
            let expected = text[cut.upperBound...].dropLast()
            let value = line.value.map { String(decoding: $0, as: UTF8.self) }
            #expect(value == (expected == "null" ? nil : String(expected)))
        }
        #expect(try reader.next() == nil)
        #expect(count == lines.count)
    }
}
