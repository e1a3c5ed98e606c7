// SPDX-License-Identifier: GPL-3.0-or-later
/* Reading a tar archive: see untar.h. */
#include "layer/untar.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "layer/pax.h"

#include <string.h>

#define RECORDS_LIMIT (16 << 20) /* bytes of one entry's records: attributes are what is large among them */
#define MAP_LIMIT (4 << 20)      /* bytes of the list of a file's parts */
#define PIECE (1 << 18)

static int damaged(const struct untar *u, struct error *err, const char *what)
{
        return error_set(err, EINVAL, "it is damaged at byte %llu: %s", (unsigned long long)u->at, what);
}

/* Reads exactly `size` bytes. */
static int take(struct untar *u, void *data, size_t size, struct error *err)
{
        size_t n = fread(data, 1, size, u->file);
        digest_add(&u->digest, data, n);
        u->at += n;
        if (n == size)
                return 0;
        if (ferror(u->file))
                return error_sys(err, errno ? errno : EIO, "cannot read it");
        error_set(err, ENODATA, "it ends in the middle, after %llu bytes: it is truncated", (unsigned long long)u->at);
        return error_remedy(err, "copy it once more from where it was made");
}

static void entry_clear(struct untar_entry *e)
{
        free(e->name);
        free(e->link);
        files_xattrs_clear(&e->xattrs);
        *e = (struct untar_entry){0};
}

/* Octal digits, then NUL. */
static bool take_octal(const char *field, size_t size, uint64_t *value)
{
        *value = 0;
        size_t i = 0;
        for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
                *value = *value << 3 | (uint64_t)(field[i] - '0');
        return i && (i == size || field[i] == '\0');
}

static bool take_number(const char *text, size_t size, uint64_t *value)
{
        return pax_digits(text, text + size, value) == text + size;
}

static bool take_time(const char *text, size_t size, struct timespec *time)
{
        const char *end = text + size;
        bool minus = size && *text == '-';
        uint64_t seconds, nanoseconds;
        const char *dot = pax_digits(text + minus, end, &seconds);
        if (!dot || seconds > INT64_MAX || end - dot != 10 || *dot != '.' || !take_number(dot + 1, 9, &nanoseconds))
                return false;
        *time = (struct timespec){.tv_sec = minus ? -(time_t)seconds : (time_t)seconds, .tv_nsec = (long)nanoseconds};
        return true;
}

/* What the records of one entry say, which its header has no room for. */
struct records {
        struct untar_entry *entry;
        char *path, *link, *sparse_name;
        bool has_size, has_uid, has_gid, has_mtime, has_real;
        uint64_t size, uid, gid, real;
        struct timespec mtime;
        int sparse; /* how many of the two numbers of format 1.0 */
};

static void records_clear(struct records *r)
{
        free(r->path);
        free(r->link);
        free(r->sparse_name);
}

static bool take_string(char **to, const char *value, size_t size)
{
        free(*to);
        *to = pax_text(value, size);
        return *to != NULL;
}

/* Attributes that a layer is marked with are known by name, and no others of them are taken: some have a meaning to the
 * kernel. */
static bool take_attribute(struct untar_entry *e, const char *name, const char *value, size_t size)
{
        static const char *const marks[] = {"user.overlay.", "trusted.", NULL};
        for (const char *const *mark = marks; *mark; mark++)
                if (strncmp(name, *mark, strlen(*mark)) == 0)
                        return false;
        bool security = strncmp(name, "security.", 9) == 0 && strcmp(name, "security.capability") != 0;
        if (security || strlen(name) > 255 || e->xattrs.count >= 4096)
                return false;
        pax_add_attribute(&e->xattrs, name, value, size);
        return true;
}

static bool take_record(void *context, const char *key, const char *value, size_t size)
{
        struct records *r = context;
        struct untar_entry *e = r->entry;
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
        if (strcmp(key, "GNU.sparse.major") == 0)
                return r->sparse++, size == 1 && *value == '1';
        if (strcmp(key, "GNU.sparse.minor") == 0)
                return r->sparse++, size == 1 && *value == '0';
        if (strcmp(key, "GNU.sparse.name") == 0)
                return take_string(&r->sparse_name, value, size);
        if (strcmp(key, "GNU.sparse.realsize") == 0)
                return r->has_real = take_number(value, size, &r->real);
        if (strcmp(key, TAR_OPAQUE) == 0)
                return e->opaque = size == 1 && *value == 'y';
        if (strcmp(key, TAR_COPY) == 0)
                return e->copy = size == 0;
        if (strcmp(key, TAR_SOCKET) == 0)
                return e->socket = size == 1 && *value == 'y';
        return strncmp(key, PAX_ATTRIBUTE, strlen(PAX_ATTRIBUTE)) == 0 &&
               take_attribute(e, key + strlen(PAX_ATTRIBUTE), value, size);
}

static char *field_name(const char *field, size_t size)
{
        return memory_format("%.*s", (int)strnlen(field, size), field);
}

