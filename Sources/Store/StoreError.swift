/// Why the store refused, in one plain sentence, with who has to act.
public struct StoreError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What went wrong.
    public enum Code: String, Sendable, CaseIterable {
        /// The disk, the quota or the file's page limit is full. Nothing was written.
        case diskFull = "disk_full"
        /// The file or its folder cannot be written.
        case readOnly = "read_only"
        /// The file is no database or is damaged.
        case corrupt
        /// A newer version of the program wrote the database.
        case newerSchema = "newer_schema"
        /// Another process holds the store.
        case locked
        /// The disk failed in another way.
        case inputOutput = "input_output"
        /// The stored `next_offset` is not the expected one: another writer moved it.
        case offsetConflict = "offset_conflict"
        /// A row is not in the state that the change needs.
        case conflict
        /// An earlier job of the same chain failed, so this one was not run.
        case chainBroken = "chain_broken"
        /// Too many jobs or bytes wait to be written.
        case queueFull = "queue_full"
        /// The store is closed.
        case closed
        /// The store has no such folder, file or row.
        case notFound = "not_found"
        /// A caller broke the store's rules; a defect of the program.
        case misuse
        /// A control command got no answer in time.
        case noAnswer = "no_answer"
    }

    /// Who has to act.
    public enum Actor: String, Sendable {
        /// The person who runs the service.
        case `operator`
        /// The program itself: drop what was decided, read the stored state again, go on.
        case program
        /// The authors of the program: it is a defect.
        case authors
    }

    public var code: Code
    /// One sentence for the operator; holds no row bytes and no secret.
    public var message: String
    /// The SQLite result code or errno behind it; nil where there is none.
    public var systemCode: Int32?

    /// Makes an error.
    public init(_ code: Code, _ message: String, systemCode: Int32?) {
        self.code = code
        self.message = message
        self.systemCode = systemCode
    }

    /// True where the storage failed, not the job: every job of the group failed and none was acknowledged.
    public var isStorageFailure: Bool {
        switch code {
        case .diskFull, .readOnly, .corrupt, .inputOutput, .locked: true
        default: false
        }
    }

    /// True where the same call may succeed later without a change of the program or its input.
    public var isRecoverable: Bool {
        switch code {
        case .diskFull, .readOnly, .inputOutput, .locked, .chainBroken, .queueFull, .offsetConflict, .noAnswer: true
        case .corrupt, .newerSchema, .conflict, .closed, .notFound, .misuse: false
        }
    }

    /// Who has to act.
    public var actor: Actor {
        switch code {
        case .diskFull, .readOnly, .corrupt, .newerSchema, .locked, .inputOutput, .notFound, .noAnswer: .operator
        case .offsetConflict, .conflict, .chainBroken, .queueFull, .closed: .program
        case .misuse: .authors
        }
    }

    public var description: String {
        systemCode.map { "\(message) (\(code.rawValue), \($0))" } ?? "\(message) (\(code.rawValue))"
    }
}
