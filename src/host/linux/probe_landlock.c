// SPDX-License-Identifier: GPL-3.0-or-later
/* Walls beside the namespaces: Landlock for abstract sockets, and the filter that keeps keys away. */
#include "base/cleanup.h"
#include "host/linux/kernel.h"
#include "host/linux/probe_trial.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#define SCOPING_ABI 6

enum { STEP_ABI = TRIAL_OWN, STEP_SOCKET, STEP_RULES, STEP_RESTRICT, STEP_CONNECT };

/* Shuts itself off from abstract sockets made before, and tries one. trial->value is the ABI. */
static int try_landlock(struct trial *trial, const void *argument)
{
        (void)argument;
        trial->step = STEP_ABI;
        long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, KERNEL_LANDLOCK_CREATE_VERSION);
        if (abi < 0)
                return -errno;
        trial->value = abi;
        if (abi < SCOPING_ABI)
                return -ENOTSUP;

        trial->step = STEP_SOCKET;
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        socklen_t length = sizeof address;
        cleanup_close int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        cleanup_close int client = -1;
        /* Bound without a name it gets an abstract one. */
        if (server < 0 || bind(server, (struct sockaddr *)&address, sizeof(sa_family_t)) < 0 || listen(server, 1) < 0 ||
            getsockname(server, (struct sockaddr *)&address, &length) < 0)
                return -errno;

        trial->step = STEP_RULES;
        struct kernel_landlock_ruleset rules = {.scoped = KERNEL_LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET};
        cleanup_close int ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0);
        if (ruleset < 0)
                return -errno;
        trial->step = STEP_RESTRICT;
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
                return -errno;

        trial->step = STEP_CONNECT;
        client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (client < 0)
                return -errno;
        if (connect(client, (struct sockaddr *)&address, length) == 0)
                return -EISCONN;
        return errno == EPERM ? 0 : -errno;
}

void probe_landlock(struct probing *p)
{
        struct probe *probe = probe_add(p, "abstract sockets", false);
        struct trial trial = trial_run(p, try_landlock, NULL);
        if (probe_settled(probe, &trial, "scoped away (Landlock ABI %ld)", trial.value))
                return;
        static const char lost[] =
                "abstract sockets of the session stay reachable from `paddock run`, unless it has a network of its own";
        if (trial.step == STEP_ABI && trial.code == ENOTSUP) {
                probe_set(probe, PROBE_DEGRADED, "Landlock ABI %ld cannot scope them; ABI %d can", trial.value,
                          SCOPING_ABI);
                probe_but(probe, lost, "boot Linux 6.12 or newer");
                return;
        }
        probe_failed(probe,
                     trial.step == STEP_ABI       ? "use Landlock"
                     : trial.step == STEP_SOCKET  ? "make an abstract socket"
                     : trial.step == STEP_CONNECT ? "trust Landlock: the socket stayed reachable"
                                                  : "restrict a process with Landlock",
                     &trial);
        probe_but(probe, lost,
                  trial.code == EOPNOTSUPP ? "boot with landlock among the modules of the kernel parameter lsm="
                  : trial.code == ENOSYS   ? "boot a kernel with CONFIG_SECURITY_LANDLOCK=y (Linux 6.12 or newer)"
                                           : "let the container's seccomp filter pass the landlock calls");
}

static int try_filter(struct trial *trial, const void *argument)
{
        (void)argument;
        trial->step = TRIAL_OWN;
        struct sock_filter pass[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
        struct sock_fprog program = {1, pass};
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
        return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0 ? -errno : 0;
}

/* A run refuses the calls for keys by a filter (program.c), and does not start without it. */
void probe_keys(struct probing *p)
{
        struct probe *probe = probe_add(p, "system call filters", true);
        struct trial trial = trial_run(p, try_filter, NULL);
        if (probe_settled(probe, &trial, "the calls for kernel keys can be refused inside"))
                return;
        probe_failed(probe, "filter system calls", &trial);
        probe_but(probe, "your keys (Kerberos tickets, disk keys) would be reachable inside, so nothing is started",
                  "%s",
                  trial.code == EINVAL ? "boot a kernel with CONFIG_SECCOMP_FILTER=y"
                                       : "let the container's seccomp filter pass prctl");
}
