// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What the plan knows of the main system, and how it looks at it.
 *
 * The resolver calls nothing but these: so it changes nothing, and the tests give it systems that exist only in memory.
 * The host fills one in (host/linux/survey.c).
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum file_type { FILE_NONE, FILE_DIRECTORY, FILE_REGULAR, FILE_SYMLINK, FILE_SOCKET, FILE_OTHER };

struct file {
        enum file_type type; /* FILE_NONE: there is no such name */
        unsigned mode;       /* permission bits, 07777 */
        bool mine;           /* owned by the invoking user */
        bool covered;        /* it cannot be looked at (permission): treated as a directory that nobody enters */
};

/* Looks at names of the main system. Never follows a symbolic link in the last component, never triggers an automount,
 * never blocks on a fifo or device. */
struct look {
        void *context;
        /* Fills `file`. A name that is not there is FILE_NONE and success. Negative only for surprises. */
        int (*file)(void *context, const char *path, struct file *file);
        /* The target of a symbolic link, fresh memory, or NULL. */
        char *(*link)(void *context, const char *path);
        /* Does a directory of a layer hide what is below it in the layer's base? May be NULL. */
        bool (*opaque)(void *context, const char *path);
        /* The entries of a directory without "." and "..", each fresh memory, in a fresh vector. Returns the count, or
         * a negative errno; -E2BIG when there are more than `limit`. */
        int (*entries)(void *context, const char *path, int limit, char ***names);
        /* As entries, but of those (no more than `limit` either) only what may be a directory. May be NULL: use
         * entries. */
        int (*directories)(void *context, const char *path, int limit, char ***names);
        /* May the invoking user write `path` (for a directory: make names in it), whatever it is? */
        bool (*writable)(void *context, const char *path);
        /* Path sockets that something listens on and the user may reach, as entries() gives names. May be NULL: none.
         * Asked only when some may have to be covered. */
        int (*sockets)(void *context, char ***paths);
};

struct mount {
        char *path;    /* where it is mounted */
        char *fstype;  /* "ext4", "overlay", ... */
        char *device;  /* the file system's identity; equal for two mounts of one file system */
        char *root;    /* which directory of the file system is mounted */
        bool virtual_; /* proc, sysfs, cgroup and the like: not files that anyone keeps */
        bool remote;   /* a server answers it, which may be slow or dead */
};

/* What a layer of the surrounding environment consists of. Linux lets overlays lie two deep and no deeper, so an
 * environment inside an environment shows, below /run/paddock/stack, the directories that each of its layers unites; an
 * environment a level deeper unites those once more instead of laying a third overlay over the second. */
struct stack {
        char *path;    /* where the layer stands */
        char **layers; /* topmost first */
        size_t count;
};
#define STACK_PLACE "/run/paddock/stack"

/* `count` ids of the main system from `start` on. */
struct id_range {
        unsigned long start, count;
};
#define ID_RANGES 8 /* more than any tool hands out to one user */

/* Ids of the main system that its user may give to an environment, beside the own one. */
struct id_ranges {
        struct id_range ranges[ID_RANGES];
        size_t count;
};

struct system {
        struct look look;
        struct mount *mounts; /* as the kernel lists them: a later one on the same path covers an earlier one */
        size_t mount_count;

        unsigned uid, gid;
        bool superuser; /* really root of the main system: it may map ids and clone single mounts */
        char *cwd;      /* clean absolute path, or NULL when it has none any more */
        char *home;     /* likewise */
        char *tmpdir;   /* $TMPDIR, or NULL */
        char *runtime;  /* $XDG_RUNTIME_DIR, or NULL */
        char *state;    /* paddock's state directory: canonical; NULL when there is none */
        char *store;    /* where the state of the environment being planned lies; NULL: its layer is in memory */
        struct stack *stacks; /* inside another environment: what its layers consist of */
        size_t stack_count;

        bool ids_direct; /* not really root, but root of an environment: it maps the ids that it has to themselves */
        /* Only for an environment with another identity than one's own (host_survey_ids()). */
        struct id_ranges uids, gids;
        char *ids_lack;  /* why there is no id beside the own one, and what to do; NULL: there are */
};
