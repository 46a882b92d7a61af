internal import Core
internal import Foundation
internal import Synchronization

/// The time zone database of the system, such as `/usr/share/zoneinfo` of Debian's package `tzdata`.
///
/// Governments change time zones at short notice, so the rules are those of the system, which its updates keep right,
/// and not those that were built into a library years ago. Zones that were read are kept until ``refresh()``.
public final class ZoneDatabase: Sendable {
    /// Where the zones lie, one file each.
    public let directory: String
    private let cache = Mutex<[String: TimeZoneRules]>([:])

    /// Zones kept; the database has some 600 names.
    private static let zoneCountMax = 1024

    /// Uses the zones of a folder.
    public init(directory: String) { self.directory = directory }

    /// The system's database: the folder that `TZDIR` names, as for the C library, else `/usr/share/zoneinfo`.
    public static let system = ZoneDatabase(
        directory: ProcessInfo.processInfo.environment["TZDIR"] ?? "/usr/share/zoneinfo")

    /// The zone of a name such as `Europe/Berlin`; nil where there is none.
    public func zone(_ name: String) -> TimeZoneRules? { try? lookUp(name) }

    /// Reads changed files at their next use.
    public func refresh() { cache.withLock { $0.removeAll() } }

    /// Why a name gives no zone.
    public struct Failure: Error, Sendable, Equatable {
        /// What is wrong, as a rule: lower case, no final period.
        public var message: String
        /// What to do about it.
        public var help: String?
    }

    /// The zone of a name such as `Europe/Berlin`.
    ///
    /// - Throws: ``Failure`` for a name that the database does not have or whose file cannot be read.
    public func find(_ name: String) throws(Failure) -> TimeZoneRules {
        guard let zone = try lookUp(name) else { throw failure(name) }
        return zone
    }

    /// - Returns: nil for a name that the database does not have.
    private func lookUp(_ name: String) throws(Failure) -> TimeZoneRules? {
        if name == "UTC" { return .utc }
        if let zone = cache.withLock({ $0[name] }) { return zone }
        guard ZoneDatabase.isName(name), let bytes = read(name) else { return nil }
        let table: ZoneTable
        do {
            table = try ZoneFile.table(bytes)
        } catch .notAZoneFile {
            return nil
        } catch .leapSeconds {
            throw Failure(message: "a time zone may not count leap seconds; found '\(name)'", help: nil)
        } catch {
            throw Failure(
                message: "the time zone file '\(directory)/\(name)' must be readable", help: "install 'tzdata' again")
        }
        let zone = TimeZoneRules(identifier: name, table: table)
        cache.withLock { zones in
            if zones.count < ZoneDatabase.zoneCountMax { zones[name] = zone }
        }
        return zone
    }

    /// Names have no way out of the folder.
    private static func isName(_ name: String) -> Bool {
        guard (1...64).contains(name.utf8.count), let first = name.utf8.first, first != UInt8(ascii: "/") else {
            return false
        }
        return !name.hasPrefix("right/")
            && name.utf8.allSatisfy { byte in
                (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                    || "_+-/".utf8.contains(byte)
            }
    }

    private func read(_ name: String) -> [UInt8]? {
        guard let handle = FileHandle(forReadingAtPath: directory + "/" + name) else { return nil }
        defer { try? handle.close() }
        guard let data = try? handle.read(upToCount: ZoneFile.byteCountMax) else { return nil }
        return Array(data)
    }

    private func failure(_ name: String) -> Failure {
        guard FileManager.default.fileExists(atPath: directory) else {
            return Failure(
                message: "the time zone database '\(directory)' must exist to read '\(name)'",
                help: "install the package 'tzdata'")
        }
        let names = self.names
        let nearest =
            Spelling.nearest(to: name, among: names)
            ?? names.first {
                $0.lowercased().hasSuffix("/" + name.lowercased().replacingOccurrences(of: " ", with: "_"))
            }
        return Failure(
            message: "a time zone must have a name such as 'Europe/Berlin'; found '\(name.prefix(64))'",
            help: nearest.map { "did you mean '\($0)'?" })
    }

    /// All names, sorted; reads the folder.
    public var names: [String] {
        guard let walk = FileManager.default.enumerator(atPath: directory) else { return [] }
        var names: [String] = []
        for case let path as String in walk {
            if ["posix", "right"].contains(path) { walk.skipDescendants() }
            guard path.utf8.first.map({ (65...90).contains($0) }) == true, !path.contains("."),
                walk.fileAttributes?[.type] as? FileAttributeType != .typeDirectory
            else { continue }
            names.append(path)
            if names.count >= 4 * ZoneDatabase.zoneCountMax { break }
        }
        return names.sorted()
    }
}
