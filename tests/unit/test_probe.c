// SPDX-License-Identifier: GPL-3.0-or-later
/* The probes, as far as they can be tested without the machines they judge: readers of texts, judgements on facts that
 * other machines would give, and the frame in which trials run. */
#include "host/linux/probe_cgroup.h"
#include "host/linux/probe_explain.h"
#include "base/text.h"
#include "host/linux/probe_text.h"
#include "host/linux/probe_trial.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Readers. */

static void numbers(void **state)
{
        (void)state;
        long value = 7;
        assert_true(text_number("0\n", &value));
        assert_int_equal(value, 0);
        assert_true(text_number("-1 \n", &value));
        assert_int_equal(value, -1);
        assert_true(text_number("15000", &value));
        assert_int_equal(value, 15000);
        value = 7;
        assert_false(text_number("", &value));
        assert_false(text_number("\n", &value));
        assert_false(text_number("1 2\n", &value));
        assert_false(text_number("enabled\n", &value));
        assert_false(text_number("99999999999999999999999\n", &value));
        assert_int_equal(value, 7);
}

static void kernel_versions(void **state)
{
        (void)state;
        int major, minor;
        assert_true(text_kernel_version("6.1.0-18-amd64", &major, &minor));
        assert_int_equal(major, 6);
        assert_int_equal(minor, 1);
        assert_true(text_kernel_version("6.12", &major, &minor));
        assert_int_equal(minor, 12);
        assert_true(text_kernel_version("5.15.167.4-microsoft-standard-WSL2", &major, &minor));
        assert_int_equal(major, 5);
        assert_int_equal(minor, 15);
        assert_true(text_kernel_version("10.0-rc1", &major, &minor));
        assert_int_equal(major, 10);
        assert_false(text_kernel_version("", &major, &minor));
        assert_false(text_kernel_version("6", &major, &minor));
        assert_false(text_kernel_version("-6.1", &major, &minor));
        assert_false(text_kernel_version("v6.1", &major, &minor));
}

static void fields(void **state)
{
        (void)state;
        static const char status[] =
                "Name:\tSeccomp: 9\nUmask:\t0022\nCapEff:\t000001fffeffffff\nNoNewPrivs:\t0\nSeccomp:\t2\n"
                "Seccomp_filters:\t3\n";
        unsigned long long value;
        assert_true(text_field(status, "Seccomp", 10, &value));
        assert_int_equal(value, 2);
        assert_true(text_field(status, "Seccomp_filters", 10, &value));
        assert_int_equal(value, 3);
        assert_true(text_field(status, "CapEff", 16, &value));
        assert_true(value == 0x1fffeffffffULL);
        assert_false(text_field(status, "CapAmb", 16, &value));
        assert_false(text_field("", "Seccomp", 10, &value));
        assert_false(text_field("Seccomp:\n", "Seccomp", 10, &value));
        assert_false(text_field("Seccomp:\nSeccomp_filters:\t1\n", "Seccomp", 10, &value));
}

static void words(void **state)
{
        (void)state;
        assert_true(text_has_word("cpuset cpu io memory pids\n", "cpu"));
        assert_true(text_has_word("cpu,cpuacct blkio", "cpuacct"));
        assert_false(text_has_word("cpuset io\n", "cpu"));
        assert_false(text_has_word("", "cpu"));
        assert_false(text_has_word("\n", "cpu"));
}

static void id_maps(void **state)
{
        (void)state;
        static const char rootless[] = "         0       1000          1\n         1     100000      65536\n";
        assert_true(idmap_is_whole("         0          0 4294967295\n"));
        assert_false(idmap_is_whole(rootless));
        assert_false(idmap_is_whole(""));
        assert_false(idmap_is_whole("0 0 65536\n"));
        assert_true(idmap_has(rootless, 0));
        assert_true(idmap_has(rootless, 65536));
        assert_false(idmap_has(rootless, 65537));
        assert_false(idmap_has("", 0)); /* made, and not mapped yet */
        assert_true(idmap_has("0 0 4294967295\n", 65534));
}

