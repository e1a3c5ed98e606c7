// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A commit carried out: see commit.h for the order.
 *
 * What is ready but has no lasting name yet waits in a list; when it is long, everything is made durable with one call, and then
 * each gets its name. So no name ever stands for a file that a power cut would leave empty, and the disk is waited for once for
 * many files.
 */
#include "layer/apply.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "base/tree.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define WAITING_LIMIT 1024 /* things, of two descriptors each */
#define RESERVE 64         /* descriptors for all else */

static char *temporary(const struct apply *a, unsigned long number)
{
        return memory_format(".paddock-%llx-%lu", a->commit->journal.token, number);
}

static void conflict(struct apply *a, const char *path, const char *why)
{
        a->commit->conflicts++;
        a->commit->tell(a->commit->context, NULL, path, why);
}

static void failed(struct apply *a, const char *path, const char *what, int code)
{
        cleanup_free char *why = memory_format("%s: %s", what, strerror(code));
        conflict(a, path, why);
}

static const struct layer_slot *slot_of(const struct apply *a, unsigned number)
{
        for (size_t i = 0; i < a->commit->layer->count; i++)
                if (a->commit->layer->slots[i].number == number)
                        return &a->commit->layer->slots[i];
        return NULL;
}

/* As change_open_any(), with the directory of the item before kept open. */
static int open_in_layer(struct apply *a, const struct layer_slot *slot, const char *path)
{
        if (slot->is_file || slot->own_count > 1 || strcmp(path, slot->path) == 0)
                return change_open_any(slot, path);
        cleanup_free char *parent = path_parent(path);
        if (a->own_slot != slot || !a->own_path || strcmp(a->own_path, parent) != 0) {
                int fd = change_open_any(slot, parent);
                if (fd < 0)
                        return fd;
                if (a->own >= 0)
                        close(a->own);
                free(a->own_path);
                a->own = fd;
                a->own_slot = slot;
                a->own_path = steal_pointer(&parent);
        }
        return files_open_any(a->own, path_name(path));
}

static int open_own(struct apply *a, const struct item *item)
{
        const struct layer_slot *slot = slot_of(a, item->slot);
        if (!slot)
                return -ENOENT;
        int fd = open_in_layer(a, slot, item->path);
        if ((fd == -EACCES || fd == -EPERM) && a->commit->open_own)
                fd = a->commit->open_own(a->commit->context, slot, item->path);
        return fd;
}

/* The directory outside that holds the item, borrowed. */
static int open_parent(struct apply *a, const struct item *item, char **name)
{
        const struct layer_slot *slot = slot_of(a, item->slot);
        cleanup_free char *target = slot ? commit_target(slot, item->path) : NULL;
        if (!target)
                return -ENOENT;
        cleanup_free char *parent = path_parent(target);
        *name = memory_string(path_name(target));
        if (a->parent_path && strcmp(a->parent_path, parent) == 0)
                return a->parent;
        int fd = files_open_root(parent);
        if (fd < 0)
                return fd;
        if (a->parent >= 0)
                close(a->parent);
        free(a->parent_path);
        a->parent = fd;
        a->parent_path = steal_pointer(&parent);
        return fd;
}

/* Is what stands at the name already what the layer has? */
static bool is_done(struct apply *a, int own, int dir, const char *name)
{
        cleanup_close int base = files_open_any(dir, name);
        struct change c = {.own = own, .own_name = "", .base = base, .name = ""};
        unsigned what = 0;
        const char *which;
        if (base < 0 || own < 0 || files_look(own, "", false, &c.after) < 0 || files_look(base, "", false, &c.before) < 0 ||
            c.after.type != c.before.type)
                return false;
        c.after.uid -= a->commit->layer->shift;
        c.after.gid -= a->commit->layer->shift;
        return compare(a->commit->layer, &c, true, &what, &which) == 0 && !(what & ~CHANGE_TIMES);
}

/* Is it what was looked at before? Not by its time of change, which the commit itself moves: by renaming it, and by taking away
 * another name of the same file. */
static bool is_before(const struct item *item, const struct meta *now)
{
        const struct meta *before = &item->before;
        return item->forced || (before->type == now->type && before->inode == now->inode && before->size == now->size &&
                                time_equal(&before->mtime, &now->mtime));
}

