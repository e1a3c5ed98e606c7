// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * From a clone of init to the program: what it gets, and what it must not get.
 *
 * In this order: ids; name and network of the host; keys and abstract sockets of the outer session, cut off;
 * the terminal; the working directory; descriptors; signals; exec. Nothing here may leave anything to the program that
 * lets it act outside.
 */
#include "host/linux/init.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "host/linux/abi.h"
#include "host/linux/identity.h"
#include "host/linux/kernel.h"
#include "host/linux/limits.h"
#include "host/linux/report.h"
#include "host/linux/trap.h"

#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

static _Noreturn void give_up(const struct birth *birth, int exit_code, const struct error *err)
{
        report_send(birth->socket, REPORT_FAILED, exit_code, err, -1);
        _exit(exit_code);
}

/* The key calls are refused, as if this kernel had none. A session keyring of its own would not be enough: keys of the
 * user's other keyrings (Kerberos tickets, disk keys) are listed in /proc/keys and answer to whoever has the user's
 * id. */
static int refuse_keys(struct error *err)
{
        struct sock_filter filter[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ABI_SECOND, 6, 0),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ABI_NATIVE, 0, 9),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_STMT(BPF_ALU | BPF_AND | BPF_K, ABI_CALL_MASK),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_keyctl, 6, 0),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_add_key, 5, 0),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_request_key, 4, 5),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ABI_SECOND_KEYCTL, 2, 0),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ABI_SECOND_ADD_KEY, 1, 0),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ABI_SECOND_REQUEST_KEY, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0)
                return error_sys(err, errno, "cannot refuse the calls for keys (seccomp)");
        return 0;
}

/* Abstract UNIX sockets have no name in any file system, so no view hides them. Landlock does (Linux 6.12); with an
 * older kernel they stay reachable, which `paddock doctor` and the manual say. */
static int scope_abstract_sockets(struct error *err)
{
        long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, KERNEL_LANDLOCK_CREATE_VERSION);
        if (abi < 6)
                return 0;
        struct kernel_landlock_ruleset rules = {
                .scoped = KERNEL_LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | KERNEL_LANDLOCK_SCOPE_SIGNAL};
        cleanup_close int fd = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0);
        if (fd < 0 || syscall(SYS_landlock_restrict_self, fd, 0) < 0) {
                if (errno == E2BIG) /* sixteen environments inside each other: the outer ones scope already */
                        return 0;
                return error_sys(err, errno, "cannot cut off abstract sockets (Landlock)");
        }
        return 0;
}

int program_loopback(struct error *err)
{
        cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct ifreq request = {.ifr_name = "lo"};
        if (fd < 0)
                return error_sys(err, errno, "cannot open a socket for the loopback interface");
        request.ifr_flags = IFF_UP | IFF_RUNNING;
        return ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? error_sys(err, errno, "cannot bring up the loopback interface")
                                                     : 0;
}

int program_cut_off(struct error *err)
{
        int result = refuse_keys(err);
        return result < 0 ? result : scope_abstract_sockets(err);
}

/* Groups of the user mean nothing inside. With one id they cannot be given up. */
int program_give_up_groups(const struct birth *birth, struct error *err)
{
        const struct system *system = birth->launch->system;
        if (birth->launch->plan->root && !system->ids_lack && !system->ids_direct && setgroups(0, NULL) < 0)
                return error_sys(err, errno, "cannot give up the user's groups");
        return 0;
}

int program_settle(struct birth *birth, int mapped, struct error *err)
{
        const struct plan *plan = birth->launch->plan;
        char go;
        if (mapped >= 0 && read(mapped, &go, 1) != 1)
                _exit(125); /* init says why */
        if (birth_has_ids(birth)) {
                int result = program_give_up_groups(birth, err);
                if (result < 0)
                        return result;
                if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
                        return error_sys(err, errno, "cannot become root of the environment");
        } else {
                int result = identity_map_self(birth->uid, birth->gid, err);
                if (result < 0)
                        return result;
        }
        if (plan->hostname && sethostname(plan->hostname, strlen(plan->hostname)) < 0)
                return error_sys(err, errno, "cannot set the host name %s", plan->hostname);
        int result = plan->own_network && !plan->uplink ? program_loopback(err) : 0;
        return result == 0 && birth->traps >= 0 ? trap_network(birth, err) : result;
}

/* A directory that every user may make files in. */
static bool is_for_all(const char *path)
{
        struct stat st;
        return stat(path, &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & 01777) == 01777;
}

/* What the user's login said does not hold for root. Programs for administrators are found, and what drops root's
 * rights finds a place for its temporary files. An environment inside this one keeps its state where the outer state is
 * covered. */
