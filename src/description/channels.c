// SPDX-License-Identifier: GPL-3.0-or-later
/* `channels:` of a description: a map of names, each with its kind or {KIND: VALUE}. */
#include "description/parser.h"

#include "base/cleanup.h"

#include <string.h>

static const char *const kinds[] = {"stream", "messages", "port", "files", "exec", NULL};

/* A list of words, each added to the plan. False after a report. */
static bool read_words(struct parser *p, const struct node *value, const char *key, const char *how,
                       struct channel_plan *plan)
{
        bool good = true;
        if (value->kind != NODE_LIST || !value->count) {
                if (!value->unusable)
                        complain(p, value, "'%s' takes %s", key, how);
                return false;
        }
        for (size_t i = 0; i < value->count; i++) {
                const char *word = parser_scalar(p, &value->items[i], key, "words");
                good &= word != NULL;
                if (word)
                        channel_plan_word(plan, word);
        }
        return good;
}

/* {outside: PATH}, {inside: PATH}, {to: NAME}. */
static bool read_leads(struct parser *p, const struct node *value, struct channel_plan *plan)
{
        static const char *const words[] = {"outside", "inside", "to", NULL};
        if (value->unusable)
                return false;
        if (value->kind != NODE_MAP || value->count != 2) {
                complain(p, value, "'%s' takes nothing, or one of {outside: PATH}, {inside: PATH}, {to: NAME}",
                         channel_form_word(plan->form));
                return false;
        }
        const struct node *key = &value->items[0], *to = &value->items[1];
        const char *word = parser_scalar(p, key, "channels", "a word before each colon");
        plan->leads = word ? channel_leads_of(word) : LEADS_MEETING;
        if (word && plan->leads == LEADS_MEETING)
                parser_unknown(p, key, "end of a channel", words, 3);
        if (plan->leads == LEADS_MEETING)
                return false;
        const char *text = plan->leads == LEADS_OUTSIDE ? NULL : parser_scalar(p, to, word, "a name");
        plan->where = plan->leads == LEADS_OUTSIDE ? parser_path(p, to, word) : text ? memory_string(text) : NULL;
        return plan->where != NULL;
}

/* {NAME: [PROGRAM, ARGUMENT...]}, in the order in which it is written. */
static bool read_exec(struct parser *p, const struct node *value, struct channel_plan *plan)
{
        static const char how[] = "a map of commands, as {date: [/bin/date, -u]}";
        bool good = true;
        if (value->kind != NODE_MAP || !value->count) {
                if (!value->unusable)
                        complain(p, value, "'exec' takes %s", how);
                return false;
        }
        for (size_t i = 0; i < value->count; i += 2) {
                const char *name = parser_scalar(p, &value->items[i], "exec", "the name of a command before each colon");
                if (!name)
                        return false;
                if (i)
                        channel_plan_word(plan, "--");
                size_t before = plan->count + 1;
                channel_plan_word(plan, name);
                good &= read_words(p, &value->items[i + 1], name, "a program and its arguments, as [/bin/date, -u]", plan);
                for (size_t n = before; n < plan->count; n++) {
                        if (strcmp(plan->words[n], "--") != 0)
                                continue;
                        complain(p, &value->items[i + 1], "'--' cannot be an argument of a command of a channel");
                        return false;
                }
        }
        return good;
}

static bool read_value(struct parser *p, const struct node *value, struct channel_plan *plan)
{
        if (plan->form == FORM_STREAM || plan->form == FORM_MESSAGES)
                return read_leads(p, value, plan);
        if (plan->form == FORM_PORT)
                return read_words(p, value, "port", "where is listened and where that leads, as [outside:8080, inside:80]",
                                  plan);
        if (plan->form == FORM_EXEC)
                return read_exec(p, value, plan);
        cleanup_free char *path = parser_path(p, value, "files");
        if (path)
                channel_plan_word(plan, path);
        return path != NULL;
}

static void read_channel(struct parser *p, const struct node *name, const struct node *value)
{
        cleanup_channel_plan struct channel_plan plan = {0};
        cleanup_error struct error err = ERROR_INIT;
        const char *text = parser_scalar(p, name, "channels", "a name before each colon");
        if (!text || value->unusable)
                return;
        plan.name = memory_string(text);
        bool map = value->kind == NODE_MAP;
        if (map && value->count != 2) {
                complain(p, value, "a channel has one kind, as {port: [outside:8080, inside:80]}");
                return;
        }
        const struct node *word = map ? &value->items[0] : value;
        const char *kind = parser_scalar(p, word, text, "a kind (stream, messages, port, files, exec)");
        if (!kind)
                return;
        plan.form = channel_form_of(kind);
        if (plan.form == FORM_NONE) {
                parser_unknown(p, word, "kind of channel", kinds, 5);
                return;
        }
        if (!map && (plan.form == FORM_PORT || plan.form == FORM_EXEC)) {
                complain(p, value, "'%s' needs a value: %s", kind,
                         plan.form == FORM_PORT ? "{port: [outside:8080, inside:80]}" : "{exec: {date: [/bin/date, -u]}}");
                return;
        }
        if (map && !read_value(p, &value->items[1], &plan))
                return;
        if (channel_name_check(text, &err) < 0)
                complain(p, name, "%s", err.text);
        else if (channel_plans_add(&p->e->channels, &plan, &err) < 0)
                complain(p, value, "%s", err.text);
}

void parser_channels(struct parser *p, const struct node *value)
{
        if (parser_is_nothing(value) || value->unusable)
                return;
        if (value->kind != NODE_MAP) {
                complain(p, value, "'channels' takes a map of names: {inbox: files, log: stream}");
                return;
        }
        for (size_t i = 0; i < value->count; i += 2)
                read_channel(p, &value->items[i], &value->items[i + 1]);
}
