// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Layers frozen and taken up again: see snapshot.h.
 *
 * Theory of operation. The next layer is made beside the first, with the chain that will hold, and then both change
 * places by one exchange of names. So whatever is cut off, the environment has the one or the other, and both show the
 * same; a directory in frozen/ that nothing holds is left at worst.
 */
#include "layer/snapshot.h"

#include "base/cleanup.h"
#include "layer/commit.h"
#include "layer/duplicate.h"
#include "layer/files.h"
#include "model/cover.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static int make_directory(int dir, const char *name, unsigned mode)
{
        if (mkdirat(dir, name, mode) < 0 && errno != EEXIST)
                return -errno;
        return files_open_directory(dir, name);
}

/* The same, of whoever `like` belongs to: the directories of real root's layers are their environments' ids'. */
static int make_alike(int dir, const char *name, int like)
{
        struct stat st, made;
        cleanup_close int fd = make_directory(dir, name, 0700);
        if (fd < 0)
                return fd;
        if (fstat(like, &st) < 0 || fstat(fd, &made) < 0 ||
            ((st.st_uid != made.st_uid || st.st_gid != made.st_gid) && fchown(fd, st.st_uid, st.st_gid) < 0))
                return -errno;
        return steal_fd(&fd);
}

/* The slot `name` of the layer directory `old`, in `new`: empty again, or `whole`. */
static int prepare_slot(int old, int new, const char *name, bool whole)
{
        static const struct layer plain = {.ids = true};
        cleanup_close int from = files_open_directory(old, name);
        cleanup_close int to = from < 0 ? -1 : make_alike(new, name, from);
        struct into into = {.fd = to, .inherits = true, .share = true};
        const char *what;
        cleanup_free char *failed = NULL;
        int result = from < 0 ? from : to < 0 ? to : 0;
        static const char *const files[] = {"cover", "path", NULL}; /* the path last: it makes the slot complete */
        cleanup_close int upper = result < 0 ? -1 : files_open_directory(from, "upper");
        cleanup_close int content = result < 0 ? -1 : files_open_any(from, "content");
        if (result == 0 && upper >= 0) {
                cleanup_close int made = make_directory(to, "upper", 0700), work = make_alike(to, "work", from);
                result = made < 0   ? made
                         : work < 0 ? work
                         : whole    ? duplicate(upper, made, &failed)
                                    : put_meta(&plain, upper, made, &what);
        }
        struct meta meta;
        if (result == 0 && content >= 0 && (result = files_look(content, "", false, &meta)) == 0) {
                if (meta.type == META_DIRECTORY) {
                        cleanup_close int made = make_directory(to, "content", 0700);
                        result = made < 0 ? made : duplicate(content, made, &failed);
                } else {
                        result = put(&plain, content, &into, "content", NULL, NULL, &what);
                }
        }
        for (const char *const *file = files; *file && result == 0; file++) {
                cleanup_close int own = files_open_regular(from, *file);
                if (own != -ENOENT)
                        result = own < 0 ? own : put(&plain, own, &into, *file, NULL, NULL, &what);
        }
        return result;
}

/* Empty slots for all of the layer directory `old` (-1: none), over `chain`, as `layer` in `dir`; or all of it, if
 * `whole`. */
