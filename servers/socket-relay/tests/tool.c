// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What the tests of socket-relay need: a warden, servers outside and clients inside. All names are of sockets.
 *
 *      tool warden SERVER              reads commands, a line each, and prints what the relay says:
 *          add ID TYPE INNER OUTER [once]     TYPE: stream, seqpacket, dgram; makes INNER
 *          revoke ID          raw HEXBYTES          many N TYPE INNER OUTER     (ids 1000...)
 *      tool echo TYPE NAME             a server that sends back what it gets, descriptors too; on half-close it says "bye" and closes
 *      tool sink TYPE NAME             accepts, and never reads
 *      tool clients N TYPE NAME        N connections at once, an exchange on each; then waits for a line and says how all have ended
 *      tool orderly stream NAME        one connection, bytes and descriptors mixed both ways: each descriptor comes with its own byte
 *      tool order NAME                 the other end of it
 *      tool boundaries NAME            messages of all sizes, empty ones too, stay what they are (seqpacket)
 *      tool half NAME                  half-close
 *      tool flow NAME BYTES            so many bytes through an echo, compared
 *      tool stuff NAME                 writes until nothing more fits; prints how many bytes
 *      tool hung TYPE NAME DIR         passes a file that cannot be closed (DIR: a mount that does not answer), then plain data
 *      tool send NAME TEXT...          one datagram each
 *      tool open NAME                  connects, exchanges one line, then prints how it ended once it ends
 *      tool oob NAME                   urgent data is not relayed, and disturbs nothing
 *      tool time NAME N                microseconds of an exchange of one byte, the median of N
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../control.h"

#define FDS 253

static void die(const char *what)
{
        perror(what);
        exit(1);
}

static void expect(bool good, const char *what)
{
        if (!good) {
                fprintf(stderr, "tool: not so: %s (errno %s)\n", what, strerror(errno));
                exit(1);
        }
}

static int type_of(const char *word)
{
        return strcmp(word, "stream") == 0 ? SOCK_STREAM : strcmp(word, "seqpacket") == 0 ? SOCK_SEQPACKET : SOCK_DGRAM;
}

static struct sockaddr_un address(const char *name)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        expect(strlen(name) < sizeof a.sun_path, "the name is short enough");
        strcpy(a.sun_path, name);
        return a;
}

static int listen_at(const char *name, int type)
{
        struct sockaddr_un a = address(name);
        int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
        unlink(name);
        if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || (type != SOCK_DGRAM && listen(fd, 4096) < 0))
                die(name);
        return fd;
}

static int connect_to(const char *name, int type)
{
        struct sockaddr_un a = address(name);
        int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
        if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
                die(name);
        return fd;
}

static ssize_t send_with(int fd, const void *data, size_t size, const int *fds, size_t count)
{
        union {
                struct cmsghdr header;
                char room[CMSG_SPACE(sizeof(int) * FDS)];
        } c;
        struct iovec part = {(void *)data, size};
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
        if (count) {
                m.msg_control = &c;
                m.msg_controllen = CMSG_SPACE(sizeof(int) * count);
                c.header = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
                                            .cmsg_type = SCM_RIGHTS,
                                            .cmsg_len = CMSG_LEN(sizeof(int) * count)};
                memcpy(CMSG_DATA(&c.header), fds, sizeof(int) * count);
        }
        return sendmsg(fd, &m, MSG_NOSIGNAL);
}

static ssize_t receive_with(int fd, void *data, size_t size, int *fds, size_t *count)
{
        union {
                struct cmsghdr header;
                char room[CMSG_SPACE(sizeof(int) * FDS)];
        } c;
        struct iovec part = {data, size};
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c};
        ssize_t got = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
        *count = 0;
        if (got < 0)
                return got;
        struct cmsghdr *h = CMSG_FIRSTHDR(&m);
        if (h && h->cmsg_type == SCM_RIGHTS) {
                *count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                memcpy(fds, CMSG_DATA(h), *count * sizeof(int));
        }
        return got;
}

static void print_answers(int control, int patience)
{
        static const char *const words[] =
                {[RELAY_DONE] = "done", [RELAY_USED] = "used", [RELAY_FAILED] = "failed", [RELAY_SPENT] = "spent"};
        struct relay_message m;
        struct pollfd p = {control, POLLIN, 0};
        while (poll(&p, 1, patience) > 0 && recv(control, &m, sizeof m, 0) == sizeof m) {
                printf("%s %llu %d%s\n", words[m.type], (unsigned long long)m.id, m.status, m.lost ? " lost" : "");
                fflush(stdout);
                if (m.type == RELAY_DONE && patience < 0)
                        patience = 0;
        }
}

