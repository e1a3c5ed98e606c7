// SPDX-License-Identifier: GPL-3.0-or-later
/* `paddock console`: the terminal of a system that was booted. See warden/console.c for the other side. */
#include "verbs/console.h"

#include "base/cleanup.h"
#include "host/living.h"
#include "model/store.h"
#include "verbs/verbs.h"
#include "warden/client.h"

#include <argp.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <termios.h>

#define KEY_DETACH 0x1d /* Ctrl-] */

struct watching {
        const char *name;
        int socket, signals;
        struct client client;
        struct termios saved;
        bool raw, patient, input_over;
};

/* Tells the warden how large the window is. `socket` goes along the first time, or is -1. */
static int attach(struct watching *v, int socket, struct error *err)
{
        struct winsize size;
        struct message_out *m = client_begin(&v->client, MESSAGE_CONSOLE);
        if (isatty(STDIN_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row) {
                message_number(m, TAG_ROWS, size.ws_row);
                message_number(m, TAG_COLUMNS, size.ws_col);
        }
        return client_call(&v->client, &socket, socket >= 0, err);
}

static void raw(struct watching *v, bool on)
{
        if (on && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && tcgetattr(STDIN_FILENO, &v->saved) == 0) {
                struct termios settings = v->saved;
                cfmakeraw(&settings);
                v->raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &settings) == 0;
        } else if (!on && v->raw) {
                /* What a program inside may have left: colours, the other screen, modes of keys. */
                static const char calm[] = "\033[m\033[?1049l\033[?2004l\033[?1l\033[?25h\033(B";
                (void)!write(STDOUT_FILENO, calm, sizeof calm - 1);
                tcsetattr(STDIN_FILENO, TCSADRAIN, &v->saved);
                v->raw = false;
        }
}

static bool write_whole(int fd, const char *data, size_t size)
{
        while (size) {
                ssize_t n = write(fd, data, size);
                if (n < 0 && errno != EINTR && errno != EAGAIN)
                        return false;
                if (n > 0)
                        data += n, size -= (size_t)n;
        }
        return true;
}

/* What is typed. Returns false when it is time to detach. */
static bool take_input(struct watching *v)
{
        char data[1024];
        ssize_t n = read(STDIN_FILENO, data, sizeof data);
        if (n <= 0) {
                v->input_over = n == 0 || errno != EINTR;
                return !v->input_over || v->patient;
        }
        char *key = v->raw ? memchr(data, KEY_DETACH, (size_t)n) : NULL;
        if (key)
                n = key - data;
        return write_whole(v->socket, data, (size_t)n) && !key;
}

/* Whoever reads from us may not: then it is waited for, but a signal that is to end us is not kept waiting with it. */
static bool may_write(const struct watching *v)
{
        for (;;) {
                struct pollfd fds[2] = {{.fd = STDOUT_FILENO, .events = POLLOUT}, {.fd = v->signals, .events = POLLIN}};
                struct signalfd_siginfo info;
                if (poll(fds, 2, -1) < 0 && errno != EINTR)
                        return false;
                if (fds[0].revents)
                        return true;
                if (fds[1].revents && read(v->signals, &info, sizeof info) == sizeof info && info.ssi_signo != SIGWINCH)
                        return false;
        }
}

/* What it says. Returns false at its end. */
static bool take_output(struct watching *v)
{
        char data[PIPE_BUF]; /* so much finds room in a pipe that can be written */
        ssize_t n = read(v->socket, data, sizeof data);
        return n > 0 ? may_write(v) && write_whole(STDOUT_FILENO, data, (size_t)n)
                     : n < 0 && (errno == EINTR || errno == EAGAIN);
}

/* Until what has been said so far is shown. */
static void show_rest(struct watching *v)
{
        struct pollfd more = {.fd = v->socket, .events = POLLIN};
        while (poll(&more, 1, 50) > 0 && take_output(v))
                ;
}

static int watch(struct watching *v, struct error *err)
{
        for (;;) {
                struct pollfd fds[3] = {{.fd = v->socket, .events = POLLIN}, {.fd = v->signals, .events = POLLIN},
                                        {.fd = v->input_over ? -1 : STDIN_FILENO, .events = POLLIN}};
                if (poll(fds, 3, -1) < 0 && errno != EINTR)
                        return error_sys(err, errno, "cannot wait for the console");
                if (fds[0].revents && !take_output(v))
                        return CONSOLE_OVER;
                struct signalfd_siginfo info;
                while (read(v->signals, &info, sizeof info) == sizeof info) {
                        if (info.ssi_signo != SIGWINCH)
                                return CONSOLE_DETACHED;
                        cleanup_error struct error over = ERROR_INIT; /* its end shows on the other socket */
                        attach(v, -1, &over);
                }
                if (fds[2].revents && !take_input(v)) {
                        show_rest(v);
                        return CONSOLE_DETACHED;
                }
        }
}

