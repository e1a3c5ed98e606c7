// SPDX-License-Identifier: GPL-3.0-or-later
/* What a file says of itself that is to be a system's disk. */
#include "image/disk.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static int file = -1;
        struct disk disk = {0};
        struct error err = ERROR_INIT;
        if (file < 0)
                file = memfd_create("disk", MFD_CLOEXEC);
        /* The first byte is where the rest stands, in steps of 512: what tells file systems apart is far from the beginning. */
        if (!size || ftruncate(file, 0) < 0 || ftruncate(file, 1 << 17) < 0 ||
            pwrite(file, data + 1, size - 1, (off_t)data[0] * 512) < 0)
                return 0;
        if (disk_look(file, &disk, &err) < 0 && !err.code)
                abort();
        error_clear(&err);
        return 0;
}
