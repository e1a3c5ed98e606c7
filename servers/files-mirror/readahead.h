// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Content of small files, given to the kernel before it is asked for.
 *
 * Theory of operation. Reading a small file for the first time is a request, and nearly all of its time is spent in
 * waking up. When several files of one directory are read, a thread reads more of them and stores them in the
 * kernel's page cache (NOTIFY_STORE), twice as many with each request that still comes, as read-ahead does within a
 * file. Only files whose names the kernel knows, in directories that are watched: when they change, their pages are
 * taken back like all others. It has a thread of its own because a store waits for pages that a reader has locked,
 * who waits for an answer.
 */
#pragma once

#include "mirror.h"

#define READAHEAD_FILE 16384    /* bytes; larger files are left to those who read them */
#define READAHEAD_WINDOW 128    /* files stored in one go, at most */
#define READAHEAD_WHOLE 1024    /* of a directory that is given whole */
#define READAHEAD_QUEUE 64      /* such directories that wait */
#define READAHEAD_DIRECTORIES 8 /* in which reading is noticed at the same time */

struct readahead *readahead_start(struct mirror *m);
void readahead_end(struct readahead *r);
/* A file was read from its beginning because somebody asked for it. */
void readahead_note(struct mirror *m, uint64_t id);
/* All small files of a directory are to be stored; may do nothing. */
void readahead_directory(struct mirror *m, uint64_t directory);
