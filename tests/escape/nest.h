// SPDX-License-Identifier: GPL-3.0-or-later
/* What attacks have in common: the rights of root in a user and mount namespace of their own. */
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static inline void put(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY);
        if (fd >= 0) {
                (void)!write(fd, text, strlen(text));
                close(fd);
        }
}

/* Enters such a namespace. */
static inline bool nest(void)
{
        char map[64], groups[64];
        snprintf(map, sizeof map, "0 %u 1", geteuid());
        snprintf(groups, sizeof groups, "0 %u 1", getegid());
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
                return false;
        put("/proc/self/setgroups", "deny");
        put("/proc/self/uid_map", map);
        put("/proc/self/gid_map", groups);
        return true;
}
