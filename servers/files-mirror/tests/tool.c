// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What the tests of files-mirror need and a shell lacks:
 *
 *      many DIR COUNT [PREFIX]    makes COUNT names, links of one file
 *      churn DIR MS               makes and removes names for so long
 *      list DIR                   lists it, slowly, and prints each name that comes twice
 *      deep DIR LEVELS NAME       makes NAME in NAME in NAME ..., with a file "end" in the last
 *      down DIR LEVELS NAME       goes there name by name and prints "end"
 *      sum FILE read|map          adds all bytes up
 *      data FILE                  where SEEK_DATA and SEEK_HOLE say data is
 *      lock FILE                  takes a lock for writing, or fails
 *      socket FILE, connect FILE  UNIX sockets
 *      touch-by-map FILE TEXT     writes through a shared map
 *      handle FILE                prints what open_by_handle_at() makes of a handle and of invented ones
 *      names DIR CALL SECONDS     processes that call stat, open or readdir on all names of DIR, without end
 *      hang DIR                   mounts a file system that never answers
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static _Noreturn void die(const char *what)
{
        fprintf(stderr, "tool: %s: %s\n", what, strerror(errno));
        exit(1);
}

static long long milliseconds(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void enter(const char *directory)
{
        if (chdir(directory) < 0)
                die(directory);
}

static void many(const char *directory, long count, const char *prefix)
{
        char name[300], first[300];
        enter(directory);
        for (long i = 0; i < count; i++) {
                snprintf(name, sizeof name, "%s%ld", prefix, i);
                if (i % 10000 == 0) { /* a file has not more links than so many everywhere */
                        snprintf(first, sizeof first, "%s", name);
                        close(open(name, O_WRONLY | O_CREAT, 0644));
                } else if (link(first, name) < 0) {
                        die(name);
                }
        }
}

static void churn(const char *directory, long long time)
{
        char name[32];
        enter(directory);
        for (long long end = milliseconds() + time, i = 0; milliseconds() < end; i++) {
                snprintf(name, sizeof name, "churn%lld", i % 50);
                close(open(name, O_WRONLY | O_CREAT, 0644));
                snprintf(name, sizeof name, "churn%lld", (i + 25) % 50);
                unlink(name);
        }
}

static int compare(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(const char *directory)
{
        char **names = NULL;
        size_t count = 0;
        DIR *d = opendir(directory);
        if (!d)
                die(directory);
        for (struct dirent *e; (e = readdir(d));) {
                if (count % 4096 == 0) {
                        names = realloc(names, (count + 4096) * sizeof *names);
                        poll(NULL, 0, 10);
                }
                names[count++] = strdup(e->d_name);
        }
        qsort(names, count, sizeof *names, compare);
        size_t kept = 0;
        for (size_t i = 0; i < count; i++) {
                if (strncmp(names[i], "churn", 5) == 0)
                        continue;
                kept++;
                if (i && strcmp(names[i], names[i - 1]) == 0)
                        printf("twice: %s\n", names[i]);
        }
        printf("%zu\n", kept - 2);
}

static void deep(const char *directory, long levels, const char *name)
{
        enter(directory);
        for (long i = 0; i < levels; i++)
                if ((mkdir(name, 0755) < 0 && errno != EEXIST) || chdir(name) < 0)
                        die(name);
        int fd = open("end", O_WRONLY | O_CREAT, 0644);
        if (fd < 0 || write(fd, "end\n", 4) != 4)
                die("end");
}

static void down(const char *directory, long levels, const char *name)
{
        char text[5] = "";
        enter(directory);
        for (long i = 0; i < levels; i++)
                enter(name);
        poll(NULL, 0, 2500); /* nothing is at hand any more */
        int fd = open("end", O_RDONLY);
        if (fd < 0 || read(fd, text, 4) < 0)
                die("end");
        fputs(text, stdout);
}

static void sum(const char *file, bool map)
{
        static unsigned char buffer[1 << 20];
        unsigned long long total = 0;
        int fd = open(file, O_RDONLY);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0)
                die(file);
        if (map) {
                const unsigned char *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
                if (p == MAP_FAILED)
                        die("mmap");
                for (off_t i = 0; i < st.st_size; i++)
                        total += p[i] * (unsigned long long)(i % 251 + 1);
        } else {
                off_t at = 0;
                for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0; at += n)
                        for (ssize_t i = 0; i < n; i++)
                                total += buffer[i] * (unsigned long long)((at + i) % 251 + 1);
        }
        printf("%llu\n", total);
}