static const char subuid[] = "# comment\n"
                             "herd:100000:65536\n"
                             "herdsman:165536:65536\n"
                             "1001:300000:1000\n"
                             "broken\n"
                             "empty:400000:0\n"
                             "odd:x:1\n"
                             "herd:500000:70000";

static void sub_ids(void **state)
{
        (void)state;
        struct id_range range = {1, 1};
        assert_true(subid_largest(subuid, "herd", 1000, &range));
        assert_int_equal(range.start, 500000); /* the last line has no end */
        assert_int_equal(range.count, 70000);
        assert_true(subid_largest(subuid, "herdsman", 1002, &range));
        assert_int_equal(range.start, 165536);
        assert_true(subid_largest(subuid, NULL, 1001, &range)); /* by number */
        assert_int_equal(range.count, 1000);
        range = (struct id_range){1, 1};
        assert_false(subid_largest(subuid, "her", 1003, &range));
        assert_false(subid_largest(subuid, "empty", 1003, &range));
        assert_false(subid_largest(subuid, "odd", 1003, &range));
        assert_false(subid_largest("", "herd", 1003, &range));
        assert_int_equal(range.start, 1); /* untouched */
}

static void all_ranges(void **state)
{
        (void)state;
        struct id_ranges all;
        static const char text[] = "a:100:10\nherd:1000:5\nb:1:1\n7:2000:5\nherd:3000:0\nherd:x:1\nherd:4000:50";
        subid_all(text, "herd", 7, 65535, &all); /* by name and by number, in their order */
        assert_int_equal(all.count, 3);
        assert_int_equal(all.ranges[0].start, 1000);
        assert_int_equal(all.ranges[1].start, 2000);
        assert_int_equal(all.ranges[2].start, 4000);
        assert_int_equal(all.ranges[2].count, 50);
        subid_all(text, "herd", 7, 12, &all); /* no more than can be used */
        assert_int_equal(all.count, 3);
        assert_int_equal(all.ranges[2].count, 2);
        subid_all(text, "herd", 7, 5, &all);
        assert_int_equal(all.count, 1);
        subid_all(text, "her", 8, 65535, &all);
        assert_int_equal(all.count, 0);
        subid_all("", NULL, 8, 65535, &all);
        assert_int_equal(all.count, 0);
        cleanup_text struct text many = {0};
        for (int i = 0; i < 3 * ID_RANGES; i++)
                text_addf(&many, "herd:%d:1\n", 1000 + i);
        subid_all(many.data, "herd", 7, 65535, &all);
        assert_int_equal(all.count, ID_RANGES);
}

static void free_ranges(void **state)
{
        (void)state;
        assert_int_equal(subid_free(NULL, NULL, 100000), 100000);
        assert_int_equal(subid_free("", "", 100000), 100000);
        assert_int_equal(subid_free("a:100000:65536\n", NULL, 100000), 165536);
        assert_int_equal(subid_free("a:100000:65536\n", "a:165536:65536\n", 100000), 231072);
        /* Only the group is taken there, and a range reaches into it from below. */
        assert_int_equal(subid_free("a:90000:20000\n", NULL, 100000), 165536);
        /* A gap is used. */
        assert_int_equal(subid_free("a:100000:65536\nb:231072:65536\n", "", 100000), 165536);
        assert_int_equal(subid_free("a:165535:1\n", "", 100000), 165536);
        assert_int_equal(subid_free("a:165536:1\n", "", 100000), 100000);
}

static void name_services(void **state)
{
        (void)state;
        assert_null(nsswitch_subid("passwd: files systemd\n"));
        assert_null(nsswitch_subid("subid: files\n"));
        assert_null(nsswitch_subid("subid:\n"));
        assert_null(nsswitch_subid("# subid: sss\n"));
        char *source = nsswitch_subid("passwd: files\n  subid:\tsss # from the directory\n");
        assert_string_equal(source, "sss");
        free(source);
}