static void remove_temporary(int dir, const char *name)
{
        cleanup_error struct error ignored = ERROR_INIT; /* whoever needs the name says so */
        tree_remove(dir, name, &ignored);
}

static char *target_of(const struct apply *a, const struct item *item)
{
        const struct layer_slot *slot = slot_of(a, item->slot);
        return slot ? commit_target(slot, item->path) : NULL;
}

/* A commit that was cut off may have left something under its name: of its own, or what stood there before. What is neither was
 * put there outside at the moment of the exchange: it stays, and is named. */
static void clear_temporary(struct apply *a, const struct item *item, int own, int dir, const char *temp)
{
        struct meta left;
        if (!a->again || files_look(dir, temp, false, &left) < 0 || left.type == META_NONE)
                return;
        cleanup_close int nameless = files_nameless(dir);
        if (left.type == META_DIRECTORY || nameless < 0 || is_before(item, &left) || is_done(a, own, dir, temp)) {
                remove_temporary(dir, temp);
                return;
        }
        cleanup_free char *why = memory_format("an outside version of the moment when the commit was cut off is left beside it as %s", temp);
        conflict(a, item->path, why);
}

/* What an exchange has brought to the name `temp`: gone, or back in its place. */
static void end_exchanged(struct apply *a, struct waiting *w, const char *path)
{
        cleanup_free char *target = target_of(a, &w->item);
        struct meta out;
        cleanup_error struct error err = ERROR_INIT;
        int result = files_look(w->parent, w->temp, false, &out);
        const char *why = result < 0 || !is_before(&w->item, &out) ? "it was changed outside at this very moment" : NULL;
        char *found = NULL;
        if (!why && out.type == META_DIRECTORY && !w->item.forced &&
            commit_tree_is_old(a->commit, w->parent, w->temp, target, &w->item.since, false, &found) != 1)
                why = "what is in it was changed outside at this very moment";
        free(found);
        if (why && files_swap(w->parent, w->temp, w->name) == 0) {
                remove_temporary(w->parent, w->temp);
                conflict(a, path, why);
                return;
        }
        if ((out.type == META_DIRECTORY || unlinkat(w->parent, w->temp, 0) < 0) && tree_remove(w->parent, w->temp, &err) < 0)
                conflict(a, path, err.text);
        w->placed = true;
        a->commit->done++;
}

/* Gives one thing that is durable its lasting name. */
static void place(struct apply *a, struct waiting *w)
{
        const char *path = w->item.path;
        struct meta now;
        int result = files_look(w->parent, w->name, false, &now);
        if (result < 0) {
                failed(a, path, "cannot look at what is there outside", -result);
                return;
        }
        if (now.type != META_NONE && !is_before(&w->item, &now)) {
                cleanup_close int own = open_own(a, &w->item);
                if (now.type != META_DIRECTORY && is_done(a, own, w->parent, w->name))
                        a->commit->done++;
                else
                        conflict(a, path, "it was changed outside while the commit was at work");
                return;
        }
        if (now.type == META_NONE) {
                if (w->item.before.type != META_NONE && !w->item.forced) {
                        conflict(a, path, "it was deleted outside while the commit was at work");
                        return;
                }
                result = w->fd >= 0 ? files_name(w->fd, w->parent, w->name) : files_rename_new(w->parent, w->temp, w->name);
                w->placed = result == 0;
                if (result < 0)
                        failed(a, path, "cannot give it its name", -result);
                else
                        a->commit->done++;
                return;
        }
        if (w->fd >= 0)
                result = files_name(w->fd, w->parent, w->temp);
        if (result == 0) {
                result = files_swap(w->parent, w->temp, w->name);
                if (result == 0) {
                        end_exchanged(a, w, path);
                        return;
                }
                /* No exchange on this file system: replaced at once, after a last look above. */
                if ((result == -EINVAL || result == -ENOSYS || result == -EOPNOTSUPP) && now.type != META_DIRECTORY)
                        result = renameat(w->parent, w->temp, w->parent, w->name) < 0 ? -errno : 0;
        }
        if (result < 0)
                failed(a, path, "cannot replace it", -result);
        else
                a->commit->done++;
}