void program_root_variables(const struct launch *launch)
{
        static const char *const needed[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                             "/usr/bin",        "/sbin",          "/bin"};
        cleanup_text struct text path = {0};
        const char *before = getenv("PATH");
        text_add(&path, before ? before : "");
        for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
                cleanup_free char *have = memory_format(":%s:", path.data);
                cleanup_free char *want = memory_format(":%s:", needed[i]);
                if (!strstr(have, want))
                        text_addf(&path, "%s%s", path.length ? ":" : "", needed[i]);
        }
        setenv("PATH", path.data, 1);
        setenv("HOME", "/root", 1);
        setenv("USER", "root", 1);
        setenv("LOGNAME", "root", 1);
        unsetenv("MAIL");
        const char *shell = getenv("SHELL"), *temporary = getenv("TMPDIR");
        if (shell && access(shell, X_OK) < 0)
                unsetenv("SHELL");
        if (temporary && !is_for_all(temporary))
                unsetenv("TMPDIR");
        if (!launch->plan->session)
                unsetenv("XDG_RUNTIME_DIR");
        if (launch->system->state && !getenv("XDG_STATE_HOME")) {
                cleanup_free char *parent = path_parent(launch->system->state);
                setenv("XDG_STATE_HOME", parent, 1);
        }
}

/* Enters the working directory. When its name leads nowhere inside, "/" is where a shell would be, and $PWD says so. */
void program_enter_directory(const char *name)
{
        cleanup_close int directory = name ? inherit_open_directory(name) : -1;
        if (directory >= 0 && fchdir(directory) == 0)
                return;
        (void)!chdir("/");
        setenv("PWD", "/", 1);
        unsetenv("OLDPWD");
}

/* A script without "#!" is run by sh, as shells and execvp() do. */
static int execute_script(const char *script, char **argv)
{
        size_t count = 0;
        while (argv[count])
                count++;
        cleanup_free char **sh = memory_grow(NULL, count + 2, sizeof *sh);
        sh[0] = (char *)"/bin/sh";
        sh[1] = (char *)script;
        memcpy(sh + 2, argv + 1, count * sizeof *argv);
        execv(sh[0], sh);
        return ENOEXEC;
}

/* As execvp(), but the one error that is reported is the one that a shell would report. */
static int execute(char **argv)
{
        if (strchr(argv[0], '/') || !argv[0][0]) {
                execv(argv[0], argv);
                return errno == ENOEXEC ? execute_script(argv[0], argv) : errno;
        }
        const char *path = getenv("PATH");
        cleanup_free char *list = memory_string(path ? path : "/usr/local/bin:/usr/bin:/bin");
        int worst = ENOENT;
        for (char *rest = list, *dir; (dir = strsep(&rest, ":"));) {
                cleanup_free char *name = memory_format("%s%s%s", dir[0] ? dir : ".", "/", argv[0]);
                struct stat st;
                execv(name, argv);
                if (errno == ENOEXEC)
                        return execute_script(name, argv);
                if (errno != ENOENT && errno != ENOTDIR && stat(name, &st) == 0 && S_ISREG(st.st_mode))
                        worst = errno;
        }
        return worst;
}

int program_execute(char **argv, struct error *err)
{
        int code = execute(argv);
        cleanup_free char *shown = text_escape(argv[0]);
        if (code == ENOENT || code == ENOTDIR) {
                error_set(err, code, "%s: %s", shown,
                          strchr(argv[0], '/') ? "no such file inside" : "command not found");
                return 127;
        }
        error_sys(err, code, "%s: cannot be executed", shown);
        return 126;
}

_Noreturn void program_main(struct birth *birth, int terminal, int mapped)
{
        cleanup_error struct error err = ERROR_INIT;
        char **argv = birth->launch->argv;
        setpgid(0, 0);
        if (cgrouptree_leave_init(&birth->cgroups, &err) < 0 || program_settle(birth, mapped, &err) < 0 ||
            (!birth->launch->plan->session && program_cut_off(&err) < 0) ||
            (birth->traps >= 0 && trap_calls(birth, &err) < 0))
                give_up(birth, 125, &err);
        if (terminal >= 0 && birth->foreground)
                tcsetpgrp(terminal, getpgrp()); /* SIGTTOU is blocked still */
        if (setenv("PADDOCK_NAME", birth->launch->name ? birth->launch->name : "", 1) < 0 ||
            inherit_close(birth->inherit, terminal, birth->socket, &err) < 0)
                give_up(birth, 125, &err);
        if (birth->launch->plan->root)
                program_root_variables(birth->launch);
        program_enter_directory(birth->launch->plan->cwd);
        inherit_directories(birth->inherit);
        umask(birth->umask);
        limits_files(birth->launch);
        kernel_signal_mask(SIG_SETMASK, &birth->signals, NULL);
        give_up(birth, program_execute(argv, &err), &err);
}
