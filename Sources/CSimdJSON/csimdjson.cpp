// HOT
#include "csimdjson.h"

#include <charconv>
#include <cstring>
#include <memory>
#include <new>
#include <simdjson.h>
#include <string>
#include <vector>

namespace {

constexpr size_t padding = 64;

inline uint64_t load64(const uint8_t *bytes) {
    uint64_t word;
    std::memcpy(&word, bytes, 8);
    return word;
}

inline uint64_t fold(uint64_t left, uint64_t right) {
    unsigned __int128 product = static_cast<unsigned __int128>(left) * right;
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

constexpr uint64_t key1 = 0x9E3779B97F4A7C15, key2 = 0xD6E8FEB86659FD93, key3 = 0xA0761D6478BD642F;

// Hashes bytes two lanes at a time. Reads nothing beyond them.
uint64_t hash_bytes(uint64_t seed, const uint8_t *bytes, size_t count) {
    uint64_t one = seed ^ key1, two = seed ^ key2;
    size_t left = count;
    while (left >= 32) {
        one = fold(load64(bytes) ^ key2, load64(bytes + 8) ^ one);
        two = fold(load64(bytes + 16) ^ key3, load64(bytes + 24) ^ two);
        bytes += 32;
        left -= 32;
    }
    uint64_t tail[4] = {0, 0, 0, 0};
    if (left) std::memcpy(tail, bytes, left);
    one = fold(tail[0] ^ key2, tail[1] ^ one);
    if (left > 16) two = fold(tail[2] ^ key3, tail[3] ^ two);
    return fold(one ^ key3, fold(two ^ count, key1) ^ seed);
}

struct Node;

struct Child {
    uint64_t prefix;
    uint32_t length;
    uint32_t node;
};

struct Node {
    std::string name;
    int32_t slot = -1;
    int32_t row_slot = -1;
    bool excluded = false;
    std::vector<int32_t> more_slots;
    std::vector<uint32_t> children;
    std::vector<Child> table;  // open addressing; node 0 (the root) marks a free place
    uint32_t shift = 64;
};

inline uint64_t prefix_of(const uint8_t *name, size_t length) {
    uint64_t word = load64(name);
    return length >= 8 ? word : word & ((uint64_t(1) << (8 * length)) - 1);
}

inline uint64_t place_of(uint64_t prefix, size_t length, uint32_t shift) {
    return ((prefix ^ (uint64_t(length) << 56)) * key1) >> shift;
}

}  // namespace

struct ar_plan {
    std::vector<Node> nodes{1};
    uint32_t slot_count = 0;
    size_t overlap = 1;

    uint32_t child(uint32_t parent, const char *name, size_t length) {
        for (uint32_t index : nodes[parent].children) {
            if (nodes[index].name.compare(0, std::string::npos, name, length) == 0) return index;
        }
        uint32_t index = static_cast<uint32_t>(nodes.size());
        nodes.emplace_back();
        nodes[index].name.assign(name, length);
        nodes[parent].children.push_back(index);
        rebuild(parent);
        return index;
    }

    uint32_t at(const char *const *names, const size_t *lengths, size_t count) {
        uint32_t node = 0;
        for (size_t index = 0; index < count; index++) node = child(node, names[index], lengths[index]);
        return node;
    }

    void rebuild(uint32_t parent) {
        Node &node = nodes[parent];
        uint32_t bits = 2;
        while ((size_t(1) << bits) < node.children.size() * 4) bits++;
        node.shift = 64 - bits;
        node.table.assign(size_t(1) << bits, Child{0, 0, 0});
        for (uint32_t index : node.children) {
            const std::string &name = nodes[index].name;
            uint8_t padded[8] = {0};
            std::memcpy(padded, name.data(), name.size() < 8 ? name.size() : 8);
            uint64_t prefix = load64(padded);
            size_t place = place_of(prefix, name.size(), node.shift);
            while (node.table[place].node != 0) place = (place + 1) & (node.table.size() - 1);
            node.table[place] = Child{prefix, static_cast<uint32_t>(name.size()), index};
        }
    }

