// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * An environment out of one file: see portable.h.
 *
 * Theory of operation. The archive may come from anybody, so nothing in it is used as a name but what is checked piece
 * by piece, and nothing is made but in directories that this process has made itself and holds open: entries come in
 * the order in which a tree is walked, so the directory that an entry is in is the one on top of a stack of open ones,
 * or one further down, of which those above are then complete and get their permissions and times. A link to another
 * name is looked up again from the top, and no symbolic link is ever followed. What describes (which slots there are,
 * what they cover, which layers lie below) is parsed and written anew. Frozen layers get fresh names, so that none of
 * here is touched.
 *
 * Whether the outside is what a layer covered cannot be told on another machine, so the records of it are dropped: a
 * commit then refuses, until it is forced, whatever would replace something.
 */
#include "layer/import.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "layer/layer.h"
#include "model/stamp.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define SMALL (64 << 20) /* bytes of a file that describes */

int import_refuse(struct import *im, const char *name, const char *why)
{
        cleanup_free char *shown = text_escape(name);
        return error_set(im->err, EINVAL, "%s: %s", shown, why);
}

int import_failed(struct import *im, int code, const char *what)
{
        cleanup_free char *shown = text_escape(im->tar.entry.name ? im->tar.entry.name : "");
        return error_sys(im->err, -code, "cannot restore %s: %s", shown, what);
}

int import_note(struct import *im, const struct digest *whole)
{
        cleanup_text struct text line = {0};
        digest_line(whole, im->tar.entry.name, &line);
        return fwrite(line.data, 1, line.length, im->manifest) == line.length
                       ? 0
                       : import_failed(im, -errno, "cannot keep its digest");
}

/* --- what describes ----------------------------------------------------------------------------------------------- */

/* Reads the entry as text, and keeps its digest. */
static int read_text(struct import *im, char **text, size_t *size)
{
        size_t length;
        int result = untar_text(&im->tar, SMALL, text, size ? size : &length, im->err);
        if (result < 0)
                return result;
        length = size ? *size : length;
        if (!size && memchr(*text, '\0', length))
                return import_refuse(im, im->tar.entry.name, "it is no text");
        struct digest whole;
        digest_begin(&whole);
        digest_add(&whole, *text, length);
        return import_note(im, &whole);
}

static int write_text(struct import *im, int dir, const char *name, const char *text, size_t size)
{
        cleanup_close int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return import_failed(im, -errno, errno == EEXIST ? "it comes twice" : "cannot make it");
        while (size) {
                ssize_t n = write(fd, text, size);
                if (n < 0 && errno != EINTR)
                        return import_failed(im, -errno, "cannot write it");
                text += n > 0 ? n : 0;
                size -= n > 0 ? (size_t)n : 0;
        }
        return 0;
}

static int read_record(struct import *im, const char *name)
{
        cleanup_free char *text = NULL;
        cleanup_environment struct environment e = {0};
        int result = read_text(im, &text, NULL);
        if (result == 0)
                result = environment_from_record(&e, text, "the record in the archive", im->err);
        if (result == 0 && (e.identity != im->p->identity || !e.name))
                result = import_refuse(im, "environment", "it contradicts the beginning of the archive");
        if (result < 0)
                return result;
        free(e.name);
        e.name = memory_string(name);
        cleanup_free char *record = environment_to_record(&e);
        im->has_record = true;
        return write_text(im, im->env, "environment", record, strlen(record));
}

static int read_base(struct import *im)
{
        cleanup_free char *text = NULL;
        cleanup_stamp struct stamp stamp = {0};
        int result = read_text(im, &text, NULL);
        if (result == 0)
                result = stamp_from_text(&stamp, text, im->err);
        return result < 0 ? result : write_text(im, im->env, "base", text, strlen(text));
}

static const char *fresh_of(const struct import *im, const char *id)
{
        for (size_t i = 0; i < im->frozen_count; i++)
                if (strcmp(im->frozen[i], id) == 0)
                        return im->fresh[i];
        return NULL;
}

/* A chain, with the names that its layers have here. */
static int read_chain(struct import *im, int dir, const char *name)
{
        cleanup_free char *text = NULL;
        cleanup_text struct text chain = {0};
        int result = read_text(im, &text, NULL);
        for (char *rest = text, *line; result == 0 && (line = strsep(&rest, "\n"));) {
                const char *fresh = *line ? fresh_of(im, line) : NULL;
                if (*line && !fresh)
                        return import_refuse(im, im->tar.entry.name, "it lies over a layer that is not in the archive");
                if (fresh)
                        text_addf(&chain, "%s\n", fresh);
        }
        return result < 0 || !dir ? result : write_text(im, dir, name, chain.data ? chain.data : "", chain.length);
}

