// SPDX-License-Identifier: GPL-3.0-or-later
/* Ids inside and outside: see identity.h and user_namespaces(7). */
#include "host/linux/identity.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

static int write_to(const char *path, const char *text, struct error *err)
{
        cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, text, strlen(text)) < 0)
                return error_sys(err, errno, "cannot write %s", path);
        return 0;
}

int identity_map_self(uid_t uid, gid_t gid, struct error *err)
{
        char text[64];
        snprintf(text, sizeof text, "%u %u 1\n", uid, uid);
        int result = write_to("/proc/self/uid_map", text, err);
        if (result < 0)
                return result;
        /* A user may map a group only after giving up setgroups(2), or dropping a group could gain rights. Below another
         * such namespace it is given up already and the file refuses to be written again. */
        cleanup_error struct error given_up = ERROR_INIT;
        write_to("/proc/self/setgroups", "deny", &given_up);
        snprintf(text, sizeof text, "%u %u 1\n", gid, gid);
        return write_to("/proc/self/gid_map", text, err);
}

int identity_map_range(pid_t pid, unsigned outside, unsigned count, struct error *err)
{
        char path[64], text[64];
        snprintf(text, sizeof text, "0 %u %u\n", outside, count);
        snprintf(path, sizeof path, "/proc/%d/uid_map", (int)pid);
        int result = write_to(path, text, err);
        if (result < 0)
                return result;
        snprintf(path, sizeof path, "/proc/%d/gid_map", (int)pid);
        return write_to(path, text, err);
}

/* Between 0x70000000 (above systemd's container range, which ends at 0x6FFFFFFF by its UIDS-GIDS document) and
 * 0x7FFF0000 (below what signed 32-bit tools mistake for negative). */
#define RANGE_FIRST 0x70000000u
#define RANGE_COUNT 0xFFEu

/* Does a line of /etc/subuid ("name:first:count") overlap? */
static bool delegated(unsigned first)
{
        cleanup_file FILE *file = fopen("/etc/subuid", "re");
        char line[256];
        while (file && fgets(line, sizeof line, file)) {
                const char *colon = strchr(line, ':');
                unsigned long start, count;
                if (colon && sscanf(colon + 1, "%lu:%lu", &start, &count) == 2 && start < (unsigned long)first + IDENTITY_RANGE &&
                    start + count > first)
                        return true;
        }
        return false;
}

unsigned identity_unused_range(const char *key)
{
        unsigned hash = 2166136261u;
        for (; *key; key++)
                hash = (hash ^ (unsigned char)*key) * 16777619u;
        for (unsigned i = 0; i < RANGE_COUNT; i++) {
                unsigned first = RANGE_FIRST + (hash + i) % RANGE_COUNT * IDENTITY_RANGE;
                if (!delegated(first))
                        return first;
        }
        return RANGE_FIRST;
}
