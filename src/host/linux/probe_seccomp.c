// SPDX-License-Identifier: GPL-3.0-or-later
/* What a supervisor needs of its processes: trapped system calls, descriptors of processes, their memory. */
#include "base/cleanup.h"
#include "host/linux/probe_trial.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define ANSWER 4711 /* no process group is asked for by that number */
#define TRAP_MS 200

enum { STEP_FILTER = TRIAL_OWN, STEP_RECEIVE, STEP_SEND, STEP_OPEN, STEP_SIGNAL, STEP_WAIT, STEP_MEMORY, STEP_FETCH };

/* Traps getpgid() of a child and answers it. */
static int try_notification(struct trial *trial, const void *argument)
{
        (void)argument;
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpgid, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog filter = {.len = sizeof code / sizeof *code, .filter = code};
        trial->step = STEP_FILTER;
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
        cleanup_close int listener =
                (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
        if (listener < 0)
                return -errno;

        trial->step = STEP_RECEIVE;
        pid_t pid = trial_fork();
        if (pid < 0)
                return -errno;
        if (pid == 0)
                _exit(syscall(SYS_getpgid, 0) == ANSWER ? 0 : EPROTO);
        struct pollfd wait = {.fd = listener, .events = POLLIN};
        if (poll(&wait, 1, TRAP_MS) != 1)
                return -ETIME;
        /* The kernel may know a larger one than we do, and writes its own size: leave room. */
        union {
                struct seccomp_notif notif;
                char room[1024];
        } request = {0};
        union {
                struct seccomp_notif_resp response;
                char room[1024];
        } answer = {0};
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request) < 0)
                return -errno;
        trial->step = STEP_SEND;
        answer.response.id = request.notif.id;
        answer.response.val = ANSWER;
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) < 0)
                return -errno;
        int result = trial_wait(pid);
        return result > 0 ? -result : result;
}

void probe_notification(struct probing *p)
{
        struct probe *probe = probe_add(p, "seccomp notification", false);
        struct trial trial = trial_run(p, try_notification, NULL);
        if (probe_settled(probe, &trial, "a supervisor can answer system calls"))
                return;
        static const char lost[] = "no role can be served by a program (socket servers, emulated owners)";
        probe_failed(probe,
                     trial.step == STEP_FILTER ? "install a filter with a listener" : "answer a trapped system call",
                     &trial);
        if (trial.code == EBUSY)
                probe_but(probe, lost,
                          "start it outside the environment or container whose supervisor listens already: a process "
                          "can have one only");
        else
                probe_but(probe, lost,
                          "boot a kernel with CONFIG_SECCOMP_FILTER=y; in a container, let its filter pass seccomp");
}

static int try_pidfd(struct trial *trial, const void *argument)
{
        (void)argument;
        trial->step = STEP_OPEN;
        pid_t pid = trial_fork();
        if (pid == 0)
                for (;;)
                        pause();
        cleanup_close int fd = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
        if (fd < 0)
                return -errno;
        trial->step = STEP_SIGNAL;
        if (syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) < 0)
                return -errno;
        trial->step = STEP_WAIT;
        siginfo_t info;
        return waitid(P_PIDFD, (id_t)fd, &info, WEXITED) < 0 ? -errno : 0;
}

void probe_pidfd(struct probing *p)
{
        struct probe *probe = probe_add(p, "process descriptors", false);
        struct trial trial = trial_run(p, try_pidfd, NULL);
        if (probe_settled(probe, &trial, "pidfd_open, pidfd_send_signal, waitid"))
                return;
        probe_failed(probe,
                     trial.step == STEP_OPEN     ? "open a process (pidfd_open)"
                     : trial.step == STEP_SIGNAL ? "signal a process by descriptor"
                                                 : "wait for a process by descriptor",
                     &trial);
        probe_but(probe, "running environments cannot be entered or supervised",
                  "boot Linux 5.6 or newer; in a container, let its seccomp filter pass the pidfd calls");
}

/* Reads the memory of a child and takes a descriptor of it, as the supervisor does with a trapped process. */
static int try_ptrace(struct trial *trial, const void *argument)
{
        (void)argument;
        static const char secret[] = "paddock";
        char copy[sizeof secret] = "";
        trial->step = STEP_OPEN;
        pid_t pid = trial_fork();
        if (pid == 0)
                for (;;)
                        pause();
        if (pid < 0)
                return -errno;
        trial->step = STEP_MEMORY;
        struct iovec here = {.iov_base = copy, .iov_len = sizeof copy};
        struct iovec there = {.iov_base = (void *)(uintptr_t)secret, .iov_len = sizeof copy};
        int result = 0;
        if (process_vm_readv(pid, &here, 1, &there, 1, 0) != (ssize_t)sizeof copy || strcmp(copy, secret) != 0)
                result = -errno;
        if (result == 0) {
                trial->step = STEP_FETCH;
                cleanup_close int fd = (int)syscall(SYS_pidfd_open, pid, 0);
                cleanup_close int copied = fd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, fd, 0, 0);
                /* EBADF: the child was given no standard input, but the right was there. */
                if (copied < 0 && errno != EBADF)
                        result = -errno;
        }
        kill(pid, SIGKILL);
        trial_wait(pid);
        return result;
}

void probe_ptrace(struct probing *p)
{
        struct probe *probe = probe_add(p, "memory of processes", false);
        long scope = probe_read_number("/proc/sys/kernel/yama/ptrace_scope");
        struct trial trial = trial_run(p, try_ptrace, NULL);
        cleanup_free char *yama =
                scope < 0 ? memory_string("no Yama") : memory_format("kernel.yama.ptrace_scope is %ld", scope);
        if (probe_settled(probe, &trial, "a supervisor can read its children (%s)", yama))
                return;
        probe_failed(probe,
                     trial.step == STEP_FETCH ? "take a descriptor of a child (pidfd_getfd)"
                                              : "read the memory of a child (process_vm_readv)",
                     &trial);
        static const char lost[] = "trapped system calls with names or addresses cannot be answered: no served roles";
        if (scope >= 2)
                probe_but(probe, lost, "as root: sysctl -w kernel.yama.ptrace_scope=1%s",
                          scope == 3 ? " (after a reboot: 3 cannot be undone while the system runs)" : "");
        else
                probe_but(probe, lost, "let the container's seccomp filter pass process_vm_readv and pidfd_getfd");
}
