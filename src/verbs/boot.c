// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * `paddock boot`: another system, with an init of its own.
 *
 * It is an environment whose description has `init:`. This verb makes one where there is none, has `paddock start`
 * start it, and shows its console.
 */
#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "host/host.h"
#include "image/import.h"
#include "verbs/console.h"
#include "verbs/image.h"
#include "verbs/options.h"
#include "verbs/verbs.h"

#include <argp.h>
#include <ctype.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { KEY_DETACH = 0x300, KEY_ROOT };

struct request {
        const char *name, *what; /* what: an image, directory or file */
        bool host, detach, limits; /* limits: some were given */
        struct environment options; /* its limits and network */
        char **init;
        size_t init_count;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct request *r = state->input;
        switch (key) {
        case 'n':
                r->name = arg;
                break;
        case KEY_DETACH:
                r->detach = true;
                break;
        case KEY_ROOT:
                if (strcmp(arg, "host") != 0)
                        argp_error(state, "--root takes 'host'; an image, directory or file is named without it");
                r->host = true;
                break;
        case OPTION_LIMIT: case OPTION_NET: case OPTION_PUBLISH: {
                cleanup_error struct error err = ERROR_INIT;
                bool network;
                if (option_apply(&r->options, key, arg, NULL, key == OPTION_LIMIT ? &r->limits : &network, &err) < 0)
                        argp_error(state, "%s", err.text);
                break;
        }
        case ARGP_KEY_ARG:
                if (r->host && !r->name && !r->init && strcmp(state->argv[state->next - 2], "--") != 0) {
                        r->name = arg;
                        break;
                }
                if (!r->what && !r->host && state->argv[state->next - 2] != NULL &&
                    strcmp(state->argv[state->next - 2], "--") != 0) {
                        r->what = arg;
                        break;
                }
                r->init = &state->argv[state->next - 1];
                r->init_count = (size_t)state->argc - (size_t)state->next + 1;
                state->next = state->argc;
                break;
        default:
                return ARGP_ERR_UNKNOWN;
        }
        return 0;
}

/* A name for an environment, or image, after a file: "/x/debian-12.tar.xz" gives "debian-12". */
static char *name_after(const char *path)
{
        cleanup_free char *clean = path_clean("/", path);
        char *name = memory_string(path_name(clean));
        static const char *const ends[] = {".tar",     ".tar.gz",  ".tgz", ".tar.xz", ".txz",
                                           ".tar.zst", ".tar.bz2", ".oci",
                                           ".squashfs", ".sqsh", ".ext4", ".ext2", ".img", NULL};
        size_t length = strlen(name);
        for (const char *const *end = ends; *end; end++)
                if (length > strlen(*end) && strcmp(name + length - strlen(*end), *end) == 0) {
                        name[length - strlen(*end)] = '\0';
                        length = strlen(name);
                }
        for (char *c = name; *c; c++)
                if (!isalnum((unsigned char)*c) && *c != '.' && *c != '-' && *c != '_')
                        *c = '-';
        return name;
}

/* The init in a tree: the one that was named, or the first of those that systems have. */
static int find_init(struct environment *e, const char *tree, const struct request *r, struct error *err)
{
        static const char *const inits[] = {"/sbin/init",
                                            "/usr/sbin/init",
                                            "/lib/systemd/systemd",
                                            "/usr/lib/systemd/systemd",
                                            "/bin/init",
                                            "/init",
                                            NULL};
        const char *const named[] = {r->init_count ? r->init[0] : NULL, NULL};
        for (const char *const *init = r->init_count ? named : inits; *init; init++) {
                cleanup_free char *file = NULL;
                int result = host_look_for_program(tree, *init, &file, err);
                const char *lack = result == 0 && strcmp(file, "systemd") == 0 ? host_cgrouptree_lack() : NULL;
                if (lack)
                        fprintf(stderr,
                                "paddock: its init is systemd, which needs a cgroup tree that it may write, and "
                                "gets none (%s): it will not come far\n",
                                lack);
                if (result == 0 && r->init_count)
                        return environment_set_init(e, (const char *const *)r->init, r->init_count, err);
                if (result == 0)
                        return environment_set_init(e, init, 1, err);
                if (err->code)
                        return result;
        }
        cleanup_free char *place = text_escape(tree), *asked = text_escape(r->init_count ? r->init[0] : "");
        cleanup_free char *shown =
                e->root == ROOT_IMAGE ? memory_format("image '%s'", e->root_path) : steal_pointer(&place);
        if (r->init_count) {
                error_set(err, ENOENT, "%s has no program %s", shown, asked);
        } else {
                error_set(err, ENOENT, "%s has no init: neither /sbin/init nor another that is known", shown);
                error_remedy(err, "install one in it (Debian: sysvinit-core, runit-init, systemd-sysv), name one "
                                  "behind '--', or use "
                                  "`paddock run --root` for single programs");
        }
        return -ENOENT;
}

