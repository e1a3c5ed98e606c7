// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Who forbids namespaces, and what to do about it.
 *
 * Theory of operation. The kernel answers a refused namespace with an errno that many causes share; EPERM alone has
 * six. So the facts are gathered (namespace_facts_read()) and then judged in the order in which the kernel checks them:
 * first the seccomp filter, then the switches, the chroot, the ids, and last the security modules. Whether a filter
 * refuses is not guessed from /proc/self/status, where half of all services have one: unshare() is called with
 * CLONE_NEWUSER and a flag that no kernel knows, which the kernel itself answers with EINVAL before it does anything.
 * Any other answer is the filter's.
 */
#include "host/linux/probe_explain.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "host/linux/probe_text.h"
#include "host/linux/probe_trial.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#define CAP_SYS_ADMIN_BIT (1ULL << 21)
#define UNKNOWN_FLAG 1 /* lies in the byte that clone() uses for a signal: never a flag of unshare() */

#define CONTAINER_ANY                                                                                                  \
        "ask whoever runs this container or service to allow user namespaces and mounts (seccomp and AppArmor or "     \
        "SELinux; for a systemd service RestrictNamespaces= and SystemCallFilter=)"

const char *const namespace_kinds[] = {"user", "mnt", "pid", "ipc", "uts", "net", "cgroup", "time", NULL};

int probe_explain_namespaces(struct error *err, int code)
{
        struct namespace_facts facts;
        namespace_facts_read(&facts);
        int result = namespace_facts_explain(&facts, code, err);
        namespace_facts_clear(&facts);
        return result;
}

static int try_filter(struct trial *trial, const void *argument)
{
        (void)argument;
        trial->step = TRIAL_CREATE;
        return unshare(CLONE_NEWUSER | UNKNOWN_FLAG) < 0 ? -errno : 0;
}

static bool filter_refuses(const char *status)
{
        unsigned long long mode;
        if (!status || !text_field(status, "Seccomp", 10, &mode) || mode == 0)
                return false;
        long long now = trial_clock();
        struct probing p = {.start = now, .deadline = now + 1000};
        struct trial trial = trial_run(&p, try_filter, NULL);
        if (trial.step != TRIAL_CREATE)
                return false; /* the trial itself did not come about */
        return (trial.code == ECANCELED && (trial.signal == SIGSYS || trial.signal == 0)) ||
               (trial.code != EINVAL && trial.code != ETIME && trial.code != ECANCELED);
}

/* The AppArmor profile that enforces something on us. Fresh memory or NULL. */
static char *read_profile(void)
{
        /* The first is AppArmor's own; the second belongs to whichever module came first, and SELinux writes contexts
         * there. */
        char *label = probe_read("/proc/self/attr/apparmor/current");
        if (!label)
                return NULL;
        label[strcspn(label, "\n")] = '\0';
        if (!strstr(label, " (enforce)")) {
                free(label);
                return NULL;
        }
        *strstr(label, " (enforce)") = '\0';
        return label;
}

#define DOCKER "/.dockerenv"
#define PODMAN "/run/.containerenv"
#define FLATPAK "/.flatpak-info"

/* Only a sign: a machine made from an image keeps such a file. So it is named with what is concluded from it. */
static const char *find_container(void)
{
        static const char *const signs[] = {DOCKER, PODMAN, FLATPAK};
        for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
                if (access(signs[i], F_OK) == 0)
                        return signs[i];
        return getenv("container") ? "$container" : NULL;
}

/* Follows a link of /proc. Fresh memory or NULL. */
static char *read_link(const char *path)
{
        char target[4096];
        ssize_t n = readlink(path, target, sizeof target - 1);
        if (n < 0)
                return NULL;
        target[n] = '\0';
        return memory_string(target);
}

bool is_superuser(const char *status, const char *uid_map)
{
        unsigned long long capabilities;
        return status && uid_map && idmap_is_whole(uid_map) && text_field(status, "CapEff", 16, &capabilities) &&
               (capabilities & CAP_SYS_ADMIN_BIT);
}

