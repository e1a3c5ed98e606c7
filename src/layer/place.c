// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Names given to what a commit has ready.
 *
 * What is ready but has no lasting name yet waits in a list; when it is long, everything is made durable with one call,
 * and then each gets its name. So no name ever stands for a file that a power cut would leave empty, and the disk is
 * waited for once for many files.
 */
#include "layer/apply.h"

#include "base/cleanup.h"
#include "base/tree.h"

#include <fcntl.h>

char *place_temporary(const struct apply *a)
{
        return memory_format(".paddock-%llx-%lu", a->commit->journal.token, a->number);
}

bool place_is_done(struct apply *a, int own, int dir, const char *name)
{
        cleanup_close int base = files_open_any(dir, name);
        struct change c = {.own = own, .own_name = "", .base = base, .name = ""};
        unsigned what = 0;
        const char *which;
        if (base < 0 || own < 0 || files_look(own, "", false, &c.after) < 0 ||
            files_look(base, "", false, &c.before) < 0 || c.after.type != c.before.type)
                return false;
        c.after.uid = layer_uid(a->commit->layer, c.after.uid);
        c.after.gid = layer_gid(a->commit->layer, c.after.gid);
        return compare(a->commit->layer, &c, true, &what, &which) == 0 && !(what & ~CHANGE_TIMES);
}

/* Not by its time of change, which the commit itself moves: by renaming it, and by taking away another name of the same
 * file. */
bool place_is_before(const struct item *item, const struct meta *now)
{
        const struct meta *before = &item->before;
        return item->forced || (before->type == now->type && before->inode == now->inode && before->size == now->size &&
                                time_equal(&before->mtime, &now->mtime));
}

void place_remove_temporary(int dir, const char *name)
{
        cleanup_error struct error ignored = ERROR_INIT; /* whoever needs the name says so */
        tree_remove(dir, name, &ignored);
}

void place_clear(struct apply *a, const struct item *item, int own, int dir, const char *temp)
{
        struct meta left;
        if (!a->again || files_look(dir, temp, false, &left) < 0 || left.type == META_NONE)
                return;
        cleanup_close int nameless = files_nameless(dir);
        if (left.type == META_DIRECTORY || nameless < 0 || place_is_before(item, &left) ||
            place_is_done(a, own, dir, temp)) {
                place_remove_temporary(dir, temp);
                return;
        }
        cleanup_free char *why = memory_format("an outside version of the moment when the commit was cut off is left "
                                               "beside it as %s",
                                               temp);
        apply_conflict(a, item->path, why);
}

/* What an exchange has brought to the name `temp`: gone, or back in its place. Is the thing in its place? */
static bool end_exchanged(struct apply *a, struct waiting *w, const char *path)
{
        cleanup_free char *target = apply_target(a, &w->item);
        struct meta out;
        cleanup_error struct error err = ERROR_INIT;
        int result = files_look(w->parent, w->temp, false, &out);
        const char *why = result < 0 || !place_is_before(&w->item, &out) ? "it was changed outside at this very moment"
                                                                         : NULL;
        char *found = NULL;
        if (!why && out.type == META_DIRECTORY && !w->item.forced &&
            commit_tree_is_old(a->commit, w->parent, w->temp, target, &w->item.since, false, &found) != 1)
                why = "what is in it was changed outside at this very moment";
        free(found);
        if (why && files_swap(w->parent, w->temp, w->name) == 0) {
                place_remove_temporary(w->parent, w->temp);
                apply_conflict(a, path, why);
                return false;
        }
        if ((out.type == META_DIRECTORY || unlinkat(w->parent, w->temp, 0) < 0) &&
            tree_remove(w->parent, w->temp, &err) < 0)
                apply_conflict(a, path, err.text);
        w->placed = true;
        return true;
}

/* Gives one thing that is durable its lasting name. Has it that? */
static bool place(struct apply *a, struct waiting *w)
{
        const char *path = w->item.path;
        struct meta now;
        int result = files_look(w->parent, w->name, false, &now);
        if (result < 0) {
                apply_failed(a, path, "cannot look at what is there outside", -result);
                return false;
        }
        if (now.type != META_NONE && !place_is_before(&w->item, &now)) {
                cleanup_close int own = apply_open_own(a, &w->item);
                if (now.type != META_DIRECTORY && place_is_done(a, own, w->parent, w->name))
                        return true;
                apply_conflict(a, path, "it was changed outside while the commit was at work");
                return false;
        }
        if (now.type == META_NONE) {
                if (w->item.before.type != META_NONE && !w->item.forced) {
                        apply_conflict(a, path, "it was deleted outside while the commit was at work");
                        return false;
                }
                result = w->fd >= 0 ? files_name(w->fd, w->parent, w->name)
                                    : files_rename_new(w->parent, w->temp, w->name);
                w->placed = result == 0;
                if (result < 0)
                        apply_failed(a, path, "cannot give it its name", -result);
                return result == 0;
        }
        if (w->fd >= 0)
                result = files_name(w->fd, w->parent, w->temp);
        if (result == 0) {
                result = files_swap(w->parent, w->temp, w->name);
                if (result == 0)
                        return end_exchanged(a, w, path);
                /* No exchange on this file system: replaced at once, after a last look above. */
                if ((result == -EINVAL || result == -ENOSYS || result == -EOPNOTSUPP) && now.type != META_DIRECTORY)
                        result = renameat(w->parent, w->temp, w->parent, w->name) < 0 ? -errno : 0;
        }
        if (result < 0)
                apply_failed(a, path, "cannot replace it", -result);
        return result == 0;
}

static void waiting_clear(struct waiting *w)
{
        if (w->fd >= 0)
                close(w->fd);
        if (w->parent >= 0)
                close(w->parent);
        if (w->text >= 0)
                close(w->text);
        free(w->temp);
        free(w->name);
        free(w->item.path);
}

void place_all(struct apply *a)
{
        for (size_t i = 0; i < a->waiting_count; i++) {
                bool synced = false; /* mostly all are on one file system */
                for (size_t n = i; n-- > 0 && !synced;)
                        synced = a->waiting[n].device == a->waiting[i].device;
                int result = synced ? 0 : files_sync(a->waiting[i].parent);
                if (result < 0)
                        a->sync_failed = -result;
        }
        for (size_t i = 0; i < a->waiting_count; i++) {
                struct waiting *w = &a->waiting[i];
                struct meta made;
                if (a->sync_failed)
                        apply_failed(a, w->item.path, "cannot make it durable", a->sync_failed);
                else if (place(a, w) && apply_merged(a, w))
                        apply_done(a, w->number, &w->item,
                                   files_look(w->parent, w->name, false, &made) == 0 ? &made : NULL);
                if (!w->placed)
                        place_remove_temporary(w->parent, w->temp);
                waiting_clear(w);
        }
        a->waiting_count = 0;
}

void place_later(struct apply *a, unsigned long number, const struct item *item, const struct into *parent, int fd,
                 char *temp, const char *name)
{
        struct waiting *w = vector_add(a->waiting, a->waiting_count, a->waiting_capacity);
        *w = (struct waiting){.item = *item,
                              .number = number,
                              .parent = fcntl(parent->fd, F_DUPFD_CLOEXEC, 0),
                              .device = parent->device,
                              .fd = fd,
                              .temp = temp,
                              .text = a->text,
                              .name = memory_string(name)};
        w->item.path = memory_string(item->path);
        w->item.link = NULL;
        a->text = -1;
        if (a->waiting_count >= a->waiting_limit)
                place_all(a);
}
