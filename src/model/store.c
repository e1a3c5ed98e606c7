// SPDX-License-Identifier: GPL-3.0-or-later
/* The state directory: environments made, found, listed, removed. See store.h. */
#include "model/store.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "base/tree.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define STORE_VERSION 1
#define RECORD_LIMIT (4 << 20) /* bytes; a view of ten thousand rules has less */

char *store_path(void)
{
        const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
        if (state && state[0] == '/')
                {
                cleanup_free char *joined = memory_format("%s/paddock", state);
                return path_clean("/", joined);
        }
        if (!home || home[0] != '/')
                return NULL;
        cleanup_free char *joined = memory_format("%s/.local/state/paddock", home);
        return path_clean("/", joined);
}

/* Reads a small file in `dir` whole. Fresh memory; NULL with errno when it cannot. */
static char *read_file(int dir, const char *name)
{
        cleanup_close int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0)
                return NULL;
        struct stat st;
        if (fstat(fd, &st) < 0)
                return NULL;
        if (!S_ISREG(st.st_mode) || st.st_size > RECORD_LIMIT) {
                errno = EFBIG;
                return NULL;
        }
        char *text = memory_new((size_t)st.st_size + 1);
        ssize_t n = read(fd, text, (size_t)st.st_size);
        if (n < 0) {
                free(text);
                return NULL;
        }
        text[n] = '\0';
        return text;
}

int store_full(int result, struct error *err)
{
        if (result == -ENOSPC || result == -EDQUOT)
                error_remedy(err, "the file system of paddock's state is full: `paddock list` shows environments that "
                                  "`paddock rm` can "
                                  "remove; or set XDG_STATE_HOME to a directory elsewhere");
        return result;
}

/* Writes a small file in `dir` whole: under another name first, so that a reader never sees half of it. */
static int write_file(int dir, const char *name, const char *data, struct error *err)
{
        cleanup_free char *fresh = memory_format(".%s.%d", name, (int)getpid());
        cleanup_close int fd = openat(dir, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return store_full(error_sys(err, errno, "cannot write %s", name), err);
        for (size_t done = 0, length = strlen(data); done < length;) {
                ssize_t n = write(fd, data + done, length - done);
                if (n < 0 && errno != EINTR)
                        return store_full(error_sys(err, errno, "cannot write %s", name), err);
                done += n > 0 ? (size_t)n : 0;
        }
        if (renameat(dir, fresh, dir, name) < 0)
                return store_full(error_sys(err, errno, "cannot write %s", name), err);
        return 0;
}

/* A directory in `dir`, made when it is not there. */
static int subdirectory(int dir, const char *name, struct error *err)
{
        int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT) {
                if (mkdirat(dir, name, 0700) < 0 && errno != EEXIST)
                        return store_full(error_sys(err, errno, "cannot make directory %s", name), err);
                fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        }
        return fd < 0 ? error_sys(err, errno, "cannot open directory %s", name) : fd;
}

static int check_version(struct store *s, struct error *err)
{
        cleanup_free char *version = read_file(s->fd, "version");
        if (!version && errno == ENOENT)
                return write_file(s->fd, "version", "1\n", err);
        if (!version)
                return error_sys(err, errno, "cannot read the version");
        long number = strtol(version, NULL, 10);
        if (number > STORE_VERSION) {
                error_set(err, EPROTO, "it was written by a newer paddock (version %ld; this one knows up to %d)",
                          number, STORE_VERSION);
                return error_remedy(err, "use that newer paddock, or set XDG_STATE_HOME to another directory");
        }
        return number == STORE_VERSION ? 0 : error_set(err, EINVAL, "its file `version` is damaged");
}

int store_open_existing(struct store *s, struct error *err)
{
        cleanup_free char *path = store_path();
        if (path && access(path, F_OK) < 0)
                return error_sys(err, errno, "state directory %s", path);
        return store_open(s, err);
}

