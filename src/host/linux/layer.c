// SPDX-License-Identifier: GPL-3.0-or-later
/* Can a layer lie in this directory, and who may read it? */
#include "host/host.h"

#include "base/cleanup.h"
#include "host/linux/identity.h"

#include <sched.h>

#include <linux/magic.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#define NFS_MAGIC 0x6969
#define FUSE_MAGIC 0x65735546
#define VFAT_MAGIC 0x4d44

/* Overlay wants of the file system below its upper directory: no overlay itself, a kernel that decides alone (no NFS,
 * no FUSE), whiteouts and extended attributes (Documentation/filesystems/overlayfs.rst, "Upper and Lower"). */
int host_layer_fits(int directory, bool try, struct error *err)
{
        struct statfs fs;
        if (fstatfs(directory, &fs) < 0)
                return error_sys(err, errno, "cannot look at the file system of the state directory");
        const char *kind = fs.f_type == OVERLAYFS_SUPER_MAGIC ? "an overlay"
                           : fs.f_type == NFS_MAGIC           ? "on NFS"
                           : fs.f_type == FUSE_MAGIC          ? "on FUSE"
                           : fs.f_type == VFAT_MAGIC          ? "on FAT"
                                                              : NULL;
        if (!kind && try && fsetxattr(directory, "user.paddock", "1", 1, 0) < 0 && errno == EOPNOTSUPP)
                kind = "without user extended attributes";
        if (!kind)
                return 0;
        error_set(err, EOPNOTSUPP, "the state directory is %s, which cannot hold a layer", kind);
        return error_remedy(err, "set XDG_STATE_HOME to a directory on a local disk (ext4, xfs, btrfs, or tmpfs of "
                                 "Linux 6.6)");
}

void host_read_everything(void)
{
        cleanup_error struct error unheard = ERROR_INIT; /* the files that it was for are then named one by one */
        uid_t uid = geteuid();
        gid_t gid = getegid();
        /* In a user namespace of its own a process has power over the files of the ids that are mapped: its own. */
        if (uid != 0 && unshare(CLONE_NEWUSER) == 0)
                identity_map_self(uid, gid, &unheard);
}
