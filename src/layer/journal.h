// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What a commit is going to do, written down before it does any of it, in commit/journal of the environment: so that a
 * commit that was cut off can be gone through again. Each item says what stood outside when it was found to be free to
 * go.
 */
#pragma once

#include "base/error.h"
#include "base/text.h"
#include "layer/files.h"

#include <stdbool.h>
#include <stdio.h>

enum item_kind {
        ITEM_DIRECTORY = 'd', /* a new directory, before what is in it */
        ITEM_PUT = 'p',       /* a new thing that is no directory, or another in place of what is there */
        ITEM_LINK = 'l',      /* another name of `link` */
        ITEM_META = 'm',      /* a directory that stays: its permissions, attributes and time */
        ITEM_DELETE = 'x',
        ITEM_MERGE = '3',     /* a text file of which both versions are merged */
        ITEM_CHOSEN = '*',    /* not to be done, but a path that was chosen */
};

struct item {
        enum item_kind kind;
        bool forced;           /* whatever stands outside */
        bool only_time;        /* ITEM_META */
        unsigned slot;
        struct meta before;    /* what may be replaced: type, inode, size, mtime */
        enum meta_type after;  /* what the layer has */
        struct timespec since; /* what is below a directory that is to go is older */
        char *path;            /* inside */
        char *link;
};

struct journal {
        FILE *file;
        unsigned long long token; /* part of the names of what is not finished */
        char *buffer;
        size_t size;
        struct text line; /* that is being written */
};

#define JOURNAL_NONE ((struct journal){0})

/* Begins one in the open directory. */
int journal_begin(struct journal *j, int directory, struct error *err);
int journal_add(struct journal *j, const struct item *item);
/* Makes it durable, under its lasting name. */
int journal_finish(struct journal *j, int directory, struct error *err);
/* Opens the one that there is: -ENOENT when there is none. */
int journal_open(struct journal *j, int directory, struct error *err);
/* The next item: 1, 0 at the end, negative when it is damaged. Its strings live until the next call. */
int journal_next(struct journal *j, struct item *item);
void journal_rewind(struct journal *j);
/* It is carried out. */
void journal_remove(struct journal *j, int directory);
void journal_close(struct journal *j);
