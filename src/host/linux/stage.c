// SPDX-License-Identifier: GPL-3.0-or-later
/* The stage: a tmpfs for mount points, whiteouts and closed things, which lives as long as the view does. */
#include "host/linux/workplace.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "host/linux/kernel.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

int stage_open(struct workplace *w, struct error *err)
{
        /* Attached where the environment's /dev will cover it: an overlay refuses layers on a mount that stands
         * nowhere. */
        const char *size = w->plan->in_memory ? "mode=0755" : "mode=0755,size=25%";
        if (mount("paddock", w->stage_point, "tmpfs", MS_NOSUID | MS_NODEV, size) < 0)
                return error_sys(err, errno, "cannot mount a tmpfs to build the view on");
        w->stage = open(w->stage_point, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return w->stage < 0 ? error_sys(err, errno, "cannot open the stage") : 0;
}

int stage_directory(struct workplace *w, const char *prefix, size_t number, unsigned mode, struct error *err)
{
        char name[64];
        snprintf(name, sizeof name, "%s%zu", prefix, number);
        if (mkdirat(w->stage, name, 0755) < 0 && errno != EEXIST)
                return error_sys(err, errno, "cannot make a directory on the stage");
        int fd = openat(w->stage, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || fchmodat(w->stage, name, mode, 0) < 0)
                return error_sys(err, errno, "cannot open a directory on the stage");
        return fd;
}

/* The directory that `path` is to be made in, below `directory`: made where it is missing, and never through a link,
 * which a program may have left in a layer. Returns a descriptor or -errno; *last points at the last component. */
static int parent_of(int directory, const char *path, const char **last)
{
        cleanup_close int at = openat(directory, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        *last = path;
        for (const char *slash; at >= 0 && (slash = strchr(path, '/')); path = slash + 1) {
                cleanup_free char *component = memory_format("%.*s", (int)(slash - path), path);
                (void)!mkdirat(at, component, 0755); /* it may well be there */
                int next = openat(at, component, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (next < 0)
                        return -errno;
                close(at);
                at = next;
        }
        *last = path;
        return at < 0 ? -errno : steal_fd(&at);
}

static int make_name(int parent, const char *last, const struct plan_name *name)
{
        int result = 0;
        switch (name->kind) {
        case NAME_DIRECTORY: {
                result = mkdirat(parent, last, 0755);
                cleanup_close int made = result < 0 ? -1
                                                    : openat(parent, last,
                                                             O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (result == 0)
                        result = made < 0 ? -1 : fchmod(made, name->mode);
                break;
        }
        case NAME_FILE:
                result = mknodat(parent, last, S_IFREG | name->mode, 0);
                break;
        case NAME_WHITEOUT: /* character device 0:0, which overlay reads as "not there" and users may make */
                result = mknodat(parent, last, S_IFCHR, makedev(0, 0));
                break;
        case NAME_SYMLINK:
                result = symlinkat(name->target, parent, last);
                break;
        }
        return result < 0 && errno != EEXIST ? -errno : 0;
}

int stage_names(int directory, const struct plan_name *names, size_t count, struct error *err)
{
        for (size_t i = 0; i < count; i++) {
                const char *last = names[i].path;
                cleanup_close int parent = parent_of(directory, names[i].path, &last);
                int result = parent < 0 ? parent : make_name(parent, last, &names[i]);
                if (result < 0) {
                        cleanup_free char *shown = text_escape(names[i].path);
                        return error_sys(err, -result, "cannot make the name %s in the view", shown);
                }
        }
        return 0;
}
