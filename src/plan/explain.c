// SPDX-License-Identifier: GPL-3.0-or-later
/* The plan as text for people: what `--explain` prints. The JSON form is verbs/explain.c's, which may load a
 * library. */
#include "plan/plan.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <string.h>

static const char *meaning(const struct plan_op *op)
{
        switch (op->kind) {
        case PLAN_ROOT:
                return "main system, read-only";
        case PLAN_SHARED_ROOT:
                return "main system, shared";
        case PLAN_BIND:
                return op->writable ? "shared" : "mirror, read-only";
        case PLAN_LAYER:
                return op->slot >= 0 ? "private" : "mirror, read-only";
        case PLAN_BLANK:
                return op->source_count ? "private copy" : "empty, private";
        case PLAN_SKELETON:
                return "made for this run";
        case PLAN_SEAL:
                return "closed";
        case PLAN_PROC:
                return "own processes";
        case PLAN_DEVICES:
                return "minimal devices";
        case PLAN_EXPOSE:
                return "parts of its layer, shown";
        case PLAN_MIRROR:
                return "main system, served";
        case PLAN_INNER:
                return "paddock's state, its own";
        }
        return "?";
}

static void explain_op(struct text *t, const struct plan_op *op)
{
        cleanup_text struct text path = {0};
        text_add_escaped(&path, op->path);
        text_addf(t, "  %-28s %-24s", path.data, meaning(op));
        bool elsewhere = op->source_count && (op->source_count > 1 || strcmp(op->sources[0], op->path) != 0);
        for (size_t i = 0; elsewhere && i < op->source_count; i++) {
                text_add(t, i ? " : " : " from ");
                text_add_escaped(t, op->sources[i]);
        }
        if (op->slot >= 0)
                text_addf(t, " [slot %d]", op->slot);
        for (size_t i = 0; i < op->name_count; i++) {
                if (op->names[i].kind == NAME_DIRECTORY && op->kind == PLAN_SKELETON)
                        continue;
                text_add(t, op->names[i].kind == NAME_WHITEOUT ? " -" : " +");
                text_add_escaped(t, op->names[i].path);
        }
        if (op->why)
                text_addf(t, "  (%s)", op->why);
        while (t->length && t->data[t->length - 1] == ' ')
                t->data[--t->length] = '\0';
        text_add(t, "\n");
}

char *plan_explain(const struct plan *plan, const struct environment *e)
{
        struct text t = {0};
        text_addf(&t, "environment  %s\n", e->name ? e->name : "temporary: its layer vanishes at the end");
        text_addf(&t, "identity     %s%s\n", identity_word(e->identity),
                  plan->superuser ? " (root inside, a range of unused ids outside)" : plan->ids ? plan->ids : "");
        text_addf(&t, "namespaces   user, mount, pid, ipc, uts%s; a second user and mount namespace locks the view\n",
                  plan->own_network ? ", net" : "");
        text_addf(&t, "network      %s\n",
                  plan->served        ? "own; connections that lead out, and names, are put to a server"
                  : plan->uplink      ? "own: reaches outside through pasta, the main system's loopback not"
                  : plan->own_network ? "own: loopback only"
                                      : "inherited");
        for (size_t i = 0; i < plan->publish.count; i++) {
                const struct publish *p = &plan->publish.items[i];
                text_addf(&t, "published    %s port %u of %s outside leads to port %u inside\n", p->udp ? "udp" : "tcp",
                          p->outer, strcmp(p->address, "*") == 0 ? "every address" : p->address, p->inner);
        }
        text_addf(&t, "sockets      %s\n",
                  plan->session ? "those of the session are shared"
                                : "path sockets of the session are not there, abstract ones scoped away");
        text_addf(&t, "layer        %s\n", plan->in_memory ? "in memory" : "on disk");
        text_add(&t, "start in     ");
        text_add_escaped(&t, plan->cwd ? plan->cwd : "/ (the working directory is not visible inside)");
        text_addf(&t, "\nfiles        %s\n", plan->new_root ? "a root of its own" : "laid over the main system");
        for (size_t i = 0; i < plan->count; i++)
                explain_op(&t, &plan->ops[i]);
        for (size_t i = 0; i < plan->note_count; i++)
                text_addf(&t, "note: %s\n", plan->notes[i]);
        return t.data;
}
