// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The resolver inside: answers on port 53 of the inner loopback, at the addresses that resolv.conf names there.
 *
 * Each question is put to the server of the role, if that wants to be asked, then to the resolver outside, and what
 * comes back goes to the program as it came. Which name gave which address is remembered on the way (names.c). A name
 * that is not allowed does not exist.
 *
 * Over TCP a question is asked by a thread of its own, which waits for nobody else; so is one whose answer was too
 * long for UDP.
 */
#include "supervisor.h"

#include "base/cleanup.h"
#include "dnsmessage.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define INNER 8       /* sockets inside */
#define UPSTREAMS 3   /* resolvers outside, as in resolv.conf(5) */
#define QUERIES 256   /* under way at once; more are dropped, and asked again by whoever asked */
#define CLIENTS 16    /* TCP connections inside at once */
#define MESSAGE 65535
#define TRY 2500      /* ms for one resolver outside */

struct query {
        struct query *next;
        int client;               /* inner socket: UDP, or a connection of its own */
        bool stream;
        union address from;       /* UDP */
        socklen_t from_size;
        int outer;                /* to the resolver outside, -1: not yet asked */
        unsigned tries;
        int64_t due;
        bool waiting;             /* for the server's word */
        bool over;                /* TCP: answered, and its thread's again */
        struct dns_question question;
        size_t size;
        uint8_t message[4096];
};

struct resolver {
        union address upstream[UPSTREAMS];
        size_t upstreams;
        int inner[INNER];
        bool inner_stream[INNER];
        size_t inner_count;
        struct query *queries;
        size_t query_count;
        _Atomic int clients;
        pthread_cond_t answered; /* with the supervisor's lock */
};

static bool parse_address(const char *word, union address *a)
{
        char host[64];
        unsigned port = 53;
        *a = (union address){0};
        snprintf(host, sizeof host, "%s", word);
        char *at = host, *colon = strrchr(host, ':');
        if (host[0] == '[') {
                at = host + 1;
                char *close_ = strchr(host, ']');
                if (!close_)
                        return false;
                *close_ = '\0';
                if (close_[1] == ':')
                        port = (unsigned)strtoul(close_ + 2, NULL, 10);
        } else if (colon && strchr(host, ':') == colon) {
                *colon = '\0';
                port = (unsigned)strtoul(colon + 1, NULL, 10);
        }
        char *zone = strchr(at, '%');
        if (zone)
                *zone = '\0';
        if (!port || port > 65535)
                return false;
        if (inet_pton(AF_INET, at, &a->four.sin_addr) == 1) {
                a->four.sin_family = AF_INET;
                a->four.sin_port = htons((uint16_t)port);
                return true;
        }
        a->six.sin6_family = AF_INET6;
        a->six.sin6_port = htons((uint16_t)port);
        return inet_pton(AF_INET6, at, &a->six.sin6_addr) == 1;
}

struct resolver *resolver_new(const char *upstream)
{
        struct resolver *r = memory_new(sizeof *r);
        pthread_cond_init(&r->answered, NULL);
        char line[512], word[128];
        if (upstream) {
                r->upstreams = parse_address(upstream, &r->upstream[0]);
                if (r->upstreams)
                        return r;
                free(r);
                return NULL;
        }
        cleanup_file FILE *file = fopen("/etc/resolv.conf", "re");
        while (file && r->upstreams < UPSTREAMS && fgets(line, sizeof line, file))
                if (sscanf(line, "nameserver %127s", word) == 1)
                        r->upstreams += parse_address(word, &r->upstream[r->upstreams]);
        return r;
}

void resolver_add(struct supervisor *s, int fd)
{
        struct resolver *r = s->resolver;
        int type = 0;
        socklen_t size = sizeof type;
        if (r->inner_count == INNER || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0) {
                close(fd);
                return;
        }
        fcntl(fd, F_SETFL, O_NONBLOCK);
        r->inner_stream[r->inner_count] = type == SOCK_STREAM;
        r->inner[r->inner_count++] = fd;
}

