// SPDX-License-Identifier: GPL-3.0-or-later
/* Answers about names: what has one, gets one, changes it or loses it. */
#include "names.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

#define SET_IDS (S_ISUID | S_ISGID)

bool is_name(const char *name)
{
        return name && *name && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && !strchr(name, '/');
}

const char *argument_text(const struct request *r, size_t n)
{
        return n < r->size && memchr(r->argument + n, '\0', r->size - n) ? r->argument + n : NULL;
}

int enter(struct request *r, uint64_t parent, const char *name, const struct statx *st, struct fuse_entry_out *out)
{
        struct grant *g = r->grant;
        struct identity is = identity_of(st);
        pthread_mutex_lock(&g->lock);
        struct node *above = parent ? node_find(&g->tree, parent) : NULL;
        if (parent && !above) {
                pthread_mutex_unlock(&g->lock);
                return -ESTALE;
        }
        struct node *node = node_enter(&g->tree, above, name, &is);
        node->told = now_ms();
        *out = (struct fuse_entry_out){
                .nodeid = node_id(node), .entry_valid = KEPT_SECONDS, .attr_valid = KEPT_SECONDS};
        show_attributes(g, st, &out->attr);
        pthread_mutex_unlock(&g->lock);
        return 0;
}

/* Answers with the file that stands under a name now. */
static int answer_entry(struct request *r, uint64_t parent, int directory, const char *name, struct statx *st)
{
        struct fuse_entry_out *out = (void *)r->reply;
        int result = look_name(r->grant, directory, name, st);
        if (result == 0)
                result = enter(r, parent, name, st, out);
        if (result < 0)
                return result;
        r->entered = out->nodeid;
        r->reply_size = sizeof *out;
        return 0;
}

int answer_lookup(struct request *r)
{
        struct target directory;
        struct statx st;
        const char *name = argument_text(r, 0);
        int result = is_name(name) ? target_get(r->grant, r->head->nodeid, &directory) : -EINVAL;
        if (result < 0)
                return result;
        result = answer_entry(r, r->head->nodeid, directory.fd, name, &st);
        target_put(r->grant, &directory);
        if (result == -ENOENT) { /* that is remembered too */
                struct fuse_entry_out *out = (void *)r->reply;
                pthread_mutex_lock(&r->grant->lock);
                struct node *above = node_find(&r->grant->tree, r->head->nodeid);
                if (above)
                        node_unlink(&r->grant->tree, above, name);
                pthread_mutex_unlock(&r->grant->lock);
                *out = (struct fuse_entry_out){.entry_valid = KEPT_SECONDS};
                r->reply_size = sizeof *out;
                result = 0;
        }
        return result;
}

static void forget(struct grant *g, uint64_t id, uint64_t count)
{
        pthread_mutex_lock(&g->lock);
        struct node *node = node_find(&g->tree, id);
        if (node)
                node_forget(&g->tree, node, count);
        pthread_mutex_unlock(&g->lock);
}

int answer_forget(struct request *r)
{
        const struct fuse_forget_in *in = (const void *)r->argument;
        r->parked = true; /* there is no answer */
        forget(r->grant, r->head->nodeid, in->nlookup);
        return 0;
}

int answer_batch_forget(struct request *r)
{
        const struct fuse_batch_forget_in *in = (const void *)r->argument;
        const struct fuse_forget_one *one = (const void *)(in + 1);
        r->parked = true;
        for (size_t i = 0; i < in->count && (i + 1) * sizeof *one <= r->size - sizeof *in; i++)
                forget(r->grant, one[i].nodeid, one[i].nlookup);
        return 0;
}

/* What mkdir, mknod and symlink have in common: `make` makes the name in the directory. */
static int answer_new(struct request *r, const char *name,
                      int (*make)(int directory, const char *name, const void *with), const void *with)
{
        struct target directory;
        struct statx st;
        int result = is_name(name) ? target_get(r->grant, r->head->nodeid, &directory) : -EINVAL;
        if (result < 0)
                return result;
        result =
                make(directory.fd, name, with) < 0 ? -errno : answer_entry(r, r->head->nodeid, directory.fd, name, &st);
        target_put(r->grant, &directory);
        return result;
}

