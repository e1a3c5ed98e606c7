// SPDX-License-Identifier: GPL-3.0-or-later
/* MESSAGE_REVOKE: which rights are meant, and which of them may end. See rights.h. */
#include "warden/rights.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "warden/inner.h"

#include <string.h>

static bool same_text(const char *a, const char *b)
{
        return a == b || (a && b && strcmp(a, b) == 0);
}

struct wanted {
        uint64_t id;
        bool by_id, all;
        char *resource, *set, *to;
};

static bool is_wanted(const struct wanted *w, const struct right *r)
{
        if (r->silent || (r->state == RIGHT_ENDING && !w->by_id))
                return false;
        if (w->to && !same_text(w->to, r->grant.to))
                return false;
        if (w->by_id)
                return r->id == w->id;
        if (w->set)
                return same_text(w->set, r->grant.set);
        return w->all || strcmp(w->resource, r->grant.resource) == 0 || strcmp(w->resource, r->grant.inside) == 0;
}

/* A right inside another one's tree ends with it: its mount stands on that one's. */
static bool falls_with(const struct grants *g, const struct wanted *wanted, const struct right *r)
{
        if (is_wanted(wanted, r))
                return true;
        for (size_t i = 0; i < g->count; i++)
                if (g->rights[i] != r && is_wanted(wanted, g->rights[i]) && g->rights[i]->grant.kind == RESOURCE_TREE &&
                    path_is_below(r->grant.inside, g->rights[i]->grant.inside))
                        return r->state != RIGHT_ENDING && !r->silent;
        return false;
}

/* The locked one among those that would end, or NULL. `all` passes over them. */
static const struct right *locked_among(const struct grants *g, const struct wanted *wanted)
{
        for (size_t i = 0; i < g->count; i++)
                if (g->rights[i]->grant.locked && falls_with(g, wanted, g->rights[i]))
                        return g->rights[i];
        return NULL;
}

void revoke_request(struct grants *g, struct asker asker, const struct message *m)
{
        cleanup_error struct error err = ERROR_INIT;
        struct wanted wanted = {0};
        wanted.by_id = message_get_number(m, TAG_GRANT, &wanted.id);
        wanted.resource = message_get_text(m, TAG_RESOURCE, TEXT_LIMIT);
        wanted.set = message_get_text(m, TAG_SET, 64);
        wanted.to = message_get_text(m, TAG_TO, 32);
        wanted.all = !wanted.by_id && !wanted.resource && !wanted.set;
        cleanup_free char *by = message_get_text(m, TAG_BY, 256);
        const struct right *locked = wanted.all ? NULL : locked_among(g, &wanted);
        struct right **ending = NULL;
        size_t count = 0, capacity = 0;
        for (size_t i = 0; !locked && i < g->count; i++)
                if (wanted.all ? is_wanted(&wanted, g->rights[i]) && !g->rights[i]->grant.locked
                               : falls_with(g, &wanted, g->rights[i]))
                        *vector_add(ending, count, capacity) = g->rights[i];
        if (locked) {
                cleanup_free char *shown = text_escape(locked->grant.inside);
                error_set(&err, EPERM, "%s inside is granted by a locked line of the description", shown);
                error_remedy(&err, "no command takes that back: stop the environment and change the description");
                audit(g, "refused", locked, "revoke of a locked grant");
        } else if (!count && !wanted.all) {
                cleanup_free char *shown = wanted.resource ? text_escape(wanted.resource) : NULL;
                if (wanted.by_id)
                        error_set(&err, ENOENT, "there is no grant %llu", (unsigned long long)wanted.id);
                else
                        error_set(&err, ENOENT, wanted.set ? "nothing of the set '%s' is granted" : "%s is not granted",
                                  wanted.set ? wanted.set : shown);
        }
        if (err.code) {
                warden_send_error(g->warden, asker, &err);
        } else if (!count) {
                struct message_out *out = warden_answer(g->warden, asker, MESSAGE_REVOKE, 0);
                message_number(out, TAG_COUNT, 0);
                warden_send(g->warden, asker, out);
        } else {
                struct ending_rights *waiting = memory_new(sizeof *waiting);
                *waiting = (struct ending_rights){.asker = asker, .type = MESSAGE_REVOKE, .left = 1};
                /* One that ends at once must not end the waiting for the others. */
                for (size_t i = 0; i < count; i++) {
                        if (by) {
                                free(ending[i]->ended_by);
                                ending[i]->ended_by = memory_string(by);
                        }
                        right_end(ending[i], "revoked", waiting);
                }
                ending_rights_done(g, waiting);
        }
        free(ending);
        free(wanted.resource);
        free(wanted.set);
        free(wanted.to);
}