/* Asks how it will end; the answer comes when it has. */
static void ask_for_end(struct watching *v)
{
        message_number(client_begin(&v->client, MESSAGE_WAIT), TAG_WHAT, WAIT_STOPPED);
        int size = message_end(&v->client.out);
        if (size > 0)
                host_send(v->client.socket, v->client.sent, (size_t)size, NULL, 0);
}

static int hear_end(struct watching *v)
{
        cleanup_error struct error unheard = ERROR_INIT;
        uint64_t status = EXIT_PADDOCK << 8;
        while (client_receive(&v->client, 5000, &unheard) > 0)
                if (v->client.answer.header.type == MESSAGE_WAIT) {
                        message_get_number(&v->client.answer, TAG_STATUS, &status);
                        break;
                }
        return (int)status;
}

bool console_last(const char *name)
{
        cleanup_error struct error unheard = ERROR_INIT;
        cleanup_store struct store store = STORE_CLOSED;
        cleanup_close int directory =
                store_open(&store, &unheard) < 0 ? -1 : store_open_environment(&store, name, &unheard);
        cleanup_close int fd = directory < 0 ? -1 : openat(directory, "console", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        char data[8192];
        bool any = false;
        for (ssize_t n; fd >= 0 && (n = read(fd, data, sizeof data)) > 0; any = true)
                write_whole(STDOUT_FILENO, data, (size_t)n);
        return any;
}

int console_watch(const char *name, bool patient, int *status, struct error *err)
{
        *status = 0;
        struct watching v = {.name = name, .client = CLIENT_CLOSED, .patient = patient};
        cleanup_store struct store store = STORE_CLOSED;
        int result = store_open(&store, err);
        cleanup_close int directory = result < 0 ? -1 : store_open_environment(&store, name, err);
        if (directory < 0)
                return -err->code;
        result = client_open(&v.client, directory, err);
        if (!err->code && (result == -ECONNREFUSED || result == -ENOENT)) {
                error_set(err, ESRCH, "environment '%s' is not running", name);
                return error_remedy(err, "`paddock boot -n %s` starts it, if it has an init of its own", name);
        }
        int ends[2];
        if (result >= 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
                result = error_sys(err, errno, "cannot make a socket pair");
        if (result < 0)
                return error_context(err, "environment '%s'", name);
        v.socket = ends[0];
        cleanup_close int ours = ends[0];
        (void)ours;
        result = attach(&v, ends[1], err);
        close(ends[1]);
        if (result >= 0)
                ask_for_end(&v);
        sigset_t heard, before;
        sigemptyset(&heard);
        static const int signals[] = {SIGWINCH, SIGTERM, SIGHUP, SIGINT};
        for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
                sigaddset(&heard, signals[i]);
        sigprocmask(SIG_BLOCK, &heard, &before);
        cleanup_close int heard_fd = result < 0 ? -1 : signalfd(-1, &heard, SFD_CLOEXEC | SFD_NONBLOCK);
        v.signals = heard_fd;
        if (result >= 0 && heard_fd < 0)
                result = error_sys(err, errno, "cannot watch signals");
        if (result >= 0) {
                raw(&v, true);
                if (v.raw)
                        fprintf(stderr, "[paddock: the console of %s; Ctrl-] leaves it]\r\n", name);
                result = watch(&v, err);
                if (result == CONSOLE_OVER)
                        *status = hear_end(&v);
                bool was_raw = v.raw;
                raw(&v, false);
                if (was_raw && result == CONSOLE_DETACHED)
                        fprintf(stderr, "\n[paddock: left; %s goes on. `paddock console %s` comes back]\n", name, name);
        }
        client_close(&v.client);
        sigprocmask(SIG_SETMASK, &before, NULL);
        return result;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
        const char **name = state->input;
        if (key == ARGP_KEY_ARG && !*name)
                *name = arg;
        else if (key == ARGP_KEY_ARG)
                argp_error(state, "one console at a time");
        else if (key == ARGP_KEY_NO_ARGS)
                argp_error(state, "which environment?");
        else
                return ARGP_ERR_UNKNOWN;
        return 0;
}

int verb_console(int argc, char **argv)
{
        static const struct argp argp = {
                NULL,
                parse,
                "NAME",
                "Show the console of a system that was booted, and type on it.\v"
                "What it said lately comes first. Any number may watch; Ctrl-] leaves. Without a terminal, what "
                "standard input brings is typed, and its end is the end.",
                0,
                0,
                0};
        const char *name = NULL;
        argp_err_exit_status = EXIT_PADDOCK;
        if (argp_parse(&argp, argc, argv, 0, NULL, &name))
                return EXIT_PADDOCK;
        cleanup_error struct error err = ERROR_INIT;
        int status, result = console_watch(name, false, &status, &err);
        if (result >= 0)
                return 0;
        if (result == -ESRCH && console_last(name))
                fputc('\n', stdout);
        fflush(stdout);
        error_print(stderr, &err);
        return EXIT_PADDOCK;
}
