// SPDX-License-Identifier: GPL-3.0-or-later
/* `paddock channel`: named links between a running environment and the outside, or another environment. */
#include "verbs/channel.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "host/resource.h"
#include "verbs/channelspec.h"
#include "verbs/granting.h"
#include "verbs/verbs.h"

#include <argp.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#define PARTNERS "channel" /* directory of the environment: the outer ends */

enum { OPTION_OUTSIDE = 0x100, OPTION_INSIDE, OPTION_TO, OPTION_REMOVE, OPTION_CALL };

struct request {
        const char *name, *channel, *outside, *inside, *to, *remove, *call;
        enum channel_form form;
        char **words; /* after the kind */
        size_t count, room;
        bool json;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct request *r = state->input;
        switch (key) {
        case OPTION_OUTSIDE:
                r->outside = arg;
                break;
        case OPTION_INSIDE:
                r->inside = arg;
                break;
        case OPTION_TO:
                r->to = arg;
                break;
        case OPTION_REMOVE:
                r->remove = arg;
                break;
        case OPTION_CALL:
                r->call = arg;
                break;
        case 'j':
                r->json = true;
                break;
        case ARGP_KEY_ARG:
                if (!r->name) {
                        r->name = arg;
                } else if (!r->channel) {
                        r->channel = arg;
                } else if (r->form == FORM_NONE) {
                        r->form = channel_form_of(arg);
                        if (r->form == FORM_NONE)
                                argp_error(state, "'%s' is no kind of channel: stream, messages, port, files, exec", arg);
                        if (r->form == FORM_EXEC) { /* what follows is for others */
                                while (state->next < state->argc)
                                        *vector_add(r->words, r->count, r->room) = state->argv[state->next++];
                        }
                } else {
                        *vector_add(r->words, r->count, r->room) = arg;
                }
                break;
        case ARGP_KEY_END:
                if (!r->name)
                        argp_error(state, r->call ? "which command?" : "which environment?");
                if (r->channel && r->form == FORM_NONE)
                        argp_error(state, "which kind: stream, messages, port, files, exec?");
                if ((r->outside != NULL) + (r->inside != NULL) + (r->to != NULL) > 1)
                        argp_error(state, "--outside, --inside and --to exclude each other");
                if ((r->outside || r->inside || r->to) && r->form != FORM_STREAM && r->form != FORM_MESSAGES)
                        argp_error(state, "--outside, --inside and --to are for stream and messages");
                break;
        default:
                return ARGP_ERR_UNKNOWN;
        }
        return 0;
}

static int check_name(const char *name, struct error *err)
{
        size_t length = strlen(name);
        if (length && length <= 48 && name[0] != '.' && name[0] != '-' &&
            strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == length)
                return 0;
        cleanup_free char *shown = text_escape(name);
        error_set(err, EINVAL, "'%s' cannot be the name of a channel", shown);
        return error_remedy(err, "letters, digits, '.', '_' and '-', at most 48, the first a letter, digit or '_'");
}

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
        return memory_format("%s/env/%s/" PARTNERS "/%s", state, environment, channel);
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
static int make_stream(struct making *m, const struct request *r, struct error *err)
{
        struct channel_spec *spec = &m->spec;
        int type = r->form == FORM_MESSAGES ? SOCK_SEQPACKET : SOCK_STREAM, result = 0;
        spec->kind = r->form == FORM_MESSAGES ? CHANNEL_MESSAGES : CHANNEL_STREAM;
        if (r->outside || r->inside) {
                struct channel_side *side = &spec->side[r->inside ? CHANNEL_INSIDE : CHANNEL_OUTSIDE];
                cleanup_free char *path = r->inside ? memory_string(r->inside) : granting_path(r->outside);
                if (path[0] != '/' || strlen(path) >= sizeof side->path)
                        return error_set(err, EINVAL, "%s is no absolute name of a socket", path);
                side->does = CHANNEL_CONNECT;
                memcpy(side->path, path, strlen(path) + 1);
                if (r->inside)
                        m->parts |= BRING_ROOT | BRING_NETWORK;
                else
                        text_add(&m->shown, path);
        }
        if (!r->outside)
                result = listen_outside(m, r->channel, type, err);
        if (result == 0 && r->inside)
                text_addf(&m->shown, " > %s", r->inside);
        else if (result == 0)
                result = listen_inside(m, type, err);
        return result;
}

