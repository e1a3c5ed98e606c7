// SPDX-License-Identifier: GPL-3.0-or-later
/* Files of an archive, made as they were: see import.c. */
#include "layer/import.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "layer/layer.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define DEPTH_LIMIT 4096

/* The id here for one of the archive. */
static int map_id(void *context, uint32_t *id, bool group)
{
        struct import *im = context;
        const struct portable *p = im->p;
        bool one = im->single ? *id == (group ? im->gid : im->uid) : *id == 0;
        if ((p->single || im->single) && !one)
                return -EOVERFLOW;
        if (p->single)
                *id = group ? p->gid : p->uid;
        else if (im->single)
                *id = 0;
        return 0;
}

static int too_many_ids(struct import *im, uint64_t uid, uint64_t gid)
{
        cleanup_free char *shown = text_escape(im->tar.entry.name);
        error_set(im->err, EOVERFLOW, "%s belongs to %llu:%llu, and there are not as many ids here", shown,
                  (unsigned long long)uid, (unsigned long long)gid);
        return error_remedy(im->err, im->p->identity == IDENTITY_ROOT
                                             ? "`paddock doctor` tells how to get more subordinate ids"
                                             : "only root can restore an environment of root's");
}

/* --- what an entry gets ------------------------------------------------------------------------------------------- */

static int set_meta(struct import *im, int fd, struct untar_entry *e)
{
        uint32_t uid = (uint32_t)e->uid, gid = (uint32_t)e->gid;
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        struct stat st;
        if (e->uid >= UINT32_MAX || e->gid >= UINT32_MAX || map_id(im, &uid, false) < 0 || map_id(im, &gid, true) < 0)
                return too_many_ids(im, e->uid, e->gid);
        if (fstat(fd, &st) < 0)
                return import_failed(im, -errno, "it is gone");
        if ((st.st_uid != uid || st.st_gid != gid) && fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0)
                return errno == EINVAL || errno == EPERM ? too_many_ids(im, e->uid, e->gid)
                                                         : import_failed(im, -errno, "its owner");
        for (size_t i = 0; i < e->xattrs.count; i++) {
                int mapped = files_map_acl(&e->xattrs.items[i], map_id, im);
                if (mapped == -EINVAL)
                        return import_refuse(im, e->name, "its access list is damaged");
                if (mapped < 0)
                        return too_many_ids(im, e->uid, e->gid);
        }
        const char *which = "";
        int result = e->xattrs.count ? files_set_xattrs(fd, &e->xattrs, &which) : 0;
        if (result < 0)
                return import_failed(im, result, which[0] ? which : "its attributes");
        struct timespec nobody_knows = {0};
        if (e->opaque && (result = files_set_opaque(fd)) < 0)
                return import_failed(im, result, "its mark");
        if (e->copy && (result = files_set_copy(fd, &nobody_knows)) < 0)
                return import_failed(im, result, "its mark");
        struct timespec times[2] = {e->mtime, e->mtime};
        if (fchmod(fd, e->mode) < 0 && (errno != EBADF || chmod(path, e->mode) < 0))
                return import_failed(im, -errno, "its permissions");
        if (futimens(fd, times) < 0 && (errno != EBADF || utimensat(AT_FDCWD, path, times, 0) < 0))
                return import_failed(im, -errno, "its time");
        return 0;
}

/* --- the stack of directories ------------------------------------------------------------------------------------- */

static void filling_clear(struct filling *f)
{
        close(f->fd);
        free(f->name);
        files_xattrs_clear(&f->meta.xattrs);
}

int restore_complete(struct import *im, size_t depth)
{
        int result = 0;
        while (im->depth > depth) {
                struct filling *f = &im->stack[--im->depth];
                f->meta.name = f->name;
                char *entry = im->tar.entry.name; /* for messages: what it is about */
                im->tar.entry.name = f->name;
                if (result == 0)
                        result = set_meta(im, f->fd, &f->meta);
                im->tar.entry.name = entry;
                filling_clear(f);
        }
        return result;
}

int restore_parent(struct import *im, const char **last, int *parent)
{
        const char *name = im->tar.entry.name, *slash = strrchr(name, '/');
        size_t length = (size_t)(slash - name), depth = im->depth;
        while (depth && (strncmp(im->stack[depth - 1].name, name, length) != 0 || im->stack[depth - 1].name[length]))
                depth--;
        if (!depth)
                return import_refuse(im, name, "the directory that it is in does not come before it");
        int result = restore_complete(im, depth);
        *last = slash + 1;
        *parent = im->stack[depth - 1].fd;
        return result;
}

