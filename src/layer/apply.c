// SPDX-License-Identifier: GPL-3.0-or-later
/* A commit carried out: see commit.h for the order. */
#include "layer/apply.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "base/tree.h"
#include "layer/texts.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define WAITING_LIMIT 4096 /* things, of two descriptors each */
#define RESERVE 64         /* descriptors for all else */

void apply_conflict(struct apply *a, const char *path, const char *why)
{
        a->commit->conflicts++;
        a->commit->tell(a->commit->context, NULL, path, why);
}

void apply_failed(struct apply *a, const char *path, const char *what, int code)
{
        cleanup_free char *why = memory_format("%s: %s", what, strerror(code));
        apply_conflict(a, path, why);
}

void apply_done(struct apply *a, unsigned long number, const struct item *item, const struct meta *made)
{
        if (number / 8 >= a->done_size) {
                size_t size = a->done_size ? a->done_size * 2 : 1024;
                size = size > number / 8 ? size : number / 8 + 1;
                a->done = memory_grow(a->done, size, 1);
                memset(a->done + a->done_size, 0, size - a->done_size);
                a->done_size = size;
        }
        a->done[number / 8] |= (unsigned char)(1u << number % 8);
        a->commit->done++;
        if (made && item->kind != ITEM_MERGE) /* inside has not what was merged: the outside's part would be lost */
                apply_know(a, item, made);
}

void apply_know(struct apply *a, const struct item *item, const struct meta *made)
{
        cleanup_free char *target = apply_target(a, item);
        if (target && made->type != META_NONE)
                known_set(&a->commit->known, target, made);
}

static const struct layer_slot *slot_of(const struct apply *a, unsigned number)
{
        for (size_t i = 0; i < a->commit->layer->count; i++)
                if (a->commit->layer->slots[i].number == number)
                        return &a->commit->layer->slots[i];
        return NULL;
}

/* As change_open_any(), with the directory of the item before kept open. */
static int open_in_layer(struct apply *a, const struct layer_slot *slot, const char *path, enum meta_type type)
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
        return type == META_REGULAR ? files_open_content(a->own, path_name(path))
                                    : files_open_any(a->own, path_name(path));
}

int apply_open_own(struct apply *a, const struct item *item)
{
        const struct layer_slot *slot = slot_of(a, item->slot);
        if (!slot)
                return -ENOENT;
        int fd = open_in_layer(a, slot, item->path, item->after);
        if ((fd == -EACCES || fd == -EPERM) && a->commit->open_own)
                fd = a->commit->open_own(a->commit->context, slot, item->path);
        return fd;
}

/* Remembers a file system that is written to, so that it is made durable in the end. */
static void touch(struct apply *a, int fd, uint64_t device)
{
        for (size_t i = 0; i < a->touched_count; i++)
                if (a->touched[i].device == device)
                        return;
        *vector_add(a->touched, a->touched_count,
                    a->touched_capacity) = (struct touched){device, fcntl(fd, F_DUPFD_CLOEXEC, 0)};
}

int apply_open_parent(struct apply *a, const struct item *item, char **name)
{
        const struct layer_slot *slot = slot_of(a, item->slot);
        cleanup_free char *target = slot ? commit_target(slot, item->path) : NULL;
        if (!target)
                return -ENOENT;
        cleanup_free char *parent = path_parent(target);
        *name = memory_string(path_name(target));
        if (a->parent_path && strcmp(a->parent_path, parent) == 0)
                return a->parent.fd;
        int fd = files_open_root(parent);
        if (fd < 0)
                return fd;
        if (a->parent.fd >= 0)
                close(a->parent.fd);
        free(a->parent_path);
        a->parent_path = steal_pointer(&parent);
        *vector_add(a->parents, a->parent_count, a->parent_capacity) = memory_string(a->parent_path);
        if (into_look(&a->parent, fd) == 0)
                touch(a, fd, a->parent.device);
        return fd;
}

char *apply_target(const struct apply *a, const struct item *item)
{
        const struct layer_slot *slot = slot_of(a, item->slot);
        return slot ? commit_target(slot, item->path) : NULL;
}

