// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A change of a view in which programs live.
 *
 * Theory of operation. The new subtree is built where nobody sees it: in a copy of the view's mount namespace, by the
 * functions that build a view at the start, on the names that it will have. What is kept is cloned there before it is
 * covered. Then the finished subtree is cloned as a whole, the clone attached to the name in the real view with one
 * call, and the copy ends. From the view the mount spreads to the namespace of the programs.
 *
 * Locks. A mount that spreads across the border of a user namespace is not locked there by itself: the kernel reckons
 * that what lies below was seen before. Programs without power over the floor cannot take it away all the same, and
 * namespaces that they make have it locked. Root inside (identity root) has that power: it can take the mount away,
 * look below it, or cut the floor off from the view (mount --make-private). So in such an environment a change shows
 * something else, and is no boundary against root inside, which verbs/view.c says. Each change is looked for on the
 * floor, and one that did not arrive has failed.
 *
 * What was there stays below, also for programs that have it open: nothing is taken away from the view itself. A change
 * that leads back to what was there before the last one shows that once more: in the copy the last one is taken away,
 * and what appears is cloned. So a layer that is in use comes back without being mounted a second time.
 */
#include "host/linux/keep.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "host/linux/kernel.h"
#include "host/linux/report.h"
#include "plan/change.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

/* Takes the uppermost mount away from the name `path`. By its descriptor: no name is looked up twice. */
static int unmount(const struct workplace *w, const char *path, struct error *err)
{
        cleanup_close int target = view_target(w, path, err);
        if (target < 0)
                return target;
        char name[64];
        snprintf(name, sizeof name, "/proc/self/fd/%d", target);
        if (umount2(name, MNT_DETACH) == 0) /* EINVAL: no mount begins there */
                return 0;
        cleanup_free char *shown = text_escape(path);
        error_set(err, EBUSY, "%s: nothing stands there that could be taken away", shown);
        return error_remedy(err, "it belongs to the view since the environment was started: restart it");
}

/* Leads to the place of a name, made where it is missing. Its parents are there, or are made before it. */
static int make_name(const struct workplace *w, const struct plan_name *name, struct error *err)
{
        struct plan_name relative = *name;
        relative.path += strspn(relative.path, "/");
        return stage_names(w->root, &relative, 1, err);
}

static bool stands_at_start(const struct plan *plan, const char *path)
{
        for (size_t i = 0; i < plan->count; i++)
                if (plan->ops[i].kind != PLAN_EXPOSE && plan->ops[i].kind != PLAN_MIRROR &&
                    strcmp(plan->ops[i].path, path) == 0)
                        return true;
        return false;
}

/* A layer that is mounted is not mounted a second time. */
static int check_slots(const struct plan *start, const struct plan_change *c, struct error *err)
{
        for (size_t s = 0; s < c->count; s++)
                for (size_t i = 0; !c->steps[s].keep && c->steps[s].op->slot >= 0 && i < start->count; i++)
                        if (start->ops[i].slot == c->steps[s].op->slot) {
                                cleanup_free char *shown = text_escape(c->steps[s].op->path);
                                error_set(err, EBUSY, "%s: its layer is in use, and is not mounted twice", shown);
                                return error_remedy(err,
                                                    "keep the change in the description and restart the environment");
                        }
        return 0;
}

/* A slot that is new in this life of the environment lasts from now on. */
static int complete_slots(const struct workplace *w, const struct plan *made, struct error *err)
{
        int result = 0;
        for (size_t i = 0; result == 0 && i < made->slots.count; i++)
                result = slots_complete(w->layer, &made->slots.slots[i], err);
        return result;
}

