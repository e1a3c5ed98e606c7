// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What a host offers to the rooms above it. host/linux answers it here; host/hurd can stand beside it. Nothing in this
 * header names anything of one kernel.
 */
#pragma once

#include "base/error.h"
#include "model/limits.h"
#include "model/served.h"
#include "model/stamp.h"
#include "plan/plan.h"
#include "plan/system.h"

#include <stdbool.h>

#define cleanup_system __attribute__((cleanup(host_survey_clear)))

/* Looks at the main system: identity, mounts, working directory. `store` is the state directory of paddock
 * (may be NULL) and `layer` where the environment's own state will lie (NULL: in memory). */
int host_survey(struct system *system, const char *store, const char *layer, struct error *err);
void host_survey_clear(struct system *system);

/* Which ids of the main system the user may give to an environment: only asked for one whose identity is not one's
 * own. */
void host_survey_ids(struct system *system);

/* A duplicate of descriptor `fd` of the living process `pid`, which is the user's. Negative errno when it cannot be
 * had. */
int host_borrow(int pid, int fd);

/* tree_remove(), also of what belongs to ids that the user gave to an environment. */
int host_remove_tree(int dir, const char *name, struct error *err);

/* What the main system is now. `system` says what is mounted. */
void host_stamp_read(const struct system *system, struct stamp *stamp);
/* The `database` of such a stamp alone, which costs next to nothing. Fresh memory, or NULL. */
char *host_stamp_database(void);
/* The names of a package's files, a line each; fresh memory, or NULL. */
char *host_package_files(const char *package);

/* Looks for `program` in the tree whose directory `tree` is, as it would be there; *file is then what the file
 * behind all links is called (fresh memory). 0: it can run on this machine; -ENOEXEC, with `err`:
 * it cannot; another negative errno (with `err` only if the tree cannot be opened): it is not there, or no program. */
int host_look_for_program(const char *tree, const char *program, char **file, struct error *err);
/* The machine of an ELF file with this header, as uname -m has it, or NULL: it is none. */
const char *host_machine_name(const unsigned char header[20]);

/* How limits would be held, if the environment was started now. Changes nothing. */
void host_limits_judge(const struct limits *limits, struct limit_held held[LIMIT_COUNT]);

/* Before an environment is made, in the process that all of it will come from: makes what holds its limits, and says
 * what that is. `whole`: a subhurd's init gets a tree of its own, too, where one can be had. `again` allows to execute
 * this program anew with the same words, as a unit of its own of the system's manager: nothing may have been read or
 * written yet. Returns launch->cgroup, fresh memory, or NULL. */
char *host_limits_prepare(const struct limits *limits, bool whole, bool again, struct limit_held held[LIMIT_COUNT]);

/* Why an init that was started now would get no cgroup tree of its own, or NULL: it would. */
const char *host_cgrouptree_lack(void);

struct launch {
        const struct plan *plan;
        char **argv;             /* argv[0] is looked up in PATH inside; NULL only if `keep` */
        const char *name;        /* of the environment, or NULL; told to the program as $PADDOCK_NAME */
        int state;               /* directory of the environment (slots, inner), or -1: the layer is in memory */
        int alive;               /* descriptor that init holds until it dies, or -1 */
        int image;               /* of an environment that is kept: likewise; 0 or less: none */
        bool keep;               /* no program: the environment lives until it is told to end (living.h) */
        const struct limits *limits; /* NULL: none */
        const char *cgroup;      /* of host_limits_prepare(), or NULL */
        const struct served *sockets; /* a server answers them; NULL: the kernel */
        bool scratch;            /* the directory `state` vanishes with the environment */
        const char *scratch_name; /* its name in its parent */
        const struct system *system; /* what the plan was made on */
        int join_control; /* with a mirror: the socket to its server, which the living run's init shares; else -1 */
        int join_user,
                join_mount; /* namespaces of a living run of the same environment, or -1: the view is made anew */
        /* The view stands; `init` is its first process, `control` its number of the descriptor that those who join
         * share, or -1. May be NULL. */
        void (*ready)(void *context, int init, int control);
        void (*over)(void *context); /* no process of the environment runs any more but its init, which is ending and
                                      * takes the view down meanwhile. Not called when init was killed. May be NULL */
        void *context; /* of both */
};

