// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The state of one run: see session.h, and store.h for the locks.
 *
 * Two runs of one name. The second takes the set-up lock, finds alive.lock held, and looks in runs/ for a process that
 * is the init of a living run: the file's name is its pid, its content when it started (a pid alone may have been given
 * to somebody else) and the fingerprint of its plan. With a "w" behind that a warden keeps it, and is asked
 * (verbs/enter.c). Else the second enters that init's user namespace and a copy of its mount namespace: the same
 * overlay, mounted once, but processes of its own. Either may end first.
 */
#include "verbs/session.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "model/chain.h"
#include "model/cover.h"
#include "model/image.h"
#include "verbs/base.h"
#include "verbs/cover.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

int session_scratch(struct session *s, bool memory, char **why, struct error *err)
{
        cleanup_error struct error no_store = ERROR_INIT;
        *why = NULL;
        if (memory || (s->store.fd < 0 && store_open(&s->store, &no_store) < 0)) {
                if (!memory)
                        *why = memory_string(no_store.text);
                return 0;
        }
        store_sweep(&s->store);
        s->directory = store_scratch(&s->store, &s->scratch, &s->alive, err);
        if (s->directory < 0) {
                /* A disk that is full or read-only does not keep a temporary environment from working. */
                *why = memory_string(err->text);
                error_clear(err);
                s->alive = s->directory = -1;
                return 0;
        }
        cleanup_error struct error unfit = ERROR_INIT;
        if (host_layer_fits(s->directory, true, &unfit) < 0) {
                *why = memory_string(unfit.text);
                close(s->directory);
                close(s->alive);
                s->directory = s->alive = -1;
                return store_scratch_remove(&s->store, s->scratch, err);
        }
        return 0;
}

char *session_scratch_in_memory(bool memory)
{
        cleanup_free char *path = store_path();
        if (memory)
                return memory_string("asked for");
        if (!path)
                return memory_string("neither XDG_STATE_HOME nor HOME is set");
        /* What is not there yet is made in the nearest directory that is. */
        while (access(path, F_OK) < 0 && path[1]) {
                char *parent = path_parent(path);
                free(path);
                path = parent;
        }
        cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cleanup_error struct error unfit = ERROR_INIT;
        if (fd < 0 || access(path, W_OK) < 0)
                return memory_format("cannot write %s: %s", path, strerror(errno));
        return host_layer_fits(fd, false, &unfit) < 0 ? memory_string(unfit.text) : NULL;
}

