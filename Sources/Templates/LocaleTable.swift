/// How one locale writes numbers, dates and times.
///
/// A table of our own, after the medium forms of Unicode CLDR 44: Foundation's formatters load ICU's data (some 30 MB)
/// and change their output between versions, so that a message would differ from machine to machine.
struct LocaleTable: Sendable {
    /// The order and words of a date.
    enum DateForm: Sendable {
        /// `Jan 12, 2026`
        case monthDayYear([String])
        /// `12 Jan 2026`; `joiner` stands between the parts.
        case dayMonthYear([String], joiner: String)
        /// `12.01.2026`
        case dotted
        /// `12. 1. 2026`
        case dottedLoose
        /// `2026年1月12日`
        case chinese
        /// `2026/01/12`
        case slashedYearFirst
    }

    /// The form of a time of day.
    enum TimeForm: Sendable {
        /// `5:27 AM`
        case twelveHours
        /// `05:27`
        case padded
        /// `5:27`
        case loose
    }

    var name: String
    var decimal: String
    var grouping: String
    /// From how many digits before the point on they are grouped: 4, or 5 where four digits stand together.
    var groupingFrom: Int
    var minus: String
    /// What stands between a number and `%`.
    var percentGap: String
    var date: DateForm
    var time: TimeForm

    private static let english = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]
    private static let british = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sept", "Oct", "Nov", "Dec",
    ]
    private static let french = [
        "janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc.",
    ]
    private static let spanish = [
        "ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sept", "oct", "nov", "dic",
    ]
    private static let mexican = [
        "ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic",
    ]
    private static let italian = [
        "gen", "feb", "mar", "apr", "mag", "giu", "lug", "ago", "set", "ott", "nov", "dic",
    ]
    private static let portuguese = [
        "jan.", "fev.", "mar.", "abr.", "mai.", "jun.", "jul.", "ago.", "set.", "out.", "nov.", "dez.",
    ]
    private static let dutch = [
        "jan", "feb", "mrt", "apr", "mei", "jun", "jul", "aug", "sep", "okt", "nov", "dec",
    ]
    private static let polish = [
        "sty", "lut", "mar", "kwi", "maj", "cze", "lip", "sie", "wrz", "paź", "lis", "gru",
    ]
    private static let swedish = [
        "jan.", "feb.", "mars", "apr.", "maj", "juni", "juli", "aug.", "sep.", "okt.", "nov.", "dec.",
    ]
    /// No-break space, and the narrow one of French.
    private static let gap = "\u{A0}"
    private static let narrow = "\u{202F}"

    private init(
        _ name: String, _ decimal: String, _ grouping: String, from groupingFrom: Int, percent percentGap: String,
        _ date: DateForm, _ time: TimeForm, minus: String
    ) {
        self.name = name
        self.decimal = decimal
        self.grouping = grouping
        self.groupingFrom = groupingFrom
        self.minus = minus
        self.percentGap = percentGap
        self.date = date
        self.time = time
    }

    /// The locales with a form of their own; the first of a language stands for the others of that language.
    static let all: [LocaleTable] = [
        .init("en_US", ".", ",", from: 4, percent: "", .monthDayYear(english), .twelveHours, minus: "-"),
        .init("en_GB", ".", ",", from: 4, percent: "", .dayMonthYear(british, joiner: " "), .padded, minus: "-"),
        .init("de_DE", ",", ".", from: 4, percent: gap, .dotted, .padded, minus: "-"),
        .init("fr_FR", ",", narrow, from: 4, percent: narrow, .dayMonthYear(french, joiner: " "), .padded, minus: "-"),
        .init("es_ES", ",", ".", from: 5, percent: gap, .dayMonthYear(spanish, joiner: " "), .loose, minus: "-"),
        .init("es_MX", ".", ",", from: 4, percent: "", .dayMonthYear(mexican, joiner: " "), .loose, minus: "-"),
        .init("it_IT", ",", ".", from: 4, percent: "", .dayMonthYear(italian, joiner: " "), .padded, minus: "-"),
        .init("pt_BR", ",", ".", from: 4, percent: "", .dayMonthYear(portuguese, joiner: " de "), .padded, minus: "-"),
        .init("nl_NL", ",", ".", from: 4, percent: "", .dayMonthYear(dutch, joiner: " "), .padded, minus: "-"),
        .init("pl_PL", ",", gap, from: 5, percent: "", .dayMonthYear(polish, joiner: " "), .padded, minus: "-"),
        .init("cs_CZ", ",", gap, from: 4, percent: gap, .dottedLoose, .loose, minus: "-"),
        .init(
            "sv_SE", ",", gap, from: 4, percent: gap, .dayMonthYear(swedish, joiner: " "), .padded, minus: "\u{2212}"),
        .init("zh_CN", ".", ",", from: 4, percent: "", .chinese, .padded, minus: "-"),
        .init("ja_JP", ".", ",", from: 4, percent: "", .slashedYearFirst, .loose, minus: "-"),
    ]

    static func named(_ name: String) -> LocaleTable? {
        let wanted = name.replacing("-", with: "_").prefix { $0 != "." && $0 != "@" }
        if let exact = all.first(where: { $0.name == wanted }) { return exact }
        let language = wanted.prefix { $0 != "_" }
        guard !language.isEmpty else { return nil }
        return all.first { $0.name.hasPrefix(language + "_") }
    }
}