static void cgroups(void **state)
{
        (void)state;
        char *path, *v1;
        assert_int_equal(cgroup_read("0::/user.slice/user-1000.slice/session-2.scope\n", &path, &v1), CGROUP_V2);
        assert_string_equal(path, "/user.slice/user-1000.slice/session-2.scope");
        assert_null(v1);
        free(path);

        assert_int_equal(cgroup_read("12:cpu,cpuacct:/\n9:name=systemd:/user\n4:memory:/a:b\n0::/\n", &path, &v1),
                         CGROUP_HYBRID);
        assert_string_equal(path, "/");
        assert_string_equal(v1, "cpu,cpuacct memory");
        free(path);
        free(v1);

        assert_int_equal(cgroup_read("4:memory:/\n", &path, &v1), CGROUP_V1);
        assert_null(path);
        free(v1);
        assert_int_equal(cgroup_read("", &path, &v1), CGROUP_NONE);
        assert_int_equal(cgroup_read("nonsense\n", NULL, NULL), CGROUP_NONE);
}

static const char mountinfo[] =
        "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
        "22 27 0:21 / /proc rw - proc proc rw\n"
        "40 22 0:35 / /proc/sys/fs/binfmt_misc rw shared:9 - autofs systemd-1 rw\n"
        "41 40 0:36 / /proc/sys/fs/binfmt_misc rw shared:10 master:3 - binfmt_misc binfmt_misc rw\n"
        "50 27 0:50 / /procession rw - tmpfs tmpfs rw\n"
        "41 31 0:38 / /sys/fs/my\\040cgroup rw,relatime - cgroup2 cgroup2 rw\n";

static void mounts(void **state)
{
        (void)state;
        char *found = mountinfo_find(mountinfo, "cgroup2");
        assert_string_equal(found, "/sys/fs/my cgroup");
        free(found);
        assert_null(mountinfo_find(mountinfo, "cgroup"));
        assert_true(mountinfo_has_root(mountinfo));
        assert_false(mountinfo_has_root("22 27 0:21 / /proc rw - proc proc rw\n"));
        assert_false(mountinfo_has_root("short line\n27 1 254:0 / /\n"));
        assert_null(mountinfo_cover(mountinfo, "/proc"));

        found = mountinfo_cover("22 27 0:21 / /proc rw - proc proc rw\n"
                                "23 22 0:22 /null /proc/kcore rw - tmpfs tmpfs rw",
                                "/proc");
        assert_string_equal(found, "/proc/kcore");
        free(found);
}

/* Who forbids namespaces. */

/* A machine on which nothing forbids anything. */
static struct namespace_facts machine(void)
{
        struct namespace_facts facts = {.proc = true,
                                        .ids_mapped = true,
                                        .clone_switch = -1,
                                        .apparmor_switch = -1,
                                        .program = "/usr/bin/paddock"};
        for (int i = 0; i < NAMESPACE_KINDS; i++) {
                facts.built[i] = true;
                facts.limit[i] = 96365;
        }
        return facts;
}

/* The explanation names `who`, and its remedy `what`. */
static void explains(const struct namespace_facts *facts, int code, const char *who, const char *what)
{
        struct error err = ERROR_INIT;
        assert_int_equal(namespace_facts_explain(facts, code, &err), -code);
        if (!strstr(err.text, who))
                fail_msg("'%s' is not in: %s", who, err.text);
        if (!err.remedy || !strstr(err.remedy, what))
                fail_msg("'%s' is not in the remedy: %s", what, err.remedy);
        assert_null(strchr(err.text, '\n'));
        assert_null(strchr(err.remedy, '\n'));
        error_clear(&err);
}

