// SPDX-License-Identifier: GPL-3.0-or-later
/* A main system that exists only in memory, and what a plan made on it shows. */
#pragma once

#include "base/cleanup.h"
#include "base/path.h"
#include "plan/plan.h"

#include <string.h>

struct fake_file {
        const char *path;
        enum file_type type;
        bool mine;
        const char *target;
};

struct fake {
        const struct fake_file *files;
        size_t count;
        bool everything_writable;
};

static inline const struct fake_file *fake_find(const struct fake *fake, const char *path)
{
        for (size_t i = 0; i < fake->count; i++)
                if (strcmp(fake->files[i].path, path) == 0)
                        return &fake->files[i];
        return NULL;
}

static inline int fake_look(void *context, const char *path, struct file *file)
{
        const struct fake *fake = context;
        const struct fake_file *found = fake_find(fake, path);
        *file = (struct file){.type = FILE_NONE};
        if (!found)
                return 0;
        *file = (struct file){.type = found->type, .mode = 0755, .mine = found->mine};
        return 0;
}

static inline bool fake_writable(void *context, const char *path)
{
        const struct fake *fake = context;
        const struct fake_file *found = fake_find(fake, path);
        return found && (found->mine || fake->everything_writable);
}

static inline char *fake_link(void *context, const char *path)
{
        const struct fake_file *found = fake_find(context, path);
        return found && found->target ? memory_string(found->target) : NULL;
}

static inline int fake_entries(void *context, const char *path, int limit, char ***names)
{
        const struct fake *fake = context;
        int count = 0, capacity = 0;
        *names = NULL;
        for (size_t i = 0; i < fake->count && count < limit; i++) {
                cleanup_free char *parent = path_parent(fake->files[i].path);
                if (fake->files[i].path[1] && strcmp(parent, path) == 0)
                        *vector_add(*names, count, capacity) = memory_string(path_name(fake->files[i].path));
        }
        return count;
}

#define D(p, own) {p, FILE_DIRECTORY, own, NULL}
#define F(p, own) {p, FILE_REGULAR, own, NULL}
#define L(p, to) {p, FILE_SYMLINK, false, to}
static const struct fake_file tree[] = {
        D("/", false), D("/proc", false), D("/dev", false), D("/run", false), D("/sys", false), D("/tmp", true),
        D("/etc", false), F("/etc/hosts", false), D("/etc/sub", false), F("/etc/sub/conf", false),
        D("/usr", false), D("/usr/bin", false), F("/usr/bin/true", false),
        D("/home", false), D("/home/u", true), F("/home/u/f", true), D("/home/u/d", true), F("/home/u/d/g", true),
        D("/home/u/d/e", true), F("/home/u/d/e/h", true), D("/home/u/m", true), F("/home/u/m/x", true),
        D("/home/u/.state", true), D("/home/u/.state/paddock", true), F("/home/u/.state/paddock/secret", true),
        D("/srv", false), D("/srv/a", true), F("/srv/a/x", true), D("/srv/b", false), F("/srv/b/y", false),
        L("/link", "/home/u/d"), L("/home/u/loop", "loop"), L("/home/u/up", "../../srv"),
};
#define TREE (sizeof tree / sizeof *tree)

static struct mount mounts[] = {
        {(char *)"/", (char *)"ext4", (char *)"8:1", (char *)"/", false, false},
        {(char *)"/proc", (char *)"proc", (char *)"0:1", (char *)"/", true, false},
        {(char *)"/home/u/m", (char *)"ext4", (char *)"8:2", (char *)"/", false, false},
        {(char *)"/srv/b", (char *)"ext4", (char *)"8:3", (char *)"/", false, false},
};

static struct fake ordinary_tree = {tree, TREE, false};

static inline struct system ordinary(bool many_mounts)
{
        return (struct system){.look = {.context = &ordinary_tree,
                                        .file = fake_look,
                                        .link = fake_link,
                                        .entries = fake_entries,
                                        .writable = fake_writable},
                               .mounts = mounts,
                               .mount_count = many_mounts ? 4 : 2,
                               .uid = 1000,
                               .gid = 1000,
                               .cwd = (char *)"/home/u/d",
                               .home = (char *)"/home/u",
                               .state = (char *)"/home/u/.state/paddock",
                               .store = (char *)"/home/u/.state/paddock"};
}