/* A fresh layer instead of the old one. */
static int start_afresh(struct session *s, struct error *err)
{
        cleanup_close int alive = openat(s->directory, "alive.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (alive < 0)
                return error_sys(err, errno, "environment '%s': cannot lock it", s->name);
        if (flock(alive, LOCK_EX | LOCK_NB) < 0) {
                error_set(err, EBUSY, "environment '%s' is running: its layer is in use", s->name);
                return error_remedy(err, "`paddock stop %s` ends it", s->name);
        }
        bool had = faccessat(s->directory, "layer", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
        int result = store_discard_layer(&s->store, s->directory, err);
        if (result < 0)
                return error_context(err, "environment '%s'", s->name);
        fprintf(stderr,
                had ? "paddock: the layer of '%s' was removed; it starts afresh over the main system as it is now\n"
                    : "paddock: '%s' had no layer yet\n",
                s->name);
        return 0;
}

int session_named(struct session *s, const char *name, bool rebase, struct error *err)
{
        s->name = name;
        s->directory = store_open_environment(&s->store, name, err);
        if (s->directory < 0)
                return s->directory;
        int result = host_layer_fits(s->directory, true, err);
        if (result < 0)
                return error_context(err, "environment '%s'", name);
        s->setup = openat(s->directory, "setup.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (s->setup < 0 || flock(s->setup, LOCK_EX) < 0)
                return error_sys(err, errno, "environment '%s': cannot lock it", name);
        clock_gettime(CLOCK_REALTIME_COARSE, &s->began); /* the clock of file times */
        result = rebase ? start_afresh(s, err) : 0;
        return result < 0 ? result : slots_load(s->directory, &s->slots, err);
}

/* When process `pid` started, in clock ticks since boot: field 22 of /proc/PID/stat, proc(5). 0: there is none. */
static unsigned long long started(int pid)
{
        char name[64], text[1024];
        snprintf(name, sizeof name, "/proc/%d/stat", pid);
        cleanup_close int fd = open(name, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        if (n <= 0)
                return 0;
        text[n] = '\0';
        char *field = strrchr(text, ')'); /* the name before it may hold anything */
        for (int i = 2; field && i < 22; i++)
                field = strchr(field + 1, ' ');
        return field ? strtoull(field, NULL, 10) : 0;
}

/* Opens the namespaces of the run that runs/`name` records. 1: done; 0: it lives no more; negative: it differs. */
static int join_record(struct session *s, int runs, const char *name, unsigned long digest, struct error *err)
{
        char text[128] = "";
        cleanup_close int fd = openat(runs, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        unsigned long long start = 0;
        unsigned long theirs = 0;
        int pid = atoi(name), control = -1;
        if (fd < 0 || read(fd, text, sizeof text - 1) <= 0 ||
            sscanf(text, "%llu %lx %d", &start, &theirs, &control) < 2 || pid <= 0 || started(pid) != start) {
                unlinkat(runs, name, 0);
                return 0;
        }
        if (theirs == digest && strchr(text, 'w')) {
                s->started = true;
                return 1;
        }
        if (theirs != digest) {
                error_set(err, EBUSY, "environment '%s' is running with other rules", s->name);
                return error_remedy(err,
                                    "start it from the same directory without rules of its own, or `paddock stop %s` "
                                    "first",
                                    s->name);
        }
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
        cleanup_close int user = open(path, O_RDONLY | O_CLOEXEC);
        snprintf(path, sizeof path, "/proc/%d/ns/mnt", pid);
        cleanup_close int mounts = open(path, O_RDONLY | O_CLOEXEC);
        cleanup_close int shared = control < 0 ? -1 : host_borrow(pid, control);
        if (user < 0 || mounts < 0 || (control >= 0 && shared < 0) || started(pid) != start)
                return 0;
        s->join_control = steal_fd(&shared);
        s->join_user = steal_fd(&user);
        s->join_mount = steal_fd(&mounts);
        return 1;
}

size_t session_inits(int directory, int *pids, size_t room)
{
        size_t count = 0;
        int fd = openat(directory, "runs", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *entry;
        while (dir && count < room && (entry = readdir(dir))) {
                char text[128] = "";
                cleanup_close int record = openat(dirfd(dir), entry->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
                int pid = atoi(entry->d_name);
                if (pid > 0 && record >= 0 && read(record, text, sizeof text - 1) > 0 &&
                    strtoull(text, NULL, 10) == started(pid))
                        pids[count++] = pid;
        }
        return count;
}

/* Nobody lives: what the runs that were killed recorded is stale. */
static void forget_runs(int directory)
{
        int fd = openat(directory, "runs", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *entry;
        while (dir && (entry = readdir(dir)))
                unlinkat(dirfd(dir), entry->d_name, 0);
}

int session_image(struct session *s, const char *image, struct error *err)
{
        int result = s->store.fd < 0 ? store_open(&s->store, err) : 0;
        if (result == 0)
                s->image = image_hold(&s->store, image, false, err);
        return result < 0 ? result : s->image < 0 ? s->image : 0;
}

int session_chain(struct session *s, struct plan *plan, struct error *err)
{
        cleanup_chain struct chain chain = {0};
        int result = s->name ? chain_load(s->directory, "layer/chain", &chain, err) : 0;
        cleanup_free char *state = chain.count ? realpath(s->store.path, NULL) : NULL;
        if (chain.count && !state)
                return error_sys(err, errno, "%s", s->store.path);
        if (chain.count && chain_check(&s->store, &chain, err) < 0)
                return error_context(err, "environment '%s'", s->name);
        for (size_t i = 0; i < plan->count && chain.count; i++) {
                struct plan_op *op = &plan->ops[i];
                if (op->kind != PLAN_LAYER || op->slot < 0)
                        continue;
                char **sources = memory_grow(NULL, op->source_count + chain.count, sizeof *sources);
                size_t count = 0;
                for (size_t n = 0; n < chain.count; n++) {
                        cleanup_free char *upper = memory_format("%s/frozen/%s/layer/%d/upper", state, chain.ids[n],
                                                                 op->slot);
                        if (access(upper, F_OK) == 0)
                                sources[count++] = steal_pointer(&upper);
                }
                op->frozen = count;
                memcpy(sources + count, op->sources, op->source_count * sizeof *sources);
                free(op->sources);
                op->sources = sources;
                op->source_count += op->frozen;
        }
        return result;
}

int session_join(struct session *s, const struct plan *plan, struct error *err)
{
        s->plan = plan;
        if (!s->name)
                return 0;
        s->alive = openat(s->directory, "alive.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (s->alive < 0)
                return error_sys(err, errno, "environment '%s': cannot lock it", s->name);
        /* A run that is just dying holds the lock but cannot be joined: wait for its last process, a little. */
        for (int attempt = 0; attempt < 500; attempt++) {
                if (flock(s->alive, LOCK_EX | LOCK_NB) == 0) {
                        forget_runs(s->directory);
                        return 0;
                }
                int fd = openat(s->directory, "runs", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
                struct dirent *entry;
                int result = 0;
                while (result == 0 && dir && (entry = readdir(dir)))
                        if (entry->d_name[0] != '.')
                                result = join_record(s, dirfd(dir), entry->d_name, plan_digest(plan), err);
                if (result < 0)
                        return result;
                if (result > 0)
                        return flock(s->alive, LOCK_SH | LOCK_NB) == 0
                                       ? 0
                                       : error_sys(err, errno, "environment '%s': cannot lock it", s->name);
                struct timespec pause = {.tv_nsec = 10000000};
                nanosleep(&pause, NULL);
        }
        error_set(err, EBUSY, "environment '%s' is ending, and some process of it does not end", s->name);
        return error_remedy(err, "look for it with ps, and end it");
}

void session_base(struct session *s, bool had_layer, const struct system *system)
{
        if (!had_layer) {
                s->system = system;
                return;
        }
        cleanup_moved struct moved moved;
        cleanup_error struct error err = ERROR_INIT;
        if (base_compare(s->directory, &s->plan->slots, system, false, &moved, &err) < 0)
                error_print(stderr, &err);
        else
                base_tell(&moved, s->name);
}

void session_ready(void *context, int init, int control)
{
        struct session *s = context;
        if (!s->name)
                return;
        cleanup_error struct error err = ERROR_INIT;
        for (size_t i = 0; s->join_user < 0 && i < s->plan->slots.count; i++) {
                const struct slot *slot = &s->plan->slots.slots[i];
                int fresh = slots_make(s->directory, slot, &err);
                if (fresh == 1 && slots_complete(s->directory, slot, &err) < 0)
                        error_print(stderr, &err);
                if (cover_record(s->directory, s->plan, slot, fresh == 1, &s->began, &err) < 0)
                        error_print(stderr, &err);
        }
        mkdirat(s->directory, "runs", 0700);
        s->record = memory_format("runs/%d", init);
        cleanup_free char *text = memory_format("%llu %lx %d%s\n", started(init), plan_digest(s->plan), control,
                                                s->keep ? " w" : "");
        cleanup_close int fd = openat(s->directory, s->record, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                                      0600);
        if (fd < 0 || write(fd, text, strlen(text)) < 0)
                fprintf(stderr, "paddock: cannot record this run: a second one of '%s' has to wait for its end: %s\n",
                        s->name, strerror(errno));
        flock(s->alive, LOCK_SH);
        close(s->setup);
        s->setup = -1;
        /* Last: it reads a whole package database, and nobody waits for it. */
        if (s->system && s->join_user < 0 && base_record(s->directory, s->system, &err) < 0)
                error_print(stderr, &err);
}

void session_over(void *context)
{
        struct session *s = context;
        cleanup_error struct error unheard = ERROR_INIT; /* session_end() tries again */
        if (s->scratch && s->directory >= 0 && store_scratch_remove(&s->store, s->scratch, &unheard) == 0) {
                free(s->scratch);
                s->scratch = NULL;
        }
}

int session_end(struct session *s, struct error *err)
{
        int result = 0;
        if (s->record)
                unlinkat(s->directory, s->record, 0);
        /* Closed first: to remove a tree takes a few descriptors, and they may be what was short. */
        const int fds[] = {s->directory, s->setup, s->alive, s->image, s->join_user, s->join_mount, s->join_control};
        for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
                if (fds[i] >= 0)
                        close(fds[i]);
        if (s->scratch && s->directory >= 0)
                result = store_scratch_remove(&s->store, s->scratch, err);
        store_close(&s->store);
        slots_clear(&s->slots);
        free(s->scratch);
        free(s->record);
        return result;
}
