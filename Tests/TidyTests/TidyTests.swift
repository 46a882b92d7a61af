import Foundation
import Testing

// The house style as a program: what a reviewer would have to say again and again is said by this test.

private let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

private struct SourceFile: Sendable, CustomTestStringConvertible {
    var path: String
    var lines: [String]
    var testDescription: String { path }
    var target: String { String(path.split(separator: "/")[1]) }
}

private func files(under folder: String, suffix: String, isDeep: Bool = true) -> [SourceFile] {
    let base = root.appendingPathComponent(folder).path
    let found =
        isDeep
        ? FileManager.default.enumerator(atPath: base)?.compactMap { $0 as? String }
        : try? FileManager.default.contentsOfDirectory(atPath: base)
    return (found ?? []).filter { $0.hasSuffix(suffix) }.sorted().compactMap { name in
        let path = folder + "/" + name
        guard let text = try? String(contentsOf: root.appendingPathComponent(path), encoding: .utf8) else { return nil }
        return SourceFile(path: path, lines: text.components(separatedBy: "\n"))
    }
}

private let sources = files(under: "Sources", suffix: ".swift")
private let tests = files(under: "Tests", suffix: ".swift")

/// A line without string literals and comments, so that words in texts are not taken for code.
private func code(_ line: String) -> String {
    var result = ""
    var isInString = false
    var previous: Character = " "
    for character in line {
        if character == "\"", previous != "\\" {
            isInString.toggle()
            result.append(character)
        } else if !isInString {
            if character == "/", previous == "/" { return String(result.dropLast()) }
            result.append(character)
        }
        previous = previous == "\\" && character == "\\" ? " " : character
    }
    return result
}

@Suite struct TidyTests {
    @Test func `lines hold at most 120 columns and end without blanks`() {
        for file in sources + tests {
            for (index, line) in file.lines.enumerated() where line.count > 120 || line.last == " " {
                Issue.record(
                    "\(file.path):\(index + 1): \(line.count > 120 ? "longer than 120 columns" : "blank at the end")")
            }
        }
    }

    @Test func `files hold at most 800 lines`() {
        for file in sources + tests where file.lines.count > 800 {
            Issue.record("\(file.path): \(file.lines.count) lines; split it by concept")
        }
    }

    @Test func `functions hold at most 70 lines`() {
        // Method: from a line that declares a function to the line that closes it at the same indentation.
        for file in sources {
            var index = 0
            while index < file.lines.count {
                let line = file.lines[index]
                let text = line.trimmingCharacters(in: .whitespaces)
                let words = text.split(separator: " ")
                let isFunction = words.prefix(6).contains("func") || text.hasPrefix("init(") || text.contains(" init(")
                guard isFunction, !text.hasPrefix("//"), !text.hasSuffix("}") else {
                    index += 1
                    continue
                }
                let indent = String(line.prefix { $0 == " " })
                if let end = file.lines[(index + 1)...].firstIndex(where: { $0 == indent + "}" }),
                    end - index + 1 > 70, file.lines[index..<end].contains(where: { code($0).contains("{") })
                {
                    let isProtocol = !file.lines[index...min(index + 8, end)].contains { code($0).hasSuffix("{") }
                    if !isProtocol { Issue.record("\(file.path):\(index + 1): function of \(end - index + 1) lines") }
                }
                index += 1
            }
        }
    }

    @Test func `banned words have their replacement`() {
        let banned: [(token: String, instead: String)] = [
            ("print(", "the program's output type or the logger"), ("try!", "handle the error"),
            ("as!", "as? with an error"), ("Date()", "a clock that is a parameter"),
            ("Task.sleep(", "the clock's sleep(until:)"), ("DispatchQueue.main", "structured tasks"),
            ("ISO8601DateFormatter", "Timestamp"), ("unowned(unsafe)", "a strong reference"),
        ]
        for file in sources {
            for (index, line) in file.lines.enumerated() {
                let text = code(line)
                for (token, instead) in banned where text.contains(token) {
                    let at = text.range(of: token).map { text[..<$0.lowerBound].last } ?? nil
                    if let at, at.isLetter || at == "_" || at == "." { continue }
                    Issue.record("\(file.path):\(index + 1): \(token) is banned, use \(instead)")
                }
                if line.contains("FIXME") || line.contains("TODO") {
                    Issue.record("\(file.path):\(index + 1): do it or write an issue")
                }
            }
        }
    }

