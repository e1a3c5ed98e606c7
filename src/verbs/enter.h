// SPDX-License-Identifier: GPL-3.0-or-later
/* A program in an environment that was started: its warden is asked, and this process stands for it outside. */
#pragma once

#include "host/host.h"
#include "verbs/session.h"

/* By the environment's name. 1: it ran, and `outcome` says how it ended; 0: the environment has no warden, or there
 * is none of that name; negative: it could not be. `user` may be NULL, `command` too (the user's shell). */
int enter_running(const char *name, char **command, const char *user, struct outcome *outcome, struct error *err);

/* The same for one whose session found out; its locks are let go. Returns 0 or a negative errno. */
int enter_started(struct session *s, char **command, const char *user, struct outcome *outcome, struct error *err);

/* run.c: ends as the program ended, so that whoever started paddock sees what they would have seen. */
int run_end_like(const struct outcome *outcome);
/* The user's shell. */
char *run_shell(void);
