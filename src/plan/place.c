// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The places that every environment has: its own /proc and /dev, a /run of its own, closed sockets, and the cover over
 * paddock's own state.
 *
 * Theory of operation of "no session service outside can be reached". A UNIX socket is reached through its name. Names
 * in a private layer are the layer's: connecting to one that was there before is refused by the kernel, since nobody
 * listens on the layer's copy. So sockets wherever the user can write (home, /tmp) are dead already; /run is a fresh
 * one. What is left are sockets in read-only parts of the system, which its own daemons made (/var/lib/...): those that
 * listen when the environment starts are each covered. One that a daemon makes there later is not, which is why this is
 * no boundary against hostile programs (doc/architecture.md, "redirect and confinement").
 */
#include "plan/node.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"

#include <string.h>

static bool is_directory(const struct system *system, const char *path)
{
        struct file file;
        return system->look.file(system->look.context, path, &file) == 0 && file.type == FILE_DIRECTORY;
}

/* What programs read in /run, and whose loss would break name resolution, hardware listing or whole distributions: the
 * first three hold resolv.conf, the rest is udev's database and the system links of NixOS. */
static const char *const run_entries[] = {"/run/systemd/resolve",  "/run/resolvconf",      "/run/NetworkManager",
                                          "/run/udev",             "/run/current-system",  "/run/booted-system",
                                          "/run/wrappers",         "/run/opengl-driver",   NULL};

static void runtime_nodes(struct resolver *r)
{
        if (r->e->root == ROOT_HOST && !is_directory(r->system, "/run"))
                return;
        if (node_at(r, "/run"))
                return;
        const struct node *root = node_at(r, "/");
        if (root && (root->kind == NODE_SHARE || root->kind == NODE_MIRROR) && root->asked)
                return; /* they asked for all of it */
        struct node *run = node_add(r, NODE_RUNTIME, "/run", NULL, false);
        run->why = memory_string("its own: sockets of the main system are not there");
        node_name(run, NAME_DIRECTORY, "lock", 01777, NULL);
        node_name(run, NAME_DIRECTORY, "user", 0755, NULL);
        if (r->mirror || r->system->superuser)
                node_name(run, NAME_FILE, "utmp", 0664, NULL);
        if (r->system->runtime && strncmp(r->system->runtime, "/run/", 5) == 0) {
                cleanup_free char *user = memory_string(r->system->runtime + 5);
                for (char *slash = user; (slash = strchr(slash + 1, '/'));) {
                        *slash = '\0';
                        node_name(run, NAME_DIRECTORY, user, 0755, NULL);
                        *slash = '/';
                }
                node_name(run, NAME_DIRECTORY, user, 0700, NULL);
        }
        for (const char *const *entry = run_entries; r->e->root == ROOT_HOST && *entry; entry++) {
                struct file file;
                if (node_at(r, *entry) || r->system->look.file(r->system->look.context, *entry, &file) < 0)
                        continue;
                /* An overlay without a layer shows the files and severs the sockets. */
                if (file.type == FILE_DIRECTORY && r->mirror) /* which severs them too */
                        node_add(r, NODE_MIRROR, *entry, *entry, false);
                else if (file.type == FILE_DIRECTORY && !system_has_mounts_below(r->system, *entry))
                        node_add(r, NODE_AUGMENT, *entry, *entry, false);
                else if (file.type == FILE_SYMLINK) {
                        cleanup_free char *target = r->system->look.link(r->system->look.context, *entry);
                        if (target)
                                node_name(node_at(r, "/run"), NAME_SYMLINK, *entry + 5, 0777, target);
                }
        }
}

/* `--session`: the sockets of the user's session, as they are. */
static void session_nodes(struct resolver *r)
{
        const char *agent = getenv("SSH_AUTH_SOCK");
        const char *const shared[] = {r->system->runtime, "/tmp/.X11-unix", "/run/dbus", agent};
        for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
                cleanup_error struct error missing = ERROR_INIT; /* what is not there is not shared */
                cleanup_free char *path = shared[i] ? walk_outside(r->system, shared[i], &missing) : NULL;
                struct file file;
                if (path && !node_at(r, path) && r->system->look.file(r->system->look.context, path, &file) == 0 &&
                    file.type != FILE_NONE)
                        node_add(r, NODE_SHARE, path, path, false);
        }
}

/* Could sockets of the main system be reached through `node`? */
static bool shows_sockets(const struct resolver *r, const struct node *node)
{
        return node && !r->mirror /* nobody listens on the mirror's */ &&
               (node->kind == NODE_MIRROR || (node->kind == NODE_PRIVATE && !node->path[1] && !r->system->superuser));
}

static void seal_sockets(struct resolver *r)
{
        const struct look *look = &r->system->look;
        bool any = false;
        for (size_t i = 0; i < r->count; i++)
                any |= shows_sockets(r, &r->nodes[i]);
        char **sockets = NULL;
        int count = any && look->sockets ? look->sockets(look->context, &sockets) : 0;
        for (int i = 0; i < count; i++) {
                cleanup_error struct error gone = ERROR_INIT; /* a name that leads nowhere needs no cover */
                cleanup_free char *path = walk_outside(r->system, sockets[i], &gone);
                struct node *node = path ? node_governing(r, path) : NULL;
                free(sockets[i]);
                if (!shows_sockets(r, node) || (strcmp(node->path, path) == 0 && node->asked))
                        continue;
                struct node *seal = node_add(r, NODE_SEAL, path, path, false);
                seal->why = memory_string("a socket of the main system");
        }
        free(sockets);
}