/* A listening TCP or UNIX socket outside, where the user said. */
static int listen_at(struct making *m, const char *word, struct channel_side *side, struct error *err)
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
        cleanup_close int fd = socket((int)side->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        socklen_t size = channel_address(side, &a);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (fd < 0 || bind(fd, &a.any, size) < 0 || listen(fd, 4096) < 0)
                return error_sys(err, errno, "cannot listen on %s", word);
        m->fds[m->count++] = steal_fd(&fd);
        m->parts |= BRING_OUTER;
        return 0;
}

static int make_port(struct making *m, const struct request *r, struct error *err)
{
        struct channel_side side[2] = {{.does = CHANNEL_ACCEPT}, {.does = CHANNEL_CONNECT}};
        if (r->count != 2) {
                error_set(err, EINVAL, "a port channel needs where is listened, and where that leads to");
                return error_remedy(err, "port outside:8080 inside:80, or port inside:5432 outside:5432");
        }
        int from = channel_place_parse(r->words[0], &side[0], err);
        int to = from < 0 ? from : channel_place_parse(r->words[1], &side[1], err);
        if (to < 0)
                return to;
        if (from == to)
                return error_set(err, EINVAL, "one of the two is to be inside and one outside");
        int result = 0;
        m->spec.kind = CHANNEL_STREAM;
        m->parts |= BRING_NETWORK | (side[1].family == AF_UNIX && to == CHANNEL_INSIDE ? BRING_ROOT : 0u);
        if (from == CHANNEL_INSIDE && side[0].family == AF_UNIX) {
                error_set(err, EINVAL, "a socket inside has its name from the channel");
                return error_remedy(err, "`stream --outside PATH` leads from " CHANNEL_PLACE "/NAME inside to a program outside");
        }
        if (from == CHANNEL_INSIDE)
                side[0].does = CHANNEL_LISTEN;
        else
                result = listen_at(m, r->words[0], &side[0], err);
        m->spec.side[from] = side[0];
        m->spec.side[to] = side[1];
        m->placed = m->placed ? m->spec.partner : NULL;
        text_addf(&m->shown, "%s > %s", r->words[0], r->words[1]);
        return result;
}

static int make_exec(struct making *m, const struct request *r, struct error *err)
{
        size_t size = 0;
        cleanup_free char *names = NULL;
        m->spec.kind = CHANNEL_EXEC;
        int result = channel_commands(r->words, r->count, &m->text, &size, &names, err);
        m->spec.text = (uint32_t)size;
        if (names)
                text_add(&m->shown, names);
        return result < 0 ? result : listen_inside(m, SOCK_STREAM, err);
}

