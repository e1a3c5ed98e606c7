// SPDX-License-Identifier: GPL-3.0-or-later
/* Answers about attributes: those of stat(2), and the user's extended ones. */
#include "names.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/xattr.h>

#define SET_IDS (S_ISUID | S_ISGID)
#define XATTR_ROOM 65536U

static int answer_attributes(struct request *r, struct target *t, bool again)
{
        struct fuse_attr_out *out = (void *)r->reply;
        struct grant *g = r->grant;
        int result = target_stat(t, again);
        if (result < 0)
                return result;
        pthread_mutex_lock(&g->lock);
        struct node *node = node_find(&g->tree, r->head->nodeid);
        if (node)
                node->told = now_ms();
        *out = (struct fuse_attr_out){.attr_valid = KEPT_SECONDS};
        show_attributes(g, &t->st, &out->attr);
        pthread_mutex_unlock(&g->lock);
        r->reply_size = sizeof *out;
        return 0;
}

int answer_getattr(struct request *r)
{
        struct target t;
        int result = target_get(r->grant, r->head->nodeid, &t);
        if (result < 0)
                return result;
        result = answer_attributes(r, &t, false);
        target_put(r->grant, &t);
        return result;
}

/* An owner as inside numbers it. Giving a file to whom it is shown to belong is nothing; what is more, only where
 * owners are those of outside. Returns 1 when there is something to do. */
static int owner_outside(struct grant *g, bool group, uint32_t inside, uint32_t *outside)
{
        pthread_mutex_lock(&g->lock);
        bool mapped = g->show.flags & GRANT_MAPPED;
        int result = mapped                                          ? show_owner_outside(g, group, inside, outside)
                     : inside == (group ? g->show.gid : g->show.uid) ? 0
                                                                     : -EPERM;
        pthread_mutex_unlock(&g->lock);
        return mapped && result == 0 ? -EPERM : result;
}

