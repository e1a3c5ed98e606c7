// SPDX-License-Identifier: GPL-3.0-or-later
/* Grants as values: see grant.h. */
#include "model/grant.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "model/environment.h"

#include <stdint.h>
#include <string.h>
#include <time.h>

#define SPAN_LIMIT (10LL * 366 * 86400)

static char *copy_of(const char *s)
{
        return s ? memory_string(s) : NULL;
}

static bool same(const char *a, const char *b)
{
        return a == b || (a && b && strcmp(a, b) == 0);
}

void grant_clear(struct grant *g)
{
        free(g->resource);
        free(g->inside);
        free(g->set);
        free(g->to);
        *g = (struct grant){0};
}

void grant_copy(struct grant *to, const struct grant *from)
{
        *to = *from;
        to->resource = copy_of(from->resource);
        to->inside = copy_of(from->inside);
        to->set = copy_of(from->set);
        to->to = copy_of(from->to);
}

void grant_list_clear(struct grant_list *grants)
{
        for (size_t i = 0; i < grants->count; i++)
                grant_clear(&grants->grants[i]);
        free(grants->grants);
        *grants = (struct grant_list){0};
}

void grant_list_copy(struct grant_list *to, const struct grant_list *from)
{
        *to = (struct grant_list){0};
        for (size_t i = 0; i < from->count; i++)
                grant_copy(vector_add(to->grants, to->count, to->capacity), &from->grants[i]);
}

bool grant_equal(const struct grant *a, const struct grant *b)
{
        return same(a->resource, b->resource) && same(a->inside, b->inside) && same(a->set, b->set) &&
               same(a->to, b->to) && a->writable == b->writable && a->noexec == b->noexec && a->plain == b->plain &&
               a->keep == b->keep && a->once == b->once && a->locked == b->locked && a->expiry == b->expiry &&
               a->seconds == b->seconds;
}

const char *grant_inside(const struct grant *g)
{
        return g->inside ? g->inside : g->resource;
}

int grant_list_add(struct grant_list *grants, const struct grant *grant, struct error *err)
{
        for (size_t i = 0; i < grants->count; i++) {
                const struct grant *old = &grants->grants[i];
                if (grant_equal(old, grant))
                        return 0;
                bool clash = grant->resource ? old->resource && same(grant_inside(old), grant_inside(grant)) &&
                                                       same(old->to, grant->to)
                                             : !old->resource && same(old->set, grant->set) && same(old->to, grant->to);
                if (clash) {
                        cleanup_free char *shown = text_escape(grant->resource ? grant_inside(grant) : grant->set);
                        return error_set(err, EEXIST, "two grants on %s contradict each other", shown);
                }
        }
        grant_copy(vector_add(grants->grants, grants->count, grants->capacity), grant);
        return 0;
}

static const char *const kinds[] = {[RESOURCE_UNKNOWN] = "unknown", [RESOURCE_TREE] = "tree", [RESOURCE_FILE] = "file",
                                    [RESOURCE_SOCKET] = "socket", [RESOURCE_CHANNEL] = "channel"};

const char *resource_word(enum resource_kind kind)
{
        return kinds[kind];
}

enum resource_kind resource_from_word(const char *word)
{
        for (int kind = RESOURCE_TREE; kind <= RESOURCE_SOCKET; kind++)
                if (strcmp(kinds[kind], word) == 0)
                        return (enum resource_kind)kind;
        return RESOURCE_UNKNOWN;
}

const char *mode_word(bool writable)
{
        return writable ? "rw" : "ro";
}

int mode_from_word(const char *word)
{
        return strcmp(word, "rw") == 0 ? 1 : strcmp(word, "ro") == 0 ? 0 : -1;
}

bool grant_set_valid(const char *name)
{
        return environment_name_valid(name);
}

int grant_identity_check(const char *name, struct error *err)
{
        static const char first[] = "abcdefghijklmnopqrstuvwxyz_";
        size_t n = strlen(name);
        if (n >= 1 && n <= 32 && strchr(first, name[0]) && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == n)
                return 0;
        cleanup_free char *shown = text_escape(name);
        return error_set(err, EINVAL,
                         "'%.60s' cannot name an identity: a name has 1 to 32 lower-case letters, digits, '_' or '-', "
                         "and does not begin "
                         "with a digit or '-'",
                         shown);
}

static void field(struct text *t, const char *key, const char *value)
{
        text_addf(t, "\t%s=", key);
        text_add_escaped(t, value);
}

static const struct word {
        const char *word;
        size_t offset;
} words[] = {
        {"no-exec", offsetof(struct grant, noexec)}, {"plain", offsetof(struct grant, plain)},
        {"keep", offsetof(struct grant, keep)},      {"once", offsetof(struct grant, once)},
        {"locked", offsetof(struct grant, locked)},
};
#define WORDS (sizeof words / sizeof *words)

