// SPDX-License-Identifier: GPL-3.0-or-later
/* What a file outside looks like inside: owners, mode, number. */
#include "source.h"

#include <sys/sysmacros.h>

#define NOBODY 65534U
#define SET_IDS (S_ISUID | S_ISGID)

static uint32_t shown_id(const struct grant_range *ranges, uint32_t outside)
{
        for (unsigned i = 0; i < GRANT_RANGES; i++)
                if (outside - ranges[i].outside < ranges[i].count) /* unsigned: below wraps around */
                        return ranges[i].inside + (outside - ranges[i].outside);
        return NOBODY;
}

bool show_owner_outside(const struct grant *g, bool group, uint32_t inside, uint32_t *outside)
{
        const struct grant_range *ranges = group ? g->show.gids : g->show.uids;
        for (unsigned i = 0; i < GRANT_RANGES; i++)
                if (inside - ranges[i].inside < ranges[i].count) {
                        *outside = ranges[i].outside + (inside - ranges[i].inside);
                        return true;
                }
        return false;
}

/* Programs of the outer system do not give away their rights in here. A directory's set-group-id bit gives none. */
static uint32_t shown_mode(const struct grant *g, uint32_t mode)
{
        mode &= ~(uint32_t)(S_ISDIR(mode) ? S_ISUID : SET_IDS);
        if (g->show.flags & GRANT_GROUP)
                mode = (mode & ~077U) | (mode >> 3 & 070);
        if (g->show.flags & GRANT_NOEXEC && S_ISREG(mode))
                mode &= ~0111U;
        return mode;
}

void show_attributes(struct grant *g, const struct statx *st, struct fuse_attr *attr)
{
        bool mapped = g->show.flags & GRANT_MAPPED;
        *attr = (struct fuse_attr){
                .ino = st->stx_ino ^ (uint64_t)device_index(g, makedev(st->stx_dev_major, st->stx_dev_minor)) << 48,
                .size = st->stx_size,
                .blocks = st->stx_blocks,
                .atime = (uint64_t)st->stx_atime.tv_sec,
                .mtime = (uint64_t)st->stx_mtime.tv_sec,
                .ctime = (uint64_t)st->stx_ctime.tv_sec,
                .atimensec = st->stx_atime.tv_nsec,
                .mtimensec = st->stx_mtime.tv_nsec,
                .ctimensec = st->stx_ctime.tv_nsec,
                .mode = shown_mode(g, st->stx_mode),
                .nlink = st->stx_nlink,
                .uid = mapped ? shown_id(g->show.uids, st->stx_uid) : g->show.uid,
                .gid = mapped ? shown_id(g->show.gids, st->stx_gid) : g->show.gid,
                .rdev = (uint32_t)makedev(st->stx_rdev_major, st->stx_rdev_minor),
                .blksize = st->stx_blksize,
        };
}
