// SPDX-License-Identifier: GPL-3.0-or-later
/* Frozen layers: see chain.h. */
#include "model/chain.h"

#include "base/cleanup.h"
#include "model/store.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define CHAIN_LIMIT 65536 /* bytes: far more layers than any kernel unites */

bool chain_id_valid(const char *id)
{
        size_t n = strspn(id, "0123456789abcdef-");
        return n && n <= 64 && !id[n];
}

void chain_id_fresh(char id[64])
{
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        snprintf(id, 64, "%llx-%lx-%x", (unsigned long long)now.tv_sec, now.tv_nsec, (unsigned)getpid());
}

int chain_load(int dir, const char *name, struct chain *c, struct error *err)
{
        *c = (struct chain){0};
        cleanup_close int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0)
                return errno == ENOENT ? 0 : error_sys(err, errno, "cannot read the chain of layers");
        cleanup_free char *text = memory_new(CHAIN_LIMIT + 1);
        ssize_t n = read(fd, text, CHAIN_LIMIT);
        if (n < 0)
                return error_sys(err, errno, "cannot read the chain of layers");
        char *rest = text, *line;
        while ((line = strsep(&rest, "\n"))) {
                if (!*line)
                        continue;
                if (!chain_id_valid(line)) {
                        chain_clear(c);
                        return error_set(err, EINVAL, "the chain of layers is damaged");
                }
                *vector_add(c->ids, c->count, c->capacity) = memory_string(line);
        }
        return 0;
}

int chain_store(int dir, const char *name, const struct chain *c, struct error *err)
{
        cleanup_free char *fresh = memory_format(".%s.new", name);
        int fd = openat(dir, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        cleanup_file FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
        bool good = file != NULL;
        for (size_t i = 0; good && i < c->count; i++)
                good = fprintf(file, "%s\n", c->ids[i]) > 0;
        if (!good || fflush(file) == EOF || fsync(fileno(file)) < 0 || renameat(dir, fresh, dir, name) < 0)
                return store_full(error_sys(err, errno, "cannot write the chain of layers"), err);
        return 0;
}

int chain_check(struct store *s, const struct chain *c, struct error *err)
{
        for (size_t i = 0; i < c->count; i++) {
                cleanup_free char *frozen = memory_format("frozen/%s/layer", c->ids[i]);
                if (faccessat(s->fd, frozen, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
                        continue;
                error_set(err, ENOENT, "it lies over the frozen layer %s, which is not there", c->ids[i]);
                return error_remedy(err, "`paddock commit` saves the rest; `paddock reset` goes back to a snapshot "
                                         "without it, `paddock discard` "
                                         "to the main system");
        }
        return 0;
}

void chain_push(struct chain *c, const char *id)
{
        vector_add(c->ids, c->count, c->capacity);
        memmove(c->ids + 1, c->ids, (c->count - 1) * sizeof *c->ids);
        c->ids[0] = memory_string(id);
}

void chain_clear(struct chain *c)
{
        while (c->count)
                free(c->ids[--c->count]);
        free(c->ids);
        *c = (struct chain){0};
}

int chain_lock(struct store *s, bool alone, struct error *err)
{
        if (mkdirat(s->fd, "frozen", 0700) < 0 && errno != EEXIST)
                return error_sys(err, errno, "cannot make %s/frozen", s->path);
        cleanup_close int fd = openat(s->fd, "frozen", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || flock(fd, alone ? LOCK_EX : LOCK_SH) < 0)
                return error_sys(err, errno, "cannot lock %s/frozen", s->path);
        return steal_fd(&fd);
}

/* Adds what the chain in file `name` holds to `held`. */
static int hold(int dir, const char *name, struct chain *held, struct error *err)
{
        cleanup_chain struct chain c;
        int result = chain_load(dir, name, &c, err);
        for (size_t i = 0; i < c.count; i++)
                *vector_add(held->ids, held->count, held->capacity) = memory_string(c.ids[i]);
        return result;
}

static int hold_environment(int dir, struct chain *held, struct error *err)
{
        int result = hold(dir, "layer/chain", held, err);
        int fd = openat(dir, "snapshot", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        cleanup_dir DIR *list = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *entry;
        while (result == 0 && list && (entry = readdir(list)))
                if (entry->d_name[0] != '.')
                        result = hold(dirfd(list), entry->d_name, held, err);
        return result;
}

static bool holds(const struct chain *held, const char *id)
{
        for (size_t i = 0; i < held->count; i++)
                if (strcmp(held->ids[i], id) == 0)
                        return true;
        return false;
}

int chain_collect(struct store *s, struct error *err)
{
        cleanup_close int frozen = chain_lock(s, true, err);
        if (frozen < 0)
                return frozen;
        cleanup_chain struct chain held = {0};
        char **names = NULL;
        int count = store_list(s, &names, err), result = count < 0 ? count : 0;
        for (int i = 0; i < count && result == 0; i++) {
                cleanup_close int dir = store_open_environment(s, names[i], err);
                result = dir < 0 ? dir : hold_environment(dir, &held, err);
                if (result < 0)
                        error_context(err, "environment '%s'", names[i]);
        }
        store_list_free(names, count);
        int copy = result < 0 ? -1 : openat(frozen, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), removed = 0;
        cleanup_dir DIR *list = copy < 0 ? NULL : fdopendir(copy);
        struct dirent *entry;
        while (list && result == 0 && (entry = readdir(list))) {
                if (!chain_id_valid(entry->d_name) || holds(&held, entry->d_name))
                        continue;
                result = s->remove(frozen, entry->d_name, err);
                removed += result == 0;
        }
        return result < 0 ? result : removed;
}
