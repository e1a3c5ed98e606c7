// SPDX-License-Identifier: GPL-3.0-or-later
/* Messages between the environment's init and the paddock outside: see report.h. */
#include "host/linux/report.h"

#include "host/linux/pass.h"

#include "base/cleanup.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

int report_send(int socket, enum report_type type, int value, const struct error *err, int fd)
{
        struct report report = {.type = type, .value = value};
        size_t size = offsetof(struct report, text);
        if (err) {
                snprintf(report.text, sizeof report.text, "%s", err->text ? err->text : strerror(err->code));
                snprintf(report.remedy, sizeof report.remedy, "%s", err->remedy ? err->remedy : "");
                size = sizeof report;
        }
        return pass_send(socket, &report, size, fd);
}

int report_receive(int socket, struct report *report, int *fd)
{
        memset(report, 0, offsetof(struct report, text) + 1);
        report->remedy[0] = '\0';
        struct iovec iov = {report, sizeof *report};
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control;
        struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                                 .msg_controllen = sizeof control.space};
        ssize_t n;
        do
                n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n <= 0)
                return n < 0 && errno != ECONNRESET ? -errno : 0;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        if (header && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(int))) {
                int passed;
                memcpy(&passed, CMSG_DATA(header), sizeof passed);
                if (fd)
                        *fd = passed;
                else
                        close(passed);
        }
        report->text[sizeof report->text - 1] = report->remedy[sizeof report->remedy - 1] = '\0';
        return 1;
}
