// SPDX-License-Identifier: GPL-3.0-or-later
/* What two plans differ in, as subtrees that are replaced: see change.h. */
#include "plan/change.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"

#include <string.h>

/* One plan, prepared for comparing. */
struct side {
        const struct plan *plan;
        char **gone; /* names that its layers hide */
        struct plan_op **gone_in; /* the operation that does */
        size_t gone_count, gone_capacity;
};

/* The absolute name of what `op` adds or hides. Fresh memory. */
static char *name_of(const struct plan_op *op, const struct plan_name *name)
{
        return path_join(op->path, name->path);
}

static void collect_gone(struct side *side)
{
        size_t capacity = 0;
        for (size_t i = 0; i < side->plan->count; i++) {
                struct plan_op *op = &side->plan->ops[i];
                for (size_t n = 0; op->kind != PLAN_EXPOSE && n < op->name_count; n++) {
                        if (op->names[n].kind != NAME_WHITEOUT)
                                continue;
                        size_t at = side->gone_count;
                        *vector_add(side->gone, side->gone_count,
                                    side->gone_capacity) = op->kind == PLAN_MIRROR ? path_clean("/", op->names[n].path)
                                                                                   : name_of(op, &op->names[n]);
                        *vector_add(side->gone_in, at, capacity) = op;
                }
        }
}

static void side_clear(struct side *side)
{
        while (side->gone_count)
                free(side->gone[--side->gone_count]);
        free(side->gone);
        free(side->gone_in);
}

/* Is it compared at all? What shows the parts of layers follows them, and the mirror is compared by what it hides.
 * Sockets that are covered come and go with their servers. */
static bool counts(const struct plan_op *op)
{
        return op->kind != PLAN_EXPOSE && op->kind != PLAN_MIRROR && !(op->kind == PLAN_SEAL && !op->asked);
}

static struct plan_op *op_at(const struct plan *plan, const char *path)
{
        for (size_t i = 0; i < plan->count; i++)
                if (counts(&plan->ops[i]) && strcmp(plan->ops[i].path, path) == 0)
                        return &plan->ops[i];
        return NULL;
}

static bool is_gone(const struct side *side, const char *path)
{
        for (size_t i = 0; i < side->gone_count; i++)
                if (strcmp(side->gone[i], path) == 0)
                        return true;
        return false;
}

static bool has_name(const struct plan_op *op, const struct plan_name *name)
{
        for (size_t i = 0; i < op->name_count; i++)
                if (op->names[i].kind == name->kind && strcmp(op->names[i].path, name->path) == 0)
                        return true;
        return false;
}

static bool same_names(const struct plan_op *a, const struct plan_op *b)
{
        bool same = a->name_count == b->name_count;
        for (size_t i = 0; same && i < a->name_count; i++)
                same = has_name(b, &a->names[i]);
        return same;
}

/* A place in which names can be made while it is used: a layer's, and /run. */
static bool takes_names(const struct plan_op *op)
{
        return op->slot >= 0 || (op->kind == PLAN_SKELETON && strcmp(op->path, "/run") == 0);
}

/* Do both show the same, apart from names that can be made in a living layer? */
static bool same(const struct plan_op *a, const struct plan_op *b)
{
        if (!a || !b || a->kind != b->kind || a->slot != b->slot || a->writable != b->writable ||
            a->mirrored != b->mirrored || a->is_file != b->is_file || a->source_count != b->source_count)
                return false;
        for (size_t i = 0; i < a->source_count; i++)
                if (strcmp(a->sources[i], b->sources[i]) != 0)
                        return false;
        return takes_names(a) || same_names(a, b);
}

static int wait_for_start(struct error *err, const char *path, const char *why)
{
        cleanup_free char *shown = text_escape(path);
        error_set(err, EBUSY, "%s: %s", shown, why);
        return error_remedy(err, "keep the change in the description and restart the environment");
}

/* May `op` be built, or taken away, while programs run? */
static int check_kind(const struct plan_op *op, struct error *err)
{
        if (!op->path[1])
                return wait_for_start(err, op->path, "the root directory of the view cannot be replaced while it runs");
        switch (op->kind) {
        case PLAN_BIND: case PLAN_LAYER: case PLAN_BLANK: case PLAN_SKELETON: case PLAN_SEAL:
                return 0;
        default:
                return wait_for_start(err, op->path,
                                      "what every environment has there cannot be changed while it runs");
        }
}

static int check_slot(const struct plan *old, const struct plan_op *op, struct error *err)
{
        for (size_t i = 0; op->slot >= 0 && i < old->count; i++)
                if (old->ops[i].slot == op->slot)
                        return wait_for_start(err, op->path, "its layer is in use, and is not mounted twice");
        return 0;
}

