// SPDX-License-Identifier: GPL-3.0-or-later
/* The plan as JSON. The text form is the room plan's own (plan/explain.c), since it needs no library. */
#include "verbs/explain.h"

#include "base/cleanup.h"
#include "verbs/verbs.h"

#include <jansson.h>

static json_t *names_of(const struct plan_op *op)
{
        static const char *const kinds[] = {"directory", "file", "whiteout", "symlink"};
        json_t *list = json_array();
        for (size_t i = 0; i < op->name_count; i++)
                json_array_append_new(list, json_pack("{s:s, s:o}", "kind", kinds[op->names[i].kind], "path",
                                                      json_name(op->names[i].path)));
        return list;
}

static json_t *operation(const struct plan_op *op)
{
        json_t *sources = json_array();
        for (size_t i = 0; i < op->source_count; i++)
                json_array_append_new(sources, json_name(op->sources[i]));
        json_t *object = json_pack("{s:s, s:o, s:b, s:b}", "kind", plan_word(op->kind), "path", json_name(op->path),
                                   "writable", op->writable || op->slot >= 0, "asked", op->asked);
        if (op->mirrored)
                json_object_set_new(object, "mirrored", json_true());
        if (op->slot >= 0)
                json_object_set_new(object, "slot", json_integer(op->slot));
        if (op->source_count)
                json_object_set(object, "sources", sources);
        json_decref(sources);
        if (op->name_count)
                json_object_set_new(object, "names", names_of(op));
        if (op->why)
                json_object_set_new(object, "why", json_name(op->why));
        return object;
}

void explain_json(const struct plan *plan, const struct environment *e)
{
        json_t *operations = json_array(), *notes = json_array();
        for (size_t i = 0; i < plan->count; i++)
                json_array_append_new(operations, operation(&plan->ops[i]));
        for (size_t i = 0; i < plan->note_count; i++)
                json_array_append_new(notes, json_name(plan->notes[i]));
        json_t *namespaces = json_pack("[s, s, s, s, s]", "user", "mount", "pid", "ipc", "uts");
        if (plan->own_network)
                json_array_append_new(namespaces, json_string("net"));
        json_t *object = json_pack("{s:o, s:s, s:b, s:o, s:s, s:b, s:s, s:o, s:b, s:o, s:o}", "name",
                                   e->name ? json_string(e->name) : json_null(), "identity", identity_word(e->identity),
                                   "mapped_range", plan->superuser, "namespaces", namespaces, "network",
                                   plan->served ? "served" : network_word(e->network), "session", plan->session, "layer",
                                   plan->in_memory ? "memory" : "disk", "directory",
                                   plan->cwd ? json_name(plan->cwd) : json_string("/"), "new_root", plan->new_root,
                                   "operations", operations, "notes", notes);
        if (plan->publish.count) {
                json_t *published = json_array();
                for (size_t i = 0; i < plan->publish.count; i++) {
                        char word[PUBLISH_WORD];
                        json_array_append_new(published, json_string(publish_to_word(&plan->publish.items[i], word)));
                }
                json_object_set_new(object, "publish", published);
        }
        print_json(object);
}
