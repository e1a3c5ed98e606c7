// SPDX-License-Identifier: GPL-3.0-or-later
/* One mirror: what all its parts share. README.md says what it is for. */
#pragma once

#define FUSE_USE_VERSION 314
#include <fuse3/fuse_lowlevel.h>

#include "node.h"
#include "rules.h"

#include <stdatomic.h>
#include <sys/stat.h>

struct device; /* look.c */
struct watcher; /* watch.c */
struct dropper; /* drop.c */
struct readahead; /* readahead.c */
struct held; /* hold.c */
struct server; /* serve.c */

struct mirror {
        int root;              /* O_PATH: the directory that is shown */
        struct node_tree tree; /* its lock also guards `devices` and what watch.c keeps */
        struct rules rules;
        unsigned ids;          /* owners below this number are shown as they are; 1: everything is root's */
        uid_t uid;             /* whom this server runs as */
        gid_t *groups;
        size_t group_count;
        int record;            /* file for the names of what could not be shown, or -1 */
        int control;           /* socket to the environment's init */
        struct device *devices;
        size_t device_count;
        struct watcher *watcher; /* NULL: no notification of changes, attributes are kept for a second */
        struct readahead *readahead; /* or NULL */
        struct held *held;   /* lookups that wait; guarded by the tree's lock */
        atomic_int held_count;
        atomic_int lister; /* the process inside that lists what it was asked to, as the kernel numbers it there; 0:
                              none */
        atomic_int words;    /* socket to it, or -1 */
        struct dropper *dropper;
        struct fuse_session *session;
        _Atomic(struct server *) server; /* serve.c; NULL: it does not serve */
        bool greeting;       /* the kernel's first request is being answered: connection.c */
        atomic_uint epoch;   /* grows when names changed outside: descriptors opened before may lead elsewhere now */
        atomic_uint changes; /* grows with everything that changed outside: what was seen before may be otherwise now */
        size_t node_limit;   /* asks for names to be dropped when more than this many are known */
        atomic_long drop_asked; /* second in which that was asked for last */
        uint64_t *recorded;  /* hashes of the names that were recorded; guarded by the tree's lock */
        size_t recorded_count, recorded_room;
};

#define KEPT_WATCHED 1e7 /* seconds the kernel keeps what is watched: until it is told otherwise */
#define KEPT_UNWATCHED 1.0

/* Descriptors of directories, kept for a while by one thread: a bounded number of them, whatever the size of the
 * tree. */
#define DIRECTORIES 64
struct directories {
        struct {
                uint64_t id;
                int fd;
                unsigned epoch;
                long opened; /* seconds, CLOCK_MONOTONIC_COARSE */
        } slot[DIRECTORIES];
};

struct kernel_dirent { /* linux_dirent64 of getdents64(2) */
        uint64_t ino;
        int64_t next;
        unsigned short length;
        unsigned char type;
        char name[];
};

/* What was found under a name. */
struct seen {
        struct stat st; /* as it is to be shown */
        dev_t dev;      /* as it is */
        ino_t ino;
        double kept;    /* seconds */
        const struct rule_point *rule;
        bool unreadable; /* shown without content */
        bool blank;      /* a directory shown without entries */
        bool standin;    /* content of ours: standin.h */
};

void directories_start(struct directories *d);
void directories_end(struct directories *d);
/* Closes those that are too old to be used. A descriptor keeps a file system from being unmounted. Returns how many are
 * left. */
size_t directories_expire(struct directories *d, long second);

/* A descriptor (O_PATH) of the directory that a node is, good until the next call with `d`. A negative errno when
 * it is gone, or is none, or may not be entered. Never follows a symbolic link below the root. */
int look_directory(struct mirror *m, struct directories *d, uint64_t id);
/* What stands under `name` in the directory `fd`, which has the rule point `rule`. Returns 0 or a negative errno. */
int look_name(struct mirror *m, int fd, const struct rule_point *rule, const char *name, struct seen *seen);
/* The number that a file has here which was seen on the file system `dev`. Lock of the tree held. */
ino_t look_number(const struct mirror *m, dev_t dev, ino_t ino);
/* What stands where a node is. */
int look_node(struct mirror *m, struct directories *d, uint64_t id, struct seen *seen);
/* Opens the file that a node is. Returns the descriptor or a negative errno. */
int look_open(struct mirror *m, struct directories *d, uint64_t id, int flags);

extern const struct fuse_lowlevel_ops mirror_answers;
