// SPDX-License-Identifier: GPL-3.0-or-later
/* Channels of a running environment: how one is made, handed to the warden, and taken back. */
#include "verbs/channel.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "host/resource.h"
#include "model/kept.h"
#include "verbs/channelspec.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

/* What is made for a channel, until the warden has it. */
struct making {
        struct granting *g;
        struct channel_spec spec;
        char *text; /* of the commands */
        unsigned parts;
        int partners, sockets;   /* directories of the environment */
        char outer[64], inner[64]; /* names of sockets in them, or "" */
        const char *placed;      /* name outside where a socket was made, or NULL */
        int fds[4];
        size_t count;
        struct text shown;       /* its other end, for people */
};

static void making_clear(struct making *m)
{
        for (size_t i = 0; i < m->count; i++)
                close(m->fds[i]);
        if (m->outer[0])
                unlinkat(m->partners, m->outer, 0);
        if (m->inner[0])
                unlinkat(m->sockets, m->inner, 0);
        if (m->placed)
                unlink(m->placed);
        if (m->partners >= 0)
                close(m->partners);
        if (m->sockets >= 0)
                close(m->sockets);
        free(m->text);
        text_clear(&m->shown);
}

static int open_place(int directory, const char *name, struct error *err)
{
        mkdirat(directory, name, 0700);
        int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? error_sys(err, errno, "cannot make a place for channels in the environment's directory") : fd;
}

static char *partner_path(const char *environment, const char *channel)
{
        cleanup_free char *state = store_path();
        return memory_format("%s/env/%s/" CHANNEL_PARTNERS "/%s", state, environment, channel);
}

/* A listening socket on the outer side, in the environment's directory. It has a temporary name until the warden
 * has taken it: one of that name may be in use. */
static int listen_outside(struct making *m, const char *channel, int type, struct error *err)
{
        cleanup_free char *path = partner_path(m->g->name, channel);
        snprintf(m->outer, sizeof m->outer, ".%d", (int)getpid());
        int fd = host_socket_listen(type, m->partners, m->outer, channel, NULL, err);
        if (fd < 0)
                return fd;
        m->fds[m->count++] = fd;
        m->parts |= BRING_OUTER;
        if (strlen(path) >= sizeof m->spec.partner)
                return error_set(err, ENAMETOOLONG, "the name of the state directory is too long");
        memcpy(m->spec.partner, path, strlen(path) + 1);
        text_add(&m->shown, path);
        return 0;
}

static int listen_inside(struct making *m, int type, struct error *err)
{
        struct timespec now;
        int tree = -1;
        clock_gettime(CLOCK_MONOTONIC, &now);
        snprintf(m->inner, sizeof m->inner, "%d-%lld.%09ld", (int)getpid(), (long long)now.tv_sec, now.tv_nsec);
        int fd = host_socket_listen(type, m->sockets, m->inner, "the channel", &tree, err);
        if (fd < 0)
                return fd;
        m->fds[m->count++] = fd;
        m->fds[m->count++] = tree;
        m->parts |= BRING_INNER;
        return 0;
}

/* STREAM, MESSAGES. */
static int make_stream(struct making *m, const struct channel_plan *plan, struct error *err)
{
        struct channel_spec *spec = &m->spec;
        int type = plan->form == FORM_MESSAGES ? SOCK_SEQPACKET : SOCK_STREAM, result = 0;
        bool inside = plan->leads == LEADS_INSIDE, outside = plan->leads == LEADS_OUTSIDE;
        spec->kind = plan->form == FORM_MESSAGES ? CHANNEL_MESSAGES : CHANNEL_STREAM;
        if (outside || inside) {
                struct channel_side *side = &spec->side[inside ? CHANNEL_INSIDE : CHANNEL_OUTSIDE];
                cleanup_free char *path = inside ? memory_string(plan->where) : granting_path(plan->where);
                if (strlen(path) >= sizeof side->path)
                        return error_set(err, ENAMETOOLONG, "the name of the socket is too long");
                side->does = CHANNEL_CONNECT;
                memcpy(side->path, path, strlen(path) + 1);
                if (inside)
                        m->parts |= BRING_ROOT | BRING_NETWORK;
                else
                        text_add(&m->shown, path);
        }
        if (!outside)
                result = listen_outside(m, plan->name, type, err);
        if (result == 0 && inside)
                text_addf(&m->shown, " > %s", plan->where);
        else if (result == 0)
                result = listen_inside(m, type, err);
        return result;
}

