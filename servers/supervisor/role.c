// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Words with the server of the role: it is started, asked, restarted when it ends, and replaced while calls wait.
 *
 * A server is anybody's program. It may say anything and nothing: what does not come within the limit is an error for
 * the caller, what makes no sense is dropped, and one that speaks wrongly at HELLO is ended. Calls that wait when a
 * server ends are put to the next one.
 */
#include "supervisor.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define KEPT 1024       /* a power of two */
#define PAUSE_FIRST 100 /* ms before it is started again, doubled up to */
#define PAUSE_LONGEST 5000
#define PING_EVERY 10000

struct kept {
        bool used;
        struct paddock_message question, answer;
};

int64_t clock_ms(void)
{
        struct timespec now;
        clock_gettime(CLOCK_BOOTTIME, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void wake(struct supervisor *s)
{
        (void)!write(s->wake, &(uint64_t){1}, sizeof(uint64_t));
}

/* In a child: the program, with its socket as the one descriptor but those that lead nowhere. */
static _Noreturn void become(char **argv, const char *directory, int socket)
{
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        for (int signal_ = 1; signal_ <= 31; signal_++)
                signal(signal_, SIG_DFL);
        setsid();
        if (directory && chdir(directory) < 0)
                _exit(127);
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        for (int fd = 0; fd <= 2; fd++)
                dup2(null, fd);
        if (socket == PADDOCK_SERVER_SOCKET)
                fcntl(socket, F_SETFD, 0);
        else
                dup2(socket, PADDOCK_SERVER_SOCKET);
        syscall(SYS_close_range, PADDOCK_SERVER_SOCKET + 1, ~0U, 0);
        execvp(argv[0], argv);
        _exit(errno == ENOENT ? 127 : 126);
}

static bool say(struct supervisor *s, const struct paddock_message *m)
{
        return s->role.socket >= 0 && send(s->role.socket, m, sizeof *m, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof *m;
}

static void forget_kept(struct supervisor *s)
{
        if (s->kept)
                memset(s->kept, 0, KEPT * sizeof *s->kept);
        s->kept_count = 0;
}

void role_start(struct supervisor *s)
{
        struct role *r = &s->role;
        int ends[2];
        r->socket = -1;
        r->hello = false;
        r->again = clock_ms() + PAUSE_LONGEST;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
                return;
        r->pid = fork();
        if (r->pid == 0) {
                close(ends[0]);
                become(r->argv, r->directory, ends[1]);
        }
        close(ends[1]);
        if (r->pid < 0) {
                close(ends[0]);
                return;
        }
        r->socket = ends[0];
        r->again = 0;
        r->since = r->pinged = clock_ms();
        struct paddock_message hello = {.word = PADDOCK_SERVER_WORD,
                                        .call = PADDOCK_HELLO,
                                        .serial = ++s->serial,
                                        .version = PADDOCK_SERVER_VERSION,
                                        .hello = {.role = PADDOCK_SOCKETS, .limit = ASK_LIMIT}};
        memcpy(hello.hello.environment, s->environment, sizeof hello.hello.environment);
        say(s, &hello);
}

#define LAST_TURNS 20 /* of 10 ms, that a server has to end after its socket was closed */

static void end_process(struct role *r, bool patient)
{
        int status = 0;
        pid_t ended = 0;
        for (int i = 0; (ended = waitpid(r->pid, &status, WNOHANG)) == 0 && patient && i < LAST_TURNS; i++) {
                struct timespec pause = {.tv_nsec = 10000000};
                nanosleep(&pause, NULL);
        }
        if (ended == 0) { /* it lives without a socket, and is of no use */
                kill(r->pid, SIGKILL);
                waitpid(r->pid, &status, 0);
        }
        r->status = status;
        r->pid = -1;
}

/* It ended, or is not wanted any more. Whoever waits for its answer waits for the next one's. */
static void lose(struct supervisor *s, bool patient)
{
        struct role *r = &s->role;
        if (r->socket >= 0)
                close(r->socket);
        r->socket = -1;
        r->hello = false;
        forget_kept(s);
        for (struct pending *p = s->pending; p; p = p->next)
                p->asked = p->outer >= 0;
        if (r->pid > 0)
                end_process(r, patient);
        unsigned long pause = PAUSE_FIRST << (r->failures < 6 ? r->failures : 6);
        r->again = clock_ms() + (int64_t)(pause < PAUSE_LONGEST ? pause : PAUSE_LONGEST);
        r->failures++;
}

void role_end(struct supervisor *s)
{
        lose(s, true);
        s->role.again = 0;
}

void role_replace(struct supervisor *s, char **argv, char *directory)
{
        struct role *r = &s->role;
        lose(s, true);
        for (size_t i = 0; r->argv && r->argv[i]; i++)
                free(r->argv[i]);
        free(r->argv);
        free(r->directory);
        r->argv = argv;
        r->directory = directory;
        r->failures = 0;
        r->status = -1;
        role_start(s);
        wake(s);
}

static bool same(const struct paddock_message *a, const struct paddock_message *b)
{
        return a->call == b->call && a->connect.address.size == b->connect.address.size &&
               memcmp(a->connect.address.bytes, b->connect.address.bytes, a->connect.address.size) == 0 &&
               strcmp(a->connect.name, b->connect.name) == 0;
}

static struct kept *kept_at(struct supervisor *s, const struct paddock_message *m)
{
        uint64_t hash = 1469598103934665603u; /* FNV-1a */
        for (uint32_t i = 0; i < m->connect.address.size; i++)
                hash = (hash ^ m->connect.address.bytes[i]) * 1099511628211u;
        return &s->kept[hash >> 9 & (KEPT - 1)];
}

/* Only connections are kept, and only of a server that does not ask who calls. */
bool role_kept(struct supervisor *s, const struct paddock_message *question, struct paddock_message *answer)
{
        if (!s->kept_count || question->call != PADDOCK_CONNECT)
                return false;
        struct kept *k = kept_at(s, question);
        if (!k->used || !same(&k->question, question))
                return false;
        *answer = k->answer;
        return true;
}

static void keep(struct supervisor *s, const struct paddock_message *question, const struct paddock_message *answer)
{
        if (!(answer->flags & PADDOCK_KEEP) || answer->verdict == PADDOCK_GIVE || question->call != PADDOCK_CONNECT ||
            s->role.wants & PADDOCK_WANTS_CALLER)
                return;
        if (!s->kept)
                s->kept = calloc(KEPT, sizeof *s->kept);
        if (!s->kept)
                return;
        struct kept *k = kept_at(s, question);
        s->kept_count += !k->used;
        *k = (struct kept){true, *question, *answer};
}

/* Who calls, as the inside numbers ids. */
static void look_at(pid_t pid, struct paddock_caller *caller)
{
        static const struct {
                const char *form, *map;
        } kinds[] = {{"Uid: %*u %u", "uid_map"}, {"Gid: %*u %u", "gid_map"}};
        *caller = (struct paddock_caller){.pid = (uint32_t)pid, .uid = 65534, .gid = 65534};
        for (int i = 0; i < 2; i++) {
                char path[64], line[128];
                unsigned outer = 0, first, at, count;
                bool known = false;
                snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
                cleanup_file FILE *status = fopen(path, "re");
                while (status && !known && fgets(line, sizeof line, status))
                        known = sscanf(line, kinds[i].form, &outer) == 1;
                snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, kinds[i].map);
                cleanup_file FILE *map = fopen(path, "re");
                while (known && map && fscanf(map, "%u %u %u", &first, &at, &count) == 3)
                        if (outer >= at && outer - at < count)
                                *(i ? &caller->gid : &caller->uid) = first + (outer - at);
        }
}

void role_ask(struct supervisor *s, struct pending *p)
{
        struct role *r = &s->role;
        if (!r->hello) /* it is put to it when it is there */
                return;
        p->question.word = PADDOCK_SERVER_WORD;
        p->question.version = PADDOCK_SERVER_VERSION;
        p->question.serial = p->serial;
        if (r->wants & PADDOCK_WANTS_CALLER && p->pid > 0)
                look_at(p->pid, &p->question.caller);
        if (p->query && !(r->wants & PADDOCK_WANTS_NAMES)) {
                struct query *q = p->query;
                pending_remove(s, p);
                resolver_answered(s, q, true);
                return;
        }
        p->asked = say(s, &p->question);
        r->asked += p->asked;
        wake(s); /* the other thread waits until something is due */
}

static struct pending *find(struct supervisor *s, uint64_t serial)
{
        for (struct pending *p = s->pending; p; p = p->next)
                if (p->serial == serial)
                        return p;
        return NULL;
}

static void answered(struct supervisor *s, const struct paddock_message *m, int fd)
{
        struct role *r = &s->role;
        cleanup_close int given = fd;
        uint32_t call = m->call & ~PADDOCK_ANSWER;
        if (m->call == PADDOCK_FORGET) {
                forget_kept(s);
                return;
        }
        if (!(m->call & PADDOCK_ANSWER))
                return;
        if (call == PADDOCK_HELLO && !r->hello) {
                if (m->version != PADDOCK_SERVER_VERSION) {
                        lose(s, true);
                        return;
                }
                r->hello = true;
                r->wants = m->hello.wants;
                r->failures = 0;
                for (struct pending *p = s->pending, *next; p; p = next) {
                        next = p->next;
                        if (!p->asked && p->outer < 0)
                                role_ask(s, p);
                }
                return;
        }
        struct pending *p = r->hello ? find(s, m->serial) : NULL;
        if (!p || !p->asked || p->outer >= 0 || p->question.call != call)
                return; /* too late, twice, or nobody asked */
        int64_t took = (clock_ms() - (p->due - ASK_LIMIT)) * 1000;
        r->slowest = took > r->slowest ? took : r->slowest;
        keep(s, &p->question, m);
        connect_answered(s, p, m, steal_fd(&given));
}

void role_hear(struct supervisor *s)
{
        for (int i = 0; i < 64 && s->role.socket >= 0; i++) {
                struct paddock_message m;
                union {
                        char room[CMSG_SPACE(8 * sizeof(int))];
                        struct cmsghdr align;
                } control;
                struct iovec part = {&m, sizeof m};
                struct msghdr header = {.msg_iov = &part,
                                        .msg_iovlen = 1,
                                        .msg_control = &control,
                                        .msg_controllen = sizeof control};
                ssize_t n = recvmsg(s->role.socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        return;
                if (n <= 0) {
                        s->role.restarts++;
                        lose(s, false);
                        return;
                }
                int fd = -1;
                for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
                        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                                continue;
                        for (size_t k = 0; k < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); k++) {
                                int one;
                                memcpy(&one, CMSG_DATA(c) + k * sizeof one, sizeof one);
                                if (fd < 0)
                                        fd = one;
                                else
                                        close(one);
                        }
                }
                if (n != (ssize_t)sizeof m || m.word != PADDOCK_SERVER_WORD || header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
                        if (fd >= 0)
                                close(fd);
                        continue;
                }
                answered(s, &m, fd);
        }
}

void role_due(struct supervisor *s, int64_t now)
{
        struct role *r = &s->role;
        if (r->socket < 0 && r->again && now >= r->again)
                role_start(s);
        if (r->socket >= 0 && !r->hello && now - r->since > ASK_LIMIT) {
                r->restarts++;
                lose(s, true);
        }
        if (r->hello && now - r->pinged >= PING_EVERY) {
                struct paddock_message ping = {.word = PADDOCK_SERVER_WORD, .call = PADDOCK_PING, .serial = ++s->serial,
                                               .version = PADDOCK_SERVER_VERSION};
                say(s, &ping);
                r->pinged = now;
        }
        for (struct pending *p = s->pending, *next; p; p = next) {
                next = p->next;
                if (!p->query && !listener_still(s, p->id)) {
                        pending_remove(s, p); /* the caller was killed, or a signal took it away */
                } else if (now >= p->due) {
                        r->late += p->outer < 0;
                        connect_refuse(s, p, ETIMEDOUT);
                }
        }
}

int64_t role_deadline(const struct supervisor *s)
{
        const struct role *r = &s->role;
        int64_t due = r->socket < 0 ? r->again : r->hello ? r->pinged + PING_EVERY : r->since + ASK_LIMIT;
        for (const struct pending *p = s->pending; p; p = p->next)
                due = !due || p->due < due ? p->due : due;
        /* Callers that are gone are looked for now and then. */
        int64_t soon = s->pending ? clock_ms() + 1000 : 0;
        return soon && (!due || soon < due) ? soon : due;
}
