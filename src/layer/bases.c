// SPDX-License-Identifier: GPL-3.0-or-later
/* Digests of what changes were made from: see bases.h. */
#include "layer/bases.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "layer/commit.h"
#include "layer/digest.h"
#include "layer/line.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define MAGIC "paddock-bases 1\n"
#define ABSENT "absent"
#define SIZE_LIMIT (32 << 20) /* bytes of the record: an import reads it as a whole */
#define TICK 20000000         /* ns: more than file systems' clocks are behind the one that is asked */

static int compare_key(unsigned slot, const char *path, const struct bases_entry *e)
{
        return slot != e->slot ? (slot < e->slot ? -1 : 1) : strcmp(path, e->path);
}

static int by_key(const void *a, const void *b)
{
        const struct bases_entry *x = a;
        return compare_key(x->slot, x->path, b);
}

static const struct bases_entry *find(const struct bases *b, unsigned slot, const char *path)
{
        size_t low = 0, high = b->count;
        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int order = compare_key(slot, path, &b->entries[middle]);
                if (order == 0)
                        return &b->entries[middle];
                if (order < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return NULL;
}

static const char *in_slot(const struct layer_slot *slot, const char *path)
{
        const char *rest = path + (slot->path[1] ? strlen(slot->path) : 0);
        return rest + (*rest == '/');
}

static bool parse_line(struct bases *b, const char *line)
{
        size_t n = strcspn(line, " ");
        bool absent = n == strlen(ABSENT) && strncmp(line, ABSENT, n) == 0;
        if (!absent && (n != DIGEST_HEX - 1 || strspn(line, "0123456789abcdef") != n))
                return false;
        const char *at = line + n;
        uint64_t slot;
        if (*at++ != ' ' || !line_take_number(&at, &slot) || slot > 999999 || *at++ != ' ')
                return false;
        cleanup_free char *path = text_unescape(at);
        if (!path)
                return false;
        *vector_add(b->entries, b->count, b->capacity) = (struct bases_entry){
                .slot = (unsigned)slot, .path = steal_pointer(&path), .digest = memory_format("%.*s", (int)n, line)};
        return true;
}

bool bases_parse(struct bases *b, char *text)
{
        *b = (struct bases){0};
        bool good = strncmp(text, MAGIC, strlen(MAGIC)) == 0;
        char *rest = good ? text + strlen(MAGIC) : NULL;
        for (char *line; good && (line = strsep(&rest, "\n"));)
                good = *line ? parse_line(b, line) : !rest || !*rest;
        if (!good)
                bases_clear(b);
        else if (b->count > 1)
                qsort(b->entries, b->count, sizeof *b->entries, by_key);
        return good;
}

void bases_load(struct bases *b, int directory)
{
        *b = (struct bases){0};
        cleanup_close int fd = files_open_regular(directory, "bases");
        struct meta meta;
        if (fd < 0 || files_look(fd, "", false, &meta) < 0 || meta.size > SIZE_LIMIT)
                return;
        cleanup_free char *text = memory_new((size_t)meta.size + 1);
        if (pread(fd, text, (size_t)meta.size, 0) == (ssize_t)meta.size)
                bases_parse(b, text);
}

void bases_clear(struct bases *b)
{
        for (size_t i = 0; i < b->count; i++) {
                free(b->entries[i].path);
                free(b->entries[i].digest);
        }
        free(b->entries);
        *b = (struct bases){0};
}

/* --- what stands outside, as a digest ----------------------------------------------------------------------------- */

static int digest_content(struct digest *d, int fd)
{
        char piece[65536];
        off_t at = 0;
        for (ssize_t n; (n = pread(fd, piece, sizeof piece, at)) != 0; at += n) {
                if (n < 0)
                        return -errno;
                digest_add(d, piece, (size_t)n);
        }
        return 0;
}

/* Attributes: labels of a security module are the machine's own. */
static int digest_attributes(struct digest *d, int fd)
{
        struct xattrs list = {0};
        int result = files_xattrs(fd, "", 0, &list);
        for (size_t i = 0; i < list.count && result == 0; i++) {
                const struct xattr *x = &list.items[i];
                if (strncmp(x->name, "security.", 9) == 0 && strcmp(x->name, "security.capability") != 0)
                        continue;
                cleanup_free char *head = memory_format("x %s %zu\n", x->name, x->size);
                digest_add(d, head, strlen(head));
                digest_add(d, x->value, x->size);
        }
        files_xattrs_clear(&list);
        return result;
}

/* Adds what `name` in `dir` is. `deep`: with all that is below. */
static int digest_thing(struct digest *d, int dir, const char *name, bool deep)
{
        struct meta meta;
        cleanup_close int fd = files_open_any(dir, name);
        int result = fd < 0 ? fd : files_look(fd, "", false, &meta);
        if (result < 0)
                return result;
        cleanup_free char *head = memory_format("%d %o %llu %zu ", (int)meta.type,
                                                meta.type == META_SYMLINK ? 0 : meta.mode,
                                                (unsigned long long)(meta.type == META_REGULAR  ? meta.size
                                                                     : meta.type == META_DEVICE ? meta.number
                                                                                                : 0),
                                                strlen(name));
        digest_add(d, head, strlen(head));
        if (meta.type == META_SYMLINK) {
                char target[4097];
                ssize_t n = readlinkat(fd, "", target, sizeof target);
                if (n < 0)
                        return -errno;
                digest_add(d, target, (size_t)n);
                return 0;
        }
        if (meta.type != META_REGULAR && meta.type != META_DIRECTORY)
                return 0;
        result = digest_attributes(d, fd);
        if (result == 0 && meta.type == META_REGULAR)
                return digest_content(d, fd);
        struct names names = {.budget = 1 << 20};
        for (int more; deep && result == 0 && (more = names_next(&names, &fd, 1)) != 0;) {
                if (more < 0)
                        result = more;
                for (size_t i = 0; i < names.count && result == 0; i++) {
                        digest_add(d, names.items[i], strlen(names.items[i]) + 1);
                        result = digest_thing(d, fd, names.items[i], true);
                }
        }
        names_clear(&names);
        digest_add(d, "/", 1); /* the directory ends: what follows is beside it */
        return result;
}

/* The digest of what the change covers, at `target`: it must be there as the walk saw it, before and after. */
static int digest_before(const struct change *change, const char *target, char hex[DIGEST_HEX])
{
        cleanup_free char *above = path_parent(target);
        cleanup_close int parent = target[1] ? files_open_root(above) : -ENOTSUP;
        struct digest d;
        digest_begin(&d);
        int result = parent < 0 ? parent : digest_thing(&d, parent, path_name(target), change->kind != CHANGE_CHANGED);
        struct meta now;
        if (result == 0)
                result = files_look(parent, path_name(target), false, &now);
        const struct meta *before = &change->before;
        if (result == 0 && (now.type != before->type || now.inode != before->inode || now.size != before->size ||
                            !time_equal(&now.ctime, &before->ctime)))
                result = -EAGAIN;
        digest_hex(&d, hex);
        return result;
}

bool bases_prove(const struct bases *b, const struct change *change, const char *target, struct timespec *since)
{
        const struct bases_entry *e = b->count ? find(b, change->slot->number, in_slot(change->slot, change->path))
                                               : NULL;
        if (!e || !target || change->proof == PROOF_HIDDEN)
                return false;
        bool absent = strcmp(e->digest, ABSENT) == 0;
        if (absent || change->before.type == META_NONE)
                return absent && change->before.type == META_NONE;
        clock_gettime(CLOCK_REALTIME, since);
        since->tv_sec -= since->tv_nsec < TICK;
        since->tv_nsec += since->tv_nsec < TICK ? 1000000000 - TICK : -TICK;
        char hex[DIGEST_HEX];
        return digest_before(change, target, hex) == 0 && strcmp(hex, e->digest) == 0;
}

/* --- written ------------------------------------------------------------------------------------------------------ */

static void line_of(struct text *line, const char *digest, unsigned slot, const char *path)
{
        line->length = 0;
        text_addf(line, "%s %u ", digest, slot);
        text_add_escaped(line, path);
        text_add(line, "\n");
}

struct collector {
        const struct bases *old;
        struct commit commit; /* only what it knows */
        FILE *to;
        uint64_t size;
        long left_out;
};

static int write_line(struct collector *c, const char *digest, unsigned slot, const char *path)
{
        cleanup_text struct text line = {0};
        line_of(&line, digest, slot, path);
        if (c->size + line.length > SIZE_LIMIT) {
                c->left_out++;
                return 0;
        }
        c->size += line.length;
        return fwrite(line.data, line.length, 1, c->to) == 1 ? 0 : -EIO;
}

/* Is what the change covers surely what it was made from, as far as times and commits tell? */
static bool is_sure(const struct commit *c, const struct change *change, const char *target)
{
        if (change->before.type == META_NONE)
                return change->copy && change->since.tv_sec && change->parent_ctime.tv_sec &&
                       time_before(&change->parent_ctime, &change->since);
        if (change->proof != PROOF_SURE && !known_has(&c->known, target, &change->before))
                return false;
        if (change->before.type != META_DIRECTORY || change->kind == CHANGE_CHANGED)
                return change->proof != PROOF_HIDDEN;
        char *found = NULL;
        cleanup_free char *above = path_parent(target);
        cleanup_close int parent = files_open_root(above);
        int old = parent < 0 ? parent
                             : commit_tree_is_old(c, parent, path_name(target), target, &change->since, true, &found);
        free(found);
        return old == 1;
}

static int collect(void *context, const struct change *change)
{
        struct collector *c = context;
        cleanup_free char *target = commit_target(change->slot, change->path);
        const char *path = in_slot(change->slot, change->path);
        bool matters = change->before.type != META_NONE || (change->kind == CHANGE_ADDED && change->copy);
        if (!target || change->passage || !matters || change->what == CHANGE_TIMES)
                return 0;
        if (is_sure(&c->commit, change, target)) {
                char hex[DIGEST_HEX];
                if (change->before.type == META_NONE)
                        return write_line(c, ABSENT, change->slot->number, path);
                return digest_before(change, target, hex) < 0 ? 0 : write_line(c, hex, change->slot->number, path);
        }
        /* What came with an import, and is still so. */
        struct timespec since;
        return bases_prove(c->old, change, target, &since)
                       ? write_line(c, find(c->old, change->slot->number, path)->digest, change->slot->number, path)
                       : 0;
}

long bases_collect(const struct layer *layer, const struct bases *b, const struct known *known, FILE *to, struct error *err)
{
        struct collector c = {.old = b, .to = to, .commit = {.known = *known}};
        struct layer_walk walk = {.layer = layer, .proofs = true, .visit = collect, .context = &c};
        if (fputs(MAGIC, to) == EOF)
                return error_sys(err, errno, "cannot write what the changes were made from");
        c.size = strlen(MAGIC);
        int result = layer_walk(&walk, err);
        return result < 0 ? result : c.left_out;
}

static char *path_of(const struct layer *layer, const struct bases_entry *e)
{
        for (size_t i = 0; i < layer->count; i++)
                if (layer->slots[i].number == e->slot)
                        return e->path[0] ? path_join(layer->slots[i].path, e->path)
                                          : memory_string(layer->slots[i].path);
        return NULL;
}

int bases_forget(const struct layer *layer, const char *path, struct error *err)
{
        struct bases b;
        bases_load(&b, layer->directory);
        cleanup_text struct text all = {0}, line = {0};
        text_add(&all, MAGIC);
        size_t kept = 0;
        for (size_t i = 0; i < b.count; i++) {
                cleanup_free char *own = path_of(layer, &b.entries[i]);
                if (!own || path_is_below(own, path))
                        continue;
                line_of(&line, b.entries[i].digest, b.entries[i].slot, b.entries[i].path);
                text_add(&all, line.data);
                kept++;
        }
        bool changed = kept < b.count, good = true;
        bases_clear(&b);
        if (!changed || !kept)
                good = !changed || unlinkat(layer->directory, "bases", 0) == 0 || errno == ENOENT;
        if (changed && kept) {
                cleanup_close int fd = openat(layer->directory, ".bases.new",
                                              O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
                good = fd >= 0 && write(fd, all.data, all.length) == (ssize_t)all.length && fsync(fd) == 0 &&
                       renameat(layer->directory, ".bases.new", layer->directory, "bases") == 0;
        }
        return good ? 0 : error_sys(err, errno, "cannot forget what the changes were made from");
}
