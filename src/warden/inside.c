// SPDX-License-Identifier: GPL-3.0-or-later
/* Processes of the environment, found outside through /proc, which the warden may read but not list: see rights.h. */
#include "base/cleanup.h"
#include "base/text.h"
#include "warden/rights.h"

#include <fcntl.h>
#include <string.h>

#define DEPTH 64
#define ROOM 4096

static ssize_t read_proc(int pid, const char *file, char *room, size_t size)
{
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
        cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, room, size - 1);
        room[n > 0 ? n : 0] = '\0';
        return n;
}

/* Field 22 of /proc/PID/stat, behind the name, which may hold anything. */
static unsigned long long start_of(int pid)
{
        char room[1024];
        read_proc(pid, "stat", room, sizeof room);
        const char *p = strrchr(room, ')');
        for (int i = 0; p && i < 20; i++)
                p = strchr(p + 1, ' ');
        return p ? strtoull(p, NULL, 10) : 0;
}

/* Is it `pid` in the pid namespace of init, whose first number is outside and second there? */
static bool is_inside(int outer, unsigned pid)
{
        char room[ROOM];
        read_proc(outer, "status", room, sizeof room);
        const char *line = strstr(room, "\nNSpid:");
        char *end = NULL;
        if (!line || !strtol(line + 7, &end, 10))
                return false;
        return strtoul(end, NULL, 10) == pid;
}

static int search(int above, unsigned pid, int depth)
{
        char path[64], room[16 * ROOM];
        snprintf(path, sizeof path, "task/%d/children", above);
        read_proc(above, path, room, sizeof room);
        for (char *p = room, *end; depth < DEPTH; p = end) {
                int child = (int)strtol(p, &end, 10);
                if (end == p || child <= 0)
                        break;
                int found = is_inside(child, pid) ? child : search(child, pid, depth + 1);
                if (found)
                        return found;
        }
        return 0;
}

int inside_find(int init, unsigned pid, unsigned long long *started)
{
        int found = pid ? search(init, pid, 0) : 0;
        *started = found ? start_of(found) : 0;
        return found;
}

bool inside_lives(int pid, unsigned long long started)
{
        char room[1024];
        if (!started || start_of(pid) != started)
                return false;
        read_proc(pid, "stat", room, sizeof room);
        const char *p = strrchr(room, ')');
        return p && p[1] == ' ' && p[2] != 'Z' && p[2] != 'X';
}

char *inside_title(int pid)
{
        char room[512];
        ssize_t n = read_proc(pid, "cmdline", room, sizeof room);
        for (ssize_t i = 0; i + 1 < n; i++)
                if (!room[i])
                        room[i] = ' ';
        if (n <= 0) { /* it has just ended */
                read_proc(pid, "comm", room, sizeof room);
                room[strcspn(room, "\n")] = '\0';
        }
        return memory_format("%s (pid %d)", room, pid);
}
