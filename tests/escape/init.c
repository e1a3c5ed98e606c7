// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Attacks on the environment's first process (pid 1 inside), which stands outside of the program's namespaces.
 *
 *      init            one line for each thing that it gave away
 *      init kill       every signal, to it and to everything that can be reached
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *how = "";

static void got(const char *what)
{
        printf("%s%s\n", what, how);
        fflush(stdout);
}

static void files(void)
{
        static const char *const names[] = {"mem", "environ", "maps", "auxv", "stack", "syscall", "personality", "io",
                                            "pagemap", "smaps", "numa_maps", "map_files", "timers"};
        char path[64], data[16];
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
                snprintf(path, sizeof path, "/proc/1/%s", names[i]);
                int fd = open(path, O_RDONLY);
                if (fd >= 0 && (read(fd, data, sizeof data) > 0 || strcmp(names[i], "mem") == 0))
                        got(path);
        }
        if (open("/proc/1/mem", O_RDWR) >= 0)
                got("/proc/1/mem for writing");
        static const char *const links[] = {"cwd",        "root",       "exe",    "ns/user", "ns/mnt",
                                            "ns/pid",     "ns/ipc",     "ns/uts", "ns/net",  "ns/pid_for_children",
                                            "task/1/cwd", "task/1/root"};
        for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
                snprintf(path, sizeof path, "/proc/1/%s", links[i]);
                int fd = open(path, O_RDONLY);
                if (fd >= 0) {
                        got(path);
                        if (strncmp(links[i], "ns/", 3) == 0 && setns(fd, 0) == 0)
                                got("setns to it");
                }
        }
        for (int n = 0; n < 64; n++) {
                snprintf(path, sizeof path, "/proc/1/fd/%d", n);
                char target[256];
                if (readlink(path, target, sizeof target) > 0 || open(path, O_RDONLY | O_NONBLOCK) >= 0 ||
                    open(path, O_WRONLY | O_NONBLOCK) >= 0 || open(path, O_PATH | O_DIRECTORY) >= 0)
                        got(path);
        }
}

static void memory(void)
{
        if (ptrace(PTRACE_SEIZE, 1, NULL, NULL) == 0 || ptrace(PTRACE_ATTACH, 1, NULL, NULL) == 0)
                got("ptrace of init");
        char data[8];
        struct iovec here = {data, sizeof data}, there = {(void *)0x400000, sizeof data};
        if (process_vm_readv(1, &here, 1, &there, 1, 0) >= 0 || errno == EFAULT)
                got("process_vm_readv of init");
        if (process_vm_writev(1, &here, 1, &there, 1, 0) >= 0 || errno == EFAULT)
                got("process_vm_writev of init");
        if (syscall(SYS_kcmp, getpid(), 1, 0, 0, 0) >= 0)
                got("kcmp with init");
}

static void descriptors(void)
{
        int pidfd = (int)syscall(SYS_pidfd_open, 1, 0);
        for (int n = 0; pidfd >= 0 && n < 64; n++)
                if (syscall(SYS_pidfd_getfd, pidfd, n, 0) >= 0)
                        got("pidfd_getfd from init");
        static const int spaces[] = {CLONE_NEWUSER, CLONE_NEWNS,  CLONE_NEWPID, CLONE_NEWUSER | CLONE_NEWNS,
                                     CLONE_NEWNET,  CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP};
        for (size_t i = 0; pidfd >= 0 && i < sizeof spaces / sizeof *spaces; i++)
                if (setns(pidfd, spaces[i]) == 0)
                        got("setns through a pidfd of init");
        /* PIDFD_GET_*_NAMESPACE, linux/pidfd.h: _IO(0xFF, 1..10) */
        for (unsigned n = 1; pidfd >= 0 && n <= 10; n++) {
                int fd = (int)syscall(SYS_ioctl, pidfd, 0xFF00u | n, 0);
                if (fd >= 0)
                        got("a namespace through a pidfd of init");
        }
}

/* Upwards from one's own namespaces: NS_GET_USERNS, NS_GET_PARENT (linux/nsfs.h). */
static void parents(void)
{
        static const char *const names[] = {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"};
        char path[64];
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
                snprintf(path, sizeof path, "/proc/self/ns/%s", names[i]);
                int fd = open(path, O_RDONLY);
                int owner = fd < 0 ? -1 : (int)syscall(SYS_ioctl, fd, 0xb701, 0);
                /* Of those that are the program's own the owner is the program's own user namespace: that is no
                 * secret. */
                bool own = i == 1 || i == 4 || i == 5;
                if (owner >= 0 && setns(owner, CLONE_NEWUSER) == 0)
                        got("setns to an owner of a namespace");
                if (owner >= 0 && !own)
                        got(path);
                if (how[0])
                        continue;
                int parent = fd < 0 ? -1 : (int)syscall(SYS_ioctl, fd, 0xb702, 0);
                if (parent >= 0)
                        got("the parent of a namespace");
        }
}

/* Other mount namespaces by number: those of init and of the main system are older than ours. */
static void mount_lists(void)
{
        struct {
                unsigned size, spare;
                unsigned long long mount, parameter, space;
        } request = {.size = 32, .mount = ~0ULL};
        int own = open("/proc/self/ns/mnt", O_RDONLY);
        unsigned long long id = 0, list[64];
        if (own < 0 || syscall(SYS_ioctl, own, 0x8008b705u, &id) < 0) /* NS_GET_MNTNS_ID */
                return;
        for (unsigned long long before = id > 40 ? id - 40 : 0; before < id; before++) {
                request.space = before;
                if (syscall(458 /* listmount */, &request, list, 64, 0) > 0)
                        got("listmount of another mount namespace");
        }
        unsigned char info[64] = {64};
        if (syscall(SYS_ioctl, own, 0x8010b70bu /* NS_MNT_GET_NEXT */, info) >= 0 ||
            syscall(SYS_ioctl, own, 0x8010b70cu /* NS_MNT_GET_PREV */, info) >= 0)
                got("a neighbouring mount namespace");
}

static void all(void)
{
        files();
        memory();
        descriptors();
        parents();
        mount_lists();
}

static void put(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY);
        if (fd >= 0) {
                (void)!write(fd, text, strlen(text));
                close(fd);
        }
}

int main(int argc, char **argv)
{
        if (argc > 1 && strcmp(argv[1], "kill") == 0) {
                signal(SIGCHLD, SIG_IGN);
                for (int number = 1; number < 65; number++) {
                        kill(1, number);
                        int pidfd = (int)syscall(SYS_pidfd_open, 1, 0);
                        if (pidfd >= 0)
                                syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0);
                        close(pidfd);
                }
                if (fork() == 0) {
                        setpgid(0, 0);
                        kill(-1, SIGKILL);
                        _exit(0);
                }
                return 0;
        }
        all();
        pid_t pid = fork();
        if (pid == 0) {
                char map[64], groups[64];
                snprintf(map, sizeof map, "0 %u 1", geteuid());
                snprintf(groups, sizeof groups, "0 %u 1", getegid());
                if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
                        return 0;
                put("/proc/self/setgroups", "deny");
                put("/proc/self/uid_map", map);
                put("/proc/self/gid_map", groups);
                how = " (nested)";
                all();
                return 0;
        }
        waitpid(pid, NULL, 0);
        return 0;
}
