// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Environments inside environments.
 *
 * Theory of operation. The kernel refuses an overlay whose base is an overlay on an overlay. So where a layer's base is
 * an overlay already, the environment shows what the layer consists of (its own changes, then its base) below
 * /run/paddock/stack. Another paddock inside finds that and unites these parts itself: its layer then has the same
 * depth as ours, at any level.
 *
 * The parts show nothing that the layer does not show, except what a rule below it takes away; where there is such a
 * rule the parts are not shown, and private directories two levels further in are read-only.
 */
#include "plan/node.h"

#include "base/cleanup.h"
#include "base/path.h"

#include <string.h>

/* The layer that `path` is in, if the mount that it is on is one. */
static const struct stack *stack_of(const struct system *system, const char *path)
{
        const struct mount *mount = system_mount_of(system, path);
        for (size_t i = 0; mount && i < system->stack_count; i++)
                if (strcmp(system->stacks[i].path, mount->path) == 0)
                        return &system->stacks[i];
        return NULL;
}

enum part { PART_ABSENT, PART_MERGED, PART_LAST };

/* What the layer directory `layer` has at `rest`: nothing, a directory that what is below merges into, or one that
 * hides it (a whiteout or other non-directory hides too, and *shows is false then). */
static enum part part_at(const struct look *look, const char *layer, const char *rest, bool *shows)
{
        cleanup_free char *path = memory_format("%s%s", layer, rest);
        bool opaque = false;
        *shows = true;
        for (char *slash = path + strlen(layer); slash && *slash;) {
                char *next = strchr(slash + 1, '/'), kept = next ? *next : '\0';
                if (next)
                        *next = '\0';
                struct file file;
                look->file(look->context, path, &file);
                if (file.type == FILE_NONE)
                        return opaque ? PART_LAST : PART_ABSENT;
                if (file.type != FILE_DIRECTORY) {
                        *shows = false;
                        return PART_LAST;
                }
                opaque |= look->opaque && look->opaque(look->context, path);
                if (next)
                        *next = kept;
                slash = next;
        }
        return opaque ? PART_LAST : PART_MERGED;
}

static void add_parts(const struct look *look, const struct stack *stack, const char *rest, char ***sources,
                      size_t *count, size_t *capacity)
{
        for (size_t l = 0; l < stack->count; l++) {
                bool shows;
                enum part part = part_at(look, stack->layers[l], rest, &shows);
                if (part != PART_ABSENT && shows)
                        *vector_add(*sources, *count, *capacity) = memory_format("%s%s", stack->layers[l], rest);
                if (part == PART_LAST)
                        return;
        }
}

static bool on_overlay(const struct system *system, const char *path)
{
        const struct mount *mount = system_mount_of(system, path);
        return mount && strcmp(mount->fstype, "overlay") == 0;
}

void stack_sources(struct resolver *r)
{
        for (size_t i = 0; i < r->count; i++) {
                struct node *node = &r->nodes[i];
                bool layered = node->kind == NODE_PRIVATE || node->kind == NODE_FROM || node->kind == NODE_UNION ||
                               node->kind == NODE_AUGMENT;
                if (mirror_has(r, node)) /* the server's tree is one, however it is made outside */
                        continue;
                if (!layered || node->file.type != FILE_DIRECTORY)
                        continue;
                char **sources = NULL;
                size_t count = 0, capacity = 0;
                for (size_t s = 0; s < node->source_count; s++) {
                        const char *source = node->sources[s];
                        const struct stack *stack = stack_of(r->system, source);
                        if (stack)
                                add_parts(&r->system->look, stack, source + strlen(stack->path), &sources, &count,
                                          &capacity);
                        else
                                *vector_add(sources, count, capacity) = memory_string(node->sources[s]);
                        free(node->sources[s]);
                }
                free(node->sources);
                node->sources = sources;
                node->source_count = count;
        }
}

/* Does a rule below `path` show less than the layer there? */
static bool is_restricted(const struct resolver *r, const char *path)
{
        for (size_t i = 0; i < r->count; i++) {
                const struct node *node = &r->nodes[i];
                bool less = node->kind != NODE_PRIVATE && node->kind != NODE_SHARE && node->kind != NODE_INNER;
                if (node->asked && less && path_is_below(node->path, path) && strcmp(node->path, path) != 0)
                        return true;
        }
        return false;
}

void stack_expose(struct resolver *r)
{
        struct plan_op *run = NULL;
        size_t number = 0, count = r->plan->count;
        for (size_t i = 0; i < count; i++)
                if (strcmp(r->plan->ops[i].path, "/run") == 0 && r->plan->ops[i].kind == PLAN_SKELETON)
                        run = &r->plan->ops[i];
        if (!run)
                return;
        size_t run_at = (size_t)(run - r->plan->ops);
        for (size_t i = 0; i < count; i++) {
                bool nested = false;
                for (size_t s = 0; r->plan->ops[i].kind == PLAN_LAYER && !r->plan->ops[i].mirrored &&
                                   s < r->plan->ops[i].source_count;
                     s++)
                        nested |= on_overlay(r->system, r->plan->ops[i].sources[s]) ||
                                  path_is_below(r->plan->ops[i].sources[s], STACK_PLACE);
                if (!nested || r->plan->ops[i].slot < 0 || is_restricted(r, r->plan->ops[i].path))
                        continue;
                struct plan_op *op = vector_add(r->plan->ops, r->plan->count, r->plan->capacity);
                const struct plan_op *layer = &r->plan->ops[i];
                *op = (struct plan_op){.kind = PLAN_EXPOSE, .path = memory_string(layer->path), .slot = layer->slot,
                                       .mode = (unsigned)number++};
                op->sources = memory_grow(NULL, layer->source_count, sizeof *op->sources);
                for (size_t s = 0; s < layer->source_count; s++)
                        op->sources[op->source_count++] = memory_string(layer->sources[s]);
                /* The layer's own changes are part 0, its bases follow. */
                run = &r->plan->ops[run_at];
                for (size_t part = 0; part <= layer->source_count; part++) {
                        char *name = memory_format("paddock/stack/%u/%zu", op->mode, part);
                        *vector_add(run->names, run->name_count, run->name_capacity) =
                                (struct plan_name){.kind = NAME_DIRECTORY, .path = name, .mode = 0755};
                }
        }
}
