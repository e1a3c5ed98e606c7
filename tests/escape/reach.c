// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A program whose connections are answered by a server, and that tries to reach what is refused to it: 10.9.8.7, port 81, where 80 is
 * allowed. Each way prints its name and what came of it; REACHED is what must never be said.
 *
 * Usage: reach WAY [SECONDS]
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define FASTOPEN 0x20000000
#define TCP_FASTOPEN_CONNECT_OPTION 30

union any {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_un unix_;
        char room[128];
};

static union any at(int port)
{
        union any a = {.four = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)}};
        inet_pton(AF_INET, "10.9.8.7", &a.four.sin_addr);
        return a;
}

/* What is at the other end greets with its port. */
static int greeted(int fd)
{
        char text[16] = "";
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (poll(&ready, 1, 300) > 0)
                (void)!recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
        return atoi(text);
}

static void tell(const char *way, long result)
{
        printf("%s: %s\n", way, result < 0 ? strerror(errno) : "done");
}

static int allowed(void)
{
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        union any a = at(80);
        if (connect(fd, &a.any, sizeof a.four) < 0 || greeted(fd) != 80) {
                perror("the allowed connection");
                exit(2);
        }
        return fd;
}

/* --- another thread changes what the call was made with --- */

static _Atomic int over;
static union any shared;
static int number;
static int files[2];

static void *change_address(void *unused)
{
        union any good = at(80), bad = at(81);
        (void)unused;
        while (!over) {
                memcpy(&shared, &bad, sizeof shared.four);
                memcpy(&shared, &good, sizeof shared.four);
        }
        return NULL;
}

/* A UNIX socket's name and socket, and in the next moment those of a connection that was allowed. */
static void *change_all(void *unused)
{
        union any name = {.unix_ = {.sun_family = AF_UNIX, .sun_path = "/run/none"}}, nothing = {.any = {.sa_family = AF_UNSPEC}};
        union any bad = at(81);
        (void)unused;
        for (unsigned i = 0; !over; i++) {
                dup2(files[0], number);
                memcpy(&shared, &name, sizeof name.unix_);
                dup2(files[1], number);
                memcpy(&shared, i & 1 ? &bad : &nothing, sizeof bad.four);
        }
        return NULL;
}

static void race_address(int seconds)
{
        pthread_t thread;
        pthread_create(&thread, NULL, change_address, NULL);
        long tries = 0, reached = 0;
        for (time_t end = time(NULL) + seconds; time(NULL) < end; tries++) {
                int fd = socket(AF_INET, SOCK_STREAM, 0);
                if (connect(fd, &shared.any, sizeof shared.four) == 0 && greeted(fd) == 81)
                        reached++;
                close(fd);
        }
        over = 1;
        pthread_join(thread, NULL);
        printf("%s\n", reached ? "REACHED" : tries > 20 ? "not reached" : "too few tries");
}

static void race_all(int seconds)
{
        pthread_t thread;
        files[0] = socket(AF_UNIX, SOCK_STREAM, 0);
        number = dup(files[0]);
        long tries = 0, reached = 0, listens = 0;
        for (time_t end = time(NULL) + seconds; time(NULL) < end; tries++) {
                files[1] = allowed();
                over = 0;
                pthread_create(&thread, NULL, change_all, NULL);
                for (int i = 0; i < 200; i++)
                        connect(number, &shared.any, sizeof shared.unix_);
                over = 1;
                pthread_join(thread, NULL);
                reached += greeted(files[1]) == 81;
                union any bad = at(81);
                if (connect(files[1], &bad.any, sizeof bad.four) == 0)
                        reached++;
                listens += listen(files[1], 1) == 0;
                shutdown(files[1], SHUT_RDWR);
                close(files[1]);
        }
        printf("%s\n", reached ? "REACHED" : listens ? "REACHED: listens outside" : tries ? "not reached" : "too few tries");
}

/* --- other calls --- */

