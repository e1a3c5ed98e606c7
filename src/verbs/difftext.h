// SPDX-License-Identifier: GPL-3.0-or-later
/* The lines that differ in a changed text file, by diff(1). */
#pragma once

#include "layer/layer.h"

/* Prints them on standard output, if the change is one of a regular file's content. `terminal`: with colour, and with
 * control characters made visible, since the file is a program's. 0 or a negative errno. */
int difftext_print(const struct change *change, bool terminal);
