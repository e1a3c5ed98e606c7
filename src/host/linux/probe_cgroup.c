// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Whether limits can be enforced. This is the one probe that only looks: a cgroup made for a trial would be seen by
 * whoever manages the tree, and outlive a kill.
 */
#include "host/linux/probe_cgroup.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "host/linux/probe_trial.h"

#include <fcntl.h>
#include <string.h>

static const char *const wanted[] = {"memory", "pids", "cpu"};
#define WANTED (sizeof wanted / sizeof *wanted)

/* Those of the wanted controllers that are in `list` (may be NULL), or that are not. Fresh memory; "" for none. */
static char *pick(const char *list, bool there)
{
        cleanup_text struct text picked = {0};
        for (size_t i = 0; i < WANTED; i++) {
                if ((list && text_has_word(list, wanted[i])) != there)
                        continue;
                if (picked.length)
                        text_add(&picked, ", ");
                text_add(&picked, wanted[i]);
        }
        return picked.data ? steal_pointer(&picked.data) : memory_string("");
}

void cgroup_facts_read(struct cgroup_facts *facts)
{
        *facts = (struct cgroup_facts){0};
        cleanup_free char *own = probe_read("/proc/self/cgroup"), *mounts = probe_read("/proc/self/mountinfo");
        cleanup_free char *path = NULL;
        facts->kind = cgroup_read(own ? own : "", &path, &facts->v1);
        cleanup_free char *top = mounts ? mountinfo_find(mounts, "cgroup2") : NULL;
        if (!top || !path)
                return;
        facts->where = memory_format("%s%s", top, strcmp(path, "/") == 0 ? "" : path);
        cleanup_free char *list = memory_format("%s/cgroup.controllers", facts->where);
        cleanup_free char *processes = memory_format("%s/cgroup.procs", facts->where);
        facts->controllers = probe_read(list);
        facts->writable = faccessat(AT_FDCWD, facts->where, W_OK, AT_EACCESS) == 0 &&
                          faccessat(AT_FDCWD, processes, W_OK, AT_EACCESS) == 0;
        cleanup_free char *service = memory_format("%s/user.slice/user-%u.slice/user@%u.service/cgroup.controllers",
                                                   top, (unsigned)geteuid(), (unsigned)geteuid());
        facts->service = probe_read(service);
}

void cgroup_facts_clear(struct cgroup_facts *facts)
{
        free(facts->where);
        free(facts->v1);
        free(facts->controllers);
        free(facts->service);
        *facts = (struct cgroup_facts){0};
}

void cgroup_facts_judge(const struct cgroup_facts *facts, struct probe *probe)
{
        static const char watched[] =
                "limits on memory, tasks and processor time are watched and reported, not enforced";
        if (facts->kind == CGROUP_NONE || (facts->kind == CGROUP_V2 && !facts->where)) {
                probe_set(probe, PROBE_MISSING, "no cgroups are mounted");
                probe_but(probe, watched, "as root: mount -t cgroup2 cgroup2 /sys/fs/cgroup");
                return;
        }
        cleanup_free char *have = pick(facts->controllers, true), *lack = pick(facts->controllers, false);
        if (facts->writable && !*lack) {
                probe_set(probe, PROBE_GOOD, "version 2, delegated: %s", have);
                return;
        }
        if (facts->kind != CGROUP_V2) {
                cleanup_free char *old = pick(facts->v1, true);
                probe_set(probe, PROBE_DEGRADED, "%s: version 1 holds %s",
                          facts->kind == CGROUP_HYBRID ? "hybrid" : "version 1", *old ? old : "no controller of use");
                probe_but(probe, watched,
                          "boot with the kernel parameter systemd.unified_cgroup_hierarchy=1, or mount version 2 "
                          "alone");
                return;
        }
        if (facts->writable) {
                probe_set(probe, PROBE_DEGRADED, "version 2, delegated: %s; not: %s", *have ? have : "no controller",
                          lack);
                probe_but(probe, watched,
                          "as root: mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\\nDelegate=cpu "
                          "memory pids\\n' > /etc/systemd/system/user@.service.d/delegate.conf && systemctl "
                          "daemon-reload; then log in again");
                return;
        }
        cleanup_free char *service = pick(facts->service, true);
        if (*service) {
                probe_set(probe, PROBE_DEGRADED, "version 2, not delegated to this shell, but to your services: %s",
                          service);
                probe_but(probe, watched,
                          "start it as a scope of its own: systemd-run --user --scope -p Delegate=yes paddock run ...");
                return;
        }
        probe_set(probe, PROBE_DEGRADED, "version 2, not delegated (%s cannot be written)", facts->where);
        probe_but(probe, watched,
                  "start it in a cgroup of your own: log in through systemd-logind, or let root chown one");
}

void probe_cgroup(struct probing *p)
{
        struct probe *probe = probe_add(p, "cgroups", false);
        struct cgroup_facts facts;
        cgroup_facts_read(&facts);
        cgroup_facts_judge(&facts, probe);
        cgroup_facts_clear(&facts);
}
