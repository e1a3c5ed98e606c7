// SPDX-License-Identifier: GPL-3.0-or-later
/* The id-mirror server: options, the connection, the end. README.md is its contract. */
#include "connection.h"
#include "control.h"
#include "drop.h"
#include "mirror.h"
#include "readahead.h"
#include "serve.h"
#include "watch.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <argp.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define NODE_LIMIT 400000 /* names; about 40 MB */

struct options {
        struct mirror *m;
        const char *root;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct options *o = state->input;
        struct mirror *m = o->m;
        switch (key) {
        case 'c':
                m->control = atoi(arg);
                return 0;
        case 'i':
                m->ids = (unsigned)strtoul(arg, NULL, 10);
                if (strcmp(arg, "all") == 0)
                        m->ids = 65536;
                if (strcmp(arg, "one") == 0)
                        m->ids = 1;
                if (!m->ids)
                        argp_error(state, "--ids takes all, one or a number, not '%s'", arg);
                return 0;
        case 'h':
        case 'b':
                if (rules_add(&m->rules, key == 'h' ? RULE_HIDDEN : RULE_BLANK, arg) < 0)
                        argp_error(state, "'%s' is not the absolute name of something below the root", arg);
                return 0;
        case 'r':
                m->record = atoi(arg);
                return 0;
        case ARGP_KEY_ARG:
                if (state->arg_num)
                        argp_error(state, "one directory only");
                o->root = arg;
                return 0;
        case ARGP_KEY_END:
                if (m->control < 0)
                        argp_error(state, "--control is needed: paddock starts this server, see its README");
                return 0;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

static void know_oneself(struct mirror *m)
{
        m->uid = geteuid();
        int count = getgroups(0, NULL);
        m->groups = memory_grow(NULL, (size_t)(count > 0 ? count : 0) + 1, sizeof *m->groups);
        m->group_count = count > 0 ? (size_t)getgroups(count, m->groups) : 0;
        m->groups[m->group_count++] = getegid();
}

/* The server lives as long as the environment, whatever is typed at the terminal; and needs descriptors for every
 * thread. */
static void stand_alone(void)
{
        static const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU};
        for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
                signal(ignored[i], SIG_IGN);
        struct rlimit limit;
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max;
                setrlimit(RLIMIT_NOFILE, &limit);
        }
}

int main(int argc, char **argv)
{
        static const struct argp_option options[] = {
                {"control", 'c', "FD", 0, "socket over which /dev/fuse arrives; the server ends with it", 0},
                {"ids", 'i', "all|one|COUNT", 0, "which owners are shown as they are; one: everything is root's", 0},
                {"hide", 'h', "PATH", 0, "there is no such name", 0},
                {"blank", 'b', "PATH", 0, "an empty directory", 0},
                {"record", 'r', "FD", 0, "where names are written that had to be shown without content", 0},
                {0}};
        static const struct argp argp = {options, parse, "[ROOT]",
                                         "Shows a directory tree with its owners as an environment's.",
                                         0, 0, 0};
        cleanup_error struct error err = ERROR_INIT;
        struct mirror m =
                {.root = -1, .control = -1, .record = -1, .words = -1, .ids = 65536, .node_limit = NODE_LIMIT};
        struct options o = {&m, "/"};
        argp_parse(&argp, argc, argv, 0, NULL, &o);
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        stand_alone();
        know_oneself(&m);
        m.root = open(o.root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (m.root < 0 || rules_identify(&m.rules, m.root) < 0 || node_tree_start(&m.tree, &m.rules.root) < 0) {
                error_sys(&err, errno, "cannot show %s", o.root);
                error_print(stderr, &err);
                return 1;
        }
        if (connection_new(&m) < 0)
                return 1;
        /* All that can be made before the environment waits for answers. */
        m.dropper = drop_start(&m);
        watch_start(&m);
        m.readahead = readahead_start(&m);
        int device = control_receive_device(m.control);
        if (device < 0)
                return 0; /* the environment was given up before it had a mirror */
        if (connection_start(&m, device) < 0)
                return 1;
        control_listen(&m);
        serve(&m);
        readahead_end(m.readahead);
        watch_end(&m);
        drop_end(m.dropper);
        fuse_session_destroy(m.session);
        node_tree_end(&m.tree);
        rules_clear(&m.rules);
        free(m.devices);
        free(m.groups);
        free(m.recorded);
        return 0;
}
