internal import GRDB

/// The tables, as a list of migrations. Migrations go forward only; each runs in a transaction of its own and
/// `user_version` counts them. Never edit one that was released: add another.
enum Schema {
    /// Marks the file as a store of this program ("ARou").
    static let applicationId: Int64 = 0x4152_6F75

    static let migrations: [String] = [first, alerting]

    static var version: Int64 { Int64(migrations.count) }

    /// Codes of ``OutboxState`` in column `outbox.state`.
    static let outboxStates: [OutboxState] = [
        .waiting, .leased, .sent, .dead, .discarded, .superseded, .suppressed,
    ]

    static func code(_ state: OutboxState) -> Int64 { Int64(outboxStates.firstIndex(of: state) ?? 0) }

    static let letterKinds: [DeadLetterRecord.Kind] = [.input, .evaluation, .delivery]
    static let letterStates: [DeadLetterRecord.State] = [.open, .replayed, .discarded]

    static func code(_ kind: DeadLetterRecord.Kind) -> Int64 { Int64(letterKinds.firstIndex(of: kind) ?? 0) }
    static func code(_ state: DeadLetterRecord.State) -> Int64 { Int64(letterStates.firstIndex(of: state) ?? 0) }

    private static let first = streams + alerts + outbox + triggers + deadLetters

    /// Why somebody was told of an alert or was not, and who changed what.
    private static let alerting = """
        CREATE TABLE decisions (
          id INTEGER PRIMARY KEY AUTOINCREMENT, fingerprint BLOB NOT NULL, episode INTEGER NOT NULL,
          at INTEGER NOT NULL, recorded_at INTEGER NOT NULL, receiver TEXT NOT NULL, recipient TEXT,
          decision TEXT NOT NULL, detail TEXT NOT NULL, path TEXT NOT NULL) STRICT;
        CREATE INDEX decisions_fingerprint ON decisions (fingerprint, id);
        CREATE INDEX decisions_recorded ON decisions (recorded_at);
        CREATE TABLE audit (
          id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, actor TEXT NOT NULL, origin TEXT NOT NULL,
          action TEXT NOT NULL, subject TEXT NOT NULL, detail TEXT NOT NULL) STRICT;
        CREATE INDEX audit_at ON audit (at);
        CREATE INDEX audit_subject ON audit (subject, id);

        """

    private static let streams = """
        CREATE TABLE offsets (
          topic TEXT NOT NULL, partition INTEGER NOT NULL, next_offset INTEGER NOT NULL,
          PRIMARY KEY (topic, partition)) STRICT, WITHOUT ROWID;
        CREATE TABLE runs (
          id INTEGER PRIMARY KEY AUTOINCREMENT, started_at INTEGER NOT NULL, ended_at INTEGER,
          process_id INTEGER NOT NULL, host TEXT NOT NULL) STRICT;
        CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
        CREATE TABLE states (
          kind TEXT NOT NULL, key TEXT NOT NULL, due_at INTEGER, bytes BLOB NOT NULL,
          PRIMARY KEY (kind, key)) STRICT, WITHOUT ROWID;
        CREATE TABLE pair_runs (
          table_name TEXT NOT NULL, row_key TEXT NOT NULL, version INTEGER NOT NULL, ran_at INTEGER NOT NULL,
          PRIMARY KEY (table_name, row_key, version)) STRICT, WITHOUT ROWID;
        CREATE INDEX pair_runs_ran ON pair_runs (ran_at);
        CREATE TABLE checkpoints (
          id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL,
          stage INTEGER NOT NULL CHECK (stage BETWEEN 0 AND 2),
          created_at INTEGER NOT NULL, offsets BLOB NOT NULL, rule_hashes BLOB NOT NULL,
          chunk_count INTEGER NOT NULL, byte_count INTEGER NOT NULL) STRICT;
        CREATE INDEX checkpoints_name ON checkpoints (name, stage, id);
        CREATE TABLE checkpoint_chunks (
          id INTEGER PRIMARY KEY, checkpoint_id INTEGER NOT NULL, position INTEGER NOT NULL, bytes BLOB NOT NULL,
          UNIQUE (checkpoint_id, position)) STRICT;

        """

