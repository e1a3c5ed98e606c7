// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Changes of the view of a started environment (MESSAGE_VIEW).
 *
 * The client works out what is to be done (plan/change.h) and sends it as a sealed memory file; init has it carried
 * out. Here is kept what was done before, because a change that leads back to what a name showed before the last one is
 * done by looking below it, because mounts of earlier changes are told apart from those that stand since the start, and
 * because no layer is mounted twice.
 */
#include "warden/views.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "plan/change.h"
#include "warden/grants.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHANGE_LIMIT (1 << 20) /* bytes: thousands of rules */
#define DONE_LIMIT 1000        /* changes in one life of an environment: each is a mount that stays */

struct done {
        char *path;
        unsigned long before, after;
        int *slots; /* that it has mounted, ending with -1 */
};

struct views {
        struct warden *w;
        const struct grants *grants;
        struct done *done; /* in their order */
        size_t count, capacity;
        bool busy;         /* one is being carried out */
};

struct views *views_new(struct warden *w, const struct grants *grants)
{
        struct views *v = memory_new(sizeof *v);
        v->w = w;
        v->grants = grants;
        return v;
}

void views_free(struct views *v)
{
        while (v->count) {
                free(v->done[--v->count].path);
                free(v->done[v->count].slots);
        }
        free(v->done);
        free(v);
}

/* A change on its way. */
struct request {
        struct views *views;
        struct asker asker;
        struct plan_change change;
        struct plan made;
        bool back;
};

static void request_free(struct request *r)
{
        plan_change_clear(&r->change);
        plan_clear(&r->made);
        free(r);
}

/* Does the change lead back to what was there before the last one that touches its subtree? */
static bool leads_back(const struct views *v, const struct plan_change *c)
{
        for (size_t i = v->count; i-- > 0;) {
                const struct done *last = &v->done[i];
                if (strcmp(last->path, c->path) == 0)
                        return last->before == c->after;
                if (path_is_below(last->path, c->path) || path_is_below(c->path, last->path))
                        return false;
        }
        return false;
}

/* Has an earlier change mounted a slot that this one would mount? */
static bool mounts_again(const struct views *v, const struct plan_change *c)
{
        for (size_t s = 0; s < c->count; s++)
                for (size_t i = 0; !c->steps[s].keep && c->steps[s].op->slot >= 0 && i < v->count; i++)
                        for (const int *slot = v->done[i].slots; *slot >= 0; slot++)
                                if (*slot == c->steps[s].op->slot)
                                        return true;
        return false;
}

static unsigned covered(const struct views *v, const char *path)
{
        unsigned n = 0;
        for (size_t i = 0; i < v->count; i++)
                n += strcmp(v->done[i].path, path) == 0;
        return n;
}

/* The slots that it has mounted. Fresh memory. */
static int *slots_of(const struct request *r)
{
        int *slots = memory_grow(NULL, r->change.count + 1, sizeof *slots);
        size_t count = 0;
        for (size_t s = 0; !r->back && s < r->change.count; s++)
                if (!r->change.steps[s].keep && r->change.steps[s].op->slot >= 0)
                        slots[count++] = r->change.steps[s].op->slot;
        slots[count] = -1;
        return slots;
}

static void carried_out(void *context, struct outcome_of_order *outcome)
{
        struct request *r = context;
        struct views *v = r->views;
        v->busy = false;
        if (outcome->result < 0) {
                warden_send_error(v->w, r->asker, outcome->err);
                request_free(r);
                return;
        }
        *vector_add(v->done, v->count, v->capacity) = (struct done){.path = steal_pointer(&r->change.path),
                                                                    .before = r->change.before,
                                                                    .after = r->change.after,
                                                                    .slots = slots_of(r)};
        struct message_out *m = warden_answer(v->w, r->asker, MESSAGE_VIEW, 0);
        warden_send(v->w, r->asker, m);
        request_free(r);
}

/* The text in the memory file. It is sealed, so that what was read is what is carried out. Fresh memory. */
static char *read_sealed(int fd, struct error *err)
{
        const int wanted = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
        struct stat st;
        int seals = fd < 0 ? -1 : fcntl(fd, F_GET_SEALS);
        if (seals < 0 || (seals & wanted) != wanted || fstat(fd, &st) < 0 || st.st_size <= 0 ||
            st.st_size > CHANGE_LIMIT) {
                error_set(err, EINVAL, "a change of the view comes in a sealed memory file of at most %d bytes",
                          CHANGE_LIMIT);
                return NULL;
        }
        cleanup_free char *text = memory_new((size_t)st.st_size + 1);
        if (pread(fd, text, (size_t)st.st_size, 0) != st.st_size || memchr(text, '\0', (size_t)st.st_size)) {
                error_set(err, EINVAL, "a change of the view is not in the form that it must have");
                return NULL;
        }
        return steal_pointer(&text);
}

void views_request(struct views *v, struct asker asker, const int *fds, size_t count)
{
        cleanup_error struct error err = ERROR_INIT;
        cleanup_free char *text = read_sealed(count ? fds[0] : -1, &err);
        struct request *r = memory_new(sizeof *r);
        *r = (struct request){.views = v, .asker = asker};
        if (!text || plan_change_decode(text, &r->change, &r->made, &err) < 0) {
                warden_send_error(v->w, asker, &err);
                request_free(r);
                return;
        }
        r->back = leads_back(v, &r->change);
        const char *granted = grants_below(v->grants, r->change.path);
        if (granted) {
                cleanup_free char *shown = text_escape(granted);
                error_set(&err, EBUSY, "something is granted on %s, which the change would cover", shown);
                error_remedy(&err, "`paddock revoke %s %s` first", warden_name(v->w), shown);
        } else if (v->busy) {
                error_set(&err, EAGAIN, "another change of the view is being carried out");
        } else if (!r->back && mounts_again(v, &r->change)) {
                error_set(&err, EBUSY, "%s: its layer is in use, and is not mounted twice", r->change.path);
                error_remedy(&err, "keep the change in the description and restart the environment");
        } else if (v->count >= DONE_LIMIT) {
                error_set(&err, ENOSPC, "the view was changed %d times since the start", DONE_LIMIT);
                error_remedy(&err, "restart the environment");
        }
        if (err.code) {
                warden_send_error(v->w, asker, &err);
                request_free(r);
                return;
        }
        v->busy = true;
        warden_change_view(v->w, fds[0], covered(v, r->change.path), r->back, carried_out, r);
}
