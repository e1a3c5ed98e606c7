// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Two versions of a text in one: see commit.h.
 *
 * The version from which both come is gone: overlay copies a file when it is first written, and nobody keeps what the
 * outside overwrites later. So which side changed a line cannot be told, and every difference stands between marks,
 * like a conflict in diff3 -m or git; what is equal stands once.
 */
#include "layer/commit.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>

bool merge_is_text(int fd)
{
        char piece[65536];
        off_t at = 0;
        for (ssize_t n; (n = pread(fd, piece, sizeof piece, at)) > 0; at += n)
                if (memchr(piece, 0, (size_t)n))
                        return false;
        return true;
}

/* How often the mark that ends a difference stands at the beginning of a line. */
static int count_marks(int fd, const char *mark)
{
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        cleanup_file FILE *file = copy < 0 ? NULL : fdopen(copy, "r");
        if (!file)
                return -errno;
        rewind(file);
        cleanup_free char *line = NULL;
        size_t size = 0;
        int count = 0;
        while (getline(&line, &size, file) > 0)
                count += strncmp(line, mark, strlen(mark)) == 0;
        return count;
}

int merge_texts(int outside, int inside, const char *label, int to)
{
        cleanup_free char *end = memory_format(">>>>>>> %s\n", label);
        cleanup_free char *both = memory_format("--changed-group-format=<<<<<<< outside\n%%<=======\n%%>%s", end);
        cleanup_free char *old = memory_format("--old-group-format=<<<<<<< outside\n%%<=======\n%s", end);
        cleanup_free char *new = memory_format("--new-group-format=<<<<<<< outside\n=======\n%%>%s", end);
        pid_t pid = fork();
        if (pid == 0) {
                int a = fcntl(outside, F_DUPFD, 10), b = fcntl(inside, F_DUPFD, 10), out = fcntl(to, F_DUPFD, 10);
                dup2(out, STDOUT_FILENO);
                dup2(a, 3);
                dup2(b, 4);
                execlp("diff", "diff", "-a", both, old, new, "--unchanged-group-format=%=", "--", "/dev/fd/3",
                       "/dev/fd/4", (char *)NULL);
                _exit(127);
        }
        int status;
        while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        if (pid < 0 || !WIFEXITED(status) || WEXITSTATUS(status) > 1)
                return pid < 0 ? -errno : -EIO;
        return count_marks(to, end);
}
