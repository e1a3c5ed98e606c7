// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Does random things to a file in every way that there is, and compares it with what it should be, as fsx does:
 *
 *      consistent FILE OUTSIDE SEED STEPS      OUTSIDE: the same file as the main system sees it, or "-"
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST (300U << 10)

static unsigned char model[MOST], seen[MOST + 4096];
static size_t size;
static unsigned long step, steps;
static uint64_t state;
static const char *file, *outside;
static int both = -1, writes = -1, reads = -1, appends = -1; /* the file open in four ways */

static _Noreturn void fail(const char *what, ...)
{
        int code = errno;
        va_list arguments;
        va_start(arguments, what);
        fprintf(stderr, "consistent: step %lu: ", step);
        vfprintf(stderr, what, arguments);
        fprintf(stderr, " (%s)\n", strerror(code));
        va_end(arguments);
        exit(1);
}

static uint64_t random_below(uint64_t n)
{
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return n ? (state >> 11) % n : 0;
}

static void compare(const unsigned char *got, size_t at, size_t n, const char *how)
{
        for (size_t i = 0; i < n; i++)
                if (got[i] != model[at + i])
                        fail("%s: byte %zu of %zu is %02x, should be %02x", how, at + i, size, got[i], model[at + i]);
}

static void open_all(void)
{
        const int flags[] = {O_RDWR, O_WRONLY, O_RDONLY, O_WRONLY | O_APPEND};
        int *fds[] = {&both, &writes, &reads, &appends};
        for (int i = 0; i < 4; i++) {
                if (*fds[i] >= 0 && close(*fds[i]) < 0)
                        fail("close");
                *fds[i] = open(file, flags[i] | O_CLOEXEC);
                if (*fds[i] < 0)
                        fail("open %s", file);
        }
}

static void do_read(void)
{
        size_t at = random_below(size + 1), n = random_below(MOST / 4), most = size - at < n ? size - at : n;
        ssize_t got = pread(random_below(2) ? both : reads, seen, n, (off_t)at);
        if (got < 0 || (size_t)got != most)
                fail("read of %zu at %zu of %zu gave %zd", n, at, size, got);
        compare(seen, at, most, "read");
}

static void put(size_t at, size_t n)
{
        for (size_t i = 0; i < n; i++)
                model[at + i] = (unsigned char)random_below(256);
}

static void grow_to(size_t end)
{
        if (end > size) {
                size = end;
        }
}

static void do_write(void)
{
        size_t at = random_below(random_below(4) ? size + 1 : MOST),
               n = random_below(random_below(3) ? 9000 : MOST / 3);
        if (at + n > MOST)
                n = MOST - at;
        if (at > size)
                memset(model + size, 0, at - size);
        if (n == 0)
                return;
        put(at, n);
        if (pwrite(random_below(2) ? both : writes, model + at, n, (off_t)at) != (ssize_t)n)
                fail("write of %zu at %zu", n, at);
        grow_to(at + n);
}

static void do_append(void)
{
        size_t n = random_below(5000);
        if (size + n > MOST || n == 0)
                return;
        put(size, n);
        if (write(appends, model + size, n) != (ssize_t)n)
                fail("append of %zu", n);
        grow_to(size + n);
}

static void do_map(bool store)
{
        size_t at = random_below(size) & ~4095UL, n = random_below(MOST / 4) + 1;
        if (size == 0)
                return;
        if (at + n > size)
                n = size - at;
        unsigned char *map = mmap(NULL, n, PROT_READ | (store ? PROT_WRITE : 0), MAP_SHARED, both, (off_t)at);
        if (map == MAP_FAILED)
                fail("mmap");
        compare(map, at, n, "map");
        if (store) {
                put(at, n);
                memcpy(map, model + at, n);
                if (random_below(2) && msync(map, n, MS_SYNC) < 0)
                        fail("msync");
        }
        munmap(map, n);
}

static void do_truncate(void)
{
        size_t to = random_below(MOST);
        if (to > size)
                memset(model + size, 0, to - size);
        if (random_below(2) ? truncate(file, (off_t)to) < 0 : ftruncate(random_below(2) ? both : writes, (off_t)to) < 0)
                fail("truncate to %zu", to);
        size = to;
}

static void do_punch(void)
{
        size_t at = random_below(size + 1), n = random_below(MOST / 4) + 1;
        if (fallocate(both, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)n) < 0) {
                if (errno == EOPNOTSUPP)
                        return;
                fail("fallocate");
        }
        if (at + n > size)
                n = size - at;
        memset(model + at, 0, n);
}

static void do_allocate(void)
{
        size_t at = random_below(MOST), n = random_below(MOST - at) + 1;
        if (fallocate(both, 0, (off_t)at, (off_t)n) < 0) {
                if (errno == EOPNOTSUPP)
                        return;
                fail("fallocate");
        }
        if (at + n > size)
                memset(model + size, 0, at + n - size);
        grow_to(at + n);
}

static void do_copy(void)
{
        size_t from = random_below(size + 1), n = random_below(MOST / 8), to = random_below(MOST - n);
        if (from + n > size)
                n = size - from;
        if ((from < to + n && to < from + n) || n == 0)
                return;
        off_t a = (off_t)from, b = (off_t)to;
        for (size_t left = n; left;) {
                ssize_t done = copy_file_range(both, &a, both, &b, left, 0);
                if (done <= 0)
                        fail("copy_file_range of %zu", left);
                left -= (size_t)done;
        }
        if (to > size)
                memset(model + size, 0, to - size);
        memmove(model + to, model + from, n);
        grow_to(to + n);
}

static void check_whole(const char *name, const char *how)
{
        struct stat st;
        int fd = open(name, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                fail("%s", name);
        if ((size_t)st.st_size != size)
                fail("%s: size is %zu, should be %zu", how, (size_t)st.st_size, size);
        if (pread(fd, seen, sizeof seen, 0) != (ssize_t)size)
                fail("%s: cannot be read whole", how);
        compare(seen, 0, size, how);
        close(fd);
}

static void do_sync(void)
{
        if ((random_below(2) ? fsync(both) : fdatasync(both)) < 0)
                fail("fsync");
        if (strcmp(outside, "-") != 0)
                check_whole(outside, "outside");
}

static void do_rename(void)
{
        char name[4200];
        snprintf(name, sizeof name, "%s.renamed", file);
        if (rename(file, name) < 0 && errno == EBUSY) /* the mount of a single file */
                return;
        if (access(name, F_OK) < 0 || rename(name, file) < 0)
                fail("rename");
}

int main(int argc, char **argv)
{
        if (argc != 5)
                return 99;
        file = argv[1];
        outside = argv[2];
        state = strtoull(argv[3], NULL, 10) * 0x9E3779B97F4A7C15ULL + 1;
        steps = strtoul(argv[4], NULL, 10);
        close(open(file, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644));
        open_all();
        for (step = 0; step < steps; step++) {
                switch (random_below(16)) {
                case 0: case 1: case 2: do_read(); break;
                case 3: case 4: case 5: do_write(); break;
                case 6: do_append(); break;
                case 7: case 8: do_map(false); break;
                case 9: case 10: do_map(true); break;
                case 11: do_truncate(); break;
                case 12: random_below(2) ? do_punch() : do_allocate(); break;
                case 13: do_copy(); break;
                case 14: do_sync(); break;
                case 15: random_below(4) ? do_rename() : open_all(); break;
                }
        }
        check_whole(file, "at the end");
        do_sync();
        printf("consistent: %lu steps\n", steps);
        return 0;
}
