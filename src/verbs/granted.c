// SPDX-License-Identifier: GPL-3.0-or-later
/* `run --grant`: see granted.h. */
#include "verbs/granted.h"

#include "base/cleanup.h"
#include "host/host.h"
#include "verbs/granting.h"
#include "verbs/request.h"
#include "verbs/verbs.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>

#define PREFIX "run-"         /* of the names */
#define TEMPORARY "temporary" /* a file in the directory of the environment */

/* Runs `paddock WORD...` as a child, and passes on the signals that mean the program. Returns its exit status. */
static int paddock(char **words)
{
        sigset_t mine, before;
        sigemptyset(&mine);
        sigaddset(&mine, SIGTERM);
        sigaddset(&mine, SIGHUP);
        sigaddset(&mine, SIGINT);
        sigaddset(&mine, SIGQUIT);
        sigaddset(&mine, SIGCHLD);
        fflush(NULL);
        sigprocmask(SIG_BLOCK, &mine, &before);
        pid_t pid = fork();
        if (pid == 0) {
                sigprocmask(SIG_SETMASK, &before, NULL);
                _exit(execute_paddock(words));
        }
        int status = EXIT_PADDOCK << 8;
        while (pid > 0 && waitpid(pid, &status, WNOHANG) == 0) {
                int number = sigwaitinfo(&mine, NULL);
                if (number == SIGTERM || number == SIGHUP)
                        kill(pid, number); /* keys reach it without us */
        }
        sigprocmask(SIG_SETMASK, &before, NULL);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int call_on(int (*verb)(int, char **), const char *title, const char *name, const char *option)
{
        char *words[] = {(char *)title, (char *)name, (char *)option, NULL};
        pid_t pid = fork(); /* argp may end the process */
        if (pid == 0) {
                int status = verb(option ? 3 : 2, words);
                fflush(stdout);
                _exit(status);
        }
        int status = 0;
        while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        return status;
}

/* The rights of the command line, to an environment that has a description of its own. Fills `ids`. */
static int give(const char *name, const struct grant_list *list, uint64_t *ids, struct error *err)
{
        cleanup_granting struct granting g = GRANTING_INIT;
        cleanup_free char *by = granting_user();
        int result = granting_open(&g, name, err);
        if (result == 0)
                result = granting_needs_warden(&g, err);
        for (size_t i = 0; result == 0 && i < list->count; i++)
                result = granting_give(&g, &list->grants[i], by, &ids[i], err);
        return result;
}

static void take_back(const char *name, const uint64_t *ids, size_t count)
{
        cleanup_granting struct granting g = GRANTING_INIT;
        cleanup_error struct error err = ERROR_INIT; /* the environment has ended: so have they */
        if (granting_open(&g, name, &err) < 0 || g.client.socket < 0)
                return;
        for (size_t i = 0; i < count; i++) {
                if (!ids[i])
                        continue;
                message_number(client_begin(&g.client, MESSAGE_REVOKE), TAG_GRANT, ids[i]);
                client_call(&g.client, NULL, 0, &err);
                error_clear(&err);
        }
}

/* A process that takes the rights back when this one has ended, however it ends: nobody else has *end, which is
 * for the caller to close when the program is over. Returns its pid, or -1: then the caller takes them back
 * itself. */
static pid_t guard_rights(const char *name, const uint64_t *ids, size_t count, int *end)
{
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
                return -1;
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0) {
                char byte;
                close(ends[1]);
                setsid(); /* no key of the terminal is meant for it */
                for (int number = 1; number < NSIG; number++)
                        signal(number, SIG_IGN);
                while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
                        ;
                take_back(name, ids, count);
                _exit(0);
        }
        close(ends[0]);
        *end = ends[1];
        if (pid > 0)
                return pid;
        close(steal_fd(end));
        return -1;
}

static bool is_started(const char *name)
{
        cleanup_granting struct granting g = GRANTING_INIT;
        cleanup_error struct error err = ERROR_INIT;
        return granting_open(&g, name, &err) == 0 && g.client.socket >= 0;
}

static int enter(const char *name, char **command)
{
        char **words = NULL;
        size_t count = 0, capacity = 0;
        const char *const first[] = {"paddock", "enter", name, "--"};
        for (size_t i = 0; i < 4; i++)
                *vector_add(words, count, capacity) = (char *)first[i];
        for (; command && *command; command++)
                *vector_add(words, count, capacity) = *command;
        *vector_add(words, count, capacity) = NULL;
        int status = paddock(words);
        free(words);
        return status;
}

