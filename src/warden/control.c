// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The connections of the control socket: who may, how much, and what is asked.
 *
 * Nothing that a client does makes the warden wait: it reads what is there, and queues what a client does not take, up
 * to a bound.
 */
#include "warden/inner.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>

static unsigned char received[MESSAGE_LIMIT], sent[MESSAGE_LIMIT];

static struct connection *find(struct warden *w, uint32_t id)
{
        for (size_t i = 0; i < w->connection_count; i++)
                if (w->connections[i].id == id && w->connections[i].fd >= 0)
                        return &w->connections[i];
        return NULL;
}

static void drop(struct connection *c)
{
        if (c->fd >= 0)
                close(c->fd);
        c->fd = -1;
        for (struct queued *q = c->first, *next; q; q = next) {
                next = q->next;
                free(q);
        }
        c->first = NULL;
        c->last = &c->first;
        c->queued = 0;
}

static void queue(struct connection *c, const unsigned char *bytes, size_t size)
{
        if (c->queued + size > QUEUE_LIMIT) {
                drop(c);
                return;
        }
        struct queued *q = memory_new(sizeof *q + size);
        q->size = size;
        memcpy(q->bytes, bytes, size);
        if (!c->first)
                c->last = &c->first;
        *c->last = q;
        c->last = &q->next;
        c->queued += size;
}

static void flush(struct connection *c)
{
        while (c->fd >= 0 && c->first) {
                struct queued *q = c->first;
                int result = host_send(c->fd, q->bytes, q->size, NULL, 0);
                if (result == -EAGAIN)
                        return;
                if (result < 0) {
                        drop(c);
                        return;
                }
                c->first = q->next;
                c->queued -= q->size;
                free(q);
        }
}

static void send_to(struct connection *c, struct message_out *m)
{
        int size = message_end(m);
        if (size < 0 || c->fd < 0)
                return;
        int result = c->first ? -EAGAIN : host_send(c->fd, m->data, (size_t)size, NULL, 0);
        if (result == -EAGAIN)
                queue(c, m->data, (size_t)size);
        else if (result < 0)
                drop(c);
}

struct message_out *warden_answer(struct warden *w, struct asker asker, enum message_type type, unsigned flags)
{
        message_begin(&w->out, sent, sizeof sent, type, MESSAGE_ANSWER | flags, asker.serial);
        return &w->out;
}

void warden_send(struct warden *w, struct asker asker, struct message_out *m)
{
        struct connection *c = find(w, asker.connection);
        if (c)
                send_to(c, m);
}

void warden_send_error(struct warden *w, struct asker asker, const struct error *err)
{
        w->out = (struct message_out){.data = sent, .room = sizeof sent};
        message_end_error(&w->out, asker.serial, err);
        warden_send(w, asker, &w->out);
}

void warden_send_need(struct warden *w, struct asker asker, enum grant_kind kind)
{
        struct message_out *m = warden_answer(w, asker, MESSAGE_ERROR, 0);
        message_number(m, TAG_CODE, ENOTCONN);
        message_text(m, TAG_TEXT, "the server of such rights is not started");
        message_number(m, TAG_NEED, kind);
        warden_send(w, asker, m);
}

struct message_out *warden_event(struct warden *w, enum message_type type)
{
        message_begin(&w->out, sent, sizeof sent, type, 0, 0);
        return &w->out;
}

void warden_tell(struct warden *w, struct message_out *m)
{
        for (size_t i = 0; i < w->connection_count; i++)
                if (w->connections[i].listens)
                        send_to(&w->connections[i], m);
}

void control_accept(struct warden *w)
{
        int fd = host_accept(w->listening);
        if (fd < 0)
                return;
        if (w->connection_count >= CONNECTION_LIMIT) {
                close(fd);
                return;
        }
        *vector_add(w->connections, w->connection_count,
                    w->connection_capacity) = (struct connection){.id = ++w->next_connection,
                                                                  .fd = fd,
                                                                  .since = host_clock(),
                                                                  .credit = REQUEST_BURST};
}