static void waiting_clear(struct waiting *w)
{
        if (w->fd >= 0)
                close(w->fd);
        if (w->parent >= 0)
                close(w->parent);
        free(w->temp);
        free(w->name);
        free(w->item.path);
}

static void flush_waiting(struct apply *a)
{
        uint64_t synced = 0;
        for (size_t i = 0; i < a->waiting_count; i++) {
                struct stat st;
                if (fstat(a->waiting[i].parent, &st) == 0 && (i == 0 || st.st_dev != synced)) {
                        synced = st.st_dev;
                        int result = files_sync(a->waiting[i].parent);
                        if (result < 0)
                                a->sync_failed = -result;
                }
        }
        for (size_t i = 0; i < a->waiting_count; i++) {
                struct waiting *w = &a->waiting[i];
                if (a->sync_failed)
                        failed(a, w->item.path, "cannot make it durable", a->sync_failed);
                else
                        place(a, w);
                if (!w->placed)
                        remove_temporary(w->parent, w->temp);
                waiting_clear(w);
        }
        a->waiting_count = 0;
}

static void wait_for_name(struct apply *a, const struct item *item, int parent, int fd, char *temp, const char *name)
{
        struct waiting *w = vector_add(a->waiting, a->waiting_count, a->waiting_capacity);
        *w = (struct waiting){.item = *item, .parent = fcntl(parent, F_DUPFD_CLOEXEC, 0), .fd = fd, .temp = temp,
                              .name = memory_string(name)};
        w->item.path = memory_string(item->path);
        w->item.link = NULL;
        if (a->waiting_count >= a->waiting_limit)
                flush_waiting(a);
}

/* The innermost new directory is full: its own looks last, because filling it changes its time. */
static void end_fresh(struct apply *a)
{
        struct fresh *f = &a->fresh[--a->fresh_count];
        const char *what = "";
        cleanup_close int own = open_own(a, &f->item);
        int result = own < 0 ? own : put_meta(a->commit->layer, own, f->fd, &what);
        if (result < 0)
                failed(a, f->item.path, own < 0 ? "cannot read it in the layer" : what, -result);
        close(f->fd);
        if (f->temp) {
                wait_for_name(a, &f->item, f->parent, -1, f->temp, f->name);
                close(f->parent);
                free(f->name);
        } else {
                a->commit->done++;
        }
        free(f->item.path);
}

static void leave_to(struct apply *a, const char *path)
{
        while (a->fresh_count && (!path || !path_is_below(path, a->fresh[a->fresh_count - 1].item.path)))
                end_fresh(a);
}

static void begin_fresh(struct apply *a, const struct item *item, int parent, char *temp, const char *name)
{
        const char *made = temp ? temp : name;
        int fd = mkdirat(parent, made, 0700) < 0 ? -errno : files_open_directory(parent, made);
        if (fd < 0) {
                failed(a, item->path, "cannot make the directory", -fd);
                free(temp);
                return;
        }
        struct fresh *f = vector_add(a->fresh, a->fresh_count, a->fresh_capacity);
        *f = (struct fresh){.item = *item, .fd = fd, .parent = temp ? fcntl(parent, F_DUPFD_CLOEXEC, 0) : -1, .temp = temp,
                            .name = temp ? memory_string(name) : NULL};
        f->item.path = memory_string(item->path);
        f->item.link = NULL;
}

static void put_directory(struct apply *a, const struct item *item, int parent, const char *name, bool inside)
{
        struct meta now;
        if (inside) {
                begin_fresh(a, item, parent, NULL, name);
                return;
        }
        int result = files_look(parent, name, false, &now);
        if (result < 0) {
                failed(a, item->path, "cannot look at what is there outside", -result);
                return;
        }
        /* There already, by the same commit before it was cut off, or by somebody else: what goes into it is looked at by itself. */
        if (now.type == META_DIRECTORY && (item->before.type != META_DIRECTORY || a->again))
                return;
        if (item->before.type != META_NONE && now.type != META_NONE && !is_before(item, &now)) {
                conflict(a, item->path, "it was changed outside while the commit was at work");
                return;
        }
        char *temp = temporary(a, a->number);
        remove_temporary(parent, temp);
        begin_fresh(a, item, parent, temp, name);
}