/* In a shared tree a directory above the state could be renamed, and the state with it. The kernel does not rename what
 * carries a mount, so each directory between gets one, of itself. */
static void hold_in_place(struct resolver *r, const char *top, const char *state)
{
        cleanup_free char *share = memory_string(top), *path = path_parent(state);
        while (strlen(path) > strlen(share)) {
                cleanup_free char *outer = node_outer(r, path);
                if (outer && !node_at(r, path))
                        node_add(r, NODE_SHARE, path, outer, false)->why = memory_string(
                                "cannot be renamed from inside");
                char *parent = path_parent(path);
                free(path);
                path = parent;
        }
}

/* Covers paddock's state wherever it shows through, also under other names that the same files have in the main system
 * (bind mounts). `inside` is a canonical name there, `outer` what shows there. */
static int cover(struct resolver *r, const char *outer_state)
{
        for (size_t i = 0; i < r->count; i++) {
                struct node *node = &r->nodes[i];
                for (size_t s = 0; s < node->source_count; s++) {
                        const char *source = node->sources[s];
                        bool image = r->e->root == ROOT_IMAGE &&
                                     !node->path[1]; /* of the state, an image alone is shown */
                        if (path_is_below(source, outer_state) && !image &&
                            (node->asked || strcmp(source, outer_state) == 0) && node->kind != NODE_HIDE &&
                            node->kind != NODE_INNER)
                                return error_set(r->err, EPERM, "%s: paddock's own state (%s) cannot be shown inside",
                                                 node->path, outer_state);
                        if (!path_is_below(outer_state, source))
                                continue;
                        const char *rest = outer_state + (source[1] ? strlen(source) : 0);
                        cleanup_free char *inside = memory_format("%s%s", node->path[1] ? node->path : "", rest);
                        struct node *governing = node_governing(r, inside);
                        if (governing != node)
                                continue; /* another rule decides there, and is met on its own */
                        struct file file = {.type = FILE_NONE};
                        r->system->look.file(r->system->look.context, outer_state, &file);
                        if (mirror_has(r, node))
                                mirror_blank(r, outer_state);
                        if (file.type == FILE_NONE && node->kind == NODE_SHARE)
                                continue; /* there is none, and no name can be made here to cover one */
                        if (node->kind == NODE_SHARE)
                                hold_in_place(r, node->path, inside);
                        node_add(r, NODE_INNER, inside, NULL, false);
                        i = 0; /* the nodes moved */
                        node = &r->nodes[0];
                        s = (size_t)-1;
                }
        }
        return 0;
}

/* Is there, or could there be, a directory of this name that the user reaches? */
static bool can_be(const struct system *system, const char *path)
{
        struct file file;
        for (cleanup_free char *p = memory_string(path);;) {
                system->look.file(system->look.context, p, &file);
                if (file.type != FILE_NONE || file.covered || !p[1])
                        return file.type == FILE_DIRECTORY && !file.covered;
                char *parent = path_parent(p);
                free(p);
                p = parent;
        }
}

static int cover_state(struct resolver *r)
{
        const char *state = r->system->state;
        if (!state || !can_be(r->system, state))
                return 0;
        int result = cover(r, state);
        const struct mount *own = system_mount_of(r->system, state);
        if (result < 0 || !own)
                return result;
        /* The state's name within its file system, then under each other mount of that file system. */
        cleanup_free char *within = memory_format("%s%s", own->root[1] ? own->root : "",
                                                  state + (own->path[1] ? strlen(own->path) : 0));
        for (size_t i = 0; i < r->system->mount_count && result == 0; i++) {
                const struct mount *other = &r->system->mounts[i];
                if (other == own || strcmp(other->device, own->device) != 0)
                        continue;
                if (path_is_below(other->root, within) && strcmp(other->root, within) != 0) {
                        /* a part of the state, mounted by itself */
                        if (!path_is_below(other->path, state))
                                result = cover(r, other->path);
                        continue;
                }
                if (!path_is_below(within, other->root))
                        continue;
                cleanup_free char *alias = memory_format("%s%s", other->path[1] ? other->path : "",
                                                         within + (other->root[1] ? strlen(other->root) : 0));
                if (strcmp(alias, state) != 0 && system_mount_of(r->system, alias) == other)
                        result = cover(r, alias);
        }
        return result;
}

int place_nodes(struct resolver *r)
{
        struct node *proc = node_at(r, "/proc"), *dev = node_at(r, "/dev");
        if (proc)
                return error_set(r->err, EINVAL,
                                 "a rule on /proc: an environment always has its own process list there");
        if (!dev)
                node_add(r, NODE_DEVICES, "/dev", NULL, false);
        node_add(r, NODE_PROC, "/proc", NULL, false);
        if (r->e->root == ROOT_HOST && r->whole && !node_at(r, "/sys") && is_directory(r->system, "/sys"))
                node_add(r, NODE_MIRROR, "/sys", "/sys", false);
        if (r->e->root == ROOT_EMPTY && !node_at(r, "/tmp"))
                node_add(r, NODE_EMPTY, "/tmp", NULL, false);
        if (r->e->session)
                session_nodes(r);
        else
                runtime_nodes(r);
        if (!r->e->session)
                seal_sockets(r);
        return cover_state(r);
}
