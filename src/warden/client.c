// SPDX-License-Identifier: GPL-3.0-or-later
/* A client of a warden: see client.h. */
#include "warden/client.h"

#include "base/cleanup.h"
#include "host/living.h"

#include <poll.h>

int client_open(struct client *c, int directory, struct error *err)
{
        *c = CLIENT_CLOSED;
        int socket = host_connect(directory, "control");
        if (socket == -ECONNREFUSED || socket == -ENOENT)
                return socket;
        if (socket < 0)
                return error_sys(err, -socket, "cannot connect to the warden");
        c->socket = socket;
        c->sent = memory_grow(NULL, MESSAGE_LIMIT, 1);
        c->received = memory_grow(NULL, MESSAGE_LIMIT, 1);
        cleanup_close int proof = host_own_namespace();
        message_number(client_begin(c, MESSAGE_HELLO), TAG_VERSION, MESSAGE_VERSION);
        int result =
                proof < 0 ? error_sys(err, -proof, "cannot open /proc/self/ns/user") : client_call(c, &proof, 1, err);
        if (result < 0)
                client_close(c);
        if (result == -EPIPE || result == -ECONNRESET) { /* it was just ending */
                error_clear(err);
                return -ECONNREFUSED;
        }
        return result < 0 ? result : 0;
}

void client_close(struct client *c)
{
        if (c->socket >= 0)
                close(c->socket);
        free(c->sent);
        free(c->received);
        *c = CLIENT_CLOSED;
}

struct message_out *client_begin(struct client *c, enum message_type type)
{
        message_begin(&c->out, c->sent, MESSAGE_LIMIT, type, 0, ++c->serial);
        return &c->out;
}

int client_receive(struct client *c, int timeout, struct error *err)
{
        for (;;) {
                struct pollfd wait = {.fd = c->socket, .events = POLLIN};
                int ready = poll(&wait, 1, timeout);
                if (ready == 0)
                        return 0;
                if (ready < 0 && errno != EINTR)
                        return error_sys(err, errno, "cannot wait for the warden");
                if (ready < 0)
                        continue;
                int fds[HOST_DESCRIPTORS];
                size_t count;
                int n = host_receive(c->socket, c->received, MESSAGE_LIMIT, fds, &count);
                while (count)
                        close(fds[--count]);
                if (n == -EAGAIN)
                        continue;
                if (n == 0 || n == -ECONNRESET)
                        return error_set(err, EPIPE, "the warden ended");
                if (n < 0)
                        return error_sys(err, -n, "cannot hear the warden");
                if (message_parse(&c->answer, c->received, (size_t)n) < 0)
                        return error_set(
                                err, EPROTO,
                                "the warden speaks another version (%u): stop the environment with the paddock "
                                "that started it",
                                message_version(&c->answer));
                return 1;
        }
}

static int await(struct client *c, struct error *err)
{
        for (;;) {
                int result = client_receive(c, -1, err);
                if (result < 0)
                        return result;
                if (!(c->answer.header.flags & MESSAGE_ANSWER) || c->answer.header.serial != c->serial)
                        continue;
                return c->answer.header.type == MESSAGE_ERROR ? message_error(&c->answer, err) : 1;
        }
}

int client_call(struct client *c, const int *fds, size_t count, struct error *err)
{
        int size = message_end(&c->out);
        if (size < 0)
                return error_sys(err, -size, "the request is too long");
        for (;;) {
                int result = host_send(c->socket, c->sent, (size_t)size, fds, count);
                if (result == 0)
                        break;
                if (result == -EPIPE || result == -ECONNRESET)
                        return error_set(err, EPIPE, "the warden ended");
                if (result != -EAGAIN)
                        return error_sys(err, -result, "cannot speak with the warden");
                struct pollfd wait = {.fd = c->socket, .events = POLLOUT};
                poll(&wait, 1, 1000);
        }
        return await(c, err);
}

int client_next(struct client *c, struct error *err)
{
        return c->answer.header.flags & MESSAGE_MORE ? await(c, err) : 0;
}