static void forget(struct resolver *r, struct query *q)
{
        for (struct query **at = &r->queries; *at; at = &(*at)->next) {
                if (*at != q)
                        continue;
                *at = q->next;
                break;
        }
        r->query_count--;
        if (q->outer >= 0)
                close(q->outer);
        if (q->stream) {
                q->over = true;
                pthread_cond_broadcast(&r->answered);
        } else {
                free(q);
        }
}

/* `wait`: MSG_DONTWAIT where nobody may be waited for; what finds no room is lost. */
static void write_all(int fd, const uint8_t *message, size_t size, int wait)
{
        uint8_t head[2] = {(uint8_t)(size >> 8), (uint8_t)size};
        if (send(fd, head, 2, MSG_NOSIGNAL | MSG_MORE | wait) != 2)
                return;
        while (size) {
                ssize_t n = send(fd, message, size, MSG_NOSIGNAL | wait);
                if (n <= 0)
                        return;
                message += n;
                size -= (size_t)n;
        }
}

static void reply(struct query *q, const uint8_t *message, size_t size)
{
        if (q->stream)
                write_all(q->client, message, size, MSG_DONTWAIT);
        else
                sendto(q->client, message, size, MSG_DONTWAIT | MSG_NOSIGNAL, &q->from.any, q->from_size);
}

static void refuse(struct resolver *r, struct query *q, unsigned code)
{
        uint8_t answer[512];
        size_t size = dns_refusal(q->message, &q->question, code, answer, sizeof answer);
        if (size)
                reply(q, answer, size);
        forget(r, q);
}

struct learning {
        struct supervisor *s;
        const char *name;
};

static void learn(void *context, const uint8_t *bytes, size_t size, uint32_t seconds)
{
        const struct learning *l = context;
        union address a = {0};
        if (size == 4) {
                a.four.sin_family = AF_INET;
                memcpy(&a.four.sin_addr, bytes, 4);
        } else {
                a.six.sin6_family = AF_INET6;
                memcpy(&a.six.sin6_addr, bytes, 16);
        }
        names_learn(l->s, &a, l->name, seconds);
}

static void pass_back(struct supervisor *s, struct query *q, const uint8_t *message, size_t size)
{
        struct learning l = {s, q->question.name};
        dns_addresses(message, size, learn, &l);
        reply(q, message, size);
        forget(s->resolver, q);
}

/* Is it what was asked? A stranger who guesses the port and the number still has to guess the name. */
static bool answers(const struct query *q, const uint8_t *message, size_t size)
{
        struct dns_question a;
        return dns_question(message, size, &a) && message[2] & 0x80 && a.id == q->question.id &&
               a.type == q->question.type && a.class_ == q->question.class_ && strcmp(a.name, q->question.name) == 0;
}

static bool read_all(int fd, uint8_t *to, size_t size)
{
        while (size) {
                ssize_t n = recv(fd, to, size, 0);
                if (n <= 0)
                        return false;
                to += n;
                size -= (size_t)n;
        }
        return true;
}

static int connect_upstream(const union address *a, int type)
{
        int fd = socket(a->any.sa_family, type | SOCK_CLOEXEC, 0);
        struct timeval limit = {.tv_sec = TRY / 1000, .tv_usec = TRY % 1000 * 1000};
        if (fd < 0)
                return -1;
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        if (connect(fd, &a->any, a->any.sa_family == AF_INET ? sizeof a->four : sizeof a->six) == 0)
                return fd;
        close(fd);
        return -1;
}

/* A question over TCP, from a thread that has taken it out of the list. */
struct exchange {
        struct supervisor *s;
        struct query *q;
};

