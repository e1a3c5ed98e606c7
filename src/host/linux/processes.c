// SPDX-License-Identifier: GPL-3.0-or-later
/* The processes of an environment, seen from outside: see host_processes() in host.h. */
#include "host/host.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <fcntl.h>
#include <string.h>

/* One look at a process of the whole system. */
struct seen {
        int pid, parent;
        int init; /* the one of ours that it descends from, or 0 */
};

/* A file of /proc/PID, which may be long gone. Returns its length, at most size-1. */
static size_t read_proc(int pid, const char *name, char *text, size_t size)
{
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
        cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
        size_t length = 0;
        while (fd >= 0 && length < size - 1) {
                ssize_t n = read(fd, text + length, size - 1 - length);
                if (n <= 0)
                        break;
                length += (size_t)n;
        }
        text[length] = '\0';
        return length;
}

/* Field `number` (from 3 on) of /proc/PID/stat, proc(5); the name before may hold anything. */
static unsigned long long stat_field(const char *stat, int number)
{
        const char *field = strrchr(stat, ')');
        for (int i = 2; field && i < number; i++)
                field = strchr(field + 1, ' ');
        return field ? strtoull(field + 1, NULL, 10) : 0;
}

static int by_pid(const void *a, const void *b)
{
        return ((const struct seen *)a)->pid - ((const struct seen *)b)->pid;
}

static struct seen *look(size_t *count)
{
        size_t capacity = 0;
        struct seen *all = NULL;
        *count = 0;
        cleanup_dir DIR *dir = opendir("/proc");
        struct dirent *entry;
        while (dir && (entry = readdir(dir))) {
                char stat[1024];
                int pid = atoi(entry->d_name);
                if (pid > 0 && read_proc(pid, "stat", stat, sizeof stat))
                        *vector_add(all, *count, capacity) =
                                (struct seen){.pid = pid, .parent = (int)stat_field(stat, 4)};
        }
        if (*count)
                qsort(all, *count, sizeof *all, by_pid);
        return all;
}

/* Marks those that descend from one of `inits`. Every process inside does: orphans become init's. */
static void mark(struct seen *all, size_t count, const int *inits, size_t init_count)
{
        for (size_t i = 0; i < count; i++)
                for (size_t k = 0; k < init_count; k++)
                        if (all[i].pid == inits[k])
                                all[i].init = inits[k];
        for (bool more = true; more;) {
                more = false;
                for (size_t i = 0; i < count; i++) {
                        if (all[i].init)
                                continue;
                        struct seen key = {.pid = all[i].parent};
                        const struct seen *parent = bsearch(&key, all, count, sizeof *all, by_pid);
                        all[i].init = parent ? parent->init : 0;
                        more |= all[i].init != 0;
                }
        }
}

/* The id inside of `outside`, by the map of the process's user namespace; -1: it has none. */
static long id_inside(int pid, unsigned long outside)
{
        char map[4096];
        read_proc(pid, "uid_map", map, sizeof map);
        char *rest = map;
        for (char *line; (line = strsep(&rest, "\n"));) {
                unsigned long inner, outer, count;
                if (sscanf(line, "%lu %lu %lu", &inner, &outer, &count) == 3 && outside >= outer &&
                    outside - outer < count)
                        return (long)(inner + outside - outer);
        }
        return -1;
}

static char *command_of(int pid, const char *stat)
{
        char line[4096];
        size_t length = read_proc(pid, "cmdline", line, sizeof line);
        while (length && !line[length - 1])
                length--;
        for (size_t i = 0; i < length; i++)
                if (!line[i])
                        line[i] = ' ';
        line[length] = '\0';
        if (length)
                return text_escape(line);
        const char *open = strchr(stat, '('), *close = strrchr(stat, ')');
        snprintf(line, sizeof line, "[%.*s]", open && close > open ? (int)(close - open - 1) : 1,
                 open ? open + 1 : "?");
        return text_escape(line);
}

static bool describe(int pid, struct process *p)
{
        char status[4096], stat[1024], statm[128];
        if (!read_proc(pid, "status", status, sizeof status) || !read_proc(pid, "stat", stat, sizeof stat))
                return false;
        read_proc(pid, "statm", statm, sizeof statm);
        const char *inner = strstr(status, "\nNSpid:"), *uid = strstr(status, "\nUid:");
        unsigned long real = 0, effective = 0, pages = 0, resident = 0;
        *p = (struct process){.pid = pid, .state = '?'};
        for (const char *at = inner ? inner + 7 : NULL; at && *at == '\t'; at += 1 + strcspn(at + 1, "\t\n"))
                p->inner = atoi(at + 1);
        if (uid && sscanf(uid + 5, "%lu %lu", &real, &effective) == 2)
                p->uid = id_inside(pid, effective);
        const char *close = strrchr(stat, ')');
        if (close && close[1] && close[2])
                p->state = close[2];
        sscanf(statm, "%lu %lu", &pages, &resident);
        p->memory = (unsigned long long)resident * (unsigned long)sysconf(_SC_PAGESIZE);
        const char *anonymous = strstr(status, "\nRssAnon:"), *shared = strstr(status, "\nRssShmem:");
        p->own = ((anonymous ? strtoull(anonymous + 9, NULL, 10) : 0) + (shared ? strtoull(shared + 10, NULL, 10) : 0))
                 << 10;
        p->cpu = (stat_field(stat, 14) + stat_field(stat, 15)) * 1000 / (unsigned long)sysconf(_SC_CLK_TCK);
        p->command = command_of(pid, stat);
        return true;
}

size_t host_processes(const int *inits, size_t init_count, struct process **list)
{
        size_t count, found = 0, capacity = 0;
        *list = NULL;
        cleanup_free struct seen *all = look(&count);
        mark(all, count, inits, init_count);
        for (size_t i = 0; i < count; i++) {
                struct process one;
                if (!all[i].init || !describe(all[i].pid, &one))
                        continue;
                one.init = all[i].init;
                *vector_add(*list, found, capacity) = one;
        }
        return found;
}

void host_processes_free(struct process *list, size_t count)
{
        while (count)
                free(list[--count].command);
        free(list);
}
