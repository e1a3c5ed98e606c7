// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What a shell lacks:
 *
 *      hang DIR FLAG            mounts a file system with the file `file`, which answers nothing more once FLAG exists
 *      flood FILE N THREADS     N reads of a file in flight, and threads that look up names, until it is killed
 *      take FILE flock|posix    takes a lock, says "taken", holds it until the file $GO exists
 *      try FILE flock|posix     exit status 0 when nobody else has it
 *      wait FILE flock|posix    waits for it, says "got"
 *      swap A B MS N            exchanges A0 with B0, A1 with B1, ... N of them, again and again
 *      dirty FILE BYTES         changes a file through a mapping, says "dirty", waits for $GO
 *      many DIR N               makes N files and opens them, says "open", and once $GO exists, how many can be read
 *      same A REST TEXT MS N    reads A0REST, A1REST, ... again and again: fails when one ever holds anything but TEXT
 *      statloop FILE            stat(2) until it fails; says with which error
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
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

static void say(const char *what)
{
        puts(what);
        fflush(stdout);
}

/* Waits until the file $GO exists, for a minute at most. */
static void until_told(void)
{
        const char *go = getenv("GO");
        for (int i = 0; go && i < 6000 && access(go, F_OK) != 0; i++)
                usleep(10000);
}

/* --- a file system that hangs --- */

static struct fuse_attr attributes(uint64_t node)
{
        return (struct fuse_attr){.ino = node,
                                  .size = node == 1 ? 0 : 1 << 20,
                                  .mode = node == 1 ? S_IFDIR | 0755 : S_IFREG | 0644,
                                  .nlink = 1,
                                  .blksize = 4096};
}

static void reply(int fd, uint64_t unique, int error, const void *data, size_t size)
{
        struct fuse_out_header head = {.len = (uint32_t)(sizeof head + size), .error = error, .unique = unique};
        struct iovec parts[2] = {{&head, sizeof head}, {(void *)data, size}};
        (void)!writev(fd, parts, size ? 2 : 1);
}

static void hang(const char *directory, const char *flag)
{
        static char room[(1 << 20) + 4096], content[1 << 20];
        char options[100];
        int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
        snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd);
        if (mount("hung", directory, "fuse", 0, options) < 0)
                die("mount");
        memset(content, 'x', sizeof content);
        say("mounted");
        for (;;) {
                ssize_t got = read(fd, room, sizeof room);
                const struct fuse_in_header *head = (const void *)room;
                const char *argument = room + sizeof *head;
                if (got < 0 && errno == ENODEV)
                        return;
                if (got < (ssize_t)sizeof *head || (head->opcode != FUSE_INIT && access(flag, F_OK) == 0))
                        continue;
                if (head->opcode == FUSE_INIT) {
                        struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION,
                                                    .max_write = 1 << 20, .max_readahead = 4096};
                        reply(fd, head->unique, 0, &out, sizeof out);
                } else if (head->opcode == FUSE_GETATTR || head->opcode == FUSE_SETATTR) {
                        struct fuse_attr_out out = {.attr = attributes(head->nodeid)};
                        reply(fd, head->unique, 0, &out, sizeof out);
                } else if (head->opcode == FUSE_LOOKUP && strncmp(argument, "file", 4) == 0) {
                        struct fuse_entry_out out = {.nodeid = 2, .attr = attributes(2)};
                        reply(fd, head->unique, 0, &out, sizeof out);
                } else if (head->opcode == FUSE_LOOKUP) {
                        reply(fd, head->unique, -ENOENT, NULL, 0);
                } else if (head->opcode == FUSE_OPEN || head->opcode == FUSE_OPENDIR) {
                        struct fuse_open_out out = {.open_flags = FOPEN_DIRECT_IO};
                        reply(fd, head->unique, 0, &out, sizeof out);
                } else if (head->opcode == FUSE_READ) {
                        const struct fuse_read_in *in = (const void *)argument;
                        reply(fd, head->unique, 0, content, in->offset + in->size <= sizeof content ? in->size : 0);
                } else if (head->opcode == FUSE_WRITE) {
                        struct fuse_write_out out = {
                                .size = ((const struct fuse_write_in *)(const void *)argument)->size};
                        reply(fd, head->unique, 0, &out, sizeof out);
                } else if (head->opcode == FUSE_STATFS) {
                        struct fuse_statfs_out out = {.st = {.bsize = 4096, .namelen = 255}};
                        reply(fd, head->unique, 0, &out, sizeof out);
                } else if (head->opcode != FUSE_FORGET && head->opcode != FUSE_BATCH_FORGET &&
                           head->opcode != FUSE_INTERRUPT) {
                        reply(fd, head->unique,
                              head->opcode == FUSE_FLUSH || head->opcode == FUSE_RELEASE ? 0 : -ENOSYS, NULL, 0);
                }
        }
}

/* --- more requests than anybody can answer --- */

static void *look_up(void *context)
{
        const char *file = context;
        char name[4200];
        struct stat st;
        for (unsigned i = 0;; i++) {
                snprintf(name, sizeof name, "%s.%lx.%u", file, (unsigned long)pthread_self(), i);
                if (stat(name, &st) < 0 && errno != ENOENT) /* taken back: what follows would only use processors */
                        return NULL;
        }
}

