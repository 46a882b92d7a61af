/// The codes of this module's diagnostics; docs/diagnostics.md explains each.
enum ConfigCode {
    /// The file cannot be read, is too large or no UTF-8.
    static let unreadable = "Y001"
    /// The text is no YAML.
    static let syntax = "Y002"
    /// A key occurs twice in one mapping.
    static let duplicateKey = "Y003"
    /// Nesting, aliases or size beyond the bounds.
    static let tooLarge = "Y004"
    /// A tag, an anchor or a key of a kind that is not supported.
    static let unsupported = "Y005"
    /// A key that the format does not know.
    static let unknownKey = "Y010"
    /// A required key is missing.
    static let missingKey = "Y011"
    /// A value of the wrong type.
    static let wrongType = "Y012"
    /// A value outside its range or set.
    static let outOfRange = "Y013"
    /// A secret reference that is none, or a secret where a reference belongs.
    static let secret = "Y014"
    /// A file that lies beside the others but is not read.
    static let ignoredFile = "Y015"
    /// More diagnostics than are kept.
    static let tooMany = "Y099"
}
