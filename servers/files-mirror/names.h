// SPDX-License-Identifier: GPL-3.0-or-later
/* Names for the kernel: found one by one (LOOKUP), listed with all that is known of them (READDIRPLUS), forgotten. */
#pragma once

#include "mirror.h"

/* Notes what was seen where a node is. Returns false when it is of another type than before. Lock of the tree held. */
bool names_note(struct mirror *m, struct node *node, const struct seen *seen);
/* How long the kernel may keep the attributes of a node: what is found under its name is kept for `kept`. */
double names_attributes_kept(const struct node *node, const struct seen *seen, double kept);

void answer_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
/* The same without waiting for anything. */
void answer_lookup_now(fuse_req_t req, fuse_ino_t parent, const char *name);
void answer_forget(fuse_req_t req, fuse_ino_t id, uint64_t lookups);
void answer_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void answer_readdirplus(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, struct fuse_file_info *info);
