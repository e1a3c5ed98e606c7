// SPDX-License-Identifier: GPL-3.0-or-later
/* An environment stopped for a moment: see freeze.h. */
#include "host/linux/freeze.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "host/linux/kernel.h"

#include <signal.h>
#include <string.h>
#include <time.h>

#define PIDS (1 << 22)       /* the kernel's limit on their number */
/* ms in uninterruptible sleep, after which a process with children in the set is taken to be in vfork() */
#define WAITS_FOR_CHILD 200

static long long now_ms(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* A small file of /proc; 0 when it is not there any more. */
static size_t read_small(const char *path, char *text, size_t size)
{
        cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);
        text[n > 0 ? n : 0] = '\0';
        return n > 0 ? (size_t)n : 0;
}

/* The state of a thread, as /proc/PID/stat has it: behind the name, which may hold anything. 'X': it is gone. */
static char state_of(int pid, int thread)
{
        char path[64], text[512];
        snprintf(path, sizeof path, "/proc/%d/task/%d/stat", pid, thread);
        char *end = read_small(path, text, sizeof text) ? strrchr(text, ')') : NULL;
        return end && end[1] ? end[2] : 'X';
}

static void send_to(const struct freeze_process *p, int number)
{
        (void)!syscall(SYS_pidfd_send_signal, p->fd, number, NULL, 0); /* it may be gone */
}

/* One more process. 1: it was new; 0: it is known, or gone. */
static int add(struct freeze *f, int pid, struct error *err)
{
        if (pid <= 0 || pid >= PIDS || (f->seen[pid / 8] & 1 << pid % 8))
                return 0;
        cleanup_close int fd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (fd < 0)
                return errno == ESRCH ? 0 : error_sys(err, errno, "cannot open process %d", pid);
        f->seen[pid / 8] |= (unsigned char)(1 << pid % 8);
        bool was = state_of(pid, pid) == 'T';
        struct freeze_process *p = vector_add(f->items, f->count, f->capacity);
        *p = (struct freeze_process){.pid = pid, .fd = steal_fd(&fd), .was = was};
        send_to(p, SIGSTOP);
        return 1;
}

/* Adds the children of a thread, whose list is right when the thread does not run. */
static int add_children(struct freeze *f, int pid, int thread, bool *any, struct error *err)
{
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, thread);
        cleanup_file FILE *file = fopen(path, "re");
        if (!file)
                return errno == ENOENT && state_of(pid, thread) != 'X'
                               ? error_set(err, ENOSYS,
                                           "this kernel does not list children of a process (CONFIG_PROC_CHILDREN)")
                               : 0;
        int result = 0, found = 0;
        for (int child; result >= 0 && fscanf(file, "%d", &child) == 1;) {
                *any = true;
                result = add(f, child, err);
                found += result > 0;
        }
        return result < 0 ? result : found;
}

/* Looks at all threads of a process. Returns how many new processes were found. *still is cleared when one runs. */
static int look_at(struct freeze *f, int pid, long long waited, bool *still, struct error *err)
{
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/task", pid);
        cleanup_dir DIR *threads = opendir(path);
        struct dirent *entry;
        int found = 0;
        while (threads && (entry = readdir(threads))) {
                int thread = atoi(entry->d_name), result;
                if (thread <= 0)
                        continue;
                char state = state_of(pid, thread);
                bool any = false;
                result = add_children(f, pid, thread, &any, err);
                if (result < 0)
                        return result;
                found += result;
                bool in_vfork = state == 'D' && any && waited > WAITS_FOR_CHILD;
                if (!strchr("TtZXx", state) && !in_vfork)
                        *still = false;
        }
        return found;
}

static int too_long(const struct freeze *f, struct error *err)
{
        for (size_t i = 0; i < f->count; i++) {
                char path[64], name[64];
                if (strchr("TtZXx", state_of(f->items[i].pid, f->items[i].pid)))
                        continue;
                snprintf(path, sizeof path, "/proc/%d/comm", f->items[i].pid);
                read_small(path, name, sizeof name);
                name[strcspn(name, "\n")] = '\0';
                cleanup_free char *shown = text_escape(name);
                return error_set(err, ETIMEDOUT, "process %d (%s) does not stop", f->items[i].pid, shown);
        }
        return error_set(err, ETIMEDOUT, "its programs do not stop: they make new ones too fast");
}

static int stop_all(struct freeze *f, struct error *err)
{
        long long began = now_ms(), waited = 0;
        for (int quiet = 0; quiet < 2;) {
                bool still = true;
                int found = 0;
                for (size_t i = 0; i < f->count; i++) { /* which grows meanwhile */
                        int result = look_at(f, f->items[i].pid, waited, &still, err);
                        if (result < 0)
                                return result;
                        found += result;
                }
                quiet = still && !found ? quiet + 1 : 0;
                waited = now_ms() - began;
                if (waited > FREEZE_PATIENCE * 1000)
                        return too_long(f, err);
                struct timespec pause = {.tv_nsec = waited < 20 ? 50000 : 1000000};
                if (!still && !found)
                        nanosleep(&pause, NULL);
        }
        return 0;
}

int freeze_stop(struct freeze *f, const int *inits, size_t count, struct error *err)
{
        *f = (struct freeze){.seen = memory_new(PIDS / 8)};
        int result = 0;
        for (size_t i = 0; i < count && result >= 0; i++)
                result = add(f, inits[i], err);
        if (result >= 0)
                result = stop_all(f, err);
        if (result < 0)
                freeze_continue(f);
        return result < 0 ? result : 0;
}

void freeze_continue(struct freeze *f)
{
        while (f->count) {
                struct freeze_process *p = &f->items[--f->count];
                if (!p->was)
                        send_to(p, SIGCONT);
                close(p->fd);
        }
        free(f->items);
        free(f->seen);
        *f = (struct freeze){0};
}
