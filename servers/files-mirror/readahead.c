// SPDX-License-Identifier: GPL-3.0-or-later
/* Small files of a directory that is being read: see readahead.h. */
#include "readahead.h"
#include "ahead.h"
#include "serve.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

/* A directory in which files are read one after another. */
struct reading {
        uint64_t directory;
        unsigned requests; /* reads of its files that had to be asked for */
        unsigned wanted;   /* files to be stored now */
        off_t at;          /* how far its entries were seen */
        bool done;
        bool whole;        /* beside it, files were read as well */
        unsigned used;     /* when it was last noted, for choosing the one to give up */
};

struct readahead {
        struct mirror *m;
        pthread_t thread;
        pthread_mutex_t lock;
        pthread_cond_t wanted;
        struct reading readings[READAHEAD_DIRECTORIES];
        uint64_t queue[READAHEAD_QUEUE]; /* directories to be stored whole, a ring */
        size_t first, queued;
        unsigned clock;
        bool ended;
};

void readahead_note(struct mirror *m, uint64_t id)
{
        struct readahead *r = m->readahead;
        if (!r)
                return;
        pthread_mutex_lock(&m->tree.lock);
        struct node *node = node_find(&m->tree, id), *parent = node ? node_parent(&m->tree, node) : NULL;
        uint64_t directory = parent && parent->watch > 0 ? node_id(parent) : NODE_NONE;
        if (node)
                node->stored = true;
        pthread_mutex_unlock(&m->tree.lock);
        if (directory == NODE_NONE)
                return;
        pthread_mutex_lock(&r->lock);
        struct reading *reading = &r->readings[0];
        for (size_t i = 0; i < READAHEAD_DIRECTORIES && reading->directory != directory; i++)
                if (r->readings[i].directory == directory || r->readings[i].used < reading->used)
                        reading = &r->readings[i];
        if (reading->directory != directory)
                *reading = (struct reading){.directory = directory};
        reading->used = ++r->clock;
        if (++reading->requests == 2)
                reading->whole = ahead_read(m, directory);
        if (reading->requests > 1 && !reading->done && !reading->wanted) {
                unsigned window = reading->requests < 8 && !reading->whole ? 2U << reading->requests : READAHEAD_WINDOW;
                reading->wanted = window < READAHEAD_WINDOW ? window : READAHEAD_WINDOW;
                pthread_cond_signal(&r->wanted);
        }
        pthread_mutex_unlock(&r->lock);
}

void readahead_directory(struct mirror *m, uint64_t directory)
{
        struct readahead *r = m->readahead;
        if (!r)
                return;
        pthread_mutex_lock(&r->lock);
        if (r->queued < READAHEAD_QUEUE) {
                r->queue[(r->first + r->queued++) % READAHEAD_QUEUE] = directory;
                pthread_cond_signal(&r->wanted);
        }
        pthread_mutex_unlock(&r->lock);
}

/* Is the entry a file whose name the kernel knows and whose content it was not given? Marks it as given. Adds to
 * *unknown when the kernel does not know the name (yet). */
static uint64_t claim(struct mirror *m, uint64_t directory, const char *name, unsigned *unknown)
{
        pthread_mutex_lock(&m->tree.lock);
        const struct node *parent = node_find(&m->tree, directory);
        struct node *node = parent && parent->watch > 0 ? node_child(&m->tree, parent, name) : NULL;
        bool good = node && node->lookups && node->type == S_IFREG && !node->stored;
        uint64_t id = good ? node_id(node) : NODE_NONE;
        if (good)
                node->stored = true;
        *unknown += !node || !node->lookups;
        pthread_mutex_unlock(&m->tree.lock);
        return id;
}

/* Returns whether something was stored. */
static bool store(struct mirror *m, uint64_t id)
{
        unsigned changes = atomic_load(&m->changes);
        struct stat st;
        cleanup_close int fd = look_open(m, &thread_keeps()->directories, id, O_RDONLY);
        if (fd < 0 || fstat(fd, &st) < 0 || st.st_size == 0 || st.st_size > READAHEAD_FILE)
                return false;
        char *buffer = thread_keeps()->buffer;
        ssize_t got = pread(fd, buffer, READAHEAD_FILE, 0);
        if (got != st.st_size)
                return false;
        struct fuse_bufvec content = FUSE_BUFVEC_INIT((size_t)got);
        content.buf[0].mem = buffer;
        bool stored = fuse_lowlevel_notify_store(m->session, id, 0, &content, 0) == 0;
        /* Changed since it was read, and perhaps already taken back before it was stored. */
        if (stored && atomic_load(&m->changes) != changes)
                fuse_lowlevel_notify_inval_inode(m->session, id, 0, 0);
        return stored;
}

