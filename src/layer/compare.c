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

/* Reads exactly so much: 1; 0 when the file has become shorter. */
static int read_full(int fd, char *buffer, size_t size, off_t at)
{
        while (size) {
                ssize_t n = pread(fd, buffer, size, at);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : 0;
                buffer += n;
                size -= (size_t)n;
                at += n;
        }
        return 1;
}

static int compare_pieces(int a, int b, uint64_t size)
{
        size_t piece = size < PIECE ? (size_t)size : PIECE;
        cleanup_free char *one = memory_grow(NULL, 2, piece);
        char *other = one + piece;
        for (uint64_t at = 0; at < size; at += piece) {
                size_t n = size - at < piece ? (size_t)(size - at) : piece;
                int result = read_full(a, one, n, (off_t)at);
                if (result == 1)
                        result = read_full(b, other, n, (off_t)at);
                if (result != 1 || memcmp(one, other, n) != 0)
                        return result < 0 ? result : 0;
        }
        return 1;
}

int compare_content(int a, int b)
{
        struct stat x, y;
        if (fstat(a, &x) < 0 || fstat(b, &y) < 0)
                return -errno;
        return x.st_size == y.st_size ? compare_pieces(a, b, (uint64_t)x.st_size) : 0;
}

/* Both sides of a change, opened while they are compared. */
struct sides {
        int own, base; /* -1: not */
};

/* Without a name the descriptor is the file's own. */
static int open_side(int dir, const char *name)
{
        int fd = name[0] ? files_open_regular(dir, name) : fcntl(dir, F_DUPFD_CLOEXEC, 0);
        return fd < 0 && !name[0] ? -errno : fd;
}

static int same_content(const struct change *c, struct sides *s, const char **which)
{
        if (c->before.size != c->after.size)
                return 0;
        if (!c->before.size)
                return 1;
        *which = "inside";
        s->own = open_side(c->own, c->own_name);
        if (s->own < 0)
                return s->own;
        *which = "outside";
        s->base = open_side(c->base, c->name);
        return s->base < 0 ? s->base : compare_pieces(s->own, s->base, c->before.size);
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

/* What is open is asked by its descriptor: that saves looking up the name. */
static int xattrs_of(int fd, int dir, const char *name, unsigned shift, struct xattrs *list)
{
        return fd >= 0 ? files_xattrs(fd, "", shift, list) : files_xattrs(dir, name, shift, list);
}

static int compare_xattrs(const struct layer *layer, const struct change *c, const struct sides *s, unsigned *what,
                          const char **which)
{
        struct xattrs own, base;
        *which = "inside";
        int result = xattrs_of(s->own, c->own, c->own_name, layer->shift, &own);
        if (result < 0 || (!own.count && began_as_copy(c)))
                return result;
        *which = "outside";
        result = xattrs_of(s->base, c->base, c->name, 0, &base);
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
        struct sides sides = {-1, -1};
        int result = 1;
        if (c->after.type == META_REGULAR)
                result = same_content(c, &sides, which);
        if (result == 0)
                *what |= CHANGE_CONTENT;
        if (c->after.type == META_SYMLINK)
                result = same_target(c);
        else if (c->after.type == META_DEVICE)
                result = c->after.number == c->before.number && c->after.character == c->before.character;
        if (result == 0 && c->after.type != META_REGULAR)
                *what |= CHANGE_TARGET;
        if (result >= 0)
                result = compare_xattrs(layer, c, &sides, what, which);
        if (sides.own >= 0)
                close(sides.own);
        if (sides.base >= 0)
                close(sides.base);
        return result;
}
