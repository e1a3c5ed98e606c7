// SPDX-License-Identifier: GPL-3.0-or-later
/* `paddock logs`: what the programs in the background wrote. */
#include "base/cleanup.h"
#include "base/text.h"
#include "model/store.h"
#include "verbs/verbs.h"
#include "warden/client.h"

#include <argp.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

struct request {
        const char *name;
        bool follow, audit;
        long lines; /* -1: all */
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct request *r = state->input;
        char *end;
        switch (key) {
        case 'f':
                r->follow = true;
                return 0;
        case 'n':
                r->lines = strtol(arg, &end, 10);
                if (!*arg || *end || r->lines < 0)
                        argp_error(state, "--lines %s: it takes a number", arg);
                return 0;
        case 'a':
                r->audit = true;
                return 0;
        case ARGP_KEY_ARG:
                if (r->name)
                        argp_error(state, "one environment at a time");
                r->name = arg;
                return 0;
        case ARGP_KEY_NO_ARGS:
                argp_error(state, "which environment?");
                return 0;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

/* Prints bytes of the log. A terminal is not told what a program inside would tell it. */
static int print(char *data, size_t length, bool terminal)
{
        for (size_t i = 0; terminal && i < length; i++) {
                unsigned char c = (unsigned char)data[i];
                if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7F)
                        data[i] = '?';
                else if (c == 0xC2 && i + 1 < length && (unsigned char)data[i + 1] < 0xA0)
                        data[i] = data[i + 1] = '?'; /* the controls of Unicode's first page */
        }
        return fwrite(data, 1, length, stdout) == length ? 0 : -1;
}

/* Prints what `file` has from *offset on. */
static int print_from(int file, off_t *offset, bool terminal)
{
        char data[65536];
        ssize_t n;
        while ((n = pread(file, data, sizeof data, *offset)) > 0) {
                *offset += n;
                if (print(data, (size_t)n, terminal) < 0)
                        return -1;
        }
        return fflush(stdout) == EOF ? -1 : 0;
}

/* Where the last `lines` lines of a file begin; *left is how many of them it does not have. */
static off_t last_lines(int file, long lines, long *left)
{
        struct stat st;
        char data[65536];
        *left = lines;
        if (file < 0 || fstat(file, &st) < 0)
                return 0;
        for (off_t end = st.st_size; end > 0;) {
                off_t start = end > (off_t)sizeof data ? end - (off_t)sizeof data : 0;
                ssize_t n = pread(file, data, (size_t)(end - start), start);
                for (ssize_t i = n - 1; i >= 0; i--)
                        if (data[i] == '\n' && start + i + 1 < st.st_size && --*left == 0)
                                return start + i + 1;
                end = start;
        }
        if (st.st_size)
                --*left;
        return 0;
}

static int open_log(int directory, const char *name)
{
        return openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

/* Prints what is added, until the environment has stopped. */
static int follow(struct store *store, const char *name, int directory, const char *log, int file, off_t offset,
                  bool terminal)
{
        cleanup_error struct error gone = ERROR_INIT;
        for (bool running = true; running;) {
                running = store_is_running(store, name, &gone) > 0;
                struct stat now, ours;
                if (file >= 0 && print_from(file, &offset, terminal) < 0)
                        return EXIT_PADDOCK;
                /* It has become log.1: all of it was printed, and another one was begun. */
                cleanup_close int fresh = open_log(directory, log);
                if (fresh >= 0 && fstat(fresh, &now) == 0 &&
                    (file < 0 || fstat(file, &ours) < 0 || now.st_ino != ours.st_ino)) {
                        if (file >= 0 && print_from(file, &offset, terminal) < 0)
                                return EXIT_PADDOCK;
                        if (file >= 0)
                                close(file);
                        file = steal_fd(&fresh);
                        offset = 0;
                        continue;
                }
                struct timespec pause = {.tv_nsec = 100000000};
                if (running)
                        nanosleep(&pause, NULL);
        }
        return 0;
}

int verb_logs(int argc, char **argv)
{
        static const struct argp_option options[] = {
                {"follow", 'f', NULL, 0, "go on as more is written, until the environment stops", 0},
                {"lines", 'n', "NUMBER", 0, "the last ones only", 0},
                {"audit", 'a', NULL, 0, "what became of grants instead, a JSON object a line", 0},
                {0}};
        static const struct argp argp = {
                options,
                parse,
                "NAME",
                "Print what the programs that an environment runs in the background wrote on standard output and "
                "error.\v"
                "Each line begins with the time (UTC) and the name of the program. The log has 4 MiB at most; what "
                "is older goes.",
                0,
                0,
                0};
        struct request r = {.lines = -1};
        argp_err_exit_status = EXIT_PADDOCK;
        if (argp_parse(&argp, argc, argv, 0, NULL, &r))
                return EXIT_PADDOCK;
        cleanup_error struct error err = ERROR_INIT;
        cleanup_store struct store store = STORE_CLOSED;
        cleanup_close int directory = store_open(&store, &err) < 0 ? -1 : store_open_environment(&store, r.name, &err);
        if (directory < 0) {
                error_print(stderr, &err);
                return EXIT_PADDOCK;
        }
        bool terminal = isatty(1);
        const char *log = r.audit ? "audit.jsonl" : "log";
        cleanup_close int older = r.audit ? -1 : open_log(directory, "log.1");
        int file = open_log(directory, log);
        off_t offset = 0, older_offset = 0;
        bool with_older = r.lines < 0;
        if (r.lines >= 0) {
                long left = 0, unused;
                offset = r.lines ? last_lines(file, r.lines, &left) : file < 0 ? 0 : lseek(file, 0, SEEK_END);
                with_older = left > 0;
                older_offset = with_older ? last_lines(older, left, &unused) : 0;
        }
        if (older >= 0 && with_older && print_from(older, &older_offset, terminal) < 0)
                return EXIT_PADDOCK;
        if (file >= 0 && print_from(file, &offset, terminal) < 0)
                return EXIT_PADDOCK;
        if (r.follow)
                return follow(&store, r.name, directory, log, file, offset, terminal);
        if (file >= 0)
                close(file);
        return 0;
}
