// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What holds the limits of an environment.
 *
 *   tasks   a user namespace remembers the RLIMIT_NPROC of whoever made it, and since Linux 5.14 the tasks of all its
 *           users, and of namespaces made in it, are counted together against that. So the soft limit is lowered while
 *           the programs' namespace is made. Who has the same id outside is not counted, and not limited.
 *   files   RLIMIT_NOFILE of each program: no privilege of a user namespace raises it.
 *   memory, cpu, io   a cgroup of version 2, where one may be made:
 *
 *      our cgroup (delegated) -- paddock-PID.out       paddock itself: a cgroup with controllers has no processes
 *                              '- paddock-PID          has the limits; cgrouptree.c has what is below it
 *
 *           The limits lie above what a cgroup namespace inside could show. Our cgroup is ours alone when systemd just
 *           made it: where the user's manager can be reached, this program is started again as a scope of its own, with
 *           systemd-run(1), which is the way for whoever is no service of systemd's. Nothing else of the machine's
 *           cgroups is touched.
 */
#include "host/linux/limits.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "host/linux/cgrouptree.h"
#include "host/linux/probe_cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#define AGAIN "PADDOCK_SCOPE" /* set when this program was started again; "r": XDG_RUNTIME_DIR was not set before */

void limits_tasks_begin(const struct launch *launch, struct rlimit *before)
{
        uint64_t tasks = launch->limits ? launch->limits->value[LIMIT_TASKS] : 0;
        if (!tasks || getrlimit(RLIMIT_NPROC, before) < 0)
                return;
        struct rlimit limit = *before;
        tasks += plan_mirror(launch->plan) ? 2 : 1; /* init and the lister are counted too */
        if (tasks < limit.rlim_cur)
                limit.rlim_cur = tasks;
        setrlimit(RLIMIT_NPROC, &limit);
}

void limits_tasks_end(const struct launch *launch, const struct rlimit *before)
{
        if (launch->limits && launch->limits->value[LIMIT_TASKS])
                setrlimit(RLIMIT_NPROC, before);
}