/* Where a name of this commit lies that may not have its lasting name yet. */
static int open_linked(struct apply *a, const struct item *item)
{
        int fd = fresh_open(a, item->link);
        if (fd != -ENOENT)
                return fd;
        place_all(a);
        struct item other = {.slot = item->slot, .path = item->link};
        for (size_t i = 0; i < a->commit->layer->count; i++) /* perhaps of another slot */
                if (path_is_below(item->link, a->commit->layer->slots[i].path))
                        other.slot = a->commit->layer->slots[i].number;
        const struct layer_slot *slot = slot_of(a, other.slot);
        cleanup_free char *target = slot ? commit_target(slot, item->link) : NULL,
                          *above = target ? path_parent(target) : NULL;
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
        struct change c = {.own = own,
                           .own_name = "",
                           .base = readable >= 0 && S_ISREG(st.st_mode) ? readable : first,
                           .name = ""};
        unsigned what = 0;
        const char *which;
        if (files_look(c.own, "", false, &c.after) < 0 || files_look(c.base, "", false, &c.before) < 0 ||
            c.after.type != c.before.type)
                return false;
        c.after.uid = layer_uid(a->commit->layer, c.after.uid);
        c.after.gid = layer_gid(a->commit->layer, c.after.gid);
        bool same = compare(a->commit->layer, &c, false, &what, &which) == 0 && !what;
        a->linked = true;
        return same && linkat(AT_FDCWD, path, parent, name, AT_SYMLINK_FOLLOW) == 0;
}

/* A thing that is no directory, into a new directory that nobody sees yet. */
static void put_inside(struct apply *a, const struct item *item, int own, struct into *parent, const char *name)
{
        struct meta made = {.type = META_NONE}; /* of a link: looked at in the end */
        const char *what = "";
        bool linked = item->kind == ITEM_LINK && try_link(a, item, own, parent->fd, name);
        int result = linked ? 0 : put(a->commit->layer, own, parent, name, NULL, &made, &what);
        if (result < 0)
                apply_failed(a, item->path, what, -result);
        else
                apply_done(a, a->number, item, &made);
}

/* What inside has, as it is at this moment: a program may write to it meanwhile. Open, without a name. */
static int copy_text(int own)
{
        struct stat st;
        cleanup_file FILE *file = tmpfile();
        cleanup_close int to = file ? fcntl(fileno(file), F_DUPFD_CLOEXEC, 0) : -1;
        bool share = false;
        if (to < 0 || fstat(own, &st) < 0)
                return -errno;
        int result = files_copy(own, to, &st, &share);
        return result < 0 ? result : !merge_is_text(to) ? -ENOTSUP : steal_fd(&to);
}

/* The two versions in one, in a file that has no name yet. What inside has is then what both come from. */
static int merged(struct apply *a, const struct item *item, int own, int parent, const char *name, int to)
{
        const struct layer *layer = a->commit->layer;
        const struct layer_slot *slot = slot_of(a, item->slot);
        cleanup_close int outside = files_open_regular(parent, name);
        if (outside < 0 || !merge_is_text(outside) || !merge_is_text(own))
                return -ENOTSUP;
        cleanup_close int inside = copy_text(own);
        cleanup_close int base = texts_open(layer, slot, item->path);
        int count = inside < 0 ? inside : merge_texts(outside, base, inside, to);
        const char *what = "";
        int result = count < 0 ? count : put_meta(layer, own, to, &what);
        if (result < 0)
                return result;
        if (a->text >= 0)
                close(a->text);
        a->text = steal_fd(&inside);
        a->commit->merged += count > 0;
        const char *plural = count == 1 ? "" : "s";
        cleanup_free char *text = base < 0     ? memory_format("merged without the version that both come from: %d difference%s "
                                                               "between marks", count, plural)
                                  : count == 0 ? memory_string("merged")
                                               : memory_format("merged, with %d conflict%s between marks", count, plural);
        a->commit->tell(a->commit->context, NULL, item->path, text);
        return 0;
}

bool apply_merged(struct apply *a, const struct waiting *w)
{
        const struct layer_slot *slot = slot_of(a, w->item.slot);
        if (w->text >= 0 && slot && texts_keep(a->commit->layer, slot, w->item.path, w->text) != 1)
                texts_drop(a->commit->layer, slot, w->item.path);
        return true;
}

static void put_outside(struct apply *a, const struct item *item, int own, struct into *parent, const char *name)
{
        struct meta now;
        const char *what = "cannot look at what is there outside";
        cleanup_free char *temp = place_temporary(a);
        place_clear(a, item, own, parent->fd, temp);
        int result = files_look(parent->fd, name, false, &now);
        if (result == 0 && now.type != META_NONE && !place_is_before(item, &now)) {
                if (place_is_done(a, own, parent->fd, name) || (a->again && item->kind == ITEM_MERGE))
                        apply_done(a, a->number, item, &now);
                else
                        apply_conflict(a, item->path, "it was changed outside while the commit was at work");
                return;
        }
        int fd = -1;
        if (result == 0 && item->kind == ITEM_MERGE) {
                fd = files_nameless(parent->fd);
                result = fd < 0 ? fd : merged(a, item, own, parent->fd, name, fd);
                what = "cannot be merged: it is no text";
        } else if (result == 0 && (item->kind != ITEM_LINK || !try_link(a, item, own, parent->fd, temp))) {
                result = put(a->commit->layer, own, parent, temp, &fd, NULL, &what);
        }
        if (result < 0) {
                place_remove_temporary(parent->fd, temp);
                apply_failed(a, item->path, what, -result);
                if (fd >= 0)
                        close(fd);
                return;
        }
        place_later(a, a->number, item, parent, fd, steal_pointer(&temp), name);
}