static void ask(int control, uint32_t type, uint64_t id, uint32_t flags, const int *fds, size_t count)
{
        struct relay_message m = {.version = RELAY_VERSION, .type = type, .id = id, .flags = flags};
        expect(send_with(control, &m, sizeof m, fds, count) == sizeof m, "the relay takes a message");
        print_answers(control, -1);
}

static void add(int control, uint64_t id, const char *type, const char *inner, const char *outer, bool once)
{
        int fds[2] = {listen_at(inner, type_of(type)), open(outer, O_PATH | O_CLOEXEC)};
        expect(fds[1] >= 0, outer);
        ask(control, RELAY_ADD, id, once ? RELAY_ONCE : 0, fds, 2);
        close(fds[0]);
        close(fds[1]);
}

static int warden(const char *server)
{
        int pair[2];
        char line[4096], a[5][1024];
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
        pid_t pid = fork();
        if (pid == 0) {
                dup2(pair[1], RELAY_CONTROL);
                if (pair[1] == RELAY_CONTROL)
                        fcntl(RELAY_CONTROL, F_SETFD, 0);
                execl(server, server, (char *)NULL);
                die(server);
        }
        close(pair[1]);
        printf("relay %d\n", (int)pid);
        fflush(stdout);
        for (;;) {
                struct pollfd p[2] = {{0, POLLIN, 0}, {pair[0], POLLIN, 0}};
                setvbuf(stdin, NULL, _IONBF, 0);
                poll(p, 2, -1);
                if (p[1].revents & POLLIN)
                        print_answers(pair[0], 0);
                else if (p[1].revents & POLLHUP)
                        break;
                if (!p[0].revents)
                        continue;
                if (!fgets(line, sizeof line, stdin))
                        break;
                int n = sscanf(line, "%1023s %1023s %1023s %1023s %1023s", a[0], a[1], a[2], a[3], a[4]);
                if (n >= 5 && strcmp(a[0], "add") == 0) {
                        add(pair[0], strtoull(a[1], NULL, 0), a[2], a[3], a[4], strstr(line, " once"));
                } else if (n == 2 && strcmp(a[0], "revoke") == 0) {
                        struct timespec t[2];
                        clock_gettime(CLOCK_MONOTONIC, t);
                        ask(pair[0], RELAY_REVOKE, strtoull(a[1], NULL, 0), 0, NULL, 0);
                        clock_gettime(CLOCK_MONOTONIC, t + 1);
                        printf("took %ld us\n",
                               (t[1].tv_sec - t->tv_sec) * 1000000 + (t[1].tv_nsec - t->tv_nsec) / 1000);
                } else if (n == 5 && strcmp(a[0], "many") == 0) {
                        for (int i = 0; i < atoi(a[1]); i++) {
                                char name[1100];
                                snprintf(name, sizeof name, "%s.%d", a[3], i);
                                add(pair[0], 1000 + (uint64_t)i, a[2], name, a[4], false);
                        }
                } else if (n == 2 && strcmp(a[0], "raw") == 0) {
                        char bytes[512];
                        size_t size = 0;
                        for (; size < sizeof bytes && sscanf(a[1] + 2 * size, "%2hhx", &bytes[size]) == 1; size++)
                                ;
                        int extra[1] = {0};
                        expect(send_with(pair[0], bytes, size, extra, size % 2) == (ssize_t)size,
                               "any message is taken");
                        print_answers(pair[0], -1);
                }
                fflush(stdout);
        }
        close(pair[0]);
        int status;
        waitpid(pid, &status, 0);
        printf("end %d\n", status);
        return 0;
}

