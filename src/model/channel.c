// SPDX-License-Identifier: GPL-3.0-or-later
/* Channels as they are described: see channel.h. */
#include "model/channel.h"

#include "base/cleanup.h"
#include "model/environment.h"

#include <arpa/inet.h>
#include <string.h>

#define PATH_SIZE 4096 /* of a name of a socket, as the server of channels takes it */
#define TEXT_LIMIT (64 * 1024) /* of all commands of an exec channel */

static const char *const forms[] = {[FORM_NONE] = "?",    [FORM_STREAM] = "stream", [FORM_MESSAGES] = "messages",
                                    [FORM_PORT] = "port", [FORM_FILES] = "files",   [FORM_EXEC] = "exec"};
static const char *const leads_words[] = {[LEADS_OUTSIDE] = "outside", [LEADS_INSIDE] = "inside", [LEADS_OTHER] = "to"};

enum channel_form channel_form_of(const char *word)
{
        for (int form = FORM_STREAM; form <= FORM_EXEC; form++)
                if (strcmp(word, forms[form]) == 0)
                        return (enum channel_form)form;
        return FORM_NONE;
}

const char *channel_form_word(enum channel_form form)
{
        return forms[form];
}

const char *channel_leads_word(enum channel_leads leads)
{
        return leads_words[leads];
}

enum channel_leads channel_leads_of(const char *word)
{
        for (int leads = LEADS_OUTSIDE; leads <= LEADS_OTHER; leads++)
                if (strcmp(word, leads_words[leads]) == 0)
                        return (enum channel_leads)leads;
        return LEADS_MEETING;
}

int channel_name_check(const char *name, struct error *err)
{
        size_t length = strlen(name);
        if (length && length <= 48 && name[0] != '.' && name[0] != '-' &&
            strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == length)
                return 0;
        cleanup_free char *shown = text_escape(name);
        error_set(err, EINVAL, "'%s' cannot be the name of a channel", shown);
        return error_remedy(err, "letters, digits, '.', '_' and '-', at most 48, the first a letter, digit or '_'");
}

/* "[ADDRESS:]PORT[/udp]". */
static int parse_port(const char *text, struct channel_at *at)
{
        const char *colon = strrchr(text, ':');
        const char *number = colon ? colon + 1 : text;
        char *end = NULL;
        unsigned long port = strtoul(number, &end, 10);
        at->udp = strcmp(end, "/udp") == 0;
        if (*number < '0' || *number > '9' || (*end && !at->udp && strcmp(end, "/tcp") != 0) || port < 1 || port > 65535)
                return -EINVAL;
        at->port = (unsigned)port;
        if (!colon)
                return inet_pton(AF_INET, "127.0.0.1", at->address) == 1 ? 0 : -EINVAL;
        size_t length = (size_t)(colon - text);
        at->six = length > 2 && text[0] == '[' && text[length - 1] == ']';
        cleanup_free char *address = at->six ? strndup(text + 1, length - 2) : strndup(text, length);
        return address && inet_pton(at->six ? AF_INET6 : AF_INET, address, at->address) == 1 ? 0 : -EINVAL;
}

int channel_at_from_word(const char *word, struct channel_at *at, struct error *err)
{
        int result = 0;
        *at = (struct channel_at){.inside = strncmp(word, "inside:", 7) == 0};
        if (!at->inside && strncmp(word, "outside:", 8) != 0)
                result = -EINVAL;
        const char *rest = result < 0 ? word : strchr(word, ':') + 1;
        if (result == 0 && rest[0] == '/')
                at->path = strlen(rest) < PATH_SIZE ? rest : NULL, result = at->path ? 0 : -EINVAL;
        else if (result == 0)
                result = parse_port(rest, at);
        if (result == 0)
                return 0;
        cleanup_free char *shown = text_escape(word);
        error_set(err, EINVAL, "'%s' is no place of a port", shown);
        return error_remedy(err, "outside:8080, inside:127.0.0.1:80, inside:[::1]:80, outside:5353/udp, "
                                 "outside:/run/name.sock");
}

