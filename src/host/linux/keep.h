// SPDX-License-Identifier: GPL-3.0-or-later
/* Init of a started environment: what its parts share. */
#pragma once

#include "host/linux/floor.h"
#include "host/linux/mirror.h"
#include "host/linux/workplace.h"
#include "host/living.h"

/* What init is told to have started, and has not been reaped. */
struct entry {
        uint32_t id;
        pid_t pid;
        bool order; /* it carries out a change of the view: it tells itself what became of it, unless it was killed */
};

#define BOOT_NAMESPACES 6

struct keep {
        struct birth *birth;
        struct workplace *w;
        struct floor floor;
        struct guard guard;
        int signals;
        int proc; /* /proc inside */
        bool stopping;
        struct entry *entries;
        size_t count, capacity;
        pid_t boot; /* the attendant of the subhurd's init, or 0 */
        int boot_namespaces[BOOT_NAMESPACES]; /* in whoever enters it: boot_approach() */
};

/* attend.c: in a fresh child of init. The first is a program in the background. The second is the attendant of a
 * program that somebody entered with: it holds the terminal and the way to the paddock outside. Neither returns. */
_Noreturn void attend_background(struct keep *k, int payload, int log);
_Noreturn void attend_session(struct keep *k, int session, int payload, const int *streams, size_t count, unsigned bits,
                              unsigned terminal);

/* boot.c: in a fresh child of init: an init of the environment's own. Never returns; its exit status is BOOT_* or, when
 * there is no init, as shells have it. */
_Noreturn void attend_boot(struct keep *k, uint32_t id, int payload);
/* Programs enter the subhurd, if the environment is one, in two steps: first whoever forks them, whose children are
 * then in its process space; then they themselves, after the floor. */
int boot_approach(struct keep *k, struct error *err);
int boot_enter(struct keep *k, struct error *err);
/* Asks it to end in order. */
void boot_halt(struct keep *k);

/* change.c: in a fresh child of init that shares its descriptors: changes the view as `order` says. Tells the
 * warden. */
_Noreturn void change_view(struct keep *k, const struct order *order, int tree);

/* In init: takes away the mount that `handle` is open on, lazily. What is open in it stays open: who revokes has seen
 * to that before. Asks for no name but in /proc (k->proc). */
int change_detach(const struct keep *k, int handle, struct error *err);

/* change.c: in a fresh child of init: opens what is inside for a server outside (ORDER_REACH). Tells the warden. */
_Noreturn void reach_open(struct keep *k, const struct order *order);

/* Tells the warden what became of `order`: `result` is 0 or negative with `err` set; `value` and `device` go along. */
void change_tell(const struct keep *k, const struct order *order, int result, int value, int device,
                 const struct error *err);

/* revise.c: in a fresh child of init that shares its descriptors: carries out the change of rules that the memory file
 * `change` holds. Tells the warden. */
_Noreturn void revise_view(struct keep *k, const struct order *order, int change);

/* measure.c: in a fresh child of init: what the processes have of memory. Tells the warden. */
_Noreturn void measure_memory(struct keep *k, const struct order *order);

/* users.c: becomes the user `name` (or "UID") of the environment, with their groups and variables. */
int user_become(const char *name, struct error *err);