/* Asks the warden for it, and starts the server if there is none. */
static int send_channel(struct making *m, const struct request *r, const char *inside, struct error *err)
{
        cleanup_free char *by = granting_user();
        cleanup_free char *resource = memory_format("%s %s", channel_form_word(r->form), m->shown.data ? m->shown.data : "");
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
static int give_other(const struct request *r, const char *partner, const char *inside, struct error *err)
{
        cleanup_granting struct granting other = GRANTING_INIT;
        cleanup_free char *by = granting_user();
        struct grant grant = {.resource = (char *)partner, .inside = (char *)inside};
        int result = granting_open(&other, r->to, err);
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

static int add_linked(struct granting *g, const struct request *r, const char *inside, struct error *err)
{
        struct making m = {.g = g, .partners = -1, .sockets = -1, .count = 1, .fds = {-1, -1, -1, -1}};
        m.spec.version = CHANNEL_VERSION;
        for (int i = 0; i < 2; i++)
                m.spec.side[i] = (struct channel_side){.does = CHANNEL_ACCEPT, .family = AF_UNIX};
        int result = m.partners = open_place(g->directory, PARTNERS, err);
        if (result >= 0)
                result = m.sockets = open_place(g->directory, GRANTING_SOCKETS, err);
        if (result >= 0)
                result = r->form == FORM_PORT   ? make_port(&m, r, err)
                         : r->form == FORM_EXEC ? make_exec(&m, r, err)
                                                : make_stream(&m, r, err);
        if (result >= 0)
                result = send_channel(&m, r, inside, err);
        if (result >= 0 && m.outer[0]) {
                if (renameat(m.partners, m.outer, m.partners, r->channel) < 0)
                        result = error_sys(err, errno, "cannot name the outer end");
                else
                        m.outer[0] = '\0';
        }
        if (result >= 0) {
                m.placed = NULL;
                if (r->to)
                        result = give_other(r, m.spec.partner, inside, err);
                uint64_t lost;
                cleanup_error struct error unheard = ERROR_INIT;
                if (result < 0 && r->to)
                        take_back(g, inside, &lost, &unheard);
        }
        bool named = m.parts & BRING_INNER;
        if (result >= 0 && r->to)
                printf("%s, %s: %s\n", g->name, r->to, inside);
        else if (result >= 0)
                printf("%s: %s%s%s\n", g->name, named ? inside : "", named ? " - " : "", m.shown.data ? m.shown.data : "");
        making_clear(&m);
        return result < 0 ? result : 0;
}

/* FILES: a directory both see. */
static int add_files(struct granting *g, const struct request *r, const char *inside, struct error *err)
{
        cleanup_free char *by = granting_user();
        cleanup_free char *path = r->count ? granting_path(r->words[0]) : partner_path(g->name, r->channel);
        struct grant grant = {.resource = path, .inside = (char *)inside, .writable = true};
        if (r->count > 1)
                return error_set(err, EINVAL, "a files channel is one directory");
        if (!r->count) {
                cleanup_close int partners = open_place(g->directory, PARTNERS, err);
                if (partners < 0)
                        return partners;
                if (mkdirat(partners, r->channel, 0700) < 0 && errno != EEXIST)
                        return error_sys(err, errno, "cannot make %s", path);
                g->own = true;
        }
        int result = granting_give(g, &grant, by, NULL, err);
        if (result == 0)
                printf("%s: %s - %s\n", g->name, inside, path);
        return result;
}

static int add(struct granting *g, const struct request *r, struct error *err)
{
        cleanup_free char *inside = memory_format(CHANNEL_PLACE "/%s", r->channel);
        int result = check_name(r->channel, err);
        if (result < 0)
                return result;
        if (r->count && (r->form == FORM_STREAM || r->form == FORM_MESSAGES))
                return error_set(err, EINVAL, "'%s' means nothing here", r->words[0]);
        return r->form == FORM_FILES ? add_files(g, r, inside, err) : add_linked(g, r, inside, err);
}

/* One of `paddock channel NAME`. */
static void show(const struct held *h, json_t *array, size_t *count)
{
        const struct grant *g = &h->grant;
        size_t prefix = strlen(CHANNEL_PLACE "/");
        if (strncmp(g->inside ? g->inside : "", CHANNEL_PLACE "/", prefix) != 0)
                return;
        const char *space = g->kind == RESOURCE_CHANNEL ? strchr(g->resource, ' ') : NULL;
        cleanup_free char *kind = space ? memory_format("%.*s", (int)(space - g->resource), g->resource)
                                        : memory_string(g->kind == RESOURCE_SOCKET ? "stream" : "files");
        const char *outside = space ? space + 1 : g->resource;
        if (array) {
                json_t *one = json_pack("{s:s, s:s, s:I, s:I}", "name", g->inside + prefix, "kind", kind, "id",
                                        (json_int_t)h->id, "since", (json_int_t)h->since);
                json_object_set_new(one, "inside", json_name(g->inside));
                json_object_set_new(one, "outside", json_name(outside));
                json_object_set_new(one, "used", h->used ? json_integer((json_int_t)h->used) : json_null());
                json_array_append_new(array, one);
                return;
        }
        cleanup_free char *since = granting_time((long long)h->since);
        cleanup_free char *used = h->used ? granting_time((long long)h->used) : memory_string("-");
        cleanup_free char *shown = text_escape(outside);
        if (!(*count)++)
                printf("%-16s  %-8s  %-10s  %-10s  %s\n", "NAME", "KIND", "SINCE", "USED", "OUTSIDE");
        printf("%-16s  %-8s  %-10s  %-10s  %s\n", g->inside + prefix, kind, since, used, shown);
}

static int list(struct granting *g, bool json, struct error *err)
{
        json_t *array = json ? json_array() : NULL;
        size_t count = 0;
        client_begin(&g->client, MESSAGE_GRANTS);
        int result = client_call(&g->client, NULL, 0, err);
        while (result > 0 && (result = client_next(&g->client, err)) > 0) {
                struct held h;
                held_read(&h, &g->client.answer);
                show(&h, array, &count);
                held_clear(&h);
        }
        if (result < 0)
                json_decref(array);
        else if (json)
                result = print_json(array) ? error_set(err, EIO, "cannot print") : 0;
        return result;
}

static int end_one(struct granting *g, const struct request *r, struct error *err)
{
        cleanup_free char *inside = memory_format(CHANNEL_PLACE "/%s", r->remove);
        uint64_t lost = 0;
        int result = check_name(r->remove, err);
        if (result == 0)
                result = take_back(g, inside, &lost, err);
        if (result == 0 && lost)
                printf("%s: %llu bytes reached nobody\n", g->name, (unsigned long long)lost);
        return result;
}

int verb_channel(int argc, char **argv)
{
        static const struct argp_option options[] = {
                {"outside", OPTION_OUTSIDE, "PATH", 0, "a program outside listens there (stream, messages)", 0},
                {"inside", OPTION_INSIDE, "PATH", 0, "a program inside listens there (stream, messages)", 0},
                {"to", OPTION_TO, "NAME", 0, "to another environment instead of the outside (stream, messages)", 0},
                {"remove", OPTION_REMOVE, "CHANNEL", 0, "end this one, with all its connections", 0},
                {"call", OPTION_CALL, "SOCKET", 0, "inside: ask for a command of an exec channel", 0},
                {"json", 'j', NULL, 0, "print JSON", 0},
                {0}};
        static const struct argp argp =
                {options,
                 parse,
                 "NAME\nNAME CHANNEL stream|messages\nNAME CHANNEL port FROM TO\nNAME CHANNEL files [DIRECTORY]\n"
                 "NAME CHANNEL exec COMMAND /PROGRAM [ARGUMENT...] [-- COMMAND ...]\nNAME --remove CHANNEL\n"
                 "--call SOCKET COMMAND",
                 "Link a running environment with the outside, list such links, and end them.\v"
                 "Inside a channel is " CHANNEL_PLACE "/CHANNEL. FROM and TO are outside:[ADDRESS:]PORT or "
                 "inside:[ADDRESS:]PORT, or a name instead of the port. It is a grant: `paddock grants` shows it, "
                 "`paddock logs --audit` what became of it.",
                 0,
                 0,
                 0};
        cleanup_error struct error err = ERROR_INIT;
        cleanup_granting struct granting g = GRANTING_INIT;
        struct request r = {0};
        argp_err_exit_status = EXIT_PADDOCK;
        if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &r))
                return EXIT_PADDOCK;
        if (r.call)
                return channel_call(r.call, r.name);
        int result = granting_open(&g, r.name, &err);
        if (result == 0 && g.client.socket < 0) {
                error_set(&err, ESRCH, "environment '%s' is not started", r.name);
                result = error_remedy(&err, "`paddock start %s` starts it; a channel lasts as long as it runs", r.name);
        }
        if (result == 0)
                result = r.remove ? end_one(&g, &r, &err) : r.channel ? add(&g, &r, &err) : list(&g, r.json, &err);
        if (result < 0)
                error_print(stderr, &err);
        free(r.words);
        return result < 0 || fflush(stdout) == EOF ? EXIT_PADDOCK : 0;
}
