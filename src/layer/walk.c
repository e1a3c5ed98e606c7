// SPDX-License-Identifier: GPL-3.0-or-later
/* The walk through a layer: see layer.h. */
#include "layer/layer.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "layer/links.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum selection { SELECT_NO, SELECT_ABOVE, SELECT_YES };

/* Later than any time: nothing is sure. */
static const struct timespec never = {.tv_sec = INT64_MAX};

struct walk {
        const struct layer_walk *order;
        const struct layer *layer;
        struct text path;   /* inside, of what is being looked at */
        struct links links; /* files of the layer with several names */
        bool foreign_clock; /* times of the covered file system are a server's */
};

/* A directory on the way down: what the layer has of it, and what it covers. */
struct level {
        const struct layer_slot *slot;
        int *own, *base;
        size_t own_count, base_count;
        bool opaque;          /* what it covers is not seen through it */
        bool first_entries;   /* the top of a slot that began with copies of files and links */
        bool other_slots;     /* some of its names are those of other slots, */
        bool ours;            /* or of ours */
        struct meta covered;  /* the directory that it covers */
        struct timespec sure; /* it is the one that was covered, for all times after this */
};

static void level_clear(struct level *l)
{
        while (l->own_count)
                close(l->own[--l->own_count]);
        while (l->base_count)
                close(l->base[--l->base_count]);
        free(l->own);
        free(l->base);
}

static void trouble(struct walk *w, const char *what, int code)
{
        if (w->order->trouble)
                w->order->trouble(w->order->context, w->path.data, what, code);
}

static enum selection selected(const struct walk *w, const char *path)
{
        enum selection best = w->order->paths ? SELECT_NO : SELECT_YES;
        for (size_t i = 0; w->order->paths && i < w->order->path_count; i++) {
                if (path_is_below(path, w->order->paths[i]))
                        return SELECT_YES;
                if (path_is_below(w->order->paths[i], path))
                        best = SELECT_ABOVE;
        }
        return best;
}

static struct timespec earlier(struct timespec a, struct timespec b)
{
        return time_before(&a, &b) ? a : b;
}

/* From which time on `child` in `parent` is surely the directory that was covered. One that takes its place changes the
 * parent, and the rename that brings it changes itself: so one of both unchanged is enough. A directory whose last
 * change was one of its entries (equal times) was not brought by that change, and one that is older was there. */
static struct timespec sure_from(const struct level *parent, const struct meta *child)
{
        struct timespec t = earlier(parent->covered.ctime, child->ctime);
        if (time_equal(&child->mtime, &child->ctime) && child->btime.tv_sec)
                t = earlier(t, child->btime);
        return time_before(&t, &parent->sure) ? parent->sure : t;
}

static enum proof proof_of(const struct walk *w, const struct change *c)
{
        if (!c->since.tv_sec || w->foreign_clock)
                return PROOF_UNKNOWN;
        if (!time_before(&c->before.ctime, &c->since))
                return PROOF_CHANGED;
        return time_before(&c->parent_sure, &c->since) ? PROOF_SURE : PROOF_UNKNOWN;
}

static int emit(struct walk *w, const struct level *level, struct change *c, enum selection selection, bool hidden)
{
        (void)level;
        c->path = w->path.data;
        c->passage = selection != SELECT_YES;
        if (c->passage && c->kind != CHANGE_ADDED && c->kind != CHANGE_REPLACED)
                return 0;
        if (c->before.type != META_NONE)
                c->proof = hidden ? PROOF_HIDDEN : proof_of(w, c);
        if (w->order->found && !c->passage)
                for (size_t i = 0; i < w->order->path_count; i++)
                        w->order->found[i] += path_is_below(c->path, w->order->paths[i]);
        return w->order->visit(w->order->context, c);
}

static int walk_level(struct walk *w, struct level *level);