static int set_owner(struct grant *g, int fd, const struct fuse_setattr_in *in)
{
        uint32_t uid = (uint32_t)-1, gid = (uint32_t)-1;
        int user = in->valid & FATTR_UID ? owner_outside(g, false, in->uid, &uid) : 0;
        int group = user >= 0 && in->valid & FATTR_GID ? owner_outside(g, true, in->gid, &gid) : 0;
        if (user < 0 || group < 0)
                return user < 0 ? user : group;
        return (user || group) && fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

static int set_mode(struct grant *g, int fd, uint32_t mode)
{
        char name[DESCRIPTOR_NAME];
        return fchmodat(g->server->proc, descriptor_name(name, fd), mode & 07777 & ~(uint32_t)SET_IDS, 0) < 0 ? -errno
                                                                                                              : 0;
}

static int set_size(struct request *r, struct target *t, const struct fuse_setattr_in *in)
{
        struct handle *handle = in->valid & FATTR_FH ? handle_get(r->grant, in->fh, r->head->nodeid) : NULL;
        int result = target_stat(t, false);
        if (result == 0 && !S_ISREG(t->st.stx_mode))
                result = S_ISDIR(t->st.stx_mode) ? -EISDIR : -EINVAL;
        if (result == 0 && handle && handle->writable) {
                result = ftruncate(handle->fd, (off_t)in->size) < 0 ? -errno : 0;
        } else if (result == 0) {
                cleanup_close int fd = reopen(r->grant, t->fd, O_WRONLY);
                result = fd < 0 ? fd : ftruncate(fd, (off_t)in->size) < 0 ? -errno : 0;
        }
        if (handle)
                handle_put(r->grant, handle);
        return result;
}

static struct timespec time_to_set(uint32_t valid, uint32_t given, uint32_t now, uint64_t seconds, uint32_t nanoseconds)
{
        if (!(valid & given))
                return (struct timespec){0, UTIME_OMIT};
        return valid & now ? (struct timespec){0, UTIME_NOW} : (struct timespec){(time_t)seconds, nanoseconds};
}

static int set_times(int fd, const struct fuse_setattr_in *in)
{
        struct timespec times[2] = {
                time_to_set(in->valid, FATTR_ATIME, FATTR_ATIME_NOW, in->atime, in->atimensec),
                time_to_set(in->valid, FATTR_MTIME, FATTR_MTIME_NOW, in->mtime, in->mtimensec),
        };
        return utimensat(fd, "", times, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

int answer_setattr(struct request *r)
{
        const struct fuse_setattr_in *in = (const void *)r->argument;
        struct target t;
        int result = target_get(r->grant, r->head->nodeid, &t);
        if (result < 0)
                return result;
        if (in->valid & (FATTR_UID | FATTR_GID))
                result = set_owner(r->grant, t.fd, in);
        if (result == 0 && in->valid & FATTR_MODE)
                result = set_mode(r->grant, t.fd, in->mode);
        if (result == 0 && in->valid & FATTR_SIZE)
                result = set_size(r, &t, in);
        if (result == 0 && in->valid & (FATTR_ATIME | FATTR_MTIME))
                result = set_times(t.fd, in);
        if (result == 0)
                result = answer_attributes(r, &t, true);
        target_put(r->grant, &t);
        return result;
}

int answer_readlink(struct request *r)
{
        struct target t;
        int result = target_get(r->grant, r->head->nodeid, &t);
        if (result < 0)
                return result;
        ssize_t length = readlinkat(t.fd, "", r->reply, PATH_MAX - 1);
        result = length < 0 ? -errno : 0;
        target_put(r->grant, &t);
        r->reply_size = length > 0 ? (size_t)length : 0;
        pthread_mutex_lock(&r->grant->lock);
        struct node *node = node_find(&r->grant->tree, r->head->nodeid);
        if (node)
                node->touched = true; /* the kernel keeps it in a page */
        pthread_mutex_unlock(&r->grant->lock);
        return result;
}

int answer_statfs(struct request *r)
{
        struct fuse_statfs_out *out = (void *)r->reply;
        struct statfs fs;
        struct target t;
        int result = target_get(r->grant, r->head->nodeid, &t);
        if (result < 0)
                return result;
        result = fstatfs(t.fd, &fs) < 0 ? -errno : 0;
        target_put(r->grant, &t);
        if (result < 0)
                return result;
        *out = (struct fuse_statfs_out){.st = {.blocks = fs.f_blocks,
                                               .bfree = fs.f_bfree,
                                               .bavail = fs.f_bavail,
                                               .files = fs.f_files,
                                               .ffree = fs.f_ffree,
                                               .bsize = (uint32_t)fs.f_bsize,
                                               .namelen = (uint32_t)fs.f_namelen,
                                               .frsize = (uint32_t)fs.f_frsize}};
        r->reply_size = sizeof *out;
        return 0;
}

/* Only the user's attributes: the others (capabilities, labels, ACLs) speak of outside. */
static bool is_users(const char *name)
{
        return strncmp(name, "user.", 5) == 0;
}

/* The path of a file for the calls that take no descriptor of an O_PATH file. */
static int xattr_target(struct request *r, const char *name, struct target *t, char path[DESCRIPTOR_NAME])
{
        if (!name)
                return -EINVAL;
        if (!is_users(name))
                return -EOPNOTSUPP;
        int result = target_get(r->grant, r->head->nodeid, t);
        if (result == 0)
                snprintf(path, DESCRIPTOR_NAME, "/proc/self/fd/%d", t->fd);
        return result;
}

int answer_setxattr(struct request *r)
{
        const struct fuse_setxattr_in *in = (const void *)r->argument;
        char path[DESCRIPTOR_NAME];
        struct target t;
        const char *name = argument_text(r, FUSE_COMPAT_SETXATTR_IN_SIZE);
        size_t value = name ? FUSE_COMPAT_SETXATTR_IN_SIZE + strlen(name) + 1 : 0;
        if (name && in->size > r->size - value)
                return -EINVAL;
        int result = xattr_target(r, name, &t, path);
        if (result < 0)
                return result;
        result = setxattr(path, name, r->argument + value, in->size, (int)in->flags) < 0 ? -errno : 0;
        target_put(r->grant, &t);
        return result;
}

/* The answer to a question for `wanted` bytes of which there are `length`. */
static int answer_length(struct request *r, size_t wanted, ssize_t length)
{
        if (length < 0)
                return -errno;
        if (wanted == 0) {
                *(struct fuse_getxattr_out *)(void *)r->reply = (struct fuse_getxattr_out){.size = (uint32_t)length};
                r->reply_size = sizeof(struct fuse_getxattr_out);
                return 0;
        }
        if ((size_t)length > wanted)
                return -ERANGE;
        r->reply_size = (size_t)length;
        return 0;
}

int answer_getxattr(struct request *r)
{
        const struct fuse_getxattr_in *in = (const void *)r->argument;
        char path[DESCRIPTOR_NAME];
        struct target t;
        const char *name = argument_text(r, sizeof *in);
        int result = xattr_target(r, name, &t, path);
        if (result < 0)
                return result;
        result = answer_length(r, in->size, getxattr(path, name, r->reply, XATTR_ROOM));
        target_put(r->grant, &t);
        return result;
}

int answer_listxattr(struct request *r)
{
        const struct fuse_getxattr_in *in = (const void *)r->argument;
        char path[DESCRIPTOR_NAME], *names = r->reply + XATTR_ROOM;
        struct target t;
        int result = xattr_target(r, "user.", &t, path);
        if (result < 0)
                return result;
        ssize_t length = listxattr(path, names, XATTR_ROOM), kept = length < 0 ? length : 0;
        for (ssize_t at = 0; at < length; at += (ssize_t)strlen(names + at) + 1)
                if (is_users(names + at)) {
                        size_t n = strlen(names + at) + 1;
                        memcpy(r->reply + kept, names + at, n);
                        kept += (ssize_t)n;
                }
        result = answer_length(r, in->size, kept);
        target_put(r->grant, &t);
        return result;
}

int answer_removexattr(struct request *r)
{
        char path[DESCRIPTOR_NAME];
        struct target t;
        const char *name = argument_text(r, 0);
        int result = xattr_target(r, name, &t, path);
        if (result < 0)
                return result;
        result = removexattr(path, name) < 0 ? -errno : 0;
        target_put(r->grant, &t);
        return result;
}
