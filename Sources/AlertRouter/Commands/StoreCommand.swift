import ArgumentParser
import Core
import Store

struct StoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store", abstract: "Backs up, restores and checks the store.",
        subcommands: [Backup.self, Restore.self, Check.self])

    struct Backup: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Writes a copy of the store to a file, also while the service runs.",
            discussion: "Example: alert-router store backup /var/backups/alert-router.db")

        @OptionGroup var configuration: ConfigurationOptions
        @OptionGroup var output: OutputOptions
        @Argument(help: "The file to write; it must not exist.") var file: String

        func run() async throws {
            let store = try StoreAccess.reading(configuration)
            do { try store.backup(to: file) } catch let error as StoreError {
                throw CommandFailure(.inputIsWrong, "\(file) could not be written: \(error.message)")
            }
            output.show(.object(["backup": .string(file)])) { Output.line("the store is backed up to \(file)") }
        }
    }

    struct Restore: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Puts a backup in the place of the store; the service must be down.",
            discussion: """
                The next start begins as the first one did: what is open is told once, nothing is sent twice.

                Example: alert-router store restore /var/backups/alert-router.db
                """)

        @OptionGroup var configuration: ConfigurationOptions
        @OptionGroup var output: OutputOptions
        @Argument(help: "The backup.") var file: String

        func run() async throws {
            let location = try StoreAccess.location(configuration)
            do {
                try StoreRestore.restore(from: file, to: location, now: SystemWallClock().now())
            } catch let error as StoreError where error.code == .locked {
                throw CommandFailure(.inputIsWrong, error.message, help: "stop the service, restore, start it again")
            } catch let error as StoreError where error.code == .corrupt {
                throw CommandFailure(
                    .inputIsWrong, "\(file) is no backup of a store, or it is damaged; nothing was changed")
            } catch let error as StoreError {
                throw CommandFailure(.inputIsWrong, "\(error.message)", help: "nothing was changed")
            }
            output.show(.object(["restored": .string(location.folder), "from": .string(file)])) {
                Output.line("the store in \(location.folder) is restored from \(file)")
                Output.line("what was there before stays beside it as \(location.databasePath).replaced")
            }
        }
    }

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Checks that the store is sound; changes nothing.",
            discussion: "Example: alert-router store check")

        @OptionGroup var configuration: ConfigurationOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let store = try StoreAccess.reading(configuration)
            let check = try store.check()
            let json = JSON.object([
                "problems": .array(check.problems.map { .string($0) }),
                "counts": .object(check.counts.map { JSON.Member($0.name, .integer($0.count)) }),
            ])
            output.show(json) {
                for (name, count) in check.counts { Output.line("\(name): \(count)") }
                for problem in check.problems { Output.line("problem: \(problem)") }
                if check.problems.isEmpty { Output.line("the store is sound") }
            }
            if !check.problems.isEmpty { throw CommandFailure(.inputIsWrong, lines: []) }
        }
    }
}
