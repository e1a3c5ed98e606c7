// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * New directories of a commit. The topmost is filled under a name of paddock's, and gets its own by one rename when it
 * is full: so a directory and all that is in it appear at once, and nothing in it needs care for what others may see.
 */
#include "layer/apply.h"

#include "base/cleanup.h"
#include "base/path.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* The innermost is full: its own looks last, because filling it changes its time. */
static void end(struct apply *a)
{
        struct fresh *f = &a->fresh[--a->fresh_count];
        const char *what = "";
        cleanup_close int own = apply_open_own(a, &f->item);
        struct meta made = {.type = META_NONE};
        int result = own < 0 ? own : put_meta(a->commit->layer, own, f->into.fd, &what);
        if (result < 0)
                apply_failed(a, f->item.path, own < 0 ? "cannot read it in the layer" : what, -result);
        close(f->into.fd);
        if (f->temp) {
                place_later(a, f->number, &f->item, &f->parent, -1, f->temp, f->name);
                close(f->parent.fd);
                free(f->name);
        } else {
                files_look(f->into.fd, "", false, &made);
                apply_done(a, f->number, &f->item, &made);
        }
        free(f->item.path);
}

void fresh_leave(struct apply *a, const char *path)
{
        while (a->fresh_count && (!path || !path_is_below(path, a->fresh[a->fresh_count - 1].item.path)))
                end(a);
}

/* Takes `temp`, which is NULL inside another. */
static void begin(struct apply *a, const struct item *item, const struct into *parent, char *temp, const char *name)
{
        const char *made = temp ? temp : name;
        int fd = mkdirat(parent->fd, made, 0700) < 0 ? -errno : files_open_directory(parent->fd, made);
        if (fd < 0) {
                apply_failed(a, item->path, "cannot make the directory", -fd);
                free(temp);
                return;
        }
        struct fresh *f = vector_add(a->fresh, a->fresh_count, a->fresh_capacity);
        *f = (struct fresh){.item = *item,
                            .number = a->number,
                            .parent = *parent,
                            .temp = temp,
                            .name = temp ? memory_string(name) : NULL};
        f->item.path = memory_string(item->path);
        f->item.link = NULL;
        f->parent.fd = temp ? fcntl(parent->fd, F_DUPFD_CLOEXEC, 0) : -1;
        into_look(&f->into, fd);
}

void fresh_begin(struct apply *a, const struct item *item, const struct into *parent, const char *name, bool inside)
{
        struct meta now;
        if (inside) {
                const struct into above = *parent; /* which lies in the list that grows */
                begin(a, item, &above, NULL, name);
                return;
        }
        int result = files_look(parent->fd, name, false, &now);
        if (result < 0) {
                apply_failed(a, item->path, "cannot look at what is there outside", -result);
                return;
        }
        /* There already, by the same commit before it was cut off, or by somebody else: what goes into it is looked at
         * by itself. */
        if (now.type == META_DIRECTORY && (item->before.type != META_DIRECTORY || a->again))
                return;
        if (item->before.type != META_NONE && now.type != META_NONE && !place_is_before(item, &now)) {
                apply_conflict(a, item->path, "it was changed outside while the commit was at work");
                return;
        }
        char *temp = place_temporary(a);
        place_remove_temporary(parent->fd, temp);
        begin(a, item, parent, temp, name);
}

int fresh_open(const struct apply *a, const char *path)
{
        for (size_t i = a->fresh_count; i-- > 0;) {
                const struct fresh *f = &a->fresh[i];
                if (!path_is_below(path, f->item.path) || strcmp(path, f->item.path) == 0)
                        continue;
                cleanup_close int at = openat(f->into.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                cleanup_free char *rest = memory_string(path + strlen(f->item.path) + 1);
                char *piece = rest;
                for (char *slash; at >= 0 && (slash = strchr(piece, '/')); piece = slash + 1) {
                        *slash = '\0';
                        int next = files_open_directory(at, piece);
                        close(at);
                        at = next;
                }
                int fd = at < 0 ? at : openat(at, piece, O_PATH | O_NOFOLLOW | O_CLOEXEC);
                return fd < 0 ? -EIO : fd;
        }
        return -ENOENT;
}
