// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Mounts a files-mirror as an environment would, and runs a command beside it:
 *
 *      mount [-o] [-n] [-k] [-l LAYER] [-p FILE] SERVER [OPTION]... -- COMMAND...
 *
 *      -o    an overlay over it too; its upper is on a tmpfs, or in LAYER
 *      -n    the command runs in a user and mount namespace below, as the program of an environment does
 *      -k    overlays keep their names: the server's 's' is not obeyed
 *      -p    once all stands, a line with the process that is in the namespaces and the server's
 *
 * In the namespaces /mnt is a tmpfs with the mirror at /mnt/m and the overlay at /mnt/o; the command starts there as
 * root. Ids are mapped as far as the user has them: root's to an unused range, an ordinary user's through newuidmap,
 * else one.
 *
 * When the server says 's', the names that overlay and mirror keep are dropped by reconfiguring them with no change:
 * the kernel then shrinks the file system's cache of names (reconfigure_super()).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <grp.h>
#include <linux/mount.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* <sys/mount.h> is at odds with <linux/mount.h>. */
int mount(const char *, const char *, const char *, unsigned long, const void *);

#define UNUSED_RANGE 1879048192U /* for root */

static _Noreturn void die(const char *what, ...)
{
        int code = errno;
        va_list arguments;
        va_start(arguments, what);
        fprintf(stderr, "mount: ");
        vfprintf(stderr, what, arguments);
        fprintf(stderr, ": %s\n", strerror(code));
        va_end(arguments);
        exit(99);
}

static void send_descriptor(int socket, int fd, char letter)
{
        struct iovec part = {&letter, 1};
        union {
                struct cmsghdr header;
                char room[CMSG_SPACE(sizeof(int))];
        } ancillary = {0};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &ancillary,
                                 .msg_controllen = sizeof ancillary};
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        *header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(header), &fd, sizeof fd);
        if (sendmsg(socket, &message, 0) < 0)
                die("sendmsg");
}

/* The first number of the user's range in /etc/subuid or /etc/subgid; 0: none of 65535 at least. */
static unsigned range_of_user(const char *file)
{
        char line[512];
        const struct passwd *user = getpwuid(getuid());
        FILE *f = fopen(file, "re");
        unsigned first = 0;
        while (f && user && !first && fgets(line, sizeof line, f)) {
                char *rest = line, *name = strsep(&rest, ":");
                unsigned from, count;
                if (strcmp(name, user->pw_name) == 0 && rest && sscanf(rest, "%u:%u", &from, &count) == 2 &&
                    count >= 65535)
                        first = from;
        }
        if (f)
                fclose(f);
        return first;
}

static void write_file(const char *text, const char *format, ...)
{
        char path[64];
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(path, sizeof path, format, arguments);
        va_end(arguments);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, text, strlen(text)) < 0)
                die("%s", path);
        close(fd);
}

static void map_ids(pid_t child)
{
        char text[200];
        unsigned uids = range_of_user("/etc/subuid"), gids = range_of_user("/etc/subgid");
        if (getuid() == 0 && !getenv("MOUNT_ONE_ID")) {
                snprintf(text, sizeof text, "0 %u 65536\n", UNUSED_RANGE);
                write_file(text, "/proc/%d/uid_map", child);
                write_file(text, "/proc/%d/gid_map", child);
        } else if (uids && gids && !getenv("MOUNT_ONE_ID")) {
                snprintf(text, sizeof text, "newuidmap %d 0 %u 1 1 %u 65535 && newgidmap %d 0 %u 1 1 %u 65535", child,
                         getuid(), uids, child, getgid(), gids);
                if (system(text) != 0)
                        die("newuidmap");
        } else { /* MOUNT_ONE_ID: also for root in a namespace of its own, who has no more */
                write_file("deny", "/proc/%d/setgroups", child);
                snprintf(text, sizeof text, "0 %u 1\n", getuid());
                write_file(text, "/proc/%d/uid_map", child);
                snprintf(text, sizeof text, "0 %u 1\n", getgid());
                write_file(text, "/proc/%d/gid_map", child);
        }
}

