internal import Core
internal import Foundation

#if canImport(Glibc)
internal import Glibc
#endif

/// Where a worker's store lies: a folder and the database's name in it.
public struct StoreLocation: Sendable, Equatable {
    /// The longest path a Unix-domain socket can have, in bytes.
    public static let socketPathBytesMax = 107

    /// The folder (`store:` in the configuration).
    public var folder: String
    /// `alert` or `writeback`: each worker has a database, a lock and a socket of its own.
    public var name: String

    /// Names a store.
    public init(folder: String, name: String) {
        self.folder = folder.count > 1 && folder.hasSuffix("/") ? String(folder.dropLast()) : folder
        self.name = name
    }

    /// The database file.
    public var databasePath: String { "\(folder)/\(name).db" }
    /// The lock file; it stays when the lock is given up.
    public var lockPath: String { "\(folder)/\(name).lock" }

    /// The control socket: in the folder, or where that path is too long in a folder of its own under
    /// `XDG_RUNTIME_DIR`, else under `/tmp`.
    public func socketPath(environment: [String: String]) -> String {
        let path = "\(absoluteFolder)/\(name).sock"
        guard path.utf8.count > StoreLocation.socketPathBytesMax else { return path }
        let hash = Hex.encode(Digest.sha256(Array(absoluteFolder.utf8)).prefix(8))
        let runtime = environment["XDG_RUNTIME_DIR"] ?? ""
        let short =
            runtime.isEmpty
            ? "/tmp/alert-router-\(geteuid())-\(hash)/\(name).sock" : "\(runtime)/alert-router-\(hash)/\(name).sock"
        return short.utf8.count > StoreLocation.socketPathBytesMax
            ? "/tmp/alert-router-\(geteuid())-\(hash)/\(name).sock" : short
    }

    private var absoluteFolder: String {
        folder.hasPrefix("/") ? folder : FileManager.default.currentDirectoryPath + "/" + folder
    }

    /// Makes the folder, for its owner alone, where it is missing.
    /// - Throws: ``StoreError/Code/readOnly`` or ``StoreError/Code/diskFull``.
    public func makeFolder() throws {
        try StoreLocation.makePrivateFolder(folder)
    }

    /// Why no store could be made or written here; nil where nothing speaks against it. Changes nothing.
    public func obstacle() -> StoreError? {
        var status = stat()
        var path = absoluteFolder
        while stat(path, &status) != 0 {
            guard errno == ENOENT || errno == ENOTDIR, let slash = path.lastIndex(of: "/") else {
                return StoreError.system(errno, doing: "looking at \(path)")
            }
            path = slash == path.startIndex ? "/" : String(path[..<slash])
        }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            return StoreError(.notFound, "\(path) is no folder.", systemCode: nil)
        }
        if faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) != 0 {
            return StoreError.system(errno, doing: "writing into \(path)")
        }
        for file in [lockPath, databasePath] where faccessat(AT_FDCWD, file, R_OK | W_OK, AT_EACCESS) != 0 {
            if errno != ENOENT { return StoreError.system(errno, doing: "opening \(file)") }
        }
        return nil
    }

    /// Makes a folder with mode 0700 and the folders above it.
    static func makePrivateFolder(_ path: String) throws {
        var status = stat()
        if stat(path, &status) == 0 {
            guard status.st_mode & S_IFMT == S_IFDIR else {
                throw StoreError(.notFound, "\(path) is no folder.", systemCode: nil)
            }
            return
        }
        if let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            let parent = String(path[..<slash])
            if stat(parent, &status) != 0 { try makePrivateFolder(parent) }
        }
        if mkdir(path, 0o700) != 0, errno != EEXIST {
            throw StoreError.system(errno, doing: "making the folder \(path)")
        }
    }
}

extension StoreError {
    /// A failed system call, in the store's words.
    static func system(_ number: Int32, doing action: String) -> StoreError {
        let code: Code =
            switch number {
            case ENOSPC, EDQUOT, EFBIG: .diskFull
            case EROFS, EACCES, EPERM: .readOnly
            case ENOENT, ENOTDIR: .notFound
            default: .inputOutput
            }
        return StoreError(
            code, "The system refused \(action): \(String(cString: strerror(number))).", systemCode: number)
    }
}
