// SPDX-License-Identifier: GPL-3.0-or-later
/* The rights of a started environment: see grants.h. */
#include "warden/grants.h"

#include "base/cleanup.h"

struct grants {
        struct warden *warden;
};

struct grants *grants_new(struct warden *w)
{
        struct grants *g = memory_new(sizeof *g);
        g->warden = w;
        return g;
}

void grants_free(struct grants *g)
{
        free(g);
}

void grants_request(struct grants *g, struct asker asker, const struct message *m, int *fds, size_t count)
{
        (void)fds;
        (void)count;
        if (m->header.type == MESSAGE_GRANTS) {
                struct message_out *out = warden_answer(g->warden, asker, MESSAGE_GRANTS, 0);
                message_number(out, TAG_COUNT, 0);
                warden_send(g->warden, asker, out);
                return;
        }
        cleanup_error struct error err = ERROR_INIT;
        error_set(&err, EOPNOTSUPP, "this warden gives no rights");
        warden_send_error(g->warden, asker, &err);
}

size_t grants_poll(struct grants *g, struct pollfd *fds, size_t room)
{
        (void)g;
        (void)fds;
        (void)room;
        return 0;
}

void grants_ready(struct grants *g, const struct pollfd *fds, size_t count)
{
        (void)g;
        (void)fds;
        (void)count;
}

int64_t grants_deadline(const struct grants *g)
{
        (void)g;
        return -1;
}

void grants_due(struct grants *g, int64_t now)
{
        (void)g;
        (void)now;
}
