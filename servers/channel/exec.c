// SPDX-License-Identifier: GPL-3.0-or-later
/* Commands that the inside may ask for: a line names one; frames bring back what it says and how it ended. See
 * README.md for the form. */
#include "channel.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define LINE_LIMIT 256
#define PIECE 16384

enum { CALL_CONNECTION, CALL_INPUT, CALL_OUTPUT, CALL_ERRORS, CALL_SOURCES };

struct call {
        struct call_source {
                struct source source;
                struct call *call;
        } at[CALL_SOURCES];
        struct channel *channel;
        pid_t pid;
        bool dead, started, over, told; /* over: the command has ended; told: so was the caller */
        int status;
        char line[LINE_LIMIT];
        size_t line_length;
        char in[PIECE], out[PIECE + 64]; /* to the command; to the caller */
        size_t in_size, in_at, out_size, out_at;
        struct call *next, *previous;
};

static void close_source(struct state *s, struct source *source)
{
        if (source->fd < 0)
                return;
        watch(s, source, 0);
        close(source->fd);
        source->fd = -1;
}

uint64_t call_end(struct state *s, struct call *call)
{
        struct channel *c = call->channel;
        if (call->dead)
                return 0;
        call->dead = true;
        uint64_t lost = (call->out_size - call->out_at) + (call->in_size - call->in_at);
        if (call->pid > 0 && !call->over)
                kill(-call->pid, SIGKILL); /* and what it started and left in its group */
        shutdown(call->at[CALL_CONNECTION].source.fd, SHUT_RDWR);
        for (int i = 0; i < CALL_SOURCES; i++)
                close_source(s, &call->at[i].source);
        if (call->previous)
                call->previous->next = call->next;
        else
                c->calls = call->next;
        if (call->next)
                call->next->previous = call->previous;
        call->next = s->dead_calls;
        s->dead_calls = call;
        c->call_count--;
        return lost;
}

void calls_bury(struct state *s)
{
        while (s->dead_calls) {
                struct call *call = s->dead_calls;
                s->dead_calls = call->next;
                free(call);
        }
}

void call_start(struct state *s, struct channel *c, int fd)
{
        struct call *call = memory_new(sizeof *call);
        *call = (struct call){.channel = c, .next = c->calls};
        for (int i = 0; i < CALL_SOURCES; i++)
                call->at[i] = (struct call_source){{SOURCE_CALL, -1, 0}, call};
        call->at[CALL_CONNECTION].source.fd = fd;
        if (c->calls)
                c->calls->previous = call;
        c->calls = call;
        c->call_count++;
        watch(s, &call->at[CALL_CONNECTION].source, EPOLLIN);
}

/* The arguments of the command `name`; NULL: there is none. Fresh memory, that points into the channel's. */
static char **command_of(const struct channel *c, const char *name)
{
        for (char *at = c->text, *end = c->text + c->spec.text; at < end && *at;) {
                bool found = strcmp(at, name) == 0;
                char **argv = NULL;
                size_t count = 0, capacity = 0;
                for (at += strlen(at) + 1; at < end && *at; at += strlen(at) + 1)
                        *vector_add(argv, count, capacity) = at;
                at++;
                *vector_add(argv, count, capacity) = NULL;
                if (found && argv[0])
                        return argv;
                free(argv);
        }
        return NULL;
}

static _Noreturn void become(char **argv, const int streams[3])
{
        struct passwd *user = getpwuid(getuid());
        cleanup_free char *home = memory_format("HOME=%s", user ? user->pw_dir : "/");
        cleanup_free char *name = memory_format("USER=%s", user ? user->pw_name : "");
        char *variables[] = {(char *)"PATH=/usr/local/bin:/usr/bin:/bin", home, name, NULL};
        static const int defaults[] = {SIGINT, SIGQUIT, SIGHUP, SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU};
        for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
                signal(defaults[i], SIG_DFL);
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        signal(SIGCHLD, SIG_DFL);
        setsid();
        for (int fd = 0; fd < 3; fd++)
                if (dup2(streams[fd], fd) < 0)
                        _exit(125);
        close_range(3, ~0U, 0);
        umask(022);
        execve(argv[0], argv, variables);
        dprintf(2, "%s: %s\n", argv[0], strerror(errno));
        _exit(errno == ENOENT ? 127 : 126);
}

/* Starts what was asked for. 0 or a negative errno. */
static int start(struct state *s, struct call *call, char **argv)
{
        int in[2] = {-1, -1}, out[2] = {-1, -1}, errors[2] = {-1, -1}, result = 0;
        if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(errors, O_CLOEXEC) < 0)
                result = -errno;
        int kept[3] = {in[0], out[1], errors[1]};
        call->pid = result < 0 ? -1 : fork_with(s, kept, 3);
        if (call->pid == 0)
                become(argv, kept);
        if (result == 0 && call->pid < 0)
                result = -errno;
        const int theirs[] = {in[0], out[1], errors[1]}, ours[] = {in[1], out[0], errors[0]};
        for (int i = 0; i < 3; i++) {
                if (theirs[i] >= 0)
                        close(theirs[i]);
                call->at[CALL_INPUT + i].source.fd = ours[i];
                if (ours[i] >= 0)
                        fcntl(ours[i], F_SETFL, O_NONBLOCK);
        }
        call->started = result == 0;
        return result;
}

static void say(struct call *call, const char *text)
{
        call->out_size = (size_t)snprintf(call->out, sizeof call->out, "%s\n", text);
        call->out_at = 0;
        call->told = true;
}