static void data(const char *file)
{
        int fd = open(file, O_RDONLY);
        for (off_t at = 0, hole; (at = lseek(fd, at, SEEK_DATA)) >= 0; at = hole) {
                hole = lseek(fd, at, SEEK_HOLE);
                printf("%lld-%lld\n", (long long)at, (long long)hole);
        }
}

static void lock(const char *file)
{
        int fd = open(file, O_RDWR);
        struct flock all = {.l_type = F_WRLCK};
        if (fd < 0 || fcntl(fd, F_SETLK, &all) < 0)
                die(file);
}

static void unix_socket(const char *file, bool make)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        snprintf(address.sun_path, sizeof address.sun_path, "%s", file);
        if ((make ? bind : connect)(fd, (struct sockaddr *)&address, sizeof address) < 0)
                die(file);
        if (make && listen(fd, 5) < 0)
                die(file);
        if (make)
                pause();
}

static void touch_by_map(const char *file, const char *text)
{
        int fd = open(file, O_RDWR);
        char *p = fd < 0 ? MAP_FAILED : mmap(NULL, strlen(text), PROT_WRITE, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED)
                die(file);
        memcpy(p, text, strlen(text));
}

/* Prints a line for each handle that opened. */
static void handle(const char *file)
{
        struct {
                struct file_handle head;
                unsigned char room[128];
        } h = {.head.handle_bytes = 128};
        int id;
        if (name_to_handle_at(AT_FDCWD, file, &h.head, &id, 0) < 0)
                die("no handle");
        int mounted = open(file, O_RDONLY);
        int fd = open_by_handle_at(mounted, &h.head, O_RDONLY);
        if (fd >= 0)
                puts("own handle");
        for (unsigned i = 0; i < h.head.handle_bytes * 256; i++) { /* every byte of it changed */
                unsigned char saved = h.head.f_handle[i / 256];
                struct stat st, own;
                h.head.f_handle[i / 256] = (unsigned char)i;
                fd = saved == (unsigned char)i ? -1 : open_by_handle_at(mounted, &h.head, O_RDONLY);
                if (fd >= 0 && fstat(fd, &st) == 0 && fstat(mounted, &own) == 0 && st.st_ino != own.st_ino) {
                        printf("invented handle: inode %llu\n", (unsigned long long)st.st_ino);
                        close(fd);
                }
                h.head.f_handle[i / 256] = saved;
        }
}

static void names(const char *directory, const char *call, long seconds)
{
        enter(directory);
        for (long long end = milliseconds() + seconds * 1000; milliseconds() < end;) {
                DIR *d = opendir(".");
                struct stat st;
                for (struct dirent *e; d && (e = readdir(d));) {
                        if (*call == 's')
                                (void)!lstat(e->d_name, &st);
                        int fd = *call == 'o' ? open(e->d_name, O_RDONLY | O_NONBLOCK) : -1;
                        char byte;
                        if (fd >= 0) {
                                (void)!read(fd, &byte, 1);
                                close(fd);
                        }
                }
                if (d)
                        closedir(d);
        }
}

static void hang(const char *directory)
{
        char options[100];
        int fd = open("/dev/fuse", O_RDWR);
        snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd);
        if (mount("hung", directory, "fuse", 0, options) < 0)
                die("mount");
        puts("hangs");
        fflush(stdout);
        pause(); /* not even INIT is answered */
}

int main(int argc, char **argv)
{
        const char *what = argc > 2 ? argv[1] : "", *a = argc > 2 ? argv[2] : "", *b = argc > 3 ? argv[3] : "";
        const char *c = argc > 4 ? argv[4] : "f";
        if (!strcmp(what, "many"))
                many(a, atol(b), c);
        else if (!strcmp(what, "churn"))
                churn(a, atol(b));
        else if (!strcmp(what, "list"))
                list(a);
        else if (!strcmp(what, "deep"))
                deep(a, atol(b), c);
        else if (!strcmp(what, "down"))
                down(a, atol(b), c);
        else if (!strcmp(what, "sum"))
                sum(a, *b == 'm');
        else if (!strcmp(what, "data"))
                data(a);
        else if (!strcmp(what, "lock"))
                lock(a);
        else if (!strcmp(what, "socket") || !strcmp(what, "connect"))
                unix_socket(a, *what == 's');
        else if (!strcmp(what, "touch-by-map"))
                touch_by_map(a, b);
        else if (!strcmp(what, "handle"))
                handle(a);
        else if (!strcmp(what, "names"))
                names(a, b, atol(c));
        else if (!strcmp(what, "hang"))
                hang(a);
        else
                return 99;
        return 0;
}
