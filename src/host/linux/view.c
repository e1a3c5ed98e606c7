// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The view, built from the plan's operations with mounts.
 *
 * Theory of operation. Everything that shows the main system is opened before anything is mounted: sources are meant as
 * they are outside, and a rule may well cover the source of another. Binds are detached clones, taken while their
 * mounts are still writable; layers get O_PATH descriptors. Then the main system's tree, which this mount namespace has
 * as a private copy, is made read-only as a whole (or left behind, when the root is a new one), and the operations are
 * mounted from the root downwards, each on a name looked up without following any link. Nothing needs to be locked
 * here: the program runs in a user and mount namespace below this one, where the kernel treats all these mounts as one
 * piece.
 */
#include "host/linux/workplace.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "host/linux/identity.h"
#include "host/linux/kernel.h"
#include "host/linux/mirror.h"
#include "host/linux/report.h"

#include <string.h>
#include <sys/stat.h>

/* The name `path` inside, which must be there by now. */
int view_target(const struct workplace *w, const char *path, struct error *err)
{
        int fd = kernel_open_below(w->root, path, O_PATH | O_NOFOLLOW);
        if (fd >= 0)
                return fd;
        int code = errno;
        cleanup_free char *shown = text_escape(path);
        return error_sys(err, code, "cannot find %s inside", shown);
}

