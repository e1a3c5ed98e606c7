// SPDX-License-Identifier: GPL-3.0-or-later
/* The names that overlays above keep: see drop.h. */
#include "drop.h"

#include "control.h"
#include "serve.h"

#include "base/cleanup.h"

#include <time.h>

#define RECENT 2 /* seconds: a time that is no older may stand for more than one change */

struct dropper {
        struct mirror *m;
        pthread_mutex_t lock;
        pthread_cond_t wanted, unwatched;
        pthread_t drops, looks;
        bool looking; /* the thread `looks` was started */
        bool drop, ended;
        struct absent {
                uint64_t directory;
                struct timespec changed;
        } *list;
        size_t count;
        bool too_many;
};

void drop_names(struct mirror *m)
{
        struct dropper *d = m->dropper;
        if (!d)
                return;
        pthread_mutex_lock(&d->lock);
        if (!d->drop)
                pthread_cond_signal(&d->wanted);
        d->drop = true;
        pthread_mutex_unlock(&d->lock);
}

/* Waits for a condition, at most `ms`. Lock held. */
static void wait_for(struct dropper *d, pthread_cond_t *condition, long ms)
{
        struct timespec end;
        clock_gettime(CLOCK_MONOTONIC, &end);
        end.tv_nsec += ms % 1000 * 1000000;
        end.tv_sec += ms / 1000 + end.tv_nsec / 1000000000;
        end.tv_nsec %= 1000000000;
        while (!d->ended && pthread_cond_timedwait(condition, &d->lock, &end) == 0)
                ;
}

static void *drop(void *context)
{
        struct dropper *d = context;
        pthread_mutex_lock(&d->lock);
        while (!d->ended) {
                if (!d->drop) {
                        pthread_cond_wait(&d->wanted, &d->lock);
                        continue;
                }
                d->drop = false;
                control_drop_names(d->m);
                wait_for(d, &d->wanted, DROP_PAUSE);
        }
        pthread_mutex_unlock(&d->lock);
        return NULL;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
        return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* The time of the last change of a directory; 0 when it is so recent that the next change may have the same one, or
 * when it cannot be told. */
static struct timespec changed(int fd)
{
        struct stat st;
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        if (fd < 0 || fstat(fd, &st) < 0 || st.st_ctim.tv_sec + RECENT >= now.tv_sec)
                return (struct timespec){0};
        return st.st_ctim;
}

/* Once a second, as long as there is something to look at. */
static void *look(void *context)
{
        struct dropper *d = context;
        struct keeps keeps;
        keeps_start(&keeps);
        pthread_mutex_lock(&d->lock);
        while (!d->ended) {
                if (!d->count && !d->too_many) {
                        keeps_expire(&keeps);
                        pthread_cond_wait(&d->unwatched, &d->lock);
                        continue;
                }
                wait_for(d, &d->unwatched, 1000);
                bool drop = d->too_many;
                for (size_t i = 0; i < d->count && !drop && !d->ended; i++) {
                        struct absent absent = d->list[i];
                        pthread_mutex_unlock(&d->lock);
                        struct timespec time = changed(look_directory(d->m, &keeps.directories, absent.directory));
                        drop = !time.tv_sec || !same_time(&time, &absent.changed);
                        pthread_mutex_lock(&d->lock);
                }
                if (drop) { /* and with the names goes what was said of them */
                        d->count = 0;
                        d->too_many = false;
                        pthread_cond_signal(&d->wanted);
                        d->drop = true;
                }
                keeps_expire(&keeps);
        }
        pthread_mutex_unlock(&d->lock);
        keeps_end(&keeps);
        return NULL;
}

void drop_when_changed(struct mirror *m, uint64_t directory, int fd)
{
        struct dropper *d = m->dropper;
        if (!d)
                return;
        struct timespec time = changed(fd);
        pthread_mutex_lock(&d->lock);
        size_t i;
        for (i = 0; i < d->count && d->list[i].directory != directory; i++)
                ;
        if (i == d->count && i < DROP_DIRECTORIES)
                d->list[d->count++] = (struct absent){directory, time};
        else if (i == d->count)
                d->too_many = true;
        else if (!same_time(&d->list[i].changed, &time))
                d->list[i].changed = (struct timespec){0}; /* what was said before may be wrong by now */
        if (!d->looking)
                d->looking = pthread_create(&d->looks, NULL, look, d) == 0;
        pthread_cond_signal(&d->unwatched);
        pthread_mutex_unlock(&d->lock);
}

struct dropper *drop_start(struct mirror *m)
{
        struct dropper *d = memory_new(sizeof *d);
        d->m = m;
        d->list = memory_new(DROP_DIRECTORIES * sizeof *d->list);
        pthread_condattr_t monotonic;
        pthread_condattr_init(&monotonic);
        pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        pthread_mutex_init(&d->lock, NULL);
        pthread_cond_init(&d->wanted, &monotonic);
        pthread_cond_init(&d->unwatched, &monotonic);
        pthread_condattr_destroy(&monotonic);
        if (pthread_create(&d->drops, NULL, drop, d) == 0)
                return d;
        free(d->list);
        free(d);
        return NULL;
}

void drop_end(struct dropper *d)
{
        if (!d)
                return;
        pthread_mutex_lock(&d->lock);
        d->ended = true;
        pthread_cond_signal(&d->wanted);
        pthread_cond_signal(&d->unwatched);
        pthread_mutex_unlock(&d->lock);
        pthread_join(d->drops, NULL);
        if (d->looking)
                pthread_join(d->looks, NULL);
        pthread_mutex_destroy(&d->lock);
        pthread_cond_destroy(&d->wanted);
        pthread_cond_destroy(&d->unwatched);
        free(d->list);
        free(d);
}
