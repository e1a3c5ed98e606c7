// SPDX-License-Identifier: GPL-3.0-or-later
/* Threads that close: see closer.h. */
#include "closer.h"

#include "base/cleanup.h"

#include <pthread.h>
#include <signal.h>

struct closer {
        pthread_mutex_t lock;
        pthread_cond_t more;
        int queue[CLOSER_QUEUE];
        size_t first, count;
        unsigned threads, idle;
};

struct closer *closer_start(void)
{
        struct closer *c = memory_new(sizeof *c);
        pthread_mutex_init(&c->lock, NULL);
        pthread_cond_init(&c->more, NULL);
        return c;
}

static void help(struct closer *c);

static void *work(void *context)
{
        struct closer *c = context;
        pthread_mutex_lock(&c->lock);
        for (;;) {
                while (!c->count) {
                        c->idle++;
                        pthread_cond_wait(&c->more, &c->lock);
                        c->idle--;
                }
                int fd = c->queue[c->first];
                c->first = (c->first + 1) % CLOSER_QUEUE;
                c->count--;
                if (c->count)
                        help(c); /* this one may be stuck for ever */
                pthread_mutex_unlock(&c->lock);
                close(fd);
                pthread_mutex_lock(&c->lock);
        }
        return NULL;
}

bool closer_has_room(struct closer *c, size_t count)
{
        pthread_mutex_lock(&c->lock);
        bool room = c->count + count <= CLOSER_QUEUE;
        pthread_mutex_unlock(&c->lock);
        return room;
}

/* Wakes a thread that is free, or starts one if there may be one more. The lock is held. */
static void help(struct closer *c)
{
        pthread_t thread;
        pthread_attr_t attributes;
        if (c->idle)
                pthread_cond_signal(&c->more);
        if (c->idle || c->threads == CLOSER_THREADS)
                return;
        pthread_attr_init(&attributes);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        pthread_attr_setstacksize(&attributes, 64 * 1024);
        if (pthread_create(&thread, &attributes, work, c) == 0)
                c->threads++;
        pthread_attr_destroy(&attributes);
}

void closer_take(struct closer *c, const int *fds, size_t count)
{
        pthread_mutex_lock(&c->lock);
        for (size_t i = 0; i < count && c->count < CLOSER_QUEUE; i++)
                c->queue[(c->first + c->count++) % CLOSER_QUEUE] = fds[i];
        if (count)
                help(c);
        pthread_mutex_unlock(&c->lock);
}