static int check_port(const struct channel_plan *plan, struct error *err)
{
        struct channel_at from = {0}, to = {0};
        if (plan->count != 2) {
                error_set(err, EINVAL, "a port channel needs where is listened, and where that leads to");
                return error_remedy(err, "port outside:8080 inside:80, or port inside:5432 outside:5432");
        }
        int result = channel_at_from_word(plan->words[0], &from, err);
        if (result == 0)
                result = channel_at_from_word(plan->words[1], &to, err);
        if (result < 0)
                return result;
        if (from.inside == to.inside)
                return error_set(err, EINVAL, "one of the two is to be inside and one outside");
        if (from.udp != to.udp)
                return error_set(err, EINVAL, "both ends of a port are of udp, or none is");
        if (from.inside && from.path) {
                error_set(err, EINVAL, "a socket inside has its name from the channel");
                return error_remedy(err, "`stream --outside PATH` leads from " CHANNEL_PLACE "/NAME inside to a program outside");
        }
        return 0;
}

static int check_exec(const struct channel_plan *plan, struct error *err)
{
        size_t in_this = 0, size = 0; /* words of the command at hand */
        for (size_t i = 0; i <= plan->count; i++) {
                const char *word = i < plan->count ? plan->words[i] : "--";
                cleanup_free char *shown = text_escape(word);
                size += strlen(word) + 1;
                if (strcmp(word, "--") != 0) {
                        if (in_this == 1 && word[0] != '/')
                                return error_set(err, EINVAL, "'%s' is no absolute name of a program", shown);
                        if (in_this == 0 && (!word[0] || strpbrk(word, "\n/") || strlen(word) > 64))
                                return error_set(err, EINVAL, "'%s' cannot be the name of a command", shown);
                        in_this++;
                } else if (in_this < 2) {
                        error_set(err, EINVAL, "an exec channel needs, for each command, its name inside and what is run");
                        return error_remedy(err, "exec NAME /PROGRAM [ARGUMENT...] [-- NAME /PROGRAM ...]");
                } else {
                        in_this = 0;
                }
        }
        return size > TEXT_LIMIT ? error_set(err, E2BIG, "the commands are longer than %d bytes", TEXT_LIMIT) : 0;
}

static bool is_outer_name(const char *path)
{
        return path[0] == '/' || (path[0] == '~' && (!path[1] || path[1] == '/'));
}

static int check_leads(const struct channel_plan *plan, struct error *err)
{
        if (!plan->where != (plan->leads == LEADS_MEETING))
                return error_set(err, EINVAL, "where the channel leads is not told");
        if (plan->leads == LEADS_OTHER)
                return environment_name_check(plan->where, err);
        if (plan->where && (strlen(plan->where) >= PATH_SIZE ||
                            !(plan->leads == LEADS_INSIDE ? plan->where[0] == '/' : is_outer_name(plan->where)))) {
                cleanup_free char *shown = text_escape(plan->where);
                return error_set(err, EINVAL, "'%s' is no absolute name of a socket", shown);
        }
        return 0;
}

int channel_plan_check(const struct channel_plan *plan, struct error *err)
{
        bool stream = plan->form == FORM_STREAM || plan->form == FORM_MESSAGES;
        int result = channel_name_check(plan->name, err);
        if (result < 0)
                return result;
        if (plan->form < FORM_STREAM || plan->form > FORM_EXEC)
                return error_set(err, EINVAL, "which kind: stream, messages, port, files, exec?");
        if (stream && plan->count) {
                cleanup_free char *shown = text_escape(plan->words[0]);
                return error_set(err, EINVAL, "'%s' means nothing here", shown);
        }
        if (!stream && (plan->leads || plan->where))
                return error_set(err, EINVAL, "only stream and messages lead to a socket or another environment");
        if (plan->form == FORM_FILES && (plan->count > 1 || (plan->count && !is_outer_name(plan->words[0]))))
                return error_set(err, EINVAL, "a files channel is one directory");
        return stream                       ? check_leads(plan, err)
               : plan->form == FORM_PORT ? check_port(plan, err)
               : plan->form == FORM_EXEC ? check_exec(plan, err)
                                         : 0;
}

