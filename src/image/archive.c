// SPDX-License-Identifier: GPL-3.0-or-later
/* Reading tar archives of all dialects: see archive.h. */
#include "image/archive.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "layer/pax.h"

#include <string.h>

#define RECORDS_LIMIT (4 << 20) /* bytes of one entry's pax records */
#define LONG_LIMIT (64 << 10)   /* bytes of a name that GNU tar writes apart: no kernel takes more than 4096 */
#define XATTRS_LIMIT 256

static int damaged(const struct archive *a, struct error *err, const char *what)
{
        return error_set(err, EINVAL, "it is damaged at byte %llu: %s", (unsigned long long)a->at, what);
}

static int take(struct archive *a, void *data, size_t size, struct error *err)
{
        errno = 0;
        size_t n = fread(data, 1, size, a->file);
        digest_add(&a->digest, data, n);
        a->at += n;
        if (n == size)
                return 0;
        if (ferror(a->file))
                return error_sys(err, errno ? errno : EIO, "cannot read it");
        error_set(err, ENODATA, "it ends in the middle, after %llu bytes", (unsigned long long)a->at);
        return error_remedy(err, "it is truncated, or whatever unpacks or writes it failed: get it once more");
}

static void entry_clear(struct archive_entry *e)
{
        free(e->name);
        free(e->link);
        files_xattrs_clear(&e->xattrs);
        *e = (struct archive_entry){0};
}

/* Octal digits among blanks, or GNU's base 256 for what does not fit. Nothing at all is 0. */
static bool take_field(const char *field, size_t size, uint64_t *value)
{
        const unsigned char *bytes = (const unsigned char *)field;
        *value = 0;
        if (bytes[0] == 0x80) {
                for (size_t i = 1; i < size; i++) {
                        if (*value >> 56)
                                return false;
                        *value = *value << 8 | bytes[i];
                }
                return *value <= INT64_MAX;
        }
        size_t i = 0;
        while (i < size && field[i] == ' ')
                i++;
        for (; i < size && field[i] >= '0' && field[i] <= '7'; i++) {
                if (*value >> 60)
                        return false;
                *value = *value << 3 | (uint64_t)(field[i] - '0');
        }
        while (i < size && (field[i] == ' ' || field[i] == '\0'))
                i++;
        return i == size;
}

/* A time before 1970, which GNU tar writes in base 256 too, becomes 1970. */
static bool take_mtime(const char *field, size_t size, struct timespec *time)
{
        uint64_t seconds = 0;
        if ((unsigned char)field[0] != 0xff && !take_field(field, size, &seconds))
                return false;
        *time = (struct timespec){.tv_sec = (time_t)seconds};
        return true;
}

static bool take_number(const char *text, size_t size, uint64_t *value)
{
        return pax_digits(text, text + size, value) == text + size && *value <= INT64_MAX;
}

/* Seconds with or without a fraction; nanoseconds are what is kept of it. */
static bool take_time(const char *text, size_t size, struct timespec *time)
{
        const char *end = text + size;
        uint64_t seconds;
        if (size && *text == '-') {
                *time = (struct timespec){0};
                return true;
        }
        const char *at = pax_digits(text, end, &seconds);
        if (!at || seconds > INT64_MAX)
                return false;
        *time = (struct timespec){.tv_sec = (time_t)seconds};
        long unit = 100000000;
        if (at < end && *at++ != '.')
                return false;
        for (; at < end && *at >= '0' && *at <= '9'; at++, unit /= 10)
                time->tv_nsec += unit * (*at - '0');
        return at == end;
}

/* What comes before an entry's header and outranks it. */
struct records {
        struct archive_entry *entry;
        char *path, *link;
        bool has_size, has_uid, has_gid, has_mtime, sparse;
        uint64_t size, uid, gid;
        struct timespec mtime;
};

static bool take_string(char **to, const char *value, size_t size)
{
        char *text = pax_text(value, size);
        if (!text)
                return false;
        free(*to);
        *to = text;
        return true;
}

static bool take_attribute(struct archive_entry *e, const char *name, const char *value, size_t size)
{
        if (e->xattrs.count >= XATTRS_LIMIT || strlen(name) > 255 || size > 65536)
                return false;
        pax_add_attribute(&e->xattrs, name, value, size);
        return true;
}

