// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Names to stand on: a mount needs a name of the right type under it, and a hidden name must go.
 *
 * Theory of operation. Where the governing node is a layer, a small lower directory of ours lies between the layer and
 * what shows through, and holds the missing names (or whiteouts): the outside is not touched and the layer is not
 * polluted. Where the main system shows through without a layer, the deepest existing directory gets such a layer,
 * without a writable part (AUGMENT). An ordinary user cannot lay one over a directory below which mounts lie; there the
 * directory is rebuilt entry by entry (REBUILD), and what is added outside to that one directory later does not appear
 * inside. In a tree that is shared for writing a name cannot be made without making it outside: that is an error.
 */
#include "plan/node.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"

#include <string.h>

#define REBUILD_LIMIT 4096 /* entries of a directory that is rebuilt */

static struct file look(struct resolver *r, const char *path)
{
        struct file file = {.type = FILE_NONE};
        cleanup_free char *outer = node_outer(r, path);
        if (outer)
                r->system->look.file(r->system->look.context, outer, &file);
        return file;
}

/* Adds the names from `node` down to `path` to what `node` makes of its own. */
static void name_down_to(struct resolver *r, struct node *node, const char *path, enum name_kind kind, unsigned mode)
{
        size_t skip = node->path[1] ? strlen(node->path) + 1 : 1;
        cleanup_free char *partial = memory_string(path);
        for (char *slash = partial + skip; (slash = strchr(slash, '/')); slash++) {
                *slash = '\0';
                struct file file = look(r, partial);
                node_name(node, NAME_DIRECTORY, partial + skip, file.type == FILE_DIRECTORY ? file.mode : 0755, NULL);
                *slash = '/';
        }
        node_name(node, kind, path + skip, mode, NULL);
}

static bool holds_names(const struct resolver *r, const struct node *node)
{
        switch (node->kind) {
        case NODE_PRIVATE:
                return node->path[1] || r->whole || r->e->root != ROOT_HOST;
        case NODE_EMPTY: case NODE_UNION: case NODE_FROM: case NODE_AUGMENT: case NODE_REBUILD: case NODE_SPLIT:
        case NODE_RUNTIME: case NODE_HIDE: case NODE_INNER:
                return true;
        default:
                return false;
        }
}

static bool is_directory_node(const struct node *node)
{
        switch (node->kind) {
        case NODE_SEAL:
                return false;
        case NODE_PRIVATE: case NODE_MIRROR: case NODE_SHARE: case NODE_FROM: case NODE_EMPTY:
                return node->file.type == FILE_DIRECTORY || node->file.type == FILE_NONE;
        default:
                return true;
        }
}

/* The entries of a rebuilt or split directory that have no node yet: each gets one (or a link, or a copy). */
static int fill_rebuilt(struct resolver *r, const char *path)
{
        const struct look *l = &r->system->look;
        cleanup_free char *source = memory_string(node_at(r, path)->sources[0]);
        bool splitting = node_at(r, path)->kind == NODE_SPLIT;
        char **names = NULL;
        int count = l->entries(l->context, source, REBUILD_LIMIT, &names);
        if (count < 0) {
                error_sys(r->err, -count, "%s", path);
                error_remedy(r->err,
                             "mounts lie below it, so that it has to be rebuilt entry by entry; give rules to the "
                             "directories below it instead");
                return count;
        }
        for (int i = 0; i < count; i++) {
                cleanup_free char *outer = path_join(source, names[i]), *inside = path_join(path, names[i]);
                struct file file = {.type = FILE_NONE};
                const struct mount *mount = system_mount_of(r->system, outer);
                bool foreign = mount && (mount->virtual_ || mount->remote) && strcmp(mount->path, outer) == 0;
                if (!node_at(r, inside)) {
                        l->file(l->context, outer, &file);
                        if (file.type == FILE_SYMLINK) {
                                cleanup_free char *target = l->link(l->context, outer);
                                if (target && !splitting)
                                        node_name(node_at(r, path), NAME_SYMLINK, names[i], 0777, target);
                        } else if (file.type == FILE_DIRECTORY) {
                                node_add(r, splitting && !foreign ? NODE_PRIVATE : NODE_MIRROR, inside, outer, false)->listed =
                                        true;
                        } else if (file.type == FILE_REGULAR && !splitting) {
                                node_add(r, NODE_MIRROR, inside, outer, false)->listed = true;
                        }
                }
                free(names[i]);
        }
        free(names);
        /* Entries that have a rule may have looked for their name before this directory was opened. */
        for (size_t n = 0; n < r->count; n++) {
                const struct node *child = &r->nodes[n];
                cleanup_free char *parent = path_parent(child->path);
                if (child->path[1] && strcmp(parent, path) == 0 && child->kind != NODE_HIDE)
                        node_name(node_at(r, path), is_directory_node(child) ? NAME_DIRECTORY : NAME_FILE,
                                  path_name(child->path), 0755, NULL);
        }
        return 0;
}