static void apply_item(struct apply *a, const struct item *item)
{
        fresh_leave(a, item->path);
        bool inside = a->fresh_count > 0;
        cleanup_free char *own_name = NULL;
        const char *name = path_name(item->path);
        if (inside) {
                /* Something between may be missing, because it was refused at this very moment. */
                const char *above = a->fresh[a->fresh_count - 1].item.path;
                if (strlen(above) != (size_t)(name - item->path) - 1)
                        return;
        } else {
                int result = apply_open_parent(a, item, &own_name);
                if (result == -ENOENT && a->waiting_count) { /* the directory that it is in may be waiting */
                        place_all(a);
                        free(steal_pointer(&own_name));
                        result = apply_open_parent(a, item, &own_name);
                }
                if (result < 0) {
                        apply_failed(a, item->path, "cannot open the directory that it is in", -result);
                        return;
                }
                name = own_name;
        }
        struct into *parent = inside ? &a->fresh[a->fresh_count - 1].into : &a->parent;
        cleanup_close int own = apply_open_own(a, item);
        if (own == -ENOENT && a->again)
                return; /* taken out of the layer by the commit that was cut off, after it was done */
        if (own < 0)
                apply_failed(a, item->path, "cannot read it in the layer", -own);
        else if (item->kind == ITEM_DIRECTORY)
                fresh_begin(a, item, parent, name, inside);
        else if (inside)
                put_inside(a, item, own, parent, name);
        else
                put_outside(a, item, own, parent, name);
}

static void delete_tree(struct apply *a, const struct item *item, int parent, const char *name, const char *temp,
                        bool begun)
{
        char *found = NULL;
        cleanup_free char *target = apply_target(a, item);
        cleanup_error struct error err = ERROR_INIT;
        int result = begun ? 0 : files_rename_new(parent, name, temp);
        if (result < 0) {
                apply_failed(a, item->path, "cannot take it away", -result);
                return;
        }
        int old = item->forced ? 1 : commit_tree_is_old(a->commit, parent, temp, target, &item->since, false, &found);
        if (old != 1) {
                files_rename_new(parent, temp, name);
                apply_conflict(a, item->path, "what is in it was changed outside while the commit was at work");
        } else if (tree_remove(parent, temp, &err) < 0) {
                files_rename_new(parent, temp, name);
                apply_conflict(a, item->path, err.text);
        } else {
                apply_done(a, a->number, item, NULL);
        }
        free(found);
}

static void delete_item(struct apply *a, const struct item *item)
{
        cleanup_free char *name = NULL, *temp = place_temporary(a);
        int parent = apply_open_parent(a, item, &name);
        struct meta now = {0}, begun = {0};
        if (parent == -ENOENT)
                return;
        int result = parent < 0 ? parent : files_look(parent, name, false, &now);
        if (result == 0)
                result = files_look(parent, temp, false, &begun);
        if (result < 0) {
                apply_failed(a, item->path, "cannot look at what is there outside", -result);
        } else if (begun.type != META_NONE) {
                delete_tree(a, item, parent, name, temp, true);
        } else if (now.type == META_NONE) {
                apply_done(a, a->number, item, NULL);
        } else if (!place_is_before(item, &now)) {
                apply_conflict(a, item->path, "it was changed outside while the commit was at work");
        } else if (now.type == META_DIRECTORY) {
                delete_tree(a, item, parent, name, temp, false);
        } else if (unlinkat(parent, name, 0) < 0 && errno != ENOENT) {
                apply_failed(a, item->path, "cannot delete it", errno);
        } else {
                apply_done(a, a->number, item, NULL);
        }
}

