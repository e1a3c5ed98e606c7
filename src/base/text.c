// SPDX-License-Identifier: GPL-3.0-or-later
/* Growing text, and text made safe to show: see text.h. */
#include "base/text.h"

#include "base/cleanup.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

void text_add_bytes(struct text *t, const char *s, size_t n)
{
        if (t->length + n + 1 > t->capacity) {
                size_t capacity = t->capacity ? t->capacity : 64;
                while (capacity < t->length + n + 1)
                        capacity *= 2;
                t->data = memory_grow(t->data, capacity, 1);
                t->capacity = capacity;
        }
        memcpy(t->data + t->length, s, n);
        t->length += n;
        t->data[t->length] = '\0';
}

void text_add(struct text *t, const char *s)
{
        text_add_bytes(t, s, strlen(s));
}

void text_addf(struct text *t, const char *fmt, ...)
{
        cleanup_free char *piece = NULL;
        va_list args;
        va_start(args, fmt);
        if (vasprintf(&piece, fmt, args) < 0)
                piece = NULL;
        va_end(args);
        if (piece)
                text_add(t, piece);
}

void text_clear(struct text *t)
{
        free(t->data);
        *t = (struct text){0};
}

/* Length of the valid UTF-8 sequence at `s` that is safe to show, 0 when there is none. Not safe: C0 and C1 controls,
 * and the characters that reorder what surrounds them (U+202A..202E, U+2066..2069, U+200E/F), which can make one file
 * name look like another. */
static size_t printable(const unsigned char *s)
{
        static const struct { unsigned char lead, mask; uint32_t least; } forms[] = {
                {0xC0, 0xE0, 0x80}, {0xE0, 0xF0, 0x800}, {0xF0, 0xF8, 0x10000}};
        if (s[0] < 0x80)
                return s[0] >= 0x20 && s[0] != 0x7F && s[0] != '\\';
        for (size_t form = 0; form < 3; form++) {
                if ((s[0] & forms[form].mask) != forms[form].lead)
                        continue;
                uint32_t point = s[0] & (unsigned char)~forms[form].mask;
                for (size_t i = 1; i <= form + 1; i++) {
                        if ((s[i] & 0xC0) != 0x80)
                                return 0;
                        point = point << 6 | (s[i] & 0x3F);
                }
                bool reorders = (point >= 0x202A && point <= 0x202E) || (point >= 0x2066 && point <= 0x2069) ||
                                point == 0x200E || point == 0x200F || point == 0x2028 || point == 0x2029;
                if (point < forms[form].least || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF) ||
                    point < 0xA0 || reorders)
                        return 0;
                return form + 2;
        }
        return 0;
}

void text_add_escaped(struct text *t, const char *s)
{
        const unsigned char *p = (const unsigned char *)s;
        for (;;) {
                const unsigned char *safe = p;
                for (size_t n; (n = printable(p));)
                        p += n;
                text_add_bytes(t, (const char *)safe, (size_t)(p - safe));
                if (!*p)
                        return;
                if (*p == '\n')
                        text_add(t, "\\n");
                else if (*p == '\t')
                        text_add(t, "\\t");
                else if (*p == '\\')
                        text_add(t, "\\\\");
                else
                        text_addf(t, "\\x%02x", *p);
                p++;
        }
}

char *text_escape(const char *s)
{
        struct text t = {0};
        text_add_escaped(&t, s);
        return t.data;
}

static int hex(char c)
{
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *text_unescape(const char *s)
{
        cleanup_text struct text t = {0};
        text_add(&t, "");
        for (; *s; s++) {
                size_t plain = strcspn(s, "\\");
                text_add_bytes(&t, s, plain);
                s += plain;
                char c = *s;
                if (!c)
                        break;
                if (c == '\\') {
                        c = *++s;
                        int high = c == 'x' ? hex(s[1]) : -1, low = high < 0 ? -1 : hex(s[2]);
                        if (c == 'n')
                                c = '\n';
                        else if (c == 't')
                                c = '\t';
                        else if (high >= 0 && low >= 0) {
                                c = (char)(high << 4 | low);
                                s += 2;
                                if (!c)
                                        return NULL;
                        } else if (c != '\\')
                                return NULL;
                }
                text_add_bytes(&t, &c, 1);
        }
        char *result = t.data;
        t.data = NULL;
        return result;
}

int text_fields(char *line, int limit, char ***fields)
{
        int count = 0, capacity = 0;
        char **list = NULL, *rest = line, *piece;
        while ((piece = strsep(&rest, "\t"))) {
                char *field = count < limit ? text_unescape(piece) : NULL;
                if (!field) {
                        text_fields_free(list, count);
                        return -1;
                }
                *vector_add(list, count, capacity) = field;
        }
        *fields = list;
        return count;
}

void text_fields_free(char **fields, int count)
{
        while (count > 0)
                free(fields[--count]);
        free(fields);
}

void text_add_shell(struct text *t, const char *s)
{
        static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-";
        if (*s && !s[strspn(s, safe)]) {
                text_add(t, s);
                return;
        }
        text_add(t, "'");
        for (; *s; s++)
                if (*s == '\'')
                        text_add(t, "'\\''");
                else
                        text_add_bytes(t, s, 1);
        text_add(t, "'");
}

/* Levenshtein distance, bounded to short words: what people mistype are keys and verbs. */
static size_t distance(const char *a, const char *b)
{
        size_t row[64], n = strlen(b);
        if (n >= 63 || strlen(a) >= 63)
                return SIZE_MAX;
        for (size_t j = 0; j <= n; j++)
                row[j] = j;
        for (size_t i = 1; a[i - 1]; i++) {
                size_t diagonal = row[0];
                row[0] = i;
                for (size_t j = 1; j <= n; j++) {
                        size_t change = diagonal + (a[i - 1] != b[j - 1]);
                        diagonal = row[j];
                        size_t least = change < row[j] + 1 ? change : row[j] + 1;
                        row[j] = least < row[j - 1] + 1 ? least : row[j - 1] + 1;
                }
        }
        return row[n];
}

const char *text_nearest(const char *word, const char *const *words)
{
        const char *best = NULL;
        size_t least = strlen(word) / 3 + 2; /* one slip in three letters still counts as meant */
        size_t length = strlen(word);
        for (const char *const *w = words; length >= 3 && *w; w++) /* the beginning of a word is meant as the word */
                if (strncmp(*w, word, length) == 0)
                        return *w;
        for (; *words; words++) {
                size_t d = distance(word, *words);
                if (d < least) {
                        least = d;
                        best = *words;
                }
        }
        return best;
}
