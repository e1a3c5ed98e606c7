// SPDX-License-Identifier: GPL-3.0-or-later
/* Words with the environment's init: see control.h. */
#include "control.h"

#include "base/cleanup.h"

#include <string.h>
#include <sys/socket.h>

/* Receives one message. Returns its letter, or 0 when the other end is gone; *fd is the descriptor with it, or -1. */
static char receive(int control, int *fd)
{
        char letter = 0;
        union {
                struct cmsghdr header;
                char room[CMSG_SPACE(sizeof(int))];
        } ancillary;
        struct iovec part = {&letter, 1};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &ancillary,
                                 .msg_controllen = sizeof ancillary};
        ssize_t got;
        while ((got = recvmsg(control, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
                ;
        *fd = -1;
        struct cmsghdr *header = got == 1 ? CMSG_FIRSTHDR(&message) : NULL;
        if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
                memcpy(fd, CMSG_DATA(header), sizeof *fd);
        return got == 1 ? letter : 0;
}

int control_receive_device(int control)
{
        int fd;
        return receive(control, &fd) == 'f' ? fd : -1;
}

static void *listen_to_init(void *context)
{
        struct mirror *m = context;
        int fd;
        while (receive(m->control, &fd))
                if (fd >= 0)
                        close(fd);
        _exit(0); /* nothing of ours outlives the environment, and nothing has to be written */
}

void control_listen(struct mirror *m)
{
        pthread_t thread;
        if (pthread_create(&thread, NULL, listen_to_init, m) == 0)
                pthread_detach(thread);
}

void control_list(const struct mirror *m, const char *path)
{
        char message[CONTROL_ROOM];
        int length = snprintf(message, sizeof message, "d%s", path);
        if (length > 0 && (size_t)length < sizeof message)
                (void)!send(m->control, message, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void control_drop_names(const struct mirror *m)
{
        (void)!send(m->control, "s", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}
