// SPDX-License-Identifier: GPL-3.0-or-later
/* A grant comes and goes: what is common to all kinds. */
#include "source.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>

#define FUSE_DEVICE makedev(10, 229)
#define PLACEHOLDER_WRITE 4096

/* The mount is there and nobody answered it before: INIT waits. */
static int answer_init(struct grant *g)
{
        union {
                struct fuse_in_header head;
                char room[FUSE_MIN_READ_BUFFER];
        } request;
        ssize_t got = read(g->device, &request, sizeof request);
        if (got < 0)
                return errno == EPERM ? -ENOTCONN : errno == EAGAIN ? -EPROTO : -errno; /* EPERM: not mounted */
        if ((size_t)got < sizeof request.head || request.head.opcode != FUSE_INIT)
                return -EPROTO;
        return reply_init(g, &request.head, request.room + sizeof request.head, (size_t)got - sizeof request.head,
                          g->ask ? PLACEHOLDER_WRITE : MAX_WRITE);
}

static int check_source(struct grant *g, struct statx *st)
{
        int result = g->source < 0 ? -EBADF : stat_name(g->source, "", st);
        if (result == 0 && !(g->file ? S_ISREG(st->stx_mode) : S_ISDIR(st->stx_mode)))
                result = g->file ? -EINVAL : -ENOTDIR;
        return result < 0 ? result : device_check(g, identity_of(st).dev, g->source);
}

int grant_new(struct server *s, const struct grant_message *message, int device, int source, struct grant **made)
{
        struct stat st;
        struct statx top = {0};
        if (device < 0 || fstat(device, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != FUSE_DEVICE)
                return -ENODEV;
        fcntl(device, F_SETFL, fcntl(device, F_GETFL) | O_NONBLOCK);
        struct grant *g = memory_new(sizeof *g);
        *g = (struct grant){.id = message->id,
                            .server = s,
                            .device = device,
                            .source = source,
                            .show = message->add,
                            .refs = 1,
                            .writable = message->add.flags & GRANT_RW,
                            .file = message->add.flags & GRANT_FILE,
                            .ask = message->add.flags & GRANT_ASK};
        pthread_condattr_t monotonic;
        pthread_condattr_init(&monotonic);
        pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        pthread_mutex_init(&g->lock, NULL);
        pthread_cond_init(&g->changed, &monotonic);
        pthread_condattr_destroy(&monotonic);
        int result = g->ask ? ask_start(g) : check_source(g, &top);
        if (result == 0)
                result = answer_init(g);
        if (result < 0) {
                g->device = g->source = -1; /* they stay the caller's */
                grant_release(g);
                return result;
        }
        struct identity is = identity_of(&top);
        node_tree_start(&g->tree, &is);
        *made = g;
        return 0;
}

void grant_hold(struct grant *g)
{
        atomic_fetch_add(&g->refs, 1);
}

static void end(struct grant *g)
{
        uint32_t cursor = 0;
        handles_end(g);
        for (struct node *node; (node = node_next(&g->tree, &cursor));)
                locks_end(g, node);
        kept_expire(g, true);
        node_tree_end(&g->tree);
        if (g->ask)
                ask_end(g);
        if (g->device >= 0)
                close(g->device);
        if (g->source >= 0)
                close(g->source);
        pthread_mutex_destroy(&g->lock);
        pthread_cond_destroy(&g->changed);
        free(g->devices);
        free(g);
}

void grant_release(struct grant *g)
{
        if (atomic_fetch_sub(&g->refs, 1) == 1)
                end(g);
}

static void *release(void *context)
{
        struct grant *g = context;
        struct server *s = g->server;
        grant_release(g);
        atomic_fetch_sub(&s->threads, 1);
        return NULL;
}

void grant_release_elsewhere(struct grant *g)
{
        pthread_t thread;
        if (!g->handle_count) { /* closing nothing does not wait */
                grant_release(g);
                return;
        }
        atomic_fetch_add(&g->server->threads, 1);
        if (thread_start(release, g, &thread) == 0)
                pthread_detach(thread);
        else
                release(g);
}

void grant_report_use(struct request *r, bool writes)
{
        struct grant *g = r->grant;
        struct grant_message used = {.word = GRANT_WORD, .type = GRANT_USED, .id = g->id,
                                     .used = {r->head->pid, r->head->uid, writes}};
        if (!atomic_exchange(&g->used, true))
                server_post(g->server, &used);
}
