// SPDX-License-Identifier: GPL-3.0-or-later
/* The grant server: the control socket, and who gets a worker. README.md is its contract, control.h its protocol. */
#include "grant.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define BUCKETS 1024
#define TICK 50            /* ms between two looks at the workers */
#define UNSENT 65536       /* messages that the warden may leave unread */
#define DESCRIPTORS 128    /* of our own */
#define PER_GRANT 8        /* descriptors that a grant needs without anything open in it */
#define TAKEN 4            /* descriptors that may come with a message */
#define EVENTS 64
#define KEY_CONTROL 0      /* of events: grants have their ids, which are not 0 */
#define KEY_WAKE UINT64_MAX

/* --- what is told --- */

void server_wake(struct server *s)
{
        eventfd_write(s->wake, 1);
}

static bool send_now(struct server *s, const struct grant_message *message)
{
        return send(s->control, message, sizeof *message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ||
               (errno != EAGAIN && errno != ENOBUFS);
}

void server_post(struct server *s, const struct grant_message *message)
{
        pthread_mutex_lock(&s->lock);
        bool first = s->outgoing_count == 0;
        if (!first || !send_now(s, message)) {
                if (s->outgoing_count == UNSENT)
                        _exit(1); /* nobody is there any more who wants to know */
                *vector_add(s->outgoing, s->outgoing_count, s->outgoing_room) = *message;
                if (first)
                        server_wake(s);
        }
        pthread_mutex_unlock(&s->lock);
}

/* Sends what had to wait. Returns whether something is left. */
static bool send_waiting(struct server *s)
{
        size_t sent = 0;
        pthread_mutex_lock(&s->lock);
        while (sent < s->outgoing_count && send_now(s, &s->outgoing[sent]))
                sent++;
        s->outgoing_count -= sent;
        if (s->outgoing_count)
                memmove(s->outgoing, s->outgoing + sent, s->outgoing_count * sizeof *s->outgoing);
        bool left = s->outgoing_count;
        pthread_mutex_unlock(&s->lock);
        return left;
}

static void tell_status(struct server *s, enum grant_type type, uint64_t id, int status)
{
        struct grant_message message = {.word = GRANT_WORD, .type = (uint16_t)type, .id = id, .status = status};
        server_post(s, &message);
}

/* --- the table --- */

static struct grant **place_of(struct server *s, uint64_t id)
{
        struct grant **at = &s->table[id % BUCKETS];
        while (*at && (*at)->id != id)
                at = &(*at)->next;
        return at;
}

static void count_grants(struct server *s, int change)
{
        struct rlimit limit;
        s->grant_count += (unsigned)change;
        getrlimit(RLIMIT_NOFILE, &limit);
        rlim_t used = DESCRIPTORS + (rlim_t)s->grant_count * PER_GRANT;
        rlim_t most = limit.rlim_cur > 1000000 ? 1000000 : limit.rlim_cur;
        atomic_store(&s->handle_limit, most > used ? (unsigned)(most - used) : 0);
}

void server_finish(struct grant *g, const struct grant_message *told)
{
        struct server *s = g->server;
        g->told = *told;
        g->told.word = GRANT_WORD;
        g->told.id = g->id;
        g->finished = true;
        pthread_mutex_lock(&s->lock);
        g->next_done = s->done;
        s->done = g;
        pthread_mutex_unlock(&s->lock);
        server_wake(s);
}

/* Takes those out of the table that are done, and tells it. */
static void take_done(struct server *s)
{
        pthread_mutex_lock(&s->lock);
        struct grant *done = s->done;
        s->done = NULL;
        pthread_mutex_unlock(&s->lock);
        for (struct grant *g = done, *next; g; g = next) {
                next = g->next_done;
                *place_of(s, g->id) = g->next;
                count_grants(s, -1);
                pthread_mutex_lock(&g->lock);
                struct grant_message told = g->told;
                bool also_done = g->revoke_wanted && told.type == GRANT_GONE;
                pthread_mutex_unlock(&g->lock);
                if (g->device >= 0 && told.type == GRANT_GONE)
                        dup2(s->nothing, g->device);
                server_post(s, &told);
                if (also_done) {
                        told = (struct grant_message){.word = GRANT_WORD, .type = GRANT_DONE, .id = told.id};
                        server_post(s, &told);
                }
                grant_release_elsewhere(g);
        }
}

/* --- what is asked for --- */

static bool is_sensible(const struct grant_add *add)
{
        static const uint32_t known = GRANT_RW | GRANT_FILE | GRANT_NOEXEC | GRANT_ASK | GRANT_MAPPED | GRANT_GROUP;
        return !(add->flags & ~known) && add->uid != UINT32_MAX && add->gid != UINT32_MAX && !(add->mode & ~0777U);
}

/* Takes the descriptors when it returns 0. */
static int add(struct server *s, const struct grant_message *message, int device, int source)
{
        struct grant *g = NULL, **at = place_of(s, message->id);
        if (!message->id || message->id == KEY_WAKE || !is_sensible(&message->add))
                return -EINVAL;
        if (*at)
                return -EEXIST;
        int result = grant_new(s, message, device, source, &g);
        if (result < 0)
                return result;
        struct epoll_event event = {.events = EPOLLIN | (g->ask ? 0U : EPOLLONESHOT), .data.u64 = g->id};
        if (epoll_ctl(s->events, EPOLL_CTL_ADD, device, &event) < 0) {
                result = -errno;
                g->device = g->source = -1;
                grant_release(g);
                return result;
        }
        *at = g;
        count_grants(s, 1);
        return 0;
}

static void begin_revoke(struct server *s, struct grant *g)
{
        epoll_ctl(s->events, EPOLL_CTL_DEL, g->device, NULL);
        pthread_mutex_lock(&g->lock);
        bool again = g->revoke_wanted;
        g->revoke_wanted = true;
        if (g->ask && !g->finished)
                server_finish(g, &(struct grant_message){.type = GRANT_DONE});
        pthread_mutex_unlock(&g->lock);
        if (again)
                tell_status(s, GRANT_REFUSED, g->id, -EALREADY);
        else if (!g->ask)
                job_start(g);
}

static void set(struct grant *g, const struct grant_message *message)
{
        pthread_mutex_lock(&g->lock);
        g->wanted = message->add;
        g->set_wanted++;
        pthread_mutex_unlock(&g->lock);
        job_start(g);
}

static void obey(struct server *s, const struct grant_message *message, int *fds, size_t count)
{
        struct grant *g = *place_of(s, message->id);
        int result;
        switch (message->type) {
        case GRANT_ADD:
                result = add(s, message, count > 0 ? fds[0] : -1, count > 1 ? fds[1] : -1);
                if (result == 0) {
                        fds[0] = -1;
                        if (count > 1)
                                fds[1] = -1;
                }
                tell_status(s, GRANT_ADDED, message->id, result);
                break;
        case GRANT_SET:
                if (!g || g->ask || g->revoke_wanted || !is_sensible(&message->add))
                        tell_status(s, GRANT_CHANGED, message->id, !g ? -ENOENT : -EINVAL);
                else
                        set(g, message);
                break;
        case GRANT_REVOKE:
                if (g)
                        begin_revoke(s, g);
                else
                        tell_status(s, GRANT_DONE, message->id, 0);
                break;
        case GRANT_ANSWER:
                if (g && g->ask && !g->finished)
                        ask_answer(g, &message->answer);
                else
                        tell_status(s, GRANT_REFUSED, message->id, -ENOENT);
                break;
        default:
                tell_status(s, GRANT_REFUSED, message->id, -EINVAL);
        }
}

/* Receives one message. Returns false at the end. */
static bool receive(struct server *s)
{
        struct grant_message message;
        union {
                struct cmsghdr header;
                char room[CMSG_SPACE(TAKEN * sizeof(int))];
        } ancillary;
        int fds[TAKEN];
        size_t count = 0;
        struct iovec part = {&message, sizeof message};
        struct msghdr envelope = {
                .msg_iov = &part, .msg_iovlen = 1, .msg_control = &ancillary, .msg_controllen = sizeof ancillary};
        ssize_t got = recvmsg(s->control, &envelope, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (got < 0)
                return errno == EAGAIN || errno == EINTR || errno == EMFILE || errno == ENOBUFS || errno == ENOMEM;
        for (struct cmsghdr *header = CMSG_FIRSTHDR(&envelope); header; header = CMSG_NXTHDR(&envelope, header)) {
                if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
                        continue;
                count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                memcpy(fds, CMSG_DATA(header), count * sizeof(int));
        }
        if (got == 0 && count == 0)
                return false;
        if (got == sizeof message && !(envelope.msg_flags & MSG_TRUNC) && message.word == GRANT_WORD && !message.zero)
                obey(s, &message, fds, count);
        else
                tell_status(s, GRANT_REFUSED, 0, -EPROTO);
        for (size_t i = 0; i < count; i++)
                if (fds[i] >= 0)
                        close(fds[i]);
        return true;
}

/* --- the loop --- */

/* Aborts all connections. Threads that hang in a dead file system would keep the devices open otherwise. */
static _Noreturn void end(struct server *s)
{
        for (unsigned i = 0; i < BUCKETS; i++)
                for (struct grant *g = s->table[i]; g; g = g->next) {
                        atomic_store(&g->ended, true);
                        dup2(s->nothing, g->device);
                }
        _exit(0);
}

/* Returns whether somebody needs to be looked at again. */
static bool watch(struct server *s)
{
        bool starved = false;
        for (unsigned i = 0; i < BUCKETS; i++)
                for (struct grant *g = s->table[i]; g; g = g->next)
                        if (!g->ask) {
                                worker_watch(g);
                                starved |= g->starved;
                        }
        return starved || atomic_load(&s->threads);
}

static void wake_grant(struct server *s, uint64_t id)
{
        struct grant *g = *place_of(s, id);
        if (!g || g->finished || g->revoke_wanted)
                return;
        if (g->ask) {
                ask_serve(g);
                return;
        }
        pthread_mutex_lock(&g->lock);
        if (!g->worker_count)
                g->starved = worker_start(g, false) < 0; /* then the watch tries again */
        pthread_mutex_unlock(&g->lock);
}

static _Noreturn void serve(struct server *s)
{
        struct epoll_event events[EVENTS];
        int64_t watched = now_ms();
        bool wanted = false, waiting = false;
        for (;;) {
                int count = epoll_wait(s->events, events, EVENTS, wanted ? TICK : -1);
                for (int i = 0; i < count; i++) {
                        eventfd_t ignored;
                        if (events[i].data.u64 == KEY_WAKE)
                                eventfd_read(s->wake, &ignored);
                        else if (events[i].data.u64 != KEY_CONTROL)
                                wake_grant(s, events[i].data.u64);
                        else if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR) && !receive(s))
                                end(s);
                }
                take_done(s);
                bool left = send_waiting(s);
                if (left != waiting) {
                        struct epoll_event event = {.events = EPOLLIN | (left ? EPOLLOUT : 0U),
                                                    .data.u64 = KEY_CONTROL};
                        epoll_ctl(s->events, EPOLL_CTL_MOD, s->control, &event);
                        waiting = left;
                }
                if (!wanted)
                        wanted = atomic_load(&s->threads);
                else if (now_ms() - watched >= TICK) {
                        watched = now_ms();
                        wanted = watch(s);
                }
        }
}

