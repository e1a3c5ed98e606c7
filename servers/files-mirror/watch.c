// SPDX-License-Identifier: GPL-3.0-or-later
/* Tells the kernel what changes outside: see watch.h. */
#include "watch.h"

#include "drop.h"
#include "tell.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/statfs.h>
#include <time.h>

#define EVENTS                                                                                                        \
        (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_MODIFY | IN_CLOSE_WRITE |               \
         IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK)
#define WATCH_SHARE 4 /* of the user's watches, at most one in so many is taken by one mirror */
#define WATCH_DEFAULT 8192
#define WATCH_NUMBERS (1 << 20) /* inotify never uses a number again: past this one, watching starts over */
#define READS 64                /* buffers of events taken with the lock held: more than the queue holds by default */

struct watcher {
        pthread_t thread;
        struct teller *teller;
        int inotify, stop, wake, mounts;
        uint64_t *nodes; /* by watch number; guarded by the tree's lock, as all below */
        size_t room, count, limit;
        unsigned instance;  /* of inotify */
        bool start_over;    /* numbers have grown too large */
        uint64_t *replaced; /* nodes where another file stands, without an event */
        size_t replaced_count, replaced_capacity;
};

/* What one batch of events takes back from the kernel. Collected under the lock, told without it. */
struct news {
        struct one {
                uint64_t node;   /* of which attributes and pages go; NODE_NONE: of nothing known */
                uint64_t parent; /* in which `name` goes; NODE_NONE: no name does */
                char *name;
        } *list;
        size_t count, capacity;
        bool names;      /* some were given another meaning */
        bool any;        /* something happened in a directory that is known */
        bool drop;       /* the overlay's names go */
        bool everything; /* the queue overflowed, or mounts changed */
        uint64_t *moved; /* directories below which everything goes; they are marked */
        size_t moved_count, moved_capacity;
};

static size_t watch_limit(void)
{
        cleanup_file FILE *file = fopen("/proc/sys/fs/inotify/max_user_watches", "re");
        unsigned long limit = WATCH_DEFAULT;
        if (file && fscanf(file, "%lu", &limit) != 1)
                limit = WATCH_DEFAULT;
        return limit / WATCH_SHARE;
}

/* Lock held. */
static void make_room(struct watcher *w, int watch)
{
        if ((size_t)watch < w->room)
                return;
        size_t room = (size_t)watch * 2 + 64;
        w->nodes = memory_grow(w->nodes, room, sizeof *w->nodes);
        memset(w->nodes + w->room, 0, (room - w->room) * sizeof *w->nodes);
        w->room = room;
        if (watch > WATCH_NUMBERS && !w->start_over) {
                w->start_over = true;
                eventfd_write(w->wake, 1);
        }
}

double watch_directory(struct mirror *m, uint64_t id, int fd, unsigned epoch)
{
        struct watcher *w = m->watcher;
        if (!w)
                return KEPT_UNWATCHED;
        pthread_mutex_lock(&m->tree.lock);
        struct node *node = node_find(&m->tree, id);
        bool watched = node && node->watch > 0, refused = !node || node->watch_refused || w->count >= w->limit;
        unsigned instance = w->instance;
        pthread_mutex_unlock(&m->tree.lock);
        if (watched)
                return KEPT_WATCHED;
        if (refused)
                return KEPT_UNWATCHED;
        char self[40];
        struct statfs fs;
        snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
        bool remote = fstatfs(fd, &fs) < 0 || rules_remote_type((long)fs.f_type);
        int watch = remote ? -1 : inotify_add_watch(w->inotify, self, EVENTS);
        pthread_mutex_lock(&m->tree.lock);
        node = node_find(&m->tree, id);
        bool current = instance == w->instance;
        if (watch > 0 && current)
                make_room(w, watch);
        uint64_t holder = watch > 0 && current ? w->nodes[watch] : NODE_NONE;
        bool foreign = holder != NODE_NONE && holder != id && node_find(&m->tree, holder);
        if (watch > 0 && current && !foreign && (!node || epoch != atomic_load(&m->epoch))) {
                /* By now another directory may stand there, and no event will ever say so. */
                if (holder == NODE_NONE)
                        inotify_rm_watch(w->inotify, watch);
        } else if (node && watch > 0 && current && !foreign) {
                w->count += holder == NODE_NONE;
                w->nodes[watch] = id;
                node->watch = watch;
        } else if (node && current) {
                node->watch_refused = true; /* one directory under two names has one watch: the other does without */
        }
        bool good = node && node->watch > 0;
        pthread_mutex_unlock(&m->tree.lock);
        return good ? KEPT_WATCHED : KEPT_UNWATCHED;
}

