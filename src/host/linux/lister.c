// SPDX-License-Identifier: GPL-3.0-or-later
/* Looks at the mirror ahead of others: see lister.h. */
#include "host/linux/lister.h"

#include "base/cleanup.h"
#include "host/linux/ahead.h"
#include "host/linux/kernel.h"
#include "host/linux/pass.h"

#include <elf.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define TOUCH_LIMIT (512 << 10) /* bytes of a file: what is mapped at the start of a program lies at its beginning */
#define HEADERS 64              /* program headers that are looked through */

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

/* `words`: "t" and the name of a program. One without a slash is looked for where the program's PATH will most likely
 * lead. */
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

struct orders {
        int mirror, words;
};

static void obey(int mirror, int words, const char *word, bool far);

/* A walk: its first letter says how, then stand two numbers and the directory. Returns where that stands in the word, 0
 * for another word. */
static int walk_word(const char *word, long *names, int *up)
{
        int path = 0;
        return (word[0] == 'w' || word[0] == 'n') && sscanf(word + 1, "%ld %d %n", names, up, &path) == 2 ? path + 1
                                                                                                          : 0;
}

/* Between two directories of a walk: somebody waits for what is asked for now, so that comes first. A walker who came
 * to a directory that is not known yet has overtaken the walk, or is elsewhere by now, and so goes the walk. Names that
 * are looked up may be in several places at once. */
static bool go_on(struct ahead *a)
{
        const struct orders *o = a->context;
        char word[PATH_MAX];
        ssize_t got;
        while ((got = recv(o->words, word, sizeof word - 1, MSG_DONTWAIT | MSG_PEEK)) > 0) {
                long names;
                int up, path;
                word[got] = '\0';
                if (word[0] == 'w' && (path = walk_word(word, &names, &up)) && !ahead_catch_up(a, word + path, names))
                        return false;
                (void)!recv(o->words, word, sizeof word - 1, MSG_DONTWAIT);
                if (word[0] != 'w')
                        obey(o->mirror, o->words, word, false);
        }
        return got < 0;
}

static bool go_on_always(struct ahead *a)
{
        (void)a;
        return true;
}

/* `far`: walks go further than their first directory. */
static void obey(int mirror, int words, const char *word, bool far)
{
        struct orders orders = {mirror, words};
        struct ahead a = {.root = mirror,
                          .by_name = word[0] != 'w',
                          .names = 1,
                          .go_on = go_on_always,
                          .context = &orders};
        int path = walk_word(word, &a.names, &a.up);
        if (word[0] == 't')
                touch_named(mirror, word + 1);
        if (word[0] == 'd')
                path = 1;
        else if (far)
                a.go_on = go_on;
        else
                a.names = 1;
        if (path)
                ahead_walk(&a, word + path);
}

static _Noreturn void live(int mirror, int words)
{
        prctl(PR_SET_NAME, "paddock-lister", 0, 0, 0);
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        sigset_t none; /* it ends when all are told to */
        sigemptyset(&none);
        kernel_signal_mask(SIG_SETMASK, &none, NULL);
        /* It holds the mirror and its socket, nothing that anybody waits to see closed. */
        int high = fcntl(mirror, F_DUPFD_CLOEXEC, 5), word = fcntl(words, F_DUPFD_CLOEXEC, 5);
        if (high < 0 || word < 0 || dup2(high, 3) < 0 || dup2(word, 4) < 0)
                _exit(1);
        close_range(0, 2, 0);
        close_range(5, ~0U, 0);
        char order[PATH_MAX];
        ssize_t got;
        while ((got = recv(4, order, sizeof order - 1, 0)) > 0) {
                order[got] = '\0';
                obey(3, 4, order, true);
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
        lister->words = sockets[0];
        char told[16];
        int length = snprintf(told, sizeof told, "l%d", (int)pid);
        pass_send(lister->control, told, (size_t)length,
                  lister->words); /* one process to be woken less with each word */
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