    @Test func `tests neither sleep nor read the wall clock`() {
        let banned = [
            "Task.sleep(", "Thread.sleep", "usleep(", "Date()", "SystemRandomNumberGenerator", "ContinuousClock",
            "SuspendingClock", "SystemWallClock()",
        ]
        // What runs beside the test in a process of its own, or answers over a socket, does so in real time.
        let allowed: [String: (token: String, reason: String)] = [
            "Tests/KafkaClientTests/Support.swift": ("ContinuousClock", "a deadline that only a hanging test reaches"),
            "Tests/AlertRouterTests/ServiceTests.swift": (
                "SystemWallClock()", "the program runs by the system's clock"
            ),
            "Tests/AlertRouterTests/OutageTests.swift": (
                "SystemWallClock()", "the program runs by the system's clock"
            ),
            "Tests/AlertRouterTests/SecrecyTests.swift": (
                "SystemWallClock()", "the program runs by the system's clock"
            ),
            "Tests/AlertRouterTests/APIServiceTests.swift": ("SystemWallClock()", "the clock of a real process's sink"),
            "Tests/ChannelsTests/TeamsDestinationTests.swift": ("SystemWallClock()", "deadlines of real requests"),
            "Tests/ChannelsTests/WebhookDestinationTests.swift": ("SystemWallClock()", "deadlines of real requests"),
            "Tests/HTTPTransportTests/HTTPTransportTests.swift": ("SystemWallClock()", "deadlines of real requests"),
            "Tests/HTTPTransportTests/ClientCredentialsTests.swift": (
                "SystemWallClock()", "deadlines of real requests"
            ),
        ]
        var used: Set<String> = []
        for file in tests where !file.path.hasSuffix("TidyTests.swift") {
            for (index, line) in file.lines.enumerated() {
                for token in banned where code(line).contains(token) {
                    if allowed[file.path]?.token == token {
                        used.insert(file.path)
                    } else {
                        Issue.record("\(file.path):\(index + 1): \(token) in a test")
                    }
                }
            }
        }
        #expect(Set(allowed.keys).subtracting(used).sorted() == [], "allowed, but not needed any more")
    }