/* A lock on what says that the environment is of this process's making, before others see it. */
static int hold_temporary(void *context, int directory, struct error *err)
{
        int *lock = context;
        *lock = openat(directory, TEMPORARY, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (*lock < 0 || flock(*lock, LOCK_EX | LOCK_NB) < 0)
                return error_sys(err, errno, "cannot lock a temporary environment");
        return 0;
}

void granted_sweep(struct store *store)
{
        cleanup_error struct error ignored = ERROR_INIT;
        char **names;
        int count = store_list(store, &names, &ignored);
        for (int i = 0; i < count; i++) {
                if (strncmp(names[i], PREFIX, strlen(PREFIX)) != 0)
                        continue;
                cleanup_close int directory = store_open_environment(store, names[i], &ignored);
                cleanup_close int lock = directory < 0 ? -1 : openat(directory, TEMPORARY,
                                                                     O_RDWR | O_CLOEXEC | O_NOFOLLOW);
                if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0)
                        store_remove(store, names[i], &ignored); /* unless its warden is just ending it */
                error_clear(&ignored);
        }
        store_list_free(names, count);
}

static int make(struct environment *e, int *lock, struct error *err)
{
        struct timespec now;
        cleanup_store struct store store = {.fd = -1, .remove = host_remove_tree};
        clock_gettime(CLOCK_REALTIME, &now);
        free(e->name);
        e->name = memory_format(PREFIX "%lld-%d", (long long)now.tv_sec, (int)getpid());
        int result = store_open(&store, err);
        if (result < 0)
                return result;
        granted_sweep(&store);
        return store_create_with(&store, e, hold_temporary, lock, err);
}

/* Starts it. It ends at once when this process is killed: nobody else has *pipe_end, which is for the caller to
 * keep. */
static bool start(const char *name, int *pipe_end)
{
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0 || fcntl(ends[0], F_SETFD, 0) < 0) {
                fprintf(stderr, "paddock: cannot make a pipe: %s\n", strerror(errno));
                return false;
        }
        cleanup_close int other = ends[0];
        cleanup_free char *with = memory_format(START_WITH "%d", other);
        *pipe_end = ends[1];
        return paddock((char *[]){(char *)"paddock", (char *)"start", with, (char *)name, NULL}) == 0;
}

int granted(struct request *r, struct environment *e)
{
        cleanup_error struct error err = ERROR_INIT;
        const struct grant_list *list = &r->options.grants;
        cleanup_free uint64_t *ids = memory_new((list->count + 1) * sizeof *ids);
        bool fresh = !r->name;
        int result = 0, status = EXIT_PADDOCK;
        if (!fresh && (r->options.view.count || r->options.root != ROOT_HOST || r->options.network_given ||
                       r->options.publish.count || served_is(&r->options.sockets) || r->options.session || r->options.hostname)) {
                result = error_set(&err, EINVAL,
                                   "environment '%s' is started as it is described, and --grant is the only option "
                                   "beside that",
                                   r->name);
                error_remedy(&err, "change its description, or run without -n");
        }
        cleanup_close int lock = -1, pipe_end = -1;
        if (result == 0 && fresh)
                result = make(e, &lock, &err);
        if (result < 0) {
                error_print(stderr, &err);
                return EXIT_PADDOCK;
        }
        bool was = !fresh && is_started(e->name);
        bool started = was || start(e->name, &pipe_end);
        if (started && !fresh)
                result = give(e->name, list, ids, &err);
        cleanup_close int guard_end = -1;
        pid_t guard = was ? guard_rights(e->name, ids, list->count, &guard_end) : -1;
        if (result < 0)
                error_print(stderr, &err);
        else if (started)
                status = enter(e->name, r->command);
        if (guard > 0) {
                close(steal_fd(&guard_end));
                while (waitpid(guard, NULL, 0) < 0 && errno == EINTR)
                        ;
        } else if (was)
                take_back(e->name, ids, list->count);
        else if (is_started(e->name))
                call_on(verb_stop, "paddock stop", e->name, "--now");
        if (fresh)
                call_on(verb_rm, "paddock rm", e->name, NULL);
        return status;
}