/* Each connection in a process of its own. */
static int echo(int type, const char *name)
{
        int fd = listen_at(name, type), fds[FDS];
        static char buffer[1 << 20];
        size_t count;
        signal(SIGCHLD, SIG_IGN);
        puts("listens");
        fflush(stdout);
        if (type == SOCK_DGRAM)
                for (;;) {
                        ssize_t got = receive_with(fd, buffer, sizeof buffer, fds, &count);
                        if (got < 0)
                                return 1;
                        printf("got %.*s (%zu)\n", (int)got, buffer, count);
                        fflush(stdout);
                        while (count)
                                close(fds[--count]);
                }
        for (;;) {
                int one = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
                if (one < 0 || fork() > 0) {
                        close(one);
                        continue;
                }
                close(fd);
                int size = 1 << 20;
                setsockopt(one, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
                for (;;) {
                        ssize_t got = receive_with(one, buffer, sizeof buffer, fds, &count);
                        struct pollfd p = {one, POLLRDHUP, 0};
                        if (got < 0)
                                _exit(1);
                        /* An empty message is not the end. */
                        if (got == 0 && (type == SOCK_STREAM || poll(&p, 1, 0) > 0)) {
                                send(one, "bye", 3, MSG_NOSIGNAL);
                                _exit(0);
                        }
                        for (ssize_t at = 0; at < got || got == 0;) {
                                ssize_t sent = send_with(one, buffer + at, (size_t)(got - at), fds, at ? 0 : count);
                                if (sent < 0)
                                        _exit(1);
                                at += sent;
                                if (got == 0)
                                        break;
                        }
                        while (count)
                                close(fds[--count]);
                }
        }
}

static _Noreturn void sink(int type, const char *name)
{
        int fd = listen_at(name, type);
        puts("listens");
        fflush(stdout);
        for (;;)
                accept(fd, NULL, NULL);
}

static int clients(int n, int type, const char *name)
{
        int *fds = calloc((size_t)n, sizeof *fds), ended = 0;
        char letter;
        for (int i = 0; i < n; i++)
                fds[i] = connect_to(name, type);
        for (int i = 0; i < n; i++)
                expect(send(fds[i], &(char){(char)i}, 1, 0) == 1, "a byte is sent");
        for (int i = 0; i < n; i++)
                expect(recv(fds[i], &letter, 1, 0) == 1 && letter == (char)i, "its own byte comes back");
        puts("connected");
        fflush(stdout);
        getchar();
        for (int i = 0; i < n; i++) {
                ssize_t got = recv(fds[i], &letter, 1, MSG_DONTWAIT),
                        sent = send(fds[i], "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
                ended += (got == 0 || (got < 0 && errno != EAGAIN)) && sent < 0;
        }
        printf("ended %d\n", ended);
        return 0;
}

/* A file that holds `number`. */
static int numbered(int number)
{
        int fd = memfd_create("numbered", MFD_CLOEXEC);
        expect(write(fd, &number, sizeof number) == sizeof number, "a file for a number");
        return fd;
}

static int number_of(int fd)
{
        int number = -1;
        expect(pread(fd, &number, sizeof number, 0) == sizeof number, "a number in the file");
        return number;
}

#define ROUNDS 300

/* How many plain bytes and descriptors come in each round. */
static size_t plain_of(int round) { return (size_t)(round * 7919 % (round % 10 ? 300 : 60000)); }
static size_t many_of(int round) { return round % 50 ? 1 : FDS; }

static void order_write(int fd)
{
        static char buffer[70000];
        memset(buffer, 'p', sizeof buffer);
        for (int round = 0; round < ROUNDS; round++) {
                size_t plain = plain_of(round), many = many_of(round);
                int fds[FDS];
                for (size_t i = 0; i < many; i++)
                        fds[i] = numbered(round * 1000 + (int)i);
                for (size_t at = 0; at < plain;) {
                        size_t piece = 1 + at * 31 % 5000;
                        ssize_t sent = send(fd, buffer + at, piece < plain - at ? piece : plain - at, MSG_NOSIGNAL);
                        expect(sent > 0, "plain bytes are sent");
                        at += (size_t)sent;
                }
                expect(send_with(fd, "Dtail", 5, fds, many) == 5, "bytes with a descriptor are sent");
                while (many)
                        close(fds[--many]);
        }
}

/* The bytes before a descriptor are read with read(), which would lose one that came too early. */
static void order_read(int fd)
{
        static char buffer[70000];
        int got[FDS];
        size_t count;
        for (int round = 0; round < ROUNDS; round++) {
                size_t plain = plain_of(round);
                for (size_t at = 0; at < plain;) {
                        ssize_t n = read(fd, buffer + at, plain - at);
                        expect(n > 0, "plain bytes come");
                        at += (size_t)n;
                }
                expect(receive_with(fd, buffer, 1, got, &count) == 1 && *buffer == 'D', "the byte");
                expect(count == many_of(round), "its descriptors came with it");
                for (size_t i = 0; i < count; i++) {
                        expect(number_of(got[i]) == round * 1000 + (int)i, "in their order");
                        close(got[i]);
                }
                expect(recv(fd, buffer, 4, MSG_WAITALL) == 4 && memcmp(buffer, "tail", 4) == 0, "what follows comes");
        }
}

static void order_both(int fd)
{
        pid_t pid = fork();
        int status = 1;
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody is to wait for this one */
                order_write(fd);
                _exit(0);
        }
        order_read(fd);
        expect(waitpid(pid, &status, 0) == pid && status == 0, "the other way is good too");
}

static int order(const char *name)
{
        order_both(connect_to(name, SOCK_STREAM));
        puts("in order");
        return 0;
}

/* The same from its other end, once. */
static int orderly(const char *name)
{
        int fd = listen_at(name, SOCK_STREAM);
        puts("listens");
        fflush(stdout);
        order_both(accept(fd, NULL, NULL));
        puts("in order");
        return 0;
}

static int boundaries(const char *name)
{
        int fd = connect_to(name, SOCK_SEQPACKET), got[FDS];
        static char data[1 << 20], back[1 << 20];
        size_t count, sizes[] = {1, 0, 2, 0, 0, 100, 4096, 65535, 65536, 65537, 100000, 200000, 0, 3};
        for (size_t i = 0; i < sizeof data; i++)
                data[i] = (char)(i * 31 >> 3);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
                int file = numbered((int)i);
                expect(send_with(fd, data, sizes[i], &file, sizes[i] % 2) == (ssize_t)sizes[i], "a message is sent");
                close(file);
                expect(receive_with(fd, back, sizeof back, got, &count) == (ssize_t)sizes[i],
                       "a message of the same size comes");
                expect(memcmp(data, back, sizes[i]) == 0, "of the same bytes");
                expect(count == sizes[i] % 2 && (!count || number_of(*got) == (int)i), "with its descriptor");
                if (count)
                        close(*got);
        }
        shutdown(fd, SHUT_WR);
        expect(recv(fd, back, sizeof back, 0) == 3 && memcmp(back, "bye", 3) == 0, "the other way is open still");
        expect(recv(fd, back, sizeof back, 0) == 0, "and ends");
        puts("kept");
        return 0;
}

