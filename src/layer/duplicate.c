// SPDX-License-Identifier: GPL-3.0-or-later
/* A layer copied: see duplicate.h. */
#include "layer/duplicate.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "layer/commit.h"
#include "layer/links.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct copying {
        struct layer plain;
        int top;           /* of what is made */
        struct text path;  /* below it, of what is being copied */
        struct links links;
        char **what;
};

static int copy_entries(struct copying *c, int from, int to);

/* Another name of what was copied as `path` already. */
static int copy_link(const struct copying *c, const char *path, int to, const char *name)
{
        cleanup_close int at = openat(c->top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cleanup_free char *copy = memory_string(path);
        char *rest = copy, *piece;
        while (at >= 0 && (piece = strsep(&rest, "/")) && rest) {
                int next = files_open_directory(at, piece);
                close(at);
                at = next;
        }
        return at < 0 ? at : !piece || linkat(at, piece, to, name, 0) < 0 ? -errno : 0;
}

/* Marks what was made like `own`, if that was made by copying, with the time when. */
static int copy_mark(int own, const struct meta *meta, int made)
{
        struct timespec since = meta->btime;
        if (made < 0)
                return made;
        int result = files_is_copy(own, "", &since) ? files_set_copy(made, &since) : 0;
        return result == 0 && meta->type == META_DIRECTORY && files_is_opaque(own) ? files_set_opaque(made) : result;
}

static int copy_directory(struct copying *c, int own, const struct meta *meta, int to, const char *name)
{
        const char *why;
        if (mkdirat(to, name, 0700) < 0)
                return -errno;
        cleanup_close int made = files_open_directory(to, name);
        int result = made < 0 ? made : copy_entries(c, own, made);
        if (result == 0)
                result = copy_mark(own, meta, made);
        return result == 0 ? put_meta(&c->plain, own, made, &why) : result;
}

static int copy_entry(struct copying *c, int from, int to, const char *name)
{
        const char *why;
        struct meta meta;
        cleanup_close int own = files_open_any(from, name);
        int result = own < 0 ? own : files_look(own, "", true, &meta);
        if (result < 0)
                return result;
        if (meta.whiteout)
                return files_whiteout(to, name);
        if (meta.type == META_DIRECTORY)
                return copy_directory(c, own, &meta, to, name);
        const struct link_entry *first = meta.links > 1
                                                 ? links_first(&c->links, meta.device, meta.inode, c->path.data, 0)
                                                 : NULL;
        if (first)
                return copy_link(c, first->path, to, name);
        struct into into = {.fd = to, .inherits = true, .share = true};
        result = put(&c->plain, own, &into, name, NULL, NULL, &why);
        if (result < 0 || meta.type != META_REGULAR)
                return result;
        struct timespec since;
        if (!files_is_copy(own, "", &since))
                return 0;
        cleanup_close int made = files_open_regular(to, name);
        return copy_mark(own, &meta, made);
}

static int copy_entries(struct copying *c, int from, int to)
{
        struct names names = {.budget = 1 << 20};
        int result = 0;
        size_t length = c->path.length;
        for (int more; result == 0 && (more = names_next(&names, &from, 1)) != 0;) {
                result = more < 0 ? more : 0;
                for (size_t i = 0; i < names.count && result == 0; i++) {
                        text_addf(&c->path, "%s%s", length ? "/" : "", names.items[i]);
                        result = copy_entry(c, from, to, names.items[i]);
                        if (result < 0 && !*c->what)
                                *c->what = text_escape(c->path.data);
                        c->path.length = length;
                        c->path.data[length] = '\0';
                }
        }
        names_clear(&names);
        return result;
}

int duplicate(int from, int to, char **what)
{
        struct copying c = {.plain.ids = true, .top = to, .what = what, .links.limit = SIZE_MAX};
        struct meta meta;
        const char *why;
        *what = NULL;
        files_limit(); /* a deep tree costs descriptors */
        int result = files_look(from, "", true, &meta);
        if (result == 0)
                result = copy_entries(&c, from, to);
        if (result == 0)
                result = copy_mark(from, &meta, to);
        if (result == 0)
                result = put_meta(&c.plain, from, to, &why);
        text_clear(&c.path);
        links_clear(&c.links);
        return result;
}