static bool *flag(const struct grant *g, const struct word *word)
{
        return (bool *)((char *)(uintptr_t)g + word->offset);
}

static const struct name {
        const char *key;
        size_t offset;
} names[] = {
        {"resource", offsetof(struct grant, resource)}, {"at", offsetof(struct grant, inside)},
        {"set", offsetof(struct grant, set)},           {"to", offsetof(struct grant, to)},
};
#define NAMES (sizeof names / sizeof *names)

static char **text_of(const struct grant *g, const struct name *name)
{
        return (char **)((char *)(uintptr_t)g + name->offset);
}

void grant_to_fields(struct text *t, const struct grant *g)
{
        for (size_t i = 0; i < NAMES; i++)
                if (*text_of(g, &names[i]))
                        field(t, names[i].key, *text_of(g, &names[i]));
        if (g->kind != RESOURCE_UNKNOWN)
                field(t, "kind", resource_word(g->kind));
        if (g->writable)
                field(t, "mode", "rw");
        for (size_t i = 0; i < WORDS; i++)
                if (*flag(g, &words[i]))
                        text_addf(t, "\t%s", words[i].word);
        if (g->expiry != EXPIRY_NEVER)
                text_addf(t, "\t%s=%lld", g->expiry == EXPIRY_SPAN ? "for" : "until", g->seconds);
}

/* "123": a number of seconds. */
static bool number(const char *text, long long *value)
{
        size_t digits = strspn(text, "0123456789");
        if (!digits || digits > 15 || text[digits])
                return false;
        *value = strtoll(text, NULL, 10);
        return true;
}

static bool read_field(struct grant *g, const char *text)
{
        const char *equals = strchr(text, '=');
        for (size_t i = 0; i < WORDS && !equals; i++)
                if (strcmp(text, words[i].word) == 0)
                        return *flag(g, &words[i]) = true;
        if (!equals)
                return false;
        const char *value = equals + 1;
        cleanup_free char *key = memory_string(text);
        key[equals - text] = '\0';
        for (size_t i = 0; i < NAMES; i++)
                if (strcmp(key, names[i].key) == 0) {
                        if (*text_of(g, &names[i]) || !*value)
                                return false;
                        *text_of(g, &names[i]) = memory_string(value);
                        return true;
                }
        if (strcmp(key, "kind") == 0)
                return (g->kind = resource_from_word(value)) != RESOURCE_UNKNOWN;
        if (strcmp(key, "mode") == 0 && mode_from_word(value) >= 0) {
                g->writable = mode_from_word(value);
                return true;
        }
        bool span = strcmp(key, "for") == 0;
        if (g->expiry != EXPIRY_NEVER || (!span && strcmp(key, "until") != 0) || !number(value, &g->seconds))
                return false;
        g->expiry = span ? EXPIRY_SPAN : EXPIRY_TIME;
        return true;
}

/* Is it one that can be: a name where there must be one? */
static bool whole(const struct grant *g)
{
        cleanup_error struct error err = ERROR_INIT;
        if (g->set && !grant_set_valid(g->set))
                return false;
        if (g->to && grant_identity_check(g->to, &err) < 0)
                return false;
        if (g->inside && (!g->resource || (g->inside[0] != '/' && g->inside[0] != '~')))
                return false;
        return g->resource ? g->resource[0] == '/' || g->resource[0] == '~' : g->set != NULL;
}

int grant_from_fields(struct grant *g, char *const *fields, size_t count, struct error *err)
{
        *g = (struct grant){0};
        for (size_t i = 0; i < count; i++)
                if (!read_field(g, fields[i])) {
                        cleanup_free char *shown = text_escape(fields[i]);
                        grant_clear(g);
                        return error_set(err, EINVAL, "a grant says '%.80s', which this version does not know", shown);
                }
        if (whole(g))
                return 0;
        grant_clear(g);
        return error_set(err, EINVAL, "a grant is damaged: it does not name what is granted");
}

int grant_from_line(struct grant *g, const char *line, struct error *err)
{
        char *fields[16];
        size_t count = 0;
        int result = 0;
        cleanup_free char *copy = memory_string(line);
        char *rest = copy, *piece;
        while ((piece = strsep(&rest, "\t"))) {
                fields[count] = count < sizeof fields / sizeof *fields - 1 ? text_unescape(piece) : NULL;
                if (!fields[count]) {
                        *g = (struct grant){0};
                        result = error_set(err, EINVAL, "a grant is damaged");
                        break;
                }
                count++;
        }
        if (result == 0)
                result = grant_from_fields(g, fields, count, err);
        while (count)
                free(fields[--count]);
        return result;
}

static long long unit(char letter)
{
        return letter == 's'   ? 1
               : letter == 'm' ? 60
               : letter == 'h' ? 3600
               : letter == 'd' ? 86400
               : letter == 'w' ? 604800
                               : 0;
}