/* A frozen layer begins: it gets a name of here. */
static int begin_frozen(struct import *im, const char *id)
{
        char fresh[64];
        chain_id_fresh(fresh);
        cleanup_free char *path = memory_format("frozen/%s", fresh), *layer = memory_format("frozen/%s/layer", fresh);
        if (mkdirat(im->place, path, 0700) < 0 || mkdirat(im->place, layer, 0700) < 0)
                return import_failed(im, -errno, "cannot make a place for it");
        *vector_add(im->frozen, im->frozen_count, im->frozen_capacity) = memory_string(id);
        *vector_add(im->fresh, im->fresh_count, im->fresh_capacity) = memory_string(fresh);
        return 0;
}

/* What is in the home directory of whoever made the archive is in that of whoever reads it. */
static char *here(const struct import *im, const char *path)
{
        const char *there = im->home, *home = im->p->home;
        return there && home && path_is_below(path, there) ? memory_format("%s%s", home, path + strlen(there))
                                                           : memory_string(path);
}

/* layer/N/path: a slot begins. `dir`: the directory of the layer. */
static int begin_slot(struct import *im, int dir, const char *number)
{
        cleanup_free char *text = NULL;
        int result = restore_complete(im, 0);
        if (result == 0)
                result = read_text(im, &text, NULL);
        if (result < 0 || !text)
                return result;
        size_t length = strlen(text);
        bool blank = strncmp(text, "blank ", 6) == 0;
        cleanup_free char *path = NULL;
        if (length && text[length - 1] == '\n' && (blank || strncmp(text, "changes ", 8) == 0)) {
                text[length - 1] = '\0';
                path = text_unescape(text + (blank ? 6 : 8));
        }
        cleanup_free char *clean = path && path[0] == '/' ? path_clean("/", path) : NULL;
        if (!clean || strcmp(clean, path) != 0)
                return import_refuse(im, im->tar.entry.name, "it names no place");
        cleanup_free char *moved = here(im, path);
        cleanup_text struct text line = {0};
        text_add(&line, blank ? "blank " : "changes ");
        text_add_escaped(&line, moved);
        text_add(&line, "\n");
        if (mkdirat(dir, number, 0700) < 0)
                return import_failed(im, -errno, errno == EEXIST ? "it comes twice" : "cannot make it");
        if (im->slot_fd >= 0)
                close(im->slot_fd);
        im->slot_fd = files_open_directory(dir, number);
        if (im->slot_fd < 0)
                return import_failed(im, im->slot_fd, "cannot open it");
        free(im->slot);
        const char *entry = im->tar.entry.name;
        im->slot = memory_format("%.*s", (int)(strlen(entry) - strlen("/path")), entry);
        im->slot_blank = blank;
        im->slot_covered = im->slot_filled = false;
        result = write_text(im, im->slot_fd, "path", line.data, line.length);
        if (result == 0 && !blank && mkdirat(im->slot_fd, "work", 0700) < 0)
                result = import_failed(im, -errno, "cannot make the slot");
        return result;
}

/* layer/N/cover: believed as far as it says what the next run would write. What covers another place than its own is
 * told by that run, from the rules; until then a commit goes where inside shows it. */
static int read_cover(struct import *im, const char *path)
{
        cleanup_free char *text = NULL;
        cleanup_cover struct cover cover = {0};
        int result = read_text(im, &text, NULL);
        if (result < 0)
                return result;
        if (im->slot_covered)
                return import_refuse(im, im->tar.entry.name, "it comes twice");
        im->slot_covered = true;
        if (cover_from_text(&cover, text) < 0)
                return import_refuse(im, im->tar.entry.name, "it is damaged");
        cover.since = (struct timespec){0};
        cover.inode = 0;
        bool usual = im->slot_blank == (cover.kind != COVER_CHANGES) && cover.source_count <= 1;
        for (size_t i = 0; i < cover.source_count && usual; i++) {
                char *moved = here(im, cover.sources[i]);
                usual = strcmp(moved, path) == 0;
                free(cover.sources[i]);
                cover.sources[i] = moved;
        }
        for (size_t i = 0; i < cover.name_count && usual; i++) {
                cleanup_free char *clean = path_clean("/", cover.names[i].path);
                usual = strcmp(clean + 1, cover.names[i].path) == 0;
        }
        return usual ? cover_store(im->slot_fd, &cover, im->err) : 0;
}

