// SPDX-License-Identifier: GPL-3.0-or-later
/* What a file system is like that changes go to: whose clock it has, and which names are one: see layer/files.h. */
#include "layer/files.h"

#include "base/cleanup.h"
#include "host/linux/kernel.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define TRIES 16 /* names that are looked up otherwise written */

bool files_clock_is_ours(int dir)
{
        struct statfs fs;
        if (fstatfs(dir, &fs) < 0)
                return false;
        switch ((unsigned long)fs.f_type) {
        case 0x6969:     /* NFS */
        case 0xFF534D42: /* CIFS */
        case 0xFE534D42: /* SMB2 */
        case 0x65735546: /* FUSE */
        case 0x01021997: /* 9P */
        case 0x00C36400: /* Ceph */
                return false;
        }
        return true;
}

/* Writes ASCII letters the other way. Are there any? */
static bool flip(char *name)
{
        bool any = false;
        for (; *name; name++)
                if ((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z')) {
                        *name ^= 'a' ^ 'A';
                        any = true;
                }
        return any;
}

struct listed {
        const char *name;
        bool found;
};

static void compare(void *context, const char *name)
{
        struct listed *l = context;
        l->found |= strcmp(l->name, name) == 0;
}

/* Is `name` of `dir` also found otherwise written, though nobody made that? 1, 0; -1: this name cannot tell. */
static int found_flipped(int dir, const char *name)
{
        struct stat st;
        cleanup_free char *flipped = memory_string(name);
        if (!flip(flipped))
                return -1;
        if (fstatat(dir, flipped, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return 0;
        struct listed l = {.name = flipped};
        return files_names(dir, compare, &l) < 0 || l.found ? -1 : 1;
}

/* Asks for names of the directory, or for its own, in the other case. */
static bool probe(int dir)
{
        int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), found = -1;
        cleanup_dir DIR *list = copy < 0 ? NULL : fdopendir(copy);
        struct dirent *entry;
        for (int i = 0; list && found < 0 && i < TRIES && (entry = readdir(list)); i++)
                found = found_flipped(dir, entry->d_name);
        if (found >= 0)
                return found;
        char link[64], path[4096];
        snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
        ssize_t n = readlink(link, path, sizeof path - 1);
        path[n > 0 ? n : 0] = '\0';
        const char *slash = strrchr(path, '/');
        cleanup_close int parent = openat(dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return slash && slash[1] && parent >= 0 && found_flipped(parent, slash + 1) == 1;
}

bool files_folds(int dir)
{
        struct statfs fs;
        int flags = 0;
        if (ioctl(dir, FS_IOC_GETFLAGS, &flags) == 0 && (flags & FS_CASEFOLD_FL))
                return true;
        if (fstatfs(dir, &fs) < 0)
                return false;
        switch ((unsigned long)fs.f_type) {
        case 0x4D44:     /* FAT */
        case 0x2011BAB0: /* exFAT */
        case 0x7366746E: /* NTFS */
        case 0x482B:     /* HFS+ */
        case 0xFF534D42: /* CIFS */
        case 0xFE534D42: /* SMB2 */
                return true;
        case 0xEF53:     /* ext4, whose flag tells, */
        case 0x01021994: /* as tmpfs's does; */
        case 0x9123683E: /* Btrfs never does */
                return false;
        }
        return probe(dir);
}
