// SPDX-License-Identifier: GPL-3.0-or-later
/* Limits that are watched while the environment runs: see watch.h. */
#include "verbs/watch.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "host/host.h"
#include "layer/size.h"
#include "verbs/changes.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define EVERY 2000 /* ms between two measurements, and */
#define RATIO 20   /* so many times what one takes: a large layer costs no more than a twentieth of a processor */

struct watching {
        int directory, end; /* `end`: closed when the run is over */
        uint64_t limit;
        const char *name;
        bool told;
};

static long long now_ms(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void measure(struct watching *w)
{
        struct layer_size size = {0};
        cleanup_error struct error unheard = ERROR_INIT;
        if (layer_size(w->directory, &size, &unheard) < 0)
                return;
        bool over = size.own > w->limit;
        if (over && !w->told) {
                cleanup_text struct text has = {0}, limit = {0};
                changes_size(&has, size.own);
                changes_size(&limit, w->limit);
                fprintf(stderr,
                        "paddock: the layer of '%s' takes %s, more than its limit of %s, which is watched and not "
                        "enforced\n",
                        w->name, has.data, limit.data);
        }
        w->told = over;
}

static int watch(void *context, int owners)
{
        struct watching *w = context;
        (void)owners;
        for (long long pause = EVERY;;) {
                struct pollfd end = {.fd = w->end, .events = POLLIN};
                int ended = poll(&end, 1, (int)pause);
                long long began = now_ms();
                measure(w);
                if (ended)
                        return 0;
                long long took = now_ms() - began;
                pause = took * RATIO > EVERY ? took * RATIO : EVERY;
        }
}

/* Those of `paddock run`'s processes that are an environment's first. */
static size_t find_inits(int paddock, int *inits, size_t room)
{
        char path[64], list[4096];
        snprintf(path, sizeof path, "/proc/%d/task/%d/children", paddock, paddock);
        cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, list, sizeof list - 1);
        list[n > 0 ? n : 0] = '\0';
        size_t count = 0;
        for (char *at = list, *end; count < room; at = end) {
                int pid = (int)strtol(at, &end, 10);
                if (end == at)
                        break;
                char comm[32] = "";
                snprintf(path, sizeof path, "/proc/%d/comm", pid);
                cleanup_close int name = open(path, O_RDONLY | O_CLOEXEC);
                if (name >= 0 && read(name, comm, sizeof comm - 1) > 0 && strcmp(comm, "paddock-init\n") == 0)
                        inits[count++] = pid;
        }
        return count;
}

/* Tells, or does what the environment says, when its programs have more memory than `limit`. */
static void watch_memory(int paddock, int end, uint64_t limit, const char *name, enum limit_over over)
{
        static const char *const done[] = {[OVER_TELL] = "watched, not enforced",
                                           [OVER_STOP] = "it is stopped",
                                           [OVER_FREEZE] = "it is frozen"};
        struct pollfd ended = {.fd = end, .events = POLLIN};
        for (bool told = false; poll(&ended, 1, EVERY / 2) == 0;) {
                int inits[8];
                size_t init_count = find_inits(paddock, inits, 8);
                struct process *list;
                size_t count = host_processes(inits, init_count, &list);
                uint64_t has = 0;
                for (size_t i = 0; i < count; i++)
                        has += list[i].own;
                if (has > limit && !told) {
                        char size[SIZE_WORD];
                        fprintf(stderr,
                                "paddock: the programs of '%s' have %llu MiB of memory, more than their limit of %s: "
                                "%s\n",
                                name, (unsigned long long)has >> 20, size_to_word(limit, size), done[over]);
                        for (size_t i = 0; i < count && over == OVER_FREEZE; i++)
                                if (list[i].pid != list[i].init)
                                        kill(list[i].pid, SIGSTOP);
                        for (size_t i = 0; i < init_count && over == OVER_STOP; i++)
                                kill(inits[i], SIGKILL);
                }
                told = has > limit;
                host_processes_free(list, count);
        }
}

static void keep_calm(void)
{
        /* Keys are for the program, and a pipe that nobody reads must not end what is told at the end. */
        static const int ignored[] = {SIGINT, SIGQUIT, SIGTSTP, SIGPIPE, SIGHUP, SIGTERM};
        for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
                signal(ignored[i], SIG_IGN);
}

/* The locks of the run are held by whoever has their descriptors. */
static void keep_only(int a, int b)
{
        unsigned low = (unsigned)(a < b ? a : b), high = (unsigned)(a < b ? b : a);
        if (low > 3)
                close_range(3, low - 1, 0);
        if (high > low + 1)
                close_range(low + 1, high - 1, 0);
        close_range(high + 1, ~0U, 0);
}

int watch_start(struct watch_size *w, int directory, uint64_t memory, const char *name, const struct environment *e,
                struct error *err)
{
        int ends[2];
        *w = WATCH_NONE;
        if (pipe2(ends, O_CLOEXEC) < 0)
                return error_sys(err, errno, "cannot make a pipe");
        int paddock = getpid();
        w->memory_pid = memory ? fork() : 0;
        if (memory && w->memory_pid == 0) {
                keep_calm();
                keep_only(ends[0], ends[0]);
                watch_memory(paddock, ends[0], memory, name, e->limits.over);
                _exit(0);
        }
        w->pid = directory >= 0 ? fork() : 0;
        if (directory >= 0 && w->pid == 0) {
                keep_calm();
                keep_only(directory, ends[0]);
                struct watching watching = {.directory = directory, .end = ends[0], .limit = e->limits.value[LIMIT_DISK], .name = name};
                cleanup_error struct error unheard = ERROR_INIT;
                if (e->identity == IDENTITY_ROOT && geteuid() != 0 && host_inside(watch, &watching, &unheard) >= 0)
                        _exit(0);
                host_read_everything();
                _exit(watch(&watching, -1));
        }
        close(ends[0]);
        w->end = ends[1];
        if (w->pid < 0 || w->memory_pid < 0)
                return error_sys(err, errno, "cannot make a process to watch limits");
        return 0;
}

void watch_end(struct watch_size *w)
{
        if (w->end >= 0)
                close(w->end);
        while (w->pid > 0 && waitpid(w->pid, NULL, 0) < 0 && errno == EINTR)
                ;
        while (w->memory_pid > 0 && waitpid(w->memory_pid, NULL, 0) < 0 && errno == EINTR)
                ;
        *w = WATCH_NONE;
}
