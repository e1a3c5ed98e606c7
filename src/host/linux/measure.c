// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What the processes of a started environment have of memory: that which is theirs (RssAnon) and shared memory that
 * they have mapped (RssShmem), from /proc/PID/status. What several share is counted for each of them. Programs and
 * files that could be read again are not counted, nor are files on a tmpfs that nobody has mapped.
 */
#include "host/linux/keep.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>

static uint64_t field(const char *status, const char *name)
{
        const char *at = strstr(status, name);
        return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static uint64_t sum(int proc)
{
        uint64_t total = 0;
        int copy = openat(proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cleanup_dir DIR *dir = copy < 0 ? NULL : fdopendir(copy);
        for (struct dirent *entry; dir && (entry = readdir(dir));) {
                char path[sizeof entry->d_name + 8], status[4096];
                if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
                        continue;
                snprintf(path, sizeof path, "%s/status", entry->d_name);
                cleanup_close int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
                ssize_t n = fd < 0 ? -1 : read(fd, status, sizeof status - 1);
                status[n > 0 ? n : 0] = '\0';
                total += field(status, "\nRssAnon:") + field(status, "\nRssShmem:");
        }
        return total;
}

_Noreturn void measure_memory(struct keep *k, const struct order *order)
{
        prctl(PR_SET_NAME, "paddock-change", 0, 0, 0);
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        uint64_t total = sum(k->proc);
        change_tell(k, order, 0, total > INT32_MAX ? INT32_MAX : (int)total, -1, NULL);
        _exit(0);
}