/* Records that nobody here needs (comments, access times, names of owners) are passed over. */
static bool take_record(void *context, const char *key, const char *value, size_t size)
{
        struct records *r = context;
        if (strcmp(key, "path") == 0)
                return take_string(&r->path, value, size);
        if (strcmp(key, "linkpath") == 0)
                return take_string(&r->link, value, size);
        if (strcmp(key, "size") == 0)
                return r->has_size = take_number(value, size, &r->size);
        if (strcmp(key, "uid") == 0)
                return r->has_uid = take_number(value, size, &r->uid);
        if (strcmp(key, "gid") == 0)
                return r->has_gid = take_number(value, size, &r->gid);
        if (strcmp(key, "mtime") == 0)
                return r->has_mtime = take_time(value, size, &r->mtime);
        if (strncmp(key, "GNU.sparse.", 11) == 0)
                r->sparse = true;
        if (strncmp(key, PAX_ATTRIBUTE, strlen(PAX_ATTRIBUTE)) == 0)
                return take_attribute(r->entry, key + strlen(PAX_ATTRIBUTE), value, size);
        return true;
}

static bool checksum_is_right(const struct tar_header *h)
{
        unsigned sum = 0;
        int with_signs = 0; /* as some old ones counted */
        uint64_t told;
        struct tar_header copy = *h;
        memset(copy.checksum, ' ', sizeof copy.checksum);
        for (size_t i = 0; i < sizeof copy; i++) {
                sum += ((const unsigned char *)&copy)[i];
                with_signs += ((const signed char *)&copy)[i];
        }
        return take_field(h->checksum, sizeof h->checksum, &told) && (told == sum || (int64_t)told == with_signs);
}

static int pass_padding(struct archive *a, struct error *err)
{
        char rest[TAR_BLOCK];
        size_t over = (size_t)(a->at % TAR_BLOCK);
        return over ? take(a, rest, TAR_BLOCK - over, err) : 0;
}

/* The name in the header: a ustar one may have its directory in another field, where GNU has times. */
static char *header_name(const struct tar_header *h)
{
        char *name = memory_format("%.*s", (int)strnlen(h->name, sizeof h->name), h->name);
        if (memcmp(h->magic, "ustar", 6) != 0 || !h->prefix[0])
                return name;
        char *whole = memory_format("%.*s/%s", (int)strnlen(h->prefix, sizeof h->prefix), h->prefix, name);
        free(name);
        return whole;
}

static int compose(struct archive *a, const struct tar_header *h, struct records *r, struct error *err)
{
        struct archive_entry *e = &a->entry;
        uint64_t mode;
        e->name = r->path ? steal_pointer(&r->path) : header_name(h);
        e->link = r->link ? steal_pointer(&r->link)
                          : memory_format("%.*s", (int)strnlen(h->link, sizeof h->link), h->link);
        if (!take_field(h->mode, sizeof h->mode, &mode) || !take_field(h->uid, sizeof h->uid, &e->uid) ||
            !take_field(h->gid, sizeof h->gid, &e->gid) || !take_field(h->size, sizeof h->size, &e->size) ||
            !take_mtime(h->mtime, sizeof h->mtime, &e->mtime))
                return damaged(a, err, "a header has no numbers where they belong");
        e->type = h->type == '\0' || h->type == '7' ? '0' : h->type;
        e->mode = (unsigned)mode & 07777;
        e->size = r->has_size ? r->size : e->size;
        e->uid = r->has_uid ? r->uid : e->uid;
        e->gid = r->has_gid ? r->gid : e->gid;
        e->mtime = r->has_mtime ? r->mtime : e->mtime;
        if ((e->type == '3' || e->type == '4') &&
            (!take_field(h->major, sizeof h->major, &e->major) || !take_field(h->minor, sizeof h->minor, &e->minor)))
                return damaged(a, err, "a device node has no numbers");
        size_t length = strlen(e->name);
        if (e->type == '0' && length && e->name[length - 1] == '/')
                e->type = '5'; /* as v7 had it */
        while (length > 1 && e->name[length - 1] == '/')
                e->name[--length] = '\0';
        cleanup_free char *shown = text_escape(e->name);
        if (r->sparse || e->type == 'S') {
                error_set(err, EOPNOTSUPP, "%.200s is stored with holes", shown);
                return error_remedy(err, "write the archive without them (GNU tar: without --sparse)");
        }
        if (e->type < '0' || e->type > '6') {
                char type[2] = {e->type, '\0'};
                cleanup_free char *of = text_escape(type);
                return error_set(err, EOPNOTSUPP, "%.200s is of type '%s', which is none that a root file system has",
                                 shown, of);
        }
        a->left = e->type == '0' ? e->size : 0;
        if (a->left > INT64_MAX)
                return damaged(a, err, "a file has an impossible size");
        return 1;
}

