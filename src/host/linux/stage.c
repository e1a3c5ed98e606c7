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
        /* Attached where the environment's /dev will cover it: an overlay refuses layers on a mount that stands nowhere. */
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

int stage_names(int directory, const struct plan_name *names, size_t count, struct error *err)
{
        for (size_t i = 0; i < count; i++) {
                const struct plan_name *name = &names[i];
                int result = 0;
                /* Parents come before children in the list, or are made here with ordinary permissions. */
                cleanup_free char *partial = memory_string(name->path);
                for (char *slash = partial; (slash = strchr(slash, '/')); slash++) {
                        *slash = '\0';
                        mkdirat(directory, partial, 0755);
                        *slash = '/';
                }
                switch (name->kind) {
                case NAME_DIRECTORY:
                        result = mkdirat(directory, name->path, 0755);
                        if (result == 0 || errno == EEXIST)
                                result = fchmodat(directory, name->path, name->mode, 0);
                        break;
                case NAME_FILE:
                        result = mknodat(directory, name->path, S_IFREG | name->mode, 0);
                        break;
                case NAME_WHITEOUT: /* character device 0:0, which overlay reads as "not there" and users may make */
                        result = mknodat(directory, name->path, S_IFCHR, makedev(0, 0));
                        break;
                case NAME_SYMLINK:
                        result = symlinkat(name->target, directory, name->path);
                        break;
                }
                if (result < 0 && errno != EEXIST) {
                        int code = errno;
                        cleanup_free char *shown = text_escape(name->path);
                        return error_sys(err, code, "cannot make the name %s in the view", shown);
                }
        }
        return 0;
}