/* Where a name of this commit lies that may not have its lasting name yet. */
static int open_linked(struct apply *a, const struct item *item)
{
        for (size_t i = a->fresh_count; i-- > 0;) {
                const struct fresh *f = &a->fresh[i];
                if (!path_is_below(item->link, f->item.path) || strcmp(item->link, f->item.path) == 0)
                        continue;
                cleanup_close int at = openat(f->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                cleanup_free char *rest = memory_string(item->link + strlen(f->item.path) + 1);
                char *piece = rest;
                for (char *slash; at >= 0 && (slash = strchr(piece, '/')); piece = slash + 1) {
                        *slash = '\0';
                        int next = files_open_directory(at, piece);
                        close(at);
                        at = next;
                }
                return at < 0 ? at : openat(at, piece, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        }
        flush_waiting(a);
        struct item other = {.slot = item->slot, .path = item->link};
        for (size_t i = 0; i < a->commit->layer->count; i++) /* perhaps of another slot */
                if (path_is_below(item->link, a->commit->layer->slots[i].path))
                        other.slot = a->commit->layer->slots[i].number;
        const struct layer_slot *slot = slot_of(a, other.slot);
        cleanup_free char *target = slot ? commit_target(slot, item->link) : NULL, *above = target ? path_parent(target) : NULL;
        cleanup_close int parent = above ? files_open_root(above) : -1;
        return parent < 0 ? parent : openat(parent, path_name(target), O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

/* Makes `name` another name of the file that the item says, if that one is equal to the layer's. */
static bool try_link(struct apply *a, const struct item *item, int own, int parent, const char *name)
{
        cleanup_close int first = open_linked(a, item);
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", first);
        cleanup_close int readable = first < 0 ? -1 : open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        struct stat st;
        if (first < 0 || fstat(first, &st) < 0)
                return false;
        struct change c = {.own = own, .own_name = "", .base = readable >= 0 && S_ISREG(st.st_mode) ? readable : first, .name = ""};
        unsigned what = 0;
        const char *which;
        if (files_look(c.own, "", false, &c.after) < 0 || files_look(c.base, "", false, &c.before) < 0 ||
            c.after.type != c.before.type)
                return false;
        c.after.uid -= a->commit->layer->shift;
        c.after.gid -= a->commit->layer->shift;
        return compare(a->commit->layer, &c, false, &what, &which) == 0 && !what &&
               linkat(AT_FDCWD, path, parent, name, AT_SYMLINK_FOLLOW) == 0;
}

/* A thing that is no directory, into a new directory that nobody sees yet. */
static void put_inside(struct apply *a, const struct item *item, int own, int parent, const char *name)
{
        struct meta meta;
        const char *what = "";
        if (item->kind == ITEM_LINK && try_link(a, item, own, parent, name)) {
                a->commit->done++;
                return;
        }
        int result = files_look(own, "", false, &meta);
        if (result == 0)
                result = meta.type == META_REGULAR ? put_file(a->commit->layer, own, parent, name, &what)
                                                   : put_other(a->commit->layer, own, parent, name, &what);
        if (result < 0)
                failed(a, item->path, what, -result);
        else
                a->commit->done++;
}

/* The two versions in one, in a file that has no name yet. */
static int merged(struct apply *a, const struct item *item, int own, int parent, const char *name, int to)
{
        cleanup_close int outside = files_open_regular(parent, name);
        if (outside < 0 || !merge_is_text(outside) || !merge_is_text(own))
                return -ENOTSUP;
        int count = merge_texts(outside, own, "inside", to);
        const char *what = "";
        int result = count < 0 ? count : put_meta(a->commit->layer, own, to, &what);
        if (result == 0)
                a->commit->merged += count > 0;
        if (result == 0 && count > 0) {
                cleanup_free char *text = memory_format("merged, with %d difference%s between marks", count, count > 1 ? "s" : "");
                a->commit->tell(a->commit->context, NULL, item->path, text);
        }
        return result;
}

static void put_outside(struct apply *a, const struct item *item, int own, int parent, const char *name)
{
        struct meta now, meta;
        const char *what = "cannot make it";
        cleanup_free char *temp = temporary(a, a->number);
        clear_temporary(a, item, own, parent, temp);
        int result = files_look(parent, name, false, &now);
        if (result == 0 && now.type != META_NONE && !is_before(item, &now)) {
                if (is_done(a, own, parent, name) || (a->again && item->kind == ITEM_MERGE))
                        a->commit->done++;
                else
                        conflict(a, item->path, "it was changed outside while the commit was at work");
                return;
        }
        if (result == 0)
                result = files_look(own, "", false, &meta);
        int fd = -1;
        if (result == 0 && item->kind == ITEM_MERGE) {
                fd = files_nameless(parent);
                result = fd < 0 ? fd : merged(a, item, own, parent, name, fd);
                what = "cannot be merged: it is no text";
        } else if (result == 0 && item->kind == ITEM_LINK && try_link(a, item, own, parent, temp)) {
                result = 0;
        } else if (result == 0 && meta.type == META_REGULAR) {
                fd = put_file(a->commit->layer, own, parent, NULL, &what);
                if (fd == -EOPNOTSUPP)
                        result = put_file(a->commit->layer, own, parent, temp, &what);
                else if (fd < 0)
                        result = fd;
        } else if (result == 0) {
                result = put_other(a->commit->layer, own, parent, temp, &what);
        }
        if (result < 0) {
                remove_temporary(parent, temp);
                failed(a, item->path, what, -result);
                if (fd >= 0)
                        close(fd);
                return;
        }
        wait_for_name(a, item, parent, fd >= 0 ? fd : -1, steal_pointer(&temp), name);
}

static void apply_item(struct apply *a, const struct item *item)
{
        leave_to(a, item->path);
        bool inside = a->fresh_count > 0;
        cleanup_free char *name = NULL;
        int parent;
        if (inside) {
                /* Something between may be missing, because it was refused at this very moment. */
                cleanup_free char *above = path_parent(item->path);
                if (strcmp(above, a->fresh[a->fresh_count - 1].item.path) != 0)
                        return;
                parent = a->fresh[a->fresh_count - 1].fd;
                name = memory_string(path_name(item->path));
        } else {
                parent = open_parent(a, item, &name);
                if (parent == -ENOENT && a->waiting_count) { /* the directory that it is in may be waiting */
                        flush_waiting(a);
                        free(steal_pointer(&name));
                        parent = open_parent(a, item, &name);
                }
        }
        if (parent < 0) {
                failed(a, item->path, "cannot open the directory that it is in", -parent);
                return;
        }
        cleanup_close int own = open_own(a, item);
        if (own == -ENOENT && a->again)
                return; /* taken out of the layer by the commit that was cut off, after it was done */
        if (own < 0)
                failed(a, item->path, "cannot read it in the layer", -own);
        else if (item->kind == ITEM_DIRECTORY)
                put_directory(a, item, parent, name, inside);
        else if (inside)
                put_inside(a, item, own, parent, name);
        else
                put_outside(a, item, own, parent, name);
}

static void delete_tree(struct apply *a, const struct item *item, int parent, const char *name, const char *temp, bool begun)
{
        char *found = NULL;
        cleanup_free char *target = target_of(a, item);
        cleanup_error struct error err = ERROR_INIT;
        int result = begun ? 0 : files_rename_new(parent, name, temp);
        if (result < 0) {
                failed(a, item->path, "cannot take it away", -result);
                return;
        }
        int old = item->forced ? 1 : commit_tree_is_old(a->commit, parent, temp, target, &item->since, false, &found);
        if (old != 1) {
                files_rename_new(parent, temp, name);
                conflict(a, item->path, "what is in it was changed outside while the commit was at work");
        } else if (tree_remove(parent, temp, &err) < 0) {
                files_rename_new(parent, temp, name);
                conflict(a, item->path, err.text);
        } else {
                a->commit->done++;
        }
        free(found);
}

static void delete_item(struct apply *a, const struct item *item)
{
        cleanup_free char *name = NULL, *temp = temporary(a, a->number);
        int parent = open_parent(a, item, &name);
        struct meta now = {0}, begun = {0};
        if (parent == -ENOENT)
                return;
        int result = parent < 0 ? parent : files_look(parent, name, false, &now);
        if (result == 0)
                result = files_look(parent, temp, false, &begun);
        if (result < 0) {
                failed(a, item->path, "cannot look at what is there outside", -result);
        } else if (begun.type != META_NONE) {
                delete_tree(a, item, parent, name, temp, true);
        } else if (now.type == META_NONE) {
                a->commit->done++;
        } else if (!is_before(item, &now)) {
                conflict(a, item->path, "it was changed outside while the commit was at work");
        } else if (now.type == META_DIRECTORY) {
                delete_tree(a, item, parent, name, temp, false);
        } else if (unlinkat(parent, name, 0) < 0 && errno != ENOENT) {
                failed(a, item->path, "cannot delete it", errno);
        } else {
                a->commit->done++;
        }
}

/* Permissions and time of a directory that stays. */
static void apply_meta(struct apply *a, const struct item *item)
{
        cleanup_free char *target = target_of(a, item);
        cleanup_close int fd = target ? files_open_root(target) : -ENOENT;
        cleanup_close int own = open_own(a, item);
        const char *what = "cannot open it outside";
        struct stat st;
        int result = fd < 0 ? fd : own < 0 ? own : fstat(own, &st) < 0 ? -errno : 0;
        if (own == -ENOENT && a->again)
                return;
        if (result == 0 && item->only_time) {
                struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st.st_mtim};
                (void)!futimens(fd, times); /* the directory of somebody else keeps its own */
                return;
        }
        if (result == 0)
                result = put_meta(a->commit->layer, own, fd, &what);
        if (result < 0)
                failed(a, item->path, what, -result);
        else
                a->commit->done++;
}

/* Remembers what the commit has made, and the directories in which it did. */
static void remember(struct apply *a, const struct item *item)
{
        cleanup_free char *target = target_of(a, item), *name = NULL;
        struct meta meta;
        int parent = target ? open_parent(a, item, &name) : -1;
        if (parent < 0)
                return;
        if (files_look(parent, name, false, &meta) == 0 && meta.type != META_NONE)
                known_set(&a->commit->known, target, &meta);
        if (files_look(parent, "", false, &meta) == 0)
                known_set(&a->commit->known, a->parent_path, &meta);
}

/* Calls `f` for each item of the journal. */
static int each(struct apply *a, void (*f)(struct apply *, const struct item *), const char *kinds, struct error *err)
{
        struct item item = {0};
        int more;
        journal_rewind(&a->commit->journal);
        a->number = 0;
        while ((more = journal_next(&a->commit->journal, &item)) == 1) {
                a->number++;
                if (strchr(kinds, (char)item.kind))
                        f(a, &item);
        }
        free(item.path);
        free(item.link);
        return more < 0 ? error_set(err, EINVAL, "the journal of the commit is damaged") : 0;
}

int commit_apply(struct commit *c, bool again, struct error *err)
{
        struct apply a = {.commit = c, .parent = -1, .own = -1, .again = again};
        size_t files = files_limit();
        a.waiting_limit = files > 2 * WAITING_LIMIT + RESERVE ? WAITING_LIMIT : files > 2 * RESERVE ? (files - RESERVE) / 4 : 8;
        mode_t mask = umask(0);
        int result = each(&a, apply_item, "dpl3", err);
        leave_to(&a, NULL);
        flush_waiting(&a);
        if (result == 0)
                result = each(&a, delete_item, "x", err);
        if (result == 0)
                result = each(&a, apply_meta, "m", err);
        if (result == 0)
                result = each(&a, remember, "dpl3mx", err);
        for (size_t i = 0; i < c->layer->count; i++) { /* durable, before anybody is told */
                cleanup_close int fd = c->layer->slots[i].target ? files_open_root(c->layer->slots[i].target) : -1;
                if (fd >= 0 && files_sync(fd) < 0 && result == 0)
                        result = error_sys(err, errno, "cannot make %s durable", c->layer->slots[i].target);
        }
        umask(mask);
        if (a.parent >= 0)
                close(a.parent);
        if (a.own >= 0)
                close(a.own);
        free(a.own_path);
        free(a.parent_path);
        free(a.waiting);
        free(a.fresh);
        return result;
}
