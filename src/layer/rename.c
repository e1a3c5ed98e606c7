// SPDX-License-Identifier: GPL-3.0-or-later
/* Renames: see rename.h. */
#include "layer/rename.h"

#include "base/cleanup.h"

#include <string.h>

struct rename_held {
        struct change change;
        char *path, *link, *name;
        struct rename_held *partner; /* of an added file: the deleted one that it was */
        bool taken;                  /* a deleted file that is told as part of a rename */
};

static void hold(struct rename_filter *f, const struct change *c)
{
        struct rename_held *h = vector_add(f->held, f->count, f->capacity);
        h->change = *c;
        h->path = memory_string(c->path);
        h->link = c->link ? memory_string(c->link) : NULL;
        h->name = memory_string(c->name);
        /* Both are opened again by name where they are needed: thousands of directories cannot stay open. */
        h->change.own = h->change.base = -1;
}

/* Candidates by what a rename keeps. */
static int by_kept(const void *a, const void *b)
{
        const struct rename_held *x = *(struct rename_held *const *)a, *y = *(struct rename_held *const *)b;
        const struct meta *m = x->change.kind == CHANGE_ADDED ? &x->change.after : &x->change.before;
        const struct meta *n = y->change.kind == CHANGE_ADDED ? &y->change.after : &y->change.before;
        if (m->size != n->size)
                return m->size < n->size ? -1 : 1;
        if (m->mode != n->mode)
                return m->mode < n->mode ? -1 : 1;
        return time_before(&m->mtime, &n->mtime) ? -1 : time_before(&n->mtime, &m->mtime);
}

static bool is_same(const struct rename_held *added, const struct rename_held *deleted)
{
        cleanup_close int a = change_open(added->change.slot, added->path, true);
        cleanup_close int b = a < 0 ? -1 : change_open(deleted->change.slot, deleted->path, false);
        return a >= 0 && b >= 0 && compare_content(a, b) == 1;
}

static void match(struct rename_filter *f)
{
        size_t count = 0;
        cleanup_free struct rename_held **list = memory_grow(NULL, f->count + 1, sizeof *list);
        for (size_t i = 0; i < f->count; i++) {
                const struct change *c = &f->held[i].change;
                bool new = c->kind == CHANGE_ADDED && c->copy && !c->link && !c->passage && c->after.type == META_REGULAR;
                bool gone = c->kind == CHANGE_DELETED && c->before.type == META_REGULAR;
                if (new || gone)
                        list[count++] = &f->held[i];
        }
        qsort(list, count, sizeof *list, by_kept);
        for (size_t i = 0; i < count;) {
                size_t end = i + 1;
                while (end < count && by_kept(&list[i], &list[end]) == 0)
                        end++;
                /* A group of equals is small, but for empty files of one moment: those are looked at a few times each. */
                for (size_t a = i; a < end; a++)
                        for (size_t d = i, tried = 0; list[a]->change.kind == CHANGE_ADDED && d < end && tried < 16; d++)
                                if (list[d]->change.kind == CHANGE_DELETED && !list[d]->taken && ++tried &&
                                    is_same(list[a], list[d])) {
                                        list[a]->partner = list[d];
                                        list[d]->taken = true;
                                        break;
                                }
                i = end;
        }
}

static int release(struct rename_filter *f)
{
        int result = 0;
        for (size_t i = 0; i < f->count && result == 0; i++) {
                struct rename_held *h = &f->held[i];
                struct change c = h->change;
                c.path = h->path;
                c.link = h->link;
                c.name = c.own_name = h->name;
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
        while (f->count) {
                struct rename_held *h = &f->held[--f->count];
                free(h->path);
                free(h->link);
                free(h->name);
        }
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
        free(f->held);
        *f = (struct rename_filter){0};
}
