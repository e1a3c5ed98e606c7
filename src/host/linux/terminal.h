// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The terminal of a program in an environment is its own.
 *
 * Theory of operation. A program that holds the user's terminal can read what is typed after it ended and, with
 * TIOCSTI, type for the user. So the environment gets a pseudo-terminal from its own /dev/pts, and the paddock outside
 * relays: it puts the outer terminal into raw mode and passes bytes. What the keys mean (Ctrl-C, Ctrl-Z) is decided by
 * the inner terminal, so job control inside works.
 *
 * The outer terminal is only taken when it is ours to take: in a pipeline (`paddock run x | less`) or in the background
 * the program starts in a background group of its terminal; if it then reads, the kernel stops it with SIGTTIN, init
 * reports that, and only then the terminal is taken (or, in the background, paddock stops as the program itself would
 * have).
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <termios.h>

struct terminal {
        int outer;  /* the user's terminal, -1: there is none */
        int inner;  /* the master of the environment's, -1 until init made it */
        bool controlling; /* it is this session's; else nobody stops us from reading it */
        bool raw;   /* the outer one is taken */
        bool input_ended;
        bool stop_typed;      /* the key that stops a job was among the input since whoever looks at this cleared it */
        bool whole;           /* input and output are the terminal's: nobody else of a pipeline writes to it */
        struct termios saved; /* of the outer one, as it was found */
        struct termios given; /* what the inner one started with, as the kernel gave it back */
        char pending[4096];   /* read from the user, not yet taken by the inner terminal */
        size_t pending_count;
};

#define TERMINAL_NONE ((struct terminal){.outer = -1, .inner = -1})

/* Finds the user's terminal, if there is one: the controlling one, else one on a standard descriptor. */
void terminal_find(struct terminal *t);

/* Is this process's group the one that the terminal listens to? */
bool terminal_is_foreground(const struct terminal *t);

/* Makes the inner terminal (in the environment's init, after the view stands): a new session with it as the controlling
 * terminal. Returns the program's side; *master is to be sent out. */
int terminal_make(int *master, struct error *err);

/* The inner terminal has arrived: gives it the outer one's settings and size. */
void terminal_start(struct terminal *t, int master);

/* Raw mode. In a pipeline the outer terminal goes on adding carriage returns, since others write to it as well. */
void terminal_take(struct terminal *t);
void terminal_release(struct terminal *t); /* as it was found */
void terminal_resize(struct terminal *t);

/* Passes on what can be: after poll() said that `inner` or `outer` are ready. */
void terminal_relay_output(struct terminal *t);
void terminal_relay_input(struct terminal *t);

/* Passes on what the program wrote before it ended. */
void terminal_drain(struct terminal *t);