static int slot_open(const struct workplace *w, int slot, const char *what, struct error *err)
{
        char name[64];
        snprintf(name, sizeof name, "layer/%d/%s", slot, what);
        int fd = openat(w->layer, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? error_sys(err, errno, "cannot open %s of the layer", name) : fd;
}

/* Makes what slot `slot` needs on disk. Returns 1 when it is used for the first time. */
static int slot_make(const struct workplace *w, int slot, struct error *err)
{
        const struct slots *slots = &w->plan->slots;
        for (size_t i = 0; i < slots->count; i++)
                if ((int)slots->slots[i].number == slot)
                        return slots_make(w->layer, &slots->slots[i], err);
        return error_set(err, EINVAL, "the plan names slot %d, which there is not", slot);
}

/* Lets the layer's own directory look like the one that it covers. Owners that do not exist inside stay ours. */
static void look_like(int layer, const char *name, int source, unsigned mode)
{
        struct stat st;
        if (source >= 0 && fstat(source, &st) < 0)
                source = -1;
        if (source >= 0)
                (void)!fchownat(layer, name, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW);
        (void)!fchmodat(layer, name, mode, 0);
        if (source >= 0) {
                struct timespec times[2] = {st.st_atim, st.st_mtim};
                utimensat(layer, name, times, AT_SYMLINK_NOFOLLOW);
        }
}

static int attach_clone(int source, int target, bool read_only, const char *path, struct error *err)
{
        cleanup_close int tree = open_tree(source, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        if (tree < 0 || (read_only && kernel_mount_attributes(tree, MOUNT_ATTR_RDONLY, 0, 0) < 0) ||
            kernel_attach(tree, target) < 0) {
                int code = errno;
                cleanup_free char *shown = text_escape(path);
                return error_sys(err, code, "cannot mount on %s inside", shown);
        }
        return 0;
}

/* What a layer with frozen parts covers, as an overlay of its own, read-only. Frozen parts are kept in the state
 * directory, which mostly lies in what the layer covers, and the kernel refuses (ELOOP) to unite a directory with one
 * below it. */
static int build_covered(struct workplace *w, size_t number, const struct plan_op *op, const struct sources *o,
                         struct error *err)
{
        cleanup_close int point = stage_directory(w, "covered", w->numbering + number, 0755, err);
        cleanup_close int empty = point < 0 ? -1 : stage_directory(w, "empty", 0, 0755, err);
        if (empty < 0)
                return -err->code;
        size_t count = o->lower_count - op->frozen;
        cleanup_free int *lower = memory_grow(NULL, count + 1, sizeof *lower);
        memcpy(lower, o->lower + op->frozen, count * sizeof *lower);
        lower[count] = empty;
        int result = overlay_mount(point, lower, count + 1, -1, -1, false, op->path, err);
        if (result < 0)
                return result;
        char name[64];
        snprintf(name, sizeof name, "covered%zu", w->numbering + number);
        int fd = openat(w->stage, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? error_sys(err, errno, "cannot open what the layer of %s covers", op->path) : fd;
}

static int build_layer(struct workplace *w, size_t number, const struct plan_op *op, const struct sources *o,
                       int target, struct error *err)
{
        cleanup_free int *lower = memory_grow(NULL, o->lower_count + 2, sizeof *lower);
        size_t count = 0;
        cleanup_close int names = -1, empty = -1, upper = -1, work = -1, covered = -1;
        if (op->name_count) {
                names = stage_directory(w, "names", w->numbering + number, op->mode, err);
                int result = names < 0 ? names : stage_names(names, op->names, op->name_count, err);
                if (result < 0)
                        return result;
                look_like(names, ".", o->lower_count ? o->lower[0] : -1, op->mode);
                lower[count++] = names;
        }
        bool apart = op->frozen && !op->mirrored; /* nothing lies below a mirror: it is a file system of its own */
        for (size_t i = 0; i < (apart ? op->frozen : o->lower_count); i++)
                lower[count++] = o->lower[i];
        if (apart) {
                covered = build_covered(w, number, op, o, err);
                if (covered < 0)
                        return covered;
                lower[count++] = covered;
        }
        if (count == 1 && op->slot < 0) { /* without a writable part an overlay wants two lower directories */
                empty = stage_directory(w, "empty", 0, 0755, err);
                if (empty < 0)
                        return empty;
                lower[count++] = empty;
        }
        if (op->slot >= 0) {
                int fresh = slot_make(w, op->slot, err);
                if (fresh < 0)
                        return fresh;
                char name[64];
                snprintf(name, sizeof name, "layer/%d/upper", op->slot);
                if (fresh)
                        look_like(w->layer, name, o->lower_count ? o->lower[0] : -1, op->mode);
                upper = slot_open(w, op->slot, "upper", err);
                work = upper < 0 ? -1 : slot_open(w, op->slot, "work", err);
                if (work < 0)
                        return -err->code;
        }
        int result = overlay_mount(target, lower, count, upper, work, w->launch->scratch, op->path, err);
        if (result == -EINVAL && op->slot < 0 && !op->name_count && o->lower_count == 1) {
                /* A mirror of a file system that overlay does not take (FAT, case-insensitive ones: they have no
                 * sockets). */
                error_clear(err);
                return attach_clone(o->lower[0], target, true, op->path, err);
        }
        return result;
}

static int build_blank(struct workplace *w, const struct plan_op *op, const struct sources *o, int target,
                       struct error *err)
{
        int fresh = slot_make(w, op->slot, err);
        if (fresh < 0)
                return fresh;
        char name[64];
        snprintf(name, sizeof name, "layer/%d", op->slot);
        cleanup_close int slot = openat(w->layer, name, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (slot < 0)
                return error_sys(err, errno, "cannot open %s of the layer", name);
        if (fresh) {
                int made = op->is_file ? mknodat(slot, "content", S_IFREG | 0600, 0) : mkdirat(slot, "content", 0700);
                if (made < 0 && errno != EEXIST)
                        return error_sys(err, errno, "cannot make %s/content", name);
                if (op->is_file && o->lower_count) {
                        int result = copy_into_layer(o->lower[0], slot, "content", err);
                        if (result < 0)
                                return error_context(err, "%s", op->path);
                } else {
                        look_like(slot, "content", o->lower_count ? o->lower[0] : -1, op->mode);
                }
        }
        cleanup_close int content = openat(slot, "content", O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (content < 0)
                return error_sys(err, errno, "cannot open %s/content", name);
        if (!op->is_file && fresh && o->lower_count) {
                int result = copy_entries(o->lower[0], content, err);
                if (result < 0)
                        return error_context(err, "%s", op->path);
        }
        if (!op->is_file) {
                int result = stage_names(content, op->names, op->name_count, err);
                if (result < 0)
                        return error_context(err, "%s", op->path);
        }
        return attach_clone(content, target, false, op->path, err);
}

/* Opens what was mounted as the new root, for the operations below it. */
static int new_root_ready(struct workplace *w, struct error *err)
{
        cleanup_free char *name = memory_format("%s/root0", w->stage_point);
        w->root = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return w->root < 0 ? error_sys(err, errno, "cannot open the new root") : 0;
}

static int build_pieces(struct workplace *w, const struct sources *o, int target, const char *path,
                        struct error *err)
{
        for (size_t i = 0; i < o->piece_count; i++) {
                const struct piece *piece = &o->pieces[i];
                cleanup_close int below = -1;
                if (piece->rest[0]) {
                        cleanup_free char *point = memory_format("%s%s", path[1] ? path : "", piece->rest);
                        below = view_target(w, point, err);
                        if (below < 0)
                                return below;
                }
                if (kernel_attach(piece->tree, below >= 0 ? below : target) < 0) {
                        int code = errno;
                        cleanup_free char *shown = text_escape(path);
                        return error_sys(err, code, "cannot mount on %s inside", shown);
                }
                if (w->root < 0 &&
                    new_root_ready(w, err) < 0) /* the first piece is the root that the others stand in */
                        return -err->code;
        }
        return 0;
}

static int build_seal(struct workplace *w, const struct plan_op *op, int target, struct error *err)
{
        cleanup_close int closed = stage_directory(w, "closed", 0, 0700, err);
        if (closed < 0)
                return closed;
        const char *name = op->is_file ? "file" : "directory";
        int made = op->is_file ? mknodat(closed, name, S_IFREG, 0) : mkdirat(closed, name, 0);
        if (made < 0 && errno != EEXIST)
                return error_sys(err, errno, "cannot make a closed %s", name);
        cleanup_close int thing = openat(closed, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        return thing < 0 ? error_sys(err, errno, "cannot open a closed %s", name)
                         : attach_clone(thing, target, true, op->path, err);
}

/* Shows the parts of a layer, and writes into the index which they are (op->mode numbers them). */
static int build_expose(struct workplace *w, const struct plan_op *op, const struct sources *o, struct error *err)
{
        cleanup_close int upper = slot_open(w, op->slot, "upper", err);
        if (upper < 0)
                return upper;
        for (size_t part = 0; part <= o->piece_count; part++) {
                cleanup_free char *name = memory_format(STACK_PLACE "/%u/%zu", op->mode, part);
                cleanup_close int point = view_target(w, name, err);
                if (point < 0)
                        return point;
                int result = part == 0 ? attach_clone(upper, point, true, name, err)
                             : kernel_attach(o->pieces[part - 1].tree, point) < 0
                                     ? error_sys(err, errno, "cannot show a part of the layer on %s", name)
                                     : 0;
                if (result < 0)
                        return result;
        }
        cleanup_close int place = view_target(w, STACK_PLACE, err);
        cleanup_close int index = place < 0 ? -1
                                            : openat(place, "index", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0444);
        cleanup_free char *escaped = text_escape(op->path);
        if (index < 0 || dprintf(index, "%zu\t%u\t%s\n", o->piece_count + 1, op->mode, escaped) < 0)
                return error_sys(err, errno, "cannot write the index of layers");
        return 0;
}

/* The root in which the stage is attached will be left behind. What later changes of the view are built on is attached
 * below the /dev of the new one, where it is covered as well. */
static int keep_stage(struct workplace *w, int target, struct error *err)
{
        static const char *const parts[] = {"", "state0", "mirror0", "outer0"};
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
                cleanup_close int from = parts[i][0] ? openat(w->stage, parts[i], O_PATH | O_DIRECTORY | O_CLOEXEC)
                                                     : fcntl(w->stage, F_DUPFD_CLOEXEC, 3);
                if (from < 0 && errno == ENOENT)
                        continue;
                bool whole = strcmp(parts[i], "outer0") == 0;
                cleanup_close int tree = open_tree(from, "",
                                                   AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
                                                           (whole ? AT_RECURSIVE : 0));
                cleanup_close int to = parts[i][0] ? openat(w->kept_stage, parts[i], O_PATH | O_DIRECTORY | O_CLOEXEC)
                                                   : fcntl(target, F_DUPFD_CLOEXEC, 3);
                if (tree < 0 || to < 0 || kernel_attach(tree, to) < 0)
                        return error_sys(err, errno, "cannot keep what later changes of the view need");
                if (!parts[i][0])
                        w->kept_stage = fcntl(tree, F_DUPFD_CLOEXEC, 3);
        }
        return 0;
}

static int build_devices(struct workplace *w, const struct plan_op *op, int target, struct error *err)
{
        cleanup_close int dev = stage_directory(w, "dev", 0, 0755, err);
        if (dev < 0)
                return dev;
        if (w->launch->keep && w->plan->new_root && keep_stage(w, target, err) < 0)
                return -err->code;
        /* Attached before anything is mounted in it: mounts that stayed on the stage would be copied for the program's
         * level too. */
        cleanup_close int tree = open_tree(dev, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        if (tree < 0 || kernel_attach(tree, target) < 0)
                return error_sys(err, errno, "cannot mount %s inside", op->path);
        int result = devices_make(tree, w->devices_fd, w->plan->root, err);
        if (result < 0)
                return result;
        cleanup_close int pts = openat(tree, "pts", O_PATH | O_DIRECTORY | O_CLOEXEC);
        return pts < 0 ? error_sys(err, errno, "cannot open /dev/pts inside")
                       : devices_terminals(pts, identity_count("/proc/self/gid_map") > 5, err);
}

int view_operation(struct workplace *w, size_t number, const struct sources *o, int target, struct error *err)
{
        const struct plan_op *op = &w->plan->ops[number];
        char name[64];
        switch (op->kind) {
        case PLAN_ROOT:
        case PLAN_SHARED_ROOT:
        case PLAN_BIND:
                return build_pieces(w, o, target, op->path, err);
        case PLAN_LAYER:
                return build_layer(w, number, op, o, target, err);
        case PLAN_BLANK:
                return build_blank(w, op, o, target, err);
        case PLAN_SKELETON: {
                cleanup_close int names = stage_directory(w, "names", w->numbering + number, op->mode, err);
                int result = names < 0 ? names : stage_names(names, op->names, op->name_count, err);
                return result < 0 ? result : attach_clone(names, target, strcmp(op->path, "/run") != 0, op->path, err);
        }
        case PLAN_SEAL:
                return build_seal(w, op, target, err);
        case PLAN_PROC:
                snprintf(name, sizeof name, "/proc/self/fd/%d", target);
                if (mount("proc", name, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0) {
                        int code = errno;
                        error_sys(err, code, "cannot mount a process list of its own on %s inside", op->path);
                        if (code == EPERM)
                                error_remedy(err, "parts of the outer /proc are masked (as in a container), so the "
                                                  "kernel gives "
                                                  "no new one: run paddock outside of that container, or have it "
                                                  "started with "
                                                  "an unmasked /proc");
                        return -code;
                }
                return 0;
        case PLAN_MIRROR:
                return 0; /* it stands already, aside */
        case PLAN_EXPOSE:
                return build_expose(w, op, o, err);
        case PLAN_DEVICES:
                return build_devices(w, op, target, err);
        case PLAN_INNER: {
                mkdirat(w->layer, "inner", 0700);
                cleanup_close int inner = openat(w->layer, "inner", O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                return inner < 0 ? error_sys(err, errno, "cannot open the inner state")
                                 : attach_clone(inner, target, false, op->path, err);
        }
        }
        return error_set(err, EINVAL, "the plan has an operation of kind %d", op->kind);
}

/* The root to mount on: the main system's tree, read-only unless it is shared, or the place of a new one. */
static int open_root(struct workplace *w, struct error *err)
{
        const struct plan_op *first = w->plan->count ? &w->plan->ops[plan_mirror(w->plan) != NULL] : NULL;
        if (w->plan->new_root) {
                /* Left behind soon; until then nothing may be written in it by mistake or through a link. */
                cleanup_close int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
                if (old < 0 || kernel_mount_attributes(old, MOUNT_ATTR_RDONLY, 0, 1) < 0)
                        return error_sys(err, errno, "cannot make the main system read-only");
                return stage_open(w, err);
        }
        w->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (w->root < 0)
                return error_sys(err, errno, "cannot open /");
        if (first && first->kind == PLAN_ROOT && kernel_mount_attributes(w->root, MOUNT_ATTR_RDONLY, 0, 1) < 0)
                return error_sys(err, errno, "cannot make the main system read-only");
        return stage_open(w, err);
}

static int enter_root(struct workplace *w, struct error *err)
{
        if (w->plan->new_root &&
            (fchdir(w->root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0))
                return error_sys(err, errno, "cannot change to the new root");
        return chdir("/") < 0 ? error_sys(err, errno, "cannot enter the root of the view") : 0;
}

/* The environment's directory through a mount that stays writable when the rest is made read-only, attached on the
 * stage because an overlay refuses one that stands nowhere (and not on itself: the paddock outside would wait for the
 * kernel to unmount it when it removes the directory). In memory it is a directory of the stage. */
static int open_layer(struct workplace *w, int clone, struct error *err)
{
        if (clone < 0) { /* nothing to keep */
                w->layer = stage_directory(w, "memory", 0, 0700, err);
                return w->layer < 0 ? w->layer : 0;
        }
        cleanup_close int point = stage_directory(w, "state", 0, 0700, err);
        if (point < 0)
                return point;
        if (kernel_attach(clone, point) < 0)
                return error_sys(err, errno, "cannot attach the environment's directory");
        w->layer = openat(clone, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return w->layer < 0 ? error_sys(err, errno, "cannot open the environment's directory") : 0;
}

/* Until ids are mapped nothing can be made: its owner would be nobody; and what belongs to one of them cannot be
 * opened. */
static int await_ids(const struct workplace *w)
{
        struct report report;
        if (w->ids >= 0 && (report_receive(w->ids, &report, NULL) != 1 || report.type != REPORT_GO))
                _exit(125); /* whoever failed says why */
        return 0;
}

/* Opens the sources of all operations that are, or are not, taken from the mirror. */
static int open_sources(const struct workplace *w, bool mirrored, struct sources *opened, struct error *err)
{
        int result = 0;
        for (size_t i = 0; result == 0 && i < w->plan->count; i++)
                if (w->plan->ops[i].mirrored == mirrored)
                        result = sources_of(w, &w->plan->ops[i], &opened[i], err);
        return result;
}

/* A cover that is not needed: what it was for has vanished; or its directory is closed to us, who have every right that
 * a program inside may get (a directory of root's own in a file system whose ids cannot be mapped: tmpfs before
 * Linux 6.3). */
bool view_nobody_gets_there(const struct plan_op *op, int code)
{
        return op->kind == PLAN_SEAL && (code == ENOENT || code == EACCES);
}

/* The main system as it is now, writable where it is, for rules that are added while the environment lives. */
static int clone_outer(const struct workplace *w, int *outer, struct error *err)
{
        if (w->staged)
                return 0; /* real root stages each file system by itself: rules wait for the next start */
        *outer = open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
        return *outer < 0 ? error_sys(err, errno, "cannot clone the main system's mounts") : 0;
}

static int keep_outer(struct workplace *w, int outer, struct error *err)
{
        cleanup_close int point = stage_directory(w, "outer", 0, 0700, err);
        if (point < 0)
                return point;
        return kernel_attach(outer, point) < 0 ? error_sys(err, errno, "cannot attach the main system for later") : 0;
}

int view_build(struct workplace *w, struct error *err)
{
        const struct plan *plan = w->plan;
        struct sources *opened = memory_new(plan->count * sizeof *opened);
        cleanup_close int clone = -1, outer = -1;
        int result = w->launch->keep ? clone_outer(w, &outer, err) : 0;
        if (result == 0 && w->launch->state >= 0) {
                clone = open_tree(AT_FDCWD, ".", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
                if (clone < 0)
                        result = error_sys(err, errno, "cannot clone the environment's directory");
        }
        cleanup_close int fuse = plan_mirror(plan) ? mirror_open_device(err) : -1;
        if (result == 0 && plan_mirror(plan) && fuse < 0)
                result = fuse;
        if (result == 0)
                result = await_ids(w);
        if (result == 0)
                result = open_sources(w, false, opened, err);
        w->devices_fd = open(w->devices, O_PATH | O_DIRECTORY | O_CLOEXEC); /* now: the stage may cover the name */
        if (w->launch->keep && w->devices_fd >= 0)
                w->fuse = openat(w->devices_fd, "fuse", O_PATH | O_CLOEXEC);
        if (result == 0)
                result = open_root(w, err);
        if (result == 0 && fuse >= 0)
                result = mirror_mount(w, fuse, w->control, err);
        if (fuse >= 0)
                close(steal_fd(&fuse)); /* the server's alone: when it dies, so does the mount */
        if (result == 0)
                result = open_layer(w, clone, err);
        if (result == 0 && outer >= 0)
                result = keep_outer(w, outer, err);
        if (result == 0)
                result = open_sources(w, true, opened, err);
        const size_t first = plan_mirror(plan) != NULL;
        for (size_t i = first; result == 0 && i < plan->count; i++) {
                bool first_of_new = plan->new_root && i == first;
                cleanup_close int target = -1;
                if (first_of_new) {
                        target = stage_directory(w, "root", 0, 0755, err);
                } else if (plan->ops[i].path[1]) {
                        target = view_target(w, plan->ops[i].path, err);
                }
                if (target < 0 && err->code && view_nobody_gets_there(&plan->ops[i], err->code)) {
                        error_clear(err);
                        continue;
                }
                if (target < 0 && err->code) {
                        result = -err->code;
                        break;
                }
                if (!plan->new_root && !plan->ops[i].path[1])
                        continue; /* the root in place: done by open_root() */
                result = view_operation(w, i, &opened[i], target, err);
                if (result == 0 && first_of_new && w->root < 0)
                        result = new_root_ready(w, err);
        }
        if (result == 0)
                result = enter_root(w, err);
        sources_clear(opened, plan->count);
        if (w->launch->keep)
                w->kept_stage = steal_fd(w->kept_stage >= 0 ? &w->kept_stage : &w->stage);
        const int done[] = {w->devices_fd, w->stage, w->root};
        for (size_t i = 0; i < sizeof done / sizeof *done; i++)
                if (done[i] >= 0)
                        close(done[i]);
        w->devices_fd = w->stage = w->root = -1;
        return result;
}
