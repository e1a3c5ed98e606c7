// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What describes an environment in an archive: its header, record, slots and what they cover, chains, digests of what
 * its changes were made from. All of it is parsed and written anew: see import.c.
 */
#include "layer/import.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "layer/bases.h"
#include "layer/layer.h"
#include "model/stamp.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define SMALL (64 << 20) /* bytes of a file that describes */

/* Reads the entry as text, and keeps its digest. */
int describe_text(struct import *im, char **text, size_t *size)
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

int describe_write(struct import *im, int dir, const char *name, const char *text, size_t size)
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

int describe_record(struct import *im, const char *name)
{
        cleanup_free char *text = NULL;
        cleanup_environment struct environment e = {0};
        int result = describe_text(im, &text, NULL);
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
        return describe_write(im, im->env, "environment", record, strlen(record));
}

int describe_base(struct import *im)
{
        cleanup_free char *text = NULL;
        cleanup_stamp struct stamp stamp = {0};
        int result = describe_text(im, &text, NULL);
        if (result == 0)
                result = stamp_from_text(&stamp, text, im->err);
        return result < 0 ? result : describe_write(im, im->env, "base", text, strlen(text));
}

/* Digests of what the changes were made from: a commit here compares the outside with them. */
int describe_bases(struct import *im)
{
        cleanup_free char *text = NULL;
        int result = describe_text(im, &text, NULL);
        cleanup_free char *copy = result < 0 ? NULL : memory_string(text);
        struct bases bases;
        if (result == 0 && !bases_parse(&bases, copy))
                return import_refuse(im, "bases", "it is damaged");
        if (result == 0)
                bases_clear(&bases);
        return result < 0 ? result : describe_write(im, im->env, "bases", text, strlen(text));
}

const char *describe_fresh(const struct import *im, const char *id)
{
        for (size_t i = 0; i < im->frozen_count; i++)
                if (strcmp(im->frozen[i], id) == 0)
                        return im->fresh[i];
        return NULL;
}

/* A chain, with the names that its layers have here. */
int describe_chain(struct import *im, int dir, const char *name)
{
        cleanup_free char *text = NULL;
        cleanup_text struct text chain = {0};
        int result = describe_text(im, &text, NULL);
        for (char *rest = text, *line; result == 0 && (line = strsep(&rest, "\n"));) {
                const char *fresh = *line ? describe_fresh(im, line) : NULL;
                if (*line && !fresh)
                        return import_refuse(im, im->tar.entry.name, "it lies over a layer that is not in the archive");
                if (fresh)
                        text_addf(&chain, "%s\n", fresh);
        }
        return result < 0 || !dir ? result : describe_write(im, dir, name, chain.data ? chain.data : "", chain.length);
}

/* A frozen layer begins: it gets a name of here. */
int describe_frozen(struct import *im, const char *id)
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
int describe_slot(struct import *im, int dir, const char *number)
{
        cleanup_free char *text = NULL;
        int result = restore_complete(im, 0);
        if (result == 0)
                result = describe_text(im, &text, NULL);
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
        result = describe_write(im, im->slot_fd, "path", line.data, line.length);
        if (result == 0 && !blank && mkdirat(im->slot_fd, "work", 0700) < 0)
                result = import_failed(im, -errno, "cannot make the slot");
        return result;
}

/* layer/N/cover: believed as far as it says what the next run would write. What covers another place than its own is
 * told by that run, from the rules; until then a commit goes where inside shows it. */
int describe_cover(struct import *im, const char *path)
{
        cleanup_free char *text = NULL;
        cleanup_cover struct cover cover = {0};
        int result = describe_text(im, &text, NULL);
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
char *describe_slot_path(struct import *im)
{
        char text[70000];
        cleanup_close int fd = files_open_regular(im->slot_fd, "path");
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        if (n < 1)
                return NULL;
        text[n - 1] = '\0';
        return text_unescape(text + (im->slot_blank ? 6 : 8));
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

int describe_header(struct import *im)
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
        result = describe_text(im, &text, NULL);
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
