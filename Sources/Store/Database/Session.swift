internal import Foundation
internal import GRDB

/// A connection during one access: cached statements, positional columns, errors in the store's words.
///
/// It keeps the last storage failure, so that a job that swallows one still fails.
class Session {
    let database: Database
    private(set) var storageFailure: StoreError?

    init(_ database: Database) { self.database = database }

    /// Executes a cached statement.
    func run(_ sql: String, _ arguments: StatementArguments) throws {
        try translating { try database.cachedStatement(sql: sql).execute(arguments: arguments) }
    }

    /// Executes a cached statement and returns how many rows it changed.
    func count(_ sql: String, _ arguments: StatementArguments) throws -> Int {
        try run(sql, arguments)
        return database.changesCount
    }

    /// All rows of a cached statement.
    func rows<T>(_ sql: String, _ arguments: StatementArguments, _ map: (inout Columns) throws -> T) throws -> [T] {
        try translating {
            let cursor = try Row.fetchCursor(database.cachedStatement(sql: sql), arguments: arguments)
            var result: [T] = []
            while let row = try cursor.next() {
                var columns = Columns(row: row)
                result.append(try map(&columns))
            }
            return result
        }
    }

    /// The first row of a cached statement.
    func first<T>(_ sql: String, _ arguments: StatementArguments, _ map: (inout Columns) throws -> T) throws -> T? {
        try translating {
            let cursor = try Row.fetchCursor(database.cachedStatement(sql: sql), arguments: arguments)
            guard let row = try cursor.next() else { return nil }
            var columns = Columns(row: row)
            let result = try map(&columns)
            // Run to the end, so that the statement holds no read transaction open.
            while try cursor.next() != nil {}
            return result
        }
    }

    /// Streams rows of a statement of its own, so that `body` may use the session.
    func forEach(_ sql: String, _ arguments: StatementArguments, _ body: (inout Columns) throws -> Void) throws {
        try translating {
            let cursor = try Row.fetchCursor(database.makeStatement(sql: sql), arguments: arguments)
            while let row = try cursor.next() {
                var columns = Columns(row: row)
                try body(&columns)
            }
        }
    }

    /// Whether a cached statement has a row.
    func exists(_ sql: String, _ arguments: StatementArguments) throws -> Bool {
        try first(sql, arguments) { _ in true } ?? false
    }

    private func translating<T>(_ body: () throws -> T) throws -> T {
        do {
            return try body()
        } catch {
            let translated = StoreError.translating(error)
            if let failure = translated as? StoreError, failure.isStorageFailure { storageFailure = failure }
            throw translated
        }
    }
}

/// Reads the columns of a row one after the other.
struct Columns {
    let row: Row
    private var index = 0

    init(row: Row) { self.row = row }

    private mutating func next() -> Int {
        defer { index += 1 }
        return index
    }

    mutating func int64() throws -> Int64 { try row.decode(Int64.self, atIndex: next()) }
    mutating func optionalInt64() throws -> Int64? { try row.decode(Int64?.self, atIndex: next()) }
    mutating func int() throws -> Int { Int(try int64()) }
    mutating func bool() throws -> Bool { try int64() != 0 }
    mutating func text() throws -> String { try row.decode(String.self, atIndex: next()) }
    mutating func optionalText() throws -> String? { try row.decode(String?.self, atIndex: next()) }
    mutating func optionalBytes() throws -> [UInt8]? {
        try row.withUnsafeData(atIndex: next()) { $0.map { [UInt8]($0) } }
    }
    mutating func bytes() throws -> [UInt8] { try optionalBytes() ?? [] }
}

extension StoreError {
    /// An error of the database library in the store's words; every other error as it is.
    static func translating(_ error: any Error) -> any Error {
        guard let failure = error as? DatabaseError else {
            if error is RowDecodingError {
                return StoreError(
                    .corrupt, "The database holds a value of the wrong type: run `store check`.", systemCode: nil)
            }
            return error
        }
        let code = failure.extendedResultCode.rawValue
        switch failure.resultCode {
        case .SQLITE_FULL:
            return StoreError(
                .diskFull, "The disk is full: free space where the store lies; nothing was lost.", systemCode: code)
        case .SQLITE_READONLY, .SQLITE_PERM, .SQLITE_CANTOPEN, .SQLITE_AUTH:
            return StoreError(
                .readOnly, "The store cannot be written: check owner and mode of its folder and files.",
                systemCode: code)
        case .SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_FORMAT:
            return StoreError(
                .corrupt, "The database file is damaged: run `store check`, then restore a backup.",
                systemCode: code)
        case .SQLITE_IOERR, .SQLITE_NOMEM, .SQLITE_PROTOCOL, .SQLITE_NOLFS:
            return StoreError(
                .inputOutput, "The disk answered a read or write of the store with an error.", systemCode: code)
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            return StoreError(.locked, "Another process uses the database file.", systemCode: code)
        default:
            return StoreError(
                .misuse, "The database refused a statement: \(failure.message ?? "no reason given").",
                systemCode: code)
        }
    }
}

extension Array where Element == UInt8 {
    /// The bytes as a blob argument.
    var blob: Data { Data(self) }
}
