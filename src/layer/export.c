// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * An environment into one file: see portable.h.
 *
 * paddock-export is text, a line a fact, the fields separated by tabs and escaped by text_escape():
 *
 *      paddock-export 1
 *      name <TAB> NAME
 *      identity <TAB> self | root
 *      owner <TAB> UID <TAB> GID       the numbers that stand for its one id; not there: it has many, and all are as inside
 *      home <TAB> PATH                 of who made it; slots below it are that person's home's
 */
#include "layer/portable.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "layer/bases.h"
#include "layer/layer.h"
#include "layer/links.h"
#include "layer/tar.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

struct export {
        struct portable *p;
        struct tar tar;
        struct digest all;
        FILE *manifest;
        uint64_t manifest_size;
        struct links links;
        unsigned shift;
        struct chain done; /* frozen layers that are in it already */
        struct error *err;
};

static int failed(struct export *x, int code, const char *name)
{
        cleanup_free char *shown = text_escape(name);
        if (code == -ENODEV)
                return error_set(x->err, ENODEV, "%s is a device, which cannot be taken along", shown);
        return error_sys(x->err, -code, "cannot export %s", shown);
}

static int written(struct export *x, int code)
{
        return error_sys(x->err, -code, "cannot write the archive");
}

static void count(struct export *x)
{
        x->p->entries++;
        if (x->p->progress)
                x->p->progress(x->p->context, x->p->entries, x->tar.written);
}

/* A line of the manifest, as sha256sum --check wants it: a name with a newline or backslash is marked and escaped. */
static int note(struct export *x, const char *name, const struct digest *whole)
{
        cleanup_text struct text line = {0};
        digest_line(whole, name, &line);
        x->manifest_size += line.length;
        return fwrite(line.data, 1, line.length, x->manifest) == line.length
                       ? 0
                       : error_sys(x->err, errno, "cannot write the manifest");
}

static int add_text(struct export *x, const char *name, const char *text, size_t size)
{
        struct digest whole;
        digest_begin(&whole);
        digest_add(&whole, text, size);
        int result = tar_add_text(&x->tar, name, text, size);
        if (result < 0)
                return written(x, result);
        count(x);
        return note(x, name, &whole);
}

/* A small file of the directory, if it is there. */
static int add_file(struct export *x, int dir, const char *name, const char *as)
{
        cleanup_close int fd = files_open_regular(dir, name);
        struct meta meta;
        if (fd == -ENOENT)
                return 0;
        if (fd < 0 || files_look(fd, "", false, &meta) < 0)
                return failed(x, fd < 0 ? fd : -errno, as);
        cleanup_free char *text = memory_new((size_t)meta.size + 1);
        ssize_t n = pread(fd, text, (size_t)meta.size, 0);
        return n < 0 ? failed(x, -errno, as) : add_text(x, as, text, (size_t)n);
}

static int add_tree(struct export *x, int dir, const char *name, const char *as, bool layer);

static int add_below(struct export *x, int own, const char *as, bool layer)
{
        struct names names = {0};
        int result = 0;
        for (int more; result == 0 && (more = names_next(&names, &own, 1)) != 0;) {
                if (more < 0)
                        result = failed(x, more, as);
                for (size_t i = 0; i < names.count && result == 0; i++) {
                        cleanup_free char *below = memory_format("%s/%s", as, names.items[i]);
                        result = add_tree(x, own, names.items[i], below, layer);
                }
        }
        names_clear(&names);
        return result;
}

/* `name` in `dir` with everything below. `layer`: marks of a layer count. */
static int add_tree(struct export *x, int dir, const char *name, const char *as, bool layer)
{
        struct meta meta;
        cleanup_close int own = files_open_any(dir, name);
        int result = own < 0 ? own : files_look(own, "", layer, &meta);
        if (result < 0)
                return failed(x, result, as);
        if (meta.type == META_DEVICE)
                return failed(x, -ENODEV, as);
        const struct link_entry *first = meta.links > 1 && meta.type != META_DIRECTORY && meta.type != META_NONE
                                                 ? links_first(&x->links, meta.device, meta.inode, as, 0)
                                                 : NULL;
        struct digest whole;
        digest_begin(&whole);
        result = tar_add_whole(&x->tar, as, first ? first->path : NULL, own, x->shift, &whole);
        if (result < 0)
                return failed(x, result, as);
        if (result == 1 && (result = note(x, as, &whole)) < 0)
                return result;
        count(x);
        return meta.type == META_DIRECTORY ? add_below(x, own, as, layer) : 0;
}

