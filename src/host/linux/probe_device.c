// SPDX-License-Identifier: GPL-3.0-or-later
/* Devices: FUSE, network tunnels, and what a terminal accepts. */
#include "base/cleanup.h"
#include "host/linux/probe_trial.h"
#include "host/linux/uplink.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/fuse.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define ANSWER_MS 200 /* the kernel asks its first question when a FUSE file system is mounted */

enum { STEP_OPEN = TRIAL_OWN, STEP_MOUNT, STEP_QUESTION, STEP_TAP, STEP_TERMINAL, STEP_INJECT };

/* A device file that cannot be opened: says so, with who may and how to change it. `module` makes the device, `rule` is
 * how udev names it. Returns false when it can be opened. */
static bool cannot_open(struct probe *probe, const char *path, const char *module, const char *rule,
                        const char *consequence)
{
        cleanup_close int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
        if (fd >= 0)
                return false;
        int code = errno;
        struct stat st;
        if (code == ENOENT || code == ENODEV || code == ENXIO || stat(path, &st) < 0) {
                probe_set(probe, PROBE_MISSING, "%s: %s", path, strerror(code));
                probe_but(probe, consequence,
                          "as root: modprobe %s; to keep it: echo %s >> /etc/modules-load.d/paddock.conf; in a "
                          "container, pass the device in (--device %s)",
                          module, module, path);
                return true;
        }
        struct group *group = getgrgid(st.st_gid);
        unsigned mode = st.st_mode & 0777;
        probe_set(probe, PROBE_MISSING, "%s (mode %04o, group %s) cannot be opened: %s", path, mode,
                  group ? group->gr_name : "?", strerror(code));
        if (code == EPERM)
                probe_but(probe, consequence,
                          "let the device cgroup around this process pass it (--device %s, DeviceAllow=%s rw)", path,
                          path);
        else if ((mode & 060) == 060 && st.st_gid != 0 && group)
                probe_but(probe, consequence, "as root: usermod -aG %s <user>; then log in again", group->gr_name);
        else
                probe_but(probe, consequence,
                          "as root: chmod 0666 %s; to keep it: echo 'KERNEL==\"%s\", MODE=\"0666\"' > "
                          "/etc/udev/rules.d/60-paddock-%s.rules",
                          path, rule, rule);
        return true;
}

/* Mounts a FUSE file system and waits for the kernel's first request to its server, which is us. */
static int try_fuse(struct trial *trial, const void *argument)
{
        (void)argument;
        int result = trial_enter(trial, CLONE_NEWNS);
        if (result < 0)
                return result;
        /* Opened here: the device remembers in which user namespace. */
        trial->step = STEP_OPEN;
        cleanup_close int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        trial->step = STEP_MOUNT;
        char options[128];
        snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%u,group_id=%u,allow_other,default_permissions",
                 fd, (unsigned)geteuid(), (unsigned)getegid());
        if (mount("paddock", "/proc", "fuse", MS_NOSUID | MS_NODEV, options) < 0)
                return -errno;
        trial->step = STEP_QUESTION;
        struct pollfd question = {.fd = fd, .events = POLLIN};
        static char request[FUSE_MIN_READ_BUFFER];
        if (poll(&question, 1, ANSWER_MS) != 1 ||
            read(fd, request, sizeof request) < (ssize_t)sizeof(struct fuse_in_header))
                return -EPROTO;
        struct fuse_in_header header;
        struct fuse_init_in init = {0};
        memcpy(&header, request, sizeof header);
        memcpy(&init, request + sizeof header, 2 * sizeof(uint32_t)); /* major and minor open it since ever */
        trial->value = init.major * 1000L + init.minor;
        return header.opcode == FUSE_INIT ? 0 : -EPROTO;
}

void probe_fuse(struct probing *p)
{
        static const char lost[] =
                "no revocable grants, no translators, no `identity: root` over the main system's files";
        struct probe *probe = probe_add(p, "FUSE", false);
        if (probe_impossible(p, probe) || cannot_open(probe, "/dev/fuse", "fuse", "fuse", lost))
                return;
        struct trial trial = trial_run(p, try_fuse, NULL);
        if (probe_settled(probe, &trial, "/dev/fuse mounts and serves, protocol %ld.%ld", trial.value / 1000,
                          trial.value % 1000))
                return;
        probe_failed(probe,
                     trial.step == STEP_OPEN       ? "open /dev/fuse in a user namespace"
                     : trial.step == STEP_MOUNT    ? "mount a FUSE file system in a user namespace"
                     : trial.step == STEP_QUESTION ? "get the kernel's first request from /dev/fuse"
                                                   : "enter namespaces",
                     &trial);
        probe_but(probe, lost,
                  trial.code == ENODEV ? "as root: modprobe fuse"
                                       : "let the container or security module around this process allow FUSE mounts");
}

