// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Overlay mounts by an ordinary user.
 *
 * The layers are handed over as descriptors: with /proc/self/fd as the working directory their names are just numbers.
 * So no name needs escaping, none can be swapped between looking and mounting, a page of options holds hundreds of
 * layers, and the mount table inside tells nothing of where the state lies.
 */
#include "host/linux/workplace.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "host/linux/kernel.h"

#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

/* On a tmpfs there is nothing to sync, and so no need to say that it is not wanted: for that overlay would make, and
 * somebody have to remove, four names in each work directory. */
static bool is_in_memory(int directory)
{
        struct statfs fs;
        return fstatfs(directory, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

/* Is one of them an overlay itself? */
static bool is_stacked(const int *lower, size_t count)
{
        struct statfs fs;
        for (size_t i = 0; i < count; i++)
                if (fstatfs(lower[i], &fs) == 0 && fs.f_type == OVERLAYFS_SUPER_MAGIC)
                        return true;
        return false;
}

/* `userxattr`: marks go to user.overlay.*, which an ordinary user may set. `volatile`: no syncing of a layer that is
 * thrown away. Neither redirect_dir nor metacopy can be had with userxattr: renaming a lower directory gives EXDEV, and
 * mv copes. */
int overlay_mount(int target, const int *lower, size_t lower_count, int upper, int work, bool is_volatile,
                  const char *path, struct error *err)
{
        cleanup_text struct text options = {0};
        text_add(&options, "userxattr,lowerdir=");
        for (size_t i = 0; i < lower_count; i++)
                text_addf(&options, "%s%d", i ? ":" : "", lower[i]);
        if (upper >= 0)
                text_addf(&options, ",upperdir=%d,workdir=%d%s", upper, work,
                          is_volatile && !is_in_memory(upper) ? ",volatile" : "");
        cleanup_free char *shown = text_escape(path);
        if (options.length > 4000)
                return error_set(err, E2BIG, "%s: too many directories united in one place", shown);
        if (chdir("/proc/self/fd") < 0)
                return error_sys(err, errno, "cannot enter /proc/self/fd");
        char name[32];
        snprintf(name, sizeof name, "%d", target);
        unsigned long flags = MS_NODEV | (upper < 0 ? MS_RDONLY : 0);
        if (mount("paddock", name, "overlay", flags, options.data) == 0)
                return 0;
        int code = errno;
        error_sys(err, code, "cannot mount the layer of %s", shown);
        if (code == EINVAL && is_stacked(lower, lower_count))
                error_remedy(err,
                             "the kernel lays two overlays on each other and no third: an environment inside one that "
                             "lies over a snapshot "
                             "or is a clone can have no layer there; --mirror %s avoids it",
                             shown);
        else if (code == EINVAL)
                error_remedy(err,
                             "its file system cannot be the base or the upper part of an overlay; `paddock doctor` "
                             "tells "
                             "which; --mirror %s or XDG_STATE_HOME on another file system avoids it",
                             shown);
        else if (code == EPERM || code == ENODEV)
                error_remedy(err,
                             "this kernel forbids overlay mounts to users (it needs Linux 5.11): see `paddock doctor`");
        return -code;
}
