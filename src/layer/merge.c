// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Two versions of a text in one: see commit.h.
 *
 * With the version that both come from (texts.h) this is the merge of diff3 -m. Where nobody has it, which side
 * changed a line cannot be told, and every difference stands between marks, like a conflict in diff3 -m or git; what
 * is equal stands once.
 */
#include "layer/commit.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>

#define OUTSIDE "outside"
#define INSIDE "inside"
#define END ">>>>>>> " INSIDE "\n"

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

/* Becomes the program that compares, with the three files as descriptors 3 to 5. */
static void become(int outside, int base, int inside, int to)
{
        int a = fcntl(outside, F_DUPFD, 10), b = fcntl(inside, F_DUPFD, 10), out = fcntl(to, F_DUPFD, 10),
            c = base < 0 ? -1 : fcntl(base, F_DUPFD, 10);
        dup2(out, STDOUT_FILENO);
        dup2(a, 3);
        dup2(b, 4);
        if (base >= 0) {
                dup2(c, 5);
                execlp("diff3", "diff3", "-a", "-m", "-E", "-L", OUTSIDE, "-L", "base", "-L", INSIDE, "--", "/dev/fd/3",
                       "/dev/fd/5", "/dev/fd/4", (char *)NULL);
        }
        execlp("diff", "diff", "-a", "--changed-group-format=<<<<<<< " OUTSIDE "\n%<=======\n%>" END,
               "--old-group-format=<<<<<<< " OUTSIDE "\n%<=======\n" END,
               "--new-group-format=<<<<<<< " OUTSIDE "\n=======\n%>" END, "--unchanged-group-format=%=", "--",
               "/dev/fd/3", "/dev/fd/4", (char *)NULL);
        _exit(127);
}

int merge_texts(int outside, int base, int inside, int to)
{
        pid_t pid = fork();
        if (pid == 0)
                become(outside, base, inside, to);
        int status;
        while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        if (pid < 0 || !WIFEXITED(status) || WEXITSTATUS(status) > 1)
                return pid < 0 ? -errno : -EIO;
        /* diff3 says by its status that there are conflicts; marks may also have stood in the text before. */
        int count = base >= 0 && WEXITSTATUS(status) == 0 ? 0 : count_marks(to, END);
        return count == 0 && base >= 0 && WEXITSTATUS(status) == 1 ? 1 : count;
}