/* Is our root another than that of the first process, in the same mount namespace? Only root may look; for others a
 * chroot of a mount point cannot be told from a root. */
static bool has_other_root(void)
{
        cleanup_free char *own = read_link("/proc/self/ns/mnt"), *first = read_link("/proc/1/ns/mnt");
        struct stat here, there;
        return own && first && strcmp(own, first) == 0 && stat("/", &here) == 0 && stat("/proc/1/root", &there) == 0 &&
               (here.st_dev != there.st_dev || here.st_ino != there.st_ino);
}

char *apparmor_attachment(const char *program)
{
        const char *slash = strrchr(program, '/'), *end = slash ? strstr(program, "/libexec/paddock/") : NULL;
        if (end)
                return memory_format("%.*s/{bin/paddock,libexec/paddock/*}", (int)(end - program), program);
        if (slash && strcmp(slash, "/paddock-verbs") == 0)
                return memory_format("%.*s/paddock{,-verbs}", (int)(slash - program), program);
        return memory_string(program);
}

void namespace_facts_read(struct namespace_facts *facts)
{
        *facts = (struct namespace_facts){0};
        cleanup_free char *status = probe_read("/proc/self/status");
        cleanup_free char *map = probe_read("/proc/self/uid_map");
        cleanup_free char *group_map = probe_read("/proc/self/gid_map");
        cleanup_free char *mounts = probe_read("/proc/self/mountinfo");
        cleanup_free char *enforce = probe_read("/sys/fs/selinux/enforce");
        cleanup_free char *program = read_link("/proc/self/exe");

        facts->proc = status != NULL;
        for (int i = 0; i < NAMESPACE_KINDS; i++) {
                cleanup_free char *name = memory_format("/proc/self/ns/%s", namespace_kinds[i]);
                cleanup_free char *limit = memory_format("/proc/sys/user/max_%s_namespaces", namespace_kinds[i]);
                facts->built[i] = access(name, F_OK) == 0;
                facts->limit[i] = probe_read_number(limit);
        }
        facts->nested = map && !idmap_is_whole(map);
        facts->ids_mapped = !map || !group_map || (idmap_has(map, geteuid()) && idmap_has(group_map, getegid()));
        facts->superuser = is_superuser(status, map);
        facts->chrooted = (mounts && *mounts && !mountinfo_has_root(mounts)) || has_other_root();
        facts->filtered = filter_refuses(status);
        facts->clone_switch = probe_read_number("/proc/sys/kernel/unprivileged_userns_clone");
        facts->apparmor_switch = probe_read_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
        facts->apparmor_profile = read_profile();
        facts->selinux = enforce && *enforce == '1';
        facts->modules = probe_read("/sys/kernel/security/lsm");
        facts->container = find_container();
        cleanup_free char *shown = program ? text_escape(program) : NULL;
        facts->program = apparmor_attachment(shown ? shown : "/usr/bin/paddock");
}

void namespace_facts_clear(struct namespace_facts *facts)
{
        free(facts->apparmor_profile);
        free(facts->modules);
        free(facts->program);
        *facts = (struct namespace_facts){0};
}

const char *container_remedy(const char *container)
{
        if (!container)
                return CONTAINER_ANY;
        if (strcmp(container, DOCKER) == 0)
                return "start the container with --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
                       "--security-opt systempaths=unconfined";
        if (strcmp(container, PODMAN) == 0)
                return "start the container with --security-opt seccomp=unconfined --security-opt label=disable "
                       "--security-opt unmask=ALL";
        if (strcmp(container, FLATPAK) == 0)
                return "run it outside the Flatpak sandbox: flatpak-spawn --host paddock ...";
        return CONTAINER_ANY;
}

