// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What the room `layer` needs of a host, beyond POSIX: how it marks deleted names in a layer, when a file was made,
 * extended attributes, names swapped atomically, shared blocks. The host implements it (host/linux/files.c; on GNU/Hurd
 * the union translator would answer for the marks, and the rest is in its file system protocol).
 *
 * A layer is what a hostile program left behind. Nothing here follows a symbolic link, blocks on a fifo, or opens a
 * device.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

enum meta_type { META_NONE, META_REGULAR, META_DIRECTORY, META_SYMLINK, META_FIFO, META_SOCKET, META_DEVICE };

struct meta {
        enum meta_type type;   /* META_NONE: there is no such name */
        bool whiteout;         /* of a layer: the name is deleted; type is META_NONE */
        bool character;        /* META_DEVICE: a character device */
        unsigned mode;         /* 07777 */
        unsigned uid, gid;
        unsigned links;
        uint64_t size, blocks; /* blocks of 512 bytes */
        uint64_t inode, device, number; /* number: of META_DEVICE */
        struct timespec mtime, ctime, btime; /* btime.tv_sec 0: the file system does not tell when it was made */
};

/* Fills `meta` with what `name` in `dir` is ("" for the open file itself). `layer` says that marks of a layer count.
 * A name that is not there is success. */
int files_look(int dir, const char *name, bool layer, struct meta *meta);

/* Opens a directory to read it, or a regular file for reading. -ELOOP for a symbolic link. */
int files_open_directory(int dir, const char *name);
int files_open_regular(int dir, const char *name);

/* Opens what was looked at, and was a regular file: whoever needs to be sure looks again at what is open. */
int files_open_content(int dir, const char *name);

/* Opens whatever it is: a regular file or directory for reading, else so that it can only be looked at and its
 * attributes and target read (readlinkat with an empty name). */
int files_open_any(int dir, const char *name);

/* Opens the directory `path` (absolute), no component of which may be a symbolic link. */
int files_open_root(const char *path);

/* Tells of each name in the open directory but "." and "..", from its beginning, in any order. 0, or a negative
 * errno. */
int files_names(int dir, void (*take)(void *context, const char *name), void *context);

/* Does this directory of a layer hide what is below it? */
bool files_is_opaque(int dir);
/* Sets that mark, takes it away. */
int files_set_opaque(int dir);
int files_clear_opaque(int dir);
/* Leaves the mark of a deleted name. */
int files_whiteout(int dir, const char *name);

/* Was this name of a layer made by copying what it covers (and not anew)? *since, which may be NULL, comes with the
 * time of its birth; a layer that was copied itself knows another, tv_sec 0 for one that nobody knows. */
bool files_is_copy(int dir, const char *name, struct timespec *since);
/* Says so of an open file or directory of a layer that is copied. */
int files_set_copy(int fd, const struct timespec *since);

struct xattr {
        char *name;
        void *value;
        size_t size;
};
struct xattrs {
        struct xattr *items;
        size_t count, capacity;
};

/* The extended attributes of a name, sorted by name, without those by which a layer is marked. Access control lists and
 * capabilities are among them. `shift` is taken from the ids in them. A file system without any has none. */
int files_xattrs(int dir, const char *name, unsigned shift, struct xattrs *list);
void files_xattrs_clear(struct xattrs *list);
/* Is it an access control list? Then `map` is asked for another id instead of each in it. Negative: what `map`
 * returned, or -EINVAL. */
int files_map_acl(struct xattr *attribute, int (*map)(void *context, uint32_t *id, bool group), void *context);
/* Makes the attributes of the open file exactly `list`. On failure *failed is the name of the attribute. */
int files_set_xattrs(int fd, const struct xattrs *list, const char **failed);

/* Adds one to the open file. */
int files_add_xattr(int fd, const struct xattr *one);

/* A file without a name in `dir`; -EOPNOTSUPP where there are none. */
int files_nameless(int dir);
/* Gives it one. -EEXIST when there is one already. */
int files_name(int fd, int dir, const char *name);
/* Renames without replacing (-EEXIST). */
int files_rename_new(int dir, const char *from, const char *to);
/* Swaps two names of one directory. -EINVAL or -EOPNOTSUPP where that cannot be had. */
int files_swap(int dir, const char *a, const char *b);

/* Swaps what two directories have under one name. */
int files_exchange(int a, int b, const char *name);

/* Copies the content of `from`, which looks like `st`, to the empty file `to`: blocks shared where the file system can,
 * holes kept. *share says whether that is tried; it is made false when it cannot be. -EAGAIN: it became shorter
 * meanwhile. */
int files_copy(int from, int to, const struct stat *st, bool *share);

/* How many descriptors this process may have open, after it has asked for as many as it may have. */
size_t files_limit(void);

/* Waits until what was written to the file system of `dir` is durable. */
int files_sync(int dir);

/* May the invoking user make and remove names in the directory? */
bool files_may_change(int dir);
/* Are names in the directory one that differ only in upper and lower case? */
bool files_folds(int dir);
/* Is the file system of this directory one whose clock is ours (not a server's)? */
bool files_clock_is_ours(int dir);