static int try_tun(struct trial *trial, const void *argument)
{
        (void)argument;
        int result = trial_enter(trial, CLONE_NEWNET);
        if (result < 0)
                return result;
        trial->step = STEP_OPEN;
        cleanup_close int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        trial->step = STEP_TAP;
        struct ifreq request = {.ifr_name = "paddock0", .ifr_flags = IFF_TAP | IFF_NO_PI};
        return ioctl(fd, TUNSETIFF, &request) < 0 ? -errno : 0;
}

void probe_tun(struct probing *p)
{
        static const char lost[] =
                "no network of an environment's own that reaches outside through a user-space network";
        struct probe *probe = probe_add(p, "network tunnels", false);
        if (probe_impossible(p, probe) || cannot_open(probe, "/dev/net/tun", "tun", "tun", lost))
                return;
        struct trial trial = trial_run(p, try_tun, NULL);
        if (probe_settled(probe, &trial, "/dev/net/tun makes an interface in a network namespace")) {
                if (trial.code == 0 && !uplink_pasta()) {
                        probe_set(probe, PROBE_DEGRADED, "/dev/net/tun works, and pasta, which would use it, is not installed");
                        probe_but(probe, lost, "install the package passt");
                }
                return;
        }
        if (trial.step == TRIAL_CREATE) {
                probe_failed(probe, "make a network namespace", &trial);
                probe_but(probe, "no network of an environment's own, not even an empty one",
                          trial.code == ENOSPC   ? "as root: sysctl -w user.max_net_namespaces=15000"
                          : trial.code == EINVAL ? "boot a kernel with CONFIG_NET_NS=y"
                                                 : NULL);
                return;
        }
        probe_failed(probe, "make an interface in a network namespace", &trial);
        probe_but(probe, lost, trial.code == EINVAL || trial.code == ENODEV ? "as root: modprobe tun" : NULL);
}

/* Pushes a character into the terminal that controls this process, as an ordinary user. The terminal is a fresh one. */
static int push_input(struct trial *trial)
{
        trial->step = STEP_TERMINAL;
        cleanup_close int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
        int unlock = 0;
        if (master < 0 || setsid() < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
                return -errno;
        cleanup_close int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (slave < 0 || ioctl(slave, TIOCSCTTY, 0) < 0)
                return -errno;
        /* Root of the machine may always push; a program in an environment never is. */
        int result = trial_enter(trial, 0);
        if (result < 0)
                return result;
        trial->step = STEP_INJECT;
        return ioctl(slave, TIOCSTI, "") < 0 ? -errno : 0;
}

static int try_terminal(struct trial *trial, const void *argument)
{
        (void)argument;
        /* A trial leads its process group, and such a process cannot begin a session. */
        pid_t pid = trial_fork();
        if (pid == 0) {
                signal(SIGHUP, SIG_IGN); /* the end of the terminal must not end us before we have answered */
                _exit(-push_input(trial));
        }
        int result = trial_wait(pid);
        return result > 0 ? -result : result;
}

void probe_terminal(struct probing *p)
{
        struct probe *probe = probe_add(p, "terminal input", false);
        if (probe_impossible(p, probe))
                return;
        struct trial trial = trial_run(p, try_terminal, NULL);
        if (trial.step == STEP_INJECT && (trial.code == EIO || trial.code == EPERM)) {
                probe_set(probe, PROBE_GOOD, "the kernel refuses to push input into a terminal (TIOCSTI)");
                return;
        }
        if (trial.step == STEP_INJECT && trial.code == 0) {
                bool has_switch = access("/proc/sys/dev/tty/legacy_tiocsti", F_OK) == 0;
                probe_set(probe, PROBE_DEGRADED, "a program can push input into its terminal (TIOCSTI)%s",
                          has_switch ? ": dev.tty.legacy_tiocsti is 1" : "");
                probe_but(probe,
                          "only the terminal of its own that an environment gets keeps its programs from typing into "
                          "yours",
                          "%s",
                          has_switch ? "as root: sysctl -w dev.tty.legacy_tiocsti=0; to keep it: echo "
                                       "dev.tty.legacy_tiocsti=0 > /etc/sysctl.d/60-paddock-tty.conf"
                                     : "boot Linux 6.2 or newer, and set dev.tty.legacy_tiocsti to 0 there");
                return;
        }
        if (probe_settled(probe, &trial, "?"))
                return;
        cleanup_free char *reason = trial_reason(&trial);
        if (trial.step == STEP_INJECT) {
                probe_set(probe, PROBE_DEGRADED, "cannot find out whether input can be pushed into a terminal: %s",
                          reason);
                probe_but(probe, "treat the terminal as one that a program inside can type into", NULL);
                return;
        }
        probe_set(probe, PROBE_DEGRADED, "cannot make a terminal to try with: %s", reason);
        probe_but(probe, "an interactive environment has no terminal of its own",
                  "mount devpts: as root, mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "
                  "/dev/pts");
}
