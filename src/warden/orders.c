// SPDX-License-Identifier: GPL-3.0-or-later
/* Orders to init that change the view, and what becomes of them: see warden.h. A few at a time; the others wait their
 * turn. */
#include "warden/inner.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <string.h>

#define AT_ONCE 8

static void finish(struct warden *w, size_t i, struct outcome_of_order *outcome)
{
        struct pending_order pending = w->orders[i];
        memmove(&w->orders[i], &w->orders[i + 1], (--w->order_count - i) * sizeof *w->orders);
        free(pending.order);
        if (pending.fd >= 0)
                close(pending.fd);
        pending.done(pending.context, outcome);
        if (outcome->fd >= 0)
                close(outcome->fd);
}

static void dispatch(struct warden *w)
{
        size_t under_way = 0;
        for (size_t i = 0; i < w->order_count && under_way < AT_ONCE; i++) {
                struct pending_order *p = &w->orders[i];
                if (!p->sent) {
                        int result = host_order(w->init_socket, p->order, &p->fd, p->fd >= 0);
                        if (result == -EAGAIN)
                                return; /* it has enough to do */
                        p->sent = true;
                        if (p->fd >= 0)
                                close(p->fd);
                        p->fd = -1;
                }
                under_way++;
        }
}

static void order(struct warden *w, enum order_type type, const char *path, unsigned flags, int value, int fd,
                  order_done *done, void *context)
{
        cleanup_error struct error err = ERROR_INIT;
        struct outcome_of_order refused = {.handle = -1, .fd = -1, .err = &err};
        struct order *o = memory_new(sizeof *o);
        *o = ORDER_INIT(type, ++w->next_id, value, flags);
        int copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (strlen(path) >= sizeof o->path)
                refused.result = error_set(&err, ENAMETOOLONG, "a name inside has at most %d bytes", ORDER_PATH - 1);
        else if (fd >= 0 && copy < 0)
                refused.result = error_sys(&err, errno, "cannot hand a descriptor to the environment");
        else
                memcpy(o->path, path, strlen(path) + 1);
        *vector_add(w->orders, w->order_count, w->order_capacity) =
                (struct pending_order){.order = o, .fd = copy, .done = done, .context = context};
        if (refused.result < 0)
                finish(w, w->order_count - 1, &refused);
        else
                dispatch(w);
}

void orders_news(struct warden *w, const struct news *news, int *fd)
{
        for (size_t i = 0; i < w->order_count; i++) {
                if (w->orders[i].order->id != news->id || !w->orders[i].sent)
                        continue;
                cleanup_error struct error err = ERROR_INIT;
                struct outcome_of_order outcome = {.handle = news->value, .fd = *fd, .err = &err};
                *fd = -1;
                if (news->code) {
                        outcome.handle = -1;
                        outcome.result = error_set(&err, news->code, "%s", news->text);
                        if (news->remedy[0])
                                error_remedy(&err, "%s", news->remedy);
                }
                finish(w, i, &outcome);
                break;
        }
        dispatch(w);
}

void warden_mount_fuse(struct warden *w, const char *inside, bool is_file, enum grant_mode mode, unsigned flags,
                       order_done *done, void *context)
{
        order(w, ORDER_MOUNT, inside,
              (is_file ? ORDER_FILE : 0) | (mode == GRANT_RW ? 0 : ORDER_READ_ONLY) |
                      (flags & GRANT_NOEXEC ? ORDER_NOEXEC : 0),
              0, -1, done, context);
}

void warden_mount_placeholder(struct warden *w, const char *inside, bool is_file, order_done *done, void *context)
{
        order(w, ORDER_MOUNT, inside, (is_file ? ORDER_FILE : 0) | ORDER_ASKS, 0, -1, done, context);
}

void warden_attach(struct warden *w, const char *inside, bool is_file, int tree, order_done *done, void *context)
{
        order(w, ORDER_ATTACH, inside, is_file ? ORDER_FILE : 0, 0, tree, done, context);
}

void warden_change_view(struct warden *w, int change, unsigned covered, bool back, order_done *done, void *context)
{
        order(w, ORDER_VIEW, "", back ? ORDER_BACK : 0, (int)covered, change, done, context);
}

void warden_look(struct warden *w, int handle, order_done *done, void *context)
{
        order(w, ORDER_LOOK, "", 0, handle, -1, done, context);
}

void warden_measure(struct warden *w, order_done *done, void *context)
{
        order(w, ORDER_MEASURE, "", 0, 0, -1, done, context);
}

void warden_reach(struct warden *w, bool root, order_done *done, void *context)
{
        order(w, ORDER_REACH, "", 0, root, -1, done, context);
}

void warden_detach(struct warden *w, int handle, order_done *done, void *context)
{
        order(w, ORDER_DETACH, "", 0, handle, -1, done, context);
}
