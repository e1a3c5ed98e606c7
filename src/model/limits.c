// SPDX-License-Identifier: GPL-3.0-or-later
/* What an environment may use: see limits.h. */
#include "model/limits.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "model/environment.h"

#include <string.h>

/* `most` 0: a number of bytes. */
static const struct {
        const char *word;
        uint64_t least, most;
        const char *form;
} kinds[LIMIT_COUNT] = {
        [LIMIT_DISK] = {"disk", 0, 0, NULL},
        [LIMIT_MEMORY] = {"memory", 0, 0, NULL},
        [LIMIT_TASKS] = {"tasks", 1, 4194304, "a number of processes and threads, from 1 to 4194304"},
        [LIMIT_CPU] = {"cpu", 1, 10000, "a weight from 1 to 10000, where 100 is everybody's"},
        [LIMIT_IO] = {"io", 1, 10000, "a weight from 1 to 10000, where 100 is everybody's"},
        [LIMIT_FILES] = {"files", 16, 1048576, "a number of open files, from 16 to 1048576"},
};
static const char *const overs[] = {[OVER_TELL] = "tell", [OVER_STOP] = "stop", [OVER_FREEZE] = "freeze"};
static const char *const holds[] = {
        [HOLD_NOT] = "not enforced", [HOLD_WATCHED] = "watched", [HOLD_ENFORCED] = "enforced"};

const char *limit_word(enum limit_kind kind)
{
        return kinds[kind].word;
}

const char *limit_over_word(enum limit_over over)
{
        return overs[over];
}

const char *limit_hold_word(enum limit_hold how)
{
        return holds[how];
}

static int set_kind(struct limits *limits, enum limit_kind kind, const char *value, struct error *err)
{
        uint64_t number;
        cleanup_free char *seen = text_escape(value);
        if (!kinds[kind].most) {
                if (size_from_word(value, &limits->value[kind]) < 0)
                        return error_set(err, EINVAL,
                                         "'%s' is no size: it is written as 512M, 2G or a number of bytes", seen);
                return 0;
        }
        size_t length = strlen(value);
        if (!length || strspn(value, "0123456789") != length || size_from_word(value, &number) < 0 ||
            number < kinds[kind].least || number > kinds[kind].most)
                return error_set(err, EINVAL, "'%s' is not %s", seen, kinds[kind].form);
        limits->value[kind] = number;
        return 0;
}

int limits_set(struct limits *limits, const char *word, const char *value, struct error *err)
{
        for (int kind = 0; kind < LIMIT_COUNT; kind++)
                if (strcmp(kinds[kind].word, word) == 0)
                        return set_kind(limits, (enum limit_kind)kind, value, err);
        if (strcmp(word, "over") != 0)
                return -ENOENT;
        for (size_t i = 0; i < sizeof overs / sizeof *overs; i++)
                if (strcmp(overs[i], value) == 0) {
                        limits->over = (enum limit_over)i;
                        return 0;
                }
        cleanup_free char *seen = text_escape(value);
        return error_set(err, EINVAL, "'%s' is not tell, stop or freeze", seen);
}

const char *limit_value(enum limit_kind kind, uint64_t value, char text[LIMIT_VALUE])
{
        if (!kinds[kind].most)
                return size_to_word(value, text);
        snprintf(text, LIMIT_VALUE, "%llu", (unsigned long long)value);
        return text;
}

void limits_override(struct limits *limits, const struct limits *with)
{
        for (int kind = 0; kind < LIMIT_COUNT; kind++)
                if (with->value[kind])
                        limits->value[kind] = with->value[kind];
        if (with->over != OVER_TELL)
                limits->over = with->over;
}
