#pragma once
#include <stddef.h>
#include <stdint.h>

// Extracts the values at a set of paths from JSON text, validating all of it.
//
// simdjson's first stage finds the tokens, checks UTF-8 and the ends of strings; the walk over the tokens is ours, so
// that every byte is validated, every error names its byte, and numbers keep their text. No C++ exception leaves.
//
// Rules: the last of several members of one name wins, path by path. Nesting above AR_DEPTH_MAX is an error. Escapes
// are decoded; a lone surrogate is an error. Several objects in one text are taken as a sequence, each on a line of its
// own, or as the elements of one array.

#ifdef __cplusplus
extern "C" {
#endif

#define AR_DEPTH_MAX 64
#define AR_NUMBER_LENGTH_MAX 1000

// One extracted value; laid out as Core.SlotValue. Texts lie in the caller's arena.
typedef struct ar_slot {
    uint8_t kind;
    uint8_t flags;
    uint16_t short_text_count;
    uint32_t text_offset;
    uint64_t bits;
} ar_slot;

// Kinds of ar_slot, equal to Core.SlotValue.Kind.
enum {
    AR_MISSING = 0,
    AR_NULL = 1,
    AR_BOOL = 3,
    AR_INT = 4,
    AR_UINT = 5,
    AR_DOUBLE = 6,
    AR_STRING = 8,
    AR_LIST = 11,
    AR_OBJECT = 12
};

// What ar_parser_next answers.
enum {
    AR_END = 0,
    AR_OBJECT_READ = 1,
    AR_ERROR_EMPTY = -1,
    AR_ERROR_UTF8 = -2,
    AR_ERROR_UNCLOSED_STRING = -3,
    AR_ERROR_CONTROL_CHARACTER = -4,
    AR_ERROR_SYNTAX = -5,
    AR_ERROR_NUMBER = -6,
    AR_ERROR_LITERAL = -7,
    AR_ERROR_ESCAPE = -8,
    AR_ERROR_DEPTH = -9,
    AR_ERROR_TRUNCATED = -10,
    AR_ERROR_TRAILING = -11,
    AR_ERROR_NO_OBJECT = -12,
    AR_ERROR_NUMBER_LENGTH = -13,
    AR_ERROR_MEMORY = -14
};

typedef struct ar_plan ar_plan;
typedef struct ar_parser ar_parser;

// A set of wanted paths. Fixed once the first text is read with it; may be shared by parsers.
ar_plan *ar_plan_create(void);
void ar_plan_destroy(ar_plan *plan);

// Wants the value at a path (names of members from the root down) in slot `slot`.
void ar_plan_add(ar_plan *plan, const char *const *names, const size_t *lengths, size_t count, uint32_t slot);

// Wants, for the object at a path (count 0: the root), a hash of its members as written, without those marked by
// ar_plan_exclude: kind AR_UINT, bits the hash, short_text_count the number of members that are not null (up to
// 65535). Kind AR_NULL for null, AR_MISSING for none or a value that is no object.
void ar_plan_add_row(ar_plan *plan, const char *const *names, const size_t *lengths, size_t count, uint32_t slot);

// Leaves the member at a path out of the hash of the object it lies in.
void ar_plan_exclude(ar_plan *plan, const char *const *names, const size_t *lengths, size_t count);

// How many slots a text is extracted into: one above the highest slot wanted.
uint32_t ar_plan_slot_count(const ar_plan *plan);

// Arena bytes that one text of `byte_count` bytes can take at most.
size_t ar_plan_arena_bytes(const ar_plan *plan, size_t byte_count);

// A parser with its reused buffers. For one thread at a time.
ar_parser *ar_parser_create(void);
void ar_parser_destroy(ar_parser *parser);

// Takes a text; copies it. Returns 0 or an AR_ERROR.
int ar_parser_begin(ar_parser *parser, const uint8_t *bytes, size_t count);

// Extracts the next object. All slots of the plan are written. Texts are copied to `arena` + *used, which is advanced;
// their offsets are relative to `arena` plus `base`. Returns AR_OBJECT_READ, AR_END or an AR_ERROR.
int ar_parser_next(ar_parser *parser, const ar_plan *plan, ar_slot *slots, uint8_t *arena, size_t *used,
                   uint32_t base);

// Goes back to before the object that ar_parser_next read last, to read it by another plan.
void ar_parser_back(ar_parser *parser);

// The byte at which the last error was noticed.
size_t ar_parser_error_offset(const ar_parser *parser);

// Whether a text is a JSON number; then kind, bits and short_text_count of `value` are set.
int ar_number(const uint8_t *bytes, size_t count, ar_slot *value);

// A stable hash of bytes (the same in every version of the program: it is stored in checkpoints).
uint64_t ar_hash(uint64_t seed, const uint8_t *bytes, size_t count);

#ifdef __cplusplus
}
#endif
