// SPDX-License-Identifier: GPL-3.0-or-later
/* Writing a tar archive: see tar.h, and pax(1) for the format. */
#include "layer/tar.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define BLOCK 512

struct header { /* ustar */
        char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100], magic[6], version[2], user[32],
                group[32], major[8], minor[8], prefix[155], padding[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a tar header is one block");

static int write_bytes(struct tar *t, const void *data, size_t size)
{
        t->written += size;
        return fwrite(data, 1, size, t->file) == size ? 0 : -(errno ? errno : EIO);
}

static int pad(struct tar *t)
{
        static const char zeros[BLOCK];
        size_t rest = (size_t)(t->written % BLOCK);
        return rest ? write_bytes(t, zeros, BLOCK - rest) : 0;
}

/* Octal, or the largest that fits: then a pax record says the true number. */
static bool set_octal(char *field, size_t size, uint64_t value)
{
        uint64_t most = ((uint64_t)1 << 3 * (size - 1)) - 1;
        snprintf(field, size, "%0*llo", (int)size - 1, (unsigned long long)(value <= most ? value : most));
        return value <= most;
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts itself. */
static void add_record(struct text *t, const char *key, const void *value, size_t size)
{
        size_t rest = strlen(key) + size + 3, length = rest + 1;
        char digits[24];
        while ((size_t)snprintf(digits, sizeof digits, "%zu", length) + rest != length)
                length = strlen(digits) + rest;
        text_addf(t, "%zu %s=", length, key);
        text_add_bytes(t, value, size);
        text_add(t, "\n");
}

static void add_number(struct text *t, const char *key, uint64_t value)
{
        char digits[32];
        snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
        add_record(t, key, digits, strlen(digits));
}

static int write_header(struct tar *t, struct header *h)
{
        memcpy(h->magic, "ustar", 6);
        memcpy(h->version, "00", 2);
        memset(h->checksum, ' ', sizeof h->checksum);
        unsigned sum = 0;
        for (size_t i = 0; i < sizeof *h; i++)
                sum += ((const unsigned char *)h)[i];
        snprintf(h->checksum, sizeof h->checksum, "%06o", sum);
        return write_bytes(t, h, sizeof *h);
}

static int write_records(struct tar *t, const struct text *records)
{
        struct header h = {.type = 'x'};
        memcpy(h.name, "paddock/pax", 11);
        set_octal(h.mode, sizeof h.mode, 0644);
        set_octal(h.uid, sizeof h.uid, 0);
        set_octal(h.gid, sizeof h.gid, 0);
        set_octal(h.size, sizeof h.size, records->length);
        set_octal(h.mtime, sizeof h.mtime, 0);
        int result = write_header(t, &h);
        if (result == 0)
                result = write_bytes(t, records->data, records->length);
        return result < 0 ? result : pad(t);
}

static bool set_name(char *field, size_t size, const char *name)
{
        size_t n = strlen(name);
        memcpy(field, name, n < size ? n : size);
        return n <= size;
}

static char type_of(mode_t mode)
{
        return S_ISREG(mode)   ? '0'
               : S_ISLNK(mode) ? '2'
               : S_ISCHR(mode) ? '3'
               : S_ISBLK(mode) ? '4'
               : S_ISDIR(mode) ? '5'
               : S_ISFIFO(mode) ? '6'
                                : 0;
}

/* The records for attributes, as GNU tar and libarchive write them. */
static int add_xattrs(struct text *records, int own, unsigned shift)
{
        struct xattrs list;
        int result = files_xattrs(own, "", shift, &list);
        for (size_t i = 0; result == 0 && i < list.count; i++) {
                cleanup_free char *key = memory_format("SCHILY.xattr.%s", list.items[i].name);
                if (!strchr(list.items[i].name, '='))
                        add_record(records, key, list.items[i].value, list.items[i].size);
        }
        if (result == 0)
                files_xattrs_clear(&list);
        return result;
}

static int write_content(struct tar *t, int own, uint64_t size)
{
        cleanup_free char *buffer = memory_new(1 << 18);
        off_t at = 0;
        while ((uint64_t)at < size) {
                size_t want = size - (uint64_t)at < 1 << 18 ? (size_t)(size - (uint64_t)at) : 1 << 18;
                ssize_t n = pread(own, buffer, want, at);
                if (n < 0)
                        return -errno;
                if (n == 0) { /* it became shorter meanwhile */
                        memset(buffer, 0, want);
                        n = (ssize_t)want;
                }
                int result = write_bytes(t, buffer, (size_t)n);
                if (result < 0)
                        return result;
                at += n;
        }
        return pad(t);
}

int tar_add(struct tar *t, const char *name, const char *link, int own, unsigned shift)
{
        struct stat st;
        struct header h = {0};
        cleanup_text struct text records = {0};
        if (fstat(own, &st) < 0)
                return -errno;
        h.type = link ? '1' : type_of(st.st_mode);
        if (!h.type)
                return -ENOTSUP; /* a socket: no format has them */
        uint64_t size = h.type == '0' ? (uint64_t)st.st_size : 0;
        cleanup_free char *whole = S_ISDIR(st.st_mode) ? memory_format("%s/", name) : memory_string(name);
        if (!set_name(h.name, sizeof h.name, whole))
                add_record(&records, "path", whole, strlen(whole));
        char target[4097];
        if (h.type == '2') {
                ssize_t n = readlinkat(own, "", target, sizeof target - 1);
                if (n < 0)
                        return -errno;
                target[n] = '\0';
                link = target;
        }
        if (link && !set_name(h.link, sizeof h.link, link))
                add_record(&records, "linkpath", link, strlen(link));
        set_octal(h.mode, sizeof h.mode, st.st_mode & 07777);
        if (!set_octal(h.uid, sizeof h.uid, st.st_uid - shift))
                add_number(&records, "uid", st.st_uid - shift);
        if (!set_octal(h.gid, sizeof h.gid, st.st_gid - shift))
                add_number(&records, "gid", st.st_gid - shift);
        if (!set_octal(h.size, sizeof h.size, size))
                add_number(&records, "size", size);
        set_octal(h.mtime, sizeof h.mtime, st.st_mtim.tv_sec > 0 ? (uint64_t)st.st_mtim.tv_sec : 0);
        if (st.st_mtim.tv_nsec || st.st_mtim.tv_sec < 0) {
                char text[64];
                snprintf(text, sizeof text, "%lld.%09ld", (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
                add_record(&records, "mtime", text, strlen(text));
        }
        set_octal(h.major, sizeof h.major, major(st.st_rdev));
        set_octal(h.minor, sizeof h.minor, minor(st.st_rdev));
        int result = h.type == '1' ? 0 : add_xattrs(&records, own, shift);
        if (result == 0 && records.length)
                result = write_records(t, &records);
        if (result == 0)
                result = write_header(t, &h);
        return result == 0 && size ? write_content(t, own, size) : result;
}

int tar_add_text(struct tar *t, const char *name, const char *text, size_t size)
{
        struct header h = {.type = '0'};
        if (!set_name(h.name, sizeof h.name, name))
                return -ENAMETOOLONG;
        set_octal(h.mode, sizeof h.mode, 0644);
        set_octal(h.uid, sizeof h.uid, 0);
        set_octal(h.gid, sizeof h.gid, 0);
        set_octal(h.size, sizeof h.size, size);
        set_octal(h.mtime, sizeof h.mtime, 0);
        int result = write_header(t, &h);
        if (result == 0)
                result = write_bytes(t, text, size);
        return result < 0 ? result : pad(t);
}

int tar_finish(struct tar *t)
{
        static const char zeros[2 * BLOCK];
        int result = write_bytes(t, zeros, sizeof zeros);
        return result < 0 ? result : fflush(t->file) == EOF ? -errno : 0;
}