static int clone_all(int from)
{
        return open_tree(from, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
}

/* In the copy: what stands on `path`, as a detached clone. Returns its descriptor. */
static int clone_top(const struct workplace *w, const char *path, struct error *err)
{
        cleanup_close int top = view_target(w, path, err);
        int tree = top < 0 ? -1 : clone_all(top);
        return top < 0 ? top : tree < 0 ? error_sys(err, errno, "cannot clone what was built for %s", path) : tree;
}

/* In the copy: everything up to the finished subtree, as a detached clone. Returns its descriptor. */
static int build(struct workplace *w, const struct plan *start, struct plan_change *c, struct plan *made,
                 unsigned covered, bool back, struct error *err)
{
        int kept[256];
        size_t kept_count = 0;
        for (size_t i = 0; i < c->name_count; i++)
                if (make_name(w, &c->names[i], err) < 0)
                        return -err->code;
        for (size_t i = 0; i < c->count; i++) {
                if (!c->steps[i].keep)
                        continue;
                if (kept_count == sizeof kept / sizeof *kept)
                        return error_set(err, E2BIG, "more than %zu rules lie below %s", kept_count, c->path);
                cleanup_close int target = view_target(w, c->steps[i].op->path, err);
                if (target < 0)
                        return target;
                int tree = clone_all(target);
                if (tree < 0)
                        return error_sys(err, errno, "cannot keep %s", c->steps[i].op->path);
                kept[kept_count++] = tree;
        }
        for (unsigned n = back ? 1 : c->bare ? covered + stands_at_start(start, c->path) : 0; n > 0; n--)
                if (unmount(w, c->path, err) < 0)
                        return -err->code;
        if (back)
                return clone_top(w, c->path, err);
        if (check_slots(start, c, err) < 0)
                return -err->code;
        struct sources *opened = memory_new((made->count + 1) * sizeof *opened);
        int result = 0;
        for (size_t i = 0; result == 0 && i < c->count; i++)
                if (!c->steps[i].keep)
                        result = sources_of(w, c->steps[i].op, &opened[i], err);
        kept_count = 0;
        for (size_t i = 0; result == 0 && i < c->count; i++) {
                const struct plan_op *op = c->steps[i].op;
                cleanup_close int target = view_target(w, op->path, err);
                cleanup_close int tree = c->steps[i].keep ? kept[kept_count++] : -1;
                if (target < 0 && view_nobody_gets_there(op, err->code)) {
                        error_clear(err);
                        continue;
                }
                if (target < 0)
                        result = target;
                else if (!c->steps[i].keep)
                        result = view_operation(w, i, &opened[i], target, err);
                else if (kernel_attach(tree, target) < 0)
                        result = error_sys(err, errno, "cannot take %s along", op->path);
        }
        sources_clear(opened, made->count);
        if (result == 0)
                result = complete_slots(w, made, err);
        return result < 0 ? result : clone_top(w, c->path, err);
}

/* In the copy: finds everything anew, since descriptors from outside of it belong to other mounts, and builds. */
static int enter_and_build(const struct workplace *outside, struct plan_change *c, struct plan *made, unsigned covered,
                           bool back, struct error *err)
{
        struct workplace w = WORKPLACE_INIT;
        w.launch = outside->launch;
        w.plan = made;
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        w.numbering = (size_t)now.tv_sec * 1000000 + (size_t)now.tv_nsec / 1000;
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return error_sys(err, errno, "cannot work on a copy of the view");
        /* The working directory is the one thing that was carried over. */
        w.stage = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        w.layer = openat(w.stage, "state0", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (w.layer < 0)
                w.layer = openat(w.stage, "memory0", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        w.outer = openat(w.stage, "outer0", O_PATH | O_DIRECTORY | O_CLOEXEC);
        w.mirror = openat(w.stage, "mirror0", O_PATH | O_DIRECTORY | O_CLOEXEC);
        w.root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (w.stage < 0 || w.layer < 0 || w.outer < 0 || w.root < 0)
                return error_sys(err, errno, "cannot find what the view was built from");
        return build(&w, outside->launch->plan, c, made, covered, back, err);
}

static _Noreturn void builder(const struct workplace *w, struct plan_change *c, struct plan *made, unsigned covered,
                              bool back, int socket)
{
        cleanup_error struct error err = ERROR_INIT;
        int tree = enter_and_build(w, c, made, covered, back, &err);
        if (tree < 0)
                report_send(socket, REPORT_FAILED, err.code, &err, -1);
        else
                report_send(socket, REPORT_READY, 0, NULL, tree);
        _exit(tree < 0);
}

/* Has the new subtree built. Returns it, detached. */
static int have_built(const struct workplace *w, struct plan_change *c, struct plan *made, unsigned covered, bool back,
                      struct error *err)
{
        int sockets[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
                return error_sys(err, errno, "cannot make a socket pair");
        cleanup_close int ours = sockets[0], theirs = sockets[1];
        pid_t pid = kernel_fork(CLONE_NEWNS);
        if (pid == 0)
                builder(w, c, made, covered, back, theirs);
        if (pid < 0)
                return error_sys(err, errno, "cannot make a process that builds the change");
        close(steal_fd(&theirs));
        struct report report;
        int tree = -1;
        int got = report_receive(ours, &report, &tree);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
        if (got == 1 && report.type == REPORT_READY && tree >= 0)
                return tree;
        if (got != 1 || report.type != REPORT_FAILED)
                return error_set(err, EIO, "the process that built the change of %s was killed", c->path);
        error_set(err, report.value, "%s", report.text);
        return report.remedy[0] ? error_remedy(err, "%s", report.remedy) : -err->code;
}

/* Do the programs inside see at `path` what the view has there? */
static int check_arrival(const struct keep *k, const char *path, const struct stat *wanted, struct error *err)
{
        pid_t pid = kernel_fork(0);
        if (pid == 0) {
                struct stat st;
                cleanup_error struct error unheard = ERROR_INIT;
                cleanup_close int root = floor_enter(&k->floor, &unheard) < 0
                                                 ? -1
                                                 : open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
                cleanup_close int there = root < 0 ? -1 : kernel_open_below(root, path, O_PATH | O_NOFOLLOW);
                _exit(there < 0 || fstat(there, &st) < 0 || st.st_dev != wanted->st_dev || st.st_ino != wanted->st_ino);
        }
        int status = -1;
        while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        if (status == 0)
                return 0;
        error_set(err, EPERM,
                  "the change of %s did not reach the programs: root inside has cut their mounts off from the view's",
                  path);
        return error_remedy(err, "keep the change in the description and restart the environment");
}

/* Carries out the change. `covered`: so many earlier ones lie on its top. `back`: it leads back to before the last of
 * them. */
static int revise(const struct keep *k, const char *text, unsigned covered, bool back, struct error *err)
{
        const struct workplace *w = k->w;
        struct plan_change c;
        struct plan made;
        int result = plan_change_decode(text, &c, &made, err);
        if (result < 0)
                return result;
        if (w->kept_stage < 0 || w->staged) {
                error_set(err, EOPNOTSUPP, "the view of an environment of real root cannot change while it runs");
                result = error_remedy(err, "keep the change in the description and restart the environment");
        } else if (fchdir(w->kept_stage) < 0) {
                result = error_sys(err, errno, "cannot find what the view was built from");
        }
        struct workplace here = WORKPLACE_INIT;
        cleanup_close int root = result < 0 ? -1 : open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        here.root = root;
        cleanup_close int tree = result < 0 ? -1 : have_built(w, &c, &made, covered, back, err);
        cleanup_close int target = tree < 0 ? -1 : view_target(&here, c.path, err);
        result = target < 0 ? -err->code : 0;
        struct stat st = {0};
        if (result == 0 && kernel_attach(tree, target) < 0)
                result = error_sys(err, errno, "cannot attach the change of %s", c.path);
        cleanup_close int now = result < 0 ? -1 : view_target(&here, c.path, err);
        if (result == 0 && (now < 0 || fstat(now, &st) < 0))
                result = error_sys(err, errno, "cannot find the change of %s", c.path);
        if (result == 0)
                result = check_arrival(k, c.path, &st, err);
        plan_change_clear(&c);
        plan_clear(&made);
        return result;
}

/* What the sealed memory file holds. Fresh memory, or NULL with `err` set. */
static char *read_all(int fd, struct error *err)
{
        struct stat st;
        cleanup_free char *text = fstat(fd, &st) == 0 ? memory_new((size_t)st.st_size + 1) : NULL;
        if (!text || pread(fd, text, (size_t)st.st_size, 0) != st.st_size) {
                error_sys(err, errno, "cannot read the change of the view");
                return NULL;
        }
        return steal_pointer(&text);
}

_Noreturn void revise_view(struct keep *k, const struct order *order, int change)
{
        cleanup_error struct error err = ERROR_INIT;
        prctl(PR_SET_NAME, "paddock-change", 0, 0, 0);
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        cleanup_free char *text = read_all(change, &err);
        int result = text ? revise(k, text, (unsigned)order->value, order->flags & ORDER_BACK, &err) : -err.code;
        change_tell(k, order, result, 0, -1, &err);
        close(change); /* these numbers are init's as well */
        _exit(0);
}