static void explain_debian(void **state)
{
        (void)state;
        struct namespace_facts facts = machine();
        facts.clone_switch = 0;
        explains(&facts, EPERM, "kernel.unprivileged_userns_clone is 0",
                 "sysctl -w kernel.unprivileged_userns_clone=1");
        facts.superuser = true; /* the switch is not for root: something else it was */
        explains(&facts, EPERM, "by none of the usual switches", "kernel log");
}

static void explain_ubuntu(void **state)
{
        (void)state;
        struct namespace_facts facts = machine();
        facts.clone_switch = 1;
        facts.apparmor_switch = 1;
        explains(&facts, EPERM, "kernel.apparmor_restrict_unprivileged_userns is 1", "/etc/apparmor.d/paddock");
        explains(&facts, EACCES, "AppArmor", "profile paddock /usr/bin/paddock");
        facts.apparmor_profile = "unprivileged_userns";
        facts.ids_mapped = false; /* seen from inside the crippled namespace */
        explains(&facts, EACCES, "kernel.apparmor_restrict_unprivileged_userns", "apparmor_parser -r");
}

static void explain_profile(void **state)
{
        (void)state;
        struct namespace_facts facts = machine();
        facts.apparmor_switch = 1;
        facts.apparmor_profile = "snap.code.code";
        explains(&facts, EACCES, "profile 'snap.code.code'", "userns,");
        facts.apparmor_profile = "docker-default";
        facts.container = "/.dockerenv";
        explains(&facts, EACCES, "docker-default", "--security-opt apparmor=unconfined");
}

static void explain_filter(void **state)
{
        (void)state;
        struct namespace_facts facts = machine();
        facts.filtered = true;
        explains(&facts, EPERM, "seccomp", "RestrictNamespaces=");
        facts.clone_switch = 0; /* the filter is asked first */
        facts.container = "/.dockerenv";
        explains(&facts, ENOSYS, "/.dockerenv says it is one", "seccomp=unconfined");
        facts.container = "/run/.containerenv";
        explains(&facts, EPERM, "seccomp", "unmask=ALL");
        facts.container = "/.flatpak-info";
        explains(&facts, EPERM, "seccomp", "flatpak-spawn --host");
        facts = machine();
        explains(&facts, ENOSYS, "clone3", "Linux 6.1");
}

static void explain_limits(void **state)
{
        (void)state;
        struct namespace_facts facts = machine();
        explains(&facts, ENOSPC, "user.max_user_namespaces is 96365", "user.max_user_namespaces=192730");
        facts.nested = true;
        explains(&facts, ENOSPC, "32 of them are nested", "outside the innermost");
        facts.limit[2] = 0;
        explains(&facts, ENOSPC, "no pid namespaces", "sysctl -w user.max_pid_namespaces");
        facts.limit[0] = 0;
        explains(&facts, EUSERS, "user.max_user_namespaces is 0", "/etc/sysctl.d/60-paddock.conf");
        facts.limit[0] = -1; /* cannot be read */
        facts.limit[2] = 9;
        facts.nested = false;
        explains(&facts, ENOSPC, "as many namespaces", "user.max_user_namespaces=15000");
        explains(&facts, EAGAIN, "limit on tasks", "ulimit -u");
}

static void explain_surroundings(void **state)
{
        (void)state;
        struct namespace_facts facts = machine();
        facts.chrooted = true;
        explains(&facts, EPERM, "chroot", "outside the chroot");
        facts = machine();
        facts.ids_mapped = false;
        explains(&facts, EPERM, "mean nothing", "uid_map");
        facts = machine();
        facts.built[0] = false;
        explains(&facts, EINVAL, "without user namespaces", "CONFIG_USER_NS=y");
        facts = machine();
        facts.proc = false;
        explains(&facts, ENOENT, "/proc is not mounted", "mount -t proc");
        facts = machine();
        facts.selinux = true;
        explains(&facts, EACCES, "SELinux", "ausearch");
        facts = machine();
        facts.modules = "capability,landlock,yama\n";
        explains(&facts, EPERM, "(active are capability,landlock,yama)", "kernel log");
        explains(&facts, EINVAL, "does not know", "Linux 6.1");
}