static void drop_names(int mounted)
{
        if (mounted < 0)
                return;
        int context = (int)syscall(SYS_fspick, mounted, "", FSPICK_EMPTY_PATH | FSPICK_CLOEXEC);
        if (context < 0 || syscall(SYS_fsconfig, context, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0)
                die("reconfigure");
        close(context);
}

/* In a process of its own, because a file system that does not answer holds it up. */
static void list(int mirror, const char *path)
{
        if (fork() != 0)
                return;
        int fd = openat(mirror, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *directory = fd < 0 ? NULL : fdopendir(fd);
        while (directory && readdir(directory))
                ;
        _exit(0);
}

/* Runs the command in namespaces below, in which every mount is locked. */
static void go_below(void)
{
        int ready[2], go[2];
        char byte;
        if (pipe2(ready, O_CLOEXEC) < 0 || pipe2(go, O_CLOEXEC) < 0)
                die("pipe");
        pid_t self = getpid(), maps = fork();
        if (maps == 0) {
                close(ready[1]);
                if (read(ready[0], &byte, 1) != 1)
                        _exit(1);
                char text[200] = "";
                FILE *f = fopen("/proc/self/uid_map", "re");
                unsigned inside, outside, count;
                for (size_t n = 0; f && fscanf(f, "%u %u %u", &inside, &outside, &count) == 3; n = strlen(text))
                        snprintf(text + n, sizeof text - n, "%u %u %u\n", inside, inside, count);
                write_file(text, "/proc/%d/uid_map", self);
                write_file(text, "/proc/%d/gid_map", self);
                _exit(write(go[1], "x", 1) != 1);
        }
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
                die("unshare below");
        prctl(PR_SET_DUMPABLE, 1); /* who gains capabilities loses it, and with it his own files in /proc */
        if (write(ready[1], "x", 1) != 1)
                die("pipe");
        close(go[1]);
        if (read(go[0], &byte, 1) != 1)
                die("cannot map ids below");
        waitpid(maps, NULL, 0);
}

struct options {
        bool overlay, nested, keep;
        const char *layer, *report;
        char **server, **command;
};

static void mount_all(const struct options *o, int control, int *mirror, int *overlay)
{
        char text[600];
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount("test", "/mnt", "tmpfs", 0, NULL) < 0 ||
            mkdir("/mnt/m", 0755) < 0 || mkdir("/mnt/o", 0755) < 0 || mkdir("/mnt/u", 0755) < 0 ||
            mkdir("/mnt/w", 0755) < 0)
                die("/mnt");
        int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
        if (device < 0)
                die("/dev/fuse");
        snprintf(text, sizeof text, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions",
                 device);
        if (mount("mirror", "/mnt/m", "fuse", MS_RDONLY | MS_NODEV, text) < 0)
                die("mirror");
        send_descriptor(control, device, 'f');
        close(device);
        *mirror = open("/mnt/m", O_PATH | O_CLOEXEC);
        *overlay = -1;
        if (!o->overlay)
                return;
        const char *layer = o->layer ? o->layer : "/mnt";
        snprintf(text, sizeof text, "lowerdir=/mnt/m,upperdir=%s/u,workdir=%s/w,userxattr", layer, layer);
        if (mount("layer", "/mnt/o", "overlay", 0, text) < 0)
                die("overlay");
        *overlay = open("/mnt/o", O_PATH | O_CLOEXEC);
}

/* In the namespaces: mounts, starts the command, obeys the server until the command has ended. */
static int inside(const struct options *o, int control, int ready)
{
        int mirror, overlay;
        if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
                die("becoming root");
        (void)!setgroups(0, NULL);
        mount_all(o, control, &mirror, &overlay);
        pid_t command = fork();
        if (command == 0) {
                close(control);
                if (o->nested)
                        go_below();
                if (chdir("/mnt") < 0)
                        die("/mnt");
                pid_t self = getpid();
                if (write(ready, &self, sizeof self) != sizeof self)
                        die("pipe");
                execvp(o->command[0], o->command);
                die("%s", o->command[0]);
        }
        for (;;) {
                int status;
                struct pollfd fd = {.fd = control, .events = POLLIN};
                for (pid_t ended; (ended = waitpid(-1, &status, WNOHANG)) > 0;)
                        if (ended == command)
                                return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
                if (poll(&fd, 1, 20) <= 0)
                        continue;
                char message[4096];
                ssize_t got;
                bool drop = false;
                while ((got = recv(control, message, sizeof message - 1, MSG_DONTWAIT)) > 0) {
                        message[got] = '\0';
                        drop |= message[0] == 's'; /* however many were asked for, one drop answers them */
                        if (message[0] == 'd')
                                list(mirror, message + 1);
                }
                if (got == 0) { /* the server is gone; the command sees errors */
                        close(control);
                        control = -1;
                }
                if (!drop || o->keep)
                        continue;
                drop_names(overlay);
                drop_names(mirror);
        }
}

static pid_t start_server(const struct options *o, int control)
{
        pid_t server = fork();
        if (server != 0)
                return server;
        char number[16];
        char *arguments[64] = {o->server[0], (char *)"--control", number};
        snprintf(number, sizeof number, "%d", control);
        for (int i = 1; o->server[i] && i < 60; i++)
                arguments[i + 2] = o->server[i];
        fcntl(control, F_SETFD, 0);
        execvp(arguments[0], arguments);
        die("%s", arguments[0]);
}

static void report(const char *file, pid_t command, pid_t server)
{
        char name[4096];
        snprintf(name, sizeof name, "%s.new", file);
        FILE *f = fopen(name, "we");
        if (!f)
                die("%s", name);
        fprintf(f, "%d %d\n", command, server);
        fclose(f);
        if (rename(name, file) < 0)
                die("%s", file);
}

int main(int argc, char **argv)
{
        struct options o = {0};
        for (int option; (option = getopt(argc, argv, "+onkl:p:")) != -1;) {
                switch (option) {
                case 'o': o.overlay = true; break;
                case 'n': o.nested = true; break;
                case 'k': o.keep = true; break;
                case 'l': o.layer = optarg; break;
                case 'p': o.report = optarg; break;
                default: return 99;
                }
        }
        o.server = argv + optind;
        for (char **a = o.server; *a && !o.command; a++) {
                if (strcmp(*a, "--") == 0) {
                        *a = NULL;
                        o.command = a + 1;
                }
        }
        if (!o.command || !o.command[0] || !o.server[0]) {
                fprintf(stderr, "usage: mount [-onk] [-l LAYER] [-p FILE] SERVER [OPTION]... -- COMMAND...\n");
                return 99;
        }
        int ends[2], ready[2], go[2], status;
        char byte;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0 || pipe2(ready, O_CLOEXEC) < 0 ||
            pipe2(go, O_CLOEXEC) < 0)
                die("pipe");
        pid_t server = start_server(&o, ends[0]);
        close(ends[0]);
        pid_t child = fork();
        if (child == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
                        die("unshare");
                prctl(PR_SET_DUMPABLE, 1);
                close(go[1]);
                if (write(ready[1], "x", 1) != 1 || read(go[0], &byte, 1) != 1)
                        die("cannot map ids");
                exit(inside(&o, ends[1], ready[1]));
        }
        close(ends[1]);
        close(ready[1]);
        if (read(ready[0], &byte, 1) != 1)
                die("no namespaces");
        map_ids(child);
        if (write(go[1], "x", 1) != 1)
                die("pipe");
        pid_t command;
        if (read(ready[0], &command, sizeof command) == sizeof command && o.report)
                report(o.report, command, server);
        waitpid(child, &status, 0);
        pid_t ended = 0;
        for (int i = 0; i < 500 && (ended = waitpid(server, NULL, WNOHANG)) == 0; i++)
                poll(NULL, 0, 10);
        if (ended == 0) {
                fprintf(stderr, "mount: the server outlives its environment\n");
                kill(server, SIGKILL);
                return 98;
        }
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
