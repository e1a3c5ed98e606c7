// SPDX-License-Identifier: GPL-3.0-or-later
/* Life of an environment description in memory: see environment.h. */
#include "model/environment.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"

#include <string.h>

const char *identity_word(enum identity_kind identity)
{
        return identity == IDENTITY_ROOT ? "root" : "self";
}

int identity_from_word(const char *word)
{
        return strcmp(word, "self") == 0 ? (int)IDENTITY_SELF : strcmp(word, "root") == 0 ? (int)IDENTITY_ROOT : -1;
}

static const char *const network_words[] = {"inherit", "none", "uplink"};

const char *network_word(enum network_kind network)
{
        return network_words[network];
}

int network_from_word(const char *word)
{
        for (int i = 0; i < 3; i++)
                if (strcmp(word, network_words[i]) == 0)
                        return i;
        return -1;
}

int environment_network_check(const struct environment *e, struct error *err)
{
        if (!e->publish.count || e->network == NETWORK_UPLINK)
                return 0;
        error_set(err, EINVAL, "ports are published, but the network is '%s'", network_word(e->network));
        return error_remedy(err, "publish with --net uplink, or in a description network: {uplink: yes, publish: [...]}");
}

static const char *const restart_words[] = {"no", "on-failure", "always"};

const char *restart_word(enum restart_policy restart)
{
        return restart_words[restart];
}

int restart_from_word(const char *word)
{
        for (int i = 0; i < 3; i++)
                if (strcmp(word, restart_words[i]) == 0)
                        return i;
        return -1;
}

static bool has_program(const struct environment *e, const char *name)
{
        for (size_t i = 0; i < e->program_count; i++)
                if (strcmp(e->programs[i].name, name) == 0)
                        return true;
        return false;
}

/* A name from that of the file: what a name may not have becomes '-'. */
static char *program_name(const struct environment *e, const char *file)
{
        char name[40] = "";
        size_t length = 0;
        for (const char *p = path_name(file); *p && length + 1 < sizeof name; p++) {
                char one[2] = {*p};
                name[length] = environment_name_valid(one) || strchr("._-", *p) ? *p : '-';
                length++;
        }
        name[length] = '\0';
        const char *start = name + strspn(name, "._-");
        char *found = memory_string(*start ? start : "program");
        for (unsigned i = 2; has_program(e, found); i++) {
                free(found);
                found = memory_format("%s-%u", *start ? start : "program", i);
        }
        return found;
}

int environment_add_program(struct environment *e, const char *name, const char *const *argv, size_t argc,
                            enum restart_policy restart, struct error *err)
{
        if (e->program_count >= RUN_LIMIT)
                return error_set(err, E2BIG, "at most %d programs can be run in the background", RUN_LIMIT);
        if (!argc || !argv[0][0])
                return error_set(err, EINVAL, "a program to be run has a name at least");
        int result = name ? environment_name_check(name, err) : 0;
        if (result < 0)
                return error_set(err, EINVAL,
                                 "a name of a program has 1 to 64 letters, digits, '.', '_' or '-' and begins with a "
                                 "letter or "
                                 "digit");
        if (name && has_program(e, name))
                return error_set(err, EEXIST, "two programs have the name '%s'", name);
        char *own = name ? memory_string(name) : program_name(e, argv[0]);
        char **copy = memory_grow(NULL, argc + 1, sizeof *copy);
        for (size_t i = 0; i < argc; i++)
                copy[i] = memory_string(argv[i]);
        copy[argc] = NULL;
        *vector_add(e->programs, e->program_count, e->program_capacity) = (struct run_program){own, copy, restart};
        return 0;
}

static const char size_units[] = "KMGT";

int size_from_word(const char *word, uint64_t *size)
{
        uint64_t value = 0;
        const char *at = word;
        for (; *at >= '0' && *at <= '9'; at++) {
                if (value > (UINT64_MAX - 9) / 10)
                        return -EINVAL;
                value = value * 10 + (uint64_t)(*at - '0');
        }
        const char *unit = *at ? strchr(size_units, *at) : NULL;
        unsigned bits = unit ? 10 * (unsigned)(unit - size_units + 1) : 0;
        if (at == word || !value || (*at && (!unit || at[1])) || value > (uint64_t)INT64_MAX >> bits)
                return -EINVAL;
        *size = value << bits;
        return 0;
}

