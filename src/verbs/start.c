// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * `paddock start`: an environment that lives in the background.
 *
 *      paddock start -- fork --> warden (a session of its own) -- fork --> maker
 *                                   '- init: made by the maker, as the warden's child
 *
 * The maker does all the work of a run: the description, the survey, the plan, the view. What that leaves in memory,
 * and, for real root, in its mount namespace, ends with it; the warden has only what the maker hands over
 * (warden/run.h). The maker also says what goes wrong; the first process waits for one word from the warden.
 */
#include "base/cleanup.h"
#include "host/living.h"
#include "model/live.h"
#include "verbs/limits.h"
#include "verbs/session.h"
#include "verbs/verbs.h"
#include "warden/client.h"
#include "warden/run.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* What the warden says to the one who waits. */
#define WORD_STARTED 's'
#define WORD_ALREADY 'a'

#define STATUS_ALREADY 3 /* the maker's exit status */

/* Takes the lock of the warden, which whoever keeps the environment holds. 1: somebody has it. */
static int lock_warden(int directory, int *lock, struct error *err)
{
        *lock = openat(directory, "warden.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (*lock < 0)
                return error_sys(err, errno, "cannot lock the environment");
        return flock(*lock, LOCK_EX | LOCK_NB) < 0;
}

/* What the view is, for those who will change it. */
static int record_view(int directory, const struct system *system, const struct plan *plan, const struct environment *e,
                       struct error *err)
{
        struct live live = {.cwd = system->cwd};
        for (size_t i = 0; i < plan->count; i++)
                if (plan->ops[i].slot >= 0)
                        *vector_add(live.slots, live.slot_count, live.slot_capacity) = (unsigned)plan->ops[i].slot;
        int result = live_store(directory, &live, e, err);
        free(live.slots);
        return result;
}

/* Is something to be granted, or a channel to be opened, when it has started? */
static bool has_grants(int directory, const struct environment *e)
{
        return e->grants.count || e->channels.count ||
               faccessat(directory, "grants", F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
               faccessat(directory, "channels", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The environment with its programs, made and handed over. 0; 1: it is started already. */
static int make(struct session *s, const char *name, int to_warden, const struct holding *holding, struct error *err)
{
        cleanup_environment struct environment e = {0};
        cleanup_system struct system system = {0};
        cleanup_plan struct plan plan = {0};
        cleanup_free char *state = store_path();
        int lock, listening = -1;
        int result = environment_name_check(name, err);
        if (result == 0)
                result = store_open(&s->store, err);
        if (result == 0)
                result = store_load(&s->store, name, &e, err);
        if (result == 0)
                result = session_named(s, name, false, err);
        if (result == 0)
                result = lock_warden(s->directory, &lock, err);
        if (result)
                return result;
        s->keep = true;
        if (e.root == ROOT_IMAGE)
                result = session_image(s, e.root_path, err);
        if (result < 0)
                return result;
        result = host_survey(&system, state, state, err);
        if (result < 0)
                return result;
        if (e.identity == IDENTITY_ROOT && !system.superuser) {
                host_survey_ids(&system);
                if (system.ids_lack)
                        fprintf(stderr, "paddock: root is the only user inside: %s\n", system.ids_lack);
        }
        bool had_layer = s->slots.count != 0;
        result = plan_resolve(&plan, &e, &system, &s->slots, err);
        if (result == 0)
                result = session_chain(s, &plan, err);
        if (result == 0)
                result = session_join(s, &plan, err);
        if (result == 0 && s->join_user >= 0) {
                error_set(err, EBUSY, "environment '%s' is run by `paddock run`", name);
                result = error_remedy(err, "end its programs first; `paddock ps %s` shows them", name);
        }
        if (result < 0)
                return result;
        if (e.root == ROOT_HOST)
                session_base(s, had_layer, &system);
        /* Before the view stands: whoever looks for the warden then finds its socket, and waits for it. */
        result = listening = host_listen(s->directory, "control", err);
        if (result < 0)
                return result;
        struct launch launch = {.plan = &plan,
                                .keep = true,
                                .name = e.name,
                                .state = s->directory,
                                .alive = s->alive,
                                .image = s->image,
                                .system = &system,
                                .limits = &e.limits,
                                .cgroup = holding->cgroup,
                                .sockets = served_is(&e.sockets) ? &e.sockets : NULL,
                                .join_user = -1,
                                .join_mount = -1,
                                .join_control = -1,
                                .ready = session_ready,
                                .context = s};
        limits_record(s->directory, holding);
        result = record_view(s->directory, &system, &plan, &e, err);
        struct living living;
        if (result == 0)
                result = host_start(&launch, &living, err);
        if (result == 0) {
                struct handover h = {.directory = s->directory,
                                     .init_socket = living.socket,
                                     .listening = listening,
                                     .lock = lock,
                                     .init = living.init,
                                     .name = e.name,
                                     .environment = &e,
                                     .memory = limits_watched(holding, &e),
                                     .waits = has_grants(s->directory, &e)};
                result = warden_hand_over(to_warden, &h, err);
                close(living.socket);
        }
        if (result < 0)
                unlinkat(s->directory, "control", 0);
        return result;
}

static _Noreturn void maker(const char *name, int to_warden, const struct holding *holding)
{
        cleanup_error struct error err = ERROR_INIT;
        struct session s = SESSION_INIT;
        int result = make(&s, name, to_warden, holding, &err);
        if (result < 0)
                error_print(stderr, &err);
        cleanup_error struct error leftover = ERROR_INIT;
        if (result && session_end(&s, &leftover) < 0)
                error_print(stderr, &leftover);
        fflush(NULL);
        _exit(result < 0 ? EXIT_PADDOCK : result > 0 ? STATUS_ALREADY : 0);
}

static void say(int waiting, char word)
{
        (void)!write(waiting, &word, 1);
        close(waiting);
}

struct starting {
        int waiting; /* to the one who waits */
        pid_t maker;
};

/* All is set up: nothing holds on to where it was started. */
static void started(void *context)
{
        struct starting *s = context;
        while (waitpid(s->maker, NULL, 0) < 0 && errno == EINTR)
                ;
        dup2(0, 2);
        say(s->waiting, WORD_STARTED);
}

/* `starter`: a pipe at whose end the environment ends, or -1. */
static _Noreturn void warden(const char *name, int waiting, int starter, const struct holding *holding)
{
        struct starting context = {.waiting = waiting};
        int sockets[2];
        if (host_leave(&context.waiting, &starter) < 0)
                _exit(EXIT_PADDOCK);
        cleanup_error struct error err = ERROR_INIT;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
                _exit(EXIT_PADDOCK);
        pid_t pid = fork();
        if (pid == 0) {
                close(sockets[0]);
                maker(name, sockets[1], holding);
        }
        close(sockets[1]);
        context.maker = pid;
        int result = pid < 0 ? error_sys(&err, errno, "cannot make a process")
                             : warden_main(sockets[0], starter, started, &context, &err);
        if (result == 0)
                _exit(0);
        int status = 0;
        while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        if (result != -ECANCELED)
                error_print(stderr, &err);
        else if (WIFEXITED(status) && WEXITSTATUS(status) == STATUS_ALREADY)
                say(context.waiting, WORD_ALREADY);
        _exit(EXIT_PADDOCK);
}

/* What will hold its limits: before there is any other process. An environment that cannot be read is the maker's to
 * tell. */
static void prepare(const char *name, struct holding *holding)
{
        cleanup_error struct error unheard = ERROR_INIT;
        cleanup_environment struct environment e = {0};
        cleanup_store struct store store = STORE_CLOSED;
        if (store_open_existing(&store, &unheard) < 0 || store_load(&store, name, &e, &unheard) < 0)
                environment_clear(&e);
        limits_prepare(holding, &e, store_is_running(&store, name, &unheard) == 0);
}

/* Gives what the description and --keep say; the programs of `run:` wait for that. */
static int give_grants(const char *name)
{
        cleanup_error struct error err = ERROR_INIT;
        cleanup_environment struct environment e = {0};
        cleanup_store struct store store = STORE_CLOSED;
        cleanup_close int directory = -1;
        int result = store_open_existing(&store, &err);
        if (result == 0)
                result = store_load(&store, name, &e, &err);
        if (result == 0)
                result = directory = store_open_environment(&store, name, &err);
        if (result < 0 || !has_grants(directory, &e))
                return 0;
        pid_t pid = fork();
        if (pid == 0)
                execute_verbs((char *[]){(char *)"paddock", (char *)"grant", (char *)"--again", (char *)name, NULL});
        int status = 0;
        while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_PADDOCK;
}

int verb_start(int argc, char **argv)
{
        int starter = -1;
        if (argc == 3 && strncmp(argv[1], START_WITH, strlen(START_WITH)) == 0) {
                starter = atoi(argv[1] + strlen(START_WITH));
                argv++, argc--;
        }
        if (argc != 2 || argv[1][0] == '-')
                return RUN_NEEDS_LIBRARY;
        struct holding holding;
        prepare(argv[1], &holding);
        int ends[2];
        cleanup_error struct error err = ERROR_INIT;
        if (pipe2(ends, O_CLOEXEC) < 0 || fcntl(ends[1], F_SETFD, 0) < 0) {
                error_sys(&err, errno, "cannot make a pipe");
                error_print(stderr, &err);
                return EXIT_PADDOCK;
        }
        pid_t pid = fork();
        if (pid == 0)
                warden(argv[1], ends[1], starter, &holding);
        free(holding.cgroup);
        close(ends[1]);
        char word = 0;
        while (pid > 0 && read(ends[0], &word, 1) < 0 && errno == EINTR)
                ;
        if (word == WORD_ALREADY)
                fprintf(stderr, "paddock: environment '%s' is started already\n", argv[1]);
        if (word)
                return word == WORD_STARTED ? give_grants(argv[1]) : 0;
        int status = 0;
        while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        if (pid < 0 || WIFSIGNALED(status))
                fprintf(stderr, "paddock: the warden of '%s' was killed\n", argv[1]);
        return EXIT_PADDOCK;
}
