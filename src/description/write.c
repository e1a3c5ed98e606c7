// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * From an environment to its YAML text: see description.h.
 *
 * The text is made by hand and not by the library's emitter: it shall look the same with every version of the library,
 * and file names shall not be able to look like what they are not.
 */
#include "description/description.h"

#include "base/cleanup.h"
#include "description/yaml.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#define KEY_LIMIT 512 /* bytes of a written key. YAML wants "? key" beyond 1024 characters */

static bool is_utf8(const char *s)
{
        uint32_t point;
        for (size_t length = strlen(s), n; length; s += n, length -= n) {
                n = utf8_decode(s, length, &point);
                if (!n)
                        return false;
        }
        return true;
}

/* Does `s` mean itself without quotes, to every YAML reader? */
static bool is_plain(const char *s)
{
        static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        static const char rest[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._+@%=~-";
        static const char *const taken[] = {"y",    "n",     "yes",  "no",   "on",   "off",
                                            "true", "false", "null", "host", "empty"};
        if (s[strspn(s, rest)] || !(*s && (strchr(letters, *s) || *s == '/' || strncmp(s, "~/", 2) == 0)))
                return false;
        for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
                if (strcasecmp(s, taken[i]) == 0)
                        return false;
        return true;
}

/* Is it better not to write this character itself: one that YAML forbids, or that is not seen, or that reorders? */
static bool is_hidden(uint32_t c)
{
        return c < 0x20 || (c >= 0x7F && c <= 0xA0) || c == 0xAD || c == 0x61C || c == 0x180E ||
               (c >= 0x200B && c <= 0x200F) || (c >= 0x2028 && c <= 0x202F) || (c >= 0x205F && c <= 0x206F) ||
               c == 0x3000 || c == 0xFEFF || (c >= 0xFFF0 && c <= 0xFFFF) || (c & 0xFFFE) == 0xFFFE ||
               (c >= 0xE0000 && c <= 0xE0FFF);
}

static void add_quoted(struct text *t, const char *s)
{
        text_add(t, "\"");
        for (size_t length = strlen(s), n; length; s += n, length -= n) {
                uint32_t point = 0;
                n = utf8_decode(s, length, &point);
                if (point == '\n')
                        text_add(t, "\\n");
                else if (point == '\t')
                        text_add(t, "\\t");
                else if (point == '"' || point == '\\')
                        text_addf(t, "\\%c", (char)point);
                else if (is_hidden(point))
                        text_addf(t, "\\%c%0*X", point > 0xFFFF ? 'U' : point > 0xFF ? 'u' : 'x',
                                  point > 0xFFFF ? 8 : point > 0xFF ? 4 : 2, (unsigned)point);
                else
                        text_add_bytes(t, s, n);
        }
        text_add(t, "\"");
}

static void add_binary(struct text *t, const char *s)
{
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        const unsigned char *p = (const unsigned char *)s;
        size_t length = strlen(s);
        text_add(t, "!!binary \"");
        for (size_t i = 0; i < length; i += 3) {
                size_t n = length - i < 3 ? length - i : 3;
                unsigned bits = (unsigned)p[i] << 16 | (n > 1 ? (unsigned)p[i + 1] << 8 : 0) | (n > 2 ? p[i + 2] : 0u);
                char group[4] = {digits[bits >> 18], digits[bits >> 12 & 63], n > 1 ? digits[bits >> 6 & 63] : '=',
                                 n > 2 ? digits[bits & 63] : '='};
                text_add_bytes(t, group, sizeof group);
        }
        text_add(t, "\"");
}

static void add_string(struct text *t, const char *s)
{
        if (is_plain(s))
                text_add(t, s);
        else if (is_utf8(s))
                add_quoted(t, s);
        else
                add_binary(t, s);
}

void description_add_comment(struct text *t, const char *indent, const char *label, const char *name)
{
        text_addf(t, "%s# %s: ", indent, label);
        for (size_t length = strlen(name), n; length; name += n, length -= n) {
                uint32_t point = 0;
                n = utf8_decode(name, length, &point);
                bool seen = n && !is_hidden(point);
                n = n ? n : 1;
                if (seen && point != '\\')
                        text_add_bytes(t, name, n);
                else
                        for (size_t i = 0; i < n; i++)
                                text_addf(t, seen ? "\\\\" : "\\x%02x", (unsigned char)name[i]);
        }
        text_add(t, "\n");
}

/* Base64 tells a reader nothing: a comment line shows what it stands for. */
static void explain_binary(struct text *t, const char *indent, const char *s)
{
        if (!is_utf8(s))
                description_add_comment(t, indent, "not UTF-8", s);
}

static void add_rule(struct text *t, const struct rule *rule)
{
        explain_binary(t, "  ", rule->path);
        for (size_t i = 0; i < rule->source_count; i++)
                explain_binary(t, "  ", rule->sources[i]);

        cleanup_text struct text key = {0};
        add_string(&key, rule->path);
        text_addf(t, key.length > KEY_LIMIT ? "  ? %s\n  : " : "  %s: ", key.data);
        if (rule->kind == RULE_FROM || rule->kind == RULE_UNION) {
                bool list = rule->kind == RULE_UNION;
                text_addf(t, "{%s: %s", rule_word(rule->kind), list ? "[" : "");
                for (size_t i = 0; i < rule->source_count; i++) {
                        text_add(t, i ? ", " : "");
                        add_string(t, rule->sources[i]);
                }
                text_add(t, list ? "]}\n" : "}\n");
        } else {
                text_addf(t, "%s\n", rule_word(rule->kind));
        }
}

static void add_pair(struct text *t, bool *first, const char *key, const char *value)
{
        text_addf(t, "%s%s: ", *first ? "{" : ", ", key);
        add_string(t, value);
        *first = false;
}

/* "for" in seconds and "until" in UTC: the same wherever and whenever it is read. */
static void add_grant(struct text *t, const struct grant *g)
{
        const struct {
                const char *word;
                bool yes;
        } words[] = {{"no-exec", g->noexec}, {"plain", g->plain}, {"once", g->once}, {"locked", g->locked}};
        bool first = true;
        if (g->resource)
                explain_binary(t, "  ", g->resource);
        if (g->inside)
                explain_binary(t, "  ", g->inside);
        text_add(t, "  - ");
        add_pair(t, &first, g->resource ? "path" : "set", g->resource ? g->resource : g->set);
        if (g->resource)
                add_pair(t, &first, "mode", mode_word(g->writable));
        if (g->inside)
                add_pair(t, &first, "at", g->inside);
        if (g->to)
                add_pair(t, &first, "to", g->to);
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
                if (words[i].yes)
                        text_addf(t, ", %s: yes", words[i].word);
        if (g->expiry == EXPIRY_SPAN)
                text_addf(t, ", for: \"%llds\"", g->seconds);
        if (g->expiry == EXPIRY_TIME) {
                time_t when = (time_t)g->seconds;
                struct tm tm;
                char text[32] = "";
                if (gmtime_r(&when, &tm))
                        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
                text_addf(t, ", until: \"%s\"", text);
        }
        text_add(t, "}\n");
}

static void add_list(struct text *t, const char *word, char *const *items, size_t count)
{
        text_addf(t, "%s: [", word);
        for (size_t i = 0; i < count; i++) {
                text_add(t, i ? ", " : "");
                add_string(t, items[i]);
        }
        text_add(t, "]");
}

static void add_sockets(struct text *t, const struct served *s)
{
        size_t words = 0;
        if (!served_is(s))
                return;
        text_add(t, "sockets: {");
        while (s->server && s->server[words])
                words++;
        add_list(t, s->server ? "serve" : "allow", s->server ? s->server : s->allow, s->server ? words : s->allow_count);
        if (s->resolver) {
                text_add(t, ", resolver: ");
                add_string(t, s->resolver);
        }
        text_add(t, "}\n");
}

static void add_commands(struct text *t, const struct channel_plan *plan)
{
        bool first = true; /* word of a command: its name */
        text_add(t, "{");
        for (size_t i = 0; i < plan->count; i++) {
                if (strcmp(plan->words[i], "--") == 0) {
                        text_add(t, "], ");
                        first = true;
                        continue;
                }
                add_string(t, plan->words[i]);
                bool next = i + 1 < plan->count && strcmp(plan->words[i + 1], "--") != 0;
                text_add(t, first ? ": [" : next ? ", " : "");
                first = false;
        }
        text_add(t, "]}");
}

static void add_channel(struct text *t, const struct channel_plan *plan)
{
        if (plan->where)
                explain_binary(t, "  ", plan->where);
        for (size_t i = 0; i < plan->count; i++)
                explain_binary(t, "  ", plan->words[i]);
        text_add(t, "  ");
        add_string(t, plan->name);
        text_add(t, ": ");
        if (!plan->count && !plan->where) {
                text_addf(t, "%s\n", channel_form_word(plan->form));
                return;
        }
        text_addf(t, "{%s: ", channel_form_word(plan->form));
        if (plan->where) {
                text_addf(t, "{%s: ", channel_leads_word(plan->leads));
                add_string(t, plan->where);
                text_add(t, "}");
        } else if (plan->form == FORM_EXEC) {
                add_commands(t, plan);
        } else if (plan->form == FORM_PORT) {
                text_add(t, "[");
                add_string(t, plan->words[0]);
                text_add(t, ", ");
                add_string(t, plan->words[1]);
                text_add(t, "]");
        } else {
                add_string(t, plan->words[0]);
        }
        text_add(t, "}\n");
}

char *description_write(const struct environment *e)
{
        struct text t = {0};
        if (e->name) {
                text_add(&t, "name: ");
                add_string(&t, e->name);
                text_add(&t, "\n");
        }
        /* What is decided is written even where it is the default: the text shall mean the same to a later version. */
        if (e->root == ROOT_DIRECTORY) {
                explain_binary(&t, "", e->root_path);
                text_add(&t, "root: ");
                add_string(&t, e->root_path);
                text_add(&t, "\n");
        } else if (e->root == ROOT_IMAGE) {
                text_add(&t, "root: ");
                add_string(&t, e->root_path);
                text_add(&t, "\n");
        } else {
                text_addf(&t, "root: %s\n", e->root == ROOT_EMPTY ? "empty" : "host");
        }
        text_addf(&t, "identity: %s\n", identity_word(e->identity));
        if (e->publish.count) {
                text_add(&t, "network: {uplink: yes, publish: [");
                for (size_t i = 0; i < e->publish.count; i++) {
                        char word[PUBLISH_WORD];
                        text_addf(&t, "%s'%s'", i ? ", " : "", publish_to_word(&e->publish.items[i], word));
                }
                text_add(&t, "]}\n");
        } else {
                text_addf(&t, "network: %s\n", network_word(e->network));
        }
        add_sockets(&t, &e->sockets);
        text_addf(&t, "session: %s\n", e->session ? "yes" : "no");
        if (e->hostname) {
                text_add(&t, "hostname: ");
                add_string(&t, e->hostname);
                text_add(&t, "\n");
        }
        const char *between = "limits: {";
        for (int kind = 0; kind < LIMIT_COUNT; kind++) {
                char value[LIMIT_VALUE];
                if (!e->limits.value[kind])
                        continue;
                text_addf(&t, "%s%s: %s", between, limit_word((enum limit_kind)kind),
                          limit_value((enum limit_kind)kind, e->limits.value[kind], value));
                between = ", ";
        }
        if (e->limits.over)
                text_addf(&t, "%sover: %s", between, limit_over_word(e->limits.over));
        if (e->limits.over || between[0] == ',')
                text_add(&t, "}\n");
        bool headed = false;
        for (size_t i = 0; i < e->view.count; i++) {
                if (e->view.rules[i].by_default)
                        continue;
                text_add(&t, headed ? "" : "view:\n");
                headed = true;
                add_rule(&t, &e->view.rules[i]);
        }
        text_add(&t, e->program_count ? "run:\n" : "");
        for (size_t i = 0; i < e->program_count; i++) {
                const struct run_program *p = &e->programs[i];
                for (size_t n = 0; p->argv[n]; n++)
                        explain_binary(&t, "  ", p->argv[n]);
                text_add(&t, "  - name: ");
                add_string(&t, p->name);
                text_add(&t, "\n    command: [");
                for (size_t n = 0; p->argv[n]; n++) {
                        text_add(&t, n ? ", " : "");
                        add_string(&t, p->argv[n]);
                }
                text_addf(&t, "]\n    restart: %s\n", p->restart == RESTART_NO ? "\"no\"" : restart_word(p->restart));
        }
        for (size_t n = 0; e->init && e->init[n]; n++)
                explain_binary(&t, "", e->init[n]);
        for (size_t n = 0; e->init && e->init[n]; n++) {
                text_add(&t, n ? ", " : "init: [");
                add_string(&t, e->init[n]);
        }
        text_add(&t, e->init ? "]\n" : "");
        for (size_t i = 0; i < e->grants.count; i++) {
                text_add(&t, i ? "" : "grants:\n");
                add_grant(&t, &e->grants.grants[i]);
        }
        for (size_t i = 0; i < e->channels.count; i++) {
                text_add(&t, i ? "" : "channels:\n");
                add_channel(&t, &e->channels.items[i]);
        }
        return t.data;
}
