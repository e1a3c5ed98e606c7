// SPDX-License-Identifier: GPL-3.0-or-later
/* Words with the environment's init: see control.h. */
#include "control.h"
#include "serve.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

/* Receives one message. Returns its letter, or 0 when the other end is gone; *fd is the descriptor with it, or -1, and
 * *number the number that follows, or 0. */
static char receive(int control, int *fd, int *number)
{
        char text[16] = "";
        union {
                struct cmsghdr header;
                char room[CMSG_SPACE(sizeof(int))];
        } ancillary;
        struct iovec part = {text, sizeof text - 1};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &ancillary,
                                 .msg_controllen = sizeof ancillary};
        ssize_t got;
        while ((got = recvmsg(control, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
                ;
        *fd = -1;
        *number = got > 1 ? atoi(text + 1) : 0;
        struct cmsghdr *header = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
        if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
                memcpy(fd, CMSG_DATA(header), sizeof *fd);
        return got > 0 ? text[0] : 0;
}

int control_receive_device(int control)
{
        int fd, number;
        return receive(control, &fd, &number) == 'f' ? fd : -1;
}

/* Gives init /dev/fuse: when this server is killed, requests wait then for init to end whoever made them. */
static void give_device(const struct mirror *m)
{
        int device = fuse_session_fd(m->session);
        union {
                struct cmsghdr header;
                char room[CMSG_SPACE(sizeof(int))];
        } ancillary = {
                .header = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof device)}};
        memcpy(CMSG_DATA(&ancillary.header), &device, sizeof device);
        struct iovec part = {(char[]){'g'}, 1};
        const struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &ancillary,
                                       .msg_controllen = sizeof ancillary.room};
        (void)!sendmsg(m->control, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void *listen_to_init(void *context)
{
        struct mirror *m = context;
        int fd, number;
        for (char letter; (letter = receive(m->control, &fd, &number));) {
                if (letter == 'g')
                        give_device(m);
                if (letter == 'l' && fd >= 0) {
                        atomic_store(&m->lister, number);
                        int words = atomic_load(&m->words);
                        if (words < 0)
                                atomic_store(&m->words, steal_fd(&fd));
                        else
                                dup3(fd, words, O_CLOEXEC); /* under the number that others use at this moment */
                }
                if (fd >= 0)
                        close(fd);
        }
        serve_give_up(m);
        _exit(0); /* nothing of ours outlives the environment, and nothing has to be written */
}

void control_listen(struct mirror *m)
{
        pthread_t thread;
        if (pthread_create(&thread, NULL, listen_to_init, m) == 0)
                pthread_detach(thread);
}

/* To the lister; to init, if there is none (any more). */
static void say(struct mirror *m, const char *message, int length)
{
        if (length <= 0 || length >= CONTROL_ROOM)
                return;
        int words = atomic_load(&m->words);
        if (words < 0 || (send(words, message, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN))
                (void)!send(m->control, message, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void control_list(struct mirror *m, const char *path)
{
        char message[CONTROL_ROOM];
        say(m, message, snprintf(message, sizeof message, "d%s", path));
}

void control_walk(struct mirror *m, char order, unsigned names, unsigned up, const char *path)
{
        char message[CONTROL_ROOM];
        say(m, message, snprintf(message, sizeof message, "%c%u %u %s", order, names, up, path));
}

void control_drop_names(const struct mirror *m)
{
        (void)!send(m->control, "s", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}
