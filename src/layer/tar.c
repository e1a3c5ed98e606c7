// SPDX-License-Identifier: GPL-3.0-or-later
/* Writing a tar archive: see tar.h, and pax(1) for the format. */
#include "layer/tar.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define BLOCK TAR_BLOCK
#define header tar_header

/* A part of a file that is there, between holes. */
struct part {
        uint64_t at, size;
};
struct parts {
        struct part *items;
        size_t count, capacity;
};
#define PARTS_LIMIT 65536 /* a file in more pieces is written with its holes */

static int write_bytes(struct tar *t, const void *data, size_t size)
{
        t->written += size;
        if (t->digest)
                digest_add(t->digest, data, size);
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

/* What is there of the file: *parts is empty when it has no holes worth the name. */
static int find_parts(int own, const struct stat *st, struct parts *parts)
{
        uint64_t size = (uint64_t)st->st_size;
        if ((uint64_t)st->st_blocks * 512 >= size)
                return 0;
        for (off_t at = 0; (uint64_t)at < size && parts->count < PARTS_LIMIT;) {
                off_t data = lseek(own, at, SEEK_DATA), hole = data < 0 ? -1 : lseek(own, data, SEEK_HOLE);
                if (data < 0 && errno == ENXIO)
                        break; /* a hole to the end */
                if (data < 0 || hole < 0)
                        return -errno;
                *vector_add(parts->items, parts->count, parts->capacity) =
                        (struct part){.at = (uint64_t)data, .size = (uint64_t)(hole - data)};
                at = hole;
        }
        if (parts->count == PARTS_LIMIT || (parts->count == 1 && !parts->items[0].at && parts->items[0].size >= size)) {
                free(parts->items);
                *parts = (struct parts){0};
        } else {
                *vector_add(parts->items, parts->count,
                            parts->capacity) = (struct part){.at = size}; /* tells the size */
        }
        return 0;
}

/* The list of parts as sparse format 1.0 has it, filled up to a block. */
static void write_map(struct text *map, const struct parts *parts)
{
        text_addf(map, "%zu\n", parts->count);
        for (size_t i = 0; i < parts->count; i++)
                text_addf(map, "%llu\n%llu\n", (unsigned long long)parts->items[i].at,
                          (unsigned long long)parts->items[i].size);
        static const char zeros[BLOCK];
        text_add_bytes(map, zeros, (BLOCK - map->length % BLOCK) % BLOCK);
}

static int write_content(struct tar *t, int own, uint64_t from, uint64_t size, struct digest *whole)
{
        cleanup_free char *buffer = memory_new(1 << 18);
        for (uint64_t done = 0; done < size;) {
                size_t want = size - done < 1 << 18 ? (size_t)(size - done) : 1 << 18;
                ssize_t n = pread(own, buffer, want, (off_t)(from + done));
                if (n < 0)
                        return -errno;
                if (n == 0) { /* it became shorter meanwhile */
                        memset(buffer, 0, want);
                        n = (ssize_t)want;
                }
                if (whole)
                        digest_add(whole, buffer, (size_t)n);
                int result = write_bytes(t, buffer, (size_t)n);
                if (result < 0)
                        return result;
                done += (uint64_t)n;
        }
        return 0;
}

/* What a layer says of the file. */
static void add_marks(struct text *records, int own, const struct stat *st)
{
        if (S_ISSOCK(st->st_mode))
                add_record(records, TAR_SOCKET, "y", 1);
        if (S_ISDIR(st->st_mode) && files_is_opaque(own))
                add_record(records, TAR_OPAQUE, "y", 1);
        if ((S_ISREG(st->st_mode) || S_ISDIR(st->st_mode)) && files_is_copy(own, "", NULL))
                add_record(records, TAR_COPY, "", 0);
}

static void add_sparse(struct text *records, const char *name, uint64_t size)
{
        add_record(records, "GNU.sparse.major", "1", 1);
        add_record(records, "GNU.sparse.minor", "0", 1);
        add_record(records, "GNU.sparse.name", name, strlen(name));
        add_number(records, "GNU.sparse.realsize", size);
}

/* Owner, permissions and time, as far as a header holds them; the rest as records. */
static void set_meta(struct header *h, struct text *records, const struct stat *st, unsigned shift)
{
        set_octal(h->mode, sizeof h->mode, st->st_mode & 07777);
        if (!set_octal(h->uid, sizeof h->uid, st->st_uid - shift))
                add_number(records, "uid", st->st_uid - shift);
        if (!set_octal(h->gid, sizeof h->gid, st->st_gid - shift))
                add_number(records, "gid", st->st_gid - shift);
        set_octal(h->mtime, sizeof h->mtime, st->st_mtim.tv_sec > 0 ? (uint64_t)st->st_mtim.tv_sec : 0);
        if (st->st_mtim.tv_nsec || st->st_mtim.tv_sec < 0 || st->st_mtim.tv_sec >= (time_t)1 << 33) {
                char text[64];
                snprintf(text, sizeof text, "%lld.%09ld", (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
                add_record(records, "mtime", text, strlen(text));
        }
        set_octal(h->major, sizeof h->major, major(st->st_rdev));
        set_octal(h->minor, sizeof h->minor, minor(st->st_rdev));
}

int tar_add_whole(struct tar *t, const char *name, const char *link, int own, unsigned shift, struct digest *whole)
{
        struct stat st;
        struct header h = {0};
        cleanup_text struct text records = {0}, map = {0};
        if (fstat(own, &st) < 0)
                return -errno;
        h.type = link ? '1' : S_ISSOCK(st.st_mode) && t->marks ? '6' : type_of(st.st_mode);
        if (!h.type)
                return -ENOTSUP; /* a socket: no format has them */
        struct parts parts = {0};
        int result = h.type == '0' ? find_parts(own, &st, &parts) : 0;
        cleanup_free struct part *owned = parts.items;
        if (result < 0)
                return result;
        uint64_t size = h.type == '0' ? (uint64_t)st.st_size : 0;
        cleanup_free char *full = S_ISDIR(st.st_mode) ? memory_format("%s/", name) : memory_string(name);
        if (!set_name(h.name, sizeof h.name, full))
                add_record(&records, "path", full, strlen(full));
        if (owned) {
                add_sparse(&records, full, size);
                write_map(&map, &parts);
                size = map.length;
                for (size_t i = 0; i < parts.count; i++)
                        size += parts.items[i].size;
        }
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
        set_meta(&h, &records, &st, shift);
        if (!set_octal(h.size, sizeof h.size, size))
                add_number(&records, "size", size);
        if (h.type != '1' && t->marks)
                add_marks(&records, own, &st);
        result = h.type == '1' ? 0 : add_xattrs(&records, own, shift);
        if (result == 0 && records.length)
                result = write_records(t, &records);
        if (result == 0)
                result = write_header(t, &h);
        if (result == 0 && map.length)
                result = write_bytes(t, map.data, map.length);
        for (size_t i = 0; i < parts.count && result == 0; i++)
                result = write_content(t, own, parts.items[i].at, parts.items[i].size, NULL);
        if (result == 0 && h.type == '0' && !owned)
                result = write_content(t, own, 0, size, whole);
        if (result == 0)
                result = pad(t);
        return result < 0 ? result : h.type == '0' && !owned;
}

int tar_add(struct tar *t, const char *name, const char *link, int own, unsigned shift)
{
        int result = tar_add_whole(t, name, link, own, shift, NULL);
        return result < 0 ? result : 0;
}

/* The header of a regular file of the archive's own. */
static int begin_own(struct tar *t, const char *name, uint64_t size)
{
        struct header h = {.type = '0'};
        cleanup_text struct text records = {0};
        if (!set_name(h.name, sizeof h.name, name))
                return -ENAMETOOLONG;
        set_octal(h.mode, sizeof h.mode, 0644);
        set_octal(h.uid, sizeof h.uid, 0);
        set_octal(h.gid, sizeof h.gid, 0);
        set_octal(h.mtime, sizeof h.mtime, 0);
        if (!set_octal(h.size, sizeof h.size, size))
                add_number(&records, "size", size);
        int result = records.length ? write_records(t, &records) : 0;
        return result < 0 ? result : write_header(t, &h);
}

int tar_add_text(struct tar *t, const char *name, const char *text, size_t size)
{
        int result = begin_own(t, name, size);
        if (result == 0)
                result = write_bytes(t, text, size);
        return result < 0 ? result : pad(t);
}

int tar_add_stream(struct tar *t, const char *name, FILE *from, uint64_t size)
{
        cleanup_free char *buffer = memory_new(1 << 16);
        int result = begin_own(t, name, size);
        while (result == 0 && size) {
                size_t want = size < 1 << 16 ? (size_t)size : 1 << 16, n = fread(buffer, 1, want, from);
                result = n ? write_bytes(t, buffer, n) : -EIO;
                size -= n;
        }
        return result < 0 ? result : pad(t);
}

int tar_finish(struct tar *t)
{
        static const char zeros[2 * BLOCK];
        int result = write_bytes(t, zeros, sizeof zeros);
        return result < 0 ? result : fflush(t->file) == EOF ? -errno : 0;
}
