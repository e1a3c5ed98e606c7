// SPDX-License-Identifier: GPL-3.0-or-later
/* The slots of a layer, opened to be walked: see layer.h. */
#include "layer/layer.h"

#include "base/cleanup.h"
#include "base/path.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* What an older version left: the changes to a directory, or a place of its own, since nobody knows when. */
static void cover_by_default(struct cover *cover, const struct slot *slot)
{
        *cover = (struct cover){.kind = slot->blank ? COVER_EMPTY : COVER_CHANGES};
        if (!slot->blank)
                *vector_add(cover->sources, cover->source_count, cover->source_capacity) = memory_string(slot->path);
}

static int open_bases(struct layer_slot *s)
{
        s->base = memory_new((s->cover.source_count + 1) * sizeof *s->base);
        for (size_t i = 0; i < s->cover.source_count; i++) {
                cleanup_free char *parent = path_parent(s->cover.sources[i]);
                int fd = files_open_root(s->is_file ? parent : s->cover.sources[i]);
                if (fd < 0 && fd != -ENOENT && fd != -ENOTDIR && fd != -ELOOP)
                        return fd;
                if (fd >= 0)
                        s->base[s->base_count++] = fd;
        }
        return 0;
}

static int open_slot(struct layer *layer, const struct slot *slot, struct error *err)
{
        struct layer_slot *s = vector_add(layer->slots, layer->count, layer->capacity);
        s->number = slot->number;
        s->path = memory_string(slot->path);
        char name[32];
        snprintf(name, sizeof name, "layer/%u", slot->number);
        cleanup_close int dir = openat(layer->directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (dir < 0)
                return error_sys(err, errno, "cannot open %s", name);
        int result = cover_load(dir, &s->cover, err);
        if (result == -ENOENT ||
            result == -EINVAL) /* damaged: what it covers is taken to be what has its name, since nobody knows when */
                cover_by_default(&s->cover, slot);
        else if (result < 0)
                return error_context(err, "%s", name);
        if (result == -EINVAL) {
                s->damage = "the record of what this part of the layer covers is damaged: it is compared with what has "
                            "its name";
                error_clear(err);
        }
        /* A copy of a single file lies in the directory of the slot itself. */
        struct meta meta;
        s->is_file = slot->blank && files_look(dir, "content", false, &meta) == 0 && meta.type != META_DIRECTORY;
        if (s->cover.source_count == 1 && s->cover.kind == COVER_CHANGES)
                s->target = memory_string(s->cover.sources[0]);
        else if (s->cover.kind != COVER_CHANGES)
                s->target = memory_string(s->path);
        s->own = memory_new((layer->chain.count + 1) * sizeof *s->own);
        int own = s->is_file ? steal_fd(&dir) : files_open_directory(dir, slot->blank ? "content" : "upper");
        if (own == -ENOENT && !slot->blank && !layer->chain.count)
                s->damage = "this part of the layer has lost its directory of changes";
        if (own < 0)
                return own == -ENOENT ? 0 : error_sys(err, -own, "cannot read %s", name);
        s->own[s->own_count++] = own;
        for (size_t i = 0; i < layer->chain.count && !slot->blank; i++) {
                cleanup_free char *frozen = memory_format("../../frozen/%s/layer/%u/upper", layer->chain.ids[i],
                                                          slot->number);
                int fd = files_open_directory(layer->directory, frozen);
                if (fd >= 0)
                        s->own[s->own_count++] = fd;
                else if (fd != -ENOENT)
                        return error_sys(err, -fd, "cannot read frozen/%s", layer->chain.ids[i]);
        }
        if (s->is_file && !s->cover.source_count && !layer->shift) /* nothing to compare with */
                return 0;
        s->base_error = -open_bases(s); /* matters only where something was changed */
        return 0;
}

uid_t layer_uid(const struct layer *layer, uid_t uid)
{
        return layer->mine ? geteuid() : uid - layer->shift;
}

gid_t layer_gid(const struct layer *layer, gid_t gid)
{
        return layer->mine ? getegid() : gid - layer->shift;
}

static int by_path(const void *a, const void *b)
{
        const struct layer_slot *x = a, *y = b;
        int order = path_compare(x->path, y->path);
        return order ? order : (int)x->number - (int)y->number;
}

int layer_open(struct layer *layer, int directory, struct error *err)
{
        *layer = (struct layer){.directory = directory};
        struct stat st;
        if (fstat(directory, &st) < 0)
                return error_sys(err, errno, "cannot look at the environment's directory");
        if (st.st_uid !=
            geteuid()) { /* real root's: the ids inside are a range that begins with the directory's owner */
                layer->shift = st.st_uid;
                layer->ids = true;
        }
        struct slots slots = {0};
        int result = chain_load(directory, "layer/chain", &layer->chain, err);
        if (result == 0)
                result = slots_load(directory, &slots, err);
        for (size_t i = 0; i < layer->chain.count && result == 0; i++) {
                cleanup_free char *frozen = memory_format("../../frozen/%s/layer", layer->chain.ids[i]);
                if (faccessat(directory, frozen, F_OK, 0) < 0 && errno == ENOENT)
                        layer->lost = layer->chain.ids[i];
        }
        for (size_t i = 0; result == 0 && i < slots.count; i++)
                result = open_slot(layer, &slots.slots[i], err);
        slots_clear(&slots);
        if (result < 0)
                layer_close(layer);
        else if (layer->count > 1)
                qsort(layer->slots, layer->count, sizeof *layer->slots, by_path);
        return result;
}

void layer_close(struct layer *layer)
{
        for (size_t i = 0; i < layer->count; i++) {
                struct layer_slot *s = &layer->slots[i];
                for (size_t n = 0; n < s->own_count; n++)
                        close(s->own[n]);
                for (size_t n = 0; n < s->base_count; n++)
                        close(s->base[n]);
                cover_clear(&s->cover);
                free(s->own);
                free(s->base);
                free(s->path);
                free(s->target);
        }
        free(layer->slots);
        chain_clear(&layer->chain);
        *layer = (struct layer){0};
}

enum cover_name_kind slot_name(const struct layer_slot *slot, const char *relative)
{
        for (size_t i = 0; i < slot->cover.name_count; i++)
                if (strcmp(slot->cover.names[i].path, relative) == 0)
                        return slot->cover.names[i].kind;
        return COVER_NAME_NONE;
}

static int open_path(const struct layer_slot *slot, const char *path, bool own, int (*open_last)(int, const char *))
{
        const int *dirs = own ? slot->own : slot->base;
        size_t count = own ? slot->own_count : slot->base_count;
        const char *relative = path + (slot->path[1] ? strlen(slot->path) : 0);
        relative += *relative == '/';
        if (slot->is_file)
                relative = own                        ? "content"
                           : slot->cover.source_count ? path_name(slot->cover.sources[0])
                                                      : path_name(path);
        for (size_t i = 0; i < count; i++) {
                cleanup_close int at = openat(dirs[i], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                cleanup_free char *copy = memory_string(relative[0] ? relative : ".");
                char *rest = copy, *piece;
                while (at >= 0 && (piece = strsep(&rest, "/")) && rest) {
                        int next = files_open_directory(at, piece);
                        close(at);
                        at = next;
                }
                int fd = at < 0 ? at : open_last(at, piece);
                if (fd >= 0)
                        return fd;
                if (fd != -ENOENT && fd != -ENOTDIR)
                        return fd;
        }
        return -ENOENT;
}

int change_open(const struct layer_slot *slot, const char *path, bool own)
{
        return open_path(slot, path, own, files_open_regular);
}

int change_open_any(const struct layer_slot *slot, const char *path)
{
        return open_path(slot, path, true, files_open_any);
}
