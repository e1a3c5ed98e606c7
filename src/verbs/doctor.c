// SPDX-License-Identifier: GPL-3.0-or-later
/* paddock doctor: what this machine lets paddock do, what that means, and what to do about it. */
#include "base/cleanup.h"
#include "base/text.h"
#include "host/linux/probe.h"
#include "verbs/verbs.h"

#include <argp.h>
#include <jansson.h>
#include <string.h>

#define EXIT_PREVENTED 1 /* something that `paddock run` needs is missing */

enum { OPTION_JSON = 256 };

static const char *const state_words[] = {[PROBE_GOOD] = "ok", [PROBE_DEGRADED] = "weak", [PROBE_MISSING] = "missing"};
static const char *const state_colours[] =
        {[PROBE_GOOD] = "\033[32m", [PROBE_DEGRADED] = "\033[33m", [PROBE_MISSING] = "\033[31m"};

/* The first probe that prevents every run, or NULL. */
static const struct probe *prevention(const struct probe *probes, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (probes[i].essential && probes[i].state == PROBE_MISSING)
                        return &probes[i];
        return NULL;
}

/* Colours are for terminals whose owner did not refuse them (https://no-color.org). */
static bool may_colour(void)
{
        const char *refused = getenv("NO_COLOR"), *terminal = getenv("TERM");
        return isatty(STDOUT_FILENO) && !(refused && *refused) && terminal && strcmp(terminal, "dumb") != 0;
}

/* What follows from a finding, below it. Printed as it is: a remedy is there to be copied into a shell, and a name in
 * it was escaped by its probe. */
static void print_detail(const char *word, const char *text)
{
        printf("         %s: %s\n", word, text);
}

static void print_people(const struct probe *probes, size_t count)
{
        bool colour = may_colour();
        int width = 0;
        size_t weak = 0;
        for (size_t i = 0; i < count; i++) {
                int length = (int)strlen(probes[i].name);
                width = length > width ? length : width;
                weak += probes[i].state != PROBE_GOOD;
        }
        for (size_t i = 0; i < count; i++) {
                const struct probe *probe = &probes[i];
                cleanup_free char *found = text_escape(probe->found);
                printf("%s%-7s%s  %-*s  %s\n", colour ? state_colours[probe->state] : "", state_words[probe->state],
                       colour ? "\033[0m" : "", width, probe->name, found);
                if (probe->consequence)
                        print_detail("so", probe->consequence);
                if (probe->remedy)
                        print_detail("do", probe->remedy);
        }
        const struct probe *prevents = prevention(probes, count);
        if (prevents) {
                cleanup_free char *found = text_escape(prevents->found);
                printf("\npaddock run does not work here. %s: %s\n", prevents->name, found);
        } else if (weak) {
                printf("\npaddock run works here; lines marked weak or missing say what else is not to be had\n");
        } else {
                printf("\npaddock run works here\n");
        }
}

/* A JSON string that may hold names which are not UTF-8; NULL is null. */
static json_t *json_text(const char *text)
{
        return text ? json_name(text) : json_null();
}

static int print_programs(const struct probe *probes, size_t count)
{
        json_t *list = json_array();
        for (size_t i = 0; i < count; i++) {
                const struct probe *probe = &probes[i];
                json_array_append_new(list,
                                      json_pack("{s:s, s:s, s:b, s:o, s:o, s:o}", "name", probe->name, "state",
                                                state_words[probe->state], "essential", probe->essential, "found",
                                                json_text(probe->found), "consequence", json_text(probe->consequence),
                                                "remedy", json_text(probe->remedy)));
        }
        const struct probe *prevents = prevention(probes, count);
        return print_json(json_pack("{s:b, s:o, s:o}", "works", prevents == NULL, "prevented_by",
                                    json_text(prevents ? prevents->name : NULL), "probes", list));
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
        bool *json = state->input;
        switch (key) {
        case OPTION_JSON:
                *json = true;
                return 0;
        case ARGP_KEY_ARG:
                argp_error(state, "unexpected argument '%s'", argument);
                return EINVAL;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

int verb_doctor(int argc, char **argv)
{
        static const struct argp_option options[] = {
                {"json", OPTION_JSON, NULL, 0, "Print the findings as JSON", 0},
                {0},
        };
        static const struct argp argp = {
                options, parse_option, NULL,
                "Tries what paddock needs of this machine, and says what works, what does not, and what to do.\v"
                "Nothing is changed and nothing is left behind. The exit status is 0 when `paddock run` works here "
                "and 1 when something that it needs is missing.",
                NULL, NULL, NULL,
        };
        bool json = false;
        argp_err_exit_status = EXIT_PADDOCK;
        argp_parse(&argp, argc, argv, 0, NULL, &json);

        struct probe *probes;
        size_t count = probe_all(&probes);
        int result = prevention(probes, count) ? EXIT_PREVENTED : 0;
        if (json) {
                if (print_programs(probes, count) != 0)
                        result = EXIT_PADDOCK;
        } else {
                print_people(probes, count);
                if (fflush(stdout) == EOF || ferror(stdout)) {
                        fprintf(stderr, "paddock: cannot write the findings: %s\n", strerror(errno));
                        result = EXIT_PADDOCK;
                }
        }
        probe_free(probes, count);
        return result;
}
