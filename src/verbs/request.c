// SPDX-License-Identifier: GPL-3.0-or-later
/* The command line of `paddock run`, read without argp: see request.h. */
#include "verbs/request.h"

#include <string.h>

/* The columns of argp's table, in its order. */
struct row { // NOLINT(clang-analyzer-optin.performance.Padding)
        const char *name;
        int key;
        const char *arg;
        int flags;
        const char *doc;
        int group;
};
static const struct row rows[] = {OPTIONS_RUN};
#define ROWS (sizeof rows / sizeof *rows)

int request_option(struct request *r, int key, char *arg)
{
        switch (key) {
        case 'n':
                r->name = arg;
                return 0;
        case 'f':
                r->file = arg;
                return 0;
        case OPTION_EXPLAIN:
                r->explain = true;
                return 0;
        case OPTION_JSON:
                r->json = true;
                return 0;
        case OPTION_MEMORY:
                r->memory = true;
                return 0;
        case OPTION_REBASE:
                r->rebase = true;
                return 0;
        case OPTION_REVIEW:
                r->review = true;
                return 0;
        default:
                r->identity |= key == OPTION_AS;
                return option_apply(&r->options, key, arg, r->cwd, &r->given, r->err);
        }
}

/* The option that `word` begins with or is: "--name", "--name=VALUE", "-n", "-nVALUE". *value points at VALUE or is
 * NULL. */
static const struct row *row_of(char *word, char **value)
{
        bool is_long = word[1] == '-';
        char *equals = is_long ? strchr(word, '=') : NULL;
        size_t length = equals ? (size_t)(equals - word - 2) : strlen(word + 1) - is_long;
        *value = equals ? equals + 1 : !is_long && word[2] ? word + 2 : NULL;
        for (size_t i = 0; i < ROWS; i++)
                if (is_long ? strlen(rows[i].name) == length && strncmp(rows[i].name, word + 2, length) == 0
                            : rows[i].key == word[1])
                        return &rows[i];
        return NULL;
}

int request_parse(struct request *r, int argc, char **argv)
{
        int i = 1;
        for (; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
                char *value;
                if (strcmp(argv[i], "--") == 0) {
                        i++;
                        break;
                }
                const struct row *row = row_of(argv[i], &value);
                if (!row || (value && !row->arg))
                        return REQUEST_FOR_LIBRARY;
                if (row->arg && !value && ++i < argc)
                        value = argv[i];
                if (row->arg && !value)
                        return REQUEST_FOR_LIBRARY;
                int result = request_option(r, row->key, value);
                if (result)
                        return result;
        }
        if (i < argc)
                r->command = argv + i;
        bool contradicts = (r->memory && r->name) || (r->rebase && (!r->name || r->explain));
        return contradicts ? REQUEST_FOR_LIBRARY : 0;
}