int watch_above(struct mirror *m, uint64_t id)
{
        pthread_mutex_lock(&m->tree.lock);
        const struct node *node = node_find(&m->tree, id), *parent = node ? node_parent(&m->tree, node) : NULL;
        int watch = parent ? parent->watch : 0;
        pthread_mutex_unlock(&m->tree.lock);
        return watch;
}

void watch_replaced(struct mirror *m, struct node *node)
{
        struct watcher *w = m->watcher;
        atomic_fetch_add(&m->epoch, 1);
        atomic_fetch_add(&m->changes, 1);
        if (!w)
                return;
        *vector_add(w->replaced, w->replaced_count, w->replaced_capacity) = node_id(node);
        eventfd_write(w->wake, 1);
}

void watch_start_over(struct mirror *m)
{
        pthread_mutex_lock(&m->tree.lock);
        m->watcher->start_over = true;
        pthread_mutex_unlock(&m->tree.lock);
        eventfd_write(m->watcher->wake, 1);
}

static void unwatch(struct watcher *w, struct node *node)
{
        int watch = node->watch;
        node->watch = 0;
        if (watch <= 0 || (size_t)watch >= w->room || w->nodes[watch] != node_id(node))
                return;
        w->nodes[watch] = 0;
        w->count--;
        inotify_rm_watch(w->inotify, watch);
}

/* A node is given up. Lock held. */
static void released(void *context, struct node *node)
{
        if (node->watch > 0)
                unwatch(context, node);
}

static void add(struct news *news, struct node *node, const struct node *parent, const char *name)
{
        uint64_t id = node ? node_id(node) : NODE_NONE, above = parent ? node_id(parent) : NODE_NONE;
        const struct one *last = news->count ? &news->list[news->count - 1] : NULL;
        if (node)
                node->stored = false;
        name = parent ? name : NULL;
        if (last && last->node == id && last->parent == above &&
            (name ? last->name && !strcmp(name, last->name) : !last->name))
                return; /* a file that grows and grows */
        struct one *one = vector_add(news->list, news->count, news->capacity);
        one->node = id;
        one->parent = above;
        one->name = name ? memory_string(name) : NULL;
}

static void add_moved(struct news *news, struct node *node)
{
        news->names = news->drop = true;
        if (!node->moved)
                *vector_add(news->moved, news->moved_count, news->moved_capacity) = node_id(node);
        node->moved = true;
}

/* Files of which the size follows from another one: standin.h. */
static void add_followers(struct mirror *m, struct news *news, const struct node *directory, const char *name)
{
        static const char *const followers[][2] = {{"passwd", "shadow"}, {"group", "gshadow"}};
        for (size_t i = 0; i < 2; i++) {
                struct node *node = strcmp(name, followers[i][0]) == 0
                                                  ? node_child(&m->tree, directory, followers[i][1])
                                                  : NULL;
                if (node)
                        add(news, node, NULL, NULL);
        }
}