static int explain_apparmor(const struct namespace_facts *facts, int code, struct error *err)
{
        error_set(err, code,
                  "AppArmor takes the rights away from user namespaces of ordinary users "
                  "(kernel.apparmor_restrict_unprivileged_userns is %ld): %s",
                  facts->apparmor_switch, strerror(code));
        return error_remedy(err,
                            "as root, allow it to paddock alone: printf 'abi <abi/4.0>,\\nprofile paddock %s "
                            "flags=(unconfined) {\\n  userns,\\n}\\n' > /etc/apparmor.d/paddock && apparmor_parser -r "
                            "/etc/apparmor.d/paddock; or to every program: sysctl -w "
                            "kernel.apparmor_restrict_unprivileged_userns=0",
                            facts->program);
}

/* ENOSPC and EUSERS: a count is used up. */
static int explain_limit(const struct namespace_facts *facts, int code, struct error *err)
{
        const char *name = code == ENOSPC ? "ENOSPC" : "EUSERS"; /* its text speaks of disks */
        for (int i = 0; i < NAMESPACE_KINDS; i++) {
                const char *kind = namespace_kinds[i];
                if (facts->limit[i] != 0)
                        continue;
                error_set(err, code, "the administrator allows no %s namespaces (user.max_%s_namespaces is 0; %s)",
                          kind, kind, name);
                return error_remedy(err,
                                    "as root: sysctl -w user.max_%s_namespaces=15000; to keep it: echo "
                                    "user.max_%s_namespaces=15000 > /etc/sysctl.d/60-paddock.conf",
                                    kind, kind);
        }
        if (facts->nested) {
                error_set(err, code,
                          "no further namespace: either 32 of them are nested already, which is the kernel's limit, "
                          "or user.max_user_namespaces is reached on some level (%s)",
                          name);
                return error_remedy(err, "start it outside the innermost environment or container; outside, end "
                                         "namespaces that are not needed (`lsns -t user` lists them)");
        }
        error_set(err, code,
                  "as many namespaces exist as the administrator allows (user.max_user_namespaces is %ld; %s)",
                  facts->limit[0], name);
        return error_remedy(err,
                            "end namespaces that are not needed (`lsns -t user` lists them), or as root: sysctl -w "
                            "user.max_user_namespaces=%ld",
                            facts->limit[0] > 0 ? facts->limit[0] * 2 : 15000);
}

