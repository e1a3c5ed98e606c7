// SPDX-License-Identifier: GPL-3.0-or-later
/* Names that fall together: see fold.h. */
#include "layer/fold.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"

#include <limits.h>
#include <locale.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

/* The name with all letters small. Bytes that are no UTF-8 stay. Fresh memory. */
static char *fold(const char *path)
{
        locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0), before = utf8 ? uselocale(utf8) : (locale_t)0;
        cleanup_text struct text t = {0};
        mbstate_t in = {0}, out = {0};
        for (const char *at = path, *end = path + strlen(path); at < end;) {
                wchar_t c;
                char bytes[MB_LEN_MAX];
                size_t n = mbrtowc(&c, at, (size_t)(end - at), &in);
                size_t m = n && n <= (size_t)(end - at) ? wcrtomb(bytes, (wchar_t)towlower(towupper((wint_t)c)), &out)
                                                        : (size_t)-1;
                if (m == (size_t)-1) {
                        in = out = (mbstate_t){0};
                        bytes[0] = *at;
                        n = m = 1;
                }
                text_add_bytes(&t, bytes, m);
                at += n;
        }
        if (utf8) {
                uselocale(before);
                freelocale(utf8);
        }
        return memory_string(t.data ? t.data : "");
}

static struct folds_entry *entry_of(const struct folds *f, const char *key)
{
        uint64_t hash = 14695981039346656037u;
        for (const char *p = key; *p; p++)
                hash = (hash ^ (unsigned char)*p) * 1099511628211u;
        size_t at = (size_t)(hash >> 16) & (f->capacity - 1);
        while (f->entries[at].key && strcmp(f->entries[at].key, key) != 0)
                at = (at + 1) & (f->capacity - 1);
        return &f->entries[at];
}

const char *folds_take(struct folds *f, const char *path)
{
        if (f->count * 2 >= f->capacity) {
                struct folds bigger = *f;
                bigger.capacity = f->capacity ? f->capacity * 2 : 64;
                bigger.entries = memory_new(bigger.capacity * sizeof *bigger.entries);
                for (size_t i = 0; i < f->capacity; i++)
                        if (f->entries[i].key)
                                *entry_of(&bigger, f->entries[i].key) = f->entries[i];
                free(f->entries);
                *f = bigger;
        }
        cleanup_free char *key = fold(path);
        struct folds_entry *e = entry_of(f, key);
        if (e->key)
                return strcmp(e->path, path) == 0 ? NULL : e->path;
        *e = (struct folds_entry){.key = steal_pointer(&key), .path = memory_string(path)};
        f->count++;
        return NULL;
}

/* Looks at the directory that `target` is in, or will be: a new one is as the one that it is made in. */
static void look_above(struct folds *f, const char *target)
{
        cleanup_free char *above = path_parent(target);
        if (f->above && strcmp(f->above, above) == 0)
                return;
        if (f->opened)
                close(f->fd);
        free(f->above);
        f->fd = files_open_root(above);
        f->opened = f->fd >= 0;
        f->folding = f->opened && files_folds(f->fd);
        f->above = memory_string(above);
        for (cleanup_free char *at = memory_string(above); !f->opened && !f->folding && at[1];) {
                char *next = path_parent(at);
                free(at);
                at = next;
                cleanup_close int fd = files_open_root(at);
                if (fd >= 0) {
                        f->folding = files_folds(fd);
                        break;
                }
        }
}

struct spelling {
        const char *name;
        bool found;
};

static void compare_spelling(void *context, const char *name)
{
        struct spelling *s = context;
        s->found |= strcmp(s->name, name) == 0;
}

char *folds_refuse(struct folds *f, const struct change *change, const char *target)
{
        if (!target || change->top || !target[1])
                return NULL;
        look_above(f, target);
        if (!f->folding)
                return NULL;
        struct meta now;
        struct spelling s = {.name = path_name(target)};
        if (f->opened && files_look(f->fd, s.name, false, &now) == 0 && now.type != META_NONE) {
                files_names(f->fd, compare_spelling, &s);
                if (!s.found)
                        return memory_string("outside, where upper and lower case are one, its name is written otherwise");
        }
        const char *other = change->kind == CHANGE_DELETED ? NULL : folds_take(f, target);
        cleanup_free char *shown = other ? text_escape(other) : NULL;
        return other ? memory_format("outside, where upper and lower case are one, it falls together with %s", shown) : NULL;
}

void folds_clear(struct folds *f)
{
        for (size_t i = 0; i < f->capacity; i++) {
                free(f->entries[i].key);
                free(f->entries[i].path);
        }
        free(f->entries);
        free(f->above);
        if (f->opened)
                close(f->fd);
        *f = (struct folds){0};
}
