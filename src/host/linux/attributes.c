// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What is written on the files of a layer: overlay's marks, and extended attributes. See layer/files.h.
 *
 * The marks are overlayfs's with `userxattr` (Documentation/filesystems/overlayfs.rst): a character device 0:0 is a
 * deleted name, user.overlay.opaque=y on a directory hides what is below it, user.overlay.origin is on what was copied
 * up. A program inside can set none of them through the overlay.
 */
#include "layer/files.h"

#include "base/cleanup.h"
#include "host/linux/kernel.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define MARK "user.overlay."
#define ACL "system.posix_acl_"
#define CAPABILITY "security.capability"

bool files_is_opaque(int dir)
{
        char value = 0;
        return fgetxattr(dir, MARK "opaque", &value, 1) == 1 && value == 'y';
}

int files_set_opaque(int dir)
{
        return fsetxattr(dir, MARK "opaque", "y", 1, 0) < 0 ? -errno : 0;
}

int files_clear_opaque(int dir)
{
        return fremovexattr(dir, MARK "opaque") < 0 && errno != ENODATA ? -errno : 0;
}

int files_whiteout(int dir, const char *name)
{
        return mknodat(dir, name, S_IFCHR, makedev(0, 0)) < 0 ? -errno : 0;
}

/* A name in a directory as a path, for the calls that take no directory. Its last component is not followed. */
static char *path_of(int dir, const char *name)
{
        return memory_format(name[0] ? "/proc/self/fd/%d/%s" : "/proc/self/fd/%d", dir, name);
}

/* Attributes of a name, or of the open file itself when the name is "" (which may be open only to be looked at: then
 * its name in /proc stands for it, and a symbolic link has none that count). Linux 6.13 takes a directory and a
 * name. */
static ssize_t list_of(int dir, const char *name, char *names, size_t size)
{
        if (name[0]) {
                ssize_t n = kernel_list_attributes(dir, name, names, size);
                if (n >= 0 || errno != ENOSYS)
                        return n;
                cleanup_free char *path = path_of(dir, name);
                return llistxattr(path, names, size);
        }
        ssize_t n = flistxattr(dir, names, size);
        struct stat st;
        if (n < 0 && errno == EBADF && fstat(dir, &st) == 0) {
                cleanup_free char *path = path_of(dir, name);
                return S_ISLNK(st.st_mode) ? 0 : listxattr(path, names, size);
        }
        return n;
}

static ssize_t value_of(int dir, const char *name, const char *key, void *value, size_t size)
{
        if (name[0]) {
                ssize_t n = kernel_get_attribute(dir, name, key, value, size);
                if (n >= 0 || errno != ENOSYS)
                        return n;
                cleanup_free char *path = path_of(dir, name);
                return lgetxattr(path, key, value, size);
        }
        ssize_t n = fgetxattr(dir, key, value, size);
        if (n >= 0 || errno != EBADF)
                return n;
        cleanup_free char *path = path_of(dir, name);
        return getxattr(path, key, value, size);
}

/* The mark is overlay's; without a value it says that what was copied is not known. Then one of ours may say when it
 * was. */
#define COPIED_AT MARK "paddock.since"

bool files_is_copy(int dir, const char *name, struct timespec *since)
{
        ssize_t size = value_of(dir, name, MARK "origin", NULL, 0);
        char text[64];
        long long seconds;
        long nanoseconds;
        ssize_t n = size || !since ? -1 : value_of(dir, name, COPIED_AT, text, sizeof text - 1);
        if (n > 0) {
                text[n] = '\0';
                bool good = sscanf(text, "%lld.%9ld", &seconds, &nanoseconds) == 2 && seconds >= 0 && nanoseconds >= 0;
                *since = good ? (struct timespec){.tv_sec = seconds, .tv_nsec = nanoseconds} : (struct timespec){0};
        }
        return size >= 0;
}

int files_set_copy(int fd, const struct timespec *since)
{
        char text[64];
        int n = snprintf(text, sizeof text, "%lld.%09ld", (long long)since->tv_sec, since->tv_nsec);
        return fsetxattr(fd, COPIED_AT, text, (size_t)n, 0) < 0 || fsetxattr(fd, MARK "origin", "", 0, 0) < 0 ? -errno
                                                                                                              : 0;
}

/* The ids in an access control list moved by `shift` (include/uapi/linux/posix_acl_xattr.h: a version, then tag,
 * permission and id of each entry). */
static void shift_acl(unsigned char *value, size_t size, unsigned shift)
{
        for (size_t at = 4; at + 8 <= size; at += 8) {
                uint16_t tag;
                uint32_t id;
                memcpy(&tag, value + at, 2);
                memcpy(&id, value + at + 4, 4);
                if (tag != 0x02 && tag != 0x08) /* ACL_USER, ACL_GROUP */
                        continue;
                id -= shift;
                memcpy(value + at + 4, &id, 4);
        }
}

