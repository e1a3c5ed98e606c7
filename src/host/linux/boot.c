// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A subhurd: an environment with an init of its own.
 *
 *      paddock-init -- fork --> attendant, enters the floor -- clone: pid, mount, ipc, uts, cgroup, time --> the
 * subhurd's init
 *
 * Its process space is made from the floor's user namespace, so that its root is root over it: it may mount its
 * process list, and reboot(2) there ends it alone. The attendant, which nobody inside can see, learns how: the
 * kernel ends the init of a process space with SIGHUP when it asked to be started again, with SIGINT when it asked
 * to be halted. Each boot has fresh namespaces, so that nothing mounted by the last one is left; the floor, with
 * its network, stays.
 *
 * Its console is a terminal of the view's own /dev/pts, which stands on /dev/console and /dev/tty1; the other side
 * goes to the warden.
 */
#include "host/linux/keep.h"

#include "base/cleanup.h"
#include "host/linux/kernel.h"
#include "host/linux/limits.h"
#include "host/linux/pass.h"
#include "host/linux/payload.h"

#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

extern char **environ;

/* What the programs that enter it have in common with the subhurd's init, beside the floor. The first is for the
 * attendant. */
static const struct {
        const char *name;
        int flag;
} kinds[BOOT_NAMESPACES] = {{"pid", CLONE_NEWPID},
                            {"ipc", CLONE_NEWIPC},
                            {"uts", CLONE_NEWUTS},
                            {"cgroup", CLONE_NEWCGROUP},
                            {"time", CLONE_NEWTIME}, /* not every kernel has it */
                            {"mnt", CLONE_NEWNS}};

static _Noreturn void give_up(int code, const char *what)
{
        dprintf(2, "paddock: %s: %s\r\n", what, strerror(errno));
        _exit(code);
}

/* Stands the console on `path`, where a file is made for it. */
static void place_console(int number, const char *path)
{
        char own[64];
        snprintf(own, sizeof own, "/dev/pts/%d",
                 number); /* by name: the descriptor belongs to a mount of another namespace */
        cleanup_close int made = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
        if (made < 0 || mount(own, path, NULL, MS_BIND, NULL) < 0)
                dprintf(2, "paddock: cannot put the console on %s: %s\r\n", path, strerror(errno));
}

/* In the first process of the fresh namespaces: what a kernel would leave to init, and then init. */
static _Noreturn void become_init(const struct keep *k, const struct payload *p, int slave, int number)
{
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        /* No session of its own, as a kernel starts it: the console would become its controlling terminal, and a
         * login could not have it. */
        for (int fd = 0; fd <= 2; fd++)
                if (dup2(slave, fd) < 0)
                        _exit(125);
        if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
                give_up(125, "cannot mount a process list of its own on /proc inside");
        int result = cgrouptree_become_top(&k->birth->cgroups);
        if (result == 0)
                result = cgrouptree_show(&k->birth->cgroups);
        if (result < 0)
                dprintf(2, "paddock: it gets no cgroup tree of its own: %s\r\n", strerror(-result));
        struct stat st;
        /* Where channels appear, which are mounted in the view while it runs. */
        mkdir("/run/paddock", 0755);
        mkdir("/run/paddock/channel", 0755);
        cleanup_close int channels = open_tree(AT_FDCWD, "/run/paddock/channel",
                                               OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW);
        if (lstat("/run", &st) == 0 && S_ISDIR(st.st_mode) &&
            mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=20%") < 0)
                give_up(125, "cannot mount a fresh /run inside");
        mkdir("/run/paddock", 0755);
        mkdir("/run/paddock/channel", 0755);
        if (channels >= 0 && move_mount(channels, "", AT_FDCWD, "/run/paddock/channel", MOVE_MOUNT_F_EMPTY_PATH) < 0)
                dprintf(2, "paddock: channels will not be seen inside: %s\r\n", strerror(errno));
        place_console(number, "/dev/console");
        place_console(number, "/dev/tty1");
        close_range(3, ~0U, 0);
        environ = p->variables;
        umask(022);
        for (int signal = 1; signal <= 64; signal++) {
                struct sigaction action = {.sa_handler = SIG_DFL};
                sigaction(signal, &action, NULL);
        }
        sigset_t none;
        sigemptyset(&none);
        kernel_signal_mask(SIG_SETMASK, &none, NULL);
        (void)!chdir("/");
        limits_files(k->birth->launch);
        execv(p->argv[0], p->argv);
        dprintf(2, "paddock: cannot execute %s: %s\r\n", p->argv[0], strerror(errno));
        _exit(errno == ENOENT ? 127 : 126);
}

/* How the subhurd's init ended, as BOOT_* has it. */
static int verdict(int status)
{
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGHUP)
                return BOOT_AGAIN;
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGINT)
                return BOOT_HALTED;
        if (WIFEXITED(status) &&
            (WEXITSTATUS(status) == 126 || WEXITSTATUS(status) == 127 || WEXITSTATUS(status) == 125))
                return WEXITSTATUS(status);
        return BOOT_LOST;
}

/* What is forked from now on counts its time from this boot. `offsets` was opened while that was allowed. The time of day
 * is everybody's. */
static void begin_time(int offsets)
{
        struct timespec monotonic, boot;
        clock_gettime(CLOCK_MONOTONIC, &monotonic);
        clock_gettime(CLOCK_BOOTTIME, &boot);
        if (offsets < 0 || unshare(CLONE_NEWTIME) < 0 ||
            dprintf(offsets, "monotonic -%lld 0\nboottime -%lld 0\n", (long long)monotonic.tv_sec,
                    (long long)boot.tv_sec) < 0)
                dprintf(2, "paddock: its uptime is the main system's: %s\r\n", strerror(errno));
}

