// SPDX-License-Identifier: GPL-3.0-or-later
/* Life of a plan in memory, and its fingerprint. */
#include "plan/plan.h"

#include "base/cleanup.h"

#include <stdarg.h>
#include <string.h>

const char *plan_word(enum plan_kind kind)
{
        static const char *const words[] = {
                [PLAN_ROOT] = "root",         [PLAN_SHARED_ROOT] = "shared-root", [PLAN_BIND] = "bind",
                [PLAN_LAYER] = "layer",       [PLAN_BLANK] = "blank",             [PLAN_SKELETON] = "skeleton",
                [PLAN_SEAL] = "seal",         [PLAN_PROC] = "proc",               [PLAN_DEVICES] = "devices",
                [PLAN_EXPOSE] = "expose",         [PLAN_INNER] = "inner-state",
                [PLAN_MIRROR] = "mirror",
        };
        return words[kind];
}

bool plan_has_layer(const struct plan *plan)
{
        for (size_t i = 0; i < plan->count; i++)
                if (plan->ops[i].slot >= 0)
                        return true;
        return false;
}

const struct plan_op *plan_mirror(const struct plan *plan)
{
        return plan->count && plan->ops[0].kind == PLAN_MIRROR ? &plan->ops[0] : NULL;
}

void plan_note(struct plan *plan, const char *fmt, ...)
{
        char *note = NULL;
        va_list args;
        va_start(args, fmt);
        if (vasprintf(&note, fmt, args) < 0)
                note = NULL;
        va_end(args);
        if (note)
                *vector_add(plan->notes, plan->note_count, plan->note_capacity) = note;
}

/* FNV-1a, 64 bits: no secret depends on it, and a clash only lets two runs share mounts that differ. */
static void mix(unsigned long *digest, const char *text)
{
        for (const unsigned char *p = (const unsigned char *)(text ? text : "\x01"); ; p++) {
                *digest = (*digest ^ *p) * 0x100000001b3UL;
                if (!*p)
                        return;
        }
}

unsigned long plan_digest(const struct plan *plan)
{
        unsigned long digest = 0xcbf29ce484222325UL;
        for (size_t i = 0; i < plan->count; i++) {
                const struct plan_op *op = &plan->ops[i];
                char numbers[64];
                if (op->listed || op->kind == PLAN_EXPOSE)
                        continue;
                /* Not which slot: who comes while the first run of an environment is being made does not know them
                 * yet. */
                snprintf(numbers, sizeof numbers, "%d %d %d %d", op->kind, op->slot >= 0, op->writable + 2 * op->mirrored,
                         op->is_file);
                mix(&digest, numbers);
                mix(&digest, op->path);
                for (size_t s = 0; s < op->source_count; s++)
                        mix(&digest, op->sources[s]);
                static const char *const stack = &STACK_PLACE[sizeof "/run"]; /* below /run: as many as there are parts */
                for (size_t n = 0; n < op->name_count && !op->lists; n++)
                        if (strncmp(op->names[n].path, stack, strlen(stack)) != 0)
                                mix(&digest, op->names[n].path);
        }
        if (plan->own_network)
                mix(&digest, plan->served ? "served" : plan->uplink ? "uplink" : "no network");
        return digest;
}

void plan_clear(struct plan *plan)
{
        publish_clear(&plan->publish);
        for (size_t i = 0; i < plan->count; i++) {
                struct plan_op *op = &plan->ops[i];
                for (size_t s = 0; s < op->source_count; s++)
                        free(op->sources[s]);
                for (size_t n = 0; n < op->name_count; n++) {
                        free(op->names[n].path);
                        free(op->names[n].target);
                }
                free(op->sources);
                free(op->names);
                free(op->path);
                free(op->why);
        }
        for (size_t i = 0; i < plan->note_count; i++)
                free(plan->notes[i]);
        free(plan->notes);
        free(plan->ops);
        free(plan->cwd);
        free(plan->ids);
        free(plan->hostname);
        slots_clear(&plan->slots);
        *plan = (struct plan){0};
}