static void superusers(void **state)
{
        (void)state;
        static const char whole[] = "0 0 4294967295\n";
        assert_true(is_superuser("CapEff:\t000001ffffffffff\n", whole));
        assert_false(is_superuser("CapEff:\t00000000a80425fb\n", whole)); /* root in a container without its own ids */
        assert_false(is_superuser("CapEff:\t000001ffffffffff\n", "0 1000 1\n"));
        assert_false(is_superuser(NULL, whole));
        assert_false(is_superuser("CapEff:\t000001ffffffffff\n", NULL));
}

static void attachments(void **state)
{
        (void)state;
        static const struct {
                const char *program, *attachment;
        } cases[] = {
                {"/usr/bin/paddock", "/usr/bin/paddock"},
                {"/usr/libexec/paddock/paddock-verbs", "/usr/{bin/paddock,libexec/paddock/*}"},
                {"/usr/local/libexec/paddock/paddock-verbs", "/usr/local/{bin/paddock,libexec/paddock/*}"},
                {"/home/a/build/src/paddock-verbs", "/home/a/build/src/paddock{,-verbs}"},
                {"paddock", "paddock"},
        };
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                char *attachment = apparmor_attachment(cases[i].program);
                assert_string_equal(attachment, cases[i].attachment);
                free(attachment);
        }
}

/* Cgroups of other machines. */

static void judge(const struct cgroup_facts *facts, enum probe_state state, const char *found, const char *remedy)
{
        struct probe *probe = calloc(1, sizeof *probe);
        cgroup_facts_judge(facts, probe);
        assert_int_equal(probe->state, state);
        if (!strstr(probe->found, found))
                fail_msg("'%s' is not in: %s", found, probe->found);
        if (state == PROBE_GOOD)
                assert_null(probe->remedy);
        else if (!strstr(probe->remedy, remedy))
                fail_msg("'%s' is not in the remedy: %s", remedy, probe->remedy);
        assert_true(state == PROBE_GOOD || probe->consequence);
        probe_free(probe, 1);
}

static void judge_cgroups(void **state)
{
        (void)state;
        struct cgroup_facts delegated = {.kind = CGROUP_V2,
                                         .where = "/sys/fs/cgroup/x",
                                         .writable = true,
                                         .controllers = "cpuset cpu io memory pids\n"};
        judge(&delegated, PROBE_GOOD, "memory, pids, cpu", "");
        delegated.controllers = "memory pids\n"; /* what older systemd gives to a user */
        judge(&delegated, PROBE_DEGRADED, "not: cpu", "Delegate=cpu memory pids");
        delegated.controllers = "\n";
        judge(&delegated, PROBE_DEGRADED, "delegated: no controller", "Delegate=");
        struct cgroup_facts shell = {.kind = CGROUP_V2,
                                     .where = "/sys/fs/cgroup/user.slice/session-2.scope",
                                     .controllers = "cpu memory pids\n",
                                     .service = "memory pids\n"};
        judge(&shell, PROBE_DEGRADED, "your services: memory, pids", "systemd-run --user --scope -p Delegate=yes");
        shell.service = NULL;
        judge(&shell, PROBE_DEGRADED, "session-2.scope cannot be written", "cgroup of your own");
        struct cgroup_facts hybrid = {.kind = CGROUP_HYBRID,
                                      .where = "/sys/fs/cgroup/unified",
                                      .writable = true,
                                      .v1 = "pids cpu,cpuacct"};
        judge(&hybrid, PROBE_DEGRADED, "hybrid: version 1 holds pids, cpu", "systemd.unified_cgroup_hierarchy=1");
        struct cgroup_facts none = {.kind = CGROUP_NONE};
        judge(&none, PROBE_MISSING, "no cgroups", "mount -t cgroup2");
        none.kind = CGROUP_V2; /* known to the kernel, mounted nowhere */
        judge(&none, PROBE_MISSING, "no cgroups", "mount -t cgroup2");
}

