// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The environment's first process: it builds the view, starts the program, reaps what dies, and ends when the program
 * ends.
 *
 *      paddock (outside) -- clone: user, mount, pid --> init -- clone: user, mount, ipc, uts --> the program
 *
 * Two levels: the mounts of the view belong to init's namespaces. The program's mount namespace is a copy below another
 * user namespace, in which the kernel has locked them all together. Init keeps its power over the outer level; the
 * program cannot reach it: it has no capability in init's user namespace, so ptrace and /proc/1 are refused.
 */
#pragma once

#include "host/host.h"
#include "host/linux/cgrouptree.h"
#include "host/linux/inherit.h"
#include "host/linux/superuser.h"

#include <signal.h>

struct birth {
        const struct launch *launch;
        const struct inherit *inherit;
        struct superuser *superuser; /* NULL unless real root */
        sigset_t signals;            /* mask that the program starts with */
        unsigned uid, gid, umask;
        int control;                 /* to the server of the mirror, or -1 */
        int socket;                  /* to the paddock outside */
        int traps;                   /* to the supervisor of calls, or -1 */
        struct cgrouptree cgroups;
        int ours;                    /* outside: the other end */
        pid_t init;                  /* outside: init, once made */
        int parent;                  /* of a temporary environment's directory, for an ordinary user; -1: none */
        int uplink;                  /* outside: uplink.h; -1: none */
        int mounts;                  /* outside, with an uplink: the main system's mount namespace */
        int *status;                 /* shared with it: how the program ended, -1 before */
        bool terminal;               /* the program gets a terminal of its own */
        bool foreground;             /* and has it from the start */
        bool joining;                /* the view is a living one: only the process list is new */
};

/* Are more ids mapped than the user's own one? Then init maps the program's. */
static inline bool birth_has_ids(const struct birth *birth)
{
        return birth->superuser || birth->launch->plan->root || birth->launch->system->ids_direct;
}

/* Is init made with a network of its own? That of the programs, with an uplink; an empty one, where it starts another
 * process (lister.c) before there are programs whose network it could live in. */
static inline bool birth_network(const struct birth *birth)
{
        const struct plan *plan = birth->launch->plan;
        return plan->uplink || (plan->own_network && !birth->joining && plan_mirror(plan));
}

/* launch.c, outside: what has to be there before init, and then init. launch_init() leaves birth->init negative when
 * there is none; when it fails later, init ends as soon as birth->ours is closed. */
int launch_prepare(struct birth *birth, struct superuser *superuser, struct error *err);
int launch_init(struct birth *birth, struct error *err);
/* Files outside are found under their names only outside: for a program that joins what lives already, a process that
 * shares our descriptors, and has a mount namespace to make them read-only in, reopens them. `root`: by real root. */
int launch_reopen(const struct inherit *inherit, bool root, struct error *err);

/* keep.c: init of an environment that was started and has no program of its own. Never returns. */
struct workplace;
_Noreturn void keep_main(struct birth *birth, struct workplace *w);

/* Never returns. */
_Noreturn void init_main(struct birth *birth);

/* program.c: parts of the way to a program, for those that start one in another order (attend.c).
 *
 * program_settle(): ids, host name and network of the namespaces that the caller was just made in. `mapped` (-1:
 * nobody else has to do anything first) is where init says that it has done what was its business: the ids, and
 * the network. */
int program_settle(struct birth *birth, int mapped, struct error *err);
int program_loopback(struct error *err); /* the loopback interface of this network */
int program_give_up_groups(const struct birth *birth, struct error *err);
/* Keys and abstract sockets of the outer session are out of reach of this process and its children from now on. */
int program_cut_off(struct error *err);
/* Variables of root's. */
void program_root_variables(const struct launch *launch);
/* The working directory, by its name inside (NULL: none): "/" if it leads nowhere. */
void program_enter_directory(const char *name);
/* Becomes the program. Returns only if that fails: the exit code, with `err` set. */
int program_execute(char **argv, struct error *err);

/* The last steps, in the program's process. Never returns. */
_Noreturn void program_main(struct birth *birth, int terminal, int mapped);
