// SPDX-License-Identifier: GPL-3.0-or-later
/* What differs between a file of a layer and the one that it covers: see layer.h. */
#include "layer/layer.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define PIECE ((size_t)256 << 10)

bool time_before(const struct timespec *a, const struct timespec *b)
{
        return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

bool time_equal(const struct timespec *a, const struct timespec *b)
{
        return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Reads until the buffer is full or the file ends. */
static ssize_t read_full(int fd, char *buffer, size_t size, off_t at)
{
        size_t got = 0;
        while (got < size) {
                ssize_t n = pread(fd, buffer + got, size - got, at + (off_t)got);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                got += (size_t)n;
        }
        return (ssize_t)got;
}

int compare_content(int a, int b)
{
        struct stat x, y;
        if (fstat(a, &x) < 0 || fstat(b, &y) < 0)
                return -errno;
        if (x.st_size != y.st_size)
                return 0;
        size_t size = (size_t)x.st_size < PIECE ? (size_t)x.st_size + 1 : PIECE;
        cleanup_free char *one = memory_new(size), *other = memory_new(size);
        for (off_t at = 0;;) {
                ssize_t n = read_full(a, one, size, at), m = n < 0 ? n : read_full(b, other, size, at);
                if (n < 0 || m < 0)
                        return (int)(n < 0 ? n : m);
                if (n != m || memcmp(one, other, (size_t)n) != 0)
                        return 0;
                if ((size_t)n < size)
                        return 1;
                at += n;
        }
}

static int same_content(const struct change *c, const char **which)
{
        if (c->before.size != c->after.size)
                return 0;
        if (!c->before.size)
                return 1;
        /* Without a name the descriptor is the file's own. */
        *which = "inside";
        cleanup_close int own = c->own_name[0] ? files_open_regular(c->own, c->own_name) : dup(c->own);
        if (own < 0)
                return own;
        *which = "outside";
        cleanup_close int base = c->name[0] ? files_open_regular(c->base, c->name) : dup(c->base);
        return base < 0 ? base : compare_content(own, base);
}

static int same_target(const struct change *c)
{
        char a[4097], b[4097];
        ssize_t n = readlinkat(c->own, c->own_name, a, sizeof a), m = readlinkat(c->base, c->name, b, sizeof b);
        if (n < 0 || m < 0)
                return -errno;
        return n == m && memcmp(a, b, (size_t)n) == 0;
}

static unsigned bit_of(const char *name)
{
        if (strncmp(name, "system.posix_acl_", 17) == 0)
                return CHANGE_ACL;
        return strcmp(name, "security.capability") == 0 ? CHANGE_CAPABILITIES : CHANGE_XATTRS;
}

static unsigned differing(const struct xattrs *a, const struct xattrs *b)
{
        unsigned what = 0;
        for (size_t i = 0, j = 0; i < a->count || j < b->count;) {
                int order = i >= a->count ? 1 : j >= b->count ? -1 : strcmp(a->items[i].name, b->items[j].name);
                if (order < 0) {
                        what |= bit_of(a->items[i++].name);
                } else if (order > 0) {
                        what |= bit_of(b->items[j++].name);
                } else {
                        if (a->items[i].size != b->items[j].size ||
                            memcmp(a->items[i].value, b->items[j].value, a->items[i].size) != 0)
                                what |= bit_of(a->items[i].name);
                        i++, j++;
                }
        }
        return what;
}

/* A slot that began with copies: they belong to the invoking user, and have no attributes. */
static bool began_as_copy(const struct change *c)
{
        return c->slot && (c->slot->cover.kind == COVER_ENTRIES || c->slot->cover.kind == COVER_FILE);
}

static int compare_xattrs(const struct layer *layer, const struct change *c, unsigned *what, const char **which)
{
        struct xattrs own, base;
        *which = "inside";
        int result = files_xattrs(c->own, c->own_name, layer->shift, &own);
        if (result < 0 || (!own.count && began_as_copy(c)))
                return result;
        *which = "outside";
        result = files_xattrs(c->base, c->name, 0, &base);
        if (result == 0)
                *what |= differing(&own, &base);
        files_xattrs_clear(&own);
        files_xattrs_clear(&base);
        return result;
}

int compare(const struct layer *layer, const struct change *c, bool times, unsigned *what, const char **which)
{
        *what = 0;
        *which = "inside";
        if (c->after.mode != c->before.mode && c->after.type != META_SYMLINK)
                *what |= CHANGE_MODE;
        /* With one id nothing can be given away, and what others own only looks ours: the top of a slot. */
        if (layer->ids && (c->after.uid != c->before.uid || c->after.gid != c->before.gid))
                *what |= CHANGE_OWNER;
        else if (!layer->ids && !c->top && !began_as_copy(c) && c->after.gid != c->before.gid)
                *what |= CHANGE_OWNER;
        if (times && !time_equal(&c->after.mtime, &c->before.mtime))
                *what |= CHANGE_TIMES;
        int same = 1;
        if (c->after.type == META_REGULAR)
                same = same_content(c, which);
        if (same < 0)
                return same;
        if (!same)
                *what |= CHANGE_CONTENT;
        if (c->after.type == META_SYMLINK)
                same = same_target(c);
        else if (c->after.type == META_DEVICE)
                same = c->after.number == c->before.number && c->after.character == c->before.character;
        else
                same = 1;
        if (same < 0)
                return same;
        if (!same)
                *what |= CHANGE_TARGET;
        return compare_xattrs(layer, c, what, which);
}
