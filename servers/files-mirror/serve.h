// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The threads that answer, and what each of them keeps.
 *
 * Theory of operation. A request takes a few microseconds to answer; waking a sleeping processor takes 20 to 100.
 * So one thread serves as long as one suffices, and it looks for the next request for SERVE_SPIN before it sleeps,
 * as long as processors are idle anyway. Another thread is started when requests queue up, and, by the watchdog,
 * when all are held up longer than SERVE_STUCK: a file system outside that does not answer (a dead NFS server)
 * holds up only those who asked for it. Threads that have nothing to do end.
 *
 * Measured (2 processors of a virtual machine, walk of 68k names, first touch): 90 us a name when both processors
 * sleep, 14 when none does.
 */
#pragma once

#include "mirror.h"

#define SERVE_THREADS 64
#define SERVE_SPIN 50     /* us */
#define SERVE_STUCK 50    /* ms */
#define SERVE_QUEUED 64   /* requests in a row that had not to be waited for: one thread does not suffice */
#define SERVE_SHORT 5      /* ms in which a request is answered that is not held up */
#define SERVE_IDLE 1000   /* ms after which a thread has nothing to do */
#define SERVE_END 2        /* seconds after the end of the connection in which everything is to be left in order */
#define KEPT_AGE 1 /* seconds for which files and listings stay open */
#define KEPT_FILES 16
#define KEPT_LISTINGS 8

struct kept_file {
        uint64_t id;
        int fd;
        unsigned epoch;
        long opened; /* seconds, as all below: CLOCK_MONOTONIC_COARSE */
};

struct kept_listing {
        uint64_t id;
        int fd;
        off_t at;
        dev_t dev;
        ino_t ino;
        long opened;
};

struct keeps {
        struct directories directories;
        struct kept_file files[KEPT_FILES];
        struct kept_listing listings[KEPT_LISTINGS];
        char *buffer; /* SERVE_ROOM bytes, for answers */
        long second;  /* in which the request came */
};
#define SERVE_ROOM (1U << 20) /* as much as the kernel asks for at once */

/* Gives the calling thread something to keep things in, and takes it away again. */
void keeps_start(struct keeps *keeps);
void keeps_end(struct keeps *keeps);
/* Closes what is too old, which would keep a file system from being unmounted; to be called about once a second.
 * Returns whether anything is left open. */
bool keeps_expire(struct keeps *keeps);
/* What the calling thread keeps. libfuse calls the answers without a context of the thread. */
struct keeps *thread_keeps(void);

/* Answers until the connection ends. */
void serve(struct mirror *m);
/* Is a request about `node` being answered, and will be for `patience` ms? */
bool serve_is_held_up(struct mirror *m, uint64_t node, int patience);
/* Does nobody wait for a processor? */
bool serve_is_quiet(struct mirror *m);
/* Fails what is being answered: the process ends. Who asked may hold locks that a thread of ours waits for in the
 * kernel (tell.h), and neither would end before the other. */
void serve_give_up(struct mirror *m);