static void flood(const char *file, long count, long threads)
{
        aio_context_t context = 0;
        struct iocb *all = calloc((size_t)count, sizeof *all);
        void *page = aligned_alloc(4096, 4096);
        int fd = open(file, O_RDONLY | O_DIRECT | O_CLOEXEC);
        pthread_attr_t small;
        pthread_attr_init(&small);
        pthread_attr_setstacksize(&small, 65536);
        if (fd < 0 || !all || !page || syscall(SYS_io_setup, count, &context) < 0)
                die(file);
        for (long i = 0; i < threads; i++) {
                pthread_t thread;
                if (pthread_create(&thread, &small, look_up, (void *)file) != 0)
                        die("thread");
        }
        for (bool told = false;;) {
                for (long i = 0; i < count; i++) {
                        all[i] = (struct iocb){.aio_fildes = (uint32_t)fd,
                                               .aio_lio_opcode = IOCB_CMD_PREAD,
                                               .aio_buf = (uintptr_t)page,
                                               .aio_nbytes = 4096,
                                               .aio_offset = i % 256 * 4096};
                        struct iocb *one = &all[i];
                        if (syscall(SYS_io_submit, context, 1, &one) != 1)
                                die("io_submit");
                }
                if (!told)
                        say("flooded");
                told = true;
                struct io_event *events = calloc((size_t)count, sizeof *events);
                long done = syscall(SYS_io_getevents, context, count, count, events, NULL);
                for (long i = 0; i < done; i++)
                        if (events[i].res < 0)
                                exit(3);
                free(events);
        }
}

/* --- locks --- */

static int lock(const char *file, const char *kind, bool waits)
{
        int fd = open(file, O_RDWR | O_CLOEXEC);
        struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        if (fd < 0)
                die(file);
        return *kind == 'f' ? flock(fd, LOCK_EX | (waits ? 0 : LOCK_NB)) : fcntl(fd, waits ? F_SETLKW : F_SETLK, &all);
}

/* A0 with B0, A1 with B1, ... in turn, in whatever order they are found. */
static void swap(const char *a, const char *b, long ms, int count)
{
        char one[4200], other[4200];
        for (long long end = milliseconds() + ms; milliseconds() < end;)
                for (int i = 0; i < count; i++) {
                        snprintf(one, sizeof one, "%s%d", a, i);
                        snprintf(other, sizeof other, "%s%d", b, i);
                        if (renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE) < 0)
                                die("exchange");
                }
}

static void dirty(const char *file, size_t bytes)
{
        int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
                die(file);
        char *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED)
                die("mmap");
        memset(map, 'D', bytes);
        say("dirty");
        until_told();
}

static void many(const char *directory, int count)
{
        struct rlimit limit;
        int *fds = calloc((size_t)count, sizeof *fds), alive = 0;
        char name[64], byte;
        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        if (!fds || chdir(directory) < 0)
                die(directory);
        for (int i = 0; i < count; i++) {
                snprintf(name, sizeof name, "many-%d", i);
                fds[i] = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
                if (fds[i] < 0 || write(fds[i], "content", 7) != 7 || pread(fds[i], &byte, 1, 0) != 1)
                        die(name);
        }
        say("open");
        until_told();
        for (int i = 0; i < count; i++)
                alive += pread(fds[i], &byte, 1, 0) == 1;
        printf("%d alive\n", alive);
}

static void same(const char *start, const char *rest, const char *text, long ms, int count)
{
        char path[4200], seen[200];
        unsigned long good = 0, refused = 0;
        for (long long end = milliseconds() + ms; milliseconds() < end;)
                for (int i = 0; i < count; i++) {
                        snprintf(path, sizeof path, "%s%d%s", start, i, rest);
                        int fd = open(path, O_RDONLY | O_CLOEXEC);
                        ssize_t got = fd < 0 ? -1 : read(fd, seen, sizeof seen - 1);
                        if (fd >= 0)
                                close(fd);
                        if (got < 0) {
                                refused++;
                                continue;
                        }
                        seen[got] = '\0';
                        if (strcmp(seen, text) != 0) {
                                printf("wrong file: %s\n", seen);
                                exit(1);
                        }
                        good++;
                }
        printf("good %lu refused %lu\n", good, refused);
        if (!good || !refused)
                exit(2); /* then nothing was tested */
}

int main(int argc, char **argv)
{
        const char *what = argc > 1 ? argv[1] : "";
        if (strcmp(what, "hang") == 0 && argc == 4) {
                hang(argv[2], argv[3]);
        } else if (strcmp(what, "flood") == 0 && argc == 5) {
                flood(argv[2], atol(argv[3]), atol(argv[4]));
        } else if (strcmp(what, "take") == 0 && argc == 4) {
                if (lock(argv[2], argv[3], false) < 0)
                        die("lock");
                say("taken");
                until_told();
        } else if (strcmp(what, "try") == 0 && argc == 4) {
                return lock(argv[2], argv[3], false) < 0;
        } else if (strcmp(what, "wait") == 0 && argc == 4) {
                if (lock(argv[2], argv[3], true) < 0)
                        die("lock");
                say("got");
        } else if (strcmp(what, "swap") == 0 && argc == 6) {
                swap(argv[2], argv[3], atol(argv[4]), atoi(argv[5]));
        } else if (strcmp(what, "dirty") == 0 && argc == 4) {
                dirty(argv[2], strtoul(argv[3], NULL, 10));
        } else if (strcmp(what, "many") == 0 && argc == 4) {
                many(argv[2], atoi(argv[3]));
        } else if (strcmp(what, "same") == 0 && argc == 7) {
                same(argv[2], argv[3], argv[4], atol(argv[5]), atoi(argv[6]));
        } else if (strcmp(what, "statloop") == 0 && argc == 3) {
                struct stat st;
                while (stat(argv[2], &st) == 0)
                        ;
                puts(strerror(errno));
        } else {
                return 99;
        }
        return 0;
}