static bool checksum_is_right(const struct tar_header *h)
{
        unsigned sum = 0;
        char told[8] = "";
        struct tar_header copy = *h;
        memset(copy.checksum, ' ', sizeof copy.checksum);
        for (size_t i = 0; i < sizeof copy; i++)
                sum += ((const unsigned char *)&copy)[i];
        snprintf(told, sizeof told, "%06o", sum);
        told[7] = ' ';
        return memcmp(h->checksum, told, sizeof told) == 0;
}

/* Passes over what fills the last block. */
static int pass_padding(struct untar *u, struct error *err)
{
        char rest[TAR_BLOCK];
        size_t size = TAR_BLOCK - (size_t)(u->at % TAR_BLOCK);
        int result = size < TAR_BLOCK ? take(u, rest, size, err) : 0;
        for (size_t i = 0; result == 0 && size < TAR_BLOCK && i < size; i++)
                if (rest[i])
                        result = damaged(u, err, "something lies between its files");
        return result;
}

/* The entry as header and records together say it. */
static int compose(struct untar *u, const struct tar_header *h, struct records *r, struct error *err)
{
        struct untar_entry *e = &u->entry;
        uint64_t mode, seconds;
        e->type = h->type;
        if (!take_octal(h->mode, sizeof h->mode, &mode) || !take_octal(h->uid, sizeof h->uid, &e->uid) ||
            !take_octal(h->gid, sizeof h->gid, &e->gid) || !take_octal(h->size, sizeof h->size, &e->stored) ||
            !take_octal(h->mtime, sizeof h->mtime, &seconds) || mode > 07777)
                return damaged(u, err, "a header has no numbers where they belong");
        (void)(take_octal(h->major, sizeof h->major, &e->major) && take_octal(h->minor, sizeof h->minor, &e->minor));
        e->mode = (unsigned)mode;
        e->uid = r->has_uid ? r->uid : e->uid;
        e->gid = r->has_gid ? r->gid : e->gid;
        e->stored = r->has_size ? r->size : e->stored;
        e->mtime = r->has_mtime ? r->mtime : (struct timespec){.tv_sec = (time_t)seconds};
        e->name = r->path ? steal_pointer(&r->path) : field_name(h->name, sizeof h->name);
        e->link = r->link ? steal_pointer(&r->link) : field_name(h->link, sizeof h->link);
        e->sparse = r->sparse || r->sparse_name || r->has_real;
        if (e->sparse) {
                if (r->sparse != 2 || !r->sparse_name || !r->has_real || e->type != '0' || r->real > INT64_MAX)
                        return damaged(u, err, "a file with holes is not described as it should be");
                free(e->name);
                e->name = steal_pointer(&r->sparse_name);
        }
        e->size = e->sparse ? r->real : e->stored;
        size_t length = strlen(e->name);
        if (e->type == '5' && length && e->name[length - 1] == '/')
                e->name[length - 1] = '\0';
        if (!e->type || !strchr("012356", e->type) || (e->type != '0' && e->stored) || e->size > INT64_MAX ||
            e->stored > INT64_MAX)
                return damaged(u, err, "it holds something that paddock does not write");
        u->left = e->stored;
        return 1;
}

static int read_entry(struct untar *u, struct records *r, struct error *err)
{
        struct tar_header h;
        u->before = u->digest;
        int result = take(u, &h, sizeof h, err);
        if (result == 0 && pax_is_zero(&h)) {
                result = take(u, &h, sizeof h, err);
                if (result == 0 && (!pax_is_zero(&h) || fgetc(u->file) != EOF))
                        return damaged(u, err, "something follows its end");
                return result;
        }
        bool extended = false;
        for (; result == 0; extended = true) {
                if (memcmp(h.magic, "ustar", 6) != 0 || !checksum_is_right(&h))
                        return damaged(u, err, u->at == sizeof h ? "it is no tar archive" : "there should be a header");
                if (h.type != 'x')
                        break;
                uint64_t size;
                if (extended || !take_octal(h.size, sizeof h.size, &size) || size > RECORDS_LIMIT)
                        return damaged(u, err, "a header is too large");
                cleanup_free char *text = memory_new((size_t)size + 1);
                result = take(u, text, (size_t)size, err);
                if (result == 0)
                        result = pass_padding(u, err);
                if (result == 0 && !pax_records(text, (size_t)size, take_record, r))
                        return damaged(u, err, "a header says something that this version does not know");
                if (result == 0)
                        result = take(u, &h, sizeof h, err);
        }
        return result < 0 ? result : compose(u, &h, r, err);
}

void untar_begin(struct untar *u, FILE *file)
{
        *u = (struct untar){.file = file};
        digest_begin(&u->digest);
}

int untar_each(struct untar *u, int (*each)(void *context, const char *data, size_t size, struct error *err),
               void *context, struct error *err)
{
        cleanup_free char *buffer = u->left ? memory_new(PIECE) : NULL;
        while (u->left) {
                size_t size = u->left < PIECE ? (size_t)u->left : PIECE;
                int result = take(u, buffer, size, err);
                if (result == 0)
                        result = each(context, buffer, size, err);
                if (result < 0)
                        return result;
                u->left -= size;
        }
        return pass_padding(u, err);
}

