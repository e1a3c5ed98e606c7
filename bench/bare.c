// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The least that two levels cost: a bare program that makes the namespaces of `paddock run` twice over (user, mount,
 * pid and a new /proc; then user, mount, ipc, uts), runs a program in them and waits. It checks nothing, relays nothing
 * and protects nothing: a yardstick for `make bench`, not a tool.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/sched.h>

static pid_t fork_with(unsigned long long flags)
{
        struct clone_args args = {.flags = flags, .exit_signal = 17};
        return (pid_t)syscall(SYS_clone3, &args, sizeof args);
}

static void put(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, text, strlen(text)) < 0)
                perror(path);
        close(fd);
}

static void map(unsigned uid, unsigned gid, int first)
{
        char text[64];
        snprintf(text, sizeof text, "%u %u 1\n", uid, uid);
        put("/proc/self/uid_map", text);
        if (first)
                put("/proc/self/setgroups", "deny");
        snprintf(text, sizeof text, "%u %u 1\n", gid, gid);
        put("/proc/self/gid_map", text);
}

int main(int argc, char **argv)
{
        unsigned uid = geteuid(), gid = getegid();
        int status = 125;
        if (argc < 2)
                return 125;
        pid_t outer = fork_with(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID);
        if (outer == 0) {
                map(uid, gid, 1);
                mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
                if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
                        perror("proc");
                pid_t inner = fork_with(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS);
                if (inner == 0) {
                        map(uid, gid, 0);
                        execv(argv[1], argv + 1);
                        _exit(127);
                }
                waitpid(inner, &status, 0);
                _exit(WEXITSTATUS(status));
        }
        waitpid(outer, &status, 0);
        return WEXITSTATUS(status);
}