int files_map_acl(struct xattr *attribute, int (*map)(void *context, uint32_t *id, bool group), void *context)
{
        unsigned char *value = attribute->value;
        if (strncmp(attribute->name, ACL, strlen(ACL)) != 0)
                return 0;
        if (attribute->size < 4 || attribute->size % 8 != 4)
                return -EINVAL;
        for (size_t at = 4; at < attribute->size; at += 8) {
                uint16_t tag;
                uint32_t id;
                memcpy(&tag, value + at, 2);
                memcpy(&id, value + at + 4, 4);
                if (tag != 0x02 && tag != 0x08)
                        continue;
                int result = map(context, &id, tag == 0x08);
                if (result < 0)
                        return result;
                memcpy(value + at + 4, &id, 4);
        }
        return 0;
}

/* A capability of the environment's root is one of root (revision 3 to 2, include/uapi/linux/capability.h). */
static size_t shift_capability(unsigned char *value, size_t size, unsigned shift)
{
        uint32_t magic, root;
        if (size != 24)
                return size;
        memcpy(&magic, value, 4);
        memcpy(&root, value + 20, 4);
        if ((magic & 0xFF000000) != 0x03000000 || root != shift)
                return size;
        magic = (magic & 0x00FFFFFF) | 0x02000000;
        memcpy(value, &magic, 4);
        return 20;
}

static bool is_compared(const char *name)
{
        if (strncmp(name, MARK, strlen(MARK)) == 0)
                return false;
        /* Labels and hashes of the security modules are not the program's. */
        return strncmp(name, "security.", 9) != 0 || strcmp(name, CAPABILITY) == 0;
}

static int by_name(const void *a, const void *b)
{
        return strcmp(((const struct xattr *)a)->name, ((const struct xattr *)b)->name);
}

static int read_value(int dir, const char *file, const char *name, unsigned shift, struct xattrs *list)
{
        for (;;) {
                ssize_t size = value_of(dir, file, name, NULL, 0);
                if (size < 0)
                        return errno == ENODATA ? 0 : -errno;
                cleanup_free unsigned char *value = memory_new((size_t)size + 1);
                ssize_t got = value_of(dir, file, name, value, (size_t)size);
                if (got < 0 && errno == ERANGE)
                        continue;
                if (got < 0)
                        return errno == ENODATA ? 0 : -errno;
                size_t used = (size_t)got;
                if (shift && strncmp(name, ACL, strlen(ACL)) == 0)
                        shift_acl(value, used, shift);
                else if (shift && strcmp(name, CAPABILITY) == 0)
                        used = shift_capability(value, used, shift);
                *vector_add(list->items, list->count, list->capacity) =
                        (struct xattr){.name = memory_string(name), .value = steal_pointer(&value), .size = used};
                return 0;
        }
}

int files_xattrs(int dir, const char *name, unsigned shift, struct xattrs *list)
{
        *list = (struct xattrs){0};
        cleanup_free char *names = NULL;
        char few[1024];
        ssize_t size = list_of(dir, name, few, sizeof few);
        char *all = few;
        while (size < 0 && errno == ERANGE) {
                size = list_of(dir, name, NULL, 0);
                names = memory_grow(names, (size_t)size + 1024, 1);
                size = list_of(dir, name, names, (size_t)size + 1024);
                all = names;
        }
        if (size < 0)
                return errno == EOPNOTSUPP ? 0 : -errno;
        int result = 0;
        for (const char *one = all; one < all + size && result == 0; one += strlen(one) + 1)
                if (is_compared(one))
                        result = read_value(dir, name, one, shift, list);
        if (list->count > 1)
                qsort(list->items, list->count, sizeof *list->items, by_name);
        if (result < 0)
                files_xattrs_clear(list);
        return result;
}

void files_xattrs_clear(struct xattrs *list)
{
        for (size_t i = 0; i < list->count; i++) {
                free(list->items[i].name);
                free(list->items[i].value);
        }
        free(list->items);
        *list = (struct xattrs){0};
}

int files_set_xattrs(int fd, const struct xattrs *list, const char **failed)
{
        struct xattrs now;
        cleanup_free char *path = path_of(fd, ""); /* also for what is open only to be looked at */
        int result = files_xattrs(fd, "", 0, &now);
        for (size_t i = 0; result == 0 && i < now.count; i++) {
                bool wanted = false;
                for (size_t n = 0; n < list->count; n++)
                        wanted |= strcmp(list->items[n].name, now.items[i].name) == 0;
                if (!wanted && removexattr(path, now.items[i].name) < 0 && errno != ENODATA) {
                        *failed = "one that is to go";
                        result = -errno;
                }
        }
        for (size_t i = 0; result == 0 && i < list->count; i++)
                if (setxattr(path, list->items[i].name, list->items[i].value, list->items[i].size, 0) < 0) {
                        *failed = list->items[i].name;
                        result = -errno;
                }
        files_xattrs_clear(&now);
        return result;
}

int files_add_xattr(int fd, const struct xattr *one)
{
        return fsetxattr(fd, one->name, one->value, one->size, 0) < 0 ? -errno : 0;
}
