// SPDX-License-Identifier: GPL-3.0-or-later
/* Lists directories of the mirror: see lister.h. */
#include "host/linux/lister.h"

#include "base/cleanup.h"
#include "host/linux/kernel.h"

#include <limits.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define ENTRIES_LIMIT (1 << 20) /* bytes of names: a directory of more than about 30,000 is not worth it */

static void list(int mirror, const char *path)
{
        char entries[16384];
        long got, all = 0;
        cleanup_close int fd = kernel_open_below(mirror, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        while (fd >= 0 && all < ENTRIES_LIMIT && (got = syscall(SYS_getdents64, fd, entries, sizeof entries)) > 0)
                all += got;
}

static _Noreturn void live(int mirror, int words)
{
        prctl(PR_SET_NAME, "paddock-lister", 0, 0, 0);
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        /* It holds the mirror and its socket, nothing that anybody waits to see closed. */
        int high = fcntl(mirror, F_DUPFD_CLOEXEC, 5), word = fcntl(words, F_DUPFD_CLOEXEC, 5);
        if (high < 0 || word < 0 || dup2(high, 3) < 0 || dup2(word, 4) < 0)
                _exit(1);
        close_range(0, 2, 0);
        close_range(5, ~0U, 0);
        char path[PATH_MAX];
        ssize_t got;
        while ((got = recv(4, path, sizeof path - 1, 0)) > 0) {
                path[got] = '\0';
                list(3, path);
        }
        _exit(0);
}

static void start(struct lister *lister)
{
        int sockets[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
                return;
        pid_t pid = kernel_fork(0);
        if (pid == 0)
                live(lister->mirror, sockets[1]);
        close(sockets[1]);
        if (pid < 0) {
                close(sockets[0]);
                return;
        }
        lister->pid = pid;
        lister->words = sockets[0];
}

void lister_ask(struct lister *lister, const char *path, size_t length)
{
        if (lister->mirror < 0)
                return;
        if (lister->words < 0)
                start(lister);
        if (lister->words < 0 || send(lister->words, path, length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 || errno == EAGAIN)
                return;
        close(lister->words); /* it was killed: another one, the next time */
        lister->words = -1;
}