/* Opens the directory `path`, which shows through, so that names can be added or hidden in it. */
static int open_directory(struct resolver *r, const char *path)
{
        struct node *node = node_governing(r, path);
        cleanup_free char *outer = node_outer(r, path);
        bool rebuild = system_has_mounts_below(r->system, outer) && !r->whole;
        enum node_kind kind = rebuild ? NODE_REBUILD : NODE_AUGMENT;
        if (strcmp(node->path, path) == 0)
                node->kind = kind;
        else
                node = node_add(r, kind, path, outer, false);
        node->done = strcmp(node->path, "/") == 0;
        if (!node->why)
                node->why = memory_string("names are added or hidden in it");
        return rebuild ? fill_rebuilt(r, path) : 0;
}

static int hide(struct resolver *r, const char *path)
{
        if (mirror_withholds(r, path))
                return 0;
        struct file file = look(r, path); /* governed by the node itself: has no source, so look above */
        cleanup_free char *parent = path_parent(path);
        struct node *above = node_governing(r, parent);
        cleanup_free char *parent_outer = node_outer(r, parent), *outer = NULL;
        if (parent_outer)
                outer = path_join(parent_outer, path_name(path));
        if (outer)
                r->system->look.file(r->system->look.context, outer, &file);
        if (file.type == FILE_NONE || !above)
                return 0;
        if (above->kind == NODE_SPLIT && file.type == FILE_DIRECTORY)
                return 0; /* it is not built */
        if (above->kind == NODE_SHARE || above->kind == NODE_SPLIT) {
                struct node *node = node_at(r, path);
                node->kind = NODE_SEAL;
                node->file = file;
                node->why = memory_string(above->kind == NODE_SHARE
                                                  ? "hidden in a shared tree: the name stays, closed and empty"
                                                  : "hidden beside mounts: the name stays, closed and empty");
                return 0;
        }
        if (!holds_names(r, above)) {
                int result = open_directory(r, parent);
                return result < 0 ? result : hide(r, path); /* another node may govern now */
        }
        if (above->kind == NODE_REBUILD || above->kind == NODE_EMPTY || above->kind == NODE_HIDE ||
            above->kind == NODE_RUNTIME)
                return 0; /* what is not built is not there */
        name_down_to(r, above, path, NAME_WHITEOUT, 0);
        return 0;
}

/* The first name between the node and `path` that is there and no directory, fresh memory; NULL: there is none. */
static char *below_a_file(struct resolver *r, const struct node *above, const char *path)
{
        cleanup_free char *partial = memory_string(path);
        for (char *slash = partial + (above->path[1] ? strlen(above->path) + 1 : 1); (slash = strchr(slash, '/'));
             slash++) {
                *slash = '\0';
                struct file file = look(r, partial);
                if (file.type != FILE_NONE && file.type != FILE_DIRECTORY)
                        return steal_pointer(&partial);
                *slash = '/';
        }
        return NULL;
}

