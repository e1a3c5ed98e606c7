// SPDX-License-Identifier: GPL-3.0-or-later
/* Limits that the kernel holds without a cgroup: see limits.c. */
#pragma once

#include "host/host.h"

#include <sys/resource.h>

/* Around the making of the programs' user namespace: its tasks are counted together, up to the limit. */
void limits_tasks_begin(const struct launch *launch, struct rlimit *before);
void limits_tasks_end(const struct launch *launch, const struct rlimit *before);

/* In whatever will be a program, last. */
void limits_files(const struct launch *launch);
