// swift-tools-version: 6.2
import Foundation
import PackageDescription

// The targets and what each may import are one table (docs/architecture.md explains it; Tests/TidyTests checks the
// imports in the sources against it). ALERT_ROUTER_TARGETS=CEL,RuleEngine narrows a build to these targets, what they
// import and their tests, so that work on a leaf builds in seconds.

let swiftSettings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

let external: [String: Target.Dependency] = [
    "ArgumentParser": .product(name: "ArgumentParser", package: "swift-argument-parser"),
    "AsyncHTTPClient": .product(name: "AsyncHTTPClient", package: "async-http-client"),
    "Collections": .product(name: "Collections", package: "swift-collections"),
    "Crypto": .product(name: "Crypto", package: "swift-crypto"),
    "GRDB": .product(name: "GRDB", package: "GRDB.swift"),
    "Hummingbird": .product(name: "Hummingbird", package: "hummingbird"),
    "HummingbirdCore": .product(name: "HummingbirdCore", package: "hummingbird"),
    "Logging": .product(name: "Logging", package: "swift-log"),
    "NIOConcurrencyHelpers": .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
    "NIOCore": .product(name: "NIOCore", package: "swift-nio"),
    "NIOEmbedded": .product(name: "NIOEmbedded", package: "swift-nio"),
    "NIOHTTP1": .product(name: "NIOHTTP1", package: "swift-nio"),
    "NIOPosix": .product(name: "NIOPosix", package: "swift-nio"),
    "NIOSSL": .product(name: "NIOSSL", package: "swift-nio-ssl"),
    "NIOTLS": .product(name: "NIOTLS", package: "swift-nio"),
    "ServiceLifecycle": .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
    "UnixSignals": .product(name: "UnixSignals", package: "swift-service-lifecycle"),
    "Yams": .product(name: "Yams", package: "Yams"),
]

struct Module {
    var name: String
    var uses: [String]
    var executable = false
}

let modules: [Module] = [
    Module(name: "Core", uses: ["Crypto"]),
    Module(name: "ConfigFiles", uses: ["Core", "Yams"]),
    Module(name: "CEL", uses: ["Core", "CRE2"]),
    Module(name: "Calendars", uses: ["Core", "ConfigFiles"]),
    Module(name: "Templates", uses: ["Core", "CEL", "Calendars"]),
    Module(name: "ChangeEvents", uses: ["Core", "ConfigFiles", "CSimdJSON"]),
    Module(name: "RuleEngine", uses: ["Core", "ConfigFiles", "CEL", "Templates", "ChangeEvents", "Collections"]),
    Module(name: "Alerting", uses: ["Core", "ConfigFiles", "CEL", "Calendars", "Templates"]),
    Module(name: "Store", uses: ["Core", "GRDB"]),
    Module(name: "Delivery", uses: ["Core", "Store", "Logging", "Collections"]),
    Module(name: "Spine", uses: ["Core", "ChangeEvents", "Store", "Delivery", "Logging"]),
    Module(
        name: "HTTPTransport",
        uses: ["Core", "AsyncHTTPClient", "NIOCore", "NIOPosix", "NIOHTTP1", "NIOSSL", "Logging"]),
    Module(
        name: "Channels",
        uses: [
            "Core", "ConfigFiles", "Templates", "Alerting", "Store", "Delivery", "HTTPTransport", "NIOCore",
            "NIOPosix", "NIOSSL", "NIOTLS", "Crypto", "Logging",
        ]),
    Module(name: "KafkaClient", uses: ["Core", "CRdKafka", "Logging"]),
    Module(
        name: "AlertWorker",
        uses: [
            "Core", "ConfigFiles", "Templates", "ChangeEvents", "RuleEngine", "Alerting", "Store", "Delivery", "Spine",
            "Logging", "Collections",
        ]),
    Module(
        name: "Console",
        uses: ["Core", "Hummingbird", "HummingbirdCore", "Logging", "NIOCore", "ServiceLifecycle"]),
    Module(
        name: "Sandbox",
        uses: [
            "Core", "ConfigFiles", "CEL", "Templates", "ChangeEvents", "RuleEngine", "Alerting", "Store", "Delivery",
            "Spine", "HTTPTransport", "Channels", "KafkaClient", "AlertWorker", "NIOCore", "NIOPosix", "NIOHTTP1",
            "NIOSSL", "NIOTLS", "Crypto", "Logging",
        ]),
    Module(
        name: "AlertRouter",
        uses: [
            "Core", "ConfigFiles", "CEL", "Calendars", "Templates", "ChangeEvents", "RuleEngine", "Alerting", "Store",
            "Delivery", "Spine", "HTTPTransport", "Channels", "KafkaClient", "AlertWorker", "Console", "Sandbox",
            "ArgumentParser", "ServiceLifecycle", "UnixSignals", "Logging", "NIOPosix",
        ], executable: true),
    Module(
        name: "RouterTesting",
        uses: ["Core", "ChangeEvents", "RuleEngine", "Store", "Delivery", "Spine", "AlertWorker", "KafkaClient"]),
    Module(
        name: "RouterBench",
        uses: [
            "Core", "ConfigFiles", "CEL", "Calendars", "ChangeEvents", "RuleEngine", "Alerting", "Store", "Delivery",
            "Spine", "HTTPTransport", "Channels", "KafkaClient", "CRdKafka", "AlertWorker", "Sandbox", "ArgumentParser",
            "Crypto", "Logging", "NIOCore", "NIOPosix", "NIOSSL",
        ], executable: true),
]

