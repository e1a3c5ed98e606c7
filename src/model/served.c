// SPDX-License-Identifier: GPL-3.0-or-later
/* A role that a server answers: see served.h. */
#include "model/served.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <string.h>

#define ALLOW_LIMIT 1024
#define WORDS_LIMIT 64

bool served_is(const struct served *s)
{
        return s->allow_count || s->server;
}

static int one_of(const struct served *s, bool server, struct error *err)
{
        if (server ? !s->allow_count : !s->server)
                return 0;
        error_set(err, EINVAL, "sockets are answered by a server of one's own or by rules, not by both");
        return error_remedy(err, "give the rules to the server: paddock-sockets-policy --allow RULE... is one");
}

/* What the server will take apart is looked at here only so far that a slip is told at once. */
int served_allow(struct served *s, const char *rule, struct error *err)
{
        int result = one_of(s, false, err);
        if (result < 0)
                return result;
        size_t length = strlen(rule);
        if (!length || length > 300 ||
            strspn(rule, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_*:/[]") != length) {
                cleanup_free char *shown = text_escape(rule);
                error_set(err, EINVAL, "'%s' is no rule for connections", shown);
                return error_remedy(err, "HOST[:PORT]: a name, *.example.org, an address, a network (10.0.0.0/8, [fd00::]/8), or *");
        }
        if (s->allow_count >= ALLOW_LIMIT)
                return error_set(err, E2BIG, "more than %d rules for connections", ALLOW_LIMIT);
        *vector_add(s->allow, s->allow_count, s->allow_capacity) = memory_string(rule);
        return 0;
}

static void clear_server(struct served *s)
{
        for (size_t i = 0; s->server && s->server[i]; i++)
                free(s->server[i]);
        free(s->server);
        s->server = NULL;
}

int served_by(struct served *s, const char *const *argv, size_t argc, struct error *err)
{
        int result = one_of(s, true, err);
        if (result < 0)
                return result;
        if (!argc || argc > WORDS_LIMIT || !argv[0][0])
                return error_set(err, EINVAL, "a server is a program and at most %d words", WORDS_LIMIT - 1);
        clear_server(s);
        s->server = memory_grow(NULL, argc + 1, sizeof *s->server);
        for (size_t i = 0; i < argc; i++)
                s->server[i] = memory_string(argv[i]);
        s->server[argc] = NULL;
        return 0;
}

int served_resolver(struct served *s, const char *address, struct error *err)
{
        size_t length = strlen(address);
        if (!length || length > 60 || strspn(address, "0123456789abcdefABCDEF.:[]%") != length) {
                cleanup_free char *shown = text_escape(address);
                error_set(err, EINVAL, "'%s' is no resolver", shown);
                return error_remedy(err, "ADDRESS[:PORT], as 192.0.2.53, 127.0.0.1:5353 or [2001:db8::1]:53");
        }
        free(s->resolver);
        s->resolver = memory_string(address);
        return 0;
}

void served_copy(struct served *to, const struct served *from)
{
        *to = (struct served){.resolver = from->resolver ? memory_string(from->resolver) : NULL};
        for (size_t i = 0; i < from->allow_count; i++)
                *vector_add(to->allow, to->allow_count, to->allow_capacity) = memory_string(from->allow[i]);
        size_t words = 0;
        while (from->server && from->server[words])
                words++;
        if (!words)
                return;
        to->server = memory_grow(NULL, words + 1, sizeof *to->server);
        for (size_t i = 0; i < words; i++)
                to->server[i] = memory_string(from->server[i]);
        to->server[words] = NULL;
}

void served_clear(struct served *s)
{
        for (size_t i = 0; i < s->allow_count; i++)
                free(s->allow[i]);
        free(s->allow);
        clear_server(s);
        free(s->resolver);
        *s = (struct served){0};
}
