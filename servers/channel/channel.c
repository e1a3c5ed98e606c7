// SPDX-License-Identifier: GPL-3.0-or-later
/* Channels: how they begin, who connects, and how they end. */
#include "channel.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

struct channel *channel_find(struct state *s, uint64_t id)
{
        for (struct channel *c = s->channels; c; c = c->next)
                if (c->id == id)
                        return c;
        return NULL;
}

static int type_of(const struct channel *c)
{
        return c->spec.kind == CHANNEL_MESSAGES    ? SOCK_SEQPACKET
               : c->spec.kind == CHANNEL_DATAGRAMS ? SOCK_DGRAM
                                                   : SOCK_STREAM;
}

static bool is_side_good(const struct channel_spec *spec, const struct channel_side *side)
{
        if (!memchr(side->path, 0, sizeof side->path) || side->does < CHANNEL_ACCEPT || side->does > CHANNEL_CONNECT)
                return false;
        if (side->does == CHANNEL_ACCEPT)
                return true;
        if (side->family == AF_UNIX)
                return side->does == CHANNEL_CONNECT && side->path[0] == '/' && spec->kind != CHANNEL_DATAGRAMS;
        return (side->family == AF_INET || side->family == AF_INET6) && side->port > 0 && side->port < 65536 &&
               (spec->kind == CHANNEL_STREAM || spec->kind == CHANNEL_DATAGRAMS);
}

/* Reads what it is to be. */
static int read_spec(struct channel *c, int fd)
{
        struct stat st;
        struct channel_spec *spec = &c->spec;
        if (fstat(fd, &st) < 0 || !(fcntl(fd, F_GET_SEALS) & F_SEAL_WRITE))
                return -EBADMSG;
        if (pread(fd, spec, sizeof *spec, 0) != (ssize_t)sizeof *spec || spec->version != CHANNEL_VERSION ||
            spec->text > CHANNEL_TEXT || !memchr(spec->partner, 0, sizeof spec->partner) ||
            spec->kind < CHANNEL_STREAM || spec->kind > CHANNEL_DATAGRAMS)
                return -EBADMSG;
        if (!is_side_good(spec, &spec->side[0]) || !is_side_good(spec, &spec->side[1]) ||
            spec->side[CHANNEL_OUTSIDE].does == CHANNEL_LISTEN ||
            (spec->side[0].does == CHANNEL_CONNECT && spec->side[1].does == CHANNEL_CONNECT))
                return -EBADMSG;
        if (spec->kind == CHANNEL_DATAGRAMS && spec->side[0].does != CHANNEL_CONNECT &&
            spec->side[1].does != CHANNEL_CONNECT)
                return -EBADMSG;
        c->text = memory_new(spec->text + 2);
        return pread(fd, c->text, spec->text, sizeof *spec) == (ssize_t)spec->text ? 0 : -EBADMSG;
}

/* The inner listening socket, in the environment's network. */
static int make_listener(struct state *s, const struct channel *c, const struct channel_side *side)
{
        int type = type_of(c);
        cleanup_close int fd = c->network ? reach_socket(s, (int)side->family, type)
                                          : socket((int)side->family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return c->network ? fd : -errno;
        union channel_address a;
        int on = 1;
        if (type == SOCK_STREAM) /* of UDP it would let two have one port */
                setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (side->family == AF_INET6)
                setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        socklen_t size = channel_address(side, &a);
        if (bind(fd, &a.any, size) < 0 || (type == SOCK_STREAM && listen(fd, 4096) < 0))
                return -errno;
        return steal_fd(&fd);
}

/* Is it a socket that connections come to? */
static int check_listener(int fd, int type)
{
        int has = 0, listening = 0;
        socklen_t size = sizeof has;
        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &has, &size) < 0 ||
            getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0)
                return -errno;
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        return has == type && (listening || type == SOCK_DGRAM) ? 0 : -EPROTOTYPE;
}