/* Opens what `name` consists of, which is a directory in the layer at `top`, and walks it. */
static int descend(struct walk *w, const struct level *level, const struct change *c, size_t top, size_t base_at)
{
        struct level child = {.slot = level->slot, .sure = never, .covered = c->before};
        child.own = memory_grow(NULL, level->own_count, sizeof *child.own);
        child.base = memory_grow(NULL, level->base_count + 1, sizeof *child.base);
        int result = 0;
        bool last = false;
        for (size_t i = top; i < level->own_count && !last; i++) {
                struct meta meta;
                if (i > top &&
                    (files_look(level->own[i], c->own_name, true, &meta) < 0 || meta.type != META_DIRECTORY)) {
                        if (meta.type == META_NONE && !meta.whiteout)
                                continue;
                        last = true;
                        break;
                }
                int fd = files_open_directory(level->own[i], c->own_name);
                if (fd < 0) {
                        trouble(w, "cannot read this directory of the layer", -fd);
                        level_clear(&child);
                        return 0;
                }
                child.own[child.own_count++] = fd;
                last = files_is_opaque(fd);
        }
        child.opaque = last || level->opaque;
        bool covers = c->before.type == META_DIRECTORY && base_at < level->base_count;
        for (size_t i = base_at; covers && i < level->base_count; i++) {
                int fd = files_open_directory(level->base[i], c->name);
                if (fd == -ENOENT)
                        continue;
                if (fd == -ENOTDIR || fd == -ELOOP || (fd == -EACCES && w->layer->owner))
                        break;
                if (fd < 0) {
                        trouble(w, "cannot read this directory outside", -fd);
                        level_clear(&child);
                        return 0;
                }
                child.base[child.base_count++] = fd;
        }
        if (covers && level->base_count == 1)
                child.sure = sure_from(level, &c->before);
        result = walk_level(w, &child);
        level_clear(&child);
        return result;
}

/* What differs, when the types are equal. What cannot be read counts as different. */
static void compare_entry(struct walk *w, struct change *c)
{
        const char *which = "";
        int result = compare(w->layer, c, w->order->times, &c->what, &which);
        /* Nobody inside has read it either: it was shown without content. */
        bool unread = which[0] == 'o' && result == -EACCES && w->layer->owner;
        if (unread)
                c->what |= CHANGE_CONTENT;
        else if (result < 0) {
                trouble(w, which[0] == 'i' ? "cannot be compared: what the layer has cannot be read"
                                           : "cannot be compared: what is outside cannot be read", -result);
                c->what |= c->after.type == META_REGULAR ? CHANGE_CONTENT : CHANGE_XATTRS;
        }
        if (w->order->directory_times && c->after.type == META_DIRECTORY &&
            !time_equal(&c->after.mtime, &c->before.mtime))
                c->what |= CHANGE_TIMES;
}

static void note_links(struct walk *w, struct change *c)
{
        if (c->after.links < 2 || c->after.type == META_DIRECTORY || c->after.type == META_NONE)
                return;
        bool covers = c->kind == CHANGE_CHANGED;
        const struct link_entry *first = links_first(&w->links, c->after.device, c->after.inode, w->path.data,
                                                     covers ? c->before.inode : 0);
        if (!first)
                return;
        c->link = first->path;
        if (covers && first->covers != c->before.inode)
                c->what |= CHANGE_LINK;
}

#define IDS 65536 /* what is outside belongs inside to the same number, or to nobody */
#define NOBODY 65534

/* Looks at what is outside, and says who owns it there. */
static int look_outside(const struct walk *w, int dir, const char *name, struct meta *meta)
{
        int result = files_look(dir, name, false, meta);
        if (result == -EACCES && w->layer->owner) { /* the mirror shows nothing in such a directory */
                *meta = (struct meta){.type = META_NONE};
                return 0;
        }
        if (result < 0 || meta->type == META_NONE || !w->layer->owner)
                return result;
        result = w->layer->owner(w->layer->owner_context, dir, name, &meta->uid, &meta->gid);
        meta->uid = meta->uid < IDS ? meta->uid : NOBODY;
        meta->gid = meta->gid < IDS ? meta->gid : NOBODY;
        return result;
}

/* The name in the topmost part of the layer that has it. */
static int look_own(struct walk *w, const struct level *level, const char *name, struct meta *after, size_t *top)
{
        *after = (struct meta){.type = META_NONE};
        for (*top = 0; *top < level->own_count; ++*top) {
                int result = files_look(level->own[*top], name, level->slot->cover.kind == COVER_CHANGES, after);
                if (result < 0) {
                        trouble(w, "cannot look at what the layer has", -result);
                        return result;
                }
                if (after->type != META_NONE || after->whiteout)
                        return 0;
        }
        return 0;
}

