// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Anchors: the places of the main system that the invoking user can write, each of which becomes a private layer.
 *
 * Theory of operation. An ordinary user with one id cannot lay a writable overlay over directories of foreign owners
 * (the kernel refuses to copy up what it cannot chown), and a layer over "/" as a whole cannot stand on the mounts
 * below it. But such a user cannot write most of the system anyway. So the main system is shown read-only, and a layer
 * stands on the topmost directory of each part that the user could write:
 *
 *   - the home directory, $TMPDIR, /tmp, /var/tmp;
 *   - the topmost writable directory above (or at) the working directory;
 *   - the root of every mounted file system, else its entries;
 *   - directories one and two levels below "/".
 *
 * Writable places deeper than that are not searched for, because a start must not walk the system: they are read-only
 * inside (never writable through), and `--private PATH` makes a layer there. Root needs none of this: real root has a
 * layer over every file system, an ordinary user as root one over all (mirror.c).
 */
#include "plan/node.h"

#include "base/cleanup.h"
#include "base/path.h"

#include <string.h>

#define ENTRY_LIMIT 256 /* a directory with more entries is not searched */

/* Below a directory that the environment has a version of its own of (place.c). */
static bool has_place(const struct system *system, const char *path)
{
        if (system->state && path_is_below(path, system->state))
                return true;
        static const char *const places[] = {"/proc", "/sys", "/dev", "/run", NULL};
        for (const char *const *place = places; *place; place++)
                if (path_is_below(path, *place))
                        return true;
        return false;
}

/* On a file system that is not searched: no one's files, or one whose server may be dead, and a start must not wait for
 * it. */
static bool not_searched(const struct system *system, const char *path)
{
        const struct mount *mount = system_mount_of(system, path);
        return has_place(system, path) || (mount && (mount->virtual_ || mount->remote));
}

/* Adds a layer at `path` when it is a directory that the user can write. Returns whether anything below it needs no
 * further search: it has a layer, or a rule that is not ours governs it. */
static bool consider(struct resolver *r, const char *path)
{
        struct node *above = node_governing(r, path);
        if (!path[1])
                return false;
        if (above && above->path[1]) {
                const struct mount *mount = system_mount_of(r->system, path);
                /* Below a layer another file system begins, which the layer cannot cover. */
                if (above->kind != NODE_PRIVATE || !mount || strcmp(mount->path, path) != 0)
                        return true;
        }
        const struct look *look = &r->system->look;
        struct file file;
        /* In this order: few are writable, and it is one question for the others. */
        if (!look->writable(look->context, path) || look->file(look->context, path, &file) < 0 ||
            file.type != FILE_DIRECTORY)
                return false;
        node_add(r, NODE_PRIVATE, path, path, false);
        return true;
}

/* Names directly below "/" that hold nothing of an ordinary user's, or have a place of their own (place.c). */
static bool skipped(const char *name)
{
        static const char *const names[] = {"proc", "sys", "dev",   "run",   "usr",   "bin",        "sbin",
                                            "lib",  "lib32", "lib64", "libx32", "boot", "lost+found", NULL};
        for (const char *const *n = names; *n; n++)
                if (strcmp(*n, name) == 0)
                        return true;
        return false;
}

/* Adds layers at the directories in `path`, which may be searched, and `deeper` at those in them. A start looks at a
 * hundred names here, so that what can be asked once for all of them is. */
static void consider_entries(struct resolver *r, const char *path, bool deeper)
{
        const struct look *look = &r->system->look;
        char **names = NULL;
        int count = (look->directories ? look->directories : look->entries)(look->context, path, ENTRY_LIMIT, &names);
        bool mounts = count > 0 && system_has_mounts_below(r->system, path);
        for (int i = 0; i < count; i++) {
                cleanup_free char *child = path_join(path, names[i]);
                bool top = !path[1];
                if ((top && skipped(names[i])) ||
                    (mounts ? not_searched(r->system, child) : has_place(r->system, child)))
                        ;
                else if (!deeper)
                        (void)(look->writable(look->context, child) && consider(r, child));
                else if (!consider(r, child))
                        consider_entries(r, child, false); /* what is no directory after all has no entries */
                free(names[i]);
        }
        free(names);
}