    private static let alerts = """
        CREATE TABLE alerts (
          id INTEGER PRIMARY KEY, fingerprint BLOB NOT NULL UNIQUE, rule TEXT NOT NULL, table_name TEXT NOT NULL,
          state INTEGER NOT NULL, severity INTEGER NOT NULL, episode INTEGER NOT NULL, changed_at INTEGER NOT NULL,
          is_open INTEGER NOT NULL CHECK (is_open IN (0, 1)), bytes BLOB NOT NULL) STRICT;
        CREATE INDEX alerts_open ON alerts (changed_at) WHERE is_open = 1;
        CREATE INDEX alerts_closed ON alerts (changed_at, fingerprint, episode) WHERE is_open = 0;
        CREATE INDEX alerts_rule ON alerts (rule, changed_at);
        CREATE INDEX alerts_changed ON alerts (changed_at);
        CREATE TABLE transitions (
          id INTEGER PRIMARY KEY AUTOINCREMENT, fingerprint BLOB NOT NULL, rule TEXT NOT NULL,
          table_name TEXT NOT NULL, kind INTEGER NOT NULL, severity INTEGER NOT NULL, previous_severity INTEGER,
          episode INTEGER NOT NULL, at INTEGER NOT NULL, recorded_at INTEGER NOT NULL, reason TEXT NOT NULL,
          key_display TEXT NOT NULL, topic TEXT, partition INTEGER, message_offset INTEGER, version INTEGER) STRICT;
        CREATE INDEX transitions_fingerprint ON transitions (fingerprint, id);
        CREATE INDEX transitions_recorded ON transitions (recorded_at);
        CREATE TABLE evaluation_errors (
          rule TEXT NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL, first_at INTEGER NOT NULL,
          last_at INTEGER NOT NULL, row_key TEXT NOT NULL, topic TEXT, partition INTEGER, message_offset INTEGER,
          version INTEGER, PRIMARY KEY (rule, reason)) STRICT, WITHOUT ROWID;
        CREATE INDEX evaluation_errors_last ON evaluation_errors (last_at);

        """

    private static let outbox = """
        CREATE TABLE outbox (
          id INTEGER PRIMARY KEY AUTOINCREMENT, receiver TEXT NOT NULL, lane TEXT NOT NULL, kind TEXT NOT NULL,
          incident_key TEXT NOT NULL, rule TEXT NOT NULL, severity INTEGER NOT NULL, priority INTEGER NOT NULL,
          created_at INTEGER NOT NULL, not_before INTEGER NOT NULL,
          state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 6), idempotency_key TEXT NOT NULL,
          attempt_count INTEGER NOT NULL, first_attempt_at INTEGER, waited_ms INTEGER NOT NULL, lease_run INTEGER,
          lease_until INTEGER, ambiguous_count INTEGER NOT NULL, settled_at INTEGER, reason TEXT,
          superseded_by INTEGER, provider_id TEXT, recipient TEXT, payload BLOB NOT NULL, body BLOB,
          CHECK ((state = 1) = (lease_run IS NOT NULL)), CHECK ((state >= 2) = (settled_at IS NOT NULL)),
          CHECK ((state = 5) = (superseded_by IS NOT NULL))) STRICT;
        CREATE INDEX outbox_lane ON outbox (receiver, lane, state, id, not_before, priority);
        CREATE INDEX outbox_waiting ON outbox (receiver, id) WHERE state = 0;
        CREATE INDEX outbox_leased ON outbox (lease_run) WHERE state = 1;
        CREATE INDEX outbox_state ON outbox (state, id);
        CREATE INDEX outbox_incident ON outbox (incident_key, id);
        CREATE INDEX outbox_settled ON outbox (settled_at, id) WHERE state >= 2;
        CREATE INDEX outbox_superseded ON outbox (superseded_by) WHERE state = 5;
        CREATE TABLE lanes (
          receiver TEXT NOT NULL, lane TEXT NOT NULL, priority INTEGER NOT NULL, due_at INTEGER NOT NULL,
          waiting_count INTEGER NOT NULL, is_leased INTEGER NOT NULL, PRIMARY KEY (receiver, lane))
          STRICT, WITHOUT ROWID;
        CREATE INDEX lanes_due ON lanes (receiver, priority, due_at) WHERE is_leased = 0 AND waiting_count > 0;
        CREATE TABLE outbox_counts (
          receiver TEXT NOT NULL, state INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (receiver, state))
          STRICT, WITHOUT ROWID;
        CREATE TABLE attempts (
          id INTEGER PRIMARY KEY AUTOINCREMENT, outbox_id INTEGER NOT NULL, receiver TEXT NOT NULL,
          number INTEGER NOT NULL, started_at INTEGER NOT NULL, finished_at INTEGER NOT NULL, outcome TEXT NOT NULL,
          status_code INTEGER, detail TEXT, provider_id TEXT, run INTEGER NOT NULL) STRICT;
        CREATE INDEX attempts_outbox ON attempts (outbox_id, id);
        CREATE INDEX attempts_finished ON attempts (finished_at);
        CREATE TABLE limiter_slots (
          id INTEGER PRIMARY KEY AUTOINCREMENT, destination TEXT NOT NULL, recipient TEXT, taken_at INTEGER NOT NULL,
          answered_at INTEGER, run INTEGER NOT NULL) STRICT;
        CREATE INDEX limiter_slots_destination ON limiter_slots (destination, answered_at);
        CREATE INDEX limiter_slots_open ON limiter_slots (run) WHERE answered_at IS NULL;
        CREATE INDEX limiter_slots_answered ON limiter_slots (answered_at);

        """

