// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Starts programs for `make bench`, and little else, so that what is timed is the program and not the harness.
 *
 *   runner rounds N WARMUP ::: COMMAND... ::: COMMAND...
 *           N rounds; in each, every command runs once, to its end, in an order shuffled for each round: the kernel
 *           takes namespaces down after their last process has gone, so whoever always came after a cheap command
 *           would look faster. Prints, for each command, a line of N times from start to exit in nanoseconds, then
 *           `failed K`. WARMUP rounds come before these and are not printed.
 *
 *   runner herd N ::: COMMAND...
 *           N of COMMAND at once. Each is expected to write one byte to standard output when it runs and to end when
 *           its standard input does. Prints `started NS` and `pids PID...`, waits for a line, closes the standard
 *           inputs, waits for all and prints `ended NS` and `failed K`.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COMMANDS_MAX 16
#define HERD_TIMEOUT_MS 60000

static uint64_t now(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static _Noreturn void die(const char *what, int error)
{
        fprintf(stderr, "runner: %s: %s\n", what, strerror(error));
        exit(2);
}

/* Waits for `pid`. Returns whether it exited with 0. */
static int ended_well(pid_t pid)
{
        int status;
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        die("waitpid", errno);
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static pid_t start(char **command, posix_spawn_file_actions_t *files)
{
        pid_t pid;
        int r = posix_spawn(&pid, command[0], files, NULL, command, environ);
        if (r != 0)
                die(command[0], r);
        return pid;
}

/* Shuffles `count` numbers; `*state` is that of an xorshift generator, not 0. The same seed gives the same orders. */
static void shuffle(size_t *order, size_t count, uint64_t *state)
{
        for (size_t i = count; i > 1; i--) {
                *state ^= *state << 13;
                *state ^= *state >> 7;
                *state ^= *state << 17;
                size_t other = *state % i, moved = order[i - 1];
                order[i - 1] = order[other];
                order[other] = moved;
        }
}

static int rounds(unsigned long n, unsigned long warmup, char ***commands, size_t count)
{
        uint64_t *times = calloc(n * count, sizeof *times);
        unsigned long failed[COMMANDS_MAX] = {0};
        size_t order[COMMANDS_MAX];
        uint64_t state = 88172645463325252u;
        posix_spawn_file_actions_t files;
        for (size_t i = 0; i < count; i++)
                order[i] = i;
        if (!times || posix_spawn_file_actions_init(&files) != 0)
                die("memory", ENOMEM);
        posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
        for (unsigned long round = 0; round < n + warmup; round++) {
                shuffle(order, count, &state);
                for (size_t i = 0; i < count; i++) {
                        size_t which = order[i];
                        uint64_t begin = now();
                        int well = ended_well(start(commands[which], &files));
                        uint64_t end = now();
                        failed[which] += !well;
                        if (round >= warmup)
                                times[which * n + round - warmup] = end - begin;
                }
        }
        for (size_t which = 0; which < count; which++) {
                for (unsigned long i = 0; i < n; i++)
                        printf("%llu ", (unsigned long long)times[which * n + i]);
                printf("failed %lu\n", failed[which]);
        }
        posix_spawn_file_actions_destroy(&files);
        free(times);
        return 0;
}

/* Reads `n` bytes, one from each of the herd; dies when that takes too long or the herd ends first. */
static void wait_ready(int fd, unsigned long n)
{
        char buffer[512];
        while (n > 0) {
                struct pollfd p = {.fd = fd, .events = POLLIN};
                if (poll(&p, 1, HERD_TIMEOUT_MS) <= 0)
                        die("not everyone started", ETIMEDOUT);
                ssize_t got = read(fd, buffer, sizeof buffer < n ? sizeof buffer : n);
                if (got <= 0)
                        die("not everyone started", got < 0 ? errno : EPIPE);
                n -= (unsigned long)got;
        }
}

static int herd(unsigned long n, char **command)
{
        int ready[2], hold[2];
        unsigned long failed = 0;
        pid_t *pids = calloc(n, sizeof *pids);
        posix_spawn_file_actions_t files;
        if (!pids || posix_spawn_file_actions_init(&files) != 0)
                die("memory", ENOMEM);
        if (pipe2(ready, O_CLOEXEC) < 0 || pipe2(hold, O_CLOEXEC) < 0)
                die("pipe", errno);
        posix_spawn_file_actions_adddup2(&files, hold[0], 0);
        posix_spawn_file_actions_adddup2(&files, ready[1], 1);
        uint64_t begin = now();
        for (unsigned long i = 0; i < n; i++)
                pids[i] = start(command, &files);
        close(ready[1]);
        close(hold[0]);
        wait_ready(ready[0], n);
        printf("started %llu\npids", (unsigned long long)(now() - begin));
        for (unsigned long i = 0; i < n; i++)
                printf(" %d", (int)pids[i]);
        printf("\n");
        fflush(stdout);
        char line[8];
        if (read(0, line, sizeof line) < 0)
                die("standard input", errno);
        begin = now();
        close(hold[1]);
        for (unsigned long i = 0; i < n; i++)
                failed += !ended_well(pids[i]);
        printf("ended %llu\nfailed %lu\n", (unsigned long long)(now() - begin), failed);
        posix_spawn_file_actions_destroy(&files);
        free(pids);
        return 0;
}

int main(int argc, char **argv)
{
        char **commands[COMMANDS_MAX];
        size_t count = 0;
        for (int i = 1; i < argc; i++)
                if (strcmp(argv[i], ":::") == 0 && argv[i + 1] && count < COMMANDS_MAX) {
                        argv[i] = NULL;
                        commands[count++] = argv + i + 1;
                }
        if (count > 0 && argc > 5 && strcmp(argv[1], "rounds") == 0 && argv[2] && argv[3])
                return rounds(strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10), commands, count);
        if (count == 1 && argc > 4 && strcmp(argv[1], "herd") == 0 && argv[2])
                return herd(strtoul(argv[2], NULL, 10), commands[0]);
        fprintf(stderr, "usage: runner rounds N WARMUP ::: COMMAND... ::: COMMAND... | runner herd N ::: COMMAND...\n");
        return 2;
}
