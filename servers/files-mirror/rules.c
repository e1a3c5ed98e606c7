// SPDX-License-Identifier: GPL-3.0-or-later
/* What the mirror does not show: see rules.h. */
#include "rules.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#ifndef MQUEUE_MAGIC
#define MQUEUE_MAGIC 0x19800202
#endif
#ifndef CONFIGFS_MAGIC
#define CONFIGFS_MAGIC 0x62656570
#endif
#ifndef FUSE_CTL_SUPER_MAGIC
#define FUSE_CTL_SUPER_MAGIC 0x65735543
#endif
#ifndef RPC_PIPEFS_MAGIC
#define RPC_PIPEFS_MAGIC 0x67596969
#endif
#ifndef GFS2_MAGIC
#define GFS2_MAGIC 0x01161970
#endif
#ifndef VBOXSF_SUPER_MAGIC
#define VBOXSF_SUPER_MAGIC 0x786f4256
#endif
#ifndef LUSTRE_SUPER_MAGIC
#define LUSTRE_SUPER_MAGIC 0x0bd00bd0
#endif

const struct rule_point *rules_below(const struct rule_point *point, const char *name)
{
        if (!point)
                return NULL;
        for (const struct rule_point *child = point->children; child; child = child->next)
                if (strcmp(child->name, name) == 0)
                        return child;
        return NULL;
}

int rules_add(struct rules *rules, enum rule_kind kind, const char *path)
{
        if (path[0] != '/')
                return -EINVAL;
        struct rule_point *point = &rules->root;
        cleanup_free char *copy = memory_string(path);
        char *rest = copy;
        for (char *name; (name = strsep(&rest, "/"));) {
                if (!*name)
                        continue;
                if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
                        return -EINVAL;
                struct rule_point *child = (struct rule_point *)rules_below(point, name);
                if (!child) {
                        child = memory_new(sizeof *child);
                        child->name = memory_string(name);
                        child->next = point->children; /* NOLINT(clang-analyzer-core.NullDereference): never NULL */
                        point->children = child;
                }
                point = child;
        }
        if (point == &rules->root && kind == RULE_HIDDEN)
                return -EINVAL; /* a mirror of nothing */
        if (point->kind != RULE_HIDDEN)
                point->kind = kind;
        return 0;
}

/* What fd and name lead to, without following a link. */
static bool identity_of(int fd, const char *name, struct rule_identity *identity)
{
        struct statx stx;
        int flags = AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
        if (statx(fd, name, flags, STATX_INO | STATX_BTIME, &stx) < 0)
                return false;
        *identity = (struct rule_identity){.dev = makedev(stx.stx_dev_major, stx.stx_dev_minor), .ino = stx.stx_ino,
                                           .has_birth = stx.stx_mask & STATX_BTIME, .birth = stx.stx_btime.tv_sec,
                                           .birth_nanoseconds = stx.stx_btime.tv_nsec};
        return true;
}

/* `above`: the path of `point`, "" for the root. */
static void identify(struct rules *rules, const struct rule_point *point, int root, const char *above)
{
        for (const struct rule_point *child = point->children; child; child = child->next) {
                cleanup_free char *path = memory_format("%s/%s", above, child->name);
                identify(rules, child, root, path);
                if (child->kind != RULE_HIDDEN)
                        continue;
                struct open_how how = {.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
                cleanup_close int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
                struct rule_identity identity;
                if (fd < 0 || !identity_of(fd, "", &identity))
                        continue; /* nothing is there to be reached under another name */
                rules->hidden = memory_grow(rules->hidden, rules->hidden_count + 1, sizeof *rules->hidden);
                rules->hidden[rules->hidden_count++] = identity;
        }
}

int rules_identify(struct rules *rules, int root)
{
        identify(rules, &rules->root, root, "");
        return 0;
}

static void clear(const struct rule_point *point)
{
        for (const struct rule_point *child = point->children, *next; child; child = next) {
                next = child->next;
                clear(child);
                free(child->name);
                free((void *)child);
        }
}

void rules_clear(struct rules *rules)
{
        clear(&rules->root);
        free(rules->hidden);
        *rules = (struct rules){0};
}

bool rules_hides(const struct rules *rules, const struct stat *st, int fd, const char *name)
{
        for (size_t i = 0; i < rules->hidden_count; i++) {
                const struct rule_identity *hidden = &rules->hidden[i];
                struct rule_identity here;
                if (hidden->ino != st->st_ino || hidden->dev != st->st_dev)
                        continue;
                if (!hidden->has_birth || !identity_of(fd, name, &here) || here.ino != hidden->ino ||
                    here.dev != hidden->dev || !here.has_birth)
                        return true;
                if (here.birth == hidden->birth && here.birth_nanoseconds == hidden->birth_nanoseconds)
                        return true;
        }
        return false;
}

bool rules_blank_type(long type)
{
        static const uint32_t blank[] = {
                PROC_SUPER_MAGIC,  SYSFS_MAGIC,    DEVPTS_SUPER_MAGIC, CGROUP_SUPER_MAGIC,    CGROUP2_SUPER_MAGIC,
                DEBUGFS_MAGIC,     TRACEFS_MAGIC,  SECURITYFS_MAGIC,   PSTOREFS_MAGIC,        EFIVARFS_MAGIC,
                BPF_FS_MAGIC,      AUTOFS_SUPER_MAGIC, BINFMTFS_MAGIC, MQUEUE_MAGIC,          CONFIGFS_MAGIC,
                FUSE_CTL_SUPER_MAGIC, NSFS_MAGIC,  SELINUX_MAGIC,      RPC_PIPEFS_MAGIC,
        };
        for (size_t i = 0; i < sizeof blank / sizeof *blank; i++)
                if ((uint32_t)type == blank[i])
                        return true;
        return false;
}

bool rules_remote_type(long type)
{
        /* A type is 32 bits; some machines have it as a signed number. */
        static const uint32_t remote[] = {
                NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, CIFS_SUPER_MAGIC,  SMB2_SUPER_MAGIC, FUSE_SUPER_MAGIC, V9FS_MAGIC,
                CEPH_SUPER_MAGIC, AFS_SUPER_MAGIC, AFS_FS_MAGIC, CODA_SUPER_MAGIC, OCFS2_SUPER_MAGIC, GFS2_MAGIC,
                VBOXSF_SUPER_MAGIC, LUSTRE_SUPER_MAGIC,
        };
        for (size_t i = 0; i < sizeof remote / sizeof *remote; i++)
                if ((uint32_t)type == remote[i])
                        return true;
        return false;
}
