// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Removal and making of directory trees: see tree.h.
 *
 * Theory of operation. Removal recurses, but only to DEPTH levels: a directory below that is moved up into the top
 * directory under a fresh name and is met again there as an ordinary entry. So a tree of any depth costs at most DEPTH
 * descriptors and stack frames, and no name is ever longer than one component.
 */
#include "base/tree.h"

#include "base/cleanup.h"
#include "base/path.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#define DEPTH 32

struct removal {
        int top;           /* where deep directories are moved to */
        dev_t device;      /* the file system that is not left */
        unsigned long raised; /* how many were moved up, for fresh names */
        struct error *err;
};

static int remove_entries(struct removal *r, DIR *entries, int depth);

/* Opens the directory `name`, for its owner to empty it. NULL with the error said. */
static DIR *open_to_empty(struct removal *r, int dir, const char *name, dev_t device)
{
        struct stat st;
        int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
        cleanup_close int sub = openat(dir, name, flags);
        if (sub < 0 && errno == EACCES) {
                /* A directory without permissions (overlay leaves one) opens only after its owner gave them back. */
                (void)!fchmodat(dir, name, 0700, 0); /* if it may not, the next call says so */
                sub = openat(dir, name, flags);
        }
        if (sub < 0 || fstat(sub, &st) < 0) {
                error_sys(r->err, errno, "cannot open directory %s to remove it", name);
                return NULL;
        }
        if (device && st.st_dev != device) {
                error_set(r->err, EXDEV, "%s is on another file system and is not removed", name);
                return NULL;
        }
        r->device = st.st_dev;
        if ((st.st_mode & 0700) != 0700)
                (void)!fchmod(sub, 0700);
        DIR *entries = fdopendir(sub);
        if (entries)
                steal_fd(&sub);
        else
                error_sys(r->err, errno, "cannot read a directory to remove it");
        return entries;
}

static int remove_entry(struct removal *r, int dir, const char *name, unsigned char type, int depth)
{
        if (type != DT_DIR && (unlinkat(dir, name, 0) == 0 || errno == ENOENT))
                return 0;
        if (type != DT_DIR && errno != EISDIR && errno != EPERM)
                return error_sys(r->err, errno, "cannot remove %s", name);
        if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
                return 0;
        cleanup_dir DIR *entries = open_to_empty(r, dir, name, r->device);
        if (!entries)
                return -r->err->code;
        if (depth >= DEPTH && dir != r->top) {
                char fresh[64];
                snprintf(fresh, sizeof fresh, ".paddock-deep-%d-%lu", (int)getpid(), r->raised++);
                if (renameat(dir, name, r->top, fresh) == 0)
                        return 0; /* met again when the top is read once more */
        }
        for (;;) {
                int result = remove_entries(r, entries, depth + 1);
                if (result < 0)
                        return result;
                if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
                        return 0;
                if (errno != ENOTEMPTY && errno != EEXIST)
                        return error_sys(r->err, errno, "cannot remove directory %s", name);
                /* Once more from the start: entries raised from below, or made by a process that is just dying. */
                rewinddir(entries);
        }
}

static int remove_entries(struct removal *r, DIR *entries, int depth)
{
        struct dirent *entry;
        while ((entry = readdir(entries))) {
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                int result = remove_entry(r, dirfd(entries), entry->d_name, entry->d_type, depth);
                if (result < 0)
                        return result;
        }
        return 0;
}

int tree_remove(int dir, const char *name, struct error *err)
{
        struct removal r = {.top = -1, .err = err};
        if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
                return 0;
        if (errno != EISDIR && errno != EPERM)
                return error_sys(err, errno, "cannot remove %s", name);
        cleanup_dir DIR *entries = open_to_empty(&r, dir, name, 0);
        if (!entries)
                return -err->code;
        r.top = dirfd(entries);
        for (;;) {
                int result = remove_entries(&r, entries, 0);
                if (result < 0)
                        return result;
                if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
                        return 0;
                if (errno != ENOTEMPTY && errno != EEXIST)
                        return error_sys(err, errno, "cannot remove directory %s", name);
                rewinddir(entries);
        }
}

int tree_make(const char *path, unsigned mode, struct error *err)
{
        int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0)
                return fd;
        if (errno != ENOENT || !path[1])
                return error_sys(err, errno, "cannot open directory %s", path);
        cleanup_free char *parent = path_parent(path);
        cleanup_close int dir = tree_make(parent, mode, err);
        if (dir < 0)
                return dir;
        if (mkdirat(dir, path_name(path), mode) < 0 && errno != EEXIST)
                return error_sys(err, errno, "cannot make directory %s", path);
        fd = openat(dir, path_name(path), O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return error_sys(err, errno, "cannot open directory %s", path);
        return fd;
}