static int by_number(const void *a, const void *b)
{
        const struct slot *x = a, *y = b;
        return x->number < y->number ? -1 : x->number > y->number;
}

/* The slots of the directory `holder`/layer, and the chain that they lie over. */
static int add_layer(struct export *x, int holder, const char *prefix, const struct chain *chain)
{
        cleanup_text struct text ids = {0};
        for (size_t i = 0; i < chain->count; i++)
                text_addf(&ids, "%s\n", chain->ids[i]);
        cleanup_free char *chain_name = memory_format("%slayer/chain", prefix);
        int result = add_text(x, chain_name, ids.data ? ids.data : "", ids.length);
        struct slots slots = {0};
        if (result == 0)
                result = slots_load(holder, &slots, x->err);
        if (slots.count > 1)
                qsort(slots.slots, slots.count, sizeof *slots.slots, by_number);
        for (size_t i = 0; i < slots.count && result == 0; i++) {
                cleanup_free char *name = memory_format("layer/%u", slots.slots[i].number);
                cleanup_close int dir = files_open_directory(holder, name);
                cleanup_free char *path = memory_format("%s%s/path", prefix, name),
                                  *cover = memory_format("%s%s/cover", prefix, name);
                const char *what = slots.slots[i].blank ? "content" : "upper";
                cleanup_free char *tree = memory_format("%s%s/%s", prefix, name, what);
                result = dir < 0 ? failed(x, dir, name) : add_file(x, dir, "path", path);
                if (result == 0)
                        result = add_file(x, dir, "cover", cover);
                if (result == 0 && faccessat(dir, what, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
                        result = add_tree(x, dir, what, tree, !slots.slots[i].blank);
        }
        slots_clear(&slots);
        return result;
}

static bool is_done(const struct export *x, const char *id)
{
        for (size_t i = 0; i < x->done.count; i++)
                if (strcmp(x->done.ids[i], id) == 0)
                        return true;
        return false;
}

/* The frozen layers of a chain, the lowest first. */
static int add_chain(struct export *x, int directory, const struct chain *chain)
{
        for (size_t i = chain->count; i > 0; i--) {
                const char *id = chain->ids[i - 1];
                if (is_done(x, id))
                        continue;
                cleanup_free char *place = memory_format("../../frozen/%s", id),
                                  *prefix = memory_format("frozen/%s/", id);
                cleanup_close int dir = files_open_directory(directory, place);
                if (dir < 0)
                        return failed(x, dir, prefix);
                int result = add_layer(x, dir, prefix,
                                       &(struct chain){0}); /* chains say what lies under it, not the layer itself */
                if (result < 0)
                        return result;
                *vector_add(x->done.ids, x->done.count, x->done.capacity) = memory_string(id);
        }
        return 0;
}

/* Each snapshot: `each` is given its chain. */
static int each_snapshot(struct export *x, int directory,
                         int (*each)(struct export *x, int directory, const char *tag, const struct chain *chain))
{
        cleanup_close int place = files_open_directory(directory, "snapshot");
        if (place < 0)
                return place == -ENOENT ? 0 : failed(x, place, "snapshot");
        struct names names = {0};
        int result = 0;
        while (result == 0 && names_next(&names, &place, 1) > 0)
                for (size_t i = 0; i < names.count && result == 0; i++) {
                        if (!environment_name_valid(names.items[i]))
                                continue;
                        cleanup_chain struct chain chain = {0};
                        result = chain_load(place, names.items[i], &chain, x->err);
                        if (result == 0)
                                result = each(x, directory, names.items[i], &chain);
                }
        names_clear(&names);
        return result;
}

static int add_snapshot_layers(struct export *x, int directory, const char *tag, const struct chain *chain)
{
        (void)tag;
        return add_chain(x, directory, chain);
}

static int add_snapshot(struct export *x, int directory, const char *tag, const struct chain *chain)
{
        (void)directory;
        cleanup_text struct text ids = {0};
        for (size_t i = 0; i < chain->count; i++)
                text_addf(&ids, "%s\n", chain->ids[i]);
        cleanup_free char *name = memory_format("snapshot/%s", tag);
        return add_text(x, name, ids.data ? ids.data : "", ids.length);
}

static int add_header(struct export *x)
{
        const struct portable *p = x->p;
        cleanup_text struct text t = {0};
        text_addf(&t, "paddock-export %d\nname\t%s\nidentity\t%s\n", PORTABLE_VERSION, p->name,
                  identity_word(p->identity));
        if (p->single)
                text_addf(&t, "owner\t%u\t%u\n", p->uid, p->gid);
        if (p->home) {
                text_add(&t, "home\t");
                text_add_escaped(&t, p->home);
                text_add(&t, "\n");
        }
        return add_text(x, "paddock-export", t.data, t.length);
}

/* The digests, of each and of all. */
static int add_digests(struct export *x)
{
        if (fflush(x->manifest) == EOF || fseek(x->manifest, 0, SEEK_SET) < 0)
                return error_sys(x->err, errno, "cannot write the manifest");
        int result = tar_add_stream(&x->tar, "paddock-manifest", x->manifest, x->manifest_size);
        digest_hex(&x->all, x->p->digest);
        cleanup_free char *text = memory_format("sha256 %s\n", x->p->digest);
        if (result == 0)
                result = tar_add_text(&x->tar, "paddock-digest", text, strlen(text));
        if (result == 0)
                result = tar_finish(&x->tar);
        x->p->entries += 2;
        return result < 0 ? written(x, result) : 0;
}

/* What its changes were made from, as far as it is proven now. */
static int add_bases(struct export *x, int directory)
{
        cleanup_layer struct layer layer = {0};
        cleanup_file FILE *file = tmpfile();
        struct bases bases;
        struct known known;
        struct digest whole;
        if (!file)
                return error_sys(x->err, errno, "cannot make a temporary file for what the changes were made from");
        int result = layer_open(&layer, directory, x->err);
        if (result < 0)
                return result;
        bases_load(&bases, directory);
        known_load(&known, directory);
        long left_out = bases_collect(&layer, &bases, &known, file, x->err);
        bases_clear(&bases);
        known_clear(&known);
        x->p->unproven = left_out > 0 ? (unsigned long)left_out : 0;
        if (left_out < 0)
                return -x->err->code;
        long size = fflush(file) == EOF ? -1 : ftell(file);
        if (size < 0 || fseek(file, 0, SEEK_SET) < 0)
                return error_sys(x->err, errno, "cannot write what the changes were made from");
        digest_begin(&whole);
        char piece[65536];
        for (size_t n; (n = fread(piece, 1, sizeof piece, file)) > 0;)
                digest_add(&whole, piece, n);
        rewind(file);
        result = tar_add_stream(&x->tar, "bases", file, (uint64_t)size);
        if (result < 0)
                return written(x, result);
        count(x);
        return note(x, "bases", &whole);
}

static int export_all(struct export *x, int directory)
{
        static const char *const files[] = {"environment", "base", "unreadable", NULL};
        cleanup_chain struct chain chain = {0};
        int result = add_header(x);
        for (const char *const *file = files; *file && result == 0; file++)
                result = add_file(x, directory, *file, *file);
        if (result == 0 && !x->p->image)
                result = add_bases(x, directory);
        if (result == 0)
                result = chain_load(directory, "layer/chain", &chain, x->err);
        if (result == 0)
                result = add_chain(x, directory, &chain);
        if (result == 0)
                result = each_snapshot(x, directory, add_snapshot_layers);
        if (result == 0)
                result = add_layer(x, directory, "", &chain);
        if (result == 0)
                result = each_snapshot(x, directory, add_snapshot);
        return result < 0 ? result : add_digests(x);
}

int portable_export(struct portable *p, int directory, unsigned shift, struct error *err)
{
        cleanup_file FILE *manifest = tmpfile();
        if (!manifest)
                return error_sys(err, errno, "cannot make a temporary file for the manifest");
        struct export x = {.p = p, .shift = shift, .err = err, .manifest = manifest, .links.limit = SIZE_MAX};
        x.tar = (struct tar){.file = p->file, .marks = true, .digest = &x.all};
        digest_begin(&x.all);
        files_limit(); /* a deep tree costs descriptors */
        int result = export_all(&x, directory);
        p->bytes = x.tar.written;
        links_clear(&x.links);
        chain_clear(&x.done);
        return result;
}