    // Most values that lie around one byte and are copied with it.
    size_t depth(uint32_t index) const {
        size_t below = 0;
        for (uint32_t child : nodes[index].children) below = std::max(below, depth(child));
        return below + (nodes[index].slot >= 0 ? 1 : 0);
    }
};

struct ar_parser {
    std::unique_ptr<simdjson::internal::dom_parser_implementation> stage;
    std::unique_ptr<uint8_t[]> buffer;
    size_t capacity = 0;
    size_t length = 0;
    const uint32_t *token = nullptr;
    const uint32_t *token_end = nullptr;
    bool has_backslash = false;
    bool in_array = false;
    bool is_first = true;
    size_t last_end = 0;
    size_t error_offset = 0;
    std::string scratch;
    // Where the parser stood before the last object.
    const uint32_t *back_token = nullptr;
    bool back_in_array = false;
    bool back_is_first = true;
    size_t back_last_end = 0;
};

namespace {

// One walk over the tokens of an object.
struct Walk {
    ar_parser &parser;
    const ar_plan &plan;
    const uint8_t *text;
    const uint32_t *token;
    const uint32_t *const token_end;
    ar_slot *slots;
    uint8_t *arena;
    size_t used;
    uint32_t base;
    int error = 0;

    Walk(ar_parser &parser, const ar_plan &plan, ar_slot *slots, uint8_t *arena, size_t used, uint32_t base)
        : parser(parser), plan(plan), text(parser.buffer.get()), token(parser.token), token_end(parser.token_end),
          slots(slots), arena(arena), used(used), base(base) {}

    bool fail(int code, size_t offset) {
        if (error == 0) {
            error = offset >= parser.length && code == AR_ERROR_SYNTAX ? AR_ERROR_TRUNCATED : code;
            parser.error_offset = offset;
        }
        return false;
    }

    // The end of the token that begins at `start`: blanks before the next token are left out.
    size_t end_of(size_t start) const {
        size_t end = *token;  // `token` already stands at the next one, or at the end of the text
        while (end > start + 1) {
            uint8_t last = text[end - 1];
            if (last != ' ' && last != '\n' && last != '\r' && last != '\t') break;
            end--;
        }
        return end;
    }

    void put(const Node &node, const ar_slot &value) {
        slots[node.slot] = value;
        for (int32_t more : node.more_slots) slots[more] = value;
    }

    uint32_t copy(const uint8_t *from, size_t count) {
        uint32_t offset = base + static_cast<uint32_t>(used);
        uint8_t *to = arena + used;
        if (count <= 16) {
            std::memcpy(to, from, 16);  // both sides have room to spare
        } else {
            std::memcpy(to, from, count);
        }
        used += count;
        return offset;
    }

    bool hex4(const uint8_t *from, uint32_t &value) {
        value = 0;
        for (int index = 0; index < 4; index++) {
            uint8_t digit = from[index];
            uint32_t part;
            if (digit >= '0' && digit <= '9') part = digit - '0';
            else if (digit >= 'a' && digit <= 'f') part = digit - 'a' + 10;
            else if (digit >= 'A' && digit <= 'F') part = digit - 'A' + 10;
            else return false;
            value = value << 4 | part;
        }
        return true;
    }

    // Decodes the escapes of [from, end) to `to`; with `to` null it only checks. The count goes to `count`.
    bool unescape(const uint8_t *from, const uint8_t *end, uint8_t *to, size_t &count) {
        count = 0;
        auto out = [&](uint8_t byte) {
            if (to) to[count] = byte;
            count++;
        };
        while (from < end) {
            uint8_t byte = *from;
            if (byte != '\\') {
                out(byte);
                from++;
                continue;
            }
            size_t at = from - text;
            if (from + 1 >= end) return fail(AR_ERROR_ESCAPE, at);
            from += 2;
            switch (from[-1]) {
            case '"': out('"'); break;
            case '\\': out('\\'); break;
            case '/': out('/'); break;
            case 'b': out('\b'); break;
            case 'f': out('\f'); break;
            case 'n': out('\n'); break;
            case 'r': out('\r'); break;
            case 't': out('\t'); break;
            case 'u': {
                uint32_t scalar;
                if (end - from < 4 || !hex4(from, scalar)) return fail(AR_ERROR_ESCAPE, at);
                from += 4;
                if (scalar >= 0xD800 && scalar < 0xE000) {
                    uint32_t low;
                    if (scalar >= 0xDC00 || end - from < 6 || from[0] != '\\' || from[1] != 'u' ||
                        !hex4(from + 2, low) || low < 0xDC00 || low > 0xDFFF)
                        return fail(AR_ERROR_ESCAPE, at);
                    from += 6;
                    scalar = 0x10000 + ((scalar - 0xD800) << 10) + (low - 0xDC00);
                }
                if (scalar < 0x80) {
                    out(scalar);
                } else if (scalar < 0x800) {
                    out(0xC0 | scalar >> 6);
                    out(0x80 | (scalar & 63));
                } else if (scalar < 0x10000) {
                    out(0xE0 | scalar >> 12);
                    out(0x80 | (scalar >> 6 & 63));
                    out(0x80 | (scalar & 63));
                } else {
                    out(0xF0 | scalar >> 18);
                    out(0x80 | (scalar >> 12 & 63));
                    out(0x80 | (scalar >> 6 & 63));
                    out(0x80 | (scalar & 63));
                }
                break;
            }
            default: return fail(AR_ERROR_ESCAPE, at);
            }
        }
        return true;
    }