/* Permissions and time of a directory that stays. */
static void apply_meta(struct apply *a, const struct item *item)
{
        cleanup_free char *target = apply_target(a, item);
        cleanup_close int fd = target ? files_open_root(target) : -ENOENT;
        cleanup_close int own = apply_open_own(a, item);
        const char *what = "cannot open it outside";
        struct stat st = {0}, at = {0};
        int result = fd < 0 ? fd : own < 0 ? own : fstat(own, &st) < 0 || fstat(fd, &at) < 0 ? -errno : 0;
        if (own == -ENOENT && a->again)
                return;
        if (result == 0)
                touch(a, fd, at.st_dev);
        if (result == 0 && item->only_time) {
                struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st.st_mtim};
                (void)!futimens(fd, times); /* the directory of somebody else keeps its own */
        } else if (result == 0) {
                result = put_meta(a->commit->layer, own, fd, &what);
        }
        struct meta now = {.type = META_NONE};
        if (result == 0)
                result = files_look(fd, "", false, &now);
        if (result < 0)
                apply_failed(a, item->path, what, -result);
        else if (item->only_time) /* which nobody asked for */
                apply_know(a, item, &now);
        else
                apply_done(a, a->number, item, &now);
}

/* Remembers what the commit has made, where that could not be done at once. */
static void remember(struct apply *a, const struct item *item)
{
        cleanup_free char *target = apply_target(a, item), *name = NULL;
        struct meta meta;
        if (a->number / 8 >= a->done_size || !(a->done[a->number / 8] & 1u << a->number % 8))
                return;
        int parent = target ? apply_open_parent(a, item, &name) : -1;
        if (parent >= 0 && files_look(parent, name, false, &meta) == 0 && meta.type != META_NONE)
                known_set(&a->commit->known, target, &meta);
}

/* And the directories in which it did. */
static void remember_parents(struct apply *a)
{
        for (size_t i = 0; i < a->parent_count; i++) {
                struct meta meta;
                cleanup_close int fd = files_open_root(a->parents[i]);
                if (fd >= 0 && files_look(fd, "", false, &meta) == 0)
                        known_set(&a->commit->known, a->parents[i], &meta);
        }
}

static unsigned kind_bit(char kind)
{
        return 1u << (kind & 31);
}

/* Calls `f` for each item of the journal that is of one of `kinds`. `first`: which there are is not known yet. */
static int each(struct apply *a, void (*f)(struct apply *, const struct item *), const char *kinds, bool first,
                struct error *err)
{
        struct item item = {0};
        int more = 0;
        unsigned wanted = 0;
        for (const char *k = kinds; *k; k++)
                wanted |= kind_bit(*k);
        if (!first && !(a->kinds & wanted))
                return 0;
        journal_rewind(&a->commit->journal);
        a->number = 0;
        while ((more = journal_next(&a->commit->journal, &item)) == 1) {
                a->number++;
                a->kinds |= kind_bit((char)item.kind);
                if (wanted & kind_bit((char)item.kind))
                        f(a, &item);
        }
        free(item.path);
        free(item.link);
        return more < 0 ? error_set(err, EINVAL, "the journal of the commit is damaged") : 0;
}

/* Waits until all is durable, before anybody is told. */
static int sync_touched(struct apply *a, struct error *err)
{
        int result = 0;
        while (a->touched_count) {
                int fd = a->touched[--a->touched_count].fd;
                int code = files_sync(fd);
                if (code < 0 && result == 0)
                        result = error_sys(err, -code, "cannot make durable what was committed");
                close(fd);
        }
        return result;
}

int commit_apply(struct commit *c, bool again, struct error *err)
{
        struct apply a = {.commit = c, .parent = {.fd = -1}, .own = -1, .again = again, .text = -1};
        size_t files = files_limit();
        a.waiting_limit = files > 2 * WAITING_LIMIT + RESERVE ? WAITING_LIMIT
                          : files > 2 * RESERVE               ? (files - RESERVE) / 4
                                                              : 8;
        mode_t mask = umask(0);
        int result = each(&a, apply_item, "dpl3", true, err);
        fresh_leave(&a, NULL);
        place_all(&a);
        if (result == 0)
                result = each(&a, delete_item, "x", false, err);
        if (result == 0)
                result = each(&a, apply_meta, "m", false, err);
        if (result == 0 && a.linked)
                result = each(&a, remember, "dplm", false, err);
        remember_parents(&a);
        if (sync_touched(&a, err) < 0)
                result = -err->code;
        umask(mask);
        if (a.parent.fd >= 0)
                close(a.parent.fd);
        if (a.own >= 0)
                close(a.own);
        if (a.text >= 0)
                close(a.text);
        free(a.own_path);
        free(a.parent_path);
        free(a.waiting);
        free(a.fresh);
        free(a.touched);
        free(a.done);
        while (a.parent_count)
                free(a.parents[--a.parent_count]);
        free(a.parents);
        return result;
}
