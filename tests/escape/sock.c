// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * sock listen TYPE NAME     waits for one visitor: prints "ready", then "visited" when one came
 * sock visit TYPE NAME      says "reached" when it could connect (or send)
 *
 * TYPE is stream, dgram or seqpacket. NAME is a path, absolute or relative, or @NAME for an abstract one.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
        if (argc != 4)
                return 2;
        int type = strcmp(argv[2], "stream") == 0  ? SOCK_STREAM
                   : strcmp(argv[2], "dgram") == 0 ? SOCK_DGRAM
                                                   : SOCK_SEQPACKET;
        struct sockaddr_un name = {.sun_family = AF_UNIX};
        snprintf(name.sun_path, sizeof name.sun_path, "%s", argv[3]);
        socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name.sun_path));
        if (name.sun_path[0] == '@')
                name.sun_path[0] = '\0';
        else
                length++;
        int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
        if (strcmp(argv[1], "listen") == 0) {
                alarm(30);
                if (bind(fd, (struct sockaddr *)&name, length) < 0 || (type != SOCK_DGRAM && listen(fd, 5) < 0)) {
                        perror("bind");
                        return 1;
                }
                printf("ready\n");
                fflush(stdout);
                char byte;
                if (type == SOCK_DGRAM ? recv(fd, &byte, 1, 0) >= 0 : accept(fd, NULL, NULL) >= 0)
                        printf("visited\n");
                return 0;
        }
        if (type == SOCK_DGRAM ? sendto(fd, "x", 1, 0, (struct sockaddr *)&name, length) == 1
                               : connect(fd, (struct sockaddr *)&name, length) == 0)
                printf("reached %s\n", argv[3]);
        return 0;
}
