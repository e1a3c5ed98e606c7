// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What the warden gives up after its set-up, stage by stage.
 *
 *   descriptors   standard ones lead to /dev/null (whoever starts it sees to that)
 *   privileges    no_new_privs; real root keeps CAP_KILL and CAP_DAC_OVERRIDE, for init and the directory have other ids
 *   file system   Landlock: the environment's directory, and reading of /proc
 *   system calls  seccomp: waiting, sockets, that directory, clocks, memory, signals; nothing is executed, traced or mounted
 *
 * A stage that this kernel does not have (no Landlock) is skipped: the others hold alone.
 */
#include "host/living.h"

#include "base/cleanup.h"
#include "host/linux/kernel.h"

#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

static int give_up_privileges(struct error *err)
{
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct data[2] = {{0}};
        if (syscall(SYS_capget, &header, data) < 0)
                return error_sys(err, errno, "cannot ask for privileges");
        uint32_t kept = data[0].permitted & (1u << CAP_KILL | 1u << CAP_DAC_OVERRIDE);
        data[0] = (struct __user_cap_data_struct){.effective = kept, .permitted = kept};
        data[1] = (struct __user_cap_data_struct){0};
        if (syscall(SYS_capset, &header, data) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return error_sys(err, errno, "cannot give up privileges");
        return 0;
}

/* include/uapi/linux/landlock.h, ABI 1 to 3 */
#define ACCESS_EXECUTE (1ULL << 0)
#define ACCESS_WRITE_FILE (1ULL << 1)
#define ACCESS_READ_FILE (1ULL << 2)
#define ACCESS_READ_DIR (1ULL << 3)
#define ACCESS_REMOVE_DIR (1ULL << 4)
#define ACCESS_REMOVE_FILE (1ULL << 5)
#define ACCESS_MAKE_REG (1ULL << 8)
#define ACCESS_TRUNCATE (1ULL << 14)
#define RULE_PATH_BENEATH 1
#ifndef SYS_landlock_add_rule
#define SYS_landlock_add_rule 445
#endif

struct beneath {
        uint64_t allowed;
        int32_t parent;
} __attribute__((packed));

static int limit_files(int kept, struct error *err)
{
        long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, KERNEL_LANDLOCK_CREATE_VERSION);
        if (abi < 1)
                return 0;
        const int rights = abi >= 3 ? 15 : abi == 2 ? 14 : 13; /* how many this kernel knows */
        struct kernel_landlock_ruleset rules = {.handled_access_fs = (1ULL << rights) - 1};
        cleanup_close int set = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof rules.handled_access_fs, 0);
        cleanup_close int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct beneath own = {.allowed = (ACCESS_WRITE_FILE | ACCESS_READ_FILE | ACCESS_READ_DIR | ACCESS_REMOVE_FILE |
                                          ACCESS_MAKE_REG | ACCESS_TRUNCATE) & rules.handled_access_fs,
                              .parent = kept};
        struct beneath reading = {.allowed = ACCESS_READ_FILE, .parent = proc};
        if (set < 0 || proc < 0 || syscall(SYS_landlock_add_rule, set, RULE_PATH_BENEATH, &own, 0) < 0 ||
            syscall(SYS_landlock_add_rule, set, RULE_PATH_BENEATH, &reading, 0) < 0 ||
            syscall(SYS_landlock_restrict_self, set, 0) < 0) {
                if (errno == E2BIG) /* sixteen already: too many environments inside each other */
                        return 0;
                return error_sys(err, errno, "cannot give up the file system (Landlock)");
        }
        return 0;
}

#if defined __x86_64__
#define NATIVE AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define NATIVE AUDIT_ARCH_AARCH64
#endif

/* Both C libraries, and both processors: calls that one of them does not have are left out. */
static const int allowed[] = {
        SYS_ppoll,        SYS_read,
        SYS_readv,        SYS_write,
        SYS_writev,       SYS_pread64,
        SYS_pwrite64,     SYS_close,
        SYS_fstat,        SYS_statx,
        SYS_lseek,        SYS_ftruncate,
        SYS_fsync,        SYS_fdatasync,
        SYS_flock,        SYS_fcntl,
        SYS_dup,          SYS_dup3,
        SYS_pipe2,        SYS_openat,
        SYS_newfstatat,   SYS_unlinkat,
        SYS_renameat2,    SYS_faccessat,
        SYS_readlinkat,   SYS_socketpair,
        SYS_accept4,      SYS_sendmsg,
        SYS_recvmsg,      SYS_sendto,
        SYS_recvfrom,     SYS_getsockopt,
        SYS_shutdown,     SYS_brk,
        SYS_mmap,         SYS_munmap,
        SYS_mprotect,     SYS_mremap,
        SYS_madvise,      SYS_clock_gettime,
        SYS_gettimeofday, SYS_clock_nanosleep,
        SYS_nanosleep,    SYS_restart_syscall,
        SYS_kill,         SYS_wait4,
        SYS_waitid,       SYS_rt_sigprocmask,
        SYS_rt_sigaction, SYS_rt_sigreturn,
        SYS_getpid,       SYS_gettid,
        SYS_getuid,       SYS_geteuid,
        SYS_getgid,       SYS_getegid,
        SYS_exit,         SYS_exit_group,
        SYS_futex,        SYS_getrandom,
        SYS_umask,        SYS_prctl,
        SYS_tgkill,       SYS_sched_yield,
        SYS_close_range,
#ifdef __x86_64__
        SYS_poll,         SYS_open,
        SYS_stat,         SYS_lstat,
        SYS_unlink,       SYS_rename,
        SYS_renameat,     SYS_access,
        SYS_readlink,     SYS_pipe,
        SYS_dup2,
#endif
};
#define ALLOWED (sizeof allowed / sizeof *allowed)

static int limit_calls(struct error *err)
{
        struct sock_filter filter[4 + 2 * ALLOWED + 5];
        size_t n = 0;
        filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
        filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE, 1, 0);
        filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
        filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
        for (size_t i = 0; i < ALLOWED; i++) {
                filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)allowed[i], 0, 1);
                filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        }
        /* Of all that ioctl() can, the size of a console. */
        filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 3);
        filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1]));
        filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIOCSWINSZ, 0, 1);
        filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
        struct sock_fprog program = {(unsigned short)n, filter};
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0)
                return error_sys(err, errno, "cannot give up system calls (seccomp)");
        return 0;
}

int host_isolate(int kept, struct error *err)
{
        int result = give_up_privileges(err);
        if (result == 0)
                result = limit_files(kept, err);
        return result < 0 ? result : limit_calls(err);
}