int store_open(struct store *s, struct error *err)
{
        s->fd = -1;
        s->path = store_path();
        if (!s->path) {
                error_set(err, ENOENT, "no place to keep environments: neither XDG_STATE_HOME nor HOME is set");
                return error_remedy(err, "set HOME, or XDG_STATE_HOME to a directory of your own");
        }
        cleanup_close int place = tree_make(s->path, 0700, err);
        if (place < 0) {
                error_context(err, "state directory");
                error_remedy(err, "set XDG_STATE_HOME to a directory that you may write");
                store_close(s);
                return -err->code;
        }
        struct stat st;
        s->fd = openat(place, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (s->fd < 0 || fstat(s->fd, &st) < 0) {
                error_sys(err, errno, "cannot open the state directory %s", s->path);
        } else if (st.st_uid != geteuid()) {
                /* HOME of somebody else, as sudo leaves it: what we put there its owner could change under us. */
                error_set(err, EPERM, "the state directory %s belongs to uid %u, not to you (uid %u)", s->path,
                          (unsigned)st.st_uid, (unsigned)geteuid());
                error_remedy(err, "set HOME to your own, or XDG_STATE_HOME to a directory of your own");
        } else if ((st.st_mode & 077) && fchmod(s->fd, 0700) < 0) {
                error_sys(err, errno, "cannot make the state directory %s private", s->path);
        } else if (check_version(s, err) < 0) {
                error_context(err, "state directory %s", s->path);
        } else {
                return 0;
        }
        store_close(s);
        return -err->code;
}

void store_close(struct store *s)
{
        if (s->fd >= 0)
                close(s->fd);
        free(s->path);
        s->path = NULL;
        s->fd = -1;
}

/* A fresh directory in tmp/, with its name. */
static int make_scratch(struct store *s, int *tmp, char **name, struct error *err)
{
        *tmp = subdirectory(s->fd, "tmp", err);
        if (*tmp < 0)
                return *tmp;
        /* Root's environments belong to other ids, whose init removes its directory when paddock was killed: sticky, so
         * that each can remove its own. Nobody but root comes here by name, since the state directory is root's
         * alone. */
        if (geteuid() == 0)
                (void)!fchmod(*tmp, 01777);
        for (unsigned attempt = 0; attempt < 100; attempt++) {
                struct timespec now;
                clock_gettime(CLOCK_MONOTONIC, &now);
                cleanup_free char *fresh = memory_format("%d-%lx", (int)getpid(), (unsigned long)now.tv_nsec + attempt);
                if (mkdirat(*tmp, fresh, 0700) == 0) {
                        int fd = openat(*tmp, fresh, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                        if (fd < 0) {
                                int code = errno;
                                unlinkat(*tmp, fresh, AT_REMOVEDIR);
                                return store_full(error_sys(err, code, "cannot open a fresh directory in %s/tmp",
                                                            s->path),
                                                  err);
                        }
                        *name = steal_pointer(&fresh);
                        return fd;
                }
                if (errno != EEXIST)
                        break;
        }
        return store_full(error_sys(err, errno, "cannot make a directory in %s/tmp", s->path), err);
}

static int taken(const char *name, struct error *err)
{
        error_set(err, EEXIST, "there is an environment '%s' already", name);
        return error_remedy(err, "`paddock show %s` prints it, `paddock rm %s` removes it", name, name);
}

int store_is_free(struct store *s, const char *name, struct error *err)
{
        cleanup_free char *path = memory_format("env/%s", name);
        return faccessat(s->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ? taken(name, err) : 0;
}

int store_adopt(struct store *s, int dir, const char *from, const char *name, struct error *err)
{
        cleanup_close int env = subdirectory(s->fd, "env", err);
        if (env < 0)
                return env;
        /* RENAME_NOREPLACE is not needed: rename onto a directory that has entries fails, and ours always has one. */
        if (renameat(dir, from, env, name) == 0)
                return 0;
        if (errno == ENOTEMPTY || errno == EEXIST)
                return taken(name, err);
        return error_sys(err, errno, "cannot make environment '%s'", name);
}

int store_create(struct store *s, const struct environment *e, struct error *err)
{
        return store_create_with(s, e, NULL, NULL, err);
}

static int record_of(const struct environment *e, char **record, struct error *err)
{
        int result = environment_network_check(e, err);
        if (result < 0)
                return result;
        *record = environment_to_record(e);
        if (strlen(*record) > RECORD_LIMIT)
                return error_set(err, E2BIG, "environment '%s' has more rules than can be kept (%d bytes)", e->name,
                                 RECORD_LIMIT);
        return 0;
}

int store_change(struct store *s, const struct environment *e, struct error *err)
{
        cleanup_free char *record = NULL;
        int result = record_of(e, &record, err);
        cleanup_close int dir = result < 0 ? -1 : store_open_environment(s, e->name, err);
        return dir < 0 ? -err->code : write_file(dir, "environment", record, err);
}

int store_create_with(struct store *s, const struct environment *e,
                      int (*prepare)(void *context, int directory, struct error *err), void *context, struct error *err)
{
        cleanup_free char *record = NULL;
        int result = record_of(e, &record, err);
        if (result < 0)
                return result;
        cleanup_close int tmp = -1;
        cleanup_free char *fresh = NULL;
        cleanup_close int dir = make_scratch(s, &tmp, &fresh, err);
        if (dir < 0)
                return dir;
        result = write_file(dir, "environment", record, err);
        if (result == 0 && prepare)
                result = prepare(context, dir, err);
        if (result == 0)
                result = store_adopt(s, tmp, fresh, e->name, err);
        if (result < 0) {
                cleanup_error struct error ignored = ERROR_INIT; /* the first failure is the one to report */
                tree_remove(tmp, fresh, &ignored);
        }
        return result;
}

int store_open_environment(struct store *s, const char *name, struct error *err)
{
        int result = environment_name_check(name, err);
        if (result < 0)
                return result;
        cleanup_free char *path = memory_format("env/%s", name);
        int fd = openat(s->fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0)
                return fd;
        if (errno != ENOENT)
                return error_sys(err, errno, "cannot open environment '%s'", name);
        error_set(err, ENOENT, "there is no environment '%s'", name);
        cleanup_error struct error ignored = ERROR_INIT;
        char **names = NULL;
        int count = store_list(s, &names, &ignored);
        const char *near = NULL;
        if (count > 0) {
                names = memory_grow(names, (size_t)count + 1, sizeof *names);
                names[count] = NULL;
                near = text_nearest(name, (const char *const *)names);
        }
        if (near)
                error_remedy(err, "did you mean '%s'? `paddock list` shows all", near);
        else
                error_remedy(err, "`paddock list` shows those that there are");
        store_list_free(names, count);
        return -ENOENT;
}

int store_load(struct store *s, const char *name, struct environment *e, struct error *err)
{
        cleanup_close int dir = store_open_environment(s, name, err);
        if (dir < 0)
                return dir;
        cleanup_free char *record = read_file(dir, "environment");
        if (!record)
                return error_sys(err, errno, "environment '%s': cannot read its record", name);
        cleanup_free char *origin = memory_format("%s/env/%s/environment", s->path, name);
        return environment_from_record(e, record, origin, err);
}

static int by_name(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

int store_list(struct store *s, char ***names, struct error *err)
{
        int count = 0, capacity = 0;
        *names = NULL;
        int fd = openat(s->fd, "env", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : error_sys(err, errno, "cannot read %s/env", s->path);
        cleanup_dir DIR *dir = fdopendir(fd);
        if (!dir) {
                close(fd);
                return error_sys(err, errno, "cannot read %s/env", s->path);
        }
        struct dirent *entry;
        while ((entry = readdir(dir)))
                if (environment_name_valid(entry->d_name))
                        *vector_add(*names, count, capacity) = memory_string(entry->d_name);
        if (count > 1)
                qsort(*names, (size_t)count, sizeof **names, by_name);
        return count;
}

void store_list_free(char **names, int count)
{
        while (count > 0)
                free(names[--count]);
        free(names);
}

/* Opens dir/alive.lock and tries to lock it exclusively. Returns the descriptor, -EWOULDBLOCK when a run holds it. */
static int lock_dead(int dir)
{
        cleanup_close int fd = openat(dir, "alive.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
                return -errno;
        return steal_fd(&fd);
}

int store_is_running(struct store *s, const char *name, struct error *err)
{
        cleanup_close int dir = store_open_environment(s, name, err);
        if (dir < 0)
                return dir;
        cleanup_close int lock = openat(dir, "alive.lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (lock < 0)
                return 0;
        return flock(lock, LOCK_SH | LOCK_NB) < 0 ? 1 : flock(lock, LOCK_EX | LOCK_NB) < 0;
}

int store_is_started(struct store *s, const char *name, struct error *err)
{
        cleanup_close int dir = store_open_environment(s, name, err);
        if (dir < 0)
                return dir;
        cleanup_close int lock = openat(dir, "warden.lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        return lock >= 0 && flock(lock, LOCK_SH | LOCK_NB) < 0;
}

const char *store_state(struct store *s, const char *name, struct error *err)
{
        int running = store_is_running(s, name, err), started = running > 0 ? store_is_started(s, name, err) : 0;
        return running < 0 || started < 0 ? NULL : started ? "started" : running ? "running" : "stopped";
}

int store_hold(struct store *s, const char *name, int locks[2], const char *remedy, struct error *err)
{
        cleanup_close int dir = store_open_environment(s, name, err);
        locks[0] = locks[1] = -1;
        if (dir < 0)
                return dir;
        /* A run that is just starting holds the set-up lock, and is alive when it lets go. */
        cleanup_close int setup = openat(dir, "setup.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        int lock = setup < 0 || flock(setup, LOCK_EX) < 0 ? -errno : lock_dead(dir);
        if (lock == -EWOULDBLOCK) {
                error_set(err, EBUSY, "environment '%s' is running", name);
                return error_remedy(err, "%s%s`paddock stop %s` ends it", remedy, *remedy ? "; " : "", name);
        }
        if (lock < 0)
                return error_sys(err, -lock, "environment '%s': cannot lock it", name);
        locks[0] = steal_fd(&setup);
        locks[1] = lock;
        return 0;
}

int store_share(struct store *s, const char *name, int *lock, struct error *err)
{
        cleanup_close int dir = store_open_environment(s, name, err);
        if (dir < 0)
                return dir;
        cleanup_close int fd = openat(dir, "alive.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) < 0)
                return fd >= 0 && errno == EWOULDBLOCK
                               ? -EAGAIN
                               : error_sys(err, errno, "environment '%s': cannot lock it", name);
        *lock = steal_fd(&fd);
        return 0;
}

int store_remove(struct store *s, const char *name, struct error *err)
{
        int locks[2];
        int result = store_hold(s, name, locks, "", err);
        if (result < 0)
                return result;
        cleanup_close int setup = locks[0], lock = locks[1];
        (void)setup;
        (void)lock;
        cleanup_close int tmp = -1;
        cleanup_free char *fresh = NULL;
        cleanup_close int holder = make_scratch(s, &tmp, &fresh, err);
        if (holder < 0)
                return holder;
        /* One rename takes it out of sight; the rest may be cut off and is then done by a later sweep. */
        cleanup_free char *path = memory_format("env/%s", name);
        if (renameat(s->fd, path, holder, "removed") < 0)
                return error_sys(err, errno, "cannot remove environment '%s'", name);
        return s->remove(tmp, fresh, err);
}

int store_discard_layer(struct store *s, int environment, struct error *err)
{
        cleanup_close int tmp = -1;
        cleanup_free char *fresh = NULL;
        cleanup_close int holder = make_scratch(s, &tmp, &fresh, err);
        if (holder < 0)
                return holder;
        static const char *const names[] = {"base", "bases", "texts", "unreadable", "layer",
                                            NULL}; /* the layer last: without it the rest is stale */
        for (const char *const *name = names; *name; name++)
                if (renameat(environment, *name, holder, *name) < 0 && errno != ENOENT)
                        return error_sys(err, errno, "cannot remove the layer");
        return s->remove(tmp, fresh, err);
}

int store_scratch(struct store *s, char **name, int *alive, struct error *err)
{
        cleanup_close int tmp = -1;
        cleanup_close int dir = make_scratch(s, &tmp, name, err);
        if (dir < 0)
                return dir;
        *alive = lock_dead(dir);
        if (*alive < 0) {
                int code = -*alive;
                unlinkat(tmp, *name, AT_REMOVEDIR);
                return error_sys(err, code, "cannot lock %s/tmp/%s", s->path, *name);
        }
        return steal_fd(&dir);
}

int store_scratch_remove(struct store *s, const char *name, struct error *err)
{
        cleanup_close int tmp = subdirectory(s->fd, "tmp", err);
        return tmp < 0 ? tmp : s->remove(tmp, name, err);
}

/* A start must not cost more when many environments live, so only this many entries are tried each time; whatever was
 * left behind is found by one of the next starts. */
#define SWEEP_ENTRIES 4

void store_sweep(struct store *s)
{
        cleanup_error struct error ignored = ERROR_INIT;
        cleanup_close int tmp = openat(s->fd, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        int copy = tmp < 0 ? -1 : openat(tmp, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cleanup_dir DIR *dir = copy < 0 ? NULL : fdopendir(copy);
        struct dirent *entry;
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        for (int tried = 0; dir && tried < SWEEP_ENTRIES && (entry = readdir(dir));) {
                if (entry->d_name[0] == '.')
                        continue;
                tried++;
                cleanup_close int sub = openat(tmp, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                struct stat st;
                /* One that is being made this very moment has no lock yet: leave the young alone. */
                if (sub < 0 || fstat(sub, &st) < 0 || st.st_ctim.tv_sec + 10 > now.tv_sec)
                        continue;
                cleanup_close int lock = lock_dead(sub);
                if (lock >= 0)
                        s->remove(tmp, entry->d_name, &ignored);
        }
}