/* Stores up to `wanted` files of a directory from the entry at *at on. Returns false when there is nothing left to
 * store. */
static bool store_some(struct mirror *m, uint64_t directory, off_t *at, unsigned wanted)
{
        char entries[4096] __attribute__((aligned(8)));
        cleanup_close int fd = look_open(m, &thread_keeps()->directories, directory, O_RDONLY | O_DIRECTORY);
        if (fd < 0 || (*at && lseek(fd, *at, SEEK_SET) < 0))
                return false;
        unsigned unknown = 0;
        for (unsigned seen = 0; wanted && seen < 4 * READAHEAD_WHOLE;) {
                long got = syscall(SYS_getdents64, fd, entries, sizeof entries);
                if (got <= 0) { /* names that the kernel did not know this time may be known the next */
                        *at = 0;
                        return unknown > 0;
                }
                for (long i = 0; i < got && wanted; seen++) {
                        const struct kernel_dirent *dirent = (const void *)(entries + i);
                        bool file = dirent->type == DT_REG || dirent->type == DT_UNKNOWN;
                        uint64_t id = file ? claim(m, directory, dirent->name, &unknown) : NODE_NONE;
                        if (id != NODE_NONE && store(m, id))
                                wanted--;
                        *at = dirent->next;
                        i += dirent->length;
                }
        }
        return true;
}

static void *read_ahead(void *context)
{
        struct readahead *r = context;
        struct keeps keeps;
        bool open = false;
        keeps_start(&keeps);
        pthread_mutex_lock(&r->lock);
        while (!r->ended) {
                struct reading *reading = NULL;
                for (size_t i = 0; i < READAHEAD_DIRECTORIES; i++)
                        if (r->readings[i].wanted)
                                reading = &r->readings[i];
                if (!reading && r->queued) {
                        uint64_t directory = r->queue[r->first];
                        off_t at = 0;
                        r->first = (r->first + 1) % READAHEAD_QUEUE;
                        r->queued--;
                        open = true;
                        pthread_mutex_unlock(&r->lock);
                        store_some(r->m, directory, &at, READAHEAD_WHOLE);
                        pthread_mutex_lock(&r->lock);
                        continue;
                }
                if (!reading && open) {
                        struct timespec soon;
                        clock_gettime(CLOCK_REALTIME, &soon);
                        soon.tv_sec++;
                        pthread_cond_timedwait(&r->wanted, &r->lock, &soon);
                        open = keeps_expire(&keeps);
                        continue;
                }
                if (!reading) {
                        pthread_cond_wait(&r->wanted, &r->lock);
                        continue;
                }
                open = true;
                struct reading job = *reading;
                pthread_mutex_unlock(&r->lock);
                bool more = store_some(r->m, job.directory, &job.at, job.wanted);
                pthread_mutex_lock(&r->lock);
                if (reading->directory == job.directory) {
                        reading->wanted = 0;
                        reading->at = job.at;
                        reading->done = !more;
                }
        }
        pthread_mutex_unlock(&r->lock);
        keeps_end(&keeps);
        return NULL;
}

struct readahead *readahead_start(struct mirror *m)
{
        struct readahead *r = memory_new(sizeof *r);
        r->m = m;
        pthread_mutex_init(&r->lock, NULL);
        pthread_cond_init(&r->wanted, NULL);
        if (m->watcher && pthread_create(&r->thread, NULL, read_ahead, r) == 0)
                return r;
        free(r);
        return NULL;
}

void readahead_end(struct readahead *r)
{
        if (!r)
                return;
        pthread_mutex_lock(&r->lock);
        r->ended = true;
        pthread_cond_signal(&r->wanted);
        pthread_mutex_unlock(&r->lock);
        pthread_join(r->thread, NULL);
        pthread_mutex_destroy(&r->lock);
        pthread_cond_destroy(&r->wanted);
        free(r);
}