    // The inside of the string that begins at `start`; `token` stands behind it.
    bool string_span(size_t start, const uint8_t *&from, const uint8_t *&end, bool &escaped) {
        size_t stop = end_of(start);
        if (stop < start + 2 || text[stop - 1] != '"') return fail(AR_ERROR_SYNTAX, stop);
        from = text + start + 1;
        end = text + stop - 1;
        escaped = parser.has_backslash && std::memchr(from, '\\', end - from) != nullptr;
        return true;
    }

    bool string(const Node *node, size_t start) {
        const uint8_t *from, *end;
        bool escaped;
        if (!string_span(start, from, end, escaped)) return false;
        size_t count = end - from;
        bool wanted = node && node->slot >= 0;
        if (!escaped) {
            if (wanted) put(*node, ar_slot{AR_STRING, 0, 0, copy(from, count), count});
            return true;
        }
        if (!wanted) return unescape(from, end, nullptr, count);
        if (!unescape(from, end, arena + used, count)) return false;
        put(*node, ar_slot{AR_STRING, 0, 0, base + static_cast<uint32_t>(used), count});
        used += count;
        return true;
    }

    bool literal(const Node *node, size_t start) {
        size_t count = end_of(start) - start;
        const uint8_t *from = text + start;
        ar_slot value{AR_NULL, 0, 0, 0, 0};
        if (count == 4 && std::memcmp(from, "true", 4) == 0) value = ar_slot{AR_BOOL, 0, 0, 0, 1};
        else if (count == 5 && std::memcmp(from, "false", 5) == 0) value = ar_slot{AR_BOOL, 0, 0, 0, 0};
        else if (count != 4 || std::memcmp(from, "null", 4) != 0) return fail(AR_ERROR_LITERAL, start);
        if (node && node->slot >= 0) put(*node, value);
        if (node && node->row_slot >= 0 && value.kind == AR_NULL) slots[node->row_slot] = value;
        return true;
    }

    bool number(const Node *node, size_t start) {
        size_t stop = end_of(start);
        bool wanted = node && node->slot >= 0;
        ar_slot value{AR_DOUBLE, 0, 0, 0, 0};
        if (!parse_number(text + start, text + stop, wanted ? &value : nullptr)) return fail(AR_ERROR_NUMBER, start);
        if (!wanted) return true;
        size_t count = stop - start;
        if (count > AR_NUMBER_LENGTH_MAX) return fail(AR_ERROR_NUMBER_LENGTH, start);
        value.short_text_count = static_cast<uint16_t>(count);
        value.text_offset = copy(text + start, count);
        put(*node, value);
        return true;
    }