void limits_files(const struct launch *launch)
{
        uint64_t files = launch->limits ? launch->limits->value[LIMIT_FILES] : 0;
        struct rlimit limit;
        if (!files || getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return;
        if (files < limit.rlim_max)
                limit.rlim_max = files;
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
}

static const struct {
        enum limit_kind kind;
        const char *controller, *file;
} controlled[] = {{LIMIT_MEMORY, "memory", "memory.max"},
                  {LIMIT_CPU, "cpu", "cpu.weight"},
                  {LIMIT_IO, "io", "io.weight"}};
#define CONTROLLED (sizeof controlled / sizeof *controlled)

static bool any_wanted(const struct limits *limits, const char *available)
{
        for (size_t i = 0; i < CONTROLLED; i++)
                if (limits->value[controlled[i].kind] &&
                    (!available || text_has_word(available, controlled[i].controller)))
                        return true;
        return false;
}

static bool write_file(int directory, const char *name, const char *text)
{
        cleanup_close int fd = openat(directory, name, O_WRONLY | O_CLOEXEC);
        return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* Is a process in that cgroup that is not this one? */
static bool has_others(int directory)
{
        char list[256];
        cleanup_close int fd = openat(directory, "cgroup.procs", O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, list, sizeof list - 1);
        list[n > 0 ? n : 0] = '\0';
        for (char *at = list, *end; *at; at = end) {
                long pid = strtol(at, &end, 10);
                if (end == at)
                        break;
                if (pid != getpid())
                        return true;
        }
        return n < 0;
}

/* Can the user's manager (root's: the system's) be asked for a scope? *runtime: its directory, if it is not told. */
static bool manager_listens(const struct cgroup_facts *facts, const struct limits *limits, bool whole, char **runtime)
{
        if (access("/usr/bin/systemd-run", X_OK) < 0 || facts->kind != CGROUP_V2)
                return false;
        if (geteuid() == 0)
                return access("/run/systemd/private", W_OK) == 0;
        const char *told = getenv("XDG_RUNTIME_DIR");
        cleanup_free char *place = told ? memory_string(told) : memory_format("/run/user/%u", (unsigned)geteuid());
        cleanup_free char *bus = memory_format("%s/bus", place);
        if (access(bus, W_OK) < 0 || !facts->service || (!whole && !any_wanted(limits, facts->service)))
                return false;
        if (!told)
                *runtime = steal_pointer(&place);
        return true;
}

enum way { WAY_NONE, WAY_DIRECT, WAY_SCOPE };

/* How a cgroup can be had; for WAY_NONE `why` says what is missing. */
static enum way find_way(const struct cgroup_facts *facts, const struct limits *limits, bool whole, char **runtime,
                         const char **why)
{
        cleanup_close int own =
                facts->where && facts->writable ? open(facts->where, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
        bool has = facts->controllers && (whole || any_wanted(limits, facts->controllers));
        if (own >= 0 && has && !has_others(own))
                return WAY_DIRECT;
        if (!getenv(AGAIN) && manager_listens(facts, limits, whole, runtime))
                return WAY_SCOPE;
        *why = facts->kind != CGROUP_V2 ? "the machine has no cgroups of version 2 alone"
               : own < 0                ? "no cgroup is delegated to this user here"
               : !has                   ? "the controllers are not delegated"
                                        : "other processes are in its delegated cgroup";
        return WAY_NONE;
}

static void hold_all(struct limit_held held[LIMIT_COUNT], const char *why)
{
        memset(held, 0, LIMIT_COUNT * sizeof *held);
        held[LIMIT_DISK] = (struct limit_held){HOLD_WATCHED, "no user has a quota for a directory"};
        held[LIMIT_TASKS] = (struct limit_held){HOLD_ENFORCED, "the kernel, for its user namespace"};
        held[LIMIT_FILES] = (struct limit_held){HOLD_ENFORCED, "the kernel, for each process"};
        held[LIMIT_MEMORY].how = HOLD_WATCHED;
        for (size_t i = 0; i < CONTROLLED; i++)
                snprintf(held[controlled[i].kind].by, sizeof held->by, "%s", why);
}

static void hold_controlled(const struct limits *limits, struct limit_held held[LIMIT_COUNT], const char *available,
                            const char *by)
{
        for (size_t i = 0; i < CONTROLLED; i++) {
                struct limit_held *h = &held[controlled[i].kind];
                if (!limits->value[controlled[i].kind])
                        continue;
                if (available && text_has_word(available, controlled[i].controller)) {
                        h->how = HOLD_ENFORCED;
                        snprintf(h->by, sizeof h->by, "%s", by);
                } else {
                        snprintf(h->by, sizeof h->by, "the controller '%s' is not delegated",
                                 controlled[i].controller);
                }
        }
}

void host_limits_judge(const struct limits *limits, struct limit_held held[LIMIT_COUNT])
{
        struct cgroup_facts facts;
        cleanup_free char *runtime = NULL;
        const char *why = "";
        cgroup_facts_read(&facts);
        enum way way = find_way(&facts, limits, false, &runtime, &why);
        hold_all(held, why);
        if (way == WAY_DIRECT)
                hold_controlled(limits, held, facts.controllers, "a cgroup");
        else if (way == WAY_SCOPE)
                hold_controlled(limits, held, geteuid() == 0 ? "cpu io memory" : facts.service,
                                "a cgroup, as a scope of systemd");
        cgroup_facts_clear(&facts);
}

const char *host_cgrouptree_lack(void)
{
        static const struct limits none;
        struct cgroup_facts facts;
        cleanup_free char *runtime = NULL;
        const char *why = NULL;
        cgroup_facts_read(&facts);
        find_way(&facts, &none, true, &runtime, &why);
        cgroup_facts_clear(&facts);
        return why;
}

/* Starts this program again in a scope. Returns only if that fails. */
static void start_again(const char *runtime)
{
        size_t length = 0, room = 0, count = 0;
        cleanup_free char *line = NULL;
        cleanup_close int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
        char exe[4096];
        ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
        if (n <= 0 || fd < 0)
                return;
        exe[n] = '\0';
        do {
                room = room ? 2 * room : 4096;
                line = memory_grow(line, room, 1);
                n = read(fd, line + length, room - length);
                length += n > 0 ? (size_t)n : 0;
        } while (n > 0);
        for (size_t i = 0; i < length; i++)
                count += !line[i];
        static const char *const begin[] = {"systemd-run", "--scope", "--quiet", "--collect", "-p", "Delegate=yes"};
        const size_t begins = sizeof begin / sizeof *begin;
        cleanup_free const char **words = memory_grow(NULL, begins + count + 4, sizeof *words);
        memcpy(words, begin, sizeof begin);
        size_t w = begins;
        if (geteuid() != 0)
                words[w++] = "--user";
        words[w++] = "--";
        words[w++] = exe;
        for (char *at = line; at < line + length; at += strlen(at) + 1)
                if (at != line)
                        words[w++] = at;
        words[w] = NULL;
        setenv(AGAIN, runtime ? "r" : "1", 1);
        if (runtime)
                setenv("XDG_RUNTIME_DIR", runtime, 1);
        execv("/usr/bin/systemd-run", (char *const *)words);
        unsetenv(AGAIN);
        if (runtime)
                unsetenv("XDG_RUNTIME_DIR");
}

/* Cgroups of earlier ones, which nobody is in any more. */
static void sweep(int own)
{
        int copy = openat(own, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cleanup_dir DIR *dir = copy < 0 ? NULL : fdopendir(copy);
        if (!dir) {
                if (copy >= 0)
                        close(copy);
                return;
        }
        for (struct dirent *entry; (entry = readdir(dir));)
                if (strncmp(entry->d_name, "paddock-", 8) == 0)
                        cgrouptree_remove(own, entry->d_name);
}

/* Those below a cgroup may govern whatever it can hand down. One that cannot be is no loss to the others. */
static void hand_down(int directory, const char *controllers)
{
        cleanup_free char *list = memory_string(controllers);
        char *rest = list;
        for (char *word; (word = strsep(&rest, " \n"));) {
                cleanup_free char *enable = memory_format("+%s", word);
                if (*word)
                        write_file(directory, "cgroup.subtree_control", enable);
        }
}

/* Makes the cgroups, moves this process into one and sets limits on the other. Returns the directory of the latter, or
 * NULL. With `whole` all controllers that there are go down to it. */
static char *make_cgroups(const struct cgroup_facts *facts, const struct limits *limits, bool whole, char **shown)
{
        char me[32];
        snprintf(me, sizeof me, "%d", (int)getpid());
        cleanup_free char *out = memory_format("paddock-%s.out", me), *limited = memory_format("paddock-%s", me);
        cleanup_free char *out_procs = memory_format("%s/cgroup.procs", out);
        cleanup_close int own = open(facts->where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (own < 0)
                return NULL;
        sweep(own);
        bool good = mkdirat(own, out, 0755) == 0 && write_file(own, out_procs, me);
        for (size_t i = 0; i < CONTROLLED && good; i++) {
                cleanup_free char *enable = memory_format("+%s", controlled[i].controller);
                if (limits->value[controlled[i].kind] && text_has_word(facts->controllers, controlled[i].controller))
                        good = write_file(own, "cgroup.subtree_control", enable);
        }
        if (good && whole)
                hand_down(own, facts->controllers);
        good = good && mkdirat(own, limited, 0755) == 0;
        cleanup_close int at = good ? openat(own, limited, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
        good = at >= 0 && cgrouptree_make(at, whole);
        if (good && whole)
                hand_down(at, facts->controllers);
        for (size_t i = 0; i < CONTROLLED && good; i++) {
                cleanup_free char *file = memory_format("%s/%s", limited, controlled[i].file);
                cleanup_free char *value =
                        memory_format("%llu", (unsigned long long)limits->value[controlled[i].kind]);
                if (limits->value[controlled[i].kind] && text_has_word(facts->controllers, controlled[i].controller))
                        good = write_file(own, file, value);
        }
        if (good && limits->value[LIMIT_MEMORY]) { /* what went to swap would not be limited */
                cleanup_free char *swap = memory_format("%s/memory.swap.max", limited);
                write_file(own, swap, "0"); /* a kernel without swap does not have it */
        }
        if (!good) {
                write_file(own, "cgroup.procs", me);
                sweep(own);
                return NULL;
        }
        *shown = memory_format("the cgroup %s/%s", facts->where, limited);
        return memory_format("%s/%s", facts->where, limited);
}

char *host_limits_prepare(const struct limits *limits, bool whole, bool again, struct limit_held held[LIMIT_COUNT])
{
        const char *marked = getenv(AGAIN), *why = "";
        if (marked && *marked == 'r')
                unsetenv("XDG_RUNTIME_DIR");
        if (!whole && !any_wanted(limits, NULL)) {
                hold_all(held, "");
                unsetenv(AGAIN);
                return NULL;
        }
        struct cgroup_facts facts;
        cleanup_free char *runtime = NULL, *shown = NULL;
        cgroup_facts_read(&facts);
        enum way way = find_way(&facts, limits, whole, &runtime, &why);
        if (way == WAY_SCOPE && again)
                start_again(runtime);
        char *made = way == WAY_DIRECT ? make_cgroups(&facts, limits, whole, &shown) : NULL;
        hold_all(held, way == WAY_NONE ? why : "its cgroup could not be made");
        if (made)
                hold_controlled(limits, held, facts.controllers, shown);
        cgroup_facts_clear(&facts);
        unsetenv(AGAIN);
        return made;
}