/* The topmost directory above (or at) `path` from which down all are writable. */
static char *topmost_writable(struct resolver *r, const char *path)
{
        cleanup_free char *best = NULL;
        for (cleanup_free char *p = memory_string(path); p[1];) {
                const struct look *look = &r->system->look;
                struct file file;
                if (!look->writable(look->context, p) || look->file(look->context, p, &file) < 0 ||
                    file.type != FILE_DIRECTORY)
                        break;
                free(best);
                best = memory_string(p);
                char *parent = path_parent(p);
                free(p);
                p = parent;
        }
        return steal_pointer(&best);
}

/* Adds a layer on every directory that one of the environment's slots covers already, so that what a layer holds stays
 * visible whatever the working directory is this time. */
static void keep_slots(struct resolver *r)
{
        for (size_t i = 0; i < r->plan->slots.count; i++) {
                const struct slot *slot = &r->plan->slots.slots[i];
                struct file file;
                if (slot->blank || slot->idle || !slot->path[1] || node_at(r, slot->path))
                        continue;
                struct node *above = node_governing(r, slot->path);
                if (above && above->kind == NODE_PRIVATE &&
                    r->system->look.file(r->system->look.context, slot->path, &file) == 0 &&
                    file.type == FILE_DIRECTORY)
                        node_add(r, NODE_PRIVATE, slot->path, slot->path, false)->listed = true;
        }
}

/* Every file system of the main system, where root's layer has to stand on each. */
static void every_mount(struct resolver *r)
{
        for (size_t i = 0; i < r->system->mount_count; i++) {
                const struct mount *mount = &r->system->mounts[i];
                struct file file;
                if (mount->virtual_ || has_place(r->system, mount->path) || !mount->path[1] || node_at(r, mount->path))
                        continue;
                struct node *above = node_governing(r, mount->path);
                if (!above || above->kind != NODE_PRIVATE || system_mount_of(r->system, mount->path)->virtual_ ||
                    r->system->look.file(r->system->look.context, mount->path, &file) < 0 || file.type == FILE_NONE)
                        continue;
                node_add(r, file.type == FILE_DIRECTORY ? NODE_PRIVATE : NODE_MIRROR, mount->path, mount->path, false);
        }
}

int anchor_nodes(struct resolver *r)
{
        const struct system *system = r->system;
        struct node *root = node_at(r, "/");
        if (r->e->root != ROOT_HOST || !root || root->kind != NODE_PRIVATE)
                return 0;
        if (r->mirror)
                return 0; /* one layer over everything, mounts included */
        if (system->superuser) {
                every_mount(r);
                return 0;
        }
        const char *const known[] = {system->home, system->tmpdir, "/tmp", "/var/tmp"};
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
                if (known[i]) {
                        cleanup_free char *path = walk_inside(r, known[i]);
                        if (!path)
                                return -r->err->code;
                        const struct mount *mount = system_mount_of(system, path);
                        if (!mount || !mount->virtual_)
                                consider(r, path);
                }
        cleanup_free char *top = system->cwd ? topmost_writable(r, system->cwd) : NULL;
        if (top && !(system_mount_of(system, top) && system_mount_of(system, top)->virtual_))
                consider(r, top);
        for (size_t i = 0; i < system->mount_count; i++) {
                const struct mount *mount = &system->mounts[i];
                if (!mount->virtual_ && mount->path[1] && !not_searched(system, mount->path) &&
                    !consider(r, mount->path))
                        consider_entries(r, mount->path, false);
        }
        consider_entries(r, "/", true);
        keep_slots(r);
        return 0;
}