/* A name that GNU tar writes apart. */
static int take_long(struct archive *a, uint64_t size, char **to, struct error *err)
{
        if (size > LONG_LIMIT)
                return error_set(err, ENAMETOOLONG, "a name in it has %llu bytes, which no system takes",
                                 (unsigned long long)size);
        cleanup_free char *text = memory_new((size_t)size + 1);
        int result = take(a, text, (size_t)size, err);
        free(*to);
        *to = memory_string(text);
        return result;
}

static int take_extension(struct archive *a, const struct tar_header *h, struct records *r, struct error *err)
{
        uint64_t size;
        if (!take_field(h->size, sizeof h->size, &size))
                return damaged(a, err, "a header has no numbers where they belong");
        int result;
        if (h->type == 'L' || h->type == 'K') {
                result = take_long(a, size, h->type == 'L' ? &r->path : &r->link, err);
        } else if (size > RECORDS_LIMIT) {
                result = error_set(err, E2BIG, "an entry has %llu bytes of attributes", (unsigned long long)size);
        } else {
                cleanup_free char *text = memory_new((size_t)size + 1);
                result = take(a, text, (size_t)size, err);
                /* Global ones ('g') hold comments, in all archives that were seen. */
                if (result == 0 && h->type == 'x' && !pax_records(text, (size_t)size, take_record, r))
                        result = damaged(a, err, "the extended header of an entry cannot be read");
        }
        return result < 0 ? result : pass_padding(a, err);
}

/* All bytes that follow the end are read: a digest is of the whole file. */
static int drain(struct archive *a, struct error *err)
{
        a->ended = true;
        char rest[8192];
        for (size_t n; (n = fread(rest, 1, sizeof rest, a->file)) > 0; a->at += n)
                digest_add(&a->digest, rest, n);
        return ferror(a->file) ? error_sys(err, errno ? errno : EIO, "cannot read it") : 0;
}

static int read_entry(struct archive *a, struct records *r, struct error *err)
{
        for (int extensions = 0;; extensions++) {
                struct tar_header h;
                int c = fgetc(a->file);
                if (c == EOF && !ferror(a->file) && a->at && !extensions)
                        return 0; /* without an end of its own */
                ungetc(c, a->file);
                int result = take(a, &h, sizeof h, err);
                if (result == -ENODATA && a->at < sizeof h)
                        return error_set(err, EINVAL, "it is no tar archive");
                if (result < 0)
                        return result;
                if (pax_is_zero(&h))
                        return extensions ? damaged(a, err, "an extended header without an entry") : drain(a, err);
                if (!checksum_is_right(&h)) {
                        if (a->at != sizeof h)
                                return damaged(a, err, "there should be a header");
                        return error_set(err, EINVAL, "it is no tar archive");
                }
                if (h.type != 'L' && h.type != 'K' && h.type != 'x' && h.type != 'g')
                        return compose(a, &h, r, err);
                if (extensions > 16)
                        return damaged(a, err, "an entry has too many extended headers");
                result = take_extension(a, &h, r, err);
                if (result < 0)
                        return result;
                if (h.type == 'g')
                        extensions--; /* it belongs to no entry */
        }
}

void archive_begin(struct archive *a, FILE *file)
{
        *a = (struct archive){.file = file};
        digest_begin(&a->digest);
}

ssize_t archive_read(struct archive *a, void *buffer, size_t size, struct error *err)
{
        if (size > a->left)
                size = (size_t)a->left;
        int result = take(a, buffer, size, err);
        if (result < 0)
                return result;
        a->left -= size;
        if (size && !a->left)
                result = pass_padding(a, err);
        return result < 0 ? result : (ssize_t)size;
}

int archive_next(struct archive *a, struct error *err)
{
        char rest[8192];
        while (a->left) {
                ssize_t n = archive_read(a, rest, sizeof rest, err);
                if (n < 0)
                        return (int)n;
        }
        entry_clear(&a->entry);
        struct records r = {.entry = &a->entry};
        int result = read_entry(a, &r, err);
        free(r.path);
        free(r.link);
        return result;
}

void archive_end(struct archive *a)
{
        entry_clear(&a->entry);
}