static int bad_span(const char *text, struct error *err)
{
        cleanup_free char *shown = text_escape(text);
        error_set(err, EINVAL, "'%.60s' is no time span", shown);
        return error_remedy(err, "write a number and its unit, as 90s, 15m, 1h, 1h30m, 2d or 1w; at most ten years");
}

int grant_parse_span(const char *text, long long *seconds, struct error *err)
{
        long long total = 0, last = 0;
        for (const char *p = text; *p;) {
                size_t digits = strspn(p, "0123456789");
                long long one = digits ? unit(p[digits]) : 0;
                if (!one || digits > 9 || (last && one >= last))
                        return bad_span(text, err);
                total += strtoll(p, NULL, 10) * one;
                last = one;
                p += digits + 1;
        }
        if (!total || total > SPAN_LIMIT)
                return bad_span(text, err);
        *seconds = total;
        return 0;
}

char *grant_span(long long seconds)
{
        static const struct {
                long long size;
                char letter;
        } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
        struct text t = {0};
        int parts = 0;
        for (size_t i = 0; i < sizeof units / sizeof *units && parts < 2; i++) {
                long long n = seconds / units[i].size;
                seconds %= units[i].size;
                if (!n && (parts || i + 1 < sizeof units / sizeof *units)) {
                        parts += parts > 0; /* the next but one does not matter */
                        continue;
                }
                text_addf(&t, "%s%lld%c", t.length ? " " : "", n, units[i].letter);
                parts++;
        }
        return t.data;
}

/* Reads `digits` digits. */
static bool take(const char **p, int digits, int *value)
{
        *value = 0;
        for (int i = 0; i < digits; i++) {
                if (**p < '0' || **p > '9')
                        return false;
                *value = *value * 10 + *(*p)++ - '0';
        }
        return true;
}

static bool take_letter(const char **p, char letter)
{
        if (**p != letter)
                return false;
        (*p)++;
        return true;
}

/* "18:30" or "18:30:05" */
static bool take_clock(const char **p, struct tm *t)
{
        if (!take(p, 2, &t->tm_hour) || !take_letter(p, ':') || !take(p, 2, &t->tm_min))
                return false;
        if (take_letter(p, ':') && !take(p, 2, &t->tm_sec))
                return false;
        return t->tm_hour < 24 && t->tm_min < 60 && t->tm_sec < 60;
}

static bool take_date(const char **p, struct tm *t)
{
        if (!take(p, 4, &t->tm_year) || !take_letter(p, '-') || !take(p, 2, &t->tm_mon) || !take_letter(p, '-') ||
            !take(p, 2, &t->tm_mday))
                return false;
        t->tm_year -= 1900;
        t->tm_mon--;
        return t->tm_year >= 70 && t->tm_mon >= 0 && t->tm_mon < 12 && t->tm_mday >= 1 && t->tm_mday <= 31;
}

static bool read_time(const char *text, long long now, long long *seconds)
{
        struct tm t = {.tm_isdst = -1};
        const char *p = text;
        bool dated = strchr(text, '-');
        if (dated) {
                if (!take_date(&p, &t))
                        return false;
                int day = t.tm_mday;
                if ((take_letter(&p, ' ') || take_letter(&p, 'T')) && !take_clock(&p, &t))
                        return false;
                bool utc = take_letter(&p, 'Z');
                *seconds = utc ? timegm(&t) : mktime(&t);
                return !*p && t.tm_mday == day; /* 31 February is no day */
        }
        time_t start = (time_t)now;
        if (now < 0 || !localtime_r(&start, &t))
                return false;
        t.tm_sec = 0;
        t.tm_isdst = -1;
        if (!take_clock(&p, &t) || *p)
                return false;
        *seconds = mktime(&t);
        if (*seconds <= now) {
                t.tm_mday++; /* tomorrow, whatever the clocks do in between */
                t.tm_isdst = -1;
                *seconds = mktime(&t);
        }
        return true;
}

int grant_parse_time(const char *text, long long now, long long *seconds, struct error *err)
{
        cleanup_free char *shown = text_escape(text);
        if (!read_time(text, now, seconds)) {
                error_set(err, EINVAL, "'%.60s' is no time", shown);
                return error_remedy(err, now < 0 ? "write 2027-01-31 or \"2027-01-31 18:30\"; a Z at the end means UTC"
                                                 : "write 18:30, 2027-01-31 or \"2027-01-31 18:30\"; a Z at the end of "
                                                   "a date with a clock means UTC");
        }
        if (now >= 0 && *seconds <= now)
                return error_set(err, EINVAL, "'%.60s' is in the past", shown);
        if (now >= 0 && *seconds - now > SPAN_LIMIT)
                return error_set(err, EINVAL, "'%.60s' is more than ten years away: leave the end out", shown);
        return 0;
}