static int look_base(struct walk *w, const struct level *level, const char *name, struct meta *before, size_t *at)
{
        *before = (struct meta){.type = META_NONE};
        for (*at = 0; *at < level->base_count; ++*at) {
                int result = look_outside(w, level->base[*at], name, before);
                if (result < 0) {
                        trouble(w, "cannot look at what is outside", -result);
                        return result;
                }
                if (before->type != META_NONE)
                        break;
        }
        /* Such a slot began with copies of what could be read; what came later outside it never covered. */
        if (level->first_entries && before->type != META_REGULAR && before->type != META_SYMLINK)
                *before = (struct meta){.type = META_NONE};
        return 0;
}

/* Is `path` an entry of the directory `dir` (of `length` bytes; 0: the root)? */
static bool is_entry(const char *path, const char *dir, size_t length)
{
        return strncmp(path, dir, length) == 0 && path[length] == '/' && path[length + 1] &&
               !strchr(path + length + 1, '/');
}

/* Looks once whether a directory has names that are not the layer's, so that not every entry must be compared with all
 * of them. */
static void find_special(const struct walk *w, struct level *level)
{
        const struct layer_slot *slot = level->slot;
        size_t length = w->path.data[1] ? w->path.length : 0, top = slot->path[1] ? strlen(slot->path) : 0;
        for (size_t i = 0; i < w->layer->count && !level->other_slots; i++)
                level->other_slots = &w->layer->slots[i] != slot &&
                                     is_entry(w->layer->slots[i].path, w->path.data, length);
        for (size_t i = 0; i < slot->cover.name_count && !level->ours; i++) {
                const char *name = slot->cover.names[i].path, *slash = strrchr(name, '/');
                size_t n = slash ? (size_t)(slash - name) : 0;
                size_t below = length > top ? length - top - 1 : 0; /* the directory's name in the slot */
                level->ours = n == below && strncmp(name, w->path.data + length - below, n) == 0;
        }
}

/* An own name of another slot shows that slot's, never this one's. */
static bool is_other_slot(const struct walk *w, const struct level *level)
{
        if (!level->other_slots)
                return false;
        for (size_t i = 0; i < w->layer->count; i++)
                if (&w->layer->slots[i] != level->slot && strcmp(w->layer->slots[i].path, w->path.data) == 0)
                        return true;
        return false;
}

static int walk_entry(struct walk *w, const struct level *level, const char *name)
{
        enum selection selection = selected(w, w->path.data);
        if (selection == SELECT_NO || is_other_slot(w, level))
                return 0;
        size_t skip = level->slot->path[1] ? strlen(level->slot->path) + 1 : 1;
        enum cover_name_kind ours = level->ours ? slot_name(level->slot, w->path.data + skip) : COVER_NAME_NONE;
        if (ours == COVER_NAME_OTHER)
                return 0;
        struct change c = {.name = name,
                           .own_name = name,
                           .slot = level->slot,
                           .own = -1,
                           .base = -1,
                           .parent_sure = level->sure,
                           .parent_ctime = level->covered.ctime,
                           .parent_new = level->slot->cover.kind == COVER_CHANGES &&
                                         level->covered.type != META_DIRECTORY};
        size_t top, at;
        if (look_own(w, level, name, &c.after, &top) < 0 || look_base(w, level, name, &c.before, &at) < 0)
                return 0;
        bool made = ours == COVER_NAME_DIRECTORY &&
                    c.before.type == META_NONE; /* a name to mount on, not there outside */
        if (top < level->own_count && c.after.type != META_NONE)
                c.own = level->own[top];
        if (at < level->base_count && c.before.type != META_NONE)
                c.base = level->base[at];
        c.since = level->slot->cover.since;
        if (c.after.type == META_NONE) {
                /* Only a mark deletes, or a directory that hides what it covers. A name that the layer simply does not
                 * have was chosen without being changed, or went while it was looked at. */
                if (!c.after.whiteout && !level->opaque && !level->first_entries)
                        return 0;
                bool late = level->first_entries && (!c.since.tv_sec || !time_before(&c.before.ctime, &c.since) ||
                                                     faccessat(c.base, name, R_OK, 0) < 0);
                if (c.before.type == META_NONE || late || ours == COVER_NAME_HIDDEN)
                        return 0;
                c.kind = CHANGE_DELETED;
                return emit(w, level, &c, selection, false);
        }
        /* It matters to who wants to prove something; rename.c asks for itself. In a directory that covers none there
         * is nothing that it can be a changed copy of. */
        bool matters = w->order->proofs && !c.parent_new;
        struct timespec copied = c.after.btime;
        c.copy = matters && level->slot->cover.kind == COVER_CHANGES && files_is_copy(c.own, name, &copied);
        if (c.copy)
                c.since = copied;
        if (w->layer->shift) {
                c.after.uid -= w->layer->shift;
                c.after.gid -= w->layer->shift;
        }
        bool hidden = ours == COVER_NAME_HIDDEN;
        int result = 0;
        c.kind = c.before.type == META_NONE             ? CHANGE_ADDED
                 : hidden || c.before.type != c.after.type ? CHANGE_REPLACED
                                                        : CHANGE_CHANGED;
        if (c.kind == CHANGE_CHANGED && !made)
                compare_entry(w, &c);
        note_links(w, &c);
        bool tell = !made && (c.kind != CHANGE_CHANGED || c.what);
        if (tell && result == 0)
                result = emit(w, level, &c, selection, hidden);
        if (result == 0 && c.after.type == META_DIRECTORY)
                result = descend(w, level, &c, top, at);
        return result;
}

