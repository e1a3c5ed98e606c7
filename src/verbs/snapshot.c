// SPDX-License-Identifier: GPL-3.0-or-later
/* `paddock snapshot`, `reset`, `clone`: states of an environment kept, taken up again, and shared. */
#include "layer/snapshot.h"

#include "base/cleanup.h"
#include "host/host.h"
#include "verbs/session.h"
#include "verbs/verbs.h"

#include <argp.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

struct request {
        const char *name, *other;
        bool list, remove;
        const char *what; /* of the second name, for messages */
        bool alone;       /* the second name may be missing */
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct request *r = state->input;
        switch (key) {
        case 'l':
                r->list = true;
                return 0;
        case 'd':
                r->remove = true;
                return 0;
        case ARGP_KEY_ARG:
                if (!r->name)
                        r->name = arg;
                else if (!r->other)
                        r->other = arg;
                else
                        argp_error(state, "one environment and one %s at a time", r->what);
                return 0;
        case ARGP_KEY_END:
                if (!r->name)
                        argp_error(state, "which environment?");
                if (!r->other && !r->list)
                        argp_error(state, "which %s?", r->what);
                return 0;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

struct held {
        struct store store;
        int locks[2], directory;
        bool running;           /* its programs are stopped for a moment by */
        struct freezer freezer; /* this */
        bool root;              /* its files belong to ids of its own */
};

#define HELD_INIT                                                                                                      \
        ((struct held){.store = {.fd = -1, .remove = host_remove_tree},                                                \
                       .locks = {-1, -1},                                                                              \
                       .directory = -1,                                                                                \
                       .freezer = FREEZER_NONE})

static void release(struct held *h)
{
        host_freezer_end(&h->freezer);
        const int fds[] = {h->locks[0], h->locks[1], h->directory};
        for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
                if (fds[i] >= 0)
                        close(fds[i]);
        store_close(&h->store);
}

/* It runs: others of its name are kept from starting meanwhile. 0: its programs can be stopped; 1: it ended. */
static int hold_running(struct held *h, const char *name, struct error *err)
{
        h->locks[0] = openat(h->directory, "setup.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (h->locks[0] < 0 || flock(h->locks[0], LOCK_EX) < 0)
                return error_sys(err, errno, "environment '%s': cannot lock it", name);
        int inits[256];
        size_t count = session_inits(h->directory, inits, sizeof inits / sizeof *inits);
        if (count)
                return host_freezer_start(&h->freezer, inits, count, err);
        close(steal_fd(&h->locks[0])); /* it is just ending */
        return 1;
}

/* Keeps the environment from starting, or finds out how to stop it. `may_run`: one that runs will do. */
static int hold_still(struct held *h, const char *name, bool may_run, struct error *err)
{
        const char *remedy = "a layer cannot be taken away while it is written";
        for (int attempt = 0; attempt < 500; attempt++) {
                int result = store_hold(&h->store, name, h->locks, remedy, err);
                if (result != -EBUSY || !may_run)
                        return result;
                error_clear(err);
                result = hold_running(h, name, err);
                h->running = result == 0;
                if (result <= 0)
                        return result;
                struct timespec pause = {.tv_nsec = 10000000};
                nanosleep(&pause, NULL);
        }
        error_set(err, EBUSY, "environment '%s' is ending, and some process of it does not end", name);
        return error_remedy(err, "look for it with ps, and end it");
}

/* Opens the environment. */
static int hold(struct held *h, const char *name, bool may_run, struct error *err)
{
        int result = store_open(&h->store, err);
        if (result == 0)
                result = h->directory = store_open_environment(&h->store, name, err);
        if (result < 0)
                return result;
        cleanup_environment struct environment e = {0};
        result = store_load(&h->store, name, &e, err);
        if (result < 0)
                return result;
        h->root = e.identity == IDENTITY_ROOT && geteuid() != 0;
        return hold_still(h, name, may_run, err);
}

static int stop_or_go(void *context, bool still, struct error *err)
{
        const struct held *h = context;
        unsigned count;
        long microseconds;
        if (still)
                return host_freezer_stop(&h->freezer, &count, err);
        int result = host_freezer_continue(&h->freezer, &microseconds, err);
        if (result == 0)
                fprintf(stderr, "paddock: its programs were stopped for %ld.%ld ms\n", microseconds / 1000,
                        microseconds / 100 % 10);
        return result;
}

/* What the environment has changed, as a chain: taken away from it, or copied from one that runs. */
static int freeze(struct held *h, struct chain *chain, struct error *err)
{
        return h->running ? snapshot_copy(&h->store, h->directory, stop_or_go, h, chain, err)
                          : snapshot_freeze(&h->store, h->directory, chain, err);
}

static int take_snapshot(struct held *h, const struct request *r, struct error *err)
{
        if (!environment_name_valid(r->other)) {
                error_set(err, EINVAL, "a snapshot cannot have this name");
                return error_remedy(err, "it has 1 to 64 letters, digits, dots, underscores and hyphens, and begins "
                                         "with a letter or digit");
        }
        mkdirat(h->directory, "snapshot", 0700);
        cleanup_close int place = openat(h->directory, "snapshot", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (place < 0)
                return error_sys(err, errno, "cannot open the snapshots");
        if (r->remove)
                return unlinkat(place, r->other, 0) < 0
                               ? error_sys(err, errno, "snapshot '%s' of '%s'", r->other, r->name)
                               : 0;
        if (faccessat(place, r->other, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
                error_set(err, EEXIST, "there is a snapshot '%s' of '%s' already", r->other, r->name);
                return error_remedy(err, "`paddock snapshot --delete %s %s` forgets it", r->name, r->other);
        }
        cleanup_chain struct chain chain = {0};
        int result = freeze(h, &chain, err);
        return result < 0 ? result : chain_store(place, r->other, &chain, err);
}

static int by_name(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_snapshots(const struct request *r, struct error *err)
{
        cleanup_store struct store store = STORE_CLOSED;
        int result = store_open(&store, err);
        cleanup_close int dir = result < 0 ? result : store_open_environment(&store, r->name, err);
        if (dir < 0)
                return dir;
        int fd = openat(dir, "snapshot", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        cleanup_dir DIR *list = fd < 0 ? NULL : fdopendir(fd);
        char **names = NULL;
        size_t count = 0, capacity = 0;
        struct dirent *entry;
        while (list && (entry = readdir(list)))
                if (environment_name_valid(entry->d_name))
                        *vector_add(names, count, capacity) = memory_string(entry->d_name);
        if (count > 1)
                qsort(names, count, sizeof *names, by_name);
        for (size_t i = 0; i < count; i++) {
                printf("%s\n", names[i]);
                free(names[i]);
        }
        free(names);
        return 0;
}

static int take_back(struct held *h, const struct request *r, struct error *err)
{
        cleanup_free char *name = memory_format("snapshot/%s", r->other);
        if (!environment_name_valid(r->other) || faccessat(h->directory, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0) {
                cleanup_free char *shown = text_escape(r->other);
                error_set(err, ENOENT, "environment '%s' has no snapshot '%s'", r->name, shown);
                return error_remedy(err, "`paddock snapshot --list %s` lists them", r->name);
        }
        cleanup_close int frozen = chain_lock(&h->store, false, err);
        cleanup_chain struct chain chain = {0};
        int result = frozen < 0 ? frozen : chain_load(h->directory, name, &chain, err);
        return result < 0 ? result : snapshot_reset(&h->store, h->directory, &chain, err);
}

struct prepared {
        struct store *store;
        const struct chain *chain;
        int from; /* the environment that is cloned */
};

/* The file `name` of the environment, copied. */
static int copy_small(int from, int to, const char *name)
{
        char text[65536];
        cleanup_close int in = openat(from, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (in < 0)
                return errno == ENOENT ? 0 : -errno;
        cleanup_close int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (out < 0)
                return -errno;
        for (ssize_t n; (n = read(in, text, sizeof text)) != 0;)
                if (n < 0 || write(out, text, (size_t)n) != n)
                        return -errno;
        return 0;
}

static int prepare_clone(void *context, int directory, struct error *err)
{
        const struct prepared *p = context;
        static const char *const files[] = {"base", "bases", "known",
                                            NULL}; /* what layer and changes were made over, what commits have made */
        for (const char *const *file = files; *file; file++) {
                int result = copy_small(p->from, directory, *file);
                if (result < 0)
                        return error_sys(err, -result, "cannot copy %s", *file);
        }
        /* Of real root's both have one range of ids: that of the files which they share. */
        struct stat from, made;
        if (fstat(p->from, &from) < 0 || fstat(directory, &made) < 0 ||
            ((from.st_uid != made.st_uid || from.st_gid != made.st_gid) &&
             fchown(directory, from.st_uid, from.st_gid) < 0))
                return error_sys(err, errno, "cannot give the clone to the environment's ids");
        return snapshot_prepare(p->store, directory, p->chain, err);
}

static int make_clone(struct held *h, const struct request *r, struct error *err)
{
        cleanup_environment struct environment e = {0};
        cleanup_chain struct chain chain = {0};
        int result = environment_name_check(r->other, err);
        if (result == 0)
                result = store_load(&h->store, r->name, &e, err);
        if (result == 0)
                result = freeze(h, &chain, err);
        cleanup_close int frozen = result < 0 ? -1 : chain_lock(&h->store, false, err);
        if (result < 0 || frozen < 0)
                return -err->code;
        free(e.name);
        e.name = memory_string(r->other);
        struct prepared p = {&h->store, &chain, h->directory};
        return store_create_with(&h->store, &e, prepare_clone, &p, err);
}

typedef int (*act_function)(struct held *, const struct request *, struct error *);

struct work {
        struct held *held;
        const struct request *request;
        act_function action;
};

static int work_inside(void *context, int owners)
{
        const struct work *w = context;
        cleanup_error struct error err = ERROR_INIT;
        (void)owners;
        if (w->action(w->held, w->request, &err) == 0)
                return 0;
        error_print(stderr, &err);
        return EXIT_PADDOCK;
}

/* Does it, as who may read and move everything in the layer. Returns an exit status. */
static int act_held(struct held *h, const struct request *r, act_function action, struct error *err)
{
        struct work work = {h, r, action};
        cleanup_system struct system system = {.uid = geteuid(), .gid = getegid()};
        if (h->root)
                host_survey_ids(&system);
        if (h->root && !system.ids_lack)
                return host_inside(work_inside, &work, err);
        host_read_everything(); /* and move: nothing outside is written */
        return action(h, r, err);
}

static int act(int argc, char **argv, const struct argp *argp, struct request *r, act_function action)
{
        argp_err_exit_status = EXIT_PADDOCK;
        if (argp_parse(argp, argc, argv, 0, NULL, r))
                return EXIT_PADDOCK;
        struct held h = HELD_INIT;
        cleanup_error struct error err = ERROR_INIT;
        int result;
        if (r->list) {
                result = list_snapshots(r, &err);
        } else {
                result = hold(&h, r->name, action != take_back, &err);
                if (result == 0)
                        result = act_held(&h, r, action, &err);
        }
        if (result < 0)
                error_print(stderr, &err);
        release(&h);
        return result < 0 ? EXIT_PADDOCK : result;
}

int verb_snapshot(int argc, char **argv)
{
        static const struct argp_option options[] = {{"list", 'l', NULL, 0, "list the snapshots of the environment", 0},
                                                     {"delete", 'd', NULL, 0, "forget the snapshot TAG", 0}, {0}};
        static const struct argp argp = {options,
                                         parse,
                                         "NAME TAG",
                                         "Keep the state of an environment under a name.\v"
                                         "Nothing is copied: what was changed so far is frozen, and further changes "
                                         "lie over it. The layer "
                                         "of an environment that runs is copied, while its programs are stopped.",
                                         0,
                                         0,
                                         0};
        struct request r = {.what = "TAG"};
        return act(argc, argv, &argp, &r, take_snapshot);
}

int verb_reset(int argc, char **argv)
{
        static const struct argp argp = {NULL,
                                         parse,
                                         "NAME TAG",
                                         "Take an environment back to a snapshot.\v"
                                         "What was changed since is thrown away. An environment that runs is refused.",
                                         0,
                                         0,
                                         0};
        struct request r = {.what = "TAG"};
        return act(argc, argv, &argp, &r, take_back);
}

int verb_clone(int argc, char **argv)
{
        static const struct argp argp = {NULL,
                                         parse,
                                         "NAME NEW",
                                         "Make another environment with the same description and the same changes.\v"
                                         "Nothing is copied: both lie over what was changed so far. The layer of an "
                                         "environment that runs "
                                         "is copied, while its programs are stopped.",
                                         0,
                                         0,
                                         0};
        struct request r = {.what = "NEW name"};
        return act(argc, argv, &argp, &r, make_clone);
}
