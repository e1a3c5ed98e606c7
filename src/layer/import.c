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
 * Times prove nothing on another machine, so the records of them are dropped. What the outside was at the export is
 * told by digests (bases.h): a commit replaces what is equal to them, and refuses the rest until it is forced.
 */
#include "layer/import.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "layer/layer.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

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
                return describe_chain(im, layer, "chain");
        if (!is_slot_number(rest, n) || rest[n] != '/')
                return import_refuse(im, name, "an archive of paddock holds no such thing");
        const char *what = rest + n + 1;
        cleanup_free char *number = memory_format("%.*s", (int)n, rest);
        if (strcmp(what, "path") == 0)
                return describe_slot(im, layer, number);
        size_t slot_length = (size_t)(what - 1 - name);
        if (!im->slot || strncmp(im->slot, name, slot_length) != 0 || im->slot[slot_length])
                return import_refuse(im, name, "it belongs to a part of the layer that did not begin");
        cleanup_free char *path = strcmp(what, "cover") == 0 ? describe_slot_path(im) : NULL;
        if (path)
                return describe_cover(im, path);
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
        int result = strcmp(rest + n, "/layer/chain") == 0 && !describe_fresh(im, id) ? describe_frozen(im, id) : 0;
        const char *fresh = describe_fresh(im, id);
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
        return place < 0 ? import_failed(im, place, "cannot open the snapshots") : describe_chain(im, place, tag);
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
                return describe_record(im, name);
        if (strcmp(e->name, "base") == 0)
                return describe_base(im);
        if (strcmp(e->name, "bases") == 0)
                return describe_bases(im);
        if (strncmp(e->name, "snapshot/", 9) == 0)
                return read_snapshot(im, e->name + 9);
        if (strcmp(e->name, "paddock-manifest") == 0)
                return read_manifest(im);
        if (strcmp(e->name, "unreadable") != 0)
                return import_refuse(im, e->name, "an archive of paddock holds no such thing");
        cleanup_free char *text = NULL;
        size_t size;
        result = describe_text(im, &text, &size);
        return result < 0 ? result : describe_write(im, im->env, "unreadable", text, size);
}

int import_begin(struct portable *p, struct import **import, struct error *err)
{
        struct import *im = *import = memory_new(sizeof *im);
        *im = (struct import){.p = p, .slot_fd = -1, .env = -1, .place = -1, .err = err, .manifest = tmpfile()};
        p->name[0] = '\0';
        untar_begin(&im->tar, p->file);
        if (!im->manifest)
                return error_sys(err, errno, "cannot make a temporary file for the manifest");
        return describe_header(im);
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