const char *size_to_word(uint64_t size, char word[SIZE_WORD])
{
        unsigned unit = 0;
        while (unit < 4 && !(size & 1023))
                size >>= 10, unit++;
        const char letter[2] = {unit ? size_units[unit - 1] : '\0', '\0'};
        snprintf(word, SIZE_WORD, "%llu%s", (unsigned long long)size, letter);
        return word;
}

bool environment_name_valid(const char *name)
{
        static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        size_t n = strlen(name);
        return n >= 1 && n <= 64 && strchr(letters, name[0]) &&
               strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n;
}

int environment_name_check(const char *name, struct error *err)
{
        if (environment_name_valid(name))
                return 0;
        cleanup_free char *shown = text_escape(name);
        return error_set(err, EINVAL,
                         "'%s' cannot name an environment: a name has 1 to 64 letters, digits, '.', '_' or '-' and "
                         "begins with a letter or digit",
                         shown);
}

int environment_hostname_check(const char *name, struct error *err)
{
        static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
        size_t n = strlen(name);
        if (n >= 1 && n <= 64 && strspn(name, letters) == n && !strchr(".-", name[0]) && !strchr(".-", name[n - 1]))
                return 0;
        cleanup_free char *shown = text_escape(name);
        return error_set(err, EINVAL,
                         "'%.60s%s' cannot be a host name: it has 1 to 64 letters, digits, '-' or '.', and begins and "
                         "ends with a "
                         "letter or digit",
                         shown, strlen(shown) > 60 ? "..." : "");
}

static void copy_init(struct environment *to, const struct environment *from)
{
        size_t words = 0;
        while (from->init && from->init[words])
                words++;
        to->init = NULL;
        if (!words)
                return;
        cleanup_error struct error never = ERROR_INIT; /* it was taken once */
        environment_set_init(to, (const char *const *)from->init, words, &never);
}

void environment_copy(struct environment *to, const struct environment *from)
{
        *to = *from;
        to->name = from->name ? memory_string(from->name) : NULL;
        to->root_path = from->root_path ? memory_string(from->root_path) : NULL;
        to->hostname = from->hostname ? memory_string(from->hostname) : NULL;
        view_copy(&to->view, &from->view);
        publish_copy(&to->publish, &from->publish);
        to->programs = NULL;
        to->program_count = to->program_capacity = 0;
        for (size_t i = 0; i < from->program_count; i++) {
                const struct run_program *p = &from->programs[i];
                cleanup_error struct error never = ERROR_INIT; /* it was taken once */
                size_t argc = 0;
                while (p->argv[argc])
                        argc++;
                environment_add_program(to, p->name, (const char *const *)p->argv, argc, p->restart, &never);
        }
        grant_list_copy(&to->grants, &from->grants);
        served_copy(&to->sockets, &from->sockets);
        channel_plans_copy(&to->channels, &from->channels);
        copy_init(to, from);
}

#define INIT_WORDS 64

int environment_set_init(struct environment *e, const char *const *argv, size_t argc, struct error *err)
{
        if (!argc || argc > INIT_WORDS || argv[0][0] != '/')
                return error_set(err, EINVAL, "an init is an absolute name, and at most %d arguments", INIT_WORDS - 1);
        for (size_t i = 0; e->init && e->init[i]; i++)
                free(e->init[i]);
        free(e->init);
        e->init = memory_grow(NULL, argc + 1, sizeof *e->init);
        for (size_t i = 0; i < argc; i++)
                e->init[i] = memory_string(argv[i]);
        e->init[argc] = NULL;
        return 0;
}

void environment_clear(struct environment *environment)
{
        free(environment->name);
        free(environment->root_path);
        free(environment->hostname);
        view_clear(&environment->view);
        publish_clear(&environment->publish);
        for (size_t i = 0; i < environment->program_count; i++) {
                struct run_program *p = &environment->programs[i];
                for (size_t n = 0; p->argv[n]; n++)
                        free(p->argv[n]);
                free(p->argv);
                free(p->name);
        }
        free(environment->programs);
        for (size_t i = 0; environment->init && environment->init[i]; i++)
                free(environment->init[i]);
        free(environment->init);
        grant_list_clear(&environment->grants);
        served_clear(&environment->sockets);
        channel_plans_clear(&environment->channels);
        *environment = (struct environment){0};
}