/* What slot the entry belongs to covers, as it is written here. */
static char *slot_path(struct import *im)
{
        char text[70000];
        cleanup_close int fd = files_open_regular(im->slot_fd, "path");
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        if (n < 1)
                return NULL;
        text[n - 1] = '\0';
        return text_unescape(text + (im->slot_blank ? 6 : 8));
}

/* --- names -------------------------------------------------------------------------------------------------------- */

/* Is every component a name? */
static bool is_plain(const char *name)
{
        for (const char *at = name;; at++) {
                size_t n = strcspn(at, "/");
                if (!n || n > 255 || (n == 1 && at[0] == '.') || (n == 2 && at[0] == '.' && at[1] == '.'))
                        return false;
                at += n;
                if (!*at)
                        return true;
        }
}

static bool is_slot_number(const char *text, size_t n)
{
        return n && n <= 6 && strspn(text, "0123456789") >= n && (n == 1 || text[0] != '0');
}

/* `rest`: behind "layer/" of the layer whose directory is `holder`/layer. */
static int read_layer(struct import *im, int holder, const char *rest)
{
        const char *name = im->tar.entry.name;
        size_t n = strcspn(rest, "/");
        cleanup_close int layer = files_open_directory(holder, "layer");
        if (layer < 0)
                return import_failed(im, layer, "cannot open its layer");
        if (strcmp(rest, "chain") == 0)
                return read_chain(im, layer, "chain");
        if (!is_slot_number(rest, n) || rest[n] != '/')
                return import_refuse(im, name, "an archive of paddock holds no such thing");
        const char *what = rest + n + 1;
        cleanup_free char *number = memory_format("%.*s", (int)n, rest);
        if (strcmp(what, "path") == 0)
                return begin_slot(im, layer, number);
        size_t slot_length = (size_t)(what - 1 - name);
        if (!im->slot || strncmp(im->slot, name, slot_length) != 0 || im->slot[slot_length])
                return import_refuse(im, name, "it belongs to a part of the layer that did not begin");
        cleanup_free char *path = strcmp(what, "cover") == 0 ? slot_path(im) : NULL;
        if (path)
                return read_cover(im, path);
        const char *top = im->slot_blank ? "content" : "upper";
        size_t length = strlen(top);
        if (strncmp(what, top, length) != 0 || (what[length] && what[length] != '/'))
                return import_refuse(im, name, "an archive of paddock holds no such thing");
        if (!what[length]) {
                bool fits = im->tar.entry.type == '5' || (im->slot_blank && im->tar.entry.type == '0');
                if (!fits || im->slot_filled)
                        return import_refuse(im, name, "it cannot be the top of a part of the layer");
                im->slot_filled = true;
                return restore(im, im->slot_fd, top);
        }
        const char *last = NULL;
        int parent = -1, result = restore_parent(im, &last, &parent);
        return result < 0 ? result : restore(im, parent, last);
}

static int read_frozen(struct import *im, const char *rest)
{
        const char *name = im->tar.entry.name;
        size_t n = strcspn(rest, "/");
        cleanup_free char *id = memory_format("%.*s", (int)n, rest);
        if (!chain_id_valid(id) || strncmp(rest + n, "/layer/", 7) != 0)
                return import_refuse(im, name, "an archive of paddock holds no such thing");
        int result = strcmp(rest + n, "/layer/chain") == 0 && !fresh_of(im, id) ? begin_frozen(im, id) : 0;
        const char *fresh = fresh_of(im, id);
        if (result < 0 || !fresh)
                return result < 0 ? result : import_refuse(im, name, "it belongs to a layer that did not begin");
        cleanup_free char *path = memory_format("frozen/%s", fresh);
        cleanup_close int dir = files_open_directory(im->place, path);
        return dir < 0 ? import_failed(im, dir, "cannot open its layer") : read_layer(im, dir, rest + n + 7);
}

static int read_snapshot(struct import *im, const char *tag)
{
        if (!environment_name_valid(tag))
                return import_refuse(im, im->tar.entry.name, "a snapshot cannot have this name");
        if (mkdirat(im->env, "snapshot", 0700) < 0 && errno != EEXIST)
                return import_failed(im, -errno, "cannot make it");
        cleanup_close int place = files_open_directory(im->env, "snapshot");
        return place < 0 ? import_failed(im, place, "cannot open the snapshots") : read_chain(im, place, tag);
}