/* Gives a connection what it may ask since it was last looked at. */
static void refill(struct connection *c, int64_t now)
{
        int64_t earned = (now - c->since) * REQUEST_RATE / 1000;
        if (earned <= 0 || !c->known)
                return;
        c->since = now;
        c->credit = earned + c->credit > REQUEST_BURST ? REQUEST_BURST : c->credit + (unsigned)earned;
}

short control_events(struct connection *c, int64_t now)
{
        refill(c, now);
        return (short)((c->credit ? POLLIN : 0) | (c->first ? POLLOUT : 0));
}

int64_t control_deadline(const struct warden *w, int64_t now)
{
        int64_t first = -1;
        for (size_t i = 0; i < w->connection_count; i++) {
                const struct connection *c = &w->connections[i];
                int64_t due = !c->known ? c->since + HELLO_TIME : !c->credit ? now + 1000 / REQUEST_RATE : -1;
                if (due >= 0 && (first < 0 || due < first))
                        first = due;
        }
        return first;
}

void control_due(struct warden *w, int64_t now)
{
        for (size_t i = 0; i < w->connection_count; i++)
                if (!w->connections[i].known && w->connections[i].since + HELLO_TIME <= now)
                        drop(&w->connections[i]);
        for (size_t i = 0; i < w->connection_count;)
                if (w->connections[i].fd < 0) {
                        w->connections[i] = w->connections[--w->connection_count];
                        if (!w->connections[i].first)
                                w->connections[i].last = &w->connections[i].first;
                } else {
                        i++;
                }
}

void control_close_all(struct warden *w)
{
        for (size_t i = 0; i < w->connection_count; i++) {
                struct connection *c = &w->connections[i];
                if (c->fd >= 0) /* the last words are waited for, but not long: a socket holds them all unless somebody
                                   does not read */
                        flush(c);
                drop(c);
        }
}

static void ok(struct warden *w, struct asker asker, enum message_type type)
{
        warden_send(w, asker, warden_answer(w, asker, type, 0));
}

static void hello(struct warden *w, struct connection *c, struct asker asker, const int *fds, size_t count)
{
        if (count != 1 || !host_is_outside(c->fd, fds[0])) {
                cleanup_error struct error err = ERROR_INIT;
                error_set(&err, EPERM,
                          "the warden of '%s' speaks with its owner's processes, in the user namespace that it was "
                          "started "
                          "in",
                          w->name);
                warden_send_error(w, asker, &err);
                drop(c);
                return;
        }
        c->known = true;
        struct message_out *m = warden_answer(w, asker, MESSAGE_HELLO, 0);
        message_number(m, TAG_VERSION, MESSAGE_VERSION);
        message_text(m, TAG_NAME, w->name);
        message_number(m, TAG_PID, (uint64_t)getpid());
        warden_send(w, asker, m);
}

static void request_stop(struct warden *w, struct asker asker, const struct message *m)
{
        uint64_t grace = 0;
        message_get_number(m, TAG_GRACE, &grace);
        *vector_add(w->endings, w->ending_count, w->ending_capacity) = (struct ending){asker, MESSAGE_STOP};
        warden_stop(w, grace > INT32_MAX ? INT32_MAX : (int64_t)grace);
}

static void request_wait(struct warden *w, struct asker asker, const struct message *m)
{
        uint64_t what = WAIT_STOPPED;
        message_get_number(m, TAG_WHAT, &what);
        if (what == WAIT_STOPPED) {
                *vector_add(w->endings, w->ending_count, w->ending_capacity) = (struct ending){asker, MESSAGE_WAIT};
                return;
        }
        *vector_add(w->waiters, w->waiter_count, w->waiter_capacity) = asker;
        sessions_tell_waiters(w);
}

static void request_signal(struct warden *w, struct asker asker, enum message_type type)
{
        struct order order = ORDER_INIT(ORDER_SIGNAL, 0, type == MESSAGE_FREEZE ? SIGSTOP : SIGCONT, 0);
        int result = host_order(w->init_socket, &order, NULL, 0);
        if (result == 0) {
                ok(w, asker, type);
                return;
        }
        cleanup_error struct error err = ERROR_INIT;
        error_sys(&err, -result, "the environment's first process does not listen");
        warden_send_error(w, asker, &err);
}

