// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * From one view to another while programs live in it.
 *
 * Theory of operation. Both views are resolved to plans, and the plans are compared: each subtree whose operations
 * differ is replaced as a whole, so that no program sees a rule half carried out. In a subtree, an operation that both
 * plans have is kept (what is mounted there already goes along), another is built anew. Where the new plan has none at
 * the top, what stands there is taken away, and what lies below it shows ("bare").
 *
 * Two things that a start does otherwise cannot be done to a living layer. A name that a layer would get from a lower
 * directory of ours is made in the layer itself; a name that would be hidden in it is covered by an empty thing without
 * permissions, as in a shared tree. A layer that is mounted is never built a second time: overlays must not share their
 * writable part.
 */
#pragma once

#include "plan/plan.h"

struct plan_step {
        bool keep;            /* what stands there is taken along, with all that is mounted below it */
        struct plan_op *op;   /* of the new plan; for a cover of its own memory (`own`) */
        bool own;
};

/* The subtree at `path` is replaced. */
struct plan_change {
        char *path;
        bool bare;                     /* nothing of the new plan stands at `path` itself */
        struct plan_step *steps;       /* parents first */
        size_t count, capacity;
        struct plan_name *names;       /* absolute: made before, where they are missing */
        size_t name_count, name_capacity;
        unsigned long before, after;   /* fingerprints of what both plans have there: a change back undoes this one */
};

struct plan_changes {
        struct plan_change *changes;
        size_t count, capacity;
};

#define cleanup_changes __attribute__((cleanup(plan_changes_clear)))

/* What leads from `old` to `new`, both for the same environment on the same `system`. None is fine. EBUSY for what
 * takes effect at the next start only; the text says why. `changes` refers to `new`, and does not outlive it. */
int plan_compare(const struct plan *old, const struct plan *new, const struct system *system,
                 struct plan_changes *changes, struct error *err);
void plan_change_clear(struct plan_change *change);
void plan_changes_clear(struct plan_changes *changes);

/* One change as text, a line a fact with escaped fields, and back; `made` owns everything in it. Decoding takes what an
 * untrusted partner could have written: EINVAL for anything out of form. */
char *plan_change_encode(const struct plan_change *change, const struct slots *slots);
int plan_change_decode(const char *text, struct plan_change *change, struct plan *made, struct error *err);
