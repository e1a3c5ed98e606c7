// SPDX-License-Identifier: GPL-3.0-or-later
/* Images as container tools write them: see bundle.h. Nothing is taken that does not have the digest by which it
 * was named. */
#include "image/bundle.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define PIECE (1 << 18)
#define DEPTH 4 /* of indexes that name indexes */

static const char *plain_name(const char *name)
{
        while (strncmp(name, "./", 2) == 0)
                name += 2;
        return name;
}

bool bundle_begins(const char *name)
{
        return oci_is_part(plain_name(name));
}

bool bundle_is_in(int directory)
{
        return (faccessat(directory, "index.json", F_OK, 0) == 0 && faccessat(directory, "oci-layout", F_OK, 0) == 0) ||
               (faccessat(directory, "manifest.json", F_OK, 0) == 0 && faccessat(directory, "etc", F_OK, 0) < 0);
}

/* Writes one part. Its name has one of few shapes, with at most two directories. */
static int spool_one(int bundle, struct archive *a, const char *name, char *buffer, uint64_t *room, struct error *err)
{
        cleanup_free char *path = memory_string(name);
        for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                if (mkdirat(bundle, path, 0700) < 0 && errno != EEXIST)
                        return error_sys(err, errno, "cannot make %s", path);
                *slash = '/';
        }
        cleanup_close int fd = openat(bundle, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return error_sys(err, errno, "cannot write %s", name);
        for (ssize_t n; (n = archive_read(a, buffer, PIECE, err)) != 0;) {
                if (n < 0)
                        return (int)n;
                if ((uint64_t)n > *room) {
                        error_set(err, EFBIG, "%s: with it the content is larger than what is allowed", name);
                        return error_remedy(err, "allowed is half of what is free; --limit allows more");
                }
                *room -= (uint64_t)n;
                for (ssize_t done = 0, w; done < n; done += w > 0 ? w : 0)
                        if ((w = write(fd, buffer + done, (size_t)(n - done))) < 0 && errno != EINTR)
                                return error_sys(err, errno, "cannot write %s", name);
        }
        return 0;
}

