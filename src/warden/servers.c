// SPDX-License-Identifier: GPL-3.0-or-later
/* Words with the servers of grants: see servers.h. */
#include "warden/servers.h"

#include "base/cleanup.h"
#include "host/living.h"
#include "servers/channel/control.h"
#include "servers/files-grant/control.h"
#include "servers/socket-relay/control.h"

#include <string.h>

struct unsent {
        struct unsent *next;
        size_t size, count;
        int fds[CHANNEL_DESCRIPTORS];
        unsigned char bytes[];
};

/* A message without an answer to it is not sent: the answer to ADD or REVOKE tells which it was. */
static void send_or_keep(struct server *s, const void *data, size_t size, const int *fds, size_t count)
{
        int result = s->socket < 0 ? -EPIPE : s->first ? -EAGAIN : host_send(s->socket, data, size, fds, count);
        if (result == -EAGAIN) {
                struct unsent *u = memory_new(sizeof *u + size);
                u->size = size;
                u->count = count;
                memcpy(u->bytes, data, size);
                if (count)
                        memcpy(u->fds, fds, count * sizeof *fds);
                if (!s->first)
                        s->last = &s->first;
                *s->last = u;
                s->last = &u->next;
                return;
        }
        while (count)
                close(fds[--count]);
}

void server_add_tree(struct server *s, uint64_t id, const struct server_tree *tree, int device, int source)
{
        struct grant_message m = {.word = GRANT_WORD, .type = GRANT_ADD, .id = id};
        m.add.flags = (tree->writable ? GRANT_RW : 0u) | (tree->file ? GRANT_FILE : 0u) |
                      (tree->noexec ? GRANT_NOEXEC : 0u) | (tree->ask ? GRANT_ASK : 0u) |
                      (tree->group ? GRANT_GROUP : 0u);
        m.add.uid = tree->uid;
        m.add.gid = tree->gid;
        m.add.mode = tree->mode;
        send_or_keep(s, &m, sizeof m, (int[]){device, source}, tree->ask ? 1 : 2);
}

void server_add_socket(struct server *s, uint64_t id, bool once, int listener, int outer)
{
        struct relay_message m = {.version = RELAY_VERSION,
                                  .type = RELAY_ADD,
                                  .id = id,
                                  .flags = once ? RELAY_ONCE : 0};
        send_or_keep(s, &m, sizeof m, (int[]){listener, outer}, 2);
}

void server_add_channel(struct server *s, uint64_t id, unsigned parts, const int *fds, size_t count)
{
        struct channel_message m = {.version = CHANNEL_VERSION, .type = CHANNEL_ADD, .id = id, .parts = parts};
        send_or_keep(s, &m, sizeof m, fds, count);
}

void server_revoke(struct server *s, uint64_t id)
{
        if (s->kind == SERVER_CHANNELS) {
                struct channel_message m = {.version = CHANNEL_VERSION, .type = CHANNEL_REVOKE, .id = id};
                send_or_keep(s, &m, sizeof m, NULL, 0);
                return;
        }
        if (s->kind == SERVER_FILES) {
                struct grant_message m = {.word = GRANT_WORD, .type = GRANT_REVOKE, .id = id};
                send_or_keep(s, &m, sizeof m, NULL, 0);
        } else {
                struct relay_message m = {.version = RELAY_VERSION, .type = RELAY_REVOKE, .id = id};
                send_or_keep(s, &m, sizeof m, NULL, 0);
        }
}

void server_answer(struct server *s, uint64_t id, uint64_t serial, bool yes)
{
        struct grant_message m = {.word = GRANT_WORD,
                                  .type = GRANT_ANSWER,
                                  .id = id,
                                  .answer = {.serial = serial, .yes = yes}};
        send_or_keep(s, &m, sizeof m, NULL, 0);
}

static void forget(struct server *s)
{
        struct unsent *u = s->first;
        s->first = u->next;
        while (u->count)
                close(u->fds[--u->count]);
        free(u);
}

bool server_flush(struct server *s)
{
        while (s->first) {
                if (host_send(s->socket, s->first->bytes, s->first->size, s->first->fds, s->first->count) == -EAGAIN)
                        return true;
                forget(s);
        }
        return false;
}

void server_close(struct server *s)
{
        while (s->first)
                forget(s);
        if (s->socket >= 0)
                close(s->socket);
        s->socket = -1;
}

static enum server_word word_of_files(const struct grant_message *m, struct server_news *news)
{
        switch ((enum grant_type)m->type) {
        case GRANT_ADDED:
                news->status = m->status;
                return SERVER_ADDED;
        case GRANT_DONE:
                news->lost = m->done.lost;
                news->stuck = m->done.stuck;
                return SERVER_REVOKED;
        case GRANT_REFUSED:
                news->status = m->status;
                return SERVER_REVOKED; /* of an id that is not there: nothing of it is left */
        case GRANT_USED:
                news->pid = m->used.pid;
                news->uid = m->used.uid;
                news->writes = m->used.writes;
                return SERVER_USED;
        case GRANT_GONE:
                return SERVER_GONE;
        case GRANT_QUESTION:
                news->serial = m->question.serial;
                news->pid = m->question.pid;
                news->uid = m->question.uid;
                memcpy(news->name, m->question.name, sizeof news->name - 1);
                return SERVER_QUESTION;
        case GRANT_WITHDRAWN:
                news->serial = m->question.serial;
                return SERVER_WITHDRAWN;
        default:
                return SERVER_NOTHING;
        }
}

/* The relay answers ADD and REVOKE alike: it is known which was asked. */
static enum server_word word_of_relay(const struct relay_message *m, struct server_news *news)
{
        news->status = m->status;
        news->lost = m->lost;
        return m->type == RELAY_DONE ? SERVER_ADDED : m->type == RELAY_USED ? SERVER_USED
               : m->type == RELAY_FAILED ? SERVER_FAILED : m->type == RELAY_SPENT ? SERVER_GONE : SERVER_NOTHING;
}

/* So does the server of channels. */
static enum server_word word_of_channels(const struct channel_message *m, struct server_news *news)
{
        news->status = m->status;
        news->lost = m->lost;
        return m->type == CHANNEL_DONE ? SERVER_ADDED : m->type == CHANNEL_USED ? SERVER_USED
               : m->type == CHANNEL_FAILED ? SERVER_FAILED : SERVER_NOTHING;
}

int server_hear(struct server *s, struct server_news *news)
{
        union {
                struct grant_message files;
                struct relay_message relay;
                struct channel_message channel;
        } m;
        int fds[HOST_DESCRIPTORS];
        size_t count;
        *news = (struct server_news){.word = SERVER_NOTHING};
        int n = host_receive(s->socket, &m, sizeof m, fds, &count);
        while (count)
                close(fds[--count]);
        if (n == -EMSGSIZE)
                return 1;
        if (n == -EAGAIN)
                return n;
        if (n <= 0)
                return 0;
        if (s->kind == SERVER_FILES && n == (int)sizeof m.files && m.files.word == GRANT_WORD) {
                news->id = m.files.id;
                news->word = word_of_files(&m.files, news);
        } else if (s->kind == SERVER_SOCKETS && n == (int)sizeof m.relay && m.relay.version == RELAY_VERSION) {
                news->id = m.relay.id;
                news->word = word_of_relay(&m.relay, news);
        } else if (s->kind == SERVER_CHANNELS && n == (int)sizeof m.channel && m.channel.version == CHANNEL_VERSION) {
                news->id = m.channel.id;
                news->word = word_of_channels(&m.channel, news);
        }
        return 1;
}
