// SPDX-License-Identifier: GPL-3.0-or-later
/* What a description runs: `run:` and `init:`. See parser.h. */
#include "description/description.h"

#include "base/cleanup.h"
#include "description/parser.h"
#include "description/yaml.h"

#include <string.h>

/* A program of `run`: a text for the shell, or a list of words. Returns fresh memory that ends with NULL, or NULL after
 * reporting. */
static char **command_of(struct parser *p, const struct node *value, size_t *count)
{
        static const char takes[] = "a command: text for the shell, or [PROGRAM, ARGUMENT...]";
        size_t capacity = 0;
        char **argv = NULL;
        *count = 0;
        if (value->unusable)
                return NULL;
        if (value->kind == NODE_SCALAR) {
                const char *text = parser_scalar(p, value, "run", takes);
                if (!text || !*text) {
                        if (text)
                                complain(p, value, "'run' takes %s", takes);
                        return NULL;
                }
                *vector_add(argv, *count, capacity) = memory_string("/bin/sh");
                *vector_add(argv, *count, capacity) = memory_string("-c");
                *vector_add(argv, *count, capacity) = memory_string(text);
        } else {
                bool good = value->kind == NODE_LIST && value->count;
                for (size_t i = 0; good && i < value->count; i++) {
                        const struct node *item = &value->items[i];
                        bool empty = i && item->kind == NODE_SCALAR && !item->plain && !item->length && !item->unusable;
                        const char *word = empty ? "" : parser_scalar(p, item, "run", "words");
                        good = word && (i || *word);
                        if (good)
                                *vector_add(argv, *count, capacity) = memory_string(word);
                        else if (!word)
                                goto bad; /* reported */
                }
                if (!good) {
                        complain(p, value, "'run' takes %s", takes);
                        goto bad;
                }
        }
        *vector_add(argv, *count, capacity) = NULL;
        (*count)--;
        return argv;
bad:
        while (*count)
                free(argv[--*count]);
        free(argv);
        return NULL;
}

/* One program: a command, or {command: COMMAND, name: NAME, restart: no|on-failure|always}. */
static void read_program(struct parser *p, const struct node *value)
{
        static const char *const words[] = {"command", "name", "restart", NULL};
        const struct node *command = value;
        const char *name = NULL;
        int restart = RESTART_NO;
        if (value->unusable)
                return;
        if (value->kind == NODE_MAP) {
                command = NULL;
                for (size_t i = 0; i < value->count; i += 2) {
                        const struct node *key = &value->items[i], *what = &value->items[i + 1];
                        if (parser_is_word(key, "command")) {
                                command = what;
                        } else if (parser_is_word(key, "name")) {
                                name = parser_scalar(p, what, "name", "a name");
                                if (!name)
                                        return;
                        } else if (parser_is_word(key, "restart")) {
                                const char *word = parser_scalar(p, what, "restart", "'no', 'on-failure' or 'always'");
                                restart = word ? restart_from_word(word) : -1;
                                if (word && restart < 0)
                                        complain(p, what, "'restart' takes 'no', 'on-failure' or 'always'");
                                if (restart < 0)
                                        return;
                        } else {
                                if (key->kind == NODE_SCALAR)
                                        parser_unknown(p, key, "word of a program", words, 3);
                                else
                                        complain(p, key, "a program of 'run' has the words command, name and restart");
                                return;
                        }
                }
                if (!command) {
                        complain(p, value, "a program of 'run' needs a command");
                        return;
                }
        }
        size_t count;
        char **argv = command_of(p, command, &count);
        if (!argv)
                return;
        cleanup_error struct error err = ERROR_INIT;
        if (environment_add_program(p->e, name, (const char *const *)argv, count, (enum restart_policy)restart, &err) <
            0)
                complain(p, value, "%s", err.text);
        while (count)
                free(argv[--count]);
        free(argv);
}

void parser_run(struct parser *p, const struct node *value)
{
        if (parser_is_nothing(value) || value->unusable)
                return;
        if (value->kind != NODE_LIST) {
                complain(p, value, "'run' takes a list of programs: a line '- COMMAND' for each");
                return;
        }
        for (size_t i = 0; i < value->count; i++)
                read_program(p, &value->items[i]);
}

void parser_init(struct parser *p, const struct node *value)
{
        size_t count = 1;
        const char *alone = value->kind == NODE_SCALAR
                                    ? parser_scalar(p, value, "init", "the absolute name of a program")
                                    : NULL;
        if (value->unusable || (value->kind == NODE_SCALAR && !alone))
                return;
        char **argv;
        if (alone) {
                argv = memory_grow(NULL, 1, sizeof *argv);
                argv[0] = memory_string(alone);
        } else {
                argv = command_of(p, value, &count);
        }
        if (!argv)
                return;
        cleanup_error struct error err = ERROR_INIT;
        if (environment_set_init(p->e, (const char *const *)argv, count, &err) < 0)
                complain(p, value, "%s", err.text);
        while (count)
                free(argv[--count]);
        free(argv);
}