/* The frame of trials. */

static int answer(struct trial *trial, const void *argument)
{
        trial->step = TRIAL_OWN;
        trial->value = *(const int *)argument;
        return -EXDEV;
}

static int hang(struct trial *trial, const void *argument)
{
        (void)argument;
        trial->step = TRIAL_OWN + 1;
        trial_fork(); /* the child hangs as well, and holds the trial's pipe */
        while (pause() < 0)
                ;
        return 0;
}

static int crash(struct trial *trial, const void *argument)
{
        (void)argument;
        trial->step = TRIAL_OWN + 2;
        signal(SIGSYS, SIG_DFL); /* the test frame catches it */
        raise(SIGSYS);
        return 0;
}

static void trials(void **state)
{
        (void)state;
        struct probing p = {.start = trial_clock(), .deadline = trial_clock() + 10000};
        int number = 4711;
        struct trial trial = trial_run(&p, answer, &number);
        assert_int_equal(trial.code, EXDEV);
        assert_int_equal(trial.step, TRIAL_OWN);
        assert_int_equal(trial.value, 4711);

        trial = trial_run(&p, crash, NULL);
        assert_int_equal(trial.code, ECANCELED);
        assert_int_equal(trial.signal, SIGSYS);
        assert_int_equal(trial.step, TRIAL_OWN + 2);
        char *reason = trial_reason(&trial);
        assert_non_null(strstr(reason, "system call filter"));
        free(reason);
}

static void trials_that_hang(void **state)
{
        (void)state;
        long long start = trial_clock();
        struct probing p = {.start = start, .deadline = start + 100};
        struct trial trial = trial_run(&p, hang, NULL);
        assert_int_equal(trial.code, ETIME);
        assert_int_equal(trial.step, TRIAL_OWN + 1);
        assert_true(trial_clock() - start >= 90);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nothing is left to reap */
        assert_int_equal(errno, ECHILD);

        /* With the time over, nothing is begun. */
        trial = trial_run(&p, hang, NULL);
        assert_int_equal(trial.code, ETIME);
        assert_int_equal(trial.step, TRIAL_START);
}

/* Whatever this machine can do: every line is complete, and its parts agree. */
static void whole_list(void **state)
{
        (void)state;
        struct probe *probes;
        size_t count = probe_all(&probes);
        assert_true(count >= 15);
        for (size_t i = 0; i < count; i++) {
                assert_non_null(probes[i].name);
                assert_non_null(probes[i].found);
                if (probes[i].state == PROBE_GOOD) {
                        assert_null(probes[i].consequence);
                        assert_null(probes[i].remedy);
                } else if (!strstr(probes[i].found, "not tried")) {
                        assert_non_null(probes[i].consequence);
                }
        }
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        probe_free(probes, count);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(numbers),          cmocka_unit_test(kernel_versions),
                cmocka_unit_test(fields),           cmocka_unit_test(words),
                cmocka_unit_test(id_maps),          cmocka_unit_test(sub_ids),
                cmocka_unit_test(all_ranges),
                cmocka_unit_test(free_ranges),      cmocka_unit_test(name_services),
                cmocka_unit_test(cgroups),          cmocka_unit_test(mounts),
                cmocka_unit_test(explain_debian),   cmocka_unit_test(explain_ubuntu),
                cmocka_unit_test(explain_profile),  cmocka_unit_test(explain_filter),
                cmocka_unit_test(explain_limits),   cmocka_unit_test(explain_surroundings),
                cmocka_unit_test(superusers),       cmocka_unit_test(attachments),
                cmocka_unit_test(judge_cgroups),    cmocka_unit_test(trials),
                cmocka_unit_test(trials_that_hang), cmocka_unit_test(whole_list),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
