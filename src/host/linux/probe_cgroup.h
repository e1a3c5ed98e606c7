// SPDX-License-Identifier: GPL-3.0-or-later
/* What cgroups allow: the facts, and the judgement, apart so that the tests can make machines up. */
#pragma once

#include "host/linux/probe.h"
#include "host/linux/probe_text.h"

#include <stdbool.h>

struct cgroup_facts {
        enum cgroup_kind kind;
        char *where;       /* our cgroup's directory in the version 2 hierarchy; NULL: not mounted */
        char *v1;          /* controllers that version 1 holds, or NULL */
        char *controllers; /* those of our version 2 cgroup, or NULL */
        bool writable;     /* we may make cgroups there and move processes into them */
        char *service;     /* the controllers that systemd gives to the user's services, or NULL */
};

void cgroup_facts_read(struct cgroup_facts *facts);
void cgroup_facts_clear(struct cgroup_facts *facts);

/* Fills in state, found, consequence and remedy. */
void cgroup_facts_judge(const struct cgroup_facts *facts, struct probe *probe);
