// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Any bytes as the archive of an environment, restored into a directory of its own. Whatever they are, nothing is made
 * outside of that directory, and what is refused says so. The corpus begins with what `paddock export` writes
 * (FUZZ_PLACE: where; on a tmpfs it is fast). Wrong checksums of headers are put right first, so that what lies behind
 * them is reached.
 *
 *      clang -fsanitize=fuzzer,address ... tests/fuzz/fuzz_portable.c
 */
#include "layer/portable.h"

#include "base/cleanup.h"
#include "base/tree.h"
#include "layer/tar.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good, const char *what)
{
        if (!good) {
                fprintf(stderr, "fuzz_portable: %s\n", what);
                abort();
        }
}

/* Every block that says that it is a header gets the checksum that it should have. */
static void put_right(char *data, size_t size)
{
        for (size_t at = 0; at + TAR_BLOCK <= size; at += TAR_BLOCK) {
                struct tar_header *h = (struct tar_header *)(data + at);
                if (memcmp(h->magic, "ustar", 6) != 0)
                        continue;
                unsigned sum = 0;
                memset(h->checksum, ' ', sizeof h->checksum);
                for (size_t i = 0; i < sizeof *h; i++)
                        sum += ((const unsigned char *)h)[i];
                snprintf(h->checksum, sizeof h->checksum, "%06o", sum);
        }
}

static unsigned entries_in(int dir, const char *only)
{
        int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cleanup_dir DIR *list = fdopendir(copy);
        struct dirent *entry;
        unsigned count = 0;
        while (list && (entry = readdir(list)))
                count += entry->d_name[0] != '.' && (!only || strcmp(entry->d_name, only) != 0);
        return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (!size)
                return 0;
        const char *place = getenv("FUZZ_PLACE");
        cleanup_free char *name = memory_format("%s/paddock-fuzz-%d", place ? place : "/dev/shm", (int)getpid()),
                          *copy = memory_new(size);
        memcpy(copy, data, size);
        put_right(copy, size);
        check(mkdir(name, 0700) == 0, "cannot make a directory");
        cleanup_close int outer = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        check(mkdirat(outer, "inner", 0700) == 0, "cannot make a directory in it");
        cleanup_close int inner = openat(outer, "inner", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cleanup_error struct error err = ERROR_INIT;
        struct portable p = {.file = fmemopen(copy, size, "r"),
                             .single = true,
                             .uid = geteuid(),
                             .gid = getegid(),
                             .home = "/home/fuzz"};
        struct import *import = NULL;
        int result = import_begin(&p, &import, &err);
        if (result == 0)
                result = import_read(import, inner, "fuzz", &err);
        check(result >= 0 || err.text, "a refusal without a reason");
        import_end(import);
        fclose(p.file);
        check(entries_in(outer, "inner") == 0, "something was made outside");
        check(entries_in(inner, "env") <= 1, "something was made beside the environment");
        error_clear(&err);
        check(tree_remove(AT_FDCWD, name, &err) == 0, "it cannot be removed");
        return 0;
}
