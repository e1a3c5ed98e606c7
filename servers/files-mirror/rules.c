// SPDX-License-Identifier: GPL-3.0-or-later
/* What the mirror does not show: see rules.h. */
#include "rules.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>

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
                struct rule_point *child = (struct rule_point *)rules_below(point, name);
                if (!child) {
                        child = memory_new(sizeof *child);
                        child->name = memory_string(name);
                        child->next = point->children;
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

static void identify(struct rules *rules, const struct rule_point *point, int directory)
{
        for (const struct rule_point *child = point->children; child; child = child->next) {
                struct stat st;
                if (fstatat(directory, child->name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
                        continue; /* nothing is there to be reached under another name */
                if (child->kind == RULE_HIDDEN) {
                        rules->hidden = memory_grow(rules->hidden, rules->hidden_count + 1, sizeof *rules->hidden);
                        rules->hidden[rules->hidden_count++] = (struct rule_identity){st.st_dev, st.st_ino};
                } else if (S_ISDIR(st.st_mode) && child->children) {
                        int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
                        cleanup_close int below = openat(directory, child->name, flags);
                        if (below >= 0)
                                identify(rules, child, below);
                }
        }
}

int rules_identify(struct rules *rules, int root)
{
        identify(rules, &rules->root, root);
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

bool rules_hides(const struct rules *rules, dev_t dev, ino_t ino)
{
        for (size_t i = 0; i < rules->hidden_count; i++)
                if (rules->hidden[i].ino == ino && rules->hidden[i].dev == dev)
                        return true;
        return false;
}

bool rules_blank_type(long type)
{
        static const unsigned long blank[] = {
                PROC_SUPER_MAGIC,  SYSFS_MAGIC,    DEVPTS_SUPER_MAGIC, CGROUP_SUPER_MAGIC,    CGROUP2_SUPER_MAGIC,
                DEBUGFS_MAGIC,     TRACEFS_MAGIC,  SECURITYFS_MAGIC,   PSTOREFS_MAGIC,        EFIVARFS_MAGIC,
                BPF_FS_MAGIC,      AUTOFS_SUPER_MAGIC, BINFMTFS_MAGIC, MQUEUE_MAGIC,          CONFIGFS_MAGIC,
                FUSE_CTL_SUPER_MAGIC, NSFS_MAGIC,  SELINUX_MAGIC,      RPC_PIPEFS_MAGIC,
        };
        for (size_t i = 0; i < sizeof blank / sizeof *blank; i++)
                if ((unsigned long)type == blank[i])
                        return true;
        return false;
}