static int stand(struct resolver *r, const char *path)
{
        struct node *node = node_at(r, path);
        if (!path[1])
                return 0;
        cleanup_free char *parent = path_parent(path);
        bool directory = is_directory_node(node);
        struct node *above = node_governing(r, parent);
        cleanup_free char *parent_outer = above ? node_outer(r, parent) : NULL;
        struct file file = {.type = FILE_NONE};
        /* What stands at the name itself, seen through the node above. */
        if (parent_outer && above->kind != NODE_REBUILD) {
                cleanup_free char *outer = NULL;
                for (size_t s = 0; s < above->source_count && file.type == FILE_NONE; s++) {
                        free(outer);
                        outer = memory_format("%s%s", above->sources[s][1] ? above->sources[s] : "",
                                              path + (above->path[1] ? strlen(above->path) : 0));
                        r->system->look.file(r->system->look.context, outer, &file);
                }
        }
        if (file.type != FILE_NONE && (file.type == FILE_DIRECTORY) == directory)
                return 0;
        if (!above)
                return error_set(r->err, ENOENT, "%s: nothing above it", path);
        cleanup_free char *blocked = below_a_file(r, above, path);
        if (blocked) {
                cleanup_free char *shown = text_escape(path), *what = text_escape(blocked);
                return error_set(r->err, ENOTDIR, "rule on %s: %s is not a directory", shown, what);
        }
        if (above->kind == NODE_SHARE) {
                cleanup_free char *shown = text_escape(path), *top = text_escape(above->path);
                error_set(r->err, ENOENT,
                          "rule on %s: %s, and %s is shared for writing, so that making it would change the "
                          "main system",
                          shown,
                          file.type == FILE_NONE ? "there is no such name outside" : "it is of another type outside",
                          top);
                return error_remedy(r->err, "make it outside first, or make %s private", top);
        }
        if (!holds_names(r, above)) {
                if (above->kind == NODE_DEVICES || above->kind == NODE_PROC || above->kind == NODE_SEAL) {
                        cleanup_free char *shown = text_escape(path);
                        return error_set(r->err, ENOENT, "rule on %s: there is no such name", shown);
                }
                /* The deepest directory that shows through is the one to open. */
                cleanup_free char *deepest = memory_string(parent);
                while (strcmp(deepest, above->path) != 0 && look(r, deepest).type != FILE_DIRECTORY) {
                        char *up = path_parent(deepest);
                        free(deepest);
                        deepest = up;
                }
                if (look(r, deepest).type != FILE_DIRECTORY) {
                        cleanup_free char *shown = text_escape(path), *top = text_escape(deepest);
                        return error_set(r->err, ENOTDIR, "rule on %s: %s is not a directory", shown, top);
                }
                int result = open_directory(r, deepest);
                return result < 0 ? result : stand(r, path); /* another node may govern now */
        }
        name_down_to(r, above, path, directory ? NAME_DIRECTORY : NAME_FILE, directory ? 0755 : 0644);
        return 0;
}

/* Private directories below which mounts lie, for a user who cannot lay a layer over them. */
static int split(struct resolver *r, struct node *node)
{
        bool layered = node->kind == NODE_PRIVATE || node->kind == NODE_FROM;
        bool in_place = !node->path[1] && r->e->root == ROOT_HOST && node->kind == NODE_PRIVATE;
        if (!layered || in_place || r->whole || node->file.type != FILE_DIRECTORY ||
            !system_has_mounts_below(r->system, node->sources[0]))
                return 0;
        node->kind = NODE_SPLIT;
        free(node->why);
        node->why = memory_string("mounts lie below it: private entry by entry");
        cleanup_free char *path = memory_string(node->path);
        return fill_rebuilt(r, path);
}

/* One node: its kind settled, its name made or taken away. */
static int settle(struct resolver *r, size_t at)
{
        cleanup_free char *path = memory_string(r->nodes[at].path);
        r->nodes[at].done = true;
        int result = split(r, &r->nodes[at]);
        if (result < 0)
                return result;
        const struct node *node = node_at(r, path);
        if (node->kind == NODE_EMPTY && node->file.type == FILE_DIRECTORY)
                mirror_withholds(r, path);
        if (node->kind != NODE_HIDE)
                return stand(r, path);
        /* A hidden directory in which something else is to appear must be there after all, with nothing else in it. */
        bool covers = false;
        for (const struct node *n = node + 1; n < r->nodes + r->count && path_is_below(n->path, path); n++)
                covers |= n->kind != NODE_HIDE;
        return covers ? stand(r, path) : hide(r, path);
}

int mountpoint_nodes(struct resolver *r)
{
        /* Nodes may be added before and behind the one at work, so each is marked when done, and the search starts
         * over. A node is only ever added for an entry of a directory that was opened, and each is opened once, so this
         * ends. */
        for (size_t i = 0; i < r->count;) {
                if (r->nodes[i].done) {
                        i++;
                        continue;
                }
                size_t before = r->count;
                int result = settle(r, i);
                if (result < 0)
                        return result;
                i = r->count == before ? i + 1 : 0;
        }
        return 0;
}
