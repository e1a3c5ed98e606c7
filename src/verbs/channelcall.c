// SPDX-License-Identifier: GPL-3.0-or-later
/* `paddock channel --call`: the side of an exec channel that asks (servers/channel/README.md has the form). */
#include "verbs/channel.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "verbs/verbs.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static bool write_all(int fd, const char *data, size_t size)
{
        while (size) {
                ssize_t n = write(fd, data, size);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return false;
                data += n;
                size -= (size_t)n;
        }
        return true;
}

/* What has come: "out N\n" or "err N\n" and N bytes, or how it ended. */
struct answer {
        char line[128];
        size_t length;
        size_t left; /* bytes that are still to come, for `to` */
        int to;
};

/* Returns the exit status, or -1 while there is none. */
static int take(struct answer *a, const char *data, size_t size)
{
        unsigned long number = 0;
        while (size) {
                if (a->left) {
                        size_t now = size < a->left ? size : a->left;
                        write_all(a->to, data, now); /* who does not listen any more misses it; the command goes on */
                        a->left -= now;
                        data += now;
                        size -= now;
                        continue;
                }
                char byte = *data++;
                size--;
                if (byte != '\n' && a->length + 1 < sizeof a->line) {
                        a->line[a->length++] = byte;
                        continue;
                }
                a->line[a->length] = '\0';
                a->length = 0;
                if (sscanf(a->line, "out %lu", &number) == 1 || sscanf(a->line, "err %lu", &number) == 1) {
                        a->to = a->line[0] == 'o' ? STDOUT_FILENO : STDERR_FILENO;
                        a->left = number;
                } else if (sscanf(a->line, "exit %lu", &number) == 1) {
                        return (int)(number & 255);
                } else if (sscanf(a->line, "signal %lu", &number) == 1) {
                        return 128 + (int)(number & 127);
                } else {
                        fprintf(stderr, "paddock: %s\n", a->line);
                        return EXIT_PADDOCK;
                }
        }
        return -1;
}

int channel_call(const char *path, const char *command)
{
        cleanup_error struct error err = ERROR_INIT;
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char data[16384];
        if (strlen(path) >= sizeof address.sun_path)
                error_set(&err, ENAMETOOLONG, "%s is too long a name for a socket", path);
        else
                memcpy(address.sun_path, path, strlen(path) + 1);
        if (!err.code && (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0))
                error_sys(&err, errno, "cannot connect to %s", path);
        if (!err.code && (send(fd, command, strlen(command), MSG_NOSIGNAL) < 0 || send(fd, "\n", 1, MSG_NOSIGNAL) < 0))
                error_sys(&err, errno, "cannot ask at %s", path);
        struct answer answer = {0};
        bool reads = true;
        while (!err.code) {
                struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = reads ? STDIN_FILENO : -1, .events = POLLIN}};
                if (poll(fds, 2, -1) < 0 && errno != EINTR)
                        break;
                if (fds[1].revents) {
                        ssize_t n = read(STDIN_FILENO, data, sizeof data);
                        reads = n > 0;
                        size_t sent = 0;
                        while (reads && sent < (size_t)n) {
                                ssize_t m = send(fd, data + sent, (size_t)n - sent, MSG_NOSIGNAL);
                                reads = m >= 0 || errno == EINTR;
                                sent += m > 0 ? (size_t)m : 0;
                        }
                        if (!reads)
                                shutdown(fd, SHUT_WR);
                }
                if (fds[0].revents) {
                        ssize_t n = recv(fd, data, sizeof data, 0);
                        int status = n > 0 ? take(&answer, data, (size_t)n) : -1;
                        if (status >= 0)
                                return status;
                        if (n <= 0)
                                error_set(&err, EPIPE, "the channel ended before the command did");
                }
        }
        error_print(stderr, &err);
        return EXIT_PADDOCK;
}
