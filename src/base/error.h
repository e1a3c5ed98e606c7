// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The one way errors travel in paddock.
 *
 * A function that can fail returns 0 (or a useful non-negative value) on success and a negative errno on failure, and
 * then describes the failure in the `struct error` it was given. Callers on the way up add what they were doing with
 * error_context(); the verb prints the whole with error_print(). A message says what failed, on what, why, and, in
 * `remedy`, what the reader can do about it.
 */
#pragma once

#include <stdio.h>

struct error {
        int code;     /* positive errno; 0: no error recorded */
        char *text;   /* one line, no trailing newline; heap */
        char *remedy; /* what to do, or NULL; heap */
};

#define ERROR_INIT ((struct error){0})
#define cleanup_error __attribute__((cleanup(error_clear)))

/* Record a failure. `code` is a positive errno; the text is formatted. An earlier text is replaced. Returns -code. */
int error_set(struct error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As error_set(), with ": <strerror(code)>" appended: for failed system calls. Returns -code. */
int error_sys(struct error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Put "<formatted>: " before the recorded text. Returns -err->code. */
int error_context(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Attach or replace the remedy. Returns -err->code, so that it can end a function. */
int error_remedy(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "paddock: <text>" and, when there is one, "paddock: <remedy>" on a second line. */
void error_print(FILE *out, const struct error *err);

/* Forget what was recorded and free it. */
void error_clear(struct error *err);
