// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Holds on to a granted tree in every way that there is, and tries all of them again once it was taken back.
 *
 *      held DIR READY GO       makes files in DIR, takes hold, makes READY, waits for GO, tries; a line for each way:
 *                              "NAME: dead" or "NAME: ALIVE ..."
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONTENT "granted content"
#define SIZE 4096

static char path[4096];
static sigjmp_buf back;

static const char *in(const char *dir, const char *name)
{
        snprintf(path, sizeof path, "%s/%s", dir, name);
        return path;
}

static void must(bool good, const char *what)
{
        if (!good) {
                perror(what);
                exit(99);
        }
}

static int make(const char *dir, const char *name)
{
        char page[SIZE] = CONTENT;
        int fd = open(in(dir, name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        must(fd >= 0 && write(fd, page, sizeof page) == sizeof page && lseek(fd, 0, SEEK_SET) == 0, name);
        return fd;
}

static void told(const char *what, bool alive)
{
        printf("%s: %s\n", what, alive ? "ALIVE" : "dead");
        fflush(stdout);
}

static void on_fault(int number)
{
        siglongjmp(back, number);
}

static bool can_see(volatile const char *map)
{
        char seen[sizeof CONTENT] = "";
        if (sigsetjmp(back, 1))
                return false;
        for (size_t i = 0; i < sizeof CONTENT; i++)
                seen[i] = map[i];
        return memcmp(seen, CONTENT, sizeof CONTENT) == 0;
}

static bool can_touch(volatile const char *map)
{
        return sigsetjmp(back, 1) ? false : (map[0], true);
}

static bool can_store(volatile char *map)
{
        if (sigsetjmp(back, 1))
                return false;
        map[100] = 'x';
        return true;
}

static void send_fd(int socket, int fd)
{
        char byte = 'x';
        struct iovec part = {&byte, 1};
        union {
                struct cmsghdr header;
                char room[CMSG_SPACE(sizeof(int))];
        } ancillary = {0};
        struct msghdr message = {
                .msg_iov = &part, .msg_iovlen = 1, .msg_control = &ancillary, .msg_controllen = sizeof ancillary};
        *CMSG_FIRSTHDR(&message) =
                (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &fd, sizeof fd);
        must(sendmsg(socket, &message, 0) == 1, "sendmsg");
        close(fd);
}

static int take_fd(int socket)
{
        char byte;
        struct iovec part = {&byte, 1};
        union {
                struct cmsghdr header;
                char room[CMSG_SPACE(sizeof(int))];
        } ancillary;
        struct msghdr message = {
                .msg_iov = &part, .msg_iovlen = 1, .msg_control = &ancillary, .msg_controllen = sizeof ancillary};
        int fd = -1;
        must(recvmsg(socket, &message, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&message), "recvmsg");
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
        return fd;
}

/* --- io_uring, without its library: one submission at a time --- */

struct ring {
        int fd;
        unsigned *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
        struct io_uring_sqe *sqes;
        struct io_uring_cqe *cqes;
};

/* A ring with the file as its registered file 0; the descriptor is closed. False: this kernel has none. */
static bool ring_start(struct ring *r, int fd)
{
        struct io_uring_params p = {0};
        r->fd = (int)syscall(SYS_io_uring_setup, 4, &p);
        if (r->fd < 0)
                return false;
        size_t size = p.sq_off.array + p.sq_entries * sizeof(unsigned),
               more = p.cq_off.cqes + p.cq_entries * sizeof *r->cqes;
        char *ring = mmap(NULL, size > more ? size : more, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd,
                          IORING_OFF_SQ_RING);
        r->sqes = mmap(NULL, p.sq_entries * sizeof *r->sqes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd,
                       IORING_OFF_SQES);
        must(ring != MAP_FAILED && (void *)r->sqes != MAP_FAILED, "io_uring");
        r->sq_tail = (unsigned *)(void *)(ring + p.sq_off.tail);
        r->sq_mask = (unsigned *)(void *)(ring + p.sq_off.ring_mask);
        r->sq_array = (unsigned *)(void *)(ring + p.sq_off.array);
        r->cq_head = (unsigned *)(void *)(ring + p.cq_off.head);
        r->cq_tail = (unsigned *)(void *)(ring + p.cq_off.tail);
        r->cq_mask = (unsigned *)(void *)(ring + p.cq_off.ring_mask);
        r->cqes = (struct io_uring_cqe *)(void *)(ring + p.cq_off.cqes);
        must(syscall(SYS_io_uring_register, r->fd, IORING_REGISTER_FILES, &fd, 1) == 0, "IORING_REGISTER_FILES");
        close(fd);
        return true;
}

static int ring_do(struct ring *r, int opcode, void *data, unsigned size, uint64_t offset)
{
        unsigned tail = *r->sq_tail, i = tail & *r->sq_mask;
        r->sqes[i] = (struct io_uring_sqe){.opcode = (uint8_t)opcode, .flags = IOSQE_FIXED_FILE, .fd = 0, .off = offset,
                                           .addr = (uintptr_t)data, .len = size};
        r->sq_array[i] = i;
        __atomic_store_n(r->sq_tail, tail + 1, __ATOMIC_RELEASE);
        must(syscall(SYS_io_uring_enter, r->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) >= 0, "io_uring_enter");
        unsigned head = *r->cq_head;
        int result = r->cqes[head & *r->cq_mask].res;
        __atomic_store_n(r->cq_head, head + 1, __ATOMIC_RELEASE);
        return result;
}

/* --- all ways --- */

static bool can_read(int fd)
{
        char page[SIZE] = "";
        return pread(fd, page, sizeof page, 0) > 0;
}

static bool can_write(int fd)
{
        char page[2 * SIZE] = "overwritten"; /* whole pages: the kernel need not read them first */
        return pwrite(fd, page, sizeof page, 0) > 0;
}

static bool can_send(int fd)
{
        int ends[2];
        off_t at = 0;
        must(pipe(ends) == 0, "pipe");
        bool good = sendfile(ends[1], fd, &at, SIZE) > 0;
        at = 0;
        good |= splice(fd, &at, ends[1], NULL, SIZE, SPLICE_F_NONBLOCK) > 0;
        close(ends[0]);
        close(ends[1]);
        return good;
}

static volatile char program_page[SIZE * 2] __attribute__((aligned(SIZE))) = "x";

/* What `held` is when it runs from the tree: says so, then goes on as soon as it is told. */
static int run_inside(const char *ready)
{
        char byte;
        program_page[0] = 'y';
        FILE *f = fopen(ready, "we");
        must(f, ready);
        fclose(f);
        while (read(STDIN_FILENO, &byte, 1) == 1)
                ;
        /* Code on pages that were mapped: it dies here or in libc's calls that follow, if its pages are gone. */
        return 42;
}

int main(int argc, char **argv)
{
        const char *dir = argv[1], *ready = argv[2], *go = argv[3];
        if (argc == 3 && strcmp(argv[1], "--run") == 0)
                return run_inside(argv[2]);
        if (argc != 4)
                return 99;
        struct ring ring;
        struct stat st;
        char page[2 * SIZE] = "";
        int sockets[2], program[2];
        int plain = make(dir, "plain"), passed = make(dir, "passed"), uring = make(dir, "uring"),
            gone = make(dir, "gone");
        int cold = make(dir, "cold"), mapped = make(dir, "mapped"), path_only, directory, written,
            locked = make(dir, "locked");
        unlink(in(dir, "gone"));
        mkdir(in(dir, "d"), 0755);
        close(make(dir, "d/below"));
        must(symlink("plain", in(dir, "link")) == 0, "symlink");
        must((directory = open(in(dir, "d"), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0, "d");
        must((path_only = open(in(dir, "plain"), O_PATH | O_CLOEXEC)) >= 0, "O_PATH");
        must((written = open(in(dir, "written"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644)) >= 0, "written");
        close(cold);
        must((cold = open(in(dir, "cold"), O_RDONLY | O_CLOEXEC)) >= 0, "cold");
        must(readlink(in(dir, "link"), page, sizeof page) == 5, "readlink");
        int link = open(in(dir, "link"), O_PATH | O_NOFOLLOW | O_CLOEXEC);
        must(flock(locked, 2 /* LOCK_EX */) == 0, "flock");
        char *shared = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, plain, 0);
        char *writable = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, mapped, 0);
        char *private = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, plain, 0);
        char *copied = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, mapped, 0);
        must(shared != MAP_FAILED && writable != MAP_FAILED && private != MAP_FAILED && copied != MAP_FAILED, "mmap");
        must(can_see(shared) && can_see(writable) && can_see(private) && can_see(copied), "mapped content");
        copied[200] = 'z'; /* the process's own copy: no right on the file is in it */
        strcpy(writable + 300, "dirty before the revoke");
        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0, "socketpair");
        send_fd(sockets[0], passed);
        bool has_ring = ring_start(&ring, uring);
        must(!has_ring || ring_do(&ring, IORING_OP_READ, page, SIZE, 0) == SIZE, "io_uring read");
        must(can_read(plain) && can_read(gone), "read");
        must(chdir(in(dir, "d")) == 0, "chdir");
        /* a program that runs from the tree */
        snprintf(page, sizeof page, "cp /proc/%d/exe '%s/program'", getpid(), dir);
        must(system(page) == 0, "cp");
        must(pipe(program) == 0, "pipe");
        char mark[4200];
        snprintf(mark, sizeof mark, "%s.program", ready);
        pid_t child = fork();
        if (child == 0) {
                dup2(program[0], STDIN_FILENO);
                close(program[1]);
                execl(in(dir, "program"), "program", "--run", mark, NULL);
                _exit(98);
        }
        close(program[0]);
        for (int i = 0; i < 500 && access(mark, F_OK) != 0; i++)
                usleep(10000);
        must(access(mark, F_OK) == 0, "the program inside");

        FILE *f = fopen(ready, "we");
        must(f, ready);
        fclose(f);
        for (int i = 0; i < 3000 && access(go, F_OK) != 0; i++)
                usleep(10000);
        signal(SIGBUS, on_fault);
        signal(SIGSEGV, on_fault);

        told("map-shared", can_see(shared));
        told("map-shared-writable", can_see(writable));
        told("map-shared-store", can_store(writable));
        told("map-private", can_see(private));
        told("read", can_read(plain));
        told("write", can_write(plain));
        told("read-unread-before", can_read(cold));
        told("read-unlinked", can_read(gone));
        told("write-only", can_write(written));
        told("append", write(locked, "x", 1) > 0);
        told("sendfile-splice", can_send(plain));
        told("fstat", fstat(plain, &st) == 0);
        told("fstat-path", fstatat(path_only, "", &st, AT_EMPTY_PATH) == 0);
        told("reopen-path", open("/proc/self/fd/0", O_RDONLY) >= 0 && ({
                                    char n[64];
                                    snprintf(n, sizeof n, "/proc/self/fd/%d", path_only);
                                    open(n, O_RDONLY) >= 0;
                            }));
        told("readlink", readlinkat(link, "", page, sizeof page) > 0);
        told("ftruncate", ftruncate(plain, 100) == 0);
        told("fchmod", fchmod(plain, 0600) == 0);
        told("fsync", fsync(plain) == 0);
        told("map-again", ({
                     char *m = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, plain, 0);
                     m != MAP_FAILED &&can_touch(m);
             }));
        int taken = take_fd(sockets[1]);
        told("passed-read", can_read(taken));
        told("passed-write", can_write(taken));
        told("uring-read", has_ring && ring_do(&ring, IORING_OP_READ, page, SIZE, 0) > 0);
        told("uring-write", has_ring && ring_do(&ring, IORING_OP_WRITE, page, SIZE, 0) > 0);
        told("directory-list", ({ DIR *d = fdopendir(dup(directory)); d && readdir(d); }));
        told("directory-open", openat(directory, "below", O_RDONLY) >= 0);
        told("directory-make", openat(directory, "made", O_WRONLY | O_CREAT, 0644) >= 0);
        told("directory-stat", fstatat(directory, "below", &st, 0) == 0);
        told("cwd-open", open("below", O_RDONLY) >= 0);
        told("cwd-make", mkdir("made-too", 0755) == 0);
        told("path", open(in(dir, "plain"), O_RDONLY) >= 0);
        told("copy-range", ({ off_t a = 0, b = 0; copy_file_range(plain, &a, locked, &b, SIZE, 0) > 0; }));
        printf("own-copy: %s\n", can_see(copied) ? "kept" : "lost"); /* that is the process's memory, not the file */
        close(program[1]);
        int status;
        waitpid(child, &status, 0);
        told("program", !WIFSIGNALED(status));
        return 0;
}
