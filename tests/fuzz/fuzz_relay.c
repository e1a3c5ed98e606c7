// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Any messages of a warden to socket-relay, with any descriptors, while connections are made, used and closed: every
 * one is answered, in order, and no descriptor is left at the end.
 *
 *      clang -fsanitize=fuzzer,address ... tests/fuzz/fuzz_relay.c
 * servers/socket-relay/{control,grant,link,relay,closer}.c
 */
#include "relay.h"

#include "base/cleanup.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good, const char *what)
{
        if (!good) {
                fprintf(stderr, "fuzz_relay: %s\n", what);
                abort();
        }
}

static int bound(int type, struct sockaddr_un *address)
{
        socklen_t length = sizeof *address;
        int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        *address = (struct sockaddr_un){.sun_family = AF_UNIX};
        check(bind(fd, (struct sockaddr *)address, sizeof(sa_family_t)) == 0 &&
                      getsockname(fd, (struct sockaddr *)address, &length) == 0,
              "cannot make a socket"); /* an abstract name of the kernel's choice */
        if (type != SOCK_DGRAM)
                check(listen(fd, 16) == 0, "cannot listen");
        return fd;
}

static int outer_file(void)
{
        static char name[64];
        if (!*name) {
                struct sockaddr_un address = {.sun_family = AF_UNIX};
                snprintf(name, sizeof name, "/tmp/fuzz-relay.%d", (int)getpid());
                strcpy(address.sun_path, name);
                int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                unlink(name);
                check(bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 64) == 0,
                      "cannot listen");
        }
        return open(name, O_PATH | O_CLOEXEC);
}

static void send_control(int control, const void *message, size_t size, const int *fds, size_t count)
{
        union {
                struct cmsghdr header;
                char room[CMSG_SPACE(sizeof(int) * 4)];
        } ancillary = {0};
        struct iovec part = {(void *)message, size};
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
        if (count) {
                m.msg_control = &ancillary;
                m.msg_controllen = CMSG_SPACE(count * sizeof(int));
                ancillary.header = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
                                                    .cmsg_type = SCM_RIGHTS,
                                                    .cmsg_len = CMSG_LEN(count * sizeof(int))};
                memcpy(CMSG_DATA(&ancillary.header), fds, count * sizeof(int));
        }
        check(sendmsg(control, &m, 0) == (ssize_t)size, "the message was not taken");
}

static int descriptors(void)
{
        int count = 0;
        cleanup_dir DIR *dir = opendir("/proc/self/fd");
        while (dir && readdir(dir))
                count++;
        return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM, SOCK_STREAM};
        static struct relay r;
        static int control = -1, before;
        struct sockaddr_un last = {0};
        int last_type = SOCK_STREAM, clients[8], client_count = 0;
        if (control < 0) {
                int pair[2];
                check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0 && relay_start(&r, pair[1]) == 0,
                      "cannot start");
                control = pair[0];
                close(outer_file());
        }
        before = descriptors();
        while (size >= 4) {
                uint8_t what = data[0], kind = data[1], length = data[2];
                data += 3;
                size -= 3;
                if (length > size)
                        length = (uint8_t)size;
                if (what < 192) {
                        struct relay_message answer,
                                message = {.version = RELAY_VERSION, .type = 1 + kind % 2, .id = 1 + kind / 2 % 4};
                        char raw[256 + sizeof message] = {0};
                        int fds[4] = {-1, -1, -1, -1};
                        size_t count = message.type == RELAY_ADD ? 2 : 0, sent = sizeof message;
                        memcpy(raw, &message, sizeof message);
                        if (what < 64) { /* bytes of the input's */
                                memcpy(raw, data, length);
                                sent = length > 1 ? length : 1;
                                count = kind % 5;
                        }
                        for (size_t i = 0; i < count; i++)
                                fds[i] = i == 0 && what % 4 != 3   ? bound(last_type = types[what % 3], &last)
                                         : i == 1 && what % 8 != 7 ? outer_file()
                                                                   : open("/dev/null", O_RDONLY | O_CLOEXEC);
                        send_control(control, raw, sent, fds, count);
                        while (count)
                                close(fds[--count]);
                        relay_once(&r, 0);
                        bool answered = false;
                        while (recv(control, &answer, sizeof answer, MSG_DONTWAIT) == sizeof answer)
                                answered |= answer.type == RELAY_DONE;
                        check(answered, "not answered");
                } else if (what < 224 && client_count < 8 && last.sun_family) {
                        int fd = socket(AF_UNIX, last_type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
                        clients[client_count++] = fd;
                        if (connect(fd, (struct sockaddr *)&last, sizeof(sa_family_t) + 6) == 0)
                                (void)!send(fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
                } else if (client_count) {
                        close(clients[--client_count]);
                }
                relay_once(&r, 0);
                data += length;
                size -= length;
        }
        while (client_count)
                close(clients[--client_count]);
        while (r.grants)
                grant_end(&r, r.grants);
        for (int i = 0; i < 4; i++)
                relay_once(&r, 0);
        char nothing[64];
        while (recv(control, nothing, sizeof nothing, MSG_DONTWAIT) > 0)
                ;
        int left = 0;
        for (int i = 0; i < 100 && (left = descriptors()) > before; i++) /* threads close some */
                usleep(1000);
        check(left <= before, "a descriptor is left");
        return 0;
}
