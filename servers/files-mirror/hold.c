// SPDX-License-Identifier: GPL-3.0-or-later
/* Lookups that wait for a listing: see hold.h. */
#include "hold.h"

#include "names.h"

#include "base/cleanup.h"

#include <string.h>
#include <time.h>

#define HELD_MOST 256

struct held {
        struct held *next;
        fuse_req_t req;
        uint64_t parent;
        long long since; /* ms */
        char name[];
};

static long long milliseconds(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

bool hold_lookup(fuse_req_t req, uint64_t parent, const char *name)
{
        struct mirror *m = fuse_req_userdata(req);
        pid_t lister = atomic_load(&m->lister);
        bool hold = false;
        if (!lister || fuse_req_ctx(req)->pid == lister) /* which may be on its way to that very directory */
                return false;
        pthread_mutex_lock(&m->tree.lock);
        const struct node *node = node_find(&m->tree, parent);
        if (node && node->awaited && atomic_load(&m->held_count) < HELD_MOST) {
                struct held *held = memory_new(sizeof *held + strlen(name) + 1);
                held->next = m->held;
                held->req = req;
                held->parent = parent;
                held->since = milliseconds();
                memcpy(held->name, name, strlen(name) + 1);
                m->held = held;
                atomic_fetch_add(&m->held_count, 1);
                hold = true;
        }
        pthread_mutex_unlock(&m->tree.lock);
        return hold;
}

/* Takes those out that wait no more. */
static struct held *take(struct mirror *m, uint64_t directory, bool all)
{
        struct held *taken = NULL;
        long long time = milliseconds();
        pthread_mutex_lock(&m->tree.lock);
        for (struct held **link = &m->held, *held; (held = *link);) {
                bool late = time - held->since >= HOLD_TIME;
                if (!all && (directory == NODE_NONE ? !late : held->parent != directory)) {
                        link = &held->next;
                        continue;
                }
                struct node *node = node_find(&m->tree, held->parent);
                if (node) /* the next ones do not wait for what does not come */
                        node->awaited = false;
                *link = held->next;
                held->next = taken;
                taken = held;
                atomic_fetch_sub(&m->held_count, 1);
        }
        pthread_mutex_unlock(&m->tree.lock);
        return taken;
}

void hold_release(struct mirror *m, uint64_t directory)
{
        if (!atomic_load(&m->held_count))
                return;
        for (struct held *held = take(m, directory, false), *next; held; held = next) {
                next = held->next;
                answer_lookup_now(held->req, held->parent, held->name);
                free(held);
        }
}

void hold_end(struct mirror *m)
{
        for (struct held *held = take(m, NODE_NONE, true), *next; held; held = next) {
                next = held->next;
                fuse_reply_err(held->req, ENOTCONN);
                free(held);
        }
}
