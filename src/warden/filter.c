// SPDX-License-Identifier: GPL-3.0-or-later
/* Text out of a console: see filter.h. Names as in ECMA-48. */
#include "warden/filter.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { GROUND, ESCAPE, CONTROL /* CSI */, CHARSET, STRING, STRING_ESCAPE };

static size_t emit(struct filter *f, char last, char *out)
{
        memcpy(out, f->sequence, f->length);
        out[f->length] = last;
        return f->length + 1;
}

/* Private modes: cursor keys, wrapping, blinking, visible cursor, the other screen, bracketed paste. */
static bool is_harmless_mode(const char *parameters, size_t length)
{
        static const char *const modes[] = {"1", "7", "12", "25", "1049", "2004", NULL};
        for (const char *const *mode = modes; *mode; mode++)
                if (strlen(*mode) == length && memcmp(*mode, parameters, length) == 0)
                        return true;
        return false;
}

/* The sequence "ESC [ parameters" ends with `last`. */
static bool is_text(const struct filter *f, char last)
{
        const char *parameters = f->sequence + 2;
        size_t length = f->length - 2;
        if (length && parameters[0] == '?')
                return (last == 'h' || last == 'l') && is_harmless_mode(parameters + 1, length - 1);
        for (size_t i = 0; i < length; i++)
                if ((parameters[i] < '0' || parameters[i] > '9') && parameters[i] != ';' && parameters[i] != ':')
                        return false;
        return strchr("@ABCDEFGHJKLMPSTXdfmrsu", last) && last;
}

/* What may stand in a character: 0x80..0x9f alone are controls for some terminals. */
static bool take_utf8(struct filter *f, unsigned char c)
{
        if (f->utf8) {
                f->utf8--;
                return true;
        }
        f->utf8 = c >= 0xc3 && c <= 0xdf ? 1 : c >= 0xe0 && c <= 0xef ? 2 : c >= 0xf0 && c <= 0xf4 ? 3 : 0;
        return f->utf8;
}

static size_t ground(struct filter *f, unsigned char c, char *out)
{
        if (f->length) { /* 0xc2 came before: a C1 control in UTF-8, or a character */
                f->length = 0;
                if (c < 0xa0 || c > 0xbf)
                        return c >= 0x80 && c < 0xa0 ? 0 : ground(f, c, out);
                out[0] = (char)0xc2;
                out[1] = (char)c;
                return 2;
        }
        if (f->utf8 && (c < 0x80 || c > 0xbf))
                f->utf8 = 0;
        if (c == 0xc2 && !f->utf8) {
                f->sequence[f->length++] = (char)c;
        } else if (c == 0x1b) {
                f->state = ESCAPE;
        } else if ((c >= 0x20 && c < 0x7f) || (c >= 0x07 && c <= 0x0d) || (c >= 0x80 && take_utf8(f, c))) {
                out[0] = (char)c;
                return 1;
        }
        return 0;
}

static size_t escape(struct filter *f, unsigned char c, char *out)
{
        f->sequence[0] = 0x1b;
        f->length = 1;
        f->state = GROUND;
        size_t written = 0;
        if (c == '[' || c == '(' || c == ')') {
                f->sequence[f->length++] = (char)c;
                f->state = c == '[' ? CONTROL : CHARSET;
                return 0;
        }
        if (strchr("]PX^_", c) && c)
                f->state = STRING;
        else if (c == 0x1b)
                f->state = ESCAPE;
        else if (strchr("78DEM=>", c) && c)
                written = emit(f, (char)c, out);
        f->length = 0;
        return written;
}

static size_t control(struct filter *f, unsigned char c, char *out)
{
        size_t written = 0;
        if (c >= 0x20 && c <= 0x3f) {
                if (f->length < FILTER_SEQUENCE - 1)
                        f->sequence[f->length++] = (char)c;
                else
                        f->sequence[2] = '!'; /* too long: no parameter, so nothing comes of it */
                return 0;
        }
        f->state = c == 0x1b ? ESCAPE : GROUND;
        if (c >= 0x40 && c <= 0x7e && is_text(f, (char)c))
                written = emit(f, (char)c, out);
        f->length = 0;
        return written;
}

static size_t step(struct filter *f, unsigned char c, char *out)
{
        size_t written = 0;
        switch (f->state) {
        case ESCAPE:
                return escape(f, c, out);
        case CONTROL:
                return control(f, c, out);
        case CHARSET:
                if (c == 'B' || c == '0')
                        written = emit(f, (char)c, out);
                f->length = 0;
                f->state = GROUND;
                return written;
        case STRING: /* to its end, ESC \ or BEL */
                f->state = c == 0x1b ? STRING_ESCAPE : c == 0x07 || c == 0x18 || c == 0x1a ? GROUND : STRING;
                return 0;
        case STRING_ESCAPE:
                f->state = GROUND;
                return c == '\\' ? 0 : escape(f, c, out);
        default:
                return ground(f, c, out);
        }
}

size_t filter_text(struct filter *f, const char *data, size_t size, char *out)
{
        size_t written = 0;
        for (size_t i = 0; i < size; i++)
                written += step(f, (unsigned char)data[i], out + written);
        return written;
}