/* The names of a directory that was not chosen itself: those on the way to what was. */
static int walk_chosen(struct walk *w, struct level *level)
{
        cleanup_free char *before = NULL;
        size_t length = w->path.length;
        size_t skip = w->path.data[1] ? length + 1 : 1;
        int result = 0;
        for (;;) { /* the next one in order; there are few */
                char *next = NULL;
                for (size_t i = 0; i < w->order->path_count; i++) {
                        const char *path = w->order->paths[i];
                        if (!path_is_below(path, w->path.data) || strlen(path) <= skip)
                                continue;
                        size_t n = strcspn(path + skip, "/");
                        cleanup_free char *name = memory_format("%.*s", (int)n, path + skip);
                        if ((before && strcmp(name, before) <= 0) || (next && strcmp(name, next) >= 0))
                                continue;
                        free(next);
                        next = steal_pointer(&name);
                }
                if (!next || result != 0) {
                        free(next);
                        return result;
                }
                free(before);
                before = next;
                if (w->path.data[1])
                        text_add(&w->path, "/");
                text_add(&w->path, next);
                result = walk_entry(w, level, next);
                w->path.length = length;
                w->path.data[length] = '\0';
        }
}

static int walk_level(struct walk *w, struct level *level)
{
        find_special(w, level);
        if (selected(w, w->path.data) == SELECT_ABOVE)
                return walk_chosen(w, level);
        size_t length = w->path.length, count = 0;
        cleanup_free int *dirs = memory_grow(NULL, level->own_count + level->base_count + 1, sizeof *dirs);
        for (size_t i = 0; i < level->own_count; i++)
                dirs[count++] = level->own[i];
        for (size_t i = 0; (level->opaque || level->first_entries) && i < level->base_count; i++)
                dirs[count++] = level->base[i];
        struct names names = {0};
        int result = 0;
        for (int more; result == 0 && (more = names_next(&names, dirs, count)) != 0;) {
                if (more < 0) {
                        trouble(w, "cannot read this directory", -more);
                        break;
                }
                for (size_t i = 0; i < names.count && result == 0; i++) {
                        if (w->path.data[1])
                                text_add(&w->path, "/");
                        text_add(&w->path, names.items[i]);
                        result = walk_entry(w, level, names.items[i]);
                        w->path.length = length;
                        w->path.data[length] = '\0';
                }
        }
        names_clear(&names);
        return result;
}