/* A file becomes an image once. */
static int import_file(struct store *s, const char *file, char **image, struct error *err)
{
        *image = name_after(file);
        if (image_exists(*image)) {
                fprintf(stderr, "paddock: there is an image '%s' already, which is used\n", *image);
                return 0;
        }
        struct import how = {.source = file, .fd = -1, .shown = file};
        cleanup_image struct image made;
        return image_import(s, *image, &how, &made, err);
}

/* Fills in what the system lies over; `tree` is where it can be looked at. */
static int choose_root(struct environment *e, struct store *s, const struct request *r, char **tree, struct error *err)
{
        struct stat st;
        if (r->host) {
                *tree = memory_string("/");
                return 0;
        }
        if (image_exists(r->what)) {
                e->root = ROOT_IMAGE;
                e->root_path = memory_string(r->what);
        } else if (stat(r->what, &st) == 0 && S_ISDIR(st.st_mode)) {
                cleanup_free char *cwd = getcwd(NULL, 0);
                e->root = ROOT_DIRECTORY;
                e->root_path = path_clean(cwd ? cwd : "/", r->what);
                *tree = memory_string(e->root_path);
                return 0;
        } else if (access(r->what, F_OK) == 0) {
                int result = import_file(s, r->what, &e->root_path, err);
                if (result < 0)
                        return result;
                e->root = ROOT_IMAGE;
        } else {
                cleanup_free char *shown = text_escape(r->what);
                error_set(err, ENOENT, "'%s' is no image, and no directory or file", shown);
                return error_remedy(
                        err, "`paddock image list` lists images; `paddock image debian bookworm NAME` makes one");
        }
        *tree = image_root(s->path, e->root_path);
        return 0;
}

static void choose_hostname(struct environment *e)
{
        cleanup_error struct error no = ERROR_INIT;
        cleanup_free char *host = memory_string(e->name);
        for (char *c = host; *c; c++)
                if (*c == '_' || *c == '.')
                        *c = '-';
        if (environment_hostname_check(host, &no) == 0)
                e->hostname = steal_pointer(&host);
}

/* Makes the environment. */
static int make(struct store *s, const struct request *r, const char *name, struct error *err)
{
        cleanup_environment struct environment e = {.name = memory_string(name), .identity = IDENTITY_ROOT,
                                                    .network = r->options.network_given ? r->options.network
                                                                                        : NETWORK_NONE,
                                                    .limits = r->options.limits};
        cleanup_free char *tree = NULL;
        int result = environment_name_check(name, err);
        publish_copy(&e.publish, &r->options.publish);
        if (result == 0)
                result = environment_network_check(&e, err);
        if (result == 0)
                result = choose_root(&e, s, r, &tree, err);
        if (result == 0)
                result = find_init(&e, tree, r, err);
        if (result < 0)
                return result;
        choose_hostname(&e);
        return store_create(s, &e, err);
}

