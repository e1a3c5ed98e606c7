// SPDX-License-Identifier: GPL-3.0-or-later
/* JSON as every verb prints it. */
#include "base/cleanup.h"
#include "verbs/verbs.h"

#include <jansson.h>

int print_json(json_t *value)
{
        int result = value ? json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII) : -1;
        json_decref(value);
        if (result < 0 || putchar('\n') == EOF || fflush(stdout) == EOF) {
                fprintf(stderr, "paddock: cannot write the JSON\n");
                return EXIT_PADDOCK;
        }
        return 0;
}

json_t *json_name(const char *name)
{
        json_t *exact = json_string(name);
        if (exact)
                return exact;
        cleanup_free char *escaped = text_escape(name);
        return json_string(escaped);
}
