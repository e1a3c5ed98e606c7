// SPDX-License-Identifier: GPL-3.0-or-later
/* Error objects that gather context on their way up. See error.h for the rules. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Formats into fresh memory; when even that fails there is nothing better to say than nothing: NULL. */
static char *format(const char *fmt, va_list args)
{
        char *text = NULL;
        return vasprintf(&text, fmt, args) < 0 ? NULL : text;
}

int error_set(struct error *err, int code, const char *fmt, ...)
{
        va_list args;
        va_start(args, fmt);
        char *text = format(fmt, args);
        va_end(args);
        error_clear(err);
        err->code = code ? code : EIO;
        err->text = text;
        return -err->code;
}

int error_sys(struct error *err, int code, const char *fmt, ...)
{
        va_list args;
        va_start(args, fmt);
        char *what = format(fmt, args);
        va_end(args);
        int result = error_set(err, code, "%s: %s", what ? what : "?", strerror(code));
        free(what);
        return result;
}

int error_context(struct error *err, const char *fmt, ...)
{
        va_list args;
        va_start(args, fmt);
        char *what = format(fmt, args);
        va_end(args);
        char *whole = NULL;
        if (what && asprintf(&whole, "%s: %s", what, err->text ? err->text : "failed") >= 0) {
                free(err->text);
                err->text = whole;
        }
        free(what);
        return -err->code;
}

int error_remedy(struct error *err, const char *fmt, ...)
{
        va_list args;
        va_start(args, fmt);
        char *remedy = format(fmt, args);
        va_end(args);
        free(err->remedy);
        err->remedy = remedy;
        return -err->code;
}

void error_print(FILE *out, const struct error *err)
{
        fprintf(out, "paddock: %s\n", err->text ? err->text : strerror(err->code));
        if (err->remedy)
                fprintf(out, "paddock: %s\n", err->remedy);
}

void error_clear(struct error *err)
{
        free(err->text);
        free(err->remedy);
        *err = ERROR_INIT;
}