static void request_log(struct warden *w, struct asker asker, const struct message *m)
{
        uint64_t limit;
        cleanup_error struct error err = ERROR_INIT;
        if (message_get_number(m, TAG_LIMIT, &limit) && limit >= 65536 && limit <= 1ULL << 40) {
                w->log.limit = (size_t)limit;
                ok(w, asker, MESSAGE_LOG);
                return;
        }
        error_set(&err, EINVAL, "a log has at least 64 KiB");
        warden_send_error(w, asker, &err);
}

static void answer(struct warden *w, struct connection *c, const struct message *m, int *fds, size_t count)
{
        struct asker asker = {c->id, m->header.serial};
        cleanup_error struct error err = ERROR_INIT;
        switch ((enum message_type)m->header.type) {
        case MESSAGE_HELLO:
                hello(w, c, asker, fds, count);
                break;
        case MESSAGE_STATUS:
                sessions_status(w, asker);
                break;
        case MESSAGE_STOP:
                request_stop(w, asker, m);
                break;
        case MESSAGE_ENTER:
                sessions_enter(w, asker, m, fds, count);
                break;
        case MESSAGE_LISTEN:
                c->listens = true;
                ok(w, asker, MESSAGE_LISTEN);
                grants_listener(w->grants, asker);
                break;
        case MESSAGE_FREEZE:
        case MESSAGE_THAW:
                request_signal(w, asker, (enum message_type)m->header.type);
                break;
        case MESSAGE_LOG:
                request_log(w, asker, m);
                break;
        case MESSAGE_WAIT:
                request_wait(w, asker, m);
                break;
        case MESSAGE_BEGIN:
                if (w->waits)
                        sessions_start(w);
                warden_send(w, asker, warden_answer(w, asker, MESSAGE_BEGIN, 0));
                break;
        case MESSAGE_CONSOLE:
                console_request(w, asker, m, fds, count);
                break;
        case MESSAGE_GRANT:
        case MESSAGE_REVOKE:
        case MESSAGE_GRANTS:
        case MESSAGE_ASK:
        case MESSAGE_REPLY:
        case MESSAGE_SERVER:
                grants_request(w->grants, asker, m, fds, count);
                break;
        case MESSAGE_VIEW:
                views_request(w->views, asker, fds, count);
                break;
        default:
                error_set(&err, EOPNOTSUPP, "the warden knows no request of type %u", m->header.type);
                error_remedy(&err,
                             "the environment was started by another version of paddock: stop it and start it again");
                warden_send_error(w, asker, &err);
                break;
        }
}

static void read_one(struct warden *w, struct connection *c)
{
        int fds[HOST_DESCRIPTORS];
        size_t count;
        int n = host_receive(c->fd, received, sizeof received, fds, &count);
        if (n == -EAGAIN)
                return;
        struct message m;
        int parsed = n > 0 ? message_parse(&m, received, (size_t)n) : -EBADMSG;
        if (parsed == -EPROTO) {
                cleanup_error struct error err = ERROR_INIT;
                struct asker asker = {c->id, m.header.serial};
                error_set(&err, EPROTO, "the warden speaks version %u, not %u", MESSAGE_VERSION, message_version(&m));
                error_remedy(&err,
                             "the environment was started by another version of paddock: stop it and start it again");
                warden_send_error(w, asker, &err);
        }
        if (parsed < 0 || (m.header.flags & MESSAGE_ANSWER) || (!c->known && m.header.type != MESSAGE_HELLO)) {
                drop(c);
        } else {
                c->credit--;
                answer(w, c, &m, fds, count);
        }
        for (size_t i = 0; i < count; i++)
                if (fds[i] >= 0)
                        close(fds[i]);
}

void control_ready(struct warden *w, uint32_t connection, short events)
{
        struct connection *c = find(w, connection);
        if (c && (events & POLLOUT))
                flush(c);
        if (c && c->fd >= 0 && (events & (POLLIN | POLLHUP | POLLERR)))
                read_one(w, c);
}