static void *ask_by_stream(void *argument)
{
        struct exchange *e = argument;
        struct resolver *r = e->s->resolver;
        struct query *q = e->q;
        uint8_t *answer = malloc(MESSAGE), head[2];
        bool done = false;
        for (size_t i = 0; answer && i < r->upstreams && !done; i++) {
                cleanup_close int fd = connect_upstream(&r->upstream[i], SOCK_STREAM);
                if (fd < 0)
                        continue;
                write_all(fd, q->message, q->size, 0);
                size_t size = 0;
                if (read_all(fd, head, 2))
                        size = (size_t)head[0] << 8 | head[1];
                if (!size || !read_all(fd, answer, size) || !answers(q, answer, size))
                        continue;
                pthread_mutex_lock(&e->s->lock);
                pass_back(e->s, q, answer, size);
                pthread_mutex_unlock(&e->s->lock);
                done = true;
        }
        if (!done) {
                pthread_mutex_lock(&e->s->lock);
                refuse(r, q, 2);
                pthread_mutex_unlock(&e->s->lock);
        }
        free(answer);
        free(e);
        return NULL;
}

static bool in_thread(void *(*run)(void *), void *argument)
{
        pthread_t thread;
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        pthread_attr_setstacksize(&attributes, 256 * 1024);
        bool made = pthread_create(&thread, &attributes, run, argument) == 0;
        pthread_attr_destroy(&attributes);
        return made;
}

static void by_stream(struct supervisor *s, struct query *q)
{
        struct exchange *e = calloc(1, sizeof *e); /* one for each client: they are few */
        if (!e) {
                refuse(s->resolver, q, 2);
                return;
        }
        *e = (struct exchange){s, q};
        q->due = 0; /* the thread's from now on */
        if (!in_thread(ask_by_stream, e)) {
                free(e);
                refuse(s->resolver, q, 2);
        }
}

/* To the next resolver outside. */
static void forward(struct supervisor *s, struct query *q)
{
        struct resolver *r = s->resolver;
        if (q->outer >= 0)
                close(q->outer);
        q->outer = -1;
        if (q->stream) {
                by_stream(s, q);
                return;
        }
        while (q->tries < 2 * r->upstreams) {
                q->outer = connect_upstream(&r->upstream[q->tries++ % r->upstreams], SOCK_DGRAM);
                if (q->outer >= 0 && send(q->outer, q->message, q->size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)q->size) {
                        q->due = clock_ms() + TRY;
                        return;
                }
                if (q->outer >= 0)
                        close(q->outer);
                q->outer = -1;
        }
        refuse(r, q, 2); /* no resolver answers */
}

void resolver_answered(struct supervisor *s, struct query *q, bool allowed)
{
        q->waiting = false;
        if (allowed)
                forward(s, q);
        else
                refuse(s->resolver, q, 3);
}

/* A question has come: may it be asked? */
static void judge(struct supervisor *s, struct query *q)
{
        struct resolver *r = s->resolver;
        q->outer = -1;
        q->next = r->queries;
        r->queries = q;
        r->query_count++;
        if (!dns_question(q->message, q->size, &q->question) || q->message[2] & 0xf8) {
                forget(r, q);
                return;
        }
        struct pending *p = s->pending_count < PENDING_LIMIT ? calloc(1, sizeof *p) : NULL;
        if (!p) {
                refuse(r, q, 2);
                return;
        }
        *p = (struct pending){.next = s->pending, .serial = ++s->serial, .inner = -1, .outer = -1, .query = q,
                              .due = clock_ms() + ASK_LIMIT};
        p->question.call = PADDOCK_RESOLVE;
        p->question.resolve.type = q->question.type;
        snprintf(p->question.resolve.name, sizeof p->question.resolve.name, "%s", q->question.name);
        s->pending = p;
        s->pending_count++;
        q->waiting = true;
        q->due = p->due;
        role_ask(s, p);
}

/* Questions over TCP, one after the other: read by a thread, judged with the others. */
struct client {
        struct supervisor *s;
        int fd;
};