static int prepare(int dir, int old, const struct chain *chain, bool whole, struct error *err)
{
        cleanup_close int new = old < 0 ? make_directory(dir, "layer", 0700) : make_alike(dir, "layer", old);
        int result = new < 0 ? new : 0;
        int copy = old < 0 ? -1 : openat(old, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cleanup_dir DIR *list = copy < 0 ? NULL : fdopendir(copy);
        struct dirent *entry;
        while (list && result == 0 && (entry = readdir(list)))
                if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9' && faccessat(old, entry->d_name, F_OK, 0) == 0)
                        result = prepare_slot(old, new, entry->d_name, whole);
        if (result < 0)
                return error_sys(err, -result, whole ? "cannot copy the layer" : "cannot make an empty layer");
        return chain->count ? chain_store(new, "chain", chain, err) : 0;
}

int snapshot_prepare(struct store *s, int dir, const struct chain *chain, struct error *err)
{
        int complete = chain_check(s, chain, err);
        if (complete < 0)
                return complete;
        cleanup_free char *top = chain->count ? memory_format("frozen/%s/layer", chain->ids[0]) : NULL;
        cleanup_close int old = top ? openat(s->fd, top, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
        if (top && old < 0)
                return error_sys(err, errno, "a layer of the chain is not there");
        return prepare(dir, old, chain, false, err);
}

/* Is there anything in a slot, but what slots begin with? */
static bool is_untouched(int layer)
{
        int copy = openat(layer, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cleanup_dir DIR *list = copy < 0 ? NULL : fdopendir(copy);
        struct dirent *entry;
        while (list && (entry = readdir(list))) {
                cleanup_free char *upper = memory_format("%s/upper", entry->d_name),
                                  *content = memory_format("%s/content", entry->d_name);
                if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
                        continue;
                cleanup_close int fd = files_open_directory(layer, upper);
                struct names names = {.budget = 1};
                bool empty = fd < 0 || (names_next(&names, &fd, 1) == 1 && !names.count);
                names_clear(&names);
                if (!empty || faccessat(layer, content, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
                        return false;
        }
        return true;
}

static int make_place(int frozen, char id[64], struct error *err)
{
        chain_id_fresh(id);
        int place = make_directory(frozen, id, 0700);
        return place < 0 ? error_sys(err, -place, "cannot make a place for the frozen layer") : place;
}

int snapshot_copy(struct store *s, int environment, int (*hold)(void *context, bool still, struct error *err),
                  void *context, struct chain *chain, struct error *err)
{
        cleanup_close int layer = make_directory(environment, "layer", 0700);
        if (layer < 0)
                return error_sys(err, -layer, "cannot open the layer");
        char id[64];
        int result = chain_load(layer, "chain", chain, err);
        if (result == 0)
                result = chain_check(s, chain, err);
        cleanup_close int frozen = result < 0 ? -1 : chain_lock(s, false, err),
                          place = frozen < 0 ? -1 : make_place(frozen, id, err);
        if (place < 0)
                return -err->code;
        result = hold(context, true, err);
        if (result == 0) {
                result = prepare(place, layer, &(struct chain){0}, true, err);
                cleanup_error struct error other = ERROR_INIT; /* the first failure is the one to report */
                int going = hold(context, false, result < 0 ? &other : err);
                result = result < 0 ? result : going;
        }
        if (result == 0 && files_sync(place) < 0)
                result = error_sys(err, errno, "cannot make the frozen layer durable");
        cleanup_error struct error left = ERROR_INIT;
        if (result == 0)
                chain_push(chain, id);
        else
                s->remove(frozen, id, &left);
        return result;
}

int snapshot_freeze(struct store *s, int environment, struct chain *chain, struct error *err)
{
        cleanup_close int layer = make_directory(environment, "layer", 0700);
        if (layer < 0)
                return error_sys(err, -layer, "cannot open the layer");
        int result = chain_load(layer, "chain", chain, err), code = 0;
        if (result == 0)
                result = chain_check(s, chain, err);
        if (result < 0 || is_untouched(layer))
                return result;
        char id[64];
        cleanup_close int frozen = chain_lock(s, false, err), place = frozen < 0 ? -1 : make_place(frozen, id, err);
        if (place < 0)
                return -err->code;
        chain_push(chain, id);
        result = prepare(place, layer, chain, false, err);
        if (result == 0 && (code = files_exchange(place, environment, "layer")) < 0)
                result = error_sys(err, -code, "cannot freeze the layer");
        if (result == 0 && files_sync(place) < 0)
                result = error_sys(err, errno, "cannot make the frozen layer durable");
        return result;
}

int snapshot_reset(struct store *s, int environment, const struct chain *chain, struct error *err)
{
        cleanup_free char *scratch = NULL;
        cleanup_close int alive = -1, holder = store_scratch(s, &scratch, &alive, err);
        if (holder < 0)
                return holder;
        int result = snapshot_prepare(s, holder, chain, err), code = 0;
        cleanup_close int layer = make_directory(environment, "layer", 0700);
        if (result == 0 && unlinkat(environment, "bases", 0) < 0 && errno != ENOENT) /* of changes that go */
                result = error_sys(err, errno, "cannot forget what the changes were made from");
        if (result == 0 && renameat(environment, "texts", holder, "texts") < 0 && errno != ENOENT)
                result = error_sys(err, errno, "cannot forget the texts that changes were made from");
        if (result == 0 && (layer < 0 || (code = files_exchange(holder, environment, "layer")) < 0))
                result = error_sys(err, layer < 0 ? -layer : -code, "cannot change the layer");
        cleanup_error struct error left = ERROR_INIT;
        if (store_scratch_remove(s, scratch, &left) < 0 && result == 0)
                error_print(stderr, &left);
        return result;
}