/* The line is there: what it names is started, or the caller told why not. */
static void begin(struct state *s, struct call *call)
{
        char text[64];
        char **argv = command_of(call->channel, call->line);
        int result = argv ? start(s, call, argv) : -ENOENT;
        free(argv);
        if (result == 0)
                return;
        snprintf(text, sizeof text, "refused %s", argv ? strerror(-result) : "there is no such command");
        say(call, text);
}

/* From the caller: first the line, byte by byte, since what follows is the command's. False: nobody is there. */
static bool read_line(struct state *s, struct call *call)
{
        while (!call->started && !call->told) {
                char byte;
                ssize_t n = recv(call->at[CALL_CONNECTION].source.fd, &byte, 1, MSG_DONTWAIT);
                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        return true;
                if (n <= 0)
                        return false;
                if (byte == '\n')
                        begin(s, call);
                else if (!byte || call->line_length + 1 == sizeof call->line)
                        say(call, "refused the line is no name");
                else
                        call->line[call->line_length++] = byte;
        }
        return true;
}

/* From the caller to the command. */
static bool pass_in(struct state *s, struct call *call)
{
        struct source *connection = &call->at[CALL_CONNECTION].source, *input = &call->at[CALL_INPUT].source;
        if (input->fd < 0)
                return true;
        if (call->in_at == call->in_size) {
                ssize_t n = recv(connection->fd, call->in, sizeof call->in, MSG_DONTWAIT);
                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        return true;
                if (n < 0)
                        return false;
                call->in_at = 0;
                call->in_size = (size_t)n;
                if (!n)
                        close_source(s, input);
        }
        if (call->in_at < call->in_size) {
                ssize_t n = write(input->fd, call->in + call->in_at, call->in_size - call->in_at);
                if (n < 0 && errno != EAGAIN && errno != EINTR) {
                        close_source(s, input); /* it reads no more */
                        call->in_at = call->in_size = 0;
                } else if (n > 0) {
                        call->in_at += (size_t)n;
                }
        }
        return true;
}

/* What waits goes to the caller. False: nobody is there any more. */
static bool flush(struct call *call)
{
        while (call->out_at < call->out_size) {
                ssize_t n = send(call->at[CALL_CONNECTION].source.fd, call->out + call->out_at,
                                 call->out_size - call->out_at, MSG_DONTWAIT | MSG_NOSIGNAL);
                if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS))
                        return true;
                if (n < 0)
                        return false;
                call->out_at += (size_t)n;
        }
        return true;
}

/* A frame of what the command says. False: nothing is there now. */
static bool take_out(struct state *s, struct call *call, int which)
{
        struct source *source = &call->at[which].source;
        char piece[PIECE];
        ssize_t n = source->fd < 0 ? 0 : read(source->fd, piece, sizeof piece);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return false;
        if (n <= 0) {
                close_source(s, source);
                return false;
        }
        int head = snprintf(call->out, sizeof call->out, "%s %zd\n", which == CALL_OUTPUT ? "out" : "err", n);
        memcpy(call->out + head, piece, (size_t)n);
        call->out_size = (size_t)head + (size_t)n;
        call->out_at = 0;
        return true;
}

/* Everything that can be done now. */
static void work(struct state *s, struct call *call)
{
        char text[32];
        bool good = read_line(s, call) && pass_in(s, call) && flush(call);
        while (good && call->started && !call->told && call->out_at == call->out_size) {
                if (take_out(s, call, CALL_OUTPUT) || take_out(s, call, CALL_ERRORS)) {
                        good = flush(call);
                } else if (call->over) {
                        snprintf(text, sizeof text, WIFSIGNALED(call->status) ? "signal %d" : "exit %d",
                                 WIFSIGNALED(call->status) ? WTERMSIG(call->status) : WEXITSTATUS(call->status));
                        say(call, text);
                        good = flush(call);
                } else {
                        break;
                }
        }
        bool empty = call->out_at == call->out_size;
        if (!good || (call->told && empty)) {
                call_end(s, call);
                return;
        }
        bool reads = !call->started || (call->at[CALL_INPUT].source.fd >= 0 && call->in_at == call->in_size);
        watch(s, &call->at[CALL_CONNECTION].source,
              (reads && !call->told ? EPOLLIN : 0u) | (empty ? 0u : EPOLLOUT) | EPOLLHUP);
        watch(s, &call->at[CALL_INPUT].source, call->in_at < call->in_size ? EPOLLOUT : 0);
        watch(s, &call->at[CALL_OUTPUT].source, empty ? EPOLLIN : 0);
        watch(s, &call->at[CALL_ERRORS].source, empty ? EPOLLIN : 0);
}

void call_event(struct state *s, struct source *source, uint32_t events)
{
        struct call *call = owner(call_source, source, source)->call;
        if (call->dead)
                return;
        if (source == &call->at[CALL_CONNECTION].source && (events & (EPOLLHUP | EPOLLERR)))
                call_end(s, call); /* the caller is gone, and nobody hears what it says */
        else
                work(s, call);
}

void call_ended(struct state *s, pid_t pid, int status)
{
        for (struct channel *c = s->channels; c; c = c->next) {
                for (struct call *call = c->calls; call; call = call->next) {
                        if (call->pid != pid)
                                continue;
                        call->over = true;
                        call->status = status;
                        work(s, call);
                        return;
                }
        }
}
