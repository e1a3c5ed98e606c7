// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What the parts of files-grant share.
 *
 * Theory of operation. The main thread (main.c) listens to the control socket and to the FUSE devices of grants that
 * nobody works for; it never waits for a file system. A request wakes a *worker* of its grant (worker.c), which looks
 * for the next request for a while and ends when there is none: idle grants cost no thread. Workers answer through
 * dispatch.c, where a request is claimed before it is answered: so the main thread and a revoke can answer in the place
 * of a worker that hangs in a dead file system, and what that worker comes back with is thrown away.
 *
 * Locks: `lock` of a grant guards its tree, handles, workers and flags, and is never held in a system call that may
 * wait. A worker's `reply` guards the claim, and is held while the reply is written: whoever set `deny` and then took
 * each of them once knows that nothing read before is handed out any more. Taken in the order lock, reply.
 */
#pragma once

#include "control.h"
#include "node.h"

#include <linux/fuse.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#define KEPT_SECONDS 1         /* for which the kernel believes names and attributes */
#define FRESH_NS 20000000      /* a change that is no older may be followed by one with the same time */
#define MAX_WRITE (1U << 20)
#define ARGUMENT_ROOM 8192U    /* what a request takes, but for what is written */
#define REQUEST_ROOM (MAX_WRITE + 65536U)
#define REPLY_ROOM (REQUEST_ROOM - ARGUMENT_ROOM)
#define KEPT_DIRECTORIES 4
#define DEVICES 256            /* file systems in one tree */

/* A directory that stays open a little. */
struct kept {
        uint64_t id;
        int fd;
        unsigned refs;
        int64_t opened; /* ms */
};

/* A file or directory that is open inside. */
struct handle {
        int fd;
        unsigned refs;
        uint32_t slot, generation;
        struct node *node;
        struct handle *next; /* of the same node */
        bool writable, directory;
        pthread_mutex_t listing; /* a directory's position belongs to one request at a time */
        int64_t position;
};

/* POSIX locks that one owner inside has on a file: an open file description of their own outside. */
struct lock {
        struct lock *next;
        uint64_t owner;
        uint32_t pid, slot; /* who took one last, and by which handle's number in the table */
        unsigned refs;
        int fd;
};

/* A request for a lock that somebody else has. */
struct waiting;

struct device {
        uint64_t dev;
        int64_t checked; /* ms */
        bool closed;     /* the kernel's own (proc, sysfs, ...): not shown */
};

enum deny { DENY_NOTHING, DENY_NEW, DENY_ALL }; /* DENY_NEW: what was written through mappings may still go out */

struct worker {
        struct worker *next;
        struct grant *grant;
        pthread_t thread;
        pthread_mutex_t reply;
        char *room;            /* REQUEST_ROOM bytes: the request, and behind ARGUMENT_ROOM the answer */
        uint64_t unique;       /* the request that was not answered yet; 0: none. Guarded by `reply` */
        uint32_t opcode, bytes; /* of that request; bytes: written through a mapping */
        atomic_llong since;    /* us; when it was taken; 0: waits for one */
        long long interrupted; /* us; 0: not. Guarded by `reply` */
        bool hurried;          /* refuses what needs the file system, because all others hang in it */
        bool left;             /* the device is not in its hands any more */
};

struct grant {
        uint64_t id;
        atomic_uint refs;
        struct server *server;
        struct grant *next;      /* in the table */
        struct grant *next_done; /* of those whose job is done */
        int device, source;
        pthread_mutex_t lock;
        pthread_cond_t changed; /* a worker finished or left, a lock was given back */
        struct grant_add show;
        atomic_bool writable;   /* GRANT_RW of it, for those who do not hold the lock */
        bool direct;            /* writes may go past the cache and mmap still works */
        bool file, ask;
        atomic_int deny;
        atomic_bool flushing;   /* became read-only: what was written through mappings may still go out */
        atomic_bool ended;      /* the device is closed, or about to be */
        atomic_bool used;
        atomic_ullong lost;
        struct node_tree tree;
        struct handle **handles; /* slots; a free one holds the next as in node_tree */
        uint32_t handle_room, handle_free, handle_generation, handle_count;
        struct kept *kept[KEPT_DIRECTORIES];
        unsigned kept_next;
        struct device *devices;
        unsigned device_count;
        struct worker *workers;
        unsigned worker_count;
        struct waiting *waiting;
        bool waiter;             /* a thread tries the locks again */
        bool starved;            /* no worker could be started */
        /* the job (revoke.c): one at a time */
        atomic_bool job;
        bool revoke_wanted, finished; /* finished: `told` is on its way */
        unsigned set_wanted;          /* how often; the last one counts */
        struct grant_add wanted;
        struct grant_message told; /* when the job is done */
        long long denied;          /* us; when the revoke began */
        struct placeholder *placeholder;
};

