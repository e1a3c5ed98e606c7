// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What a slot of a layer lies over: layer/N/cover, a line a fact, written when the slot is first used. It says what the
 * changes in the slot are changes to, and since when, so that they can be shown and kept without making the plan again.
 *
 *      kind <TAB> changes | empty | file | entries
 *      since <TAB> SECONDS.NANOSECONDS     nothing in the slot is older; not there: unknown
 *      inode <TAB> N                       of the first source, then
 *      source <TAB> PATH                   topmost first
 *      name <TAB> KIND <TAB> PATH          names of ours between the slot and the sources: no changes
 */
#pragma once

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum cover_kind {
        COVER_CHANGES, /* `upper` holds what differs from the sources */
        COVER_EMPTY,   /* `content` is a directory that began empty */
        COVER_FILE,    /* `content` is a file that began as a copy of the source */
        COVER_ENTRIES, /* `content` is a directory that began with copies of the source's files and links */
};

enum cover_name_kind { COVER_NAME_NONE, COVER_NAME_DIRECTORY, COVER_NAME_OTHER, COVER_NAME_HIDDEN };

struct cover_name {
        enum cover_name_kind kind;
        char *path; /* relative to the slot */
};

struct cover {
        enum cover_kind kind;
        struct timespec since; /* tv_sec 0: unknown */
        uint64_t inode;        /* 0: unknown */
        char **sources;
        size_t source_count, source_capacity;
        struct cover_name *names;
        size_t name_count, name_capacity;
};

#define cleanup_cover __attribute__((cleanup(cover_clear)))

/* The record as text, fresh memory. */
char *cover_to_text(const struct cover *cover);
/* Reads one; `text` is changed. -EINVAL when it is damaged. */
int cover_from_text(struct cover *cover, char *text);
/* Reads that of the open directory `slot` (layer/N). -ENOENT when there is none. */
int cover_load(int slot, struct cover *cover, struct error *err);
/* Writes it, whole or not at all. */
int cover_store(int slot, const struct cover *cover, struct error *err);

void cover_clear(struct cover *cover);
