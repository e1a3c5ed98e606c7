// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Names looked up one component at a time, as the environment will see them.
 *
 * A rule is meant for the place that its name leads to: `--share ~/link/x` shares what lies behind the link, and then
 * both names show it. So every name in a rule is made canonical before rules are compared, through the rules above it
 * (what lies below `--from /opt=~/o` is looked up in ~/o).
 */
#include "plan/node.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"

#include <string.h>

#define LINK_LIMIT 40 /* as the kernel's MAXSYMLINKS */

char *node_outer(struct resolver *r, const char *path)
{
        const struct node *node = node_governing(r, path);
        if (!node || !node->source_count)
                return NULL;
        const char *rest = path + strlen(node->path);
        if (!node->path[1])
                rest = path;
        if (!rest[0] || !rest[1 - (*rest != '/')])
                return memory_string(node->sources[0]);
        for (size_t i = 0; i < node->source_count; i++) {
                cleanup_free char *name = memory_format("%s%s", node->sources[i][1] ? node->sources[i] : "", rest);
                struct file file;
                bool last = i + 1 == node->source_count;
                if (last || (r->system->look.file(r->system->look.context, name, &file) == 0 && file.type != FILE_NONE))
                        return steal_pointer(&name);
        }
        return NULL;
}

/* `outer` maps a canonical name to the one to look at; NULL result: nothing there. */
static char *walk(const struct look *look, char *(*outer)(void *, const char *), void *context, const char *path,
                  struct error *err)
{
        char *done = memory_string("/");
        cleanup_free char *rest = memory_string(path);
        int links = 0;
        bool exists = true;
        for (char *p = rest;;) {
                while (*p == '/')
                        p++;
                size_t n = strcspn(p, "/");
                if (!n)
                        return done;
                cleanup_free char *component = memory_format("%.*s", (int)n, p);
                p += n;
                if (strcmp(component, ".") == 0)
                        continue;
                if (strcmp(component, "..") == 0) {
                        char *parent = path_parent(done);
                        free(done);
                        done = parent;
                        exists = true; /* of the parent nothing bad was learnt */
                        continue;
                }
                char *next = path_join(done, component);
                cleanup_free char *name = exists ? outer(context, next) : NULL;
                struct file file = {.type = FILE_NONE};
                if (name)
                        look->file(look->context, name, &file);
                exists = file.type != FILE_NONE;
                cleanup_free char *target = file.type == FILE_SYMLINK ? look->link(look->context, name) : NULL;
                if (!target) {
                        free(done);
                        done = next;
                        continue;
                }
                free(next);
                if (++links > LINK_LIMIT) {
                        free(done);
                        cleanup_free char *shown = text_escape(path);
                        error_set(err, ELOOP, "%s: too many symbolic links", shown);
                        return NULL;
                }
                if (target[0] == '/') {
                        free(done);
                        done = memory_string("/");
                }
                char *longer = memory_format("%s/%s", target, p);
                free(rest);
                rest = longer;
                p = rest;
        }
}

static char *outer_inside(void *context, const char *path)
{
        return node_outer(context, path);
}

static char *outer_same(void *context, const char *path)
{
        (void)context;
        return memory_string(path);
}

char *walk_inside(struct resolver *r, const char *path)
{
        return walk(&r->system->look, outer_inside, r, path, r->err);
}

char *walk_outside(const struct system *system, const char *path, struct error *err)
{
        return walk(&system->look, outer_same, NULL, path, err);
}