/* Is the environment that is there the one that is meant? */
static int fits(struct store *s, const struct request *r, const char *name, struct error *err)
{
        cleanup_environment struct environment e = {0};
        int result = store_load(s, name, &e, err);
        if (result < 0)
                return result;
        if (!e.init) {
                error_set(err, EINVAL, "environment '%s' is there already, and has no init of its own", name);
                return error_remedy(err, "choose another name with -n, or `paddock rm %s`", name);
        }
        bool other =
                r->host ? e.root != ROOT_HOST
                        : r->what && e.root == ROOT_IMAGE && image_exists(r->what) && strcmp(e.root_path, r->what) != 0;
        if (other) {
                error_set(err, EEXIST, "environment '%s' is there already, over something else", name);
                return error_remedy(err, "choose another name with -n, or `paddock rm %s`", name);
        }
        bool differ = r->options.limits.over != e.limits.over;
        for (int kind = 0; kind < LIMIT_COUNT; kind++)
                differ |= r->options.limits.value[kind] != e.limits.value[kind];
        bool network = r->options.network_given && r->options.network != e.network;
        for (size_t i = 0; i < r->options.publish.count && !network; i++)
                network = !publish_has(&e.publish, &r->options.publish.items[i]);
        if ((r->limits && differ) || network) {
                error_set(err, EEXIST, "environment '%s' is there already, with %s", name,
                          network ? "another network" : "other limits");
                return error_remedy(err, "choose another name with -n, or `paddock rm %s`", name);
        }
        int running = store_is_running(s, name, err);
        if (running > 0) {
                error_set(err, EBUSY, "'%s' runs already", name);
                return error_remedy(err, "`paddock console %s` looks in; -n gives a second one another name", name);
        }
        return running;
}

static int start(const char *name)
{
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
                char *words[] = {(char *)"paddock", (char *)"start", (char *)name, NULL};
                _exit(execute_paddock(words));
        }
        int status = 0;
        while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        return pid < 0 || !WIFEXITED(status) ? EXIT_PADDOCK : WEXITSTATUS(status);
}

static int boot(const struct request *r, char **name, struct error *err)
{
        cleanup_store struct store store = {.fd = -1, .remove = host_remove_tree};
        int result = store_open(&store, err);
        if (result < 0)
                return result;
        *name = r->name ? memory_string(r->name) : r->host ? memory_string("host") : name_after(r->what);
        cleanup_error struct error missing = ERROR_INIT;
        cleanup_close int there = store_open_environment(&store, *name, &missing);
        if (there >= 0)
                return fits(&store, r, *name, err);
        if (!r->what && !r->host) {
                error_set(err, ENOENT, "there is no environment '%s'", *name);
                return error_remedy(err, "name what it is to lie over: an image, a directory, a file, or --root=host");
        }
        return make(&store, r, *name, err);
}

int verb_boot(int argc, char **argv)
{
        static const struct argp_option options[] = {
                {"name", 'n', "NAME", 0, "what the system is called; its changes are kept under the name", 0},
                {"root", KEY_ROOT, "host", 0, "over the running system itself", 0},
                {"detach", KEY_DETACH, NULL, 0, "leave it in the background", 0},
                OPTIONS_NETWORK("none"),
                {"limit", OPTION_LIMIT, "WHAT=VALUE", 0, "what it may use, when it is made: see paddock(1)", 0},
                {0}};
        static const struct argp argp = {
                options,
                parse,
                "[IMAGE|DIRECTORY|FILE] [-- INIT [ARGUMENT...]]",
                "Start another system beside this one, with its own init, users and services.\v"
                "What it lies over is not changed: its changes are a layer. Without --detach its console is shown "
                "until it ends; Ctrl-] leaves it. `paddock stop` ends it in order.",
                0,
                0,
                0};
        struct request r = {0};
        argp_err_exit_status = EXIT_PADDOCK;
        if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &r))
                return EXIT_PADDOCK;
        cleanup_error struct error err = ERROR_INIT;
        cleanup_free char *name = NULL;
        if (!r.what && !r.host && !r.name)
                error_set(&err, EINVAL,
                          "what is to be booted: an image, a directory, a file, --root=host, or -n NAME?");
        else
                boot(&r, &name, &err);
        if (err.code) {
                error_print(stderr, &err);
                return EXIT_PADDOCK;
        }
        int status = start(name);
        if (status || r.detach)
                return status;
        int result = console_watch(name, !isatty(STDIN_FILENO), &status, &err);
        if (result >= 0)
                return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_PADDOCK;
        if (result == -ESRCH && console_last(name)) /* it was over before anybody could look */
                return EXIT_PADDOCK;
        error_print(stderr, &err);
        return EXIT_PADDOCK;
}
