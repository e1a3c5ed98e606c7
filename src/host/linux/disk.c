// SPDX-License-Identifier: GPL-3.0-or-later
/* File systems that a program serves, for as long as one reads them: see host.h. */
#include "host/host.h"

#include "base/cleanup.h"
#include "host/linux/kernel.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define DEVICE "/dev/fuse"
#define START_TIME 20000 /* ms */

static int device_failed(int code, struct error *err)
{
        error_sys(err, code, "cannot open " DEVICE ", through which its file system is read");
        if (code == ENOENT || code == ENODEV)
                return error_remedy(err, "as root: modprobe fuse; in a container: let it have the device");
        return error_remedy(err, "as root: chmod 666 " DEVICE " (distributions have it so)");
}

/* Becomes the server, which dies with this process, and gains nothing by what it executes. */
static _Noreturn void become_server(char **argv, int errors, pid_t parent)
{
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (getppid() != parent)
                _exit(1);
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        dup2(null, 0);
        dup2(null, 1);
        dup2(errors, 2);
        close_range(3, ~0U, 0);
        execvp(argv[0], argv);
        _exit(127);
}

/* What it said last, in one line. */
static void last_line(int errors, char *text, size_t size)
{
        ssize_t n = read(errors, text, size - 1);
        text[n > 0 ? n : 0] = '\0';
        char *found = NULL;
        for (char *rest = text, *line; (line = strsep(&rest, "\n"));)
                if (*line)
                        found = line;
        if (found)
                memmove(text, found, strlen(found) + 1);
}

int host_serve_disk(int directory, const char *file, const char *server, const char *options, int *pid,
                    struct error *err)
{
        struct stat before, now;
        int errors[2];
        *pid = 0;
        if (access(DEVICE, R_OK | W_OK) < 0)
                return device_failed(errno, err);
        cleanup_free char *whole = realpath(file, NULL);
        if (!whole || fchdir(directory) < 0 || stat(".", &before) < 0)
                return error_sys(err, errno, "cannot look at it");
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return error_sys(err, errno, "cannot make a mount namespace");
        cleanup_free char *place = getcwd(NULL, 0);
        if (!place || pipe2(errors, O_CLOEXEC | O_NONBLOCK) < 0)
                return error_sys(err, errno, "cannot make a pipe");
        char *argv[] = {(char *)server, (char *)"-f", (char *)"-o", (char *)options, whole, place, NULL};
        pid_t parent = getpid(), child = fork();
        if (child == 0)
                become_server(argv, errors[1], parent);
        close(errors[1]);
        cleanup_close int said = errors[0];
        if (child < 0)
                return error_sys(err, errno, "cannot make a process");
        int status = 0;
        for (int waited = 0; waited < START_TIME; waited += 5) {
                if (waitpid(child, &status, WNOHANG) == child) {
                        char text[512];
                        last_line(said, text, sizeof text);
                        if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
                                return error_set(err, ENOENT, "%s, which reads such a file system, is not installed",
                                                 server);
                        return error_set(err, EIO, "its file system is broken, says %s: %s", server,
                                         text[0] ? text : "(nothing)");
                }
                if (stat(place, &now) < 0) { /* it is mounted, and has nothing to show */
                        error_sys(err, errno, "its file system is broken: its root directory cannot be read");
                        kill(child, SIGKILL);
                        waitpid(child, &status, 0);
                        return -err->code;
                }
                if (now.st_dev != before.st_dev) {
                        *pid = child;
                        return 0;
                }
                poll(NULL, 0, 5);
        }
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
        return error_set(err, ETIMEDOUT, "its file system cannot be read: %s does not answer", server);
}

void host_serve_disk_end(int pid)
{
        umount2(".", MNT_DETACH);
        kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
        (void)!chdir("/");
}
