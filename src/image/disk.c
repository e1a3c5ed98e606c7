// SPDX-License-Identifier: GPL-3.0-or-later
/* File systems in files, told by their first bytes: see disk.h. */
#include "image/disk.h"

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

/* Of ext2 to ext4, from the superblock's byte 1024 on (the kernel's Documentation/filesystems/ext4/super.rst). */
#define EXT_MAGIC_AT 1080
#define EXT_BLOCKS_AT 1028
#define EXT_BLOCK_SIZE_AT 1048
#define EXT_INCOMPATIBLE_AT 1120
#define EXT_RECOVER 4u /* the journal holds what the rest does not */

/* Of squashfs (same place, squashfs.rst): the number of bytes in use. */
#define SQUASHFS_USED_AT 40

static const struct other {
        size_t at;
        const char *magic;
        size_t length;
        const char *what, *remedy;
} others[] = {
        {0, "XFSB", 4, "an XFS file system", NULL},
        {0x10040, "_BHRfS_M", 8, "a btrfs file system", NULL},
        {1024, "\xe2\xe1\xf5\xe0", 4, "an EROFS file system", NULL},
        {1024, "\x10\x20\xf5\xf2", 4, "an F2FS file system", NULL},
        {0x8001, "CD001", 5, "an ISO 9660 image", NULL},
        {0, "QFI\xfb", 4, "a disk of QEMU (qcow2)",
         "qemu-img convert -O raw FILE DISK makes it plain; then take its partition out"},
        {0, "KDMV", 4, "a disk of VMware",
         "qemu-img convert -O raw FILE DISK makes it plain; then take its partition out"},
        {3, "NTFS    ", 8, "an NTFS file system", NULL},
        {512, "EFI PART", 8, "a whole disk with partitions",
         "take the partition out: fdisk -l tells where it starts, dd skip=START count=SECTORS copies it"},
        {510, "\x55\xaa", 2, "a whole disk with partitions, or a FAT file system",
         "take the partition out: fdisk -l tells where it starts, dd skip=START count=SECTORS copies it"},
};

static bool has(int fd, size_t at, const char *magic, size_t length)
{
        char room[8];
        return pread(fd, room, length, (off_t)at) == (ssize_t)length && memcmp(room, magic, length) == 0;
}

static uint64_t number(const unsigned char *at, unsigned bytes)
{
        uint64_t value = 0;
        for (unsigned i = bytes; i-- > 0;)
                value = value << 8 | at[i];
        return value;
}

static int truncated(const char *kind, uint64_t says, off_t is, struct error *err)
{
        error_set(err, ENODATA, "it is truncated: its %s file system has %llu bytes, and the file %lld", kind,
                  (unsigned long long)says, (long long)is);
        return error_remedy(err, "get it once more");
}

int disk_look(int fd, struct disk *disk, struct error *err)
{
        static const struct disk ext = {"ext4", "fuse2fs", "fuse2fs", "ro,norecovery"};
        static const struct disk squashfs = {"squashfs", "squashfuse", "squashfuse", "ro"};
        unsigned char head[1280];
        struct stat st;
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof head ||
            pread(fd, head, sizeof head, 0) != (ssize_t)sizeof head)
                return 0;
        if (memcmp(head, "hsqs", 4) == 0) {
                uint64_t used = number(head + SQUASHFS_USED_AT, 8);
                *disk = squashfs;
                return used > (uint64_t)st.st_size ? truncated("squashfs", used, st.st_size, err) : 1;
        }
        if (memcmp(head + EXT_MAGIC_AT, "\x53\xef", 2) == 0) {
                uint64_t shift = number(head + EXT_BLOCK_SIZE_AT, 4);
                uint64_t size = shift > 6 ? 0 : number(head + EXT_BLOCKS_AT, 4) << (10 + shift);
                *disk = ext;
                if (size > (uint64_t)st.st_size)
                        return truncated("ext4", size, st.st_size, err);
                if (!(number(head + EXT_INCOMPATIBLE_AT, 4) & EXT_RECOVER))
                        return 1;
                error_set(err, EUCLEAN,
                          "its ext4 file system was not unmounted: its journal holds what the rest does not");
                return error_remedy(err, "have it put in order first, or a copy of it: e2fsck -p FILE");
        }
        for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
                if (!has(fd, others[i].at, others[i].magic, others[i].length))
                        continue;
                error_set(err, EINVAL, "it is %s, and of file systems ext4 and squashfs are read", others[i].what);
                return error_remedy(err, "%s",
                                    others[i].remedy ? others[i].remedy
                                                     : "as root, mount it and make a tar archive of it, which can be "
                                                       "imported");
        }
        return 0;
}