static int make_link(int directory, const char *name, const void *with)
{
        return symlinkat(with, directory, name);
}

int answer_symlink(struct request *r)
{
        const char *name = argument_text(r, 0), *text = name ? argument_text(r, strlen(name) + 1) : NULL;
        return text ? answer_new(r, name, make_link, text) : -EINVAL;
}

static int make_node(int directory, const char *name, const void *with)
{
        mode_t mode = *(const mode_t *)with;
        return mknodat(directory, name, mode, 0);
}

int answer_mknod(struct request *r)
{
        const struct fuse_mknod_in *in = (const void *)r->argument;
        mode_t mode = in->mode & ~(mode_t)SET_IDS;
        if (!S_ISREG(mode) && !S_ISFIFO(mode) && !S_ISSOCK(mode))
                return -EPERM;
        return answer_new(r, argument_text(r, sizeof *in), make_node, &mode);
}

static int make_directory(int directory, const char *name, const void *with)
{
        return mkdirat(directory, name, *(const mode_t *)with);
}

int answer_mkdir(struct request *r)
{
        const struct fuse_mkdir_in *in = (const void *)r->argument;
        mode_t mode = in->mode & 01777;
        return answer_new(r, argument_text(r, sizeof *in), make_directory, &mode);
}

static int remove_name(struct request *r, int flags)
{
        struct target directory;
        const char *name = argument_text(r, 0);
        int result = is_name(name) ? target_get(r->grant, r->head->nodeid, &directory) : -EINVAL;
        if (result < 0)
                return result;
        result = unlinkat(directory.fd, name, flags) < 0 ? -errno : 0;
        target_put(r->grant, &directory);
        if (result < 0)
                return result;
        pthread_mutex_lock(&r->grant->lock);
        struct node *above = node_find(&r->grant->tree, r->head->nodeid);
        if (above)
                node_unlink(&r->grant->tree, above, name);
        pthread_mutex_unlock(&r->grant->lock);
        return 0;
}

int answer_unlink(struct request *r)
{
        return remove_name(r, 0);
}

int answer_rmdir(struct request *r)
{
        return remove_name(r, AT_REMOVEDIR);
}

static int rename_name(struct request *r, uint64_t new_parent, unsigned flags, size_t names)
{
        struct grant *g = r->grant;
        const char *from = argument_text(r, names), *to = from ? argument_text(r, names + strlen(from) + 1) : NULL;
        struct target old_directory, new_directory;
        if (!is_name(from) || !is_name(to) || flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE))
                return -EINVAL;
        int result = target_get(g, r->head->nodeid, &old_directory);
        if (result < 0)
                return result;
        result = target_get(g, new_parent, &new_directory);
        if (result == 0) {
                result = renameat2(old_directory.fd, from, new_directory.fd, to, flags) < 0 ? -errno : 0;
                target_put(g, &new_directory);
        }
        target_put(g, &old_directory);
        if (result < 0)
                return result;
        pthread_mutex_lock(&g->lock);
        struct node *old_node = node_find(&g->tree, r->head->nodeid), *new_node = node_find(&g->tree, new_parent);
        if (old_node && new_node)
                node_rename(&g->tree, old_node, from, new_node, to, flags & RENAME_EXCHANGE);
        pthread_mutex_unlock(&g->lock);
        return 0;
}

int answer_rename(struct request *r)
{
        const struct fuse_rename_in *in = (const void *)r->argument;
        return rename_name(r, in->newdir, 0, sizeof *in);
}

int answer_rename2(struct request *r)
{
        const struct fuse_rename2_in *in = (const void *)r->argument;
        return rename_name(r, in->newdir, in->flags, sizeof *in);
}