/* Lock held. */
static void collect(struct mirror *m, const struct inotify_event *event, struct news *news)
{
        struct watcher *w = m->watcher;
        if (event->mask & IN_Q_OVERFLOW) {
                news->everything = true;
                return;
        }
        uint64_t id = event->wd > 0 && (size_t)event->wd < w->room ? w->nodes[event->wd] : 0;
        struct node *directory = id ? node_find(&m->tree, id) : NULL;
        if (event->mask & (IN_IGNORED | IN_UNMOUNT)) {
                if (id && (event->mask & IN_IGNORED)) {
                        w->nodes[event->wd] = 0;
                        w->count--;
                        if (directory && directory->watch == event->wd) {
                                directory->watch = 0;
                                add_moved(news, directory); /* what was kept for as long as it is watched goes */
                        }
                }
                return;
        }
        if (!directory || directory->watch != event->wd)
                return;
        news->any = true;
        if (event->mask & (IN_MOVE_SELF | IN_DELETE_SELF)) {
                add_moved(news, directory);
                return;
        }
        struct node *child = event->len ? node_child(&m->tree, directory, event->name) : NULL;
        if (event->len)
                add_followers(m, news, directory, event->name);
        if (event->mask & (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)) {
                add(news, directory, NULL, NULL);
                directory->listed = directory->complete = false;
                directory->looked_up = 0;
                news->names = true;
                if (child) {
                        add(news, child, directory, event->name);
                        news->drop = true;
                        if (child->type == S_IFDIR)
                                add_moved(news, child);
                } else {
                        add(news, NULL, directory, event->name);
                        /* For good: the kernel keeps what else was told below the overlay, and tells it from there
                         * again. */
                        news->drop |= directory->absent_told;
                }
        } else {
                add(news, event->len ? child : directory, directory, event->len ? event->name : NULL);
        }
}

/* Those of which a look, not an event, told that they are others now. Lock held. */
static void collect_replaced(struct mirror *m, struct news *news)
{
        struct watcher *w = m->watcher;
        for (size_t i = 0; i < w->replaced_count; i++) {
                struct node *node = node_find(&m->tree, w->replaced[i]);
                if (node && node->children)
                        add_moved(news, node);
                else if (node)
                        add(news, node, NULL, NULL);
        }
        w->replaced_count = 0;
}

/* Ends all watches at once. Lock held. */
static void start_over(struct mirror *m)
{
        struct watcher *w = m->watcher;
        uint32_t cursor = 0;
        int fresh = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        for (struct node *node; (node = node_next(&m->tree, &cursor));) {
                if (fresh < 0)
                        unwatch(w, node);
                node->watch = 0;
        }
        if (fresh < 0)
                return;
        dup3(fresh, w->inotify, O_CLOEXEC); /* under the number that others use at this moment */
        close(fresh);
        if (w->room)
                memset(w->nodes, 0, w->room * sizeof *w->nodes);
        w->count = 0;
        w->instance++;
}

/* Everything below a directory that is another one now: watches of the old ones end, names and attributes go. Lock
 * held. */
static void collect_below(struct mirror *m, struct news *news)
{
        uint32_t cursor = 0;
        if (news->everything)
                start_over(m);
        for (struct node *node; (node = node_next(&m->tree, &cursor));) {
                if (!news->everything && !node_is_moved(&m->tree, node))
                        continue;
                unwatch(m->watcher, node);
                node->watch_refused = false;
                add(news, node, node_parent(&m->tree, node), node->name);
        }
        for (size_t i = 0; i < news->moved_count; i++) {
                struct node *node = node_find(&m->tree, news->moved[i]);
                if (node)
                        node->moved = false;
        }
}

static void news_end(struct news *news)
{
        for (size_t i = 0; i < news->count; i++)
                free(news->list[i].name);
        free(news->list);
        free(news->moved);
        *news = (struct news){0};
}

/* Takes back. `again`: what was answered while it was taken back the first time, and arrived later, goes as well. */
static void tell(struct watcher *w, const struct news *news, bool again)
{
        for (size_t i = 0; i < news->count; i++) {
                const struct one *one = &news->list[i];
                tell_put(w->teller, one->parent, one->name ? memory_string(one->name) : NULL, one->node, again);
        }
}

