// SPDX-License-Identifier: GPL-3.0-or-later
/* `paddock ask --listen`: questions of environments, answered in a terminal. */
#pragma once

#include <stddef.h>

/* Listens to these environments, or to all that are started now or later (count 0). Returns an exit status. */
int answer_questions(char **names, size_t count);
