// SPDX-License-Identifier: GPL-3.0-or-later
/* Ids inside and outside: see identity.h and user_namespaces(7). */
#include "host/linux/identity.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <fcntl.h>
#include <string.h>

static int write_to(const char *path, const char *text, struct error *err)
{
        cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, text, strlen(text)) < 0)
                return error_sys(err, errno, "cannot write %s", path);
        return 0;
}

static int map_one(uid_t uid_inside, uid_t uid, gid_t gid_inside, gid_t gid, struct error *err)
{
        char text[64];
        snprintf(text, sizeof text, "%u %u 1\n", uid_inside, uid);
        int result = write_to("/proc/self/uid_map", text, err);
        if (result < 0)
                return result;
        /* A user may map a group only after giving up setgroups(2), or dropping a group could gain rights. Below
         * another such namespace it is given up already and the file refuses to be written again. */
        cleanup_error struct error given_up = ERROR_INIT;
        write_to("/proc/self/setgroups", "deny", &given_up);
        snprintf(text, sizeof text, "%u %u 1\n", gid_inside, gid);
        return write_to("/proc/self/gid_map", text, err);
}

int identity_map_self(uid_t uid, gid_t gid, struct error *err)
{
        return map_one(uid, uid, gid, gid, err);
}

int identity_map_root(uid_t uid, gid_t gid, struct error *err)
{
        return map_one(0, uid, 0, gid, err);
}

static int map_pid(pid_t pid, const char *which, unsigned outside, unsigned count, struct error *err)
{
        char path[64], text[64];
        snprintf(text, sizeof text, "0 %u %u\n", outside, count);
        snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, which);
        return write_to(path, text, err);
}

/* A line for each of ours: the kernel refuses one that two of ours make up together. */
static int map_same(pid_t pid, const char *which, struct error *err)
{
        char path[64];
        snprintf(path, sizeof path, "/proc/self/%s", which);
        cleanup_file FILE *map = fopen(path, "re");
        if (!map)
                return error_sys(err, errno, "cannot read %s", path);
        cleanup_text struct text lines = {0};
        unsigned long inside, outside, count;
        while (fscanf(map, "%lu %lu %lu", &inside, &outside, &count) == 3)
                text_addf(&lines, "%lu %lu %lu\n", inside, inside, count);
        snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, which);
        return write_to(path, lines.length ? lines.data : "", err);
}

int identity_map_same(pid_t pid, struct error *err)
{
        int result = map_same(pid, "uid_map", err);
        return result < 0 ? result : map_same(pid, "gid_map", err);
}

unsigned identity_count(const char *file)
{
        cleanup_file FILE *map = fopen(file, "re");
        unsigned long inside, outside, count, next = 0;
        while (map && fscanf(map, "%lu %lu %lu", &inside, &outside, &count) == 3 && inside == next)
                next += count;
        return next > 0xFFFFFFFFUL ? 0xFFFFFFFFU : (unsigned)next;
}

int identity_map_range(pid_t pid, unsigned outside, unsigned count, struct error *err)
{
        int result = map_pid(pid, "uid_map", outside, count, err);
        return result < 0 ? result : map_pid(pid, "gid_map", outside, count, err);
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
                if (colon && sscanf(colon + 1, "%lu:%lu", &start, &count) == 2 &&
                    start < (unsigned long)first + IDENTITY_RANGE && start + count > first)
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

bool identity_begins_range(unsigned id)
{
        return id >= RANGE_FIRST && (id - RANGE_FIRST) % IDENTITY_RANGE == 0 &&
               (id - RANGE_FIRST) / IDENTITY_RANGE < RANGE_COUNT;
}