_Noreturn void attend_boot(struct keep *k, uint32_t id, int payload)
{
        cleanup_error struct error err = ERROR_INIT;
        struct payload p;
        prctl(PR_SET_NAME, "paddock-boot", 0, 0, 0);
        int offsets = openat(k->proc, "self/timens_offsets", O_WRONLY | O_CLOEXEC);
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        setsid();
        int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC), unlock = 0, number = 0;
        int slave = master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0
                            ? -1
                            : ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (slave < 0 || ioctl(master, TIOCGPTN, &number) < 0)
                _exit(125);
        struct news news = {.type = NEWS_CONSOLE, .id = id};
        pass_send(k->birth->socket, &news, offsetof(struct news, text), master);
        close(master);
        dup2(slave, 2);
        cgrouptree_clean(&k->birth->cgroups);
        if (payload_read(payload, &p, &err) < 0 || floor_enter(&k->floor, &err) < 0 ||
            program_give_up_groups(k->birth, &err) < 0) {
                dprintf(2, "paddock: %s\r\n", err.text);
                _exit(125);
        }
        begin_time(offsets);
        pid_t init = kernel_fork(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP);
        if (init == 0)
                become_init(k, &p, slave, number);
        if (init < 0)
                give_up(125, "cannot make the namespaces of a subhurd");
        /* Its terminal is the subhurd's alone: what hangs up there shall not find it open here. */
        struct cgrouptree tree = {.top = k->birth->cgroups.top > 0 ? dup2(k->birth->cgroups.top, 3) : 0};
        close_range(0, 2, 0);
        close_range(tree.top > 0 ? 4 : 3, ~0U, 0);
        int status = 0;
        while (waitpid(init, &status, 0) < 0)
                if (errno != EINTR)
                        _exit(BOOT_LOST);
        cgrouptree_clean(&tree); /* here: outside nobody may remove what belongs to ids of the inside */
        _exit(verdict(status));
}

/* The subhurd's init, as the environment's first process has its number: the attendant's one child. */
static pid_t init_of(pid_t attendant)
{
        char path[64], text[64];
        snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)attendant, (int)attendant);
        cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        text[n > 0 ? n : 0] = '\0';
        return (pid_t)strtol(text, NULL, 10);
}

int boot_approach(struct keep *k, struct error *err)
{
        if (!k->boot)
                return 0;
        pid_t init = 0;
        for (int tries = 0; tries < 100 && (init = init_of(k->boot)) <= 0; tries++) { /* it is just being started */
                struct timespec pause = {.tv_nsec = 20000000};
                nanosleep(&pause, NULL);
        }
        for (int i = 0; i < BOOT_NAMESPACES; i++) {
                char path[64];
                snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)init, kinds[i].name);
                k->boot_namespaces[i] = init > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
                if (k->boot_namespaces[i] < 0 && init > 0 && errno == ENOENT && kinds[i].flag == CLONE_NEWTIME)
                        continue;
                if (k->boot_namespaces[i] < 0)
                        return error_set(err, ESRCH, "the subhurd has no init at this moment");
        }
        return setns(k->boot_namespaces[0], CLONE_NEWPID) < 0
                       ? error_sys(err, errno, "cannot enter the subhurd's process space")
                       : 0;
}

int boot_enter(struct keep *k, struct error *err)
{
        for (int i = 1; k->boot && i < BOOT_NAMESPACES; i++)
                if (k->boot_namespaces[i] >= 0 && setns(k->boot_namespaces[i], kinds[i].flag) < 0)
                        return error_sys(err, errno, "cannot enter the %s namespace of the subhurd", kinds[i].name);
        return 0;
}

/* Every init comes with a program that ends its system in order. Without one it is killed after the grace. */
static _Noreturn void ask_to_halt(struct keep *k)
{
        static char *const commands[][3] = {{(char *)"/sbin/poweroff", NULL},
                                            {(char *)"/usr/sbin/poweroff", NULL},
                                            {(char *)"/bin/poweroff", NULL},
                                            {(char *)"/sbin/halt", (char *)"-p", NULL},
                                            {(char *)"/bin/busybox", (char *)"poweroff", NULL}};
        cleanup_error struct error err = ERROR_INIT;
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        if (boot_approach(k, &err) < 0)
                _exit(125);
        pid_t child = kernel_fork(0); /* which is in that process space, and its init's to reap */
        if (child != 0)
                _exit(0);
        if (floor_enter(&k->floor, &err) < 0 || program_give_up_groups(k->birth, &err) < 0 || boot_enter(k, &err) < 0)
                _exit(125);
        close_range(3, ~0U, 0);
        setsid();
        char *variables[] = {(char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
        sigset_t none;
        sigemptyset(&none);
        kernel_signal_mask(SIG_SETMASK, &none, NULL);
        for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
                execve(commands[i][0], commands[i], variables);
        _exit(127);
}

void boot_halt(struct keep *k)
{
        pid_t pid = kernel_fork(0);
        if (pid == 0)
                ask_to_halt(k);
        for (size_t i = 0; i < k->count; i++) /* what was entered with */
                if (k->entries[i].pid != k->boot)
                        kill(k->entries[i].pid, SIGTERM);
}