/* Reads what has happened. */
static void read_events(struct mirror *m, struct news *news)
{
        char buffer[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
        struct watcher *w = m->watcher;
        ssize_t got;
        pthread_mutex_lock(&m->tree.lock);
        for (int i = 0; i < READS && (got = read(w->inotify, buffer, sizeof buffer)) > 0; i++) {
                for (char *p = buffer; p < buffer + got;) {
                        const struct inotify_event *event = (const void *)p;
                        collect(m, event, news);
                        p += sizeof *event + event->len;
                }
        }
        collect_replaced(m, news);
        news->everything |= w->start_over;
        w->start_over = false;
        news->drop |= news->everything;
        if (news->any || news->moved_count || news->everything)
                atomic_fetch_add(&m->changes, 1);
        if (news->names || news->everything)
                atomic_fetch_add(&m->epoch, 1); /* descriptors that are kept may be of what was replaced */
        if (news->moved_count || news->everything)
                collect_below(m, news);
        pthread_mutex_unlock(&m->tree.lock);
}

static void *watch(void *context)
{
        struct mirror *m = context;
        struct watcher *w = m->watcher;
        struct news before = {0};
        for (;;) {
                struct pollfd fds[] = {{.fd = w->stop, .events = POLLIN},
                                       {.fd = w->inotify, .events = POLLIN},
                                       {.fd = w->mounts, .events = POLLPRI},
                                       {.fd = w->wake, .events = POLLIN}};
                int ready = poll(fds, 4, before.count || tell_waits(w->teller) ? WATCH_BATCH : -1);
                if ((ready < 0 && errno != EINTR) || (ready > 0 && fds[0].revents))
                        break;
                struct news news = {0};
                if (ready > 0) {
                        /* A mount is no event of a directory, and what it covers may lie anywhere. */
                        news.everything = (fds[2].revents & (POLLPRI | POLLERR)) != 0;
                        if (news.everything) {
                                atomic_fetch_add(&m->epoch, 1); /* at once: a number may be another file system's now */
                                atomic_fetch_add(&m->changes, 1);
                        }
                        struct pollfd pause = {.fd = w->stop, .events = POLLIN};
                        if (poll(&pause, 1, WATCH_BATCH) > 0)
                                break;
                        eventfd_t count;
                        if (fds[3].revents)
                                eventfd_read(w->wake, &count);
                        read_events(m, &news);
                }
                tell(w, &before, true);
                tell(w, &news, false);
                if (news.drop || before.drop) {
                        tell_wait(w->teller); /* else the overlay above would find them again */
                        drop_names(m);
                }
                news_end(&before);
                before = news;
        }
        news_end(&before);
        return NULL;
}

void watch_start(struct mirror *m)
{
        struct watcher *w = memory_new(sizeof *w);
        w->limit = watch_limit();
        w->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        w->stop = eventfd(0, EFD_CLOEXEC);
        w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        w->mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
        w->teller = tell_start(m);
        m->watcher = w;
        m->tree.released = released;
        m->tree.context = w;
        if (w->inotify >= 0 && w->stop >= 0 && w->wake >= 0 && pthread_create(&w->thread, NULL, watch, m) == 0)
                return;
        m->watcher = NULL;
        m->tree.released = NULL;
        tell_end(w->teller);
        int fds[] = {w->inotify, w->stop, w->wake, w->mounts};
        for (size_t i = 0; i < 4; i++)
                if (fds[i] >= 0)
                        close(fds[i]);
        free(w);
}

void watch_end(struct mirror *m)
{
        struct watcher *w = m->watcher;
        if (!w)
                return;
        eventfd_write(w->stop, 1);
        pthread_join(w->thread, NULL);
        tell_end(w->teller);
        m->watcher = NULL;
        m->tree.released = NULL;
        close(w->inotify);
        close(w->stop);
        close(w->wake);
        if (w->mounts >= 0)
                close(w->mounts);
        free(w->nodes);
        free(w->replaced);
        free(w);
}