/* --- digests ------------------------------------------------------------------------------------------------------ */

struct comparison {
        struct import *im;
        long line; /* where the line began that is being compared */
};

/* The archive's manifest against the one that was made from what was read. */
static int compare_manifest(void *context, const char *data, size_t size, struct error *err)
{
        struct comparison *c = context;
        FILE *ours = c->im->manifest;
        for (size_t i = 0; i < size; i++) {
                if (fgetc(ours) != (unsigned char)data[i]) {
                        cleanup_free char *line = NULL;
                        size_t capacity = 0;
                        ssize_t n = fseek(ours, c->line, SEEK_SET) < 0 ? -1 : getline(&line, &capacity, ours);
                        if (n > 0)
                                line[n - 1] = '\0'; /* its newline */
                        cleanup_free char *shown = n > DIGEST_HEX + 2 ? text_escape(line + DIGEST_HEX + 1) : NULL;
                        return error_set(err, EBADMSG, "%s is not what was exported: its digest differs",
                                         shown ? shown : "a file");
                }
                if (data[i] == '\n')
                        c->line = ftell(ours);
        }
        return 0;
}

static int read_manifest(struct import *im)
{
        struct comparison c = {.im = im};
        if (fflush(im->manifest) == EOF || fseek(im->manifest, 0, SEEK_SET) < 0)
                return import_failed(im, -errno, "cannot compare it");
        int result = untar_each(&im->tar, compare_manifest, &c, im->err);
        if (result == 0 && fgetc(im->manifest) != EOF)
                result = import_refuse(im, "paddock-manifest", "it does not name all files");
        im->has_manifest = true;
        return result;
}

static int read_digest(struct import *im)
{
        struct digest before = im->tar.before;
        cleanup_free char *text = NULL;
        int result = untar_text(&im->tar, 256, &text, NULL, im->err);
        if (result < 0)
                return result;
        digest_hex(&before, im->p->digest);
        cleanup_free char *expected = memory_format("sha256 %s\n", im->p->digest);
        if (strcmp(text, expected) != 0) {
                error_set(im->err, EBADMSG, "its digest is wrong: what it says is not what was exported");
                return error_remedy(im->err, "copy it once more from where it was made");
        }
        im->has_digest = true;
        return 0;
}

/* --- the whole ---------------------------------------------------------------------------------------------------- */

static int read_entry(struct import *im, const char *name)
{
        const struct untar_entry *e = &im->tar.entry;
        if (im->has_digest)
                return import_refuse(im, e->name, "it comes after the end");
        if (strcmp(e->name, "paddock-digest") == 0)
                return im->has_manifest ? read_digest(im)
                                        : import_refuse(im, e->name, "the manifest does not come before it");
        if (im->has_manifest || !is_plain(e->name))
                return import_refuse(im, e->name,
                                     im->has_manifest ? "it comes after the manifest" : "it is no name to be restored");
        if (strncmp(e->name, "layer/", 6) == 0)
                return read_layer(im, im->env, e->name + 6);
        if (strncmp(e->name, "frozen/", 7) == 0)
                return read_frozen(im, e->name + 7);
        int result = restore_complete(im, 0);
        if (result < 0)
                return result;
        if (strcmp(e->name, "environment") == 0)
                return read_record(im, name);
        if (strcmp(e->name, "base") == 0)
                return read_base(im);
        if (strncmp(e->name, "snapshot/", 9) == 0)
                return read_snapshot(im, e->name + 9);
        if (strcmp(e->name, "paddock-manifest") == 0)
                return read_manifest(im);
        if (strcmp(e->name, "unreadable") != 0)
                return import_refuse(im, e->name, "an archive of paddock holds no such thing");
        cleanup_free char *text = NULL;
        size_t size;
        result = read_text(im, &text, &size);
        return result < 0 ? result : write_text(im, im->env, "unreadable", text, size);
}