/* The mirror shows as much as when it was made. */
static int check_mirror(const struct plan *old, const struct plan_op *op, struct error *err)
{
        const struct plan_op *mirror = op->mirrored ? plan_mirror(old) : NULL;
        for (size_t n = 0; mirror && n < mirror->name_count; n++)
                for (size_t s = 0; s < op->source_count; s++)
                        if (path_is_below(op->sources[s], mirror->names[n].path) ||
                            path_is_below(mirror->names[n].path, op->sources[s]))
                                return wait_for_start(err, op->sources[s],
                                                      "the server of the main system does not show it, because of "
                                                      "another rule");
        return 0;
}

/* The tops of what differs, none below another. */
struct tops {
        char **paths;
        size_t count, capacity;
};

static void tops_add(struct tops *t, const char *path)
{
        for (size_t i = 0; i < t->count; i++)
                if (path_is_below(path, t->paths[i]))
                        return;
        size_t kept = 0;
        for (size_t i = 0; i < t->count; i++) {
                if (path_is_below(t->paths[i], path))
                        free(t->paths[i]);
                else
                        t->paths[kept++] = t->paths[i];
        }
        t->count = kept;
        *vector_add(t->paths, t->count, t->capacity) = memory_string(path);
}

static void tops_clear(struct tops *t)
{
        while (t->count)
                free(t->paths[--t->count]);
        free(t->paths);
}

/* Is a hidden name carried out by an operation that is built anew, so that it needs no cover? */
static bool built_in(const struct plan *old, const struct plan_op *op)
{
        return op->kind != PLAN_MIRROR && !same(op_at(old, op->path), op);
}

static int find_tops(const struct side *old, const struct side *new, struct tops *tops, struct error *err)
{
        const struct plan *plans[] = {old->plan, new->plan};
        for (size_t p = 0; p < 2; p++) {
                for (size_t i = 0; i < plans[p]->count; i++) {
                        const struct plan_op *op = &plans[p]->ops[i];
                        if (!counts(op) || same(op_at(old->plan, op->path), op_at(new->plan, op->path)))
                                continue;
                        int result = check_kind(op, err);
                        if (result < 0)
                                return result;
                        tops_add(tops, op->path);
                }
        }
        for (size_t i = 0; i < new->gone_count; i++)
                if (!is_gone(old, new->gone[i]) && !built_in(old->plan, new->gone_in[i]))
                        tops_add(tops, new->gone[i]);
        for (size_t i = 0; i < old->gone_count; i++)
                if (!is_gone(new, old->gone[i]) &&
                    (old->gone_in[i]->kind == PLAN_MIRROR || op_at(new->plan, old->gone_in[i]->path)))
                        tops_add(tops, old->gone[i]);
        return 0;
}

/* As plan_digest(), of what lies at and below `top`. FNV-1a. */
static unsigned long digest_below(const struct side *side, const char *top)
{
        unsigned long digest = 0xcbf29ce484222325UL;
        cleanup_text struct text t = {0};
        for (size_t i = 0; i < side->plan->count; i++) {
                const struct plan_op *op = &side->plan->ops[i];
                if (!counts(op) || !path_is_below(op->path, top))
                        continue;
                text_addf(&t, "%d %d %d %d ", op->kind, op->slot, op->writable + 2 * op->mirrored, op->is_file);
                text_add_escaped(&t, op->path);
                for (size_t s = 0; s < op->source_count; s++) {
                        text_add(&t, " ");
                        text_add_escaped(&t, op->sources[s]);
                }
                text_add(&t, "\n");
        }
        for (size_t i = 0; i < side->gone_count; i++)
                if (path_is_below(side->gone[i], top)) {
                        text_add(&t, "gone ");
                        text_add_escaped(&t, side->gone[i]);
                        text_add(&t, "\n");
                }
        for (size_t i = 0; i < t.length; i++)
                digest = (digest ^ (unsigned char)t.data[i]) * 0x100000001b3UL;
        return digest;
}

/* The cover over a name that a living layer shows. */
static void add_cover(struct plan_change *c, const struct system *system, const char *path, const struct plan_op *in)
{
        struct file file = {.type = FILE_NONE};
        cleanup_free char *outer = memory_string(path);
        if (in->kind != PLAN_MIRROR && in->source_count && path_is_below(path, in->path)) {
                free(outer);
                outer = memory_format("%s%s", in->sources[in->frozen < in->source_count ? in->frozen : 0],
                                      path + (in->path[1] ? strlen(in->path) : 0));
        }
        system->look.file(system->look.context, outer, &file);
        struct plan_op *op = memory_new(sizeof *op);
        *op = (struct plan_op){.kind = PLAN_SEAL, .path = memory_string(path), .slot = -1, .asked = true,
                               .is_file = file.type != FILE_DIRECTORY};
        *vector_add(c->steps, c->count, c->capacity) = (struct plan_step){.op = op, .own = true};
}