struct server {
        int control, wake, events, nothing, proc; /* nothing: /dev/null; proc: /proc/self/fd */
        long processors;
        atomic_uint threads, handles, handle_limit;
        pthread_mutex_t lock; /* guards `done` and what is to be sent */
        struct grant *done;
        struct grant_message *outgoing;
        size_t outgoing_count, outgoing_room;
        struct grant **table; /* buckets; the main thread's */
        unsigned grant_count;
};

struct request {
        struct grant *grant;
        struct worker *worker;
        const struct fuse_in_header *head;
        const char *argument;  /* what follows the head */
        size_t size;           /* of that */
        char *reply;
        size_t reply_size;
        struct handle *opened; /* to be closed, and */
        uint64_t entered;      /* a lookup to be taken back, when the answer does not arrive */
        bool listed;           /* the same for all entries of the reply */
        bool parked;           /* will be answered by somebody else, or not at all */
};

/* main.c */
void server_finish(struct grant *g,
                   const struct grant_message *told); /* it leaves the table and that is told. Lock held */
void server_post(struct server *s, const struct grant_message *message); /* to the warden; never waits */
void server_wake(struct server *s);

/* grant.c */
int grant_new(struct server *s, const struct grant_message *message, int device, int source, struct grant **made);
void grant_hold(struct grant *g);
void grant_release(struct grant *g); /* may wait for a dead file system when it is the last */
void grant_release_elsewhere(struct grant *g); /* the same without waiting */
void grant_report_use(struct request *r, bool writes);
int64_t now_ms(void);
long long now_us(void);

/* worker.c */
int worker_start(struct grant *g, bool hurried); /* lock held */
int thread_start(void *(*run)(void *), void *context, pthread_t *thread); /* with a small stack */
void worker_watch(struct grant *g);          /* every 50 ms while there are workers */
bool worker_claim(struct worker *w, int error); /* answers in its place; lock held. False: nothing to answer */
void worker_interrupt(struct request *r, uint64_t unique);
void grant_close_device(struct grant *g);    /* aborts the connection; returns when nobody can touch it any more */

/* dispatch.c */
void dispatch(struct request *r);
int reply_error(struct grant *g, uint64_t unique, int error);
int reply_init(struct grant *g, const struct fuse_in_header *head, const char *argument, size_t size,
               uint32_t max_write);
bool is_change(uint32_t opcode);

/* handle.c */
int handle_new(struct grant *g, struct node *node, int fd, bool writable, bool directory,
               struct handle **made);                                 /* lock held */
struct handle *handle_get(struct grant *g, uint64_t fh, uint64_t id); /* pinned; NULL: none */
void handle_put(struct grant *g, struct handle *handle);
void handle_drop(struct grant *g, struct handle *handle); /* the table's reference */
uint64_t handle_number(const struct handle *handle);
void handles_end(struct grant *g);

/* revoke.c */
void job_start(struct grant *g);

/* show.c: the grant's lock is held */
void show_attributes(struct grant *g, const struct statx *st, struct fuse_attr *attr);
bool show_owner_outside(const struct grant *g, bool group, uint32_t inside, uint32_t *outside);

/* ask.c: the main thread's */
int ask_start(struct grant *g);
void ask_serve(struct grant *g);
void ask_answer(struct grant *g, const struct grant_answer *answer);
void ask_end(struct grant *g);

/* locks.c */
int answer_getlk(struct request *r);
int answer_setlk(struct request *r);
int answer_setlkw(struct request *r);
void locks_drop(struct grant *g, struct handle *handle, uint64_t owner); /* close(2) by the owner */
void locks_drop_handle(struct grant *g, struct handle *handle);
void locks_end(struct grant *g, struct node *node);
bool locks_interrupt(struct grant *g, uint64_t unique);
void locks_refuse(struct grant *g); /* all that wait */

/* what the others answer: 0 or a negative errno */
int answer_lookup(struct request *r);
int answer_forget(struct request *r);
int answer_batch_forget(struct request *r);
int answer_getattr(struct request *r);
int answer_setattr(struct request *r);
int answer_readlink(struct request *r);
int answer_symlink(struct request *r);
int answer_mknod(struct request *r);
int answer_mkdir(struct request *r);
int answer_unlink(struct request *r);
int answer_rmdir(struct request *r);
int answer_rename(struct request *r);
int answer_rename2(struct request *r);
int answer_link(struct request *r);
int answer_create(struct request *r);
int answer_tmpfile(struct request *r);
int answer_open(struct request *r);
int answer_read(struct request *r);
int answer_write(struct request *r);
int answer_flush(struct request *r);
int answer_release(struct request *r);
int answer_fsync(struct request *r);
int answer_fallocate(struct request *r);
int answer_lseek(struct request *r);
int answer_copy_file_range(struct request *r);
int answer_opendir(struct request *r);
int answer_readdir(struct request *r);
int answer_readdirplus(struct request *r);
int answer_statfs(struct request *r);
int answer_setxattr(struct request *r);
int answer_getxattr(struct request *r);
int answer_listxattr(struct request *r);
int answer_removexattr(struct request *r);
