// SPDX-License-Identifier: GPL-3.0-or-later
/* What `paddock channel` was asked for, as the server of channels (servers/channel/control.h) wants it. */
#pragma once

#include "base/error.h"
#include "servers/channel/control.h"

#include <stddef.h>

#define CHANNEL_PLACE "/run/paddock/channel" /* inside; each is the name of one */

enum channel_form { FORM_NONE, FORM_STREAM, FORM_MESSAGES, FORM_PORT, FORM_FILES, FORM_EXEC };

/* "stream", ...; FORM_NONE. */
enum channel_form channel_form_of(const char *word);
const char *channel_form_word(enum channel_form form);

/* "outside:8080", "inside:127.0.0.1:80", "inside:[::1]:80", "outside:/run/x.sock": which side it is
 * (CHANNEL_OUTSIDE, ...), or a negative errno. `side` is filled but for `does`. */
int channel_place_parse(const char *text, struct channel_side *side, struct error *err);

/* Adds commands: "NAME PROGRAM ARGUMENT... [-- NAME PROGRAM ...]". *text is fresh memory of *size bytes; *names too. */
int channel_commands(char *const *words, size_t count, char **text, size_t *size, char **names, struct error *err);

/* The sealed memory file. `text` holds spec->text bytes. */
int channel_seal(const struct channel_spec *spec, const char *text, struct error *err);
