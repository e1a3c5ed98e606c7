// SPDX-License-Identifier: GPL-3.0-or-later
/* Changes of the view of a started environment: see views.c. */
#pragma once

#include "warden/warden.h"

struct grants;
struct views;

/* `grants` are the environment's rights, whose places are not covered. */
struct views *views_new(struct warden *w, const struct grants *grants);
void views_free(struct views *v);

/* MESSAGE_VIEW: `fds` is the sealed memory file. Answers now or later, once. Takes none of `fds`. */
void views_request(struct views *v, struct asker asker, const int *fds, size_t count);
