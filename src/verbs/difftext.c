// SPDX-License-Identifier: GPL-3.0-or-later
/* The lines that differ in a changed text file: see difftext.h. */
#include "verbs/difftext.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>

static int open_side(const struct change *c, bool own)
{
        const struct meta *m = own ? &c->after : &c->before;
        if ((own && c->kind == CHANGE_DELETED) || m->type != META_REGULAR)
                return open("/dev/null", O_RDONLY | O_CLOEXEC);
        return change_open(c->slot, !own && c->from ? c->from : c->path, own);
}

static bool is_binary(int fd)
{
        char start[8192];
        ssize_t n = pread(fd, start, sizeof start, 0);
        return n > 0 && memchr(start, 0, (size_t)n);
}

/* A line of a file as a terminal may have it: tabs stay, other control characters become visible. */
static void print_shown(const char *line, size_t length)
{
        const char *color = line[0] == '+'   ? "\033[32m"
                            : line[0] == '-' ? "\033[31m"
                            : line[0] == '@' ? "\033[36m"
                                             : "";
        cleanup_text struct text t = {0};
        for (size_t i = 0; i < length;) {
                if (line[i] == '\t' || line[i] == '\\') {
                        text_add_bytes(&t, line + i++, 1);
                        continue;
                }
                size_t n = 0;
                while (i + n < length && line[i + n] && line[i + n] != '\t' && line[i + n] != '\\')
                        n++;
                if (!n) {
                        text_add(&t, "\\x00");
                        i++;
                        continue;
                }
                cleanup_free char *piece = memory_format("%.*s", (int)n, line + i);
                text_add_escaped(&t, piece);
                i += n;
        }
        printf("%s%s%s\n", color, t.data ? t.data : "", *color ? "\033[m" : "");
}

static int relay(int from, bool terminal)
{
        cleanup_file FILE *in = fdopen(from, "r");
        if (!in)
                return -errno;
        cleanup_free char *line = NULL;
        size_t size = 0;
        for (ssize_t n; (n = getline(&line, &size, in)) > 0;) {
                if (terminal)
                        print_shown(line, (size_t)(line[n - 1] == '\n' ? n - 1 : n));
                else
                        fwrite(line, 1, (size_t)n, stdout);
                if (ferror(stdout))
                        return -EPIPE;
        }
        return 0;
}

static int run_diff(int before, int after, const struct change *c, bool terminal)
{
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        cleanup_free char *old = text_escape(c->from ? c->from : c->path), *new = text_escape(c->path);
        cleanup_free char *from = memory_format("a%s", old), *to = memory_format("b%s", new);
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
                /* Numbers that neither is, then those that are named. */
                int a = fcntl(before, F_DUPFD_CLOEXEC, 10), b = fcntl(after, F_DUPFD_CLOEXEC, 10),
                    out = fcntl(ends[1], F_DUPFD_CLOEXEC, 10);
                dup2(out, STDOUT_FILENO);
                dup2(a, 3);
                dup2(b, 4);
                execlp("diff", "diff", "-a", "-u", "--label", c->before.type == META_REGULAR ? from : "/dev/null",
                       "--label", c->kind != CHANGE_DELETED && c->after.type == META_REGULAR ? to : "/dev/null", "--",
                       "/dev/fd/3", "/dev/fd/4", (char *)NULL);
                fprintf(stderr, "paddock: cannot execute diff: %s\npaddock: install diffutils\n", strerror(errno));
                _exit(2);
        }
        close(ends[1]);
        int result = pid < 0 ? -errno : relay(ends[0], terminal);
        if (pid < 0)
                close(ends[0]);
        int status = 0;
        while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        return result;
}

int difftext_print(const struct change *c, bool terminal)
{
        bool content = c->kind == CHANGE_CHANGED ? (c->what & CHANGE_CONTENT) != 0
                                                 : c->kind != CHANGE_RENAMED && !c->link;
        if (!content || (c->before.type != META_REGULAR && c->after.type != META_REGULAR))
                return 0;
        cleanup_close int before = open_side(c, false), after = before < 0 ? -1 : open_side(c, true);
        if (before < 0 || after < 0) {
                printf("cannot be read: %s\n", strerror(before < 0 ? -before : -after));
                return 0;
        }
        if (is_binary(before) || is_binary(after)) {
                printf("binary files differ\n");
                return 0;
        }
        return run_diff(before, after, c, terminal);
}