static int half(const char *name)
{
        int fd = connect_to(name, SOCK_STREAM);
        char back[64];
        expect(send(fd, "hello", 5, 0) == 5, "a word is sent");
        shutdown(fd, SHUT_WR);
        expect(recv(fd, back, 8, MSG_WAITALL) == 8 && memcmp(back, "hellobye", 8) == 0, "the other way is open still");
        expect(recv(fd, back, 1, 0) == 0, "and ends");
        puts("half-closed");
        return 0;
}

static int flow(const char *name, size_t bytes)
{
        int fd = connect_to(name, SOCK_STREAM);
        static unsigned char buffer[100000];
        struct timespec t[2];
        clock_gettime(CLOCK_MONOTONIC, t);
        if (fork() == 0) {
                for (size_t at = 0; at < bytes;) {
                        size_t piece = bytes - at < sizeof buffer ? bytes - at : sizeof buffer;
                        for (size_t i = 0; i < piece; i++)
                                buffer[i] = (unsigned char)((at + i) % 251);
                        ssize_t sent = send(fd, buffer, piece, MSG_NOSIGNAL);
                        expect(sent > 0, "bytes are sent");
                        at += (size_t)sent;
                }
                shutdown(fd, SHUT_WR);
                _exit(0);
        }
        for (size_t at = 0; at < bytes;) {
                ssize_t n = recv(fd, buffer, bytes - at < sizeof buffer ? bytes - at : sizeof buffer, 0);
                expect(n > 0, "bytes come back");
                for (ssize_t i = 0; i < n; i++)
                        expect(buffer[i] == (unsigned char)((at + (size_t)i) % 251), "the same bytes");
                at += (size_t)n;
        }
        clock_gettime(CLOCK_MONOTONIC, t + 1);
        double s = (double)(t[1].tv_sec - t->tv_sec) + (double)(t[1].tv_nsec - t->tv_nsec) / 1e9;
        printf("same %.0f MB/s\n", (double)bytes / 1e6 / s);
        return 0;
}

static int stuff(const char *name)
{
        int fd = connect_to(name, SOCK_STREAM);
        static char buffer[65536];
        size_t total = 0;
        for (int calm = 0; calm < 20;) {
                ssize_t n = send(fd, buffer, sizeof buffer, MSG_DONTWAIT | MSG_NOSIGNAL);
                if (n < 0 && errno != EAGAIN)
                        break;
                calm = n < 0 ? calm + 1 : 0;
                total += n < 0 ? 0 : (size_t)n;
                if (n < 0)
                        usleep(20000);
        }
        printf("%zu\n", total);
        fflush(stdout);
        pause();
        return 0;
}