int channel_add(struct state *s, uint64_t id, int spec, int outer, int inner, int network, int root)
{
        cleanup_close int spec_fd = spec, network_fd = network;
        int listeners[2] = {outer, inner};
        struct channel *c = memory_new(sizeof *c);
        *c = (struct channel){.id = id, .root = root, .network = network >= 0};
        c->listener[0] = (struct listener){{SOURCE_LISTENER, -1, 0}, c};
        c->listener[1] = (struct listener){{SOURCE_LISTENER, -1, 0}, c};
        c->next = s->channels;
        s->channels = c;
        int result = id ? read_spec(c, spec_fd) : -EINVAL;
        for (struct channel *other = c->next; result == 0 && other; other = other->next)
                if (other->id == id)
                        result = -EEXIST;
        if (result == 0 && network_fd >= 0)
                result = reach_network(s, network_fd);
        for (int i = 0; i < 2 && result == 0; i++) {
                const struct channel_side *side = &c->spec.side[i];
                if (side->does == CHANNEL_LISTEN) {
                        result = listeners[i] = make_listener(s, c, side);
                        result = result < 0 ? result : 0;
                } else if ((side->does == CHANNEL_ACCEPT) != (listeners[i] >= 0)) {
                        /* An EXEC has no outer side but the commands. */
                        result = c->spec.kind == CHANNEL_EXEC && i == CHANNEL_OUTSIDE ? 0 : -EBADMSG;
                } else if (listeners[i] >= 0) {
                        result = check_listener(listeners[i], type_of(c));
                }
                if (result == 0 && listeners[i] >= 0 && c->spec.kind == CHANNEL_DATAGRAMS)
                        datagrams_prepare(listeners[i]);
                if (result == 0 && listeners[i] >= 0)
                        c->listener[i].source.fd = steal_fd(&listeners[i]);
        }
        if (result < 0) {
                c->spec.partner[0] = '\0';
                channel_end(s, c);
        } else {
                channels_listen(s);
        }
        for (int i = 0; i < 2; i++)
                if (listeners[i] >= 0)
                        close(listeners[i]);
        return result;
}

uint64_t channel_end(struct state *s, struct channel *c)
{
        uint64_t lost = 0;
        c->dead = true;
        for (int i = 0; i < 2; i++) {
                int fd = c->listener[i].source.fd;
                if (fd < 0)
                        continue;
                watch(s, &c->listener[i].source, 0);
                shutdown(fd, SHUT_RDWR); /* whoever else has it open */
                close(fd);
                c->listener[i].source.fd = -1;
        }
        while (c->links)
                lost += link_end(s, c->links);
        while (c->calls)
                lost += call_end(s, c->calls);
        while (c->talks)
                talk_end(s, c->talks);
        if (c->spec.partner[0])
                unlink(c->spec.partner);
        if (c->root >= 0)
                close(c->root);
        free(c->text);
        struct channel **at = &s->channels;
        while (*at != c)
                at = &(*at)->next;
        *at = c->next;
        c->next = s->dead_channels;
        s->dead_channels = c;
        return lost;
}

void channel_used(struct state *s, struct channel *c)
{
        if (!c->used)
                tell(s, c, CHANNEL_USED);
        c->used = true;
}

/* Is there room for one more connection on that side? */
static bool has_room(const struct state *s, const struct channel *c, int side)
{
        if (c->spec.kind == CHANNEL_DATAGRAMS)
                return true; /* it makes room itself */
        return s->links < s->limit && c->waiting[side] < WAITING_LIMIT &&
               (c->spec.kind != CHANNEL_EXEC || c->call_count < CALL_LIMIT);
}

void channels_listen(struct state *s)
{
        for (struct channel *c = s->channels; c; c = c->next)
                for (int i = 0; i < 2; i++)
                        if (c->listener[i].source.fd >= 0)
                                watch(s, &c->listener[i].source, has_room(s, c, i) ? EPOLLIN : 0);
}

/* Both sides take connections: the one that waits longest on the other side, or NULL. */
static struct link *partner_of(const struct channel *c, int side)
{
        struct link *found = NULL;
        for (struct link *l = c->waiting[!side] ? c->links : NULL; l; l = l->next) /* the last is the eldest */
                if (l->state == LINK_WAITS && l->end[!side].source.fd >= 0)
                        found = l;
        return found;
}

void channel_accept(struct state *s, struct listener *listener)
{
        struct channel *c = listener->channel;
        int side = listener == &c->listener[CHANNEL_INSIDE] ? CHANNEL_INSIDE : CHANNEL_OUTSIDE;
        if (listener->source.fd < 0 || !has_room(s, c, side))
                return;
        if (c->spec.kind == CHANNEL_DATAGRAMS) {
                datagrams_receive(s, c, side);
                return;
        }
        int fd = accept4(listener->source.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
                /* No descriptor is left: wait until some link ends, or time has passed. */
                if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
                        watch(s, &listener->source, 0);
                        s->retrying = true;
                }
                return;
        }
        channel_used(s, c);
        if (c->spec.kind == CHANNEL_EXEC) {
                call_start(s, c, fd);
                channels_listen(s);
                return;
        }
        bool meets = c->spec.side[!side].does != CHANNEL_CONNECT;
        struct link *l = meets ? partner_of(c, side) : NULL;
        if (l) {
                c->waiting[!side]--;
                l->end[side].source.fd = fd;
                link_open(s, l);
        } else {
                l = link_new(s, c);
                l->end[side].source.fd = fd;
                if (meets)
                        c->waiting[side]++;
                else
                        link_connect(s, l, !side);
        }
        channels_listen(s);
}