int answer_link(struct request *r)
{
        const struct fuse_link_in *in = (const void *)r->argument;
        const char *name = argument_text(r, sizeof *in);
        char old[DESCRIPTOR_NAME];
        struct target file, directory;
        struct statx st;
        if (!is_name(name))
                return -EINVAL;
        int result = target_get(r->grant, in->oldnodeid, &file);
        if (result < 0)
                return result;
        result = target_get(r->grant, r->head->nodeid, &directory);
        if (result == 0) {
                result = linkat(r->grant->server->proc, descriptor_name(old, file.fd), directory.fd, name,
                                AT_SYMLINK_FOLLOW);
                result = result < 0 ? -errno : answer_entry(r, r->head->nodeid, directory.fd, name, &st);
                target_put(r->grant, &directory);
        }
        target_put(r->grant, &file);
        return result;
}

/* Opens a name for CREATE. Returns the descriptor or a negative errno. */
static int open_or_make(struct grant *g, int directory, const char *name, uint32_t flags, mode_t mode, struct statx *st)
{
        int wanted = (int)(flags & (O_ACCMODE | O_TRUNC | O_SYNC | O_DSYNC));
        int fd = openat(directory, name, wanted | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, mode);
        if (fd >= 0 || errno != EEXIST || flags & O_EXCL) {
                int result = fd < 0 ? -errno : stat_name(fd, "", st);
                if (fd >= 0 && result < 0)
                        close(fd);
                return result < 0 ? result : fd;
        }
        /* Somebody made it meanwhile; it may be anything. */
        int result = look_name(g, directory, name, st);
        cleanup_close int path = result < 0 ? -1 : open_beneath(directory, name, O_PATH);
        if (path < 0)
                return result < 0 ? result : path;
        result = stat_name(path, "", st);
        if (result == 0 && !S_ISREG(st->stx_mode))
                result = -ESTALE;
        fd = result < 0 ? result : reopen(g, path, wanted);
        if (fd >= 0 && (result = stat_name(fd, "", st)) < 0) { /* it may have been emptied */
                close(fd);
                return result;
        }
        return fd;
}

int answer_create(struct request *r)
{
        const struct fuse_create_in *in = (const void *)r->argument;
        struct {
                struct fuse_entry_out entry;
                struct fuse_open_out open;
        } *out = (void *)r->reply;
        const char *name = argument_text(r, sizeof *in);
        struct target directory;
        struct statx st;
        int result = is_name(name) ? target_get(r->grant, r->head->nodeid, &directory) : -EINVAL;
        if (result < 0)
                return result;
        int fd = open_or_make(r->grant, directory.fd, name, in->flags, in->mode & 01777, &st);
        target_put(r->grant, &directory);
        if (fd < 0)
                return fd;
        result = device_check(r->grant, identity_of(&st).dev, fd);
        if (result == 0)
                result = enter(r, r->head->nodeid, name, &st, &out->entry);
        if (result < 0) {
                close(fd);
                return result;
        }
        r->entered = out->entry.nodeid;
        r->reply_size = sizeof *out;
        return open_answer(r, out->entry.nodeid, fd, in->flags, &st, &out->open);
}

int answer_tmpfile(struct request *r)
{
        const struct fuse_create_in *in = (const void *)r->argument;
        struct {
                struct fuse_entry_out entry;
                struct fuse_open_out open;
        } *out = (void *)r->reply;
        struct target directory;
        struct statx st;
        int result = target_get(r->grant, r->head->nodeid, &directory);
        if (result < 0)
                return result;
        int flags = (int)(in->flags & (O_ACCMODE | O_EXCL | O_SYNC | O_DSYNC));
        cleanup_close int fd = openat(directory.fd, ".", flags | O_TMPFILE | O_CLOEXEC, in->mode & 01777);
        result = fd < 0 ? -errno : stat_name(fd, "", &st);
        target_put(r->grant, &directory);
        if (result == 0)
                result = enter(r, 0, NULL, &st, &out->entry);
        if (result < 0)
                return result;
        r->entered = out->entry.nodeid;
        r->reply_size = sizeof *out;
        return open_answer(r, out->entry.nodeid, steal_fd(&fd), in->flags, &st, &out->open);
}
