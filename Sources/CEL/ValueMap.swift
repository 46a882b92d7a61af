/// A map of CEL: keys are booleans, integers or texts; entries keep their order.
public struct ValueMap: Sendable, Equatable {
    /// A key; an unsigned integer within Int64's range has the same key as the signed one.
    public struct Key: Sendable, Hashable {
        internal enum Form: Sendable {
            case bool(Bool)
            case int(Int64)
            case uint(UInt64)
            case string(String)
        }
        internal let form: Form

        /// The key that a value is; nil where it cannot be one. A double is a key only for looking up.
        internal init?(lookingUp value: Value) {
            switch value {
            case .bool(let value): form = .bool(value)
            case .int(let value): form = .int(value)
            case .uint(let value): form = .uint(value)
            case .string(let value): form = .string(value)
            case .double(let value):
                if let whole = Int64(exactly: value) {
                    form = .int(whole)
                } else if let whole = UInt64(exactly: value) {
                    form = .uint(whole)
                } else {
                    return nil
                }
            default: return nil
            }
        }

        internal init(string: String) { form = .string(string) }

        /// The key as a value.
        public var value: Value {
            switch form {
            case .bool(let value): .bool(value)
            case .int(let value): .int(value)
            case .uint(let value): .uint(value)
            case .string(let value): .string(value)
            }
        }

        public static func == (left: Key, right: Key) -> Bool {
            switch (left.form, right.form) {
            case (.bool(let left), .bool(let right)): left == right
            case (.int(let left), .int(let right)): left == right
            case (.uint(let left), .uint(let right)): left == right
            case (.int(let left), .uint(let right)): NumberOrder.compare(left, right) == 0
            case (.uint(let left), .int(let right)): NumberOrder.compare(right, left) == 0
            case (.string(let left), .string(let right)): Value.sameText(left, right)
            default: false
            }
        }

        public func hash(into hasher: inout Hasher) {
            switch form {
            case .bool(let value): hasher.combine(value)
            case .int(let value): hasher.combine(UInt64(bitPattern: value))
            case .uint(let value): hasher.combine(value)
            case .string(let value):
                var copy = value
                copy.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
            }
        }
    }

    /// The entries in the order they were given.
    public private(set) var entries: [(key: Key, value: Value)]
    private var positions: [Key: Int]

    /// Makes an empty map.
    public init() {
        entries = []
        positions = [:]
    }

    /// Makes a map from texts to values; a later entry replaces an earlier one of the same key.
    public init(texts: some Sequence<(String, Value)>) {
        self.init()
        for (text, value) in texts {
            let key = Key(string: text)
            if let position = positions[key] {
                entries[position].value = value
            } else {
                _ = insert(value, for: key)
            }
        }
    }

    /// How many entries it has.
    public var count: Int { entries.count }

    /// The value of a key; nil where the map has none.
    public subscript(key: Value) -> Value? {
        guard let key = Key(lookingUp: key), let position = positions[key] else { return nil }
        return entries[position].value
    }

    /// The value of a text key.
    public subscript(text text: String) -> Value? {
        positions[Key(string: text)].map { entries[$0].value }
    }

    /// Adds an entry; false where the key is there already.
    internal mutating func insert(_ value: Value, for key: Key) -> Bool {
        guard positions[key] == nil else { return false }
        positions[key] = entries.count
        entries.append((key, value))
        return true
    }

    public static func == (left: ValueMap, right: ValueMap) -> Bool {
        left.count == right.count
            && left.entries.allSatisfy { entry in
                right.positions[entry.key].map { right.entries[$0].value == entry.value } ?? false
            }
    }
}