int bundle_spool(int into, struct archive *a, uint64_t limit, int *bundle, struct error *err)
{
        cleanup_free char *buffer = memory_new(PIECE);
        if (mkdirat(into, "bundle", 0700) < 0)
                return error_sys(err, errno, "cannot make a directory for it");
        cleanup_close int dir = openat(into, "bundle", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (dir < 0)
                return error_sys(err, errno, "cannot open a directory for it");
        int result = 1;
        while (result > 0) {
                const char *name = plain_name(a->entry.name);
                cleanup_free char *shown = text_escape(name);
                if (a->entry.type == '0' && oci_is_part(name))
                        result = spool_one(dir, a, name, buffer, &limit, err);
                else if (a->entry.type != '5' &&
                         !oci_is_part(name)) /* older ones have links for layers that are there twice */
                        result = error_set(err, EINVAL, "%.200s is no part of an image's archive", shown);
                if (result >= 0)
                        result = archive_next(a, err);
        }
        if (result == 0)
                *bundle = steal_fd(&dir);
        return result;
}

static int open_part(const struct bundle *b, const struct oci_blob *blob, struct error *err)
{
        cleanup_close int fd = openat(b->directory, blob->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        struct stat st;
        if (fd < 0 && errno == ENOENT)
                return error_set(err, ENOENT, "a part of it is missing: %s", blob->name);
        if (fd < 0 || fstat(fd, &st) < 0)
                return error_sys(err, errno, "cannot open %s", blob->name);
        if (!S_ISREG(st.st_mode))
                return error_set(err, EINVAL, "%s is no file", blob->name);
        if (blob->size >= 0 && st.st_size != blob->size)
                return error_set(err, EBADMSG, "%s has %lld bytes, and should have %lld", blob->name,
                                 (long long)st.st_size, (long long)blob->size);
        return steal_fd(&fd);
}

/* Has the file the digest that it is called by? The position is its begin afterwards. */
static int check_digest(int fd, const struct oci_blob *blob, struct error *err)
{
        if (!blob->digest[0])
                return 0;
        cleanup_free char *buffer = memory_new(PIECE);
        struct digest d;
        char hex[DIGEST_HEX];
        digest_begin(&d);
        for (ssize_t n; (n = read(fd, buffer, PIECE)) != 0;) {
                if (n < 0 && errno != EINTR)
                        return error_sys(err, errno, "cannot read %s", blob->name);
                digest_add(&d, buffer, n > 0 ? (size_t)n : 0);
        }
        digest_hex(&d, hex);
        if (strcmp(hex, blob->digest) != 0) {
                error_set(err, EBADMSG, "%s is damaged or was changed: its digest is %s", blob->name, hex);
                return error_remedy(err, "get the image once more");
        }
        return lseek(fd, 0, SEEK_SET) < 0 ? error_sys(err, errno, "cannot read %s", blob->name) : 0;
}

/* A text whole: fresh memory. */
static int read_text(const struct bundle *b, const struct oci_blob *blob, char **text, size_t *size, struct error *err)
{
        cleanup_close int fd = open_part(b, blob, err);
        struct stat st;
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0 || st.st_size > OCI_TEXT_LIMIT)
                return error_set(err, EFBIG, "%s is larger than such a text is", blob->name);
        int result = check_digest(fd, blob, err);
        if (result < 0)
                return result;
        *text = memory_new((size_t)st.st_size + 1);
        for (*size = 0; *size < (size_t)st.st_size;) {
                ssize_t n = read(fd, *text + *size, (size_t)st.st_size - *size);
                if (n == 0)
                        break;
                if (n < 0 && errno != EINTR)
                        return error_sys(err, errno, "cannot read %s", blob->name);
                *size += n > 0 ? (size_t)n : 0;
        }
        return 0;
}

/* From index.json to the manifest. */
static int find_manifest(struct bundle *b, struct error *err)
{
        struct oci_blob at = {.name = memory_string("index.json"), .size = -1};
        const char *tag = b->tag;
        bool index = true;
        int result = 0;
        for (int depth = 0; result == 0; depth++) {
                cleanup_free char *text = NULL;
                size_t size = 0;
                result = read_text(b, &at, &text, &size, err);
                if (result == 0 && !index) {
                        result = oci_manifest(text, size, &b->image, err);
                        break;
                }
                struct oci_blob next = {.size = -1};
                if (result == 0 && depth == DEPTH)
                        result = error_set(err, ELOOP, "its indexes name other indexes without an end");
                if (result == 0)
                        result = oci_index(text, size, tag, b->machine, &next, &index, &b->image.title, err);
                tag = NULL; /* what a tagged index leads to has none */
                oci_blob_clear(&at);
                at = next;
        }
        oci_blob_clear(&at);
        return result;
}

static int find_docker(struct bundle *b, struct error *err)
{
        struct oci_blob manifest = {.name = (char *)"manifest.json", .size = -1};
        cleanup_free char *text = NULL;
        size_t size = 0;
        int result = read_text(b, &manifest, &text, &size, err);
        return result < 0 ? result : oci_docker(text, size, b->tag, &b->image, err);
}

int bundle_lay(struct bundle *b, struct error *err)
{
        bool layout = faccessat(b->directory, "index.json", F_OK, 0) == 0;
        int result = layout ? find_manifest(b, err) : find_docker(b, err);
        cleanup_free char *text = NULL;
        size_t size = 0;
        if (result == 0)
                result = read_text(b, &b->image.config, &text, &size, err);
        if (result == 0)
                result = oci_config(text, size, &b->image, err);
        for (size_t i = 0; result == 0 && i < b->image.layer_count; i++) {
                cleanup_close int fd = open_part(b, &b->image.layers[i], err);
                result = fd < 0 ? fd : check_digest(fd, &b->image.layers[i], err);
                if (result == 0)
                        result = b->lay(b->context, fd, i == 0, b->image.diff_ids[i], err);
        }
        return result;
}