static bool differs_below(const struct side *old, const struct side *new, const char *top)
{
        for (size_t i = 0; i < new->plan->count; i++) {
                const struct plan_op *op = &new->plan->ops[i];
                if (counts(op) && path_is_below(op->path, top) && strcmp(op->path, top) != 0 &&
                    !same(op_at(old->plan, op->path), op))
                        return true;
        }
        for (size_t i = 0; i < old->plan->count; i++) {
                const struct plan_op *op = &old->plan->ops[i];
                if (counts(op) && path_is_below(op->path, top) && strcmp(op->path, top) != 0 &&
                    !op_at(new->plan, op->path))
                        return true;
        }
        return false;
}

static bool goes_along(const struct plan_change *c, const char *path)
{
        for (size_t i = 0; i < c->count; i++)
                if (c->steps[i].keep && path_is_below(path, c->steps[i].op->path))
                        return true;
        return false;
}

/* Fills in the steps for the subtree at c->path. */
static int fill(struct plan_change *c, const struct side *old, const struct side *new, const struct system *system,
                struct error *err)
{
        c->bare = !op_at(new->plan, c->path);
        c->before = digest_below(old, c->path);
        c->after = digest_below(new, c->path);
        const char *kept = NULL; /* the subtree that goes along as a whole */
        for (size_t i = 0; i < new->plan->count; i++) {
                struct plan_op *op = &new->plan->ops[i];
                if (!counts(op) || !path_is_below(op->path, c->path) || (kept && path_is_below(op->path, kept)))
                        continue;
                bool keep = same(op_at(old->plan, op->path), op);
                if (keep) {
                        if (differs_below(old, new, op->path))
                                return wait_for_start(err, op->path, "rules at several depths below it change at once");
                        kept = op->path;
                } else {
                        int result = check_slot(old->plan, op, err);
                        if (result == 0)
                                result = check_mirror(old->plan, op, err);
                        if (result < 0)
                                return result;
                }
                *vector_add(c->steps, c->count, c->capacity) = (struct plan_step){.keep = keep, .op = op};
        }
        for (size_t i = 0; i < new->gone_count; i++)
                if (path_is_below(new->gone[i], c->path) && !goes_along(c, new->gone[i]) &&
                    !built_in(old->plan, new->gone_in[i])) {
                        add_cover(c, system, new->gone[i], new->gone_in[i]);
                        c->bare &= strcmp(new->gone[i], c->path) != 0;
                }
        return 0;
}

/* Names that lead to the top, which a living layer does not have yet. */
static void find_names(struct plan_change *c, const struct plan *old, const struct plan *new)
{
        for (size_t i = 0; i < new->count; i++) {
                const struct plan_op *op = &new->ops[i], *before = op_at(old, op->path);
                if (!counts(op) || !takes_names(op) || !same(before, op))
                        continue;
                for (size_t n = 0; n < op->name_count; n++) {
                        cleanup_free char *path = name_of(op, &op->names[n]);
                        if (op->names[n].kind != NAME_WHITEOUT && !has_name(before, &op->names[n]) &&
                            path_is_below(c->path, path))
                                *vector_add(c->names, c->name_count,
                                            c->name_capacity) = (struct plan_name){.kind = op->names[n].kind,
                                                                                   .path = steal_pointer(&path),
                                                                                   .mode = op->names[n].mode};
                }
        }
}

int plan_compare(const struct plan *old, const struct plan *new, const struct system *system,
                 struct plan_changes *changes, struct error *err)
{
        *changes = (struct plan_changes){0};
        struct side a = {.plan = old}, b = {.plan = new};
        struct tops tops = {0};
        collect_gone(&a);
        collect_gone(&b);
        int result = find_tops(&a, &b, &tops, err);
        for (size_t i = 0; result == 0 && i < tops.count; i++) {
                struct plan_change *c = vector_add(changes->changes, changes->count, changes->capacity);
                c->path = memory_string(tops.paths[i]);
                result = fill(c, &a, &b, system, err);
                find_names(c, old, new);
        }
        tops_clear(&tops);
        side_clear(&a);
        side_clear(&b);
        if (result < 0)
                plan_changes_clear(changes);
        return result;
}

void plan_change_clear(struct plan_change *c)
{
        for (size_t i = 0; i < c->count; i++)
                if (c->steps[i].own) {
                        free(c->steps[i].op->path);
                        free(c->steps[i].op);
                }
        for (size_t i = 0; i < c->name_count; i++) {
                free(c->names[i].path);
                free(c->names[i].target);
        }
        free(c->steps);
        free(c->names);
        free(c->path);
        *c = (struct plan_change){0};
}

void plan_changes_clear(struct plan_changes *changes)
{
        while (changes->count)
                plan_change_clear(&changes->changes[--changes->count]);
        free(changes->changes);
        *changes = (struct plan_changes){0};
}
