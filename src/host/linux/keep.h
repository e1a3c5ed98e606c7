// SPDX-License-Identifier: GPL-3.0-or-later
/* Init of a started environment: what its parts share. */
#pragma once

#include "host/linux/floor.h"
#include "host/linux/workplace.h"
#include "host/living.h"

/* What init is told to have started, and has not been reaped. */
struct entry {
        uint32_t id;
        pid_t pid;
        bool order; /* it carries out a change of the view: it tells itself what became of it, unless it was killed */
};

struct keep {
        struct birth *birth;
        struct workplace *w;
        struct floor floor;
        int signals;
        bool stopping;
        struct entry *entries;
        size_t count, capacity;
};

/* attend.c: in a fresh child of init. The first is a program in the background. The second is the attendant of a program that
 * somebody entered with: it holds the terminal and the way to the paddock outside. Neither returns. */
_Noreturn void attend_background(struct keep *k, int payload, int log);
_Noreturn void attend_session(struct keep *k, int session, int payload, const int *streams, size_t count, unsigned bits,
                              unsigned terminal);

/* change.c: in a fresh child of init that shares its descriptors: changes the view as `order` says. Tells the warden. */
_Noreturn void change_view(struct keep *k, const struct order *order, int tree);

/* users.c: becomes the user `name` (or "UID") of the environment, with their groups and variables. */
int user_become(const char *name, struct error *err);