    /// Counts follow every change by themselves, so that no count ever scans the outbox.
    private static let triggers = """
        CREATE TRIGGER outbox_inserted AFTER INSERT ON outbox BEGIN
          INSERT INTO outbox_counts VALUES (NEW.receiver, NEW.state, 1)
            ON CONFLICT (receiver, state) DO UPDATE SET count = count + 1;
        END;
        CREATE TRIGGER outbox_moved AFTER UPDATE OF state ON outbox WHEN OLD.state <> NEW.state BEGIN
          UPDATE outbox_counts SET count = count - 1 WHERE receiver = OLD.receiver AND state = OLD.state;
          INSERT INTO outbox_counts VALUES (NEW.receiver, NEW.state, 1)
            ON CONFLICT (receiver, state) DO UPDATE SET count = count + 1;
        END;
        CREATE TRIGGER outbox_removed AFTER DELETE ON outbox BEGIN
          UPDATE outbox_counts SET count = count - 1 WHERE receiver = OLD.receiver AND state = OLD.state;
          DELETE FROM outbox_counts WHERE receiver = OLD.receiver AND state = OLD.state AND count <= 0;
        END;

        """

    private static let deadLetters = """
        CREATE TABLE dead_letters (
          id INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, state INTEGER NOT NULL,
          created_at INTEGER NOT NULL, reason TEXT NOT NULL, topic TEXT, partition INTEGER, message_offset INTEGER,
          message_at INTEGER, rule TEXT, row_key TEXT, receiver TEXT, outbox_id INTEGER,
          are_bytes_dropped INTEGER NOT NULL, settled_at INTEGER, settled_by TEXT, byte_count INTEGER NOT NULL,
          key BLOB, value BLOB, headers BLOB) STRICT;
        CREATE INDEX dead_letters_state ON dead_letters (state, kind, id);
        CREATE INDEX dead_letters_kind ON dead_letters (kind, id);
        CREATE INDEX dead_letters_bytes ON dead_letters (id) WHERE byte_count > 0;
        CREATE INDEX dead_letters_settled ON dead_letters (settled_at) WHERE state > 0;
        CREATE TABLE dead_letter_counts (
          kind INTEGER NOT NULL, state INTEGER NOT NULL, count INTEGER NOT NULL, kept_count INTEGER NOT NULL,
          byte_count INTEGER NOT NULL, PRIMARY KEY (kind, state)) STRICT, WITHOUT ROWID;
        CREATE TRIGGER dead_letters_inserted AFTER INSERT ON dead_letters BEGIN
          INSERT INTO dead_letter_counts VALUES (NEW.kind, NEW.state, 1, NEW.byte_count > 0, NEW.byte_count)
            ON CONFLICT (kind, state) DO UPDATE SET count = count + 1,
              kept_count = kept_count + excluded.kept_count, byte_count = byte_count + excluded.byte_count;
        END;
        CREATE TRIGGER dead_letters_moved AFTER UPDATE ON dead_letters BEGIN
          UPDATE dead_letter_counts SET count = count - 1, kept_count = kept_count - (OLD.byte_count > 0),
            byte_count = byte_count - OLD.byte_count WHERE kind = OLD.kind AND state = OLD.state;
          INSERT INTO dead_letter_counts VALUES (NEW.kind, NEW.state, 1, NEW.byte_count > 0, NEW.byte_count)
            ON CONFLICT (kind, state) DO UPDATE SET count = count + 1,
              kept_count = kept_count + excluded.kept_count, byte_count = byte_count + excluded.byte_count;
        END;
        CREATE TRIGGER dead_letters_removed AFTER DELETE ON dead_letters BEGIN
          UPDATE dead_letter_counts SET count = count - 1, kept_count = kept_count - (OLD.byte_count > 0),
            byte_count = byte_count - OLD.byte_count WHERE kind = OLD.kind AND state = OLD.state;
        END;

        """
}