    // Checks that [from, end) is a JSON number, and with `value` gives its kind and bits.
    static bool parse_number(const uint8_t *from, const uint8_t *end, ar_slot *value) {
        const uint8_t *at = from;
        bool negative = at < end && *at == '-';
        if (negative) at++;
        const uint8_t *digits = at;
        uint64_t mantissa = 0;
        while (at < end && static_cast<uint8_t>(*at - '0') < 10) mantissa = mantissa * 10 + (*at++ - '0');
        size_t whole = at - digits;
        if (whole == 0 || (whole > 1 && *digits == '0')) return false;
        size_t fraction = 0;
        if (at < end && *at == '.') {
            const uint8_t *first = ++at;
            while (at < end && static_cast<uint8_t>(*at - '0') < 10) mantissa = mantissa * 10 + (*at++ - '0');
            fraction = at - first;
            if (fraction == 0) return false;
        }
        bool has_exponent = at < end && (*at == 'e' || *at == 'E');
        if (has_exponent) {
            at++;
            if (at < end && (*at == '+' || *at == '-')) at++;
            const uint8_t *first = at;
            while (at < end && static_cast<uint8_t>(*at - '0') < 10) at++;
            if (at == first) return false;
        }
        if (at != end) return false;
        if (!value) return true;
        value->kind = AR_DOUBLE;
        bool is_integer = fraction == 0 && !has_exponent;
        if (is_integer && whole <= 18) {
            value->kind = AR_INT;
            value->bits = negative ? 0 - mantissa : mantissa;
        } else if (!is_integer || !wide_integer(negative, digits, whole, *value)) {
            double result = to_double(from, end, negative, mantissa, whole + fraction, fraction, has_exponent);
            std::memcpy(&value->bits, &result, 8);
        }
        return true;
    }

    static bool wide_integer(bool negative, const uint8_t *digits, size_t count, ar_slot &value) {
        uint64_t magnitude;
        auto first = reinterpret_cast<const char *>(digits);
        auto parsed = std::from_chars(first, first + count, magnitude);
        if (parsed.ec != std::errc()) return false;
        if (magnitude <= uint64_t(INT64_MAX) + (negative ? 1 : 0)) {
            value.kind = AR_INT;
            value.bits = negative ? 0 - magnitude : magnitude;
            return true;
        }
        if (negative) return false;
        value.kind = AR_UINT;
        value.bits = magnitude;
        return true;
    }

    static double to_double(const uint8_t *from, const uint8_t *end, bool negative, uint64_t mantissa, size_t digits,
                            size_t fraction, bool has_exponent) {
        static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
        // Exact where both parts are exact doubles (Clinger's fast path); leading zeroes only make it go the long way.
        if (!has_exponent && digits <= 19 && mantissa <= (uint64_t(1) << 53) && fraction <= 22) {
            double result = static_cast<double>(mantissa) / powers[fraction];
            return negative ? -result : result;
        }
        double result = 0;
        auto first = reinterpret_cast<const char *>(from), last = reinterpret_cast<const char *>(end);
        auto parsed = std::from_chars(first, last, result);
        if (parsed.ec == std::errc::result_out_of_range) {
            // Too large gives infinity, too small zero; the text tells which.
            std::string copy(first, last);
            result = std::strtod(copy.c_str(), nullptr);
        }
        return result;
    }

    const Node *lookup(const Node *node, const uint8_t *name, size_t length) const {
        uint64_t prefix = prefix_of(name, length);
        size_t mask = node->table.size() - 1;
        size_t place = place_of(prefix, length, node->shift);
        while (true) {
            const Child &child = node->table[place];
            if (child.node == 0) return nullptr;
            if (child.prefix == prefix && child.length == length) {
                const Node *found = &plan.nodes[child.node];
                if (length <= 8 || std::memcmp(found->name.data() + 8, name + 8, length - 8) == 0) return found;
            }
            place = (place + 1) & mask;
        }
    }

    bool value(const Node *node, int depth) {
        if (token >= token_end) return fail(AR_ERROR_TRUNCATED, parser.length);
        size_t start = *token++;
        switch (text[start]) {
        case '"': return string(node, start);
        case '{': return object(node, start, depth + 1);
        case '[': return array(node, start, depth + 1);
        case 't': case 'f': case 'n': return literal(node, start);
        case '-': case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9':
            return number(node, start);
        case 'N': case 'I': return fail(AR_ERROR_LITERAL, start);
        default: return fail(AR_ERROR_SYNTAX, start);
        }
    }