static int push(struct import *im, int fd)
{
        if (im->depth >= DEPTH_LIMIT) {
                close(fd);
                return import_refuse(im, im->tar.entry.name, "directories lie too deep inside each other");
        }
        struct untar_entry *e = &im->tar.entry;
        struct filling *f = vector_add(im->stack, im->depth, im->capacity);
        *f = (struct filling){.fd = fd, .name = memory_string(e->name), .meta = *e};
        f->meta.name = f->meta.link = NULL;
        e->xattrs = (struct xattrs){0}; /* are its own now */
        return 0;
}

/* --- things ------------------------------------------------------------------------------------------------------- */

static int make_file(struct import *im, int dir, const char *name)
{
        cleanup_close int fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return import_failed(im, -errno, "cannot make it");
        struct digest whole;
        digest_begin(&whole);
        int result = untar_content(&im->tar, fd, &whole, im->err);
        if (result < 0)
                return result;
        if (!im->tar.entry.sparse && (result = import_note(im, &whole)) < 0)
                return result;
        return set_meta(im, fd, &im->tar.entry);
}

static int make_directory(struct import *im, int dir, const char *name)
{
        if (mkdirat(dir, name, 0700) < 0)
                return import_failed(im, -errno, "cannot make it");
        int fd = files_open_directory(dir, name);
        return fd < 0 ? import_failed(im, fd, "cannot open it") : push(im, fd);
}

static int make_symlink(struct import *im, int dir, const char *name)
{
        const struct untar_entry *e = &im->tar.entry;
        uint32_t uid = (uint32_t)e->uid, gid = (uint32_t)e->gid;
        struct timespec times[2] = {e->mtime, e->mtime};
        if (!e->link[0])
                return import_refuse(im, e->name, "a symbolic link that leads nowhere");
        if (e->uid >= UINT32_MAX || e->gid >= UINT32_MAX || map_id(im, &uid, false) < 0 || map_id(im, &gid, true) < 0)
                return too_many_ids(im, e->uid, e->gid);
        if (symlinkat(e->link, dir, name) < 0)
                return import_failed(im, -errno, "cannot make it");
        if (fchownat(dir, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == EINVAL || errno == EPERM ? too_many_ids(im, e->uid, e->gid)
                                                         : import_failed(im, -errno, "its owner");
        return utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? import_failed(im, -errno, "its time") : 0;
}

static int make_other(struct import *im, int dir, const char *name)
{
        struct untar_entry *e = &im->tar.entry;
        if (e->type == '3') { /* a deleted name; nobody brings devices */
                int result = e->major || e->minor || im->slot_blank ? -EPERM : files_whiteout(dir, name);
                return result == -EPERM ? import_refuse(im, e->name, "it is a device")
                       : result < 0     ? import_failed(im, result, "cannot make it")
                                        : 0;
        }
        if (mknodat(dir, name, e->socket ? S_IFSOCK | 0600 : S_IFIFO | 0600, 0) < 0)
                return import_failed(im, -errno, "cannot make it");
        cleanup_close int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? import_failed(im, -errno, "cannot open it") : set_meta(im, fd, e);
}

/* Another name of a file that this slot has already: its directories are those that we made, and are looked up without
 * links. */
static int make_link(struct import *im, int dir, const char *name)
{
        const struct untar_entry *e = &im->tar.entry;
        /* Below the top of the slot: beside it lies what describes the slot. */
        cleanup_free char *top = memory_format("%s/%s/", im->slot, im->slot_blank ? "content" : "upper");
        if (strncmp(e->link, top, strlen(top)) != 0)
                return import_refuse(im, e->name, "it is linked to what is not in its part of the layer");
        cleanup_free char *copy = memory_string(e->link + strlen(im->slot) + 1);
        cleanup_close int at = openat(im->slot_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        char *rest = copy, *piece;
        while (at >= 0 && (piece = strsep(&rest, "/")) && rest) {
                if (!*piece || strcmp(piece, ".") == 0 || strcmp(piece, "..") == 0)
                        return import_refuse(im, e->name, "it is linked to a name that is none");
                int next = files_open_directory(at, piece);
                close(at);
                at = next;
        }
        struct meta meta;
        if (at < 0 || !piece || strcmp(piece, "..") == 0 || files_look(at, piece, false, &meta) < 0 ||
            meta.type == META_NONE || meta.type == META_DIRECTORY)
                return import_refuse(im, e->name, "it is linked to what is not there");
        return linkat(at, piece, dir, name, 0) < 0 ? import_failed(im, -errno, "cannot make it") : 0;
}

int restore(struct import *im, int dir, const char *name)
{
        switch (im->tar.entry.type) {
        case '0':
                return make_file(im, dir, name);
        case '1':
                return make_link(im, dir, name);
        case '2':
                return make_symlink(im, dir, name);
        case '5':
                return make_directory(im, dir, name);
        default:
                return make_other(im, dir, name);
        }
}

void restore_clear(struct import *im)
{
        while (im->depth)
                filling_clear(&im->stack[--im->depth]);
        free(im->stack);
}