static int hung(int type, const char *name, const char *dir)
{
        int fd = connect_to(name, type), file = open(dir, O_RDONLY | O_CLOEXEC), got[FDS];
        size_t count;
        char c;
        expect(file >= 0, dir);
        for (int i = 0; i < 20; i++)
                expect(send_with(fd, "f", 1, &file, 1) == 1, "a file is sent");
        /* The echo closes the first after it has sent it back, which is all that comes. */
        expect(receive_with(fd, &c, 1, got, &count) == 1, "it passes");
        puts("passed");
        fflush(stdout);
        pause();
        return 0;
}

static int datagrams(const char *name, char **texts)
{
        int fd = connect_to(name, SOCK_DGRAM);
        for (; *texts; texts++) {
                int file = numbered(1);
                if (send_with(fd, *texts, strlen(*texts), &file, **texts == '+') < 0)
                        die("send");
                close(file);
        }
        return 0;
}

static int open_one(const char *name)
{
        int fd = connect_to(name, SOCK_STREAM);
        char c;
        if (send(fd, "x", 1, MSG_NOSIGNAL) != 1 || recv(fd, &c, 1, 0) != 1) {
                puts("refused");
                return 0;
        }
        puts("open");
        fflush(stdout);
        ssize_t got = recv(fd, &c, 1, 0);
        printf("ended %zd\n", got);
        return 0;
}

static int oob(const char *name)
{
        int fd = connect_to(name, SOCK_STREAM);
        char back[8];
        expect(send(fd, "a", 1, 0) == 1 && send(fd, "!", 1, MSG_OOB) == 1 && send(fd, "b", 1, 0) == 1,
               "urgent data is sent");
        expect(recv(fd, back, 2, MSG_WAITALL) == 2 && memcmp(back, "ab", 2) == 0, "the rest comes");
        expect(send(fd, "!", 1, MSG_OOB) == 1 && send(fd, "c", 1, 0) == 1, "first in the queue");
        expect(recv(fd, back, 1, MSG_WAITALL) == 1 && *back == 'c', "the rest comes");
        puts("undisturbed");
        return 0;
}

static int by_number(const void *a, const void *b)
{
        return *(const int *)a - *(const int *)b;
}

static int timing(const char *name, int n)
{
        int fd = connect_to(name, SOCK_STREAM), *took = calloc((size_t)n, sizeof *took);
        char c = 'x';
        for (int i = 0; i < n; i++) {
                struct timespec t[2];
                clock_gettime(CLOCK_MONOTONIC, t);
                expect(send(fd, &c, 1, 0) == 1 && recv(fd, &c, 1, 0) == 1, "an exchange");
                clock_gettime(CLOCK_MONOTONIC, t + 1);
                took[i] = (int)((t[1].tv_sec - t->tv_sec) * 1000000 + (t[1].tv_nsec - t->tv_nsec) / 1000);
        }
        qsort(took, (size_t)n, sizeof *took, by_number);
        printf("%d us\n", took[n / 2]);
        return 0;
}

int main(int argc, char **argv)
{
        const char *what = argc > 2 ? argv[1] : "";
        if (strcmp(what, "warden") == 0)
                return warden(argv[2]);
        if (strcmp(what, "echo") == 0 && argc == 4)
                return echo(type_of(argv[2]), argv[3]);
        if (strcmp(what, "sink") == 0 && argc == 4)
                sink(type_of(argv[2]), argv[3]);
        if (strcmp(what, "clients") == 0 && argc == 5)
                return clients(atoi(argv[2]), type_of(argv[3]), argv[4]);
        if (strcmp(what, "order") == 0)
                return order(argv[2]);
        if (strcmp(what, "orderly") == 0 && argc == 4)
                return orderly(argv[3]);
        if (strcmp(what, "boundaries") == 0)
                return boundaries(argv[2]);
        if (strcmp(what, "half") == 0)
                return half(argv[2]);
        if (strcmp(what, "flow") == 0 && argc == 4)
                return flow(argv[2], strtoul(argv[3], NULL, 0));
        if (strcmp(what, "stuff") == 0)
                return stuff(argv[2]);
        if (strcmp(what, "hung") == 0 && argc == 5)
                return hung(type_of(argv[2]), argv[3], argv[4]);
        if (strcmp(what, "send") == 0 && argc > 3)
                return datagrams(argv[2], argv + 3);
        if (strcmp(what, "open") == 0)
                return open_one(argv[2]);
        if (strcmp(what, "oob") == 0)
                return oob(argv[2]);
        if (strcmp(what, "time") == 0 && argc == 4)
                return timing(argv[2], atoi(argv[3]));
        fprintf(stderr, "tool: what?\n");
        return 2;
}
