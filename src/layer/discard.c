// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Changes thrown away: see discard.h.
 *
 * Theory of operation. What is discarded lies in directories that the layer has too. Where one of them hides what it
 * covers (it replaced a directory that was deleted), taking the name away would not show the outside again. Such a
 * directory is opened first: every name that it hides gets a mark of its own, a directory in it that would begin to
 * merge is made to hide what it covers, and only then its own mark goes. Each step leaves the view as it was.
 */
#include "layer/discard.h"
#include "layer/texts.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"

#include <fcntl.h>
#include <string.h>

static int take_away(int dir, const char *name, int holder, struct error *err)
{
        for (unsigned i = 0;; i++) {
                char fresh[32];
                snprintf(fresh, sizeof fresh, "%u", i);
                struct meta meta;
                if (files_look(holder, fresh, false, &meta) == 0 && meta.type != META_NONE)
                        continue;
                if (renameat(dir, name, holder, fresh) == 0)
                        return 1;
                if (errno == ENOENT)
                        return 0;
                cleanup_free char *shown = text_escape(name);
                return error_sys(err, errno, "cannot take %s out of the layer", shown);
        }
}

/* Lets what the directory `own` hides be hidden name by name, so that single names can be shown again. */
static int open_opaque(int own, int base, struct error *err)
{
        if (!files_is_opaque(own))
                return 0;
        struct names names = {0};
        int result = 0;
        for (int more; result == 0 && base >= 0 && (more = names_next(&names, &base, 1)) != 0;) {
                if (more < 0) {
                        result = error_sys(err, -more, "cannot read a directory outside");
                        break;
                }
                for (size_t i = 0; i < names.count && result == 0; i++) {
                        struct meta meta;
                        result = files_look(own, names.items[i], true, &meta);
                        if (result == 0 && meta.type == META_NONE && !meta.whiteout) {
                                result = files_whiteout(own, names.items[i]);
                        } else if (result == 0 && meta.type == META_DIRECTORY) {
                                cleanup_close int sub = files_open_directory(own, names.items[i]);
                                result = sub < 0 ? sub : files_set_opaque(sub);
                        }
                        if (result < 0)
                                error_sys(err, -result, "cannot mark a name in the layer");
                }
        }
        names_clear(&names);
        if (result == 0)
                result = files_clear_opaque(own);
        return result < 0 && !err->code ? error_sys(err, -result, "cannot change a mark in the layer") : result;
}

/* `relative` in the slot: taken away from the directory that holds it. */
static int discard_below(const struct layer_slot *slot, const char *path, const char *relative, int holder,
                         struct error *err)
{
        cleanup_close int own = openat(slot->own[0], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cleanup_close int base = slot->base_count && slot->cover.kind == COVER_CHANGES
                                         ? openat(slot->base[0], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                                         : -1;
        cleanup_free char *copy = memory_string(relative);
        char *rest = copy, *piece;
        for (;;) {
                piece = strsep(&rest, "/");
                struct meta outside = {0}, inside = {0};
                int result = base < 0 ? 0 : files_look(base, piece, false, &outside);
                if (result == 0)
                        result = files_look(own, piece, slot->cover.kind == COVER_CHANGES, &inside);
                if (result < 0)
                        return error_sys(err, -result, "cannot look at the layer");
                if (outside.type != META_NONE) {
                        result = open_opaque(own, base, err);
                        if (result == 0)
                                result = files_look(own, piece, slot->cover.kind == COVER_CHANGES, &inside);
                        if (result < 0)
                                return result;
                }
                if (!rest)
                        return inside.type == META_NONE && !inside.whiteout ? 0 : take_away(own, piece, holder, err);
                if (inside.whiteout || (inside.type != META_NONE && inside.type != META_DIRECTORY)) {
                        cleanup_free char *shown = text_escape(path);
                        error_set(err, ENOTDIR, "%s: a directory above it was %s as a whole", shown,
                                  inside.whiteout ? "deleted" : "replaced");
                        return error_remedy(err, "discard that directory; `paddock diff` shows it");
                }
                if (inside.type == META_NONE)
                        return 0;
                int next = files_open_directory(own, piece);
                if (next < 0)
                        return error_sys(err, -next, "cannot open a directory of the layer");
                close(own);
                own = next;
                next = base < 0 || outside.type != META_DIRECTORY ? -1 : files_open_directory(base, piece);
                if (base >= 0)
                        close(base);
                base = next < 0 ? -1 : next;
        }
}

static int drop_slot(const struct layer *layer, const struct layer_slot *slot, int holder, struct error *err)
{
        cleanup_close int dir = openat(layer->directory, "layer", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        char name[16];
        snprintf(name, sizeof name, "%u", slot->number);
        return dir < 0 ? error_sys(err, errno, "cannot open the layer") : take_away(dir, name, holder, err);
}

int layer_discard(struct layer *layer, const char *path, int holder, struct error *err)
{
        if (layer->chain.count) {
                error_set(err, ENOTSUP,
                          "parts of the layer are held by a snapshot or a clone, and single paths cannot be taken out "
                          "of them");
                return error_remedy(err, "discard everything, or `paddock reset` to a snapshot");
        }
        int any = 0, forgotten = bases_forget(layer, path, err); /* first: it only proves less */
        if (forgotten == 0)
                forgotten = texts_forget(layer, path, err);
        if (forgotten < 0)
                return forgotten;
        for (size_t i = 0; i < layer->count; i++) {
                const struct layer_slot *slot = &layer->slots[i];
                int result = 0;
                if (path_is_below(slot->path, path)) {
                        result = drop_slot(layer, slot, holder, err);
                } else if (path_is_below(path, slot->path) && slot->own_count) {
                        if (slot->cover.kind == COVER_ENTRIES) {
                                cleanup_free char *shown = text_escape(slot->path);
                                error_set(err, ENOTSUP,
                                          "%s is private entry by entry: what is in it cannot be shown again alone",
                                          shown);
                                return error_remedy(err, "discard the whole of %s", shown);
                        }
                        result = discard_below(slot, path, path + (slot->path[1] ? strlen(slot->path) + 1 : 1), holder,
                                               err);
                }
                if (result < 0)
                        return result;
                any |= result;
        }
        return any;
}

int layer_settle(struct layer *layer, int holder, struct error *err)
{
        for (size_t i = 0; i < layer->count && !layer->chain.count; i++) {
                const struct layer_slot *slot = &layer->slots[i];
                if (!slot->own_count || slot->is_file || slot->cover.kind != COVER_CHANGES || !slot->base_count)
                        continue;
                struct names names = {.budget = 1};
                bool empty = names_next(&names, slot->own, 1) == 1 && !names.count;
                names_clear(&names);
                struct change top = {.top = true,
                                     .name = "",
                                     .own_name = "",
                                     .own = slot->own[0],
                                     .base = slot->base[0]};
                unsigned what = 0;
                const char *which;
                if (!empty || files_look(top.own, "", false, &top.after) < 0 ||
                    files_look(top.base, "", false, &top.before) < 0)
                        continue;
                top.after.uid -= layer->shift;
                top.after.gid -= layer->shift;
                if (compare(layer, &top, false, &what, &which) < 0 || what)
                        continue;
                int result = drop_slot(layer, slot, holder, err);
                if (result < 0)
                        return result;
        }
        return 0;
}