    @Test func `imports point downwards only`() throws {
        let manifest = try String(contentsOf: root.appendingPathComponent("Package.swift"), encoding: .utf8)
        let module = /name: "(?<name>\w+)",\s*uses: \[(?<uses>[^\]]*)\]/
        var allowed: [String: Set<String>] = [:]
        for match in manifest.matches(of: module) {
            let uses = match.uses.split(separator: ",").map {
                $0.trimmingCharacters(in: CharacterSet(charactersIn: " \n\""))
            }
            allowed[String(match.name)] = Set(uses)
        }
        try #require(allowed.count >= 15)
        let everywhere: Set = [
            "Foundation", "FoundationEssentials", "Glibc", "Synchronization", "Logging", "Collections", "Dispatch",
            "DequeModule", "HeapModule", "NIOFoundationCompat", "NIOConcurrencyHelpers",
        ]
        let statement =
            /^\s*(?:@\w+\s+)*(?:public |package |internal |private |fileprivate )?import (?:\w+ )?(?<name>\w+)/
        for file in sources {
            let uses = try #require(allowed[file.target] ?? (file.target.hasPrefix("C") ? [] : nil), "\(file.path)")
            for (index, line) in file.lines.enumerated() {
                guard let match = line.firstMatch(of: statement) else { continue }
                let name = String(match.name)
                if !uses.contains(name), !everywhere.contains(name) {
                    Issue.record("\(file.path):\(index + 1): \(file.target) may not import \(name)")
                }
            }
        }
    }

    @Test func `what runs for every event does without Foundation`() throws {
        let hot = sources.filter { $0.lines.contains { $0.hasPrefix("// HOT") } }
        try #require(hot.count >= 5)
        for file in hot {
            for (index, line) in file.lines.enumerated() where line.contains("import Foundation") {
                Issue.record("\(file.path):\(index + 1): a HOT file with '\(line)'")
            }
        }
    }

    @Test func `every public declaration is documented`() {
        // Cases, stored properties and the requirements of well-known protocols say it by their name.
        let declaration =
            #/
            ^\s*(?:@\w+(?:\([^)]*\))?\s+)*public\s
            (?:(?:final|static|mutating|nonisolated|indirect|convenience|consuming)\s)*
            (?<kind>func|init|struct|class|enum|protocol|actor|typealias|subscript)\b\s?(?<name>[\w`]*)
            /#
        let known: Set = ["hash", "encode", "run", "next", "send", "now", "sleep"]
        for file in sources where !["RouterTesting", "RouterBench", "AlertRouter"].contains(file.target) {
            for (index, line) in file.lines.enumerated() {
                guard let match = line.firstMatch(of: declaration), !line.contains("static func ==") else { continue }
                if known.contains(String(match.name)) || line.contains("static func <") { continue }
                var above = index - 1
                while above >= 0, file.lines[above].trimmingCharacters(in: .whitespaces).hasPrefix("@") { above -= 1 }
                if above < 0 || !file.lines[above].trimmingCharacters(in: .whitespaces).hasPrefix("///") {
                    Issue.record("\(file.path):\(index + 1): public \(match.kind) \(match.name) has no doc comment")
                }
            }
        }
    }

    @Test func `unsafe code stands only in the files that docs unsafe names`() throws {
        let page = try String(contentsOf: root.appendingPathComponent("docs/unsafe.md"), encoding: .utf8)
        let parts = page.components(separatedBy: "\n## ")
        try #require(parts.count == 3)
        func paths(_ text: String) -> Set<String> {
            Set(text.matches(of: /`(?<path>Sources\/[^`]+\.swift)`/).map { String($0.path) })
        }
        let (owning, borrowing) = (paths(parts[1]), paths(parts[2]))
        let owningTokens = [
            "@unchecked Sendable", "nonisolated(unsafe)", "Unmanaged", "unsafeBitCast", "OpaquePointer",
            "UnsafeMutableRawPointer", "unowned(unsafe)",
        ]
        let borrowingTokens = [
            "UnsafeRaw", "UnsafePointer", "UnsafeBuffer", "UnsafeMutable", "withUnsafe", "assumingMemoryBound",
        ]
        var found: Set<String> = []
        for file in sources where !["RouterBench", "RouterTesting"].contains(file.target) {
            func line(with tokens: [String]) -> Int? {
                file.lines.firstIndex { line in tokens.contains { code(line).contains($0) } }
            }
            if let line = line(with: owningTokens) {
                found.insert(file.path)
                #expect(
                    owning.contains(file.path), "\(file.path):\(line + 1): docs/unsafe.md does not list it as owner")
                let says = file.lines.contains { $0.contains("SAFETY:") }
                #expect(says, "\(file.path): unsafe code without a SAFETY comment")
            } else if let line = line(with: borrowingTokens) {
                found.insert(file.path)
                #expect(
                    owning.union(borrowing).contains(file.path),
                    "\(file.path):\(line + 1): unsafe code, but docs/unsafe.md does not name it")
            }
        }
        #expect(owning.union(borrowing).subtracting(found).sorted() == [], "docs/unsafe.md names what is safe")
    }

    @Test func `no file is larger than 256 KiB and none names a machine`() throws {
        guard let walk = FileManager.default.enumerator(atPath: root.path) else { return }
        for case let path as String in walk {
            if path.hasPrefix(".") || path.contains("/.build") {
                if path == ".build" || path == ".git" || path.hasPrefix(".build-") { walk.skipDescendants() }
                continue
            }
            let attributes = try FileManager.default.attributesOfItem(atPath: root.appendingPathComponent(path).path)
            guard attributes[.type] as? FileAttributeType == .typeRegular else { continue }
            let size = attributes[.size] as? Int ?? 0
            #expect(size <= 256 * 1024, "\(path) is larger than 256 KiB")
        }
        let machinePaths = ["/wo" + "rk/", "/tm" + "p/bash", "/ro" + "ot/"]
        for file in sources + tests {
            for (index, line) in file.lines.enumerated() where machinePaths.contains(where: line.contains) {
                Issue.record("\(file.path):\(index + 1): names a path of one machine")
            }
        }
    }

    @Test func `the operating page lists every metric that the worker has, and no other`() throws {
        let page = try String(contentsOf: root.appendingPathComponent("docs/operating.md"), encoding: .utf8)
        var metrics: Set<String> = []
        for file in sources where !["RouterBench", "RouterTesting"].contains(file.target) {
            let text = file.lines.joined(separator: "\n")
            for match in text.matches(of: /(?:counter|gauge|histogram)\(\s*"(?<name>[a-z_]+)"/) {
                // Counters of the worker are made by a function that completes their names.
                let name = String(match.name)
                metrics.insert(name.hasPrefix("alert_router_") ? name : "alert_router_\(name)_total")
            }
        }
        try #require(metrics.count > 45)
        let listed = Set(page.matches(of: /alert_router_[a-z_]+/).map { String($0.output) })
        #expect(metrics.subtracting(listed).sorted() == [], "docs/operating.md does not list them")
        #expect(listed.subtracting(metrics).sorted() == [], "docs/operating.md lists what is not there")
    }

    @Test func `the alerting page lists every component of the router's own alerts, and no other`() throws {
        let page = try String(contentsOf: root.appendingPathComponent("docs/alerting.md"), encoding: .utf8)
        var components: Set<String> = []
        for file in sources where ["Spine", "Alerting", "AlertWorker", "AlertRouter"].contains(file.target) {
            let text = file.lines.joined(separator: "\n")
            components.formUnion(text.matches(of: /component: "(?<name>[a-z-]+)"/).map { String($0.name) })
            if file.path.hasSuffix("HealthNotes.swift") {
                components.formUnion(text.matches(of: /static let \w+ = "(?<name>[a-z-]+)"/).map { String($0.name) })
            }
        }
        try #require(components.count > 10)
        let table = page.components(separatedBy: "| component |").last ?? ""
        let listed = Set(table.matches(of: /(?m)^\| `(?<name>[a-z-]+)` \|/).map { String($0.name) })
        #expect(components.subtracting(listed).sorted() == [], "docs/alerting.md does not list them")
        #expect(listed.subtracting(components).sorted() == [], "docs/alerting.md lists what is not there")
    }

    @Test func `every diagnostic code belongs to one target and stands in the diagnostics page`() throws {
        let page = try String(contentsOf: root.appendingPathComponent("docs/diagnostics.md"), encoding: .utf8)
        var targets: [String: Set<String>] = [:]
        for file in sources where file.target != "RouterBench" {
            for line in file.lines {
                for match in line.matches(of: /"(?<code>[A-Z][0-9]{3})"/) {
                    targets[String(match.code), default: []].insert(file.target)
                }
            }
        }
        try #require(targets.count >= 60)
        for (code, owners) in targets.sorted(by: { $0.key < $1.key }) {
            #expect(owners.count == 1, "\(code) is used by \(owners.sorted()); each code means one thing")
            #expect(page.contains("| \(code) |"), "docs/diagnostics.md has no line for \(code)")
        }
        for match in page.matches(of: /\| (?<code>[A-Z][0-9]{3}) \|/) {
            #expect(
                targets[String(match.code)] != nil, "docs/diagnostics.md explains \(match.code), nothing reports it")
        }
    }

    @Test func `links between pages lead somewhere`() throws {
        let top = files(under: ".", suffix: ".md", isDeep: false)
        for page in files(under: "docs", suffix: ".md") + top {
            let folder = root.appendingPathComponent(page.path).deletingLastPathComponent()
            for (index, line) in page.lines.enumerated() {
                for match in line.matches(of: /\]\((?<target>[^)#:\s]+)(?:#[^)]*)?\)/) {
                    let target = folder.appendingPathComponent(String(match.target)).path
                    #expect(
                        FileManager.default.fileExists(atPath: target),
                        "\(page.path):\(index + 1): \(match.target) does not exist")
                }
            }
        }
    }

    @Test func `every dependency has its line in the dependencies page`() throws {
        let manifest = try String(contentsOf: root.appendingPathComponent("Package.swift"), encoding: .utf8)
        let page = try String(contentsOf: root.appendingPathComponent("docs/dependencies.md"), encoding: .utf8)
        for match in manifest.matches(of: /\.package\(url: "[^"]*\/(?<name>[\w.-]+?)(?:\.git)?"/) {
            #expect(page.contains("| \(match.name) |"), "docs/dependencies.md has no line for \(match.name)")
        }
    }
}
