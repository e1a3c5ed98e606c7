// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * pounce SECONDS: waits for processes of paddock's that are about to become programs here, and tries to get hold of
 * them before exec: by ptrace, /proc/PID/{fd,root,cwd,mem,environ,exe}, their descriptors, and memory. Prints what
 * worked.
 *
 * A process of paddock's is known by its name, which exec replaces.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static int is_paddock(int pid)
{
        char path[64], name[32] = "";
        snprintf(path, sizeof path, "/proc/%d/comm", pid);
        int fd = open(path, O_RDONLY);
        if (fd < 0)
                return 0;
        (void)!read(fd, name, sizeof name - 1);
        close(fd);
        return strncmp(name, "paddock", 7) == 0;
}

static void got(int pid, const char *what)
{
        if (is_paddock(pid)) /* still: else it was a program by then, and fair game */
                printf("%s of %d\n", what, pid);
}

static void pounce(int pid)
{
        static const char *const files[] = {"mem",   "environ", "maps",   "fd/0", "fd/3", "root/etc/passwd",
                                            "cwd/.", "exe",     "ns/user"};
        char path[64];
        for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
                snprintf(path, sizeof path, "/proc/%d/%s", pid, files[i]);
                int fd = open(path, O_RDONLY | O_NONBLOCK);
                char byte;
                /* The files of one that is just ending can be opened, and are empty. */
                bool holds = fd >= 0 && (strchr(files[i], '/') || strcmp(files[i], "exe") == 0 ||
                                         strcmp(files[i], "mem") == 0 || read(fd, &byte, 1) == 1);
                if (holds)
                        got(pid, files[i]);
                if (fd >= 0)
                        close(fd);
        }
        int process = (int)syscall(SYS_pidfd_open, pid, 0);
        for (int fd = 0; process >= 0 && fd < 8; fd++) {
                int own = (int)syscall(SYS_pidfd_getfd, process, fd, 0);
                if (own >= 0) {
                        got(pid, "a descriptor");
                        close(own);
                }
        }
        if (process >= 0)
                close(process);
        char byte;
        struct iovec ours = {&byte, 1}, theirs = {(void *)&pounce, 1};
        if (syscall(SYS_process_vm_readv, pid, &ours, 1, &theirs, 1, 0) == 1)
                got(pid, "memory");
        if (ptrace(PTRACE_SEIZE, pid, 0, 0) == 0) {
                got(pid, "ptrace");
                ptrace(PTRACE_DETACH, pid, 0, 0);
        }
}

int main(int argc, char **argv)
{
        time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 3);
        long tried = 0;
        int newest = getpid();
        while (time(NULL) < end) {
                /* The next numbers: whoever is made now gets one of them. */
                for (int pid = newest; pid < newest + 64; pid++)
                        if (pid != getpid() && is_paddock(pid)) {
                                pounce(pid);
                                tried++;
                        }
                char stat[64];
                int fd = open("/proc/loadavg", O_RDONLY);
                ssize_t n = fd < 0 ? 0 : read(fd, stat, sizeof stat - 1);
                if (fd >= 0)
                        close(fd);
                stat[n > 0 ? n : 0] = '\0';
                char *last = strrchr(stat, ' ');
                if (last && atoi(last) > newest + 32)
                        newest = atoi(last) - 32;
        }
        fprintf(stderr, "tried %ld times\n", tried);
        return 0;
}
