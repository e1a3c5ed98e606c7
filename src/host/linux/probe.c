// SPDX-License-Identifier: GPL-3.0-or-later
/* The list of probes, and what they share: see probe.h and probe_trial.h. */
#include "host/linux/probe.h"

#include "base/cleanup.h"
#include "host/linux/probe_explain.h"
#include "host/linux/probe_text.h"
#include "host/linux/probe_trial.h"

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/utsname.h>

#define ALL_MS 5000 /* everything together, as long as each trial answers; usually it takes 50 */

#define FLOOR_MAJOR 6 /* the oldest kernel that paddock is tested on: Debian 12 */
#define FLOOR_MINOR 1

static char *format(const char *fmt, va_list args)
{
        char *text = NULL;
        return vasprintf(&text, fmt, args) < 0 ? memory_string("?") : text;
}

struct probe *probe_add(struct probing *p, const char *name, bool essential)
{
        struct probe *probe = vector_add(p->probes, p->count, p->capacity);
        probe->name = name;
        probe->essential = essential;
        return probe;
}

void probe_set(struct probe *probe, enum probe_state state, const char *fmt, ...)
{
        va_list args;
        va_start(args, fmt);
        free(probe->found);
        probe->found = format(fmt, args);
        probe->state = state;
        va_end(args);
}

void probe_but(struct probe *probe, const char *consequence, const char *remedy_fmt, ...)
{
        char *remedy = NULL; /* made before the old one goes: it may be among the arguments */
        if (remedy_fmt) {
                va_list args;
                va_start(args, remedy_fmt);
                remedy = format(remedy_fmt, args);
                va_end(args);
        }
        free(probe->remedy);
        probe->remedy = remedy;
        free(probe->consequence);
        probe->consequence = memory_string(consequence);
}

bool probe_settled(struct probe *probe, const struct trial *trial, const char *good_fmt, ...)
{
        if (trial->code == 0) {
                va_list args;
                va_start(args, good_fmt);
                free(probe->found);
                probe->found = format(good_fmt, args);
                probe->state = PROBE_GOOD;
                va_end(args);
                return true;
        }
        if (trial->step != TRIAL_START && trial->code != ETIME)
                return false;
        cleanup_free char *reason = trial_reason(trial);
        probe_set(probe, PROBE_MISSING, "cannot be tried: %s", reason);
        probe_but(probe, "whether it works cannot be told",
                  trial->code == ETIME ? "try again when the machine is less busy"
                                       : "end programs, or raise the limit on tasks or memory of this session");
        return true;
}

void probe_failed(struct probe *probe, const char *what, const struct trial *trial)
{
        cleanup_free char *reason = trial_reason(trial);
        probe_set(probe, PROBE_MISSING, "cannot %s: %s", what, reason);
}

bool probe_impossible(const struct probing *p, struct probe *probe)
{
        if (p->namespaces)
                return false;
        probe_set(probe, PROBE_MISSING, "not tried: it needs the namespaces that failed above");
        return true;
}

void probe_kernel(struct probing *p)
{
        struct probe *probe = probe_add(p, "kernel", false);
        struct utsname name;
        int major, minor;
        uname(&name); /* fails only for a bad pointer */
        if (text_kernel_version(name.release, &major, &minor) &&
            (major > FLOOR_MAJOR || (major == FLOOR_MAJOR && minor >= FLOOR_MINOR))) {
                probe_set(probe, PROBE_GOOD, "%s %s", name.sysname, name.release);
                return;
        }
        probe_set(probe, PROBE_DEGRADED, "%s %s; paddock is tested from %d.%d on", name.sysname, name.release,
                  FLOOR_MAJOR, FLOOR_MINOR);
        probe_but(probe, "what is missing below may be missing for this reason; nothing else is promised",
                  "boot Linux %d.%d or newer", FLOOR_MAJOR, FLOOR_MINOR);
}

size_t probe_all(struct probe **probes)
{
        /* What is essential comes first, so that a machine that hangs over the rest does not take its time away. */
        static void (*const all[])(struct probing *) = {
                probe_kernel,   probe_namespaces, probe_mounts, probe_openat2, probe_layers,       probe_landlock,
                probe_terminal, probe_keys,    probe_ptrace, probe_pidfd,   probe_notification, probe_time,
                probe_ids,      probe_idmapped,   probe_fuse,   probe_tun,     probe_cgroup,
        };
        cleanup_free char *status = probe_read("/proc/self/status"), *map = probe_read("/proc/self/uid_map");
        long long start = trial_clock();
        struct probing p = {.start = start,
                            .deadline = start + ALL_MS,
                            .superuser = geteuid() == 0 && is_superuser(status, map),
                            .nested = map && !idmap_is_whole(map)};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
                all[i](&p);
        *probes = p.probes;
        return p.count;
}

void probe_free(struct probe *probes, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                free(probes[i].found);
                free(probes[i].consequence);
                free(probes[i].remedy);
        }
        free(probes);
}