void channel_plan_word(struct channel_plan *plan, const char *word)
{
        *vector_add(plan->words, plan->count, plan->capacity) = memory_string(word);
}

void channel_plan_clear(struct channel_plan *plan)
{
        for (size_t i = 0; i < plan->count; i++)
                free(plan->words[i]);
        free(plan->words);
        free(plan->name);
        free(plan->where);
        *plan = (struct channel_plan){0};
}

static struct channel_plan copy_of(const struct channel_plan *from)
{
        struct channel_plan to = {.name = memory_string(from->name), .form = from->form, .leads = from->leads};
        to.where = from->where ? memory_string(from->where) : NULL;
        for (size_t i = 0; i < from->count; i++)
                channel_plan_word(&to, from->words[i]);
        return to;
}

int channel_plans_add(struct channel_plans *plans, const struct channel_plan *plan, struct error *err)
{
        int result = channel_plan_check(plan, err);
        if (result < 0)
                return result;
        if (channel_plans_find(plans, plan->name))
                return error_set(err, EEXIST, "two channels have the name '%s'", plan->name);
        if (plans->count >= CHANNELS_LIMIT)
                return error_set(err, E2BIG, "there are no more than %d channels", CHANNELS_LIMIT);
        *vector_add(plans->items, plans->count, plans->capacity) = copy_of(plan);
        return 0;
}

const struct channel_plan *channel_plans_find(const struct channel_plans *plans, const char *name)
{
        for (size_t i = 0; i < plans->count; i++)
                if (strcmp(plans->items[i].name, name) == 0)
                        return &plans->items[i];
        return NULL;
}

bool channel_plans_remove(struct channel_plans *plans, const char *name)
{
        for (size_t i = 0; i < plans->count; i++) {
                if (strcmp(plans->items[i].name, name) != 0)
                        continue;
                channel_plan_clear(&plans->items[i]);
                memmove(&plans->items[i], &plans->items[i + 1], (--plans->count - i) * sizeof *plans->items);
                return true;
        }
        return false;
}

void channel_plans_copy(struct channel_plans *to, const struct channel_plans *from)
{
        *to = (struct channel_plans){0};
        for (size_t i = 0; i < from->count; i++)
                *vector_add(to->items, to->count, to->capacity) = copy_of(&from->items[i]);
}

void channel_plans_clear(struct channel_plans *plans)
{
        for (size_t i = 0; i < plans->count; i++)
                channel_plan_clear(&plans->items[i]);
        free(plans->items);
        *plans = (struct channel_plans){0};
}

void channel_plan_to_fields(struct text *t, const struct channel_plan *plan)
{
        text_addf(t, "\t%s\t%s\t%s\t", plan->name, forms[plan->form],
                  plan->leads ? leads_words[plan->leads] : "-");
        text_add_escaped(t, plan->where ? plan->where : "-");
        for (size_t i = 0; i < plan->count; i++) {
                text_add(t, "\t");
                text_add_escaped(t, plan->words[i]);
        }
}

int channel_plans_add_fields(struct channel_plans *plans, char *const *fields, size_t count, struct error *err)
{
        if (count < 4)
                return error_set(err, EINVAL, "a channel is damaged");
        struct channel_plan plan = {.name = fields[0], .form = channel_form_of(fields[1]),
                                    .leads = channel_leads_of(fields[2]), .words = (char **)fields + 4,
                                    .count = count - 4};
        plan.where = plan.leads ? fields[3] : NULL;
        return channel_plans_add(plans, &plan, err);
}
