// SPDX-License-Identifier: GPL-3.0-or-later
/* The record of what is shown without content, so that nobody takes it for empty. */
#pragma once

#include "mirror.h"

/* Writes down, once, the name of what has to be shown without content. Lock of the tree held. */
void record_unreadable(struct mirror *m, const struct node *node);