static int ignore(void *context, const char *data, size_t size, struct error *err)
{
        (void)context, (void)data, (void)size, (void)err;
        return 0;
}

int untar_next(struct untar *u, struct error *err)
{
        int result = untar_each(u, ignore, NULL, err);
        if (result < 0)
                return result;
        entry_clear(&u->entry);
        struct records r = {.entry = &u->entry};
        result = read_entry(u, &r, err);
        records_clear(&r);
        return result;
}

/* Where content goes. */
struct sink {
        int fd;
        uint64_t at;
        struct digest *whole;
};

static int put(void *context, const char *data, size_t size, struct error *err)
{
        struct sink *s = context;
        if (s->whole)
                digest_add(s->whole, data, size);
        while (size) {
                ssize_t n = pwrite(s->fd, data, size, (off_t)s->at);
                if (n < 0 && errno != EINTR)
                        return error_sys(err, errno, "cannot write the file");
                if (n > 0)
                        data += n, size -= (size_t)n, s->at += (uint64_t)n;
        }
        return 0;
}

/* A number and a newline of the list of parts, from the stream; the list is read block by block. */
struct map {
        char block[TAR_BLOCK];
        size_t at; /* in the block; its size: the next one is to be read */
        size_t read;
};

static int map_number(struct untar *u, struct map *m, uint64_t *value, struct error *err)
{
        *value = 0;
        for (int digits = 0;; digits++) {
                if (m->at == sizeof m->block) {
                        if (m->read >= MAP_LIMIT || u->left < sizeof m->block)
                                return damaged(u, err, "the list of a file's parts does not end");
                        int result = take(u, m->block, sizeof m->block, err);
                        if (result < 0)
                                return result;
                        u->left -= sizeof m->block;
                        m->read += sizeof m->block;
                        m->at = 0;
                }
                char c = m->block[m->at++];
                if (c == '\n' && digits)
                        return 0;
                if (c < '0' || c > '9' || digits > 18)
                        return damaged(u, err, "the list of a file's parts has no numbers");
                *value = *value * 10 + (uint64_t)(c - '0');
        }
}

static int put_parts(struct untar *u, struct sink *s, struct error *err)
{
        struct map map = {.at = TAR_BLOCK};
        uint64_t count, (*parts)[2] = NULL, end = 0, sum = 0;
        int result = map_number(u, &map, &count, err);
        if (result == 0 && count > MAP_LIMIT / 4)
                result = damaged(u, err, "a file has too many parts");
        if (result == 0)
                parts = memory_grow(NULL, (size_t)count + 1, sizeof *parts);
        for (uint64_t i = 0; result == 0 && i < count; i++) {
                result = map_number(u, &map, &parts[i][0], err);
                if (result == 0)
                        result = map_number(u, &map, &parts[i][1], err);
                if (result == 0 &&
                    (parts[i][0] < end || parts[i][0] > u->entry.size || parts[i][1] > u->entry.size - parts[i][0]))
                        result = damaged(u, err, "the parts of a file overlap or lie outside it");
                if (result == 0)
                        end = parts[i][0] + parts[i][1], sum += parts[i][1];
        }
        if (result == 0 && sum != u->left)
                result = damaged(u, err, "the parts of a file are not what is stored");
        uint64_t rest = u->left;
        for (uint64_t i = 0; result == 0 && i < count; i++) {
                s->at = parts[i][0];
                u->left = parts[i][1];
                rest -= u->left;
                /* Parts follow each other without padding. */
                cleanup_free char *buffer = memory_new(PIECE);
                while (result == 0 && u->left) {
                        size_t size = u->left < PIECE ? (size_t)u->left : PIECE;
                        result = take(u, buffer, size, err);
                        if (result == 0)
                                result = put(s, buffer, size, err);
                        u->left -= size;
                }
        }
        u->left = rest;
        free(parts);
        if (result == 0 && ftruncate(s->fd, (off_t)u->entry.size) < 0)
                result = error_sys(err, errno, "cannot give the file its size");
        return result < 0 ? result : pass_padding(u, err);
}

int untar_content(struct untar *u, int to, struct digest *whole, struct error *err)
{
        struct sink sink = {.fd = to, .whole = u->entry.sparse ? NULL : whole};
        return u->entry.sparse ? put_parts(u, &sink, err) : untar_each(u, put, &sink, err);
}

static int gather(void *context, const char *data, size_t size, struct error *err)
{
        (void)err;
        text_add_bytes(context, data, size);
        return 0;
}

int untar_text(struct untar *u, size_t limit, char **text, size_t *size, struct error *err)
{
        cleanup_text struct text t = {0};
        if (u->entry.type != '0' || u->entry.sparse || u->left > limit)
                return damaged(u, err, "a file of its own is too large, or none");
        int result = untar_each(u, gather, &t, err);
        if (result == 0 && !size && t.length && memchr(t.data, '\0', t.length))
                result = damaged(u, err, "a file of its own is no text");
        if (result < 0)
                return result;
        if (size)
                *size = t.length;
        *text = t.data ? t.data : memory_string("");
        t = (struct text){0};
        return 0;
}

void untar_end(struct untar *u)
{
        entry_clear(&u->entry);
}
