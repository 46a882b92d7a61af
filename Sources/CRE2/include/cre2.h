#pragma once
#include <stddef.h>
#include <stdint.h>

/// RE2 behind a C interface. Linear time in the text; the compiled program is bounded in size.

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ar_re2 ar_re2;

/// Compiles a pattern. On failure returns NULL and writes a message (cut to error_size, zero-terminated).
ar_re2 *ar_re2_compile(const char *pattern, size_t length, int64_t max_memory, char *error, size_t error_size);
void ar_re2_free(ar_re2 *regex);
/// 1 when the pattern occurs anywhere in the text.
int ar_re2_matches(const ar_re2 *regex, const char *text, size_t length);
/// Number of capturing groups.
int ar_re2_group_count(const ar_re2 *regex);
/// Finds the first match at or after start; fills offsets (2 per group, group 0 first; -1 where a group took no part).
int ar_re2_find(const ar_re2 *regex, const char *text, size_t length, size_t start, int64_t *offsets, int group_count);
/// 1 when the part occurs in the text; linear in both (glibc's memmem, which Swift does not see).
int ar_contains(const void *text, size_t length, const void *part, size_t part_length);

#ifdef __cplusplus
}
#endif