let systemLibraries: [String: Target] = [
    "CRdKafka": .systemLibrary(
        name: "CRdKafka", pkgConfig: "rdkafka", providers: [.apt(["librdkafka-dev"])])
]

let shims: [String: Target] = [
    "CSimdJSON": .target(
        name: "CSimdJSON", cxxSettings: [.unsafeFlags(["-O2"])],
        linkerSettings: [.linkedLibrary("simdjson")]),
    "CRE2": .target(name: "CRE2", linkerSettings: [.linkedLibrary("re2")]),
]

/// Tests of a module may use the module, what it uses, and these beside it.
let testExtras: [String: [String]] = [
    "Spine": ["RouterTesting"],
    "AlertWorker": ["RouterTesting", "KafkaClient"],
    "KafkaClient": ["NIOCore", "NIOPosix"],
    "Channels": ["Sandbox", "NIOEmbedded"],
    "Sandbox": ["RouterTesting"],
    "HTTPTransport": ["NIOEmbedded", "Sandbox"],
    "ChangeEvents": [],
]

let wanted = ProcessInfo.processInfo.environment["ALERT_ROUTER_TARGETS"]
    .map { Set($0.split(separator: ",").map(String.init)) }

let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
func exists(_ path: String) -> Bool {
    FileManager.default.fileExists(atPath: root.appendingPathComponent(path).path)
}

var selected: Set<String> = []
@MainActor
func select(_ name: String) {
    guard selected.insert(name).inserted else { return }
    for use in modules.first(where: { $0.name == name })?.uses ?? [] { select(use) }
}
for module in modules where wanted?.contains(module.name) ?? true {
    select(module.name)
    if exists("Tests/\(module.name)Tests") { for extra in testExtras[module.name] ?? [] { select(extra) } }
}

var targets: [Target] = []
for (name, target) in systemLibraries.sorted(by: { $0.key < $1.key }) where selected.contains(name) {
    targets.append(target)
}
for (name, target) in shims.sorted(by: { $0.key < $1.key }) where selected.contains(name) { targets.append(target) }
func dependencies(_ names: [String]) -> [Target.Dependency] {
    names.map { external[$0] ?? .target(name: $0) }
}
for module in modules where selected.contains(module.name) {
    if module.executable {
        targets.append(
            .executableTarget(
                name: module.name, dependencies: dependencies(module.uses), swiftSettings: swiftSettings))
    } else {
        targets.append(
            .target(
                name: module.name, dependencies: dependencies(module.uses),
                resources: module.name == "Sandbox" ? [.copy("Samples"), .copy("../../rules")] : [],
                swiftSettings: swiftSettings))
    }
}
for module in modules where wanted?.contains(module.name) ?? true {
    guard exists("Tests/\(module.name)Tests") else { continue }
    let uses = Set([module.name] + module.uses + (testExtras[module.name] ?? []) + ["Core"])
    targets.append(
        .testTarget(
            name: "\(module.name)Tests", dependencies: dependencies(uses.sorted()),
            exclude: exists("Tests/\(module.name)Tests/Golden") ? ["Golden"] : [], swiftSettings: swiftSettings))
}
if wanted?.contains("Tidy") ?? true, exists("Tests/TidyTests") {
    targets.append(.testTarget(name: "TidyTests", swiftSettings: swiftSettings))
}

let package = Package(
    name: "alert-router",
    products: selected.contains("AlertRouter")
        ? [.executable(name: "alert-router", targets: ["AlertRouter"])] : [],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections.git", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto.git", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl.git", from: "2.37.6"),
        .package(url: "https://github.com/groue/GRDB.swift.git", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird.git", from: "2.28.1"),
        .package(url: "https://github.com/jpsim/Yams.git", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/async-http-client.git", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
    ],
    targets: targets,
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx17
)
