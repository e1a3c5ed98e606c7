// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The workloads of `make bench`, run natively and inside an environment. Each times itself, so that the start is not
 * part of it, and prints lines of `NAME NANOSECONDS`.
 *
 *   work write FILE MIB      write FILE in pieces of 1 MiB (`write`), read it again (`read`), remove it
 *   work read FILE           read FILE once unmeasured, then measured (`read`)
 *   work files DIR N         create N empty files in DIR (`create`), unlink them (`unlink`)
 *   work walk DIR TIMES      list DIR and all below it and stat every entry (`walk`), TIMES times
 *   work small DIR N         open and read the N files that `fill` made, in that order, four times (`small`)
 *   work fill DIR N          not measured: make N small files in DIR, 100 a directory
 *   work empty DIR N         not measured: make N empty files in DIR, 1,000 a directory
 *   work time COMMAND...     run COMMAND (`time`)
 *   work peak COMMAND...     run COMMAND without its output (`time`), and tell its most memory in KiB (`peak`)
 *   work stat FILE N         stat FILE N times (`stat`), four times over
 *   work hold                write a byte, then wait until standard input ends
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PIECE (1u << 20)

static uint64_t now(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static _Noreturn void die(const char *what)
{
        fprintf(stderr, "work: %s: %s\n", what, strerror(errno));
        exit(1);
}

/* Prints the time since `begin` as a line `name ns`. */
static void tell(const char *name, uint64_t begin)
{
        printf("%s %llu\n", name, (unsigned long long)(now() - begin));
}

static void write_file(const char *path, unsigned long pieces, const char *buffer)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0)
                die(path);
        for (unsigned long i = 0; i < pieces; i++)
                if (write(fd, buffer, PIECE) != (ssize_t)PIECE) {
                        /* What a full file system leaves behind would spoil everything that is measured later. */
                        int error = errno;
                        unlink(path);
                        errno = error;
                        die(path);
                }
        close(fd);
}

static void read_file(const char *path, char *buffer)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t got;
        if (fd < 0)
                die(path);
        while ((got = read(fd, buffer, PIECE)) > 0)
                ;
        if (got < 0)
                die(path);
        close(fd);
}

static char *piece(void)
{
        char *buffer = malloc(PIECE);
        if (!buffer)
                die("memory");
        memset(buffer, 'p', PIECE);
        return buffer;
}

static void do_write(const char *path, unsigned long mib)
{
        char *buffer = piece();
        uint64_t begin = now();
        write_file(path, mib, buffer);
        tell("write", begin);
        begin = now();
        read_file(path, buffer);
        tell("read", begin);
        unlink(path);
        free(buffer);
}

static void do_read(const char *path)
{
        char *buffer = piece();
        read_file(path, buffer);
        uint64_t begin = now();
        read_file(path, buffer);
        tell("read", begin);
        free(buffer);
}

static void do_files(const char *directory, unsigned long n)
{
        char name[32];
        if (chdir(directory) < 0)
                die(directory);
        uint64_t begin = now();
        for (unsigned long i = 0; i < n; i++) {
                snprintf(name, sizeof name, "new%06lu", i);
                int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
                if (fd < 0)
                        die(name);
                close(fd);
        }
        tell("create", begin);
        begin = now();
        for (unsigned long i = 0; i < n; i++) {
                snprintf(name, sizeof name, "new%06lu", i);
                if (unlink(name) < 0)
                        die(name);
        }
        tell("unlink", begin);
}

/* Lists and stats everything below `name` in the directory `at`. */
static void walk(int at, const char *name)
{
        int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR *directory = fd < 0 ? NULL : fdopendir(fd);
        if (!directory)
                die(name);
        for (struct dirent *e; (e = readdir(directory));) {
                struct stat st;
                if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
                        continue;
                if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        die(e->d_name);
                if (S_ISDIR(st.st_mode))
                        walk(fd, e->d_name);
        }
        closedir(directory);
}

static void do_walk(const char *directory, unsigned long times)
{
        for (unsigned long i = 0; i < times; i++) {
                uint64_t begin = now();
                walk(AT_FDCWD, directory);
                tell("walk", begin);
        }
}