/* The server lives as long as the environment, whatever is typed at the terminal. */
static void stand_alone(void)
{
        static const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU, SIGXFSZ};
        struct rlimit limit;
        sigset_t wake;
        for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
                signal(ignored[i], SIG_IGN);
        sigemptyset(&wake);
        sigaddset(&wake, SIGUSR2);
        sigprocmask(SIG_BLOCK, &wake, NULL);
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max;
                setrlimit(RLIMIT_NOFILE, &limit);
        }
        umask(0);
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        mallopt(M_ARENA_MAX, 2);
}

static void wake_up(int number)
{
        (void)number;
}

int main(int argc, char **argv)
{
        cleanup_error struct error err = ERROR_INIT;
        struct server s = {.control = GRANT_CONTROL, .processors = sysconf(_SC_NPROCESSORS_ONLN)};
        int type = 0;
        socklen_t length = sizeof type;
        (void)argv;
        if (argc > 1 || getsockopt(s.control, SOL_SOCKET, SO_TYPE, &type, &length) < 0 || type != SOCK_SEQPACKET) {
                error_set(&err, EINVAL,
                          "paddock-files-grant is started by paddock, with its control socket as descriptor %d",
                          GRANT_CONTROL);
                error_print(stderr, &err);
                return 2;
        }
        stand_alone();
        sigaction(SIGUSR2, &(struct sigaction){.sa_handler = wake_up}, NULL);
        fcntl(s.control, F_SETFD, FD_CLOEXEC);
        close_range(GRANT_CONTROL + 1, ~0U, 0);
        pthread_mutex_init(&s.lock, NULL);
        s.table = memory_new(BUCKETS * sizeof(struct grant *));
        s.events = epoll_create1(EPOLL_CLOEXEC);
        s.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        s.nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
        s.proc = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct epoll_event control = {.events = EPOLLIN, .data.u64 = KEY_CONTROL},
                           wake = {.events = EPOLLIN, .data.u64 = KEY_WAKE};
        if (s.events < 0 || s.wake < 0 || s.nothing < 0 || s.proc < 0 ||
            epoll_ctl(s.events, EPOLL_CTL_ADD, s.control, &control) < 0 ||
            epoll_ctl(s.events, EPOLL_CTL_ADD, s.wake, &wake) < 0) {
                error_sys(&err, errno, "cannot serve grants: a descriptor is missing");
                error_print(stderr, &err);
                return 1;
        }
        count_grants(&s, 0);
        serve(&s);
}
