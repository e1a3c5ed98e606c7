// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What the view takes from the main system, opened before anything is mounted: binds as detached clones, taken while
 * their mounts are still writable, bases of layers as O_PATH descriptors.
 */
#include "host/linux/workplace.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "host/linux/kernel.h"

#include <string.h>

static const struct staged *staged_of(const struct workplace *w, const char *path)
{
        const struct staged *best = NULL;
        for (size_t i = 0; i < w->staged_count; i++)
                if (path_is_below(path, w->staged[i].path) &&
                    (!best || strlen(w->staged[i].path) >= strlen(best->path)))
                        best = &w->staged[i];
        return best;
}

static int source_open(const struct workplace *w, bool mirrored, const char *path, struct error *err)
{
        cleanup_free char *name = NULL;
        const struct staged *staged = w->staged ? staged_of(w, path) : NULL;
        if (staged)
                name = memory_format("%s%s", staged->stage, path + (staged->path[1] ? strlen(staged->path) : 0));
        cleanup_close int root = mirrored       ? fcntl(w->mirror, F_DUPFD_CLOEXEC, 3)
                                 : w->outer >= 0 ? fcntl(w->outer, F_DUPFD_CLOEXEC, 3)
                                                 : open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        int fd = root < 0 ? -1 : kernel_open_below(root, name ? name : path, O_PATH | O_NOFOLLOW);
        if (fd >= 0)
                return fd;
        int code = errno;
        cleanup_free char *shown = text_escape(path);
        error_sys(err, code, "cannot open %s", shown);
        if (code == ELOOP || code == ENOENT)
                error_remedy(err, "it changed while the environment was being made: try again");
        return -code;
}

static int add_piece(struct sources *o, int source, const char *rest, bool recursive, bool writable, const char *path,
                     struct error *err)
{
        unsigned flags = AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0);
        int tree = open_tree(source, "", flags);
        if (tree < 0)
                return error_sys(err, errno, "cannot show %s", path);
        *vector_add(o->pieces, o->piece_count, o->piece_capacity) =
                (struct piece){.tree = tree, .rest = memory_string(rest)};
        /* Root inside would open device nodes of the main system; those in /dev only appear where a rule names it. */
        uint64_t set = (writable ? 0 : MOUNT_ATTR_RDONLY) | (path_is_below(path, "/dev") ? 0 : MOUNT_ATTR_NODEV);
        if (set && kernel_mount_attributes(tree, set, 0, recursive) < 0)
                return error_sys(err, errno, "cannot restrict what %s shows", path);
        return 0;
}

/* The mounts that a bind of `path` consists of. Real root has each file system staged on its own; one whose ids could
 * not be mapped is shown read-only whatever the rule says. */
static int open_bind(const struct workplace *w, struct sources *o, const struct plan_op *op, const char *path,
                     struct error *err)
{
        cleanup_close int source = source_open(w, op->mirrored, path, err);
        if (source < 0)
                return source;
        if (!w->staged)
                return add_piece(o, source, "", op->recursive || op->kind == PLAN_SHARED_ROOT || op->kind == PLAN_ROOT,
                                 op->writable, path, err);
        const struct staged *own = staged_of(w, path);
        int result = add_piece(o, source, "", false, op->writable && own && own->mapped, path, err);
        for (size_t i = 0; result == 0 && i < w->staged_count; i++) {
                const struct staged *below = &w->staged[i];
                if (below->frozen || below == own || !path_is_below(below->path, path) ||
                    strcmp(below->path, path) == 0)
                        continue;
                cleanup_close int sub = source_open(w, false, below->path, err);
                result = sub < 0 ? sub
                                 : add_piece(o, sub, below->path + (path[1] ? strlen(path) : 0), false,
                                             op->writable && below->mapped, below->path, err);
        }
        return result;
}

int sources_of(const struct workplace *w, const struct plan_op *op, struct sources *o, struct error *err)
{
        bool in_place = !w->plan->new_root && !op->path[1];
        if ((op->kind == PLAN_ROOT || op->kind == PLAN_SHARED_ROOT) && !in_place) {
                struct plan_op whole = *op;
                whole.writable = op->kind == PLAN_SHARED_ROOT;
                return open_bind(w, o, &whole, "/", err);
        }
        if (op->kind == PLAN_BIND)
                return open_bind(w, o, op, op->sources[0], err);
        if (op->kind == PLAN_EXPOSE) {
                for (size_t i = 0; i < op->source_count; i++) {
                        int result = open_bind(w, o, op, op->sources[i], err);
                        if (result < 0)
                                return result;
                }
                return 0;
        }
        if (op->kind != PLAN_LAYER && op->kind != PLAN_BLANK)
                return 0;
        o->lower = memory_grow(NULL, op->source_count, sizeof *o->lower);
        for (size_t i = 0; i < op->source_count; i++) {
                bool mirrored = op->mirrored &&
                                i >= op->frozen; /* frozen parts are paddock's own, not of the main system */
                int fd = source_open(w, mirrored, op->sources[i], err);
                if (fd < 0)
                        return fd;
                o->lower[o->lower_count++] = fd;
        }
        return 0;
}

void sources_clear(struct sources *opened, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                for (size_t n = 0; n < opened[i].lower_count; n++)
                        close(opened[i].lower[n]);
                for (size_t n = 0; n < opened[i].piece_count; n++) {
                        close(opened[i].pieces[n].tree);
                        free(opened[i].pieces[n].rest);
                }
                free(opened[i].lower);
                free(opened[i].pieces);
        }
        free(opened);
}
