// SPDX-License-Identifier: GPL-3.0-or-later
/* Tells the kernel what changes outside: see watch.h. */
#include "watch.h"

#include "control.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <time.h>

#define EVENTS                                                                                                        \
        (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_MODIFY | IN_DELETE_SELF | IN_MOVE_SELF | \
         IN_ONLYDIR | IN_EXCL_UNLINK)
#define WATCH_SHARE 4 /* of the user's watches, at most one in so many is taken by one mirror */
#define WATCH_DEFAULT 8192

struct watcher {
        pthread_t thread;
        int inotify, stop, mounts;
        uint64_t *nodes; /* by watch number; guarded by the tree's lock, as all below */
        size_t room, count, limit;
};

/* What one batch of events takes back from the kernel. Collected under the lock, told without it. */
struct news {
        struct one {
                uint64_t node;   /* of which attributes and pages go; NODE_NONE: of nothing known */
                uint64_t parent; /* in which `name` goes; NODE_NONE: no name does */
                char *name;
        } *list;
        size_t count, capacity;
        bool drop;       /* the overlay's names go */
        bool everything; /* the queue overflowed */
        uint64_t *moved; /* directories below which everything goes */
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

double watch_directory(struct mirror *m, uint64_t id, int fd)
{
        struct watcher *w = m->watcher;
        if (!w)
                return KEPT_UNWATCHED;
        pthread_mutex_lock(&m->tree.lock);
        struct node *node = node_find(&m->tree, id);
        bool watched = node && node->watch > 0, refused = !node || node->watch_refused || w->count >= w->limit;
        pthread_mutex_unlock(&m->tree.lock);
        if (watched)
                return KEPT_WATCHED;
        if (refused)
                return KEPT_UNWATCHED;
        char self[40];
        snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
        int watch = inotify_add_watch(w->inotify, self, EVENTS);
        pthread_mutex_lock(&m->tree.lock);
        node = node_find(&m->tree, id);
        if (watch > 0 && (size_t)watch >= w->room) {
                size_t room = (size_t)watch * 2 + 64;
                w->nodes = memory_grow(w->nodes, room, sizeof *w->nodes);
                memset(w->nodes + w->room, 0, (room - w->room) * sizeof *w->nodes);
                w->room = room;
        }
        uint64_t holder = watch > 0 ? w->nodes[watch] : NODE_NONE;
        bool foreign = holder != NODE_NONE && holder != id && node_find(&m->tree, holder);
        if (node && watch > 0 && !foreign) {
                w->count += holder == NODE_NONE;
                w->nodes[watch] = id;
                node->watch = watch;
        } else if (node) {
                node->watch_refused = true; /* one directory under two names has one watch: the other does without */
        }
        bool good = node && node->watch > 0;
        pthread_mutex_unlock(&m->tree.lock);
        return good ? KEPT_WATCHED : KEPT_UNWATCHED;
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

void watch_forget(struct mirror *m, struct node *node)
{
        if (m->watcher && node->watch > 0)
                unwatch(m->watcher, node);
}

static void add(struct news *news, struct node *node, const struct node *parent, const char *name)
{
        struct one *one = vector_add(news->list, news->count, news->capacity);
        if (node)
                node->stored = false;
        one->node = node ? node_id(node) : NODE_NONE;
        one->parent = parent ? node_id(parent) : NODE_NONE;
        one->name = name && parent ? memory_string(name) : NULL;
}

/* Lock held. */
static void collect(struct mirror *m, const struct inotify_event *event, struct news *news)
{
        struct watcher *w = m->watcher;
        if (event->mask & IN_Q_OVERFLOW) {
                news->everything = news->drop = true;
                return;
        }
        uint64_t id = event->wd > 0 && (size_t)event->wd < w->room ? w->nodes[event->wd] : 0;
        struct node *directory = id ? node_find(&m->tree, id) : NULL;
        if (event->mask & (IN_IGNORED | IN_UNMOUNT)) {
                if (id && (event->mask & IN_IGNORED)) {
                        w->nodes[event->wd] = 0;
                        w->count--;
                        if (directory && directory->watch == event->wd)
                                directory->watch = 0;
                }
                return;
        }
        if (!directory || directory->watch != event->wd)
                return;
        if (event->mask & (IN_MOVE_SELF | IN_DELETE_SELF)) {
                *vector_add(news->moved, news->moved_count, news->moved_capacity) = id;
                news->drop = true;
                return;
        }
        struct node *child = event->len ? node_child(&m->tree, directory, event->name) : NULL;
        if (event->mask & (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)) {
                add(news, directory, NULL, NULL);
                directory->listed = false;
                directory->looked_up = 0;
                if (child) {
                        add(news, child, directory, event->name);
                        news->drop = true;
                        if (child->type == S_IFDIR)
                                *vector_add(news->moved, news->moved_count, news->moved_capacity) = node_id(child);
                } else {
                        add(news, NULL, directory, event->name);
                        news->drop |= directory->absent_told;
                        directory->absent_told = false; /* the names go, and with them what was told */
                }
        } else {
                add(news, event->len ? child : directory, directory, event->len ? event->name : NULL);
        }
}

/* Everything below a directory that is another one now: watches of the old ones end, names and attributes go. Lock
 * held. */
static void collect_below(struct mirror *m, const struct news *from, struct news *news)
{
        uint32_t cursor = 0;
        for (struct node *node; (node = node_next(&m->tree, &cursor));) {
                bool concerned = from->everything;
                for (size_t i = 0; !concerned && i < from->moved_count; i++) {
                        struct node *top = node_find(&m->tree, from->moved[i]);
                        concerned = top && node_is_below(&m->tree, node, top);
                }
                if (!concerned)
                        continue;
                if (!from->everything)
                        unwatch(m->watcher, node);
                node->watch_refused = false;
                add(news, node, node_parent(&m->tree, node), node->name);
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
static void tell(struct mirror *m, const struct news *news, bool again)
{
        for (size_t i = 0; i < news->count; i++) {
                const struct one *one = &news->list[i];
                uint64_t id = one->node;
                if (again && one->name && id == NODE_NONE) {
                        pthread_mutex_lock(&m->tree.lock);
                        const struct node *parent = node_find(&m->tree, one->parent);
                        const struct node *node = parent ? node_child(&m->tree, parent, one->name) : NULL;
                        id = node ? node_id(node) : NODE_NONE;
                        pthread_mutex_unlock(&m->tree.lock);
                }
                if (one->name && one->name[0])
                        fuse_lowlevel_notify_inval_entry(m->session, one->parent, one->name, strlen(one->name));
                if (id != NODE_NONE)
                        fuse_lowlevel_notify_inval_inode(m->session, id, 0, 0);
        }
}

/* The overlay's names are dropped all together, which takes milliseconds when they are many: not more often than
 * twice a second. Returns how long to wait for the next time, in ms; -1: nothing waits. */
static int drop_names(struct mirror *m, bool *pending, long long *dropped)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        long long now = t.tv_sec * 1000LL + t.tv_nsec / 1000000;
        if (!*pending)
                return -1;
        if (now - *dropped < WATCH_DROP)
                return (int)(WATCH_DROP - (now - *dropped));
        control_drop_names(m);
        *pending = false;
        *dropped = now;
        return -1;
}

/* Reads what has happened. Returns after the queue is empty. */
static void read_events(struct mirror *m, struct news *news)
{
        char buffer[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
        ssize_t got;
        pthread_mutex_lock(&m->tree.lock);
        while ((got = read(m->watcher->inotify, buffer, sizeof buffer)) > 0) {
                for (char *p = buffer; p < buffer + got;) {
                        const struct inotify_event *event = (const void *)p;
                        collect(m, event, news);
                        p += sizeof *event + event->len;
                }
        }
        if (news->count || news->moved_count || news->everything)
                atomic_fetch_add(&m->epoch, 1); /* descriptors that are kept may be of what was replaced */
        if (news->moved_count || news->everything) {
                collect_below(m, news, news);
        }
        pthread_mutex_unlock(&m->tree.lock);
}

static void *watch(void *context)
{
        struct mirror *m = context;
        struct watcher *w = m->watcher;
        struct news before = {0};
        bool pending = false;
        long long dropped = 0;
        for (;;) {
                int patience = drop_names(m, &pending, &dropped);
                if (before.count)
                        patience = patience < 0 || patience > WATCH_BATCH ? WATCH_BATCH : patience;
                struct pollfd fds[] = {{.fd = w->stop, .events = POLLIN},
                                       {.fd = w->inotify, .events = POLLIN},
                                       {.fd = w->mounts, .events = POLLPRI}};
                int ready = poll(fds, 3, patience);
                if ((ready < 0 && errno != EINTR) || (ready > 0 && fds[0].revents))
                        break;
                struct news news = {0};
                if (ready > 0) {
                        /* A mount is no event of a directory, and what it covers may lie anywhere. */
                        news.everything = news.drop = (fds[2].revents & (POLLPRI | POLLERR)) != 0;
                        struct pollfd pause = {.fd = w->stop, .events = POLLIN};
                        if (poll(&pause, 1, WATCH_BATCH) > 0)
                                break;
                        read_events(m, &news);
                }
                tell(m, &before, true);
                tell(m, &news, false);
                pending |= news.drop || before.drop;
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
        w->mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
        m->watcher = w;
        if (w->inotify >= 0 && w->stop >= 0 && pthread_create(&w->thread, NULL, watch, m) == 0)
                return;
        m->watcher = NULL;
        int fds[] = {w->inotify, w->stop, w->mounts};
        for (size_t i = 0; i < 3; i++)
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
        close(w->inotify);
        close(w->stop);
        if (w->mounts >= 0)
                close(w->mounts);
        free(w->nodes);
        free(w);
        m->watcher = NULL;
}
