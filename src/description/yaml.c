// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * YAML as a tree with places: see yaml.h.
 *
 * The tree is built from libfyaml's events and not taken from its document, because a document expands aliases, reports
 * only the first doubled key and forgets everything at a syntax error.
 */
#include "description/yaml.h"

#include "base/cleanup.h"

#include <libfyaml.h>
#include <string.h>

#define DEPTH_LIMIT 16   /* a description needs four */
#define NODE_LIMIT 65536 /* all rules with two sources each, with room to spare */

struct reader {
        struct fy_parser *parser;
        struct fy_event *event; /* the current one; the next request frees it */
        struct problems *problems;
        const char *text; /* what is read */
        size_t length;
        int line, column; /* of the last event that had a place */
        int depth;
        size_t nodes;
};

void node_clear(struct node *node)
{
        for (size_t i = 0; i < node->count; i++)
                node_clear(&node->items[i]);
        free(node->items);
        free(node->text);
        *node = (struct node){0};
}

size_t utf8_decode(const char *text, size_t length, uint32_t *point)
{
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        const unsigned char *s = (const unsigned char *)text;
        if (!length)
                return 0;
        *point = s[0];
        if (s[0] < 0x80)
                return 1;
        size_t n = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
        if (s[0] < 0xC2 || s[0] > 0xF4 || n > length)
                return 0;
        uint32_t value = s[0] & (0x7Fu >> n);
        for (size_t i = 1; i < n; i++) {
                if ((s[i] & 0xC0) != 0x80)
                        return 0;
                value = value << 6 | (s[i] & 0x3F);
        }
        if (value < least[n] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
                return 0;
        *point = value;
        return n;
}

/*
 * Reports every byte and character that a description cannot hold, one report for each run of them. The library is not
 * asked: it takes some of these without a word. Returns false when the library should not see the text at all.
 */
static bool check_characters(const char *text, size_t length, struct problems *problems)
{
        int line = 1, column = 1;
        bool good = true, running = false;
        if (length >= 2 && (!memcmp(text, "\xFF\xFE", 2) || !memcmp(text, "\xFE\xFF", 2))) {
                problem_add(problems, 1, 1, "this looks like UTF-16: a description is UTF-8");
                return false;
        }
        for (size_t i = 0; i < length;) {
                uint32_t point = 0;
                size_t n = utf8_decode(text + i, length - i, &point);
                bool bad = true;
                if (!n) {
                        if (!running)
                                problem_add(
                                        problems, line, column,
                                        "byte 0x%02x is not UTF-8; a file name that is not is written with !!binary",
                                        (unsigned char)text[i]);
                        n = 1;
                } else if (!point) {
                        if (!running)
                                problem_add(problems, line, column, "a NUL byte");
                } else if (point == '\t') {
                        /* YAML takes tabs in places; libfyaml 0.7.12 frees memory twice over one behind "? key:". */
                        if (!running)
                                problem_add(problems, line, column,
                                            "a tab: YAML indents with spaces; in a name write it as \"\\t\" in double "
                                            "quotes");
                } else if ((point < 0x20 && point != '\n' && point != '\r') || (point >= 0x7F && point < 0xA0) ||
                           point == 0xFFFE || point == 0xFFFF || (point == 0xFEFF && i)) {
                        if (!running)
                                problem_add(
                                        problems, line, column,
                                        "character U+%04X cannot stand here: write it as \"\\u%04x\" in double quotes",
                                        (unsigned)point, (unsigned)point);
                } else {
                        bad = false;
                }
                good = good && !bad;
                running = bad;
                /* Directives end here: the library takes minutes over a file full of them. */
                if (point == '%' && column == 1) {
                        problem_add(problems, line, column, "a description has no directives (%%YAML, %%TAG)");
                        return false;
                }
                column += point != 0xFEFF || i; /* a byte order mark is no column */
                i += n;
                if (point == '\n' || (point == '\r' && !(i < length && text[i] == '\n'))) {
                        line++;
                        column = 1;
                }
        }
        return good;
}

/* The next event, or NULL at the end and after an error. It is the reader's until the next one is asked for. */
static struct fy_event *next(struct reader *r)
{
        fy_parser_event_free(r->parser, r->event);
        r->event = fy_parser_parse(r->parser);
        const struct fy_mark *mark = r->event ? fy_event_start_mark(r->event) : NULL;
        if (mark) {
                r->line = mark->line + 1;
                r->column = mark->column + 1;
        }
        return r->event;
}

/* The value of a base64 digit, or -1. */
static int digit(char c)
{
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        const char *at = c ? strchr(digits, c) : NULL;
        return at ? (int)(at - digits) : -1;
}

/* Replaces base64 by the bytes it stands for, in place. White space between digits is skipped. Only the canonical form
 * is taken: padded to whole groups of four, with no bit left over. */
static bool decode_base64(struct node *node)
{
        size_t out = 0, have = 0, padding = 0;
        unsigned bits = 0;
        for (size_t i = 0; i < node->length; i++) {
                char c = node->text[i];
                if (c && strchr(" \t\r\n", c))
                        continue;
                int value = digit(c);
                if (c == '=' ? have < 2 : padding || value < 0)
                        return false;
                padding += c == '=';
                bits = bits << 6 | (unsigned)(c == '=' ? 0 : value);
                if (++have < 4)
                        continue;
                if (padding > 2 || (bits & ((1u << 8 * padding) - 1)))
                        return false;
                for (size_t k = 0; k < 3 - padding; k++)
                        node->text[out++] = (char)(bits >> (16 - 8 * k));
                bits = 0;
                have = 0;
                if (padding)
                        padding = 3; /* nothing may follow */
        }
        node->text[out] = '\0';
        node->length = out;
        return !have;
}

/* libfyaml 0.7.12 reads '' within single quotes as one quote, but '''' as three. Is that in this scalar? */
static bool has_adjacent_quotes(const struct reader *r, struct fy_token *value)
{
        const struct fy_mark *start = fy_token_start_mark(value), *end = fy_token_end_mark(value);
        return fy_scalar_token_get_style(value) == FYSS_SINGLE_QUOTED && start && end && end->input_pos <= r->length &&
               start->input_pos < end->input_pos &&
               memmem(r->text + start->input_pos, end->input_pos - start->input_pos, "''''", 4);
}

/* Takes the text of a scalar. By its pieces: fy_token_get_text() would leave out the end after such quotes. */
static void read_text(struct reader *r, struct fy_token *value, struct node *node)
{
        cleanup_text struct text t = {0};
        text_add(&t, "");
        struct fy_token_iter *pieces = value ? fy_token_iter_create(value) : NULL;
        const struct fy_iter_chunk *piece = NULL;
        int error = value && !pieces ? -1 : 0;
        while (pieces && (piece = fy_token_iter_chunk_next(pieces, piece, &error)))
                text_add_bytes(&t, piece->str, piece->len);
        fy_token_iter_destroy(pieces);
        node->unusable = error || (value && has_adjacent_quotes(r, value));
        if (error)
                problem_add(r->problems, node->line, node->column, "YAML syntax: this value cannot be read");
        else if (node->unusable)
                problem_add(r->problems, node->line, node->column,
                            "several quotes side by side in single quotes: write this in double quotes");
        node->length = t.length;
        node->text = steal_pointer(&t.data);
}

/* Checks anchor and tag of the current event's node, and takes the text of a scalar. */
static void read_properties(struct reader *r, struct node *node)
{
        struct fy_token *anchor = fy_event_get_anchor_token(r->event), *tag = fy_event_get_tag_token(r->event);
        if (anchor) {
                const struct fy_mark *mark = fy_token_start_mark(anchor);
                problem_add(
                        r->problems, mark ? mark->line + 1 : node->line, mark ? mark->column : node->column,
                        "an anchor: a description has neither anchors nor aliases; write the value where it is used");
        }
        if (node->kind == NODE_SCALAR) {
                struct fy_token *value = fy_event_get_token(r->event);
                enum fy_scalar_style style = value ? fy_scalar_token_get_style(value) : FYSS_PLAIN;
                node->plain = !tag && style == FYSS_PLAIN;
                if (style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED)
                        node->column--; /* the library counts from after the quote */
                read_text(r, value, node);
                /* No key takes several lines, and libfyaml 0.7.12 is not strict about where such a text ends. */
                if (style == FYSS_LITERAL || style == FYSS_FOLDED) {
                        problem_add(r->problems, node->line, node->column,
                                    "a text block ('|' or '>'): write the value on one line, in quotes if need be");
                        node->unusable = true;
                }
        }
        if (!tag)
                return;
        size_t n = 0;
        const char *name = fy_token_get_text(tag, &n);
        cleanup_free char *word = shown(name ? name : "", name ? n : 0);
        if (node->kind == NODE_SCALAR && strcmp(word, "tag:yaml.org,2002:str") == 0)
                return;
        if (node->kind == NODE_SCALAR && strcmp(word, "tag:yaml.org,2002:binary") == 0) {
                if (decode_base64(node))
                        return;
                problem_add(r->problems, node->line, node->column, "this is not base64, which !!binary announces");
        } else {
                problem_add(r->problems, node->line, node->column,
                            "tag '%s' has no meaning here: only !!binary and !!str do, on words and names", word);
        }
        node->unusable = true;
}

static int by_text(const void *a, const void *b)
{
        const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;
        int order = memcmp(x->text, y->text, x->length < y->length ? x->length : y->length);
        if (!order)
                order = x->length < y->length ? -1 : x->length > y->length;
        return order ? order : x < y ? -1 : x > y;
}

/* Reports each key of a map that was there before, and makes it unusable. Sorting keeps this cheap for hostile maps. */
static void check_doubles(struct reader *r, struct node *map)
{
        cleanup_free struct node **keys = memory_grow(NULL, map->count / 2, sizeof *keys);
        size_t count = 0;
        for (size_t i = 0; i + 1 < map->count; i += 2)
                if (map->items[i].kind == NODE_SCALAR && !map->items[i].unusable)
                        keys[count++] = &map->items[i];
        if (count)
                qsort(keys, count, sizeof *keys, by_text);
        for (size_t i = 1, first = 0; i < count; i++) {
                if (keys[i]->length != keys[first]->length ||
                    memcmp(keys[i]->text, keys[first]->text, keys[i]->length) != 0) {
                        first = i;
                        continue;
                }
                cleanup_free char *word = shown(keys[i]->text, keys[i]->length);
                problem_add(r->problems, keys[i]->line, keys[i]->column, "duplicate key '%s', first on line %d", word,
                            keys[first]->line);
                keys[i]->unusable = true;
        }
}

static bool read_node(struct reader *r, struct node *node);

/* Reads what is in a list or map, up to its end. False: it has no end, and what is incomplete was dropped. */
static bool read_items(struct reader *r, struct node *node, enum fy_event_type end)
{
        bool complete = true;
        while (complete && next(r) && r->event->type != end) {
                struct node item = {0};
                complete = read_node(r, &item);
                /* Where a value is that is not there depends on the library's version: it is where its key is. */
                if (node->kind == NODE_MAP && node->count % 2 && item.kind == NODE_SCALAR && item.plain &&
                    !item.length) {
                        item.line = node->items[node->count - 1].line;
                        item.column = node->items[node->count - 1].column;
                }
                /* A branch without its end is worth keeping only when it is the value of a key. */
                if (complete || (node->kind == NODE_MAP && node->count % 2 && item.kind == NODE_MAP))
                        *vector_add(node->items, node->count, node->capacity) = item;
                else
                        node_clear(&item);
        }
        complete = complete && r->event;
        if (node->kind == NODE_MAP) {
                if (node->count % 2)
                        node_clear(&node->items[--node->count]);
                check_doubles(r, node);
        }
        return complete;
}

/* Reads one node, whose first event is the current one. False: the text ended before the node did. */
static bool read_node(struct reader *r, struct node *node)
{
        *node = (struct node){.line = r->line, .column = r->column};
        if (++r->nodes > NODE_LIMIT) {
                problem_add(r->problems, node->line, node->column, "this is too long for a description");
                return false;
        }
        switch (r->event->type) {
        case FYET_SCALAR:
                read_properties(r, node);
                return true;
        case FYET_ALIAS:
                /* Its place is that of its name, after the '*'. */
                problem_add(r->problems, node->line, node->column - 1,
                            "an alias: a description has neither anchors nor aliases; write the value itself");
                node->unusable = true;
                return true;
        case FYET_SEQUENCE_START:
        case FYET_MAPPING_START: {
                bool list = r->event->type == FYET_SEQUENCE_START;
                node->kind = list ? NODE_LIST : NODE_MAP;
                if (r->depth == DEPTH_LIMIT) {
                        problem_add(r->problems, node->line, node->column,
                                    "this is nested too deeply for a description");
                        return false;
                }
                read_properties(r, node);
                r->depth++;
                bool complete = read_items(r, node, list ? FYET_SEQUENCE_END : FYET_MAPPING_END);
                r->depth--;
                return complete;
        }
        default:
                return false;
        }
}

/* The library's commonest messages, and the least clear, in other words. Matched by their beginning. */
static const struct {
        const char *theirs, *ours;
} messages[] = {
        {"invalid multiline plain key", "by its indentation the next line belongs to this value, but it has a key of "
                                        "its own: indent it as the others"},
};

/* Reports what the library has against the text. */
static void report_syntax(struct reader *r, struct fy_diag *diag)
{
        void *position = NULL;
        struct fy_diag_error *error;
        bool told = false;
        while ((error = fy_diag_errors_iterate(diag, &position))) {
                const char *theirs = error->msg ? error->msg : "not YAML", *ours = NULL;
                for (size_t i = 0; i < sizeof messages / sizeof *messages; i++)
                        if (strncmp(theirs, messages[i].theirs, strlen(messages[i].theirs)) == 0)
                                ours = messages[i].ours;
                cleanup_free char *safe = text_escape(ours ? ours : theirs);
                problem_add(r->problems, error->line, error->column, "YAML syntax: %s", safe);
                told = true;
        }
        if (!told && fy_parser_get_stream_error(r->parser))
                problem_add(r->problems, r->line, r->column, "YAML syntax: not understood from here on");
}

static void ignore(struct fy_diag *diag, void *user, const char *text, size_t length)
{
        (void)diag, (void)user, (void)text, (void)length;
}

/* Reads the stream: one document at most. */
static bool read_stream(struct reader *r, struct node *root)
{
        bool found = false;
        while (next(r)) {
                if (r->event->type != FYET_DOCUMENT_START)
                        continue;
                if (found) {
                        if (r->event->document_start.implicit)
                                next(r); /* such a document has no place of its own; its first node has */
                        problem_add(r->problems, r->line, r->column,
                                    "a second document begins here: one file describes one environment");
                        return true;
                }
                if (!next(r))
                        return false;
                found = true;
                if (!read_node(r, root))
                        return root->kind == NODE_MAP;
        }
        return found;
}

bool yaml_read(const char *text, size_t length, struct node *root, struct problems *problems)
{
        *root = (struct node){0};
        if (!check_characters(text, length, problems))
                return false;

        struct fy_diag_cfg diagnostics;
        fy_diag_cfg_default(&diagnostics);
        diagnostics.fp = NULL;
        diagnostics.output_fn = ignore; /* problems are collected; nothing goes to the terminal */
        diagnostics.colorize = false;
        struct fy_diag *diag = fy_diag_create(&diagnostics);
        fy_diag_set_collect_errors(diag, true);
        struct fy_parse_cfg configuration = {.flags = FYPCF_DEFAULT_PARSE | FYPCF_JSON_NONE, .diag = diag};
        struct reader r = {.parser = fy_parser_create(&configuration), .problems = problems, .line = 1, .column = 1};
        bool found = false;
        /* A last line without its end: after a backslash there, libfyaml 0.7.12 runs into an assertion. */
        cleanup_free char *whole = memory_new(length + 2);
        if (length)
                memcpy(whole, text, length);
        if (length && text[length - 1] != '\n')
                whole[length++] = '\n';
        r.text = whole;
        r.length = length;
        if (!r.parser || fy_parser_set_string(r.parser, whole, length) < 0) {
                problem_add(problems, 1, 1, "the YAML library could not be started: out of memory?");
        } else {
                found = read_stream(&r, root);
                report_syntax(&r, diag);
                fy_parser_event_free(r.parser, r.event);
        }
        fy_parser_destroy(r.parser);
        fy_diag_destroy(diag);
        return found;
}
