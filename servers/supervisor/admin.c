// SPDX-License-Identifier: GPL-3.0-or-later
/* What `paddock servers` and `paddock serve` ask: see admin.h. */
#include "admin.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "supervisor.h"

#include <string.h>
#include <sys/socket.h>

static void add_json(struct text *t, const char *word)
{
        text_add(t, "\"");
        for (const char *p = word; *p; p++)
                if ((unsigned char)*p < 0x20 || *p == '"' || *p == '\\')
                        text_addf(t, "\\u%04x", (unsigned char)*p);
                else
                        text_addf(t, "%c", *p);
        text_add(t, "\"");
}

static char *status(const struct supervisor *s)
{
        const struct role *r = &s->role;
        struct text t = {0};
        size_t waiting = 0, connecting = 0;
        for (const struct pending *p = s->pending; p; p = p->next)
                p->outer >= 0 ? connecting++ : waiting++;
        text_add(&t, "[{\"role\": \"sockets\", \"command\": [");
        for (size_t i = 0; r->argv[i]; i++) {
                text_add(&t, i ? ", " : "");
                add_json(&t, r->argv[i]);
        }
        text_addf(&t, "], \"state\": \"%s\", \"pid\": %d, \"restarts\": %u, \"last_exit\": %d, ",
                  r->hello ? "answers" : r->socket >= 0 ? "starting" : "ended", r->pid > 0 ? (int)r->pid : 0, r->restarts,
                  r->status);
        text_addf(&t,
                  "\"asked\": %llu, \"allowed\": %llu, \"refused\": %llu, \"late\": %llu, \"slowest_us\": %lld, "
                  "\"waiting\": [",
                  (unsigned long long)r->asked, (unsigned long long)r->allowed, (unsigned long long)r->refused,
                  (unsigned long long)r->late, (long long)r->slowest);
        bool first = true;
        for (const struct pending *p = s->pending; p; p = p->next) {
                if (p->query || p->pid <= 0 || t.length > ADMIN_SIZE / 2)
                        continue;
                text_addf(&t, "%s{\"pid\": %d, \"for\": \"%s\"}", first ? "" : ", ", (int)p->pid,
                          p->outer >= 0 ? "the network" : "the server");
                first = false;
        }
        text_addf(&t, "], \"queue\": %zu, \"connecting\": %zu}]", waiting, connecting);
        return t.data;
}

static const char *replace(struct supervisor *s, const char *text, size_t size)
{
        char **argv = NULL;
        size_t count = 0, capacity = 0;
        if (!size || text[size - 1])
                return "the request makes no sense";
        const char *directory = text;
        for (const char *word = text + strlen(text) + 1; word < text + size; word += strlen(word) + 1)
                *vector_add(argv, count, capacity) = memory_string(word);
        if (!count)
                return "no program is named";
        *vector_add(argv, count, capacity) = NULL;
        role_replace(s, argv, *directory ? memory_string(directory) : NULL);
        return "";
}

void admin_accept(struct supervisor *s)
{
        cleanup_close int fd = accept4(s->admin, NULL, NULL, SOCK_CLOEXEC);
        struct timeval limit = {.tv_sec = 1};
        struct ucred peer;
        socklen_t length = sizeof peer;
        if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 || peer.uid != geteuid())
                return;
        cleanup_free char *request = malloc(ADMIN_SIZE);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        ssize_t n = request ? recv(fd, request, ADMIN_SIZE, 0) : -1;
        if (n < 1)
                return;
        cleanup_free char *told = request[0] == ADMIN_STATUS ? status(s) : NULL;
        const char *answer = told                           ? told
                             : request[0] == ADMIN_REPLACE ? replace(s, request + 1, (size_t)n - 1)
                                                           : "the request makes no sense";
        send(fd, answer, strlen(answer) + 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}
