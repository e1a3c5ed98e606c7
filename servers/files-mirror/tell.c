// SPDX-License-Identifier: GPL-3.0-or-later
/* Tells the kernel what it must forget: see tell.h. */
#include "tell.h"
#include "drop.h"
#include "serve.h"
#include "watch.h"

#include "base/cleanup.h"

#include <string.h>
#include <time.h>

struct item {
        struct item *next;
        uint64_t parent, node;
        char *name;
        bool again;
        bool late; /* it was put off */
};

struct teller {
        struct mirror *m;
        pthread_mutex_t lock;
        pthread_cond_t wanted, changed;
        struct item *first, **last;
        struct item *off; /* put off */
        size_t off_count;
        bool lost;        /* more than could be put off */
        size_t threads, busy;
        long long begun; /* ms; when something was last taken from the list */
        bool ended;
};

static long long milliseconds(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* Returns false when it is to be put off. */
static bool tell(struct mirror *m, const struct item *item, int patience)
{
        uint64_t id = item->node;
        if ((item->name && serve_is_held_up(m, item->parent, patience)) ||
            (id != NODE_NONE && serve_is_held_up(m, id, patience)))
                return false;
        if (item->again && item->name && id == NODE_NONE) {
                pthread_mutex_lock(&m->tree.lock);
                const struct node *parent = node_find(&m->tree, item->parent);
                const struct node *node = parent ? node_child(&m->tree, parent, item->name) : NULL;
                id = node ? node_id(node) : NODE_NONE;
                pthread_mutex_unlock(&m->tree.lock);
        }
        if (item->name && item->name[0])
                fuse_lowlevel_notify_inval_entry(m->session, item->parent, item->name, strlen(item->name));
        if (id != NODE_NONE)
                fuse_lowlevel_notify_inval_inode(m->session, id, 0, 0);
        return true;
}

static void item_free(struct item *item)
{
        free(item->name);
        free(item);
}

static void items_free(struct item *item)
{
        for (struct item *next; item; item = next) {
                next = item->next;
                item_free(item);
        }
}

static void *tell_all(void *context)
{
        struct teller *t = context;
        pthread_mutex_lock(&t->lock);
        while (!t->ended) {
                struct item *item = t->first;
                if (!item) {
                        if (t->threads - t->busy > 1) /* one is enough, as long as none is stuck */
                                break;
                        pthread_cond_wait(&t->wanted, &t->lock);
                        continue;
                }
                t->first = item->next;
                if (!t->first)
                        t->last = &t->first;
                long long begun = t->begun = milliseconds();
                t->busy++;
                int patience = t->off_count || item->late ? 0 : SERVE_SHORT;
                pthread_mutex_unlock(&t->lock);
                bool told = tell(t->m, item, patience);
                if (told && (item->late || milliseconds() - begun >= TELL_STUCK))
                        drop_names(t->m);
                pthread_mutex_lock(&t->lock);
                if (told) {
                        item_free(item);
                } else if (t->off_count == TELL_OFF) {
                        t->lost = true;
                        item_free(item);
                } else {
                        item->late = true;
                        item->next = t->off;
                        t->off = item;
                        t->off_count++;
                }
                if (--t->busy == 0 && !t->first)
                        pthread_cond_broadcast(&t->changed);
        }
        t->threads--;
        pthread_cond_broadcast(&t->changed);
        pthread_mutex_unlock(&t->lock);
        return NULL;
}

/* Lock held. */
static bool start_another(struct teller *t)
{
        pthread_t thread;
        t->threads++;
        if (pthread_create(&thread, NULL, tell_all, t) == 0)
                return pthread_detach(thread) == 0;
        t->threads--;
        return false;
}

struct teller *tell_start(struct mirror *m)
{
        struct teller *t = memory_new(sizeof *t);
        t->m = m;
        t->last = &t->first;
        pthread_mutex_init(&t->lock, NULL);
        pthread_cond_init(&t->wanted, NULL);
        pthread_condattr_t monotonic;
        pthread_condattr_init(&monotonic);
        pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        pthread_cond_init(&t->changed, &monotonic);
        pthread_condattr_destroy(&monotonic);
        return t; /* a thread is started with the first need */
}

void tell_end(struct teller *t)
{
        pthread_mutex_lock(&t->lock);
        t->ended = true;
        pthread_cond_broadcast(&t->wanted);
        while (t->threads)
                pthread_cond_wait(&t->changed, &t->lock);
        pthread_mutex_unlock(&t->lock);
        items_free(t->first);
        items_free(t->off);
        pthread_mutex_destroy(&t->lock);
        pthread_cond_destroy(&t->wanted);
        pthread_cond_destroy(&t->changed);
        free(t);
}

void tell_put(struct teller *t, uint64_t parent, char *name, uint64_t node, bool again)
{
        struct item *item = memory_new(sizeof *item);
        *item = (struct item){.parent = parent, .node = node, .name = name, .again = again};
        pthread_mutex_lock(&t->lock);
        *t->last = item;
        t->last = &item->next;
        if (!t->threads)
                start_another(t);
        pthread_cond_signal(&t->wanted);
        pthread_mutex_unlock(&t->lock);
}

void tell_wait(struct teller *t)
{
        struct timespec end;
        clock_gettime(CLOCK_MONOTONIC, &end);
        end.tv_nsec += TELL_STUCK * 1000000L;
        end.tv_sec += end.tv_nsec / 1000000000;
        end.tv_nsec %= 1000000000;
        pthread_mutex_lock(&t->lock);
        while ((t->first || t->busy) && pthread_cond_timedwait(&t->changed, &t->lock, &end) == 0)
                ;
        pthread_mutex_unlock(&t->lock);
}

bool tell_waits(struct teller *t)
{
        pthread_mutex_lock(&t->lock);
        if (t->first && t->busy == t->threads && t->threads < TELL_THREADS && milliseconds() - t->begun >= TELL_STUCK)
                start_another(t);
        if (!t->first && !t->busy && t->off) {
                t->first = t->off; /* in no order: each is about another name, or says the same */
                for (t->last = &t->first; *t->last; t->last = &(*t->last)->next)
                        ;
                t->off = NULL;
                t->off_count = 0;
                pthread_cond_signal(&t->wanted);
        }
        bool waits = t->first || t->off || t->busy;
        bool lost = !waits && t->lost;
        t->lost &= waits;
        pthread_mutex_unlock(&t->lock);
        if (lost)
                watch_start_over(t->m);
        return waits;
}