/* A listening TCP or UNIX socket outside, or one of UDP, where the user said. */
static int listen_at(struct making *m, const char *word, struct channel_side *side, bool udp, struct error *err)
{
        union channel_address a;
        int on = 1;
        if (side->family == AF_UNIX) {
                cleanup_free char *parent = path_parent(side->path);
                struct stat st;
                cleanup_close int directory = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (directory < 0)
                        return error_sys(err, errno, "cannot open %s", parent);
                if (fstatat(directory, path_name(side->path), &st, AT_SYMLINK_NOFOLLOW) == 0)
                        return error_set(err, EEXIST, "there is a %s already", side->path);
                int fd = host_socket_listen(SOCK_STREAM, directory, path_name(side->path), word, NULL, err);
                if (fd < 0)
                        return fd;
                (void)!fchmodat(directory, path_name(side->path), 0600, 0);
                m->placed = side->path;
                memcpy(m->spec.partner, side->path, sizeof side->path);
                m->fds[m->count++] = fd;
                m->parts |= BRING_OUTER;
                return 0;
        }
        cleanup_close int fd = socket((int)side->family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        socklen_t size = channel_address(side, &a);
        if (!udp) /* of UDP it would let two have one port */
                setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (side->family == AF_INET6)
                setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        if (fd < 0 || bind(fd, &a.any, size) < 0 || (!udp && listen(fd, 4096) < 0))
                return error_sys(err, errno, "cannot listen on %s", word);
        m->fds[m->count++] = steal_fd(&fd);
        m->parts |= BRING_OUTER;
        return 0;
}

static int make_port(struct making *m, const struct channel_plan *plan, struct error *err)
{
        struct channel_side side[2];
        struct channel_at at[2];
        int result = 0;
        for (int i = 0; i < 2; i++) {
                result = channel_at_from_word(plan->words[i], &at[i], err);
                if (result < 0)
                        return result;
                channel_side_of(&at[i], &side[i]);
        }
        m->spec.kind = at[0].udp ? CHANNEL_DATAGRAMS : CHANNEL_STREAM;
        m->parts |= BRING_NETWORK | (at[1].path && at[1].inside ? BRING_ROOT : 0u);
        side[0].does = at[0].inside ? CHANNEL_LISTEN : CHANNEL_ACCEPT;
        side[1].does = CHANNEL_CONNECT;
        if (!at[0].inside)
                result = listen_at(m, plan->words[0], &side[0], at[0].udp, err);
        m->spec.side[at[0].inside ? CHANNEL_INSIDE : CHANNEL_OUTSIDE] = side[0];
        m->spec.side[at[1].inside ? CHANNEL_INSIDE : CHANNEL_OUTSIDE] = side[1];
        m->placed = m->placed ? m->spec.partner : NULL;
        text_addf(&m->shown, "%s > %s", plan->words[0], plan->words[1]);
        return result;
}

static int make_exec(struct making *m, const struct channel_plan *plan, struct error *err)
{
        size_t size = 0;
        cleanup_free char *names = NULL;
        m->spec.kind = CHANNEL_EXEC;
        channel_commands(plan, &m->text, &size, &names);
        m->spec.text = (uint32_t)size;
        text_add(&m->shown, names);
        return listen_inside(m, SOCK_STREAM, err);
}

/* Asks the warden for it, and starts the server if there is none. */
static int send_channel(struct making *m, const struct channel_plan *plan, const char *inside, const char *by,
                        struct error *err)
{
        cleanup_free char *resource = memory_format("%s %s", channel_form_word(plan->form), m->shown.data ? m->shown.data : "");
        m->fds[0] = channel_seal(&m->spec, m->text, err);
        if (m->fds[0] < 0) {
                m->fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
                return -err->code;
        }
        for (int tries = 0;; tries++) {
                struct message_out *out = client_begin(&m->g->client, MESSAGE_GRANT);
                message_text(out, TAG_RESOURCE, resource);
                message_text(out, TAG_INSIDE, inside);
                message_number(out, TAG_KIND, GRANT_CHANNEL);
                message_number(out, TAG_MODE, GRANT_RW);
                message_number(out, TAG_PARTS, m->parts);
                message_text(out, TAG_BY, by);
                int result = client_call(&m->g->client, m->fds, m->count, err);
                uint64_t need = 0;
                if (result >= 0 || tries == 2 || m->g->client.socket < 0 ||
                    m->g->client.answer.header.type != MESSAGE_ERROR ||
                    !message_get_number(&m->g->client.answer, TAG_NEED, &need))
                        return result;
                error_clear(err);
                result = granting_bring_server(m->g, (enum grant_kind)need, err);
                if (result < 0)
                        return result;
        }
}

/* The other environment gets the outer end under the same name. */
static int give_other(const struct channel_plan *plan, const char *partner, const char *inside, const char *by,
                      struct error *err)
{
        cleanup_granting struct granting other = GRANTING_INIT;
        struct grant grant = {.resource = (char *)partner, .inside = (char *)inside};
        int result = granting_open(&other, plan->where, err);
        if (result == 0)
                result = granting_needs_warden(&other, err);
        other.own = true;
        return result < 0 ? result : granting_give(&other, &grant, by, NULL, err);
}

static int take_back(struct granting *g, const char *inside, uint64_t *lost, struct error *err)
{
        cleanup_free char *by = granting_user();
        struct message_out *out = client_begin(&g->client, MESSAGE_REVOKE);
        message_text(out, TAG_RESOURCE, inside);
        message_text(out, TAG_BY, by);
        int result = client_call(&g->client, NULL, 0, err);
        *lost = 0;
        if (result > 0)
                message_get_number(&g->client.answer, TAG_LOST, lost);
        return result < 0 ? result : 0;
}

static int open_linked(struct granting *g, const struct channel_plan *plan, const char *inside, const char *by,
                       char **line, struct error *err)
{
        struct making m = {.g = g, .partners = -1, .sockets = -1, .count = 1, .fds = {-1, -1, -1, -1}};
        bool other = plan->leads == LEADS_OTHER;
        m.spec.version = CHANNEL_VERSION;
        for (int i = 0; i < 2; i++)
                m.spec.side[i] = (struct channel_side){.does = CHANNEL_ACCEPT, .family = AF_UNIX};
        int result = m.partners = open_place(g->directory, CHANNEL_PARTNERS, err);
        if (result >= 0)
                result = m.sockets = open_place(g->directory, GRANTING_SOCKETS, err);
        if (result >= 0)
                result = plan->form == FORM_PORT   ? make_port(&m, plan, err)
                         : plan->form == FORM_EXEC ? make_exec(&m, plan, err)
                                                   : make_stream(&m, plan, err);
        if (result >= 0)
                result = send_channel(&m, plan, inside, by, err);
        if (result >= 0 && m.outer[0]) {
                if (renameat(m.partners, m.outer, m.partners, plan->name) < 0)
                        result = error_sys(err, errno, "cannot name the outer end");
                else
                        m.outer[0] = '\0';
        }
        if (result >= 0) {
                uint64_t lost;
                cleanup_error struct error unheard = ERROR_INIT;
                m.placed = NULL;
                if (other)
                        result = give_other(plan, m.spec.partner, inside, by, err);
                if (result < 0)
                        take_back(g, inside, &lost, &unheard);
        }
        bool named = m.parts & BRING_INNER;
        if (result >= 0)
                *line = other ? memory_format("%s, %s: %s", g->name, plan->where, inside)
                              : memory_format("%s: %s%s%s", g->name, named ? inside : "", named ? " - " : "",
                                              m.shown.data ? m.shown.data : "");
        making_clear(&m);
        return result < 0 ? result : 0;
}

/* FILES: a directory both see. */
static int open_files(struct granting *g, const struct channel_plan *plan, const char *inside, const char *by,
                      char **line, struct error *err)
{
        cleanup_free char *path = plan->count ? granting_path(plan->words[0]) : partner_path(g->name, plan->name);
        struct grant grant = {.resource = path, .inside = (char *)inside, .writable = true};
        bool own = g->own;
        if (!plan->count) {
                cleanup_close int partners = open_place(g->directory, CHANNEL_PARTNERS, err);
                if (partners < 0)
                        return partners;
                if (mkdirat(partners, plan->name, 0700) < 0 && errno != EEXIST)
                        return error_sys(err, errno, "cannot make %s", path);
                g->own = true;
        }
        int result = granting_give(g, &grant, by, NULL, err);
        g->own = own;
        if (result == 0)
                *line = memory_format("%s: %s - %s", g->name, inside, path);
        return result;
}

int channel_open(struct granting *g, const struct channel_plan *plan, const char *by, char **line, struct error *err)
{
        cleanup_free char *inside = memory_format(CHANNEL_PLACE "/%s", plan->name);
        return plan->form == FORM_FILES ? open_files(g, plan, inside, by, line, err)
                                        : open_linked(g, plan, inside, by, line, err);
}

int channel_close(struct granting *g, const char *name, uint64_t *lost, struct error *err)
{
        cleanup_free char *inside = memory_format(CHANNEL_PLACE "/%s", name);
        return take_back(g, inside, lost, err);
}

static int again(struct granting *g, const struct channel_plan *plan, const char *by)
{
        cleanup_error struct error err = ERROR_INIT;
        cleanup_free char *line = NULL;
        int result = channel_open(g, plan, by, &line, &err);
        if (result < 0) {
                error_context(&err, "channel '%s' is not opened", plan->name);
                error_print(stderr, &err);
        }
        return result;
}

int channels_again(struct granting *g)
{
        cleanup_error struct error err = ERROR_INIT;
        cleanup_channel_plans struct channel_plans kept = {0};
        const struct channel_plans *described = &g->environment.channels;
        int failed = 0;
        if (kept_channels_load(g->directory, &kept, &err) < 0) {
                error_print(stderr, &err);
                failed = -1;
        }
        for (size_t i = 0; i < described->count; i++)
                if (again(g, &described->items[i], "description") < 0)
                        failed = -1;
        for (size_t i = 0; i < kept.count; i++)
                if (!channel_plans_find(described, kept.items[i].name) && again(g, &kept.items[i], "kept") < 0)
                        failed = -1;
        return failed;
}

int channels_forget(struct granting *g, const char *name, struct error *err)
{
        cleanup_channel_plans struct channel_plans kept = {0};
        int result = kept_channels_load(g->directory, &kept, err), removed = 0;
        if (result < 0)
                return result;
        if (name) {
                removed = channel_plans_remove(&kept, name);
        } else {
                removed = (int)kept.count;
                channel_plans_clear(&kept);
        }
        result = removed ? kept_channels_save(g->directory, &kept, err) : 0;
        return result < 0 ? result : removed;
}
