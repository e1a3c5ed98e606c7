// SPDX-License-Identifier: GPL-3.0-or-later
/* Packed files, read: see stream.h. */
#include "image/stream.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#define HEAD 6

static const struct packer {
        const char *name, *magic;
        size_t length;
} packers[] = {
        {"gzip", "\x1f\x8b", 2}, {"xz", "\xfd" "7zXZ", 5}, {"zstd", "\x28\xb5\x2f\xfd", 4}, {"bzip2", "BZh", 3}};

static const struct packer *packer_of(const char *head, size_t size)
{
        for (size_t i = 0; i < sizeof packers / sizeof *packers; i++)
                if (size >= packers[i].length && memcmp(head, packers[i].magic, packers[i].length) == 0)
                        return &packers[i];
        return NULL;
}

static bool write_whole(int fd, const char *data, size_t size)
{
        while (size) {
                ssize_t n = write(fd, data, size);
                if (n < 0 && errno != EINTR)
                        return false;
                if (n > 0)
                        data += n, size -= (size_t)n;
        }
        return true;
}

/* A process that says the first bytes again, and then the rest. Returns the descriptor to read from. */
static int say_again(struct stream *s, int fd, const char *head, size_t size, struct error *err)
{
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
                return error_sys(err, errno, "cannot make a pipe");
        s->programs[1] = fork();
        if (s->programs[1] == 0) {
                char buffer[65536];
                close(ends[0]);
                signal(SIGPIPE, SIG_IGN);
                bool good = write_whole(ends[1], head, size);
                for (ssize_t n; good && (n = read(fd, buffer, sizeof buffer)) != 0;)
                        good = n > 0 ? write_whole(ends[1], buffer, (size_t)n) : errno == EINTR;
                _exit(good ? 0 : 1);
        }
        close(ends[1]);
        if (s->programs[1] < 0) {
                s->programs[1] = 0;
                close(ends[0]);
                return error_sys(err, errno, "cannot make a process");
        }
        return ends[0];
}

static int start(struct stream *s, const struct packer *packer, int fd, struct error *err)
{
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
                return error_sys(err, errno, "cannot make a pipe");
        s->name = packer->name;
        s->programs[0] = fork();
        if (s->programs[0] == 0) {
                dup2(fd, STDIN_FILENO);
                dup2(ends[1], STDOUT_FILENO);
                signal(SIGPIPE, SIG_DFL);
                execlp(packer->name, packer->name, "-d", "-c", (char *)NULL);
                _exit(127);
        }
        close(ends[1]);
        if (s->programs[0] < 0) {
                s->programs[0] = 0;
                close(ends[0]);
                return error_sys(err, errno, "cannot start %s", packer->name);
        }
        return ends[0];
}

int stream_open(struct stream *s, int fd, struct error *err)
{
        cleanup_close int from = fd;
        *s = STREAM_NONE;
        char head[HEAD];
        size_t size = 0;
        for (ssize_t n; size < sizeof head && (n = read(from, head + size, sizeof head - size)) != 0;) {
                if (n < 0 && errno != EINTR)
                        return error_sys(err, errno, "cannot read it");
                size += n > 0 ? (size_t)n : 0;
        }
        if (lseek(from, -(off_t)size, SEEK_CUR) < 0) {
                int again = say_again(s, from, head, size, err);
                if (again < 0)
                        return again;
                close(from);
                from = again;
        }
        const struct packer *packer = packer_of(head, size);
        if (packer) {
                int unpacked = start(s, packer, from, err);
                if (unpacked < 0)
                        return unpacked;
                close(from);
                from = unpacked;
        }
        s->file = fdopen(from, "r");
        if (!s->file)
                return error_sys(err, errno, "cannot read it");
        setvbuf(s->file, NULL, _IOFBF, 1 << 16);
        (void)steal_fd(&from);
        return 0;
}

int stream_close(struct stream *s, bool whole, struct error *err)
{
        if (s->file)
                fclose(s->file);
        int result = 0;
        for (size_t i = 0; i < 2; i++) {
                int status = 0;
                while (s->programs[i] > 0 && waitpid(s->programs[i], &status, 0) < 0 && errno == EINTR)
                        ;
                if (!whole || !status || result < 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE))
                        continue;
                if (i == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 127) {
                        result = error_set(err, ENOENT, "it is packed with %s, which is not installed", s->name);
                        error_remedy(err, "install %s, or unpack it first", s->name);
                } else {
                        result = error_set(err, EINVAL, "it is damaged: %s cannot unpack it",
                                           i == 0 ? s->name : "paddock");
                }
        }
        *s = STREAM_NONE;
        return result;
}
