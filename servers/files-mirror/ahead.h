// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What is asked for before somebody waits for it.
 *
 * Theory of operation. A name that the kernel does not know is a request, and nearly all of its time is spent in waking
 * up. A listing tells the kernel a whole directory's names and attributes in one or two; it has to be asked for from
 * inside, by a process of the environment (control.h), because the kernel takes names only as an answer. It is asked
 * for
 *
 *  - of a directory, when names in it are looked up one by one;
 *  - of the directories that come after it as well, when several directories beside it, or beside one above it, were
 * gone through before: twice as many names with each directory that still had to be asked for, as read-ahead does
 * within a file. While the walker works on what is known, the listing goes on on another processor; when there is none
 * to spare, a walker who lists by himself is left to it.
 *
 * In the same way the contents of small files go ahead when files were read in several directories: as soon as one is
 * listed to its end, readahead.h is given it.
 */
#pragma once

#include "mirror.h"

/* A name was looked up in a directory and found. */
void ahead_looked_up(struct mirror *m, uint64_t directory);
/* The process `pid` begins to list a directory. `changes` is m->changes from before it. */
void ahead_listing(struct mirror *m, uint64_t directory, pid_t pid, unsigned changes);
/* Is somebody listing it just now, and nothing has changed outside since? */
bool ahead_is_listed(struct mirror *m, uint64_t directory, unsigned changes);
/* A directory was listed to its end: the kernel knows all names in it. */
void ahead_listed(struct mirror *m, uint64_t directory);
/* Files of a directory are read one after another. Returns whether that was so of several in its neighbourhood: then it
 * is worth to be given whole. */
bool ahead_read(struct mirror *m, uint64_t directory);