/* A slot that is a single file. */
static int walk_file(struct walk *w, const struct layer_slot *slot)
{
        enum selection selection = selected(w, slot->path);
        if (selection != SELECT_YES)
                return 0;
        struct change c = {.name = slot->cover.source_count ? path_name(slot->cover.sources[0]) : path_name(slot->path),
                           .own_name = "content",
                           .slot = slot,
                           .own = slot->own[0],
                           .base = -1,
                           .since = slot->cover.since,
                           .parent_sure = never};
        int result = files_look(c.own, c.own_name, false, &c.after);
        if (result == 0 && slot->base_count) {
                c.base = slot->base[0];
                result = look_outside(w, c.base, c.name, &c.before);
        }
        if (result < 0) {
                trouble(w, "cannot look at it", -result);
                return 0;
        }
        if (c.before.type != META_NONE && c.before.inode == slot->cover.inode)
                c.parent_sure = (struct timespec){0};
        if (w->layer->shift) {
                c.after.uid -= w->layer->shift;
                c.after.gid -= w->layer->shift;
        }
        c.kind = c.before.type == META_NONE             ? CHANGE_ADDED
                 : c.before.type != c.after.type        ? CHANGE_REPLACED
                                                        : CHANGE_CHANGED;
        if (c.kind == CHANGE_CHANGED)
                compare_entry(w, &c);
        return c.kind != CHANGE_CHANGED || c.what ? emit(w, NULL, &c, selection, false) : 0;
}

static int walk_slot(struct walk *w, const struct layer_slot *slot)
{
        w->path.length = 0;
        text_add(&w->path, slot->path);
        if (slot->damage && selected(w, slot->path) != SELECT_NO)
                trouble(w, slot->damage, EINVAL);
        if (!slot->own_count)
                return 0;
        if (slot->base_error) {
                struct names names = {.budget = 1};
                if (slot->is_file || names_next(&names, slot->own, slot->own_count) != 1 || names.count)
                        trouble(w, "cannot read what this part of the layer covers", slot->base_error);
                names_clear(&names);
                return 0;
        }
        w->foreign_clock = slot->base_count && !files_clock_is_ours(slot->base[0]);
        if (slot->is_file)
                return walk_file(w, slot);
        enum selection selection = selected(w, slot->path);
        if (selection == SELECT_NO)
                return 0;
        struct level level = {.slot = slot, .own = slot->own, .own_count = slot->own_count, .base = slot->base,
                              .base_count = slot->base_count, .sure = never,
                              .first_entries = slot->cover.kind == COVER_ENTRIES};
        struct change c = {.top = true,
                           .name = "",
                           .own_name = "",
                           .slot = slot,
                           .own = slot->own[0],
                           .base = -1,
                           .kind = CHANGE_CHANGED,
                           .since = slot->cover.since};
        int result = files_look(slot->own[0], "", false, &c.after);
        if (result == 0 && slot->base_count)
                result = look_outside(w, slot->base[0], "", &c.before);
        if (result < 0) {
                trouble(w, "cannot look at it", -result);
                return 0;
        }
        if (w->layer->shift) {
                c.after.uid -= w->layer->shift;
                c.after.gid -= w->layer->shift;
        }
        level.covered = c.before;
        if (slot->base_count == 1 && slot->cover.inode && slot->cover.inode == c.before.inode)
                level.sure = (struct timespec){0};
        c.parent_sure = level.sure;
        for (size_t i = 0; i < slot->own_count && slot->cover.kind == COVER_CHANGES; i++)
                level.opaque |= files_is_opaque(slot->own[i]);
        if (slot->base_count && slot->cover.kind == COVER_CHANGES) {
                c.base = slot->base[0];
                compare_entry(w, &c);
                if (c.what)
                        result = emit(w, NULL, &c, selection, false);
        }
        return result < 0 ? result : walk_level(w, &level);
}

int layer_walk(const struct layer_walk *order, struct error *err)
{
        struct walk w = {.order = order, .layer = order->layer};
        files_limit(); /* a deep tree costs descriptors */
        int result = 0;
        text_add(&w.path, "/");
        if (order->layer->lost)
                trouble(&w, "a frozen layer that the environment lies over is not there, and what it held is lost",
                        ENOENT);
        for (size_t i = 0; result == 0 && i < order->layer->count; i++)
                result = walk_slot(&w, &order->layer->slots[i]);
        text_clear(&w.path);
        links_clear(&w.links);
        if (result < 0 && !err->code)
                return error_sys(err, -result, "cannot look through the layer");
        return result;
}