/* EPERM, EACCES and ENOSYS: somebody refuses. In the order of the kernel's checks. */
static int explain_refusal(const struct namespace_facts *facts, int code, struct error *err)
{
        if (facts->filtered) {
                error_set(err, code, "a seccomp filter of the %s around this process refuses user namespaces%s%s%s: %s",
                          facts->container ? "container" : "container or service", facts->container ? " (" : "",
                          facts->container ? facts->container : "", facts->container ? " says it is one)" : "",
                          strerror(code));
                return error_remedy(err, "%s", container_remedy(facts->container));
        }
        if (code == ENOSYS) {
                error_set(err, code, "clone3, with which namespaces are made, is not there: %s", strerror(code));
                return error_remedy(err, "boot Linux 6.1 or newer; in a container: %s",
                                    container_remedy(facts->container));
        }
        if (facts->clone_switch == 0 && !facts->superuser) {
                error_set(err, code,
                          "user namespaces are switched off for ordinary users (kernel.unprivileged_userns_clone is "
                          "0): %s",
                          strerror(code));
                return error_remedy(err, "as root: sysctl -w kernel.unprivileged_userns_clone=1; to keep it: echo "
                                         "kernel.unprivileged_userns_clone=1 > /etc/sysctl.d/60-paddock.conf");
        }
        if (facts->chrooted) {
                error_set(err, code, "this process is in a chroot, where the kernel allows no user namespaces: %s",
                          strerror(code));
                return error_remedy(err, "start it outside the chroot, or enter that tree with pivot_root instead "
                                         "(systemd-nspawn -D, bwrap --bind DIRECTORY /)");
        }
        /* Before the ids: Ubuntu lets the namespace be made, moves its maker into this profile and refuses what
         * follows. */
        if (facts->apparmor_switch > 0 && !facts->superuser &&
            (!facts->apparmor_profile || strcmp(facts->apparmor_profile, "unprivileged_userns") == 0))
                return explain_apparmor(facts, code, err);
        if (!facts->ids_mapped) {
                error_set(err, code,
                          "uid %u and gid %u mean nothing in the user namespace around this process, so that it may "
                          "not make another: %s",
                          (unsigned)geteuid(), (unsigned)getegid(), strerror(code));
                return error_remedy(err,
                                    "map the ids in that namespace (its /proc/PID/uid_map and gid_map), or start it "
                                    "outside");
        }
        if (facts->apparmor_profile) {
                error_set(err, code, "the AppArmor profile '%s' around this process refuses it: %s",
                          facts->apparmor_profile, strerror(code));
                if (facts->container)
                        return error_remedy(err, "%s", container_remedy(facts->container));
                return error_remedy(err, "as root, add the lines `userns,` and `mount,` to that profile in "
                                         "/etc/apparmor.d and load it with apparmor_parser -r; or start paddock "
                                         "outside it");
        }
        if (facts->selinux) {
                error_set(err, code, "probably SELinux refuses it (it is enforcing): %s", strerror(code));
                return error_remedy(err, "as root, `ausearch -m avc -ts recent` shows the refusal and `audit2allow -M "
                                         "paddock` makes a module that allows it");
        }
        error_set(err, code,
                  "it is refused, but by none of the usual switches: probably this is a chroot of a mount point (as "
                  "schroot makes them), or a security module refuses%s%.*s%s: %s",
                  facts->modules ? " (active are " : "", facts->modules ? (int)strcspn(facts->modules, "\n") : 0,
                  facts->modules ? facts->modules : "", facts->modules ? ")" : "", strerror(code));
        return error_remedy(err, "%s",
                            facts->container
                                    ? container_remedy(facts->container)
                                    : "start it outside the chroot; the kernel log (`journalctl -k`, dmesg) shows "
                                      "what a security module refuses");
}

int namespace_facts_explain(const struct namespace_facts *facts, int code, struct error *err)
{
        if (!facts->proc) {
                error_set(err, code, "/proc is not mounted here, and no user namespace can be set up without it: %s",
                          strerror(code));
                return error_remedy(err, "as root: mount -t proc proc /proc");
        }
        /* Those that every run needs. Mount namespaces are always there. */
        static const char *const options[] = {"CONFIG_USER_NS", "CONFIG_NAMESPACES", "CONFIG_PID_NS", "CONFIG_IPC_NS",
                                              "CONFIG_UTS_NS"};
        for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
                if (facts->built[i])
                        continue;
                error_set(err, code, "this kernel was built without %s namespaces: %s", namespace_kinds[i],
                          strerror(code));
                return error_remedy(err, "boot a kernel built with %s=y", options[i]);
        }
        switch (code) {
        case ENOSPC:
        case EUSERS:
                return explain_limit(facts, code, err);
        case EPERM:
        case EACCES:
        case ENOSYS:
                return explain_refusal(facts, code, err);
        case EAGAIN:
                error_set(err, code, "no further process: a limit on tasks is reached: %s", strerror(code));
                return error_remedy(err,
                                    "look at `ulimit -u`, at TasksMax= of the service or session (`systemctl status "
                                    "user-$(id -u).slice`) and at pids.max of the cgroup");
        case ENOMEM:
                error_set(err, code, "the kernel has no memory for namespaces: %s", strerror(code));
                return error_remedy(err, "end programs, or raise the memory limit of the cgroup around this process");
        case EINVAL:
                error_set(err, code, "this kernel does not know one of the namespaces that a run needs: %s",
                          strerror(code));
                return error_remedy(err, "boot Linux 6.1 or newer, with CONFIG_NAMESPACES and CONFIG_USER_NS");
        default:
                return error_sys(err, code, "namespaces cannot be made");
        }
}