    bool key(const Node *node, const Node *&child, size_t &start) {
        if (token >= token_end) return fail(AR_ERROR_TRUNCATED, parser.length);
        start = *token++;
        if (text[start] != '"') return fail(AR_ERROR_SYNTAX, start);
        const uint8_t *from, *end;
        bool escaped;
        if (!string_span(start, from, end, escaped)) return false;
        if (token >= token_end) return fail(AR_ERROR_TRUNCATED, parser.length);
        if (text[*token] != ':') return fail(AR_ERROR_SYNTAX, *token);
        token++;
        child = nullptr;
        size_t count = end - from;
        if (!escaped) {
            if (node && !node->table.empty()) child = lookup(node, from, count);
            return true;
        }
        std::string &name = parser.scratch;
        name.resize(count + 8);
        if (!unescape(from, end, reinterpret_cast<uint8_t *>(&name[0]), count)) return false;
        if (node && !node->table.empty()) child = lookup(node, reinterpret_cast<const uint8_t *>(name.data()), count);
        return true;
    }

    bool object(const Node *node, size_t start, int depth) {
        if (depth > AR_DEPTH_MAX) return fail(AR_ERROR_DEPTH, start);
        bool hashed = node && node->row_slot >= 0;
        uint64_t hash = key3;
        size_t run = 0, run_end = 0;
        uint32_t members = 0;
        if (token < token_end && text[*token] == '}') {
            token++;
        } else {
            while (true) {
                const Node *child;
                size_t name;
                if (!key(node, child, name)) return false;
                if (token >= token_end) return fail(AR_ERROR_TRUNCATED, parser.length);
                bool is_null = text[*token] == 'n';
                if (!value(child, depth)) return false;
                if (hashed) {
                    if (child && child->excluded) {
                        if (run) hash = hash_bytes(hash, text + run, run_end - run);
                        run = 0;
                    } else {
                        if (!run) run = name;
                        run_end = end_of(name);
                        members += is_null ? 0 : 1;
                    }
                }
                if (token >= token_end) return fail(AR_ERROR_TRUNCATED, parser.length);
                uint8_t next = text[*token];
                if (next == ',') {
                    token++;
                } else if (next == '}') {
                    token++;
                    break;
                } else {
                    return fail(AR_ERROR_SYNTAX, *token);
                }
            }
        }
        if (hashed) {
            if (run) hash = hash_bytes(hash, text + run, run_end - run);
            uint16_t count = static_cast<uint16_t>(members > 65535 ? 65535 : members);
            slots[node->row_slot] = ar_slot{AR_UINT, 0, count, 0, hash};
        }
        container(node, AR_OBJECT, start);
        return true;
    }

    bool array(const Node *node, size_t start, int depth) {
        if (depth > AR_DEPTH_MAX) return fail(AR_ERROR_DEPTH, start);
        if (token < token_end && text[*token] == ']') {
            token++;
        } else {
            while (true) {
                if (!value(nullptr, depth)) return false;
                if (token >= token_end) return fail(AR_ERROR_TRUNCATED, parser.length);
                uint8_t next = text[*token];
                if (next == ',') {
                    token++;
                } else if (next == ']') {
                    token++;
                    break;
                } else {
                    return fail(AR_ERROR_SYNTAX, *token);
                }
            }
        }
        container(node, AR_LIST, start);
        return true;
    }