static void *serve_client(void *argument)
{
        struct client *c = argument;
        struct resolver *r = c->s->resolver;
        struct timeval limit = {.tv_sec = 5};
        uint8_t head[2];
        struct query *q = malloc(sizeof *q);
        setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        while (q && read_all(c->fd, head, 2)) {
                *q = (struct query){.client = c->fd, .stream = true, .size = (size_t)head[0] << 8 | head[1]};
                if (!q->size || q->size > sizeof q->message || !read_all(c->fd, q->message, q->size))
                        break;
                pthread_mutex_lock(&c->s->lock);
                if (r->query_count < QUERIES)
                        judge(c->s, q);
                else
                        q->over = true;
                while (!q->over)
                        pthread_cond_wait(&r->answered, &c->s->lock);
                pthread_mutex_unlock(&c->s->lock);
        }
        close(c->fd);
        free(q);
        free(c);
        r->clients--;
        return NULL;
}

static void accept_client(struct supervisor *s, int listening)
{
        int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
        struct client *c = fd >= 0 && s->resolver->clients < CLIENTS ? calloc(1, sizeof *c) : NULL;
        if (c) {
                *c = (struct client){s, fd};
                s->resolver->clients++;
                if (in_thread(serve_client, c))
                        return;
                s->resolver->clients--;
                free(c);
        }
        if (fd >= 0)
                close(fd);
}

static void take_datagrams(struct supervisor *s, int fd)
{
        for (int i = 0; i < 32 && s->resolver->query_count < QUERIES; i++) {
                struct query *q = calloc(1, sizeof *q);
                if (!q)
                        return;
                q->from_size = sizeof q->from;
                ssize_t n = recvfrom(fd, q->message, sizeof q->message, MSG_DONTWAIT, &q->from.any, &q->from_size);
                if (n < 0) {
                        free(q);
                        return;
                }
                q->client = fd;
                q->size = (size_t)n;
                judge(s, q);
        }
}

size_t resolver_poll(struct supervisor *s, struct pollfd *fds, size_t room)
{
        struct resolver *r = s->resolver;
        size_t n = 0;
        for (size_t i = 0; i < r->inner_count && n < room; i++)
                fds[n++] = (struct pollfd){.fd = r->inner[i], .events = POLLIN};
        for (const struct query *q = r->queries; q && n < room; q = q->next)
                if (q->outer >= 0)
                        fds[n++] = (struct pollfd){.fd = q->outer, .events = POLLIN};
        return n;
}

void resolver_ready(struct supervisor *s, const struct pollfd *fds, size_t count)
{
        struct resolver *r = s->resolver;
        uint8_t answer[4096];
        for (size_t i = 0; i < count; i++) {
                if (!fds[i].revents)
                        continue;
                for (size_t k = 0; k < r->inner_count; k++)
                        if (r->inner[k] == fds[i].fd && r->inner_stream[k])
                                accept_client(s, fds[i].fd);
                        else if (r->inner[k] == fds[i].fd)
                                take_datagrams(s, fds[i].fd);
                struct query *q = r->queries;
                while (q && q->outer != fds[i].fd)
                        q = q->next;
                if (!q)
                        continue;
                ssize_t n = recv(q->outer, answer, sizeof answer, MSG_DONTWAIT);
                if (n < 0 && errno == EAGAIN)
                        continue;
                if (n < 0)
                        forward(s, q); /* nobody is at that port */
                else if (answers(q, answer, (size_t)n))
                        pass_back(s, q, answer, (size_t)n);
        }
}

void resolver_due(struct supervisor *s, int64_t now)
{
        for (struct query *q = s->resolver->queries, *next; q; q = next) {
                next = q->next;
                if (q->due && !q->waiting && now >= q->due)
                        forward(s, q);
        }
}

int64_t resolver_deadline(const struct supervisor *s)
{
        int64_t due = 0;
        for (const struct query *q = s->resolver->queries; q; q = q->next)
                if (q->due && !q->waiting && (!due || q->due < due))
                        due = q->due;
        return due;
}
