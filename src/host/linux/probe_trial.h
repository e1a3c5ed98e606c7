// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Trials: a mechanism tried for real in a forked process, and the list that the probes fill.
 *
 * A trial cannot do harm: it is a process group of its own that is killed when it does not answer in time, dies with
 * its parent, dumps no core, and makes its mounts in a mount namespace of its own.
 */
#pragma once

#include "host/linux/probe.h"

#include <sys/types.h>

/* How a trial ended. */
struct trial {
        int code; /* 0: it worked; ETIME: it did not answer; ECANCELED: a signal ended it; else the errno that it met */
        int step; /* the step that was under way: TRIAL_... below, or from TRIAL_OWN on as the trial numbers them */
        int signal; /* with ECANCELED; 0: unknown, for whoever ignores SIGCHLD learns nothing of its children */
        long value; /* what it measured */
};

/* The steps of trial_enter(). */
enum { TRIAL_START, TRIAL_CREATE, TRIAL_MAP, TRIAL_PRIVATE, TRIAL_OWN };

/* Runs in the forked process. Returns 0 or a negative errno; sets trial->step before each step. Whatever it writes to
 * `trial` reaches the parent, whatever becomes of the process. */
typedef int trial_function(struct trial *trial, const void *argument);

/* The probes so far, and what they need of each other. */
struct probing {
        struct probe *probes;
        size_t count, capacity;
        long long start;    /* trial_clock() */
        long long deadline; /* no trial goes on after it */
        bool superuser;     /* root of the whole machine: its runs map a range of ids and the ids of mounts */
        bool nested;        /* in a user namespace already */
        bool namespaces;    /* user, mount and pid namespaces work: what builds on them can be tried */
};

/* CLOCK_MONOTONIC in milliseconds. */
long long trial_clock(void);

/* Runs `function` in a fresh process and waits until it and its children are gone, or its time is over. One that does
 * not answer leaves less time to those after it. */
struct trial trial_run(struct probing *p, trial_function *function, const void *argument);

/* Why a trial failed, for people. Fresh memory. */
char *trial_reason(const struct trial *trial);

/* The following are for use inside a trial. */

/* Moves the process into a user namespace of its own, mapped to its own ids, with the namespaces of `flags`
 * (CLONE_NEW...) owned by it; with CLONE_NEWNS, no mount event leaves it. Steps TRIAL_CREATE to TRIAL_PRIVATE. */
int trial_enter(struct trial *trial, int flags);

/* fork() whose child dies with its parent. */
pid_t trial_fork(void);

/* Starts a child that sits in a fresh user namespace without maps. Returns the descriptor whose closing ends it (then
 * trial_wait() for `pid`), or a negative errno. */
int trial_hold(pid_t *pid);

/* Waits for a child: its exit status, -ECANCELED when a signal ended it, or a negative errno. */
int trial_wait(pid_t pid);

/* Writes `text` to a file of /proc in one go. 0 or a negative errno. */
int trial_write(const char *path, const char *text);

/* The following are for use by the probes. */

/* Reads a file of /proc, /sys or /etc whole (up to a megabyte). Fresh memory, or NULL with errno. */
char *probe_read(const char *path);

/* The number in such a file; -1 when there is none. */
long probe_read_number(const char *path);

/* A new line of the list. The pointer is good until the next call. */
struct probe *probe_add(struct probing *p, const char *name, bool essential);

/* Sets the state and what was found. */
void probe_set(struct probe *probe, enum probe_state state, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Sets what follows from it and what to do (NULL: nothing can be done). */
void probe_but(struct probe *probe, const char *consequence, const char *remedy_fmt, ...)
        __attribute__((format(printf, 3, 4)));

/* Settles what needs no judgement: a trial that worked (state GOOD, found as formatted), and one that did not come
 * about or did not answer. Returns true when it did. */
bool probe_settled(struct probe *probe, const struct trial *trial, const char *good_fmt, ...)
        __attribute__((format(printf, 3, 4)));

/* The trial failed: state MISSING, "cannot <what>: <reason>". */
void probe_failed(struct probe *probe, const char *what, const struct trial *trial);

/* When namespaces do not work: marks `probe` as not tried and returns true. */
bool probe_impossible(const struct probing *p, struct probe *probe);

/* The probes themselves, one concern a file. Each adds its lines. */
void probe_kernel(struct probing *p);
void probe_namespaces(struct probing *p); /* probe_userns.c: user, mount, pid, ipc, uts; sets p->namespaces */
void probe_time(struct probing *p);
void probe_mounts(struct probing *p); /* probe_mount.c */
void probe_openat2(struct probing *p);
void probe_idmapped(struct probing *p); /* only as superuser */
void probe_layers(struct probing *p);   /* probe_overlay.c: on disk, in memory; unnamed files */
void probe_fuse(struct probing *p);     /* probe_device.c */
void probe_tun(struct probing *p);
void probe_terminal(struct probing *p);
void probe_ids(struct probing *p);      /* probe_ids.c */
void probe_cgroup(struct probing *p);   /* probe_cgroup.c */
void probe_landlock(struct probing *p); /* probe_landlock.c */
void probe_keys(struct probing *p);
void probe_notification(struct probing *p); /* probe_seccomp.c */
void probe_pidfd(struct probing *p);
void probe_ptrace(struct probing *p);
