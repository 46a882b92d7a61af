#include "cre2.h"

#include <re2/re2.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <vector>

// No C++ exception may pass into Swift: RE2 throws none, and allocation failure ends the process as in Swift.

struct ar_re2 {
    RE2 regex;
    ar_re2(re2::StringPiece pattern, const RE2::Options &options) : regex(pattern, options) {}
};

extern "C" {

ar_re2 *ar_re2_compile(const char *pattern, size_t length, int64_t max_memory, char *error, size_t error_size) {
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(max_memory);
    ar_re2 *compiled = new (std::nothrow) ar_re2(re2::StringPiece(pattern, length), options);
    if (compiled == nullptr) return nullptr;
    if (compiled->regex.ok()) return compiled;
    if (error_size > 0) {
        const std::string &message = compiled->regex.error();
        size_t count = std::min(message.size(), error_size - 1);
        memcpy(error, message.data(), count);
        error[count] = 0;
    }
    delete compiled;
    return nullptr;
}

void ar_re2_free(ar_re2 *regex) { delete regex; }

int ar_re2_matches(const ar_re2 *regex, const char *text, size_t length) {
    re2::StringPiece piece(text, length);
    return regex->regex.Match(piece, 0, length, RE2::UNANCHORED, nullptr, 0) ? 1 : 0;
}

int ar_re2_group_count(const ar_re2 *regex) { return regex->regex.NumberOfCapturingGroups(); }

int ar_re2_find(const ar_re2 *regex, const char *text, size_t length, size_t start, int64_t *offsets, int group_count) {
    if (start > length || group_count < 1) return 0;
    std::vector<re2::StringPiece> groups(group_count);
    if (!regex->regex.Match(re2::StringPiece(text, length), start, length, RE2::UNANCHORED, groups.data(), group_count)) {
        return 0;
    }
    for (int i = 0; i < group_count; i++) {
        bool took_part = groups[i].data() != nullptr;
        offsets[2 * i] = took_part ? groups[i].data() - text : -1;
        offsets[2 * i + 1] = took_part ? groups[i].data() - text + (int64_t)groups[i].size() : -1;
    }
    return 1;
}

int ar_contains(const void *text, size_t length, const void *part, size_t part_length) {
    return memmem(text, length, part, part_length) != nullptr ? 1 : 0;
}
}
