// SPDX-License-Identifier: GPL-3.0-or-later
/* Looks at the mirror ahead of others: see lister.h. */
#include "host/linux/lister.h"

#include "base/cleanup.h"
#include "host/linux/kernel.h"

#include <elf.h>
#include <limits.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define ENTRIES_LIMIT (1 << 20) /* bytes of names: a directory of more than about 30,000 is not worth it */
#define TOUCH_LIMIT (512 << 10) /* bytes of a file: what is mapped at the start of a program lies at its beginning */
#define HEADERS 64              /* program headers that are looked through */

static void list(int mirror, const char *path)
{
        char entries[16384];
        long got, all = 0;
        cleanup_close int fd = kernel_open_below(mirror, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        while (fd >= 0 && all < ENTRIES_LIMIT && (got = syscall(SYS_getdents64, fd, entries, sizeof entries)) > 0)
                all += got;
}

/* Links are followed, as who executes it will, but never out of the mirror. Returns the file, or -1. */
static int touch(int mirror, const char *path)
{
        struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                               .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
        int fd = (int)syscall(SYS_openat2, mirror, path, &how, sizeof how);
        if (fd >= 0)
                posix_fadvise(fd, 0, TOUCH_LIMIT, POSIX_FADV_WILLNEED);
        return fd;
}

/* The interpreter that a program names, "" for none. The content is anybody's: nothing in it is believed. */
static void interpreter_of(int fd, char name[256])
{
        Elf64_Ehdr header;
        name[0] = '\0';
        if (pread(fd, &header, sizeof header, 0) != sizeof header || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
            header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phoff > LONG_MAX - sizeof(Elf64_Phdr) * HEADERS)
                return;
        for (unsigned i = 0; i < header.e_phnum && i < HEADERS; i++) {
                Elf64_Phdr part;
                if (pread(fd, &part, sizeof part, (off_t)(header.e_phoff + i * sizeof part)) != sizeof part)
                        return;
                if (part.p_type != PT_INTERP || part.p_offset > LONG_MAX)
                        continue;
                size_t length = part.p_filesz < 255 ? part.p_filesz : 255;
                ssize_t got = pread(fd, name, length, (off_t)part.p_offset);
                name[got > 0 ? got : 0] = '\0';
                return;
        }
}

static void touch_program(int mirror, const char *path)
{
        char interpreter[256], target[256], library[512];
        cleanup_close int fd = touch(mirror, path);
        if (fd < 0)
                return;
        interpreter_of(fd, interpreter);
        if (interpreter[0] != '/')
                return;
        /* The C library lies where the loader really is. */
        ssize_t length = readlinkat(mirror, interpreter + 1, target, sizeof target - 1);
        target[length > 0 ? length : 0] = '\0';
        const char *real = target[0] == '/' ? target : interpreter;
        snprintf(library, sizeof library, "%.*s/libc.so.6", (int)(strrchr(real, '/') - real), real);
        const char *const others[] = {interpreter, "etc/ld.so.cache", library};
        for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
                int other = touch(mirror, others[i]);
                if (other >= 0)
                        close(other);
        }
}

/* `words`: "t" and the name of a program. One without a slash is looked for where the program's PATH will most likely lead. */
static void touch_named(int mirror, const char *program)
{
        if (strchr(program, '/')) {
                touch_program(mirror, program);
                return;
        }
        static const char *const places[] = {"usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin"};
        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
                char path[PATH_MAX];
                snprintf(path, sizeof path, "%s/%s", places[i], program);
                if (faccessat(mirror, path, X_OK, 0) == 0) {
                        touch_program(mirror, path);
                        return;
                }
        }
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
                if (path[0] == 'd')
                        list(3, path + 1);
                else if (path[0] == 't')
                        touch_named(3, path + 1);
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
        if (pid < 0)
                close(sockets[0]);
        else
                lister->words = sockets[0];
}

void lister_ask(struct lister *lister, const char *word, size_t length)
{
        if (lister->mirror < 0)
                return;
        if (lister->words < 0)
                start(lister);
        if (lister->words < 0 || send(lister->words, word, length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 || errno == EAGAIN)
                return;
        close(lister->words); /* it was killed: another one, the next time */
        lister->words = -1;
}

void lister_touch(struct lister *lister, const char *program)
{
        char word[PATH_MAX];
        int length = snprintf(word, sizeof word, "t%s", program);
        if (length > 1 && (size_t)length < sizeof word)
                lister_ask(lister, word, (size_t)length);
}
