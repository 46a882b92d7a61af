/// Codes of diagnostics about the program's configuration.
enum ProgramCode {
    /// A part of the configuration needs another part.
    static let missingKey = "A001"
    /// A value names nothing that exists, or is none of those allowed.
    static let outOfRange = "A002"
    /// A file or folder cannot be read.
    static let unreadable = "A003"
    /// librdkafka refuses a property.
    static let property = "A004"
    /// An address that cannot be used.
    static let address = "A005"
}