static void others(void)
{
        union any bad = at(81), nothing = {.any = {.sa_family = AF_UNSPEC}};
        int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
        tell("connect", connect(fd, &bad.any, sizeof bad.four));
        tell("sendto, fast open", sendto(fd, "x", 1, FASTOPEN, &bad.any, sizeof bad.four));
        struct iovec part = {(char *)"x", 1};
        struct mmsghdr message = {.msg_hdr = {.msg_name = &bad, .msg_namelen = sizeof bad.four, .msg_iov = &part, .msg_iovlen = 1}};
        tell("sendmsg, fast open", sendmsg(fd, &message.msg_hdr, FASTOPEN));
        tell("sendmmsg, fast open", sendmmsg(fd, &message, 1, FASTOPEN));
        setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT_OPTION, &on, sizeof on);
        tell("connect, fast open", connect(fd, &bad.any, sizeof bad.four));
        int udp = socket(AF_INET, SOCK_DGRAM, 0);
        tell("UDP", sendto(udp, "x", 1, 0, &bad.any, sizeof bad.four));
        static char parameters[256];
        tell("io_uring", syscall(425, 8, parameters));
        static const int families[] = {40 /* VSOCK */, 38 /* ALG */, 17 /* PACKET */, 31 /* BLUETOOTH */, 44 /* XDP */, 43 /* SMC */};
        for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
                char way[32];
                snprintf(way, sizeof way, "family %d", families[i]);
                tell(way, socket(families[i], SOCK_STREAM, 0));
        }
#if defined __x86_64__
        tell("x32", syscall(0x40000000 | SYS_connect, fd, &bad, sizeof bad.four));
        long result;
        __asm__ volatile("int $0x80" : "=a"(result) : "a"(362), "b"(fd), "c"(0), "d"(16) : "memory");
        errno = (int)-result;
        tell("32 bit", result < 0 ? -1 : 0);
        __asm__ volatile("int $0x80" : "=a"(result) : "a"(102), "b"(3), "c"(0) : "memory");
        errno = (int)-result;
        tell("32 bit, socketcall", result < 0 ? -1 : 0);
#endif
        int out = allowed();
        tell("disconnect", connect(out, &nothing.any, sizeof nothing.any));
        tell("again", connect(out, &bad.any, sizeof bad.four));
        tell("listen", listen(out, 1));
        int fresh = socket(AF_INET, SOCK_STREAM, 0);
        tell("own listen", listen(fresh, 1));
        tell("bad number", connect(4711, &bad.any, sizeof bad.four));
        tell("bad size", connect(fd, &bad.any, 3));
        tell("bad address", connect(fd, (struct sockaddr *)8, 16));
        tell("huge size", syscall(SYS_connect, fd, &bad, 1UL << 40 | 16));
        tell("a file", connect(open("/dev/null", O_RDONLY), &bad.any, sizeof bad.four));
}

/* Calls without end, from many processes that are killed in the midst of it. */
static void flood(int seconds)
{
        time_t end = time(NULL) + seconds;
        for (int i = 0; i < 12; i++)
                if (fork() == 0) {
                        while (time(NULL) < end) {
                                pid_t child = fork();
                                if (child == 0) {
                                        union any bad = at(82); /* nobody answers whether it may */
                                        int fd = socket(AF_INET, SOCK_STREAM, 0);
                                        connect(fd, &bad.any, sizeof bad.four);
                                        _exit(0);
                                }
                                struct timespec pause = {.tv_nsec = 2000000};
                                nanosleep(&pause, NULL);
                                if (child > 0)
                                        kill(child, 9);
                        }
                        _exit(0);
                }
        sleep((unsigned)seconds);
        printf("flooded\n");
}

int main(int argc, char **argv)
{
        const char *way = argc > 1 ? argv[1] : "";
        int seconds = argc > 2 ? atoi(argv[2]) : 2;
        setvbuf(stdout, NULL, _IOLBF, 0);
        if (strcmp(way, "address") == 0)
                race_address(seconds);
        else if (strcmp(way, "all") == 0)
                race_all(seconds);
        else if (strcmp(way, "others") == 0)
                others();
        else if (strcmp(way, "flood") == 0)
                flood(seconds);
        else
                return 2;
        return 0;
}