    // Copies the text of a list or object; its closing bracket is the token just passed.
    void container(const Node *node, uint8_t kind, size_t start) {
        if (!node || node->slot < 0) return;
        size_t count = token[-1] + 1 - start;
        put(*node, ar_slot{kind, 0, 0, copy(text + start, count), count});
    }
};

// The first byte that is not UTF-8, and the first control character inside a string.
size_t first_bad_utf8(const uint8_t *text, size_t length) {
    size_t index = 0;
    while (index < length) {
        uint8_t lead = text[index];
        if (lead < 0x80) {
            index++;
            continue;
        }
        size_t more = lead >= 0xC2 && lead <= 0xDF ? 1 : lead >= 0xE0 && lead <= 0xEF ? 2
                    : lead >= 0xF0 && lead <= 0xF4 ? 3 : 0;
        if (more == 0 || index + more >= length) return index;
        for (size_t step = 1; step <= more; step++) {
            uint8_t low = 0x80, high = 0xBF;
            if (step == 1) {
                if (lead == 0xE0) low = 0xA0;
                if (lead == 0xED) high = 0x9F;
                if (lead == 0xF0) low = 0x90;
                if (lead == 0xF4) high = 0x8F;
            }
            if (text[index + step] < low || text[index + step] > high) return index;
        }
        index += more + 1;
    }
    return length;
}

size_t first_control_character(const uint8_t *text, size_t length) {
    bool inside = false;
    for (size_t index = 0; index < length; index++) {
        if (inside && text[index] == '\\') index++;
        else if (text[index] == '"') inside = !inside;
        else if (inside && text[index] < 0x20) return index;
    }
    return length;
}

bool ensure_capacity(ar_parser &parser, size_t count) {
    constexpr size_t small = 256 << 10, large = 2 << 20;
    bool shrink = parser.capacity > large && count <= small;
    if (parser.buffer && count <= parser.capacity && !shrink) return true;
    size_t capacity = count <= small ? small : count + count / 4;
    if (capacity > 0xFFFFFF00 - padding) return false;
    std::unique_ptr<uint8_t[]> buffer(new (std::nothrow) uint8_t[capacity + padding]);
    if (!buffer) return false;
    std::unique_ptr<simdjson::internal::dom_parser_implementation> stage;
    auto made = simdjson::get_active_implementation()->create_dom_parser_implementation(capacity, AR_DEPTH_MAX, stage);
    if (made != simdjson::SUCCESS) return false;
    parser.buffer = std::move(buffer);
    parser.stage = std::move(stage);
    parser.capacity = capacity;
    return true;
}

int first_stage_error(ar_parser &parser, simdjson::error_code code) {
    const uint8_t *text = parser.buffer.get();
    size_t bad = first_bad_utf8(text, parser.length);
    if (bad < parser.length) {
        parser.error_offset = bad;
        return AR_ERROR_UTF8;
    }
    size_t control = first_control_character(text, parser.length);
    if (code == simdjson::UNESCAPED_CHARS || control < parser.length) {
        parser.error_offset = control;
        return AR_ERROR_CONTROL_CHARACTER;
    }
    parser.error_offset = parser.length;
    if (code == simdjson::EMPTY) return AR_ERROR_EMPTY;
    if (code == simdjson::MEMALLOC || code == simdjson::CAPACITY) return AR_ERROR_MEMORY;
    return AR_ERROR_UNCLOSED_STRING;
}

// Moves to the next object of the sequence or array; `parser.token` then stands at its brace.
int advance(ar_parser &parser) {
    const uint8_t *text = parser.buffer.get();
    auto fail = [&](int code, size_t offset) {
        parser.error_offset = offset;
        return code;
    };
    if (parser.is_first && parser.token < parser.token_end && text[*parser.token] == '[') {
        parser.in_array = true;
        parser.token++;
        if (parser.token < parser.token_end && text[*parser.token] == ']') {
            parser.token++;
            parser.is_first = false;
            parser.in_array = false;
            if (parser.token < parser.token_end) return fail(AR_ERROR_TRAILING, *parser.token);
            return AR_END;
        }
    } else if (parser.in_array && !parser.is_first) {
        if (parser.token >= parser.token_end) return fail(AR_ERROR_TRUNCATED, parser.length);
        uint8_t next = text[*parser.token];
        if (next == ']') {
            parser.token++;
            if (parser.token < parser.token_end) return fail(AR_ERROR_TRAILING, *parser.token);
            parser.in_array = false;
            return AR_END;
        }
        if (next != ',') return fail(AR_ERROR_SYNTAX, *parser.token);
        parser.token++;
    } else if (!parser.is_first) {
        if (parser.token >= parser.token_end) return AR_END;
        size_t start = *parser.token;
        if (std::memchr(text + parser.last_end, '\n', start - parser.last_end) == nullptr)
            return fail(AR_ERROR_TRAILING, start);
    }
    if (parser.token >= parser.token_end)
        return fail(parser.in_array ? AR_ERROR_TRUNCATED : AR_ERROR_EMPTY, parser.length);
    if (text[*parser.token] != '{') {
        return fail(parser.is_first || parser.in_array ? AR_ERROR_NO_OBJECT : AR_ERROR_TRAILING, *parser.token);
    }
    parser.is_first = false;
    return AR_OBJECT_READ;
}

int extract(ar_parser &parser, const ar_plan &plan, ar_slot *slots, uint8_t *arena, size_t *used, uint32_t base) {
    parser.back_token = parser.token;
    parser.back_in_array = parser.in_array;
    parser.back_is_first = parser.is_first;
    parser.back_last_end = parser.last_end;
    int state = advance(parser);
    if (state != AR_OBJECT_READ) return state;
    std::memset(slots, 0, plan.slot_count * sizeof(ar_slot));
    Walk walk(parser, plan, slots, arena, *used, base);
    size_t start = *walk.token++;
    if (!walk.object(&plan.nodes[0], start, 1)) return walk.error;
    parser.token = walk.token;
    parser.last_end = walk.token[-1] + 1;
    *used = walk.used;
    return AR_OBJECT_READ;
}

}  // namespace

extern "C" {

ar_plan *ar_plan_create(void) { return new (std::nothrow) ar_plan; }

void ar_plan_destroy(ar_plan *plan) { delete plan; }

void ar_plan_add(ar_plan *plan, const char *const *names, const size_t *lengths, size_t count, uint32_t slot) {
    Node &node = plan->nodes[plan->at(names, lengths, count)];
    if (node.slot < 0) node.slot = static_cast<int32_t>(slot);
    else node.more_slots.push_back(static_cast<int32_t>(slot));
    plan->slot_count = std::max(plan->slot_count, slot + 1);
    plan->overlap = std::max<size_t>(1, plan->depth(0));
}

void ar_plan_add_row(ar_plan *plan, const char *const *names, const size_t *lengths, size_t count, uint32_t slot) {
    plan->nodes[plan->at(names, lengths, count)].row_slot = static_cast<int32_t>(slot);
    plan->slot_count = std::max(plan->slot_count, slot + 1);
}

void ar_plan_exclude(ar_plan *plan, const char *const *names, const size_t *lengths, size_t count) {
    plan->nodes[plan->at(names, lengths, count)].excluded = true;
}

uint32_t ar_plan_slot_count(const ar_plan *plan) { return plan->slot_count; }

size_t ar_plan_arena_bytes(const ar_plan *plan, size_t byte_count) { return plan->overlap * byte_count + padding; }

ar_parser *ar_parser_create(void) { return new (std::nothrow) ar_parser; }

void ar_parser_destroy(ar_parser *parser) { delete parser; }

int ar_parser_begin(ar_parser *parser, const uint8_t *bytes, size_t count) {
    parser->token = parser->token_end = nullptr;
    parser->in_array = false;
    parser->is_first = true;
    parser->last_end = 0;
    parser->error_offset = 0;
    parser->length = count;
    if (count == 0) return AR_ERROR_EMPTY;
    if (!ensure_capacity(*parser, count)) return AR_ERROR_MEMORY;
    uint8_t *text = parser->buffer.get();
    std::memcpy(text, bytes, count);
    std::memset(text + count, ' ', padding);
    auto code = parser->stage->stage1(text, count, simdjson::stage1_mode::regular);
    if (code != simdjson::SUCCESS) return first_stage_error(*parser, code);
    parser->token = parser->stage->structural_indexes.get();
    parser->token_end = parser->token + parser->stage->n_structural_indexes;
    parser->has_backslash = std::memchr(text, '\\', count) != nullptr;
    return 0;
}

int ar_parser_next(ar_parser *parser, const ar_plan *plan, ar_slot *slots, uint8_t *arena, size_t *used,
                   uint32_t base) {
    return extract(*parser, *plan, slots, arena, used, base);
}

void ar_parser_back(ar_parser *parser) {
    parser->token = parser->back_token;
    parser->in_array = parser->back_in_array;
    parser->is_first = parser->back_is_first;
    parser->last_end = parser->back_last_end;
}

size_t ar_parser_error_offset(const ar_parser *parser) { return parser->error_offset; }

int ar_number(const uint8_t *bytes, size_t count, ar_slot *value) {
    value->short_text_count = static_cast<uint16_t>(count > 65535 ? 65535 : count);
    return count <= AR_NUMBER_LENGTH_MAX && Walk::parse_number(bytes, bytes + count, value) ? 1 : 0;
}

uint64_t ar_hash(uint64_t seed, const uint8_t *bytes, size_t count) { return hash_bytes(seed, bytes, count); }

}  // extern "C"