static void do_fill(const char *directory, unsigned long n)
{
        char name[64];
        if (chdir(directory) < 0)
                die(directory);
        for (unsigned long i = 0; i < n; i++) {
                snprintf(name, sizeof name, "d%05lu", i / 100);
                if (i % 100 == 0 && mkdir(name, 0700) < 0)
                        die(name);
                snprintf(name, sizeof name, "d%05lu/f%02lu", i / 100, i % 100);
                int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
                if (fd < 0 || write(fd, "paddock\n", 8) != 8)
                        die(name);
                close(fd);
        }
}

static void do_small(const char *directory, unsigned long n)
{
        char name[64], buffer[64];
        if (chdir(directory) < 0)
                die(directory);
        for (int times = 0; times < 4; times++) {
                uint64_t begin = now();
                for (unsigned long i = 0; i < n; i++) {
                        snprintf(name, sizeof name, "d%05lu/f%02lu", i / 100, i % 100);
                        int fd = open(name, O_RDONLY | O_CLOEXEC);
                        if (fd < 0 || read(fd, buffer, sizeof buffer) != 8)
                                die(name);
                        close(fd);
                }
                tell("small", begin);
        }
}

static void do_empty(const char *directory, unsigned long n)
{
        char name[64];
        if (chdir(directory) < 0)
                die(directory);
        for (unsigned long i = 0; i < n; i++) {
                snprintf(name, sizeof name, "d%05lu", i / 1000);
                if (i % 1000 == 0 && mkdir(name, 0700) < 0)
                        die(name);
                snprintf(name, sizeof name, "d%05lu/f%03lu", i / 1000, i % 1000);
                int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
                if (fd < 0)
                        die(name);
                close(fd);
        }
}

static void do_stat(const char *path, unsigned long n)
{
        for (int times = 0; times < 4; times++) {
                uint64_t begin = now();
                struct stat st;
                for (unsigned long i = 0; i < n; i++)
                        if (stat(path, &st) < 0)
                                die(path);
                tell("stat", begin);
        }
}

/* What the command prints is not a result: it goes to `out`. */
static void do_time(char **command, int out, bool peak)
{
        int status = 0;
        struct rusage used = {0};
        uint64_t begin = now();
        pid_t pid = fork();
        if (pid == 0) {
                dup2(out, 1);
                execvp(command[0], command);
                _exit(127);
        }
        if (pid < 0 || wait4(pid, &status, 0, &used) < 0)
                die(command[0]);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
                fprintf(stderr, "work: %s: ended with wait status %#x\n", command[0], (unsigned)status);
                exit(1);
        }
        tell("time", begin);
        if (peak)
                printf("peak %ld\n", used.ru_maxrss);
}

static void do_hold(void)
{
        char byte = 'r';
        if (write(1, &byte, 1) != 1)
                die("standard output");
        while (read(0, &byte, 1) > 0)
                ;
}

int main(int argc, char **argv)
{
        const char *verb = argc > 1 ? argv[1] : "";
        unsigned long n = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
        if (strcmp(verb, "write") == 0 && argc == 4)
                do_write(argv[2], n);
        else if (strcmp(verb, "read") == 0 && argc == 3)
                do_read(argv[2]);
        else if (strcmp(verb, "files") == 0 && argc == 4)
                do_files(argv[2], n);
        else if (strcmp(verb, "walk") == 0 && argc == 4)
                do_walk(argv[2], n);
        else if (strcmp(verb, "fill") == 0 && argc == 4)
                do_fill(argv[2], n);
        else if (strcmp(verb, "small") == 0 && argc == 4)
                do_small(argv[2], n);
        else if (strcmp(verb, "time") == 0 && argc > 2)
                do_time(argv + 2, 2, false);
        else if (strcmp(verb, "peak") == 0 && argc > 2)
                do_time(argv + 2, open("/dev/null", O_WRONLY | O_CLOEXEC), true);
        else if (strcmp(verb, "empty") == 0 && argc == 4)
                do_empty(argv[2], n);
        else if (strcmp(verb, "stat") == 0 && argc == 4)
                do_stat(argv[2], n);
        else if (strcmp(verb, "hold") == 0 && argc == 2)
                do_hold();
        else {
                fprintf(stderr, "usage: work write|read|files|walk|fill|small|empty|stat|time|peak|hold ...\n");
                return 2;
        }
        return 0;
}
