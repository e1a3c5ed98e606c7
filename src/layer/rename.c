// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Renames: see rename.h.
 *
 * Theory of operation. Most layers hold many additions and few deletions, or the other way round. So changes are only
 * kept, as small as they can be, while they come; in the end the deleted files are sorted by what a rename keeps, each
 * added one is looked up among them, and only a pair that may be one is opened.
 */
#include "layer/rename.h"

#include "base/cleanup.h"
#include "base/path.h"

#include <stddef.h>
#include <string.h>

#define PIECE ((size_t)256 << 10)
#define TRIES 16 /* empty files of one moment are all alike */

struct rename_held {
        struct rename_held *next;
        const struct rename_held *partner; /* of an added file: the deleted one that it was */
        size_t number;                     /* in the order in which they came */
        const char *path, *link;
        bool taken;                        /* a deleted file that is told as part of a rename */
        struct change change; /* without `before` (its last member) where that is nothing; strings behind it */
};

struct rename_piece {
        struct rename_piece *next;
        size_t size, used;
        _Alignas(struct rename_held) char room[];
};

static size_t kept_size(const struct change *c)
{
        return c->kind == CHANGE_ADDED ? offsetof(struct change, before) : sizeof *c;
}

static struct change change_of(const struct rename_held *h)
{
        struct change c = {0};
        memcpy(&c, &h->change, kept_size(&h->change));
        c.path = h->path;
        c.link = h->link;
        c.name = c.own_name = path_name(h->path);
        return c;
}

static char *reserve(struct rename_filter *f, size_t size)
{
        size = (size + _Alignof(struct rename_held) - 1) / _Alignof(struct rename_held) * _Alignof(struct rename_held);
        if (!f->pieces || f->pieces->size - f->pieces->used < size) {
                size_t room = size > PIECE ? size : PIECE; /* a path may be of any length */
                struct rename_piece *piece = memory_grow(NULL, 1, sizeof *piece + room);
                *piece = (struct rename_piece){.next = f->pieces, .size = room};
                f->pieces = piece;
        }
        f->pieces->used += size;
        return f->pieces->room + f->pieces->used - size;
}

static void hold(struct rename_filter *f, const struct change *c)
{
        size_t kept = kept_size(c), path = strlen(c->path) + 1, link = c->link ? strlen(c->link) + 1 : 0;
        char *room = reserve(f, offsetof(struct rename_held, change) + kept + path + link);
        char *strings = room + offsetof(struct rename_held, change) + kept;
        struct rename_held *h = (void *)room;
        h->next = NULL;
        h->partner = NULL;
        h->number = f->count++;
        h->path = memcpy(strings, c->path, path);
        h->link = link ? memcpy(strings + path, c->link, link) : NULL;
        h->taken = false;
        memcpy(&h->change, c, kept);
        /* Both are opened again by name where they are needed: thousands of directories cannot stay open. */
        h->change.own = h->change.base = -1;
        *(f->last ? &f->last->next : &f->first) = h;
        f->last = h;
        if (c->kind == CHANGE_DELETED && c->before.type == META_REGULAR)
                *vector_add(f->gone, f->gone_count, f->gone_capacity) = h;
}

/* By what a rename keeps. */
static int compare_kept(const struct meta *m, const struct meta *n)
{
        if (m->size != n->size)
                return m->size < n->size ? -1 : 1;
        if (m->mode != n->mode)
                return m->mode < n->mode ? -1 : 1;
        return time_before(&m->mtime, &n->mtime) ? -1 : time_before(&n->mtime, &m->mtime);
}

static int by_kept(const void *a, const void *b)
{
        const struct rename_held *x = *(struct rename_held *const *)a, *y = *(struct rename_held *const *)b;
        int order = compare_kept(&x->change.before, &y->change.before);
        return order ? order : x->number < y->number ? -1 : 1;
}

/* Where the deleted files begin that `added` may have been. */
static size_t first_like(const struct rename_filter *f, const struct meta *added)
{
        size_t low = 0, high = f->gone_count;
        while (low < high) {
                size_t middle = low + (high - low) / 2;
                if (compare_kept(&f->gone[middle]->change.before, added) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static void find_partner(const struct rename_filter *f, struct rename_held *added)
{
        const struct change *c = &added->change;
        if (c->kind != CHANGE_ADDED || c->after.type != META_REGULAR || added->link || c->passage ||
            c->slot->cover.kind != COVER_CHANGES)
                return;
        cleanup_close int own = -1;
        size_t tried = 0;
        for (size_t i = first_like(f, &c->after); i < f->gone_count && tried < TRIES; i++) {
                struct rename_held *gone = f->gone[i];
                if (compare_kept(&gone->change.before, &c->after) != 0)
                        return;
                if (gone->taken)
                        continue;
                if (own < 0) {
                        own = change_open(c->slot, added->path, true);
                        if (own < 0 || !files_is_copy(own, "", NULL))
                                return;
                }
                cleanup_close int base = change_open(gone->change.slot, gone->path, false);
                if (base >= 0 && compare_content(own, base) == 1) {
                        added->partner = gone;
                        gone->taken = true;
                        return;
                }
                tried++;
        }
}

static void match(struct rename_filter *f)
{
        if (!f->gone_count)
                return;
        qsort(f->gone, f->gone_count, sizeof *f->gone, by_kept);
        for (struct rename_held *h = f->first; h; h = h->next)
                find_partner(f, h);
}

static int release(struct rename_filter *f)
{
        int result = 0;
        for (const struct rename_held *h = f->first; h && result == 0; h = h->next) {
                struct change c = change_of(h);
                if (h->partner) {
                        c.kind = CHANGE_RENAMED;
                        c.from = h->partner->path;
                        c.before = h->partner->change.before;
                }
                if (!h->taken)
                        result = f->visit(f->context, &c);
        }
        return result;
}

static void drop(struct rename_filter *f)
{
        while (f->pieces) {
                struct rename_piece *next = f->pieces->next;
                free(f->pieces);
                f->pieces = next;
        }
        f->first = f->last = NULL;
        f->count = f->gone_count = 0;
}

int rename_visit(void *filter, const struct change *c)
{
        struct rename_filter *f = filter;
        if (f->passing)
                return f->visit(f->context, c);
        hold(f, c);
        if (f->count < RENAME_LIMIT)
                return 0;
        f->passing = true;
        match(f); /* what was seen so far may still be paired */
        int result = release(f);
        drop(f);
        return result;
}

int rename_finish(struct rename_filter *f)
{
        if (!f->passing)
                match(f);
        int result = release(f);
        drop(f);
        return result;
}

void rename_clear(struct rename_filter *f)
{
        drop(f);
        free(f->gone);
        *f = (struct rename_filter){0};
}