/* A line of paddock-export. */
static int read_fact(struct import *im, char *line)
{
        struct portable *p = im->p;
        char *value = strchr(line, '\t'), *end;
        if (value)
                *value++ = '\0';
        if (value && strcmp(line, "name") == 0 && environment_name_valid(value)) {
                snprintf(p->name, sizeof p->name, "%s", value);
        } else if (value && strcmp(line, "identity") == 0 && identity_from_word(value) >= 0) {
                p->identity = (enum identity_kind)identity_from_word(value);
        } else if (value && strcmp(line, "owner") == 0) {
                im->single = true;
                im->uid = (unsigned)strtoul(value, &end, 10);
                im->gid = *end == '\t' ? (unsigned)strtoul(end + 1, &end, 10) : 0;
                return *end ? import_refuse(im, "paddock-export", "it is damaged") : 0;
        } else if (value && strcmp(line, "home") == 0 && !im->home) {
                cleanup_free char *home = text_unescape(value),
                                  *clean = home && home[0] == '/' ? path_clean("/", home) : NULL;
                if (!clean || strcmp(clean, home) != 0 || !clean[1])
                        return import_refuse(im, "paddock-export", "it names no home directory");
                im->home = steal_pointer(&home);
        } else {
                return import_refuse(im, "paddock-export", "it says something that this version does not know");
        }
        return 0;
}

static int read_header(struct import *im)
{
        static const char magic[] = "paddock-export ";
        cleanup_free char *text = NULL;
        int result = untar_next(&im->tar, im->err);
        im->p->entries = 1;
        if (result <= 0)
                return result < 0 ? result : error_set(im->err, EINVAL, "it is empty");
        if (strcmp(im->tar.entry.name, "paddock-export") != 0) {
                error_set(im->err, EINVAL, "it is not an archive of an environment");
                return error_remedy(im->err, "`paddock export` writes them; `paddock commit --to` writes changes "
                                             "alone, which tar lays out");
        }
        result = read_text(im, &text, NULL);
        if (result < 0)
                return result;
        char *rest;
        long version = strncmp(text, magic, sizeof magic - 1) == 0 ? strtol(text + sizeof magic - 1, &rest, 10) : 0;
        if (version > PORTABLE_VERSION) {
                error_set(im->err, EPROTO, "it was written by a newer paddock (version %ld; this one knows up to %d)",
                          version, PORTABLE_VERSION);
                return error_remedy(im->err, "use that newer paddock");
        }
        if (version < 1 || *rest != '\n')
                return import_refuse(im, "paddock-export", "it is damaged");
        for (char *line; result == 0 && (line = strsep(&rest, "\n"));)
                result = *line ? read_fact(im, line) : 0;
        return result == 0 && !im->p->name[0] ? import_refuse(im, "paddock-export", "it names no environment") : result;
}

int import_begin(struct portable *p, struct import **import, struct error *err)
{
        struct import *im = *import = memory_new(sizeof *im);
        *im = (struct import){.p = p, .slot_fd = -1, .env = -1, .place = -1, .err = err, .manifest = tmpfile()};
        p->name[0] = '\0';
        untar_begin(&im->tar, p->file);
        if (!im->manifest)
                return error_sys(err, errno, "cannot make a temporary file for the manifest");
        return read_header(im);
}

int import_read(struct import *im, int place, const char *name, struct error *err)
{
        struct portable *p = im->p;
        im->err = err;
        im->place = place;
        if ((mkdirat(place, "env", 0700) < 0 || mkdirat(place, "frozen", 0700) < 0) && errno != EEXIST)
                return error_sys(err, errno, "cannot make a place for the environment");
        im->env = files_open_directory(place, "env");
        if (im->env < 0 || (mkdirat(im->env, "layer", 0700) < 0 && errno != EEXIST))
                return error_sys(err, im->env < 0 ? -im->env : errno, "cannot make a place for the environment");
        files_limit(); /* a deep tree costs descriptors */
        int result = 1;
        while (result >= 0 && (result = untar_next(&im->tar, err)) == 1) {
                result = read_entry(im, name);
                p->entries++;
                if (p->progress)
                        p->progress(p->context, p->entries, im->tar.at);
        }
        if (result == 0)
                result = restore_complete(im, 0);
        if (result == 0 && (!im->has_digest || !im->has_record))
                result = import_refuse(im, im->has_digest ? "environment" : "paddock-digest", "it is missing");
        if (result == 0 && (result = files_sync(place)) < 0)
                error_sys(err, -result, "cannot make the environment durable");
        p->bytes = im->tar.at;
        return result;
}

void import_end(struct import *im)
{
        if (!im)
                return;
        restore_clear(im);
        while (im->frozen_count)
                free(im->frozen[--im->frozen_count]);
        while (im->fresh_count)
                free(im->fresh[--im->fresh_count]);
        free(im->frozen);
        free(im->fresh);
        free(im->slot);
        free(im->home);
        const int fds[] = {im->slot_fd, im->env};
        for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
                if (fds[i] >= 0)
                        close(fds[i]);
        if (im->manifest)
                fclose(im->manifest);
        untar_end(&im->tar);
        free(im);
}