/* ---- what a plan shows ---- */

enum shown { SHOWN_OUTSIDE, SHOWN_OWN, SHOWN_NOTHING, SHOWN_CLOSED };

static inline const struct plan_name *name_at(const struct plan_op *op, const char *rest, bool *inside)
{
        for (size_t i = 0; i < op->name_count; i++) {
                const char *p = op->names[i].path;
                size_t n = strlen(p);
                if (strncmp(rest, p, n) == 0 && (!rest[n] || rest[n] == '/')) {
                        if (op->names[i].kind == NAME_WHITEOUT || !rest[n]) {
                                *inside = rest[n] != '\0';
                                return &op->names[i];
                        }
                }
        }
        return NULL;
}

/* Is `path` of the main system there in what a mirrored operation takes its sources from? */
static inline bool in_mirror(const struct plan *plan, const struct plan_op *op, const char *path)
{
        const struct plan_op *mirror = plan_mirror(plan);
        for (size_t i = 0; op->mirrored && i < mirror->name_count; i++)
                if (path_is_below(path, mirror->names[i].path) &&
                    (mirror->names[i].kind == NAME_WHITEOUT || strcmp(path, mirror->names[i].path) != 0))
                        return false;
        return true;
}

/* What the operations, carried out in order, show at `path`. `outside` gets the name that shows through. */
static inline enum shown plan_shows(const struct plan *plan, const struct fake *fake, const char *path, char **outside)
{
        const struct plan_op *op = NULL;
        *outside = NULL;
        for (size_t i = 0; i < plan->count; i++)
                if (plan->ops[i].kind != PLAN_EXPOSE && path_is_below(path, plan->ops[i].path) &&
                    (!op || strlen(plan->ops[i].path) >= strlen(op->path)))
                        op = &plan->ops[i];
        const char *rest = path + (op->path[1] ? strlen(op->path) : 0);
        const char *relative = *rest == '/' ? rest + 1 : rest;
        bool inside = false;
        const struct plan_name *name = *relative ? name_at(op, relative, &inside) : NULL;
        switch (op->kind) {
        case PLAN_ROOT:
        case PLAN_SHARED_ROOT:
                *outside = memory_string(path);
                break;
        case PLAN_SEAL:
                return SHOWN_CLOSED;
        case PLAN_SKELETON:
                return !*relative || (name && !inside) ? SHOWN_OWN : SHOWN_NOTHING;
        case PLAN_BLANK:
                if (op->source_count) { /* files directly in it are copied; directories have operations of their own */
                        cleanup_free char *from = memory_format("%s%s", op->sources[0], rest);
                        const struct fake_file *file = fake_find(fake, from);
                        if (file && in_mirror(plan, op, from) && (file->type != FILE_DIRECTORY || !*relative) &&
                            !strchr(relative, '/')) {
                                *outside = steal_pointer(&from);
                                return SHOWN_OUTSIDE;
                        }
                }
                return !*relative || (name && !inside) ? SHOWN_OWN : SHOWN_NOTHING;
        case PLAN_BIND:
                *outside = memory_format("%s%s", op->sources[0], rest);
                break;
        case PLAN_LAYER:
                if (name && name->kind == NAME_WHITEOUT)
                        return SHOWN_NOTHING;
                for (size_t s = 0; s < op->source_count; s++) {
                        free(*outside);
                        *outside = memory_format("%s%s", op->sources[s][1] ? op->sources[s] : "", *rest ? rest : "");
                        if (!**outside) {
                                free(*outside);
                                *outside = memory_string("/");
                        }
                        if (fake_find(fake, *outside) && in_mirror(plan, op, *outside))
                                return SHOWN_OUTSIDE;
                }
                return name ? SHOWN_OWN : SHOWN_NOTHING;
        case PLAN_MIRROR:
        case PLAN_PROC:
        case PLAN_DEVICES:
        case PLAN_INNER:
        case PLAN_EXPOSE:
                return SHOWN_OWN;
        }
        return fake_find(fake, *outside) && in_mirror(plan, op, *outside) ? SHOWN_OUTSIDE : SHOWN_NOTHING;
}