struct outcome {
        int status;     /* on success: how the program ended, as waitpid() has it */
        bool by_key;    /* a key ended it that only its own terminal saw, and that was meant for the whole job */
        int exit_code;  /* on failure: what paddock exits with: 125, 126, 127 */
};

/* Carries out the plan and runs the program in it until it ends. */
int host_run(const struct launch *launch, struct outcome *outcome, struct error *err);

/* Can a layer lie in the open directory? 0, or why not. `try` allows to leave a mark on it (an extended attribute),
 * which makes the answer sure. */
int host_layer_fits(int directory, bool try, struct error *err);

/* Lets this process read and move every file of the invoking user's, whatever permissions a program inside has taken
 * from it. Where that is not allowed nothing happens, and such a file cannot be read. For a process that writes nothing
 * outside. */
void host_read_everything(void);

/* A process that can read what host_read_everything() allows, and opens files for this one, which keeps the rights that
 * it had. It ends with this process. */
struct reader {
        int socket;  /* -1: not started */
        int pid;
        bool inside; /* the files belong to the ids of an environment of root's */
};
#define READER_NONE ((struct reader){.socket = -1})

/* Has `open` called in that process, which is started when there is none. Returns a descriptor or a negative errno. */
int host_reader_open(struct reader *reader, int (*open)(void *context, unsigned slot, const char *path), void *context,
                     unsigned slot, const char *path);
void host_reader_end(struct reader *reader);

/* A process that stops the programs below an environment's first processes. When this one ends, they go on. Any process
 * that has the socket may ask. */
struct freezer {
        int socket; /* -1: not started */
        int pid;
};
#define FREEZER_NONE ((struct freezer){.socket = -1})

int host_freezer_start(struct freezer *freezer, const int *inits, size_t count, struct error *err);
/* Stops them; *count: how many processes. On failure they run. */
int host_freezer_stop(const struct freezer *freezer, unsigned *count, struct error *err);
/* Lets go on what ran before; *microseconds: how long it was stopped. */
int host_freezer_continue(const struct freezer *freezer, long *microseconds, struct error *err);
void host_freezer_end(struct freezer *freezer);

/* Has `work` done by a process that has the ids which the invoking user gives to environments of root's, and is root
 * there: it sees the owners of their files as they are inside, and may read and move them. It shares descriptors with
 * this one, and writes nothing outside. With `owners` it asks host_owner() for the owners of what is outside. Returns
 * what `work` returned (0..255), or a negative errno. */
int host_inside(int (*work)(void *context, int owners), void *context, struct error *err);
/* The same in the ids that the environment `name` of real root has; the directory `place` is given to them first. */
int host_inside_range(const char *name, int place, int (*work)(void *context, int owners), void *context,
                      struct error *err);
/* As host_inside(), by a process of its own that has the ids of root's environments: really root has them anyway. */
int host_with_ids(int (*work)(void *context, int owners), void *context, struct error *err);
/* For the process of host_with_ids(): has `server` serve the file system in `file` on the open directory `directory`,
 * seen by this process alone, which goes there. It is served until host_serve_disk_end(*pid), or until this process
 * ends. ENOENT: there is no such server. */
int host_serve_disk(int directory, const char *file, const char *server, const char *options, int *pid,
                    struct error *err);
void host_serve_disk_end(int pid);
int host_owner(int owners, int dir, const char *name, unsigned *uid, unsigned *gid);

/* A process of an environment, as outside sees it. */
struct process {
        int pid, inner;            /* outside, and in its own process space */
        int init;                  /* the first process of that space, outside */
        long uid;                  /* inside; -1: it has none there */
        char state;                /* as in proc(5) */
        unsigned long long cpu;    /* milliseconds since it started */
        unsigned long long memory; /* resident bytes */
        unsigned long long own;    /* of these, what is no file that could be read again */
        char *command;             /* safe to show */
};
/* All processes of the environments whose first processes are `inits`, by pid. Returns how many. */
size_t host_processes(const int *inits, size_t init_count, struct process **list);
void host_processes_free(struct process *list, size_t count);
