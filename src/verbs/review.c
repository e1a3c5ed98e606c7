// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * `run --review`: see review.h.
 *
 * The environment has a name from the beginning. So nothing is lost when something is killed in between, and what is
 * asked at the end is what the other verbs do, each in a process of its own.
 */
#include "verbs/review.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "layer/rename.h"
#include "verbs/changes.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

static int wait_for(pid_t pid)
{
        int status = 0;
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return EXIT_PADDOCK;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Calls a verb in another process. The words end with NULL; the first is its name. */
static int call(int (*verb)(int, char **), char **words)
{
        int count = 0;
        while (words[count])
                count++;
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
                signal(SIGINT, SIG_DFL);
                int status = verb(count, words);
                fflush(stdout);
                _exit(status);
        }
        return pid < 0 ? EXIT_PADDOCK : wait_for(pid);
}

static int call_on(int (*verb)(int, char **), const char *title, const char *name, const char *option)
{
        char *words[] = {(char *)title, (char *)name, (char *)option, NULL};
        return call(verb, words);
}

/* The first letter of a line that is typed, 0 at the end of input. */
static char ask(const char *question)
{
        cleanup_free char *line = NULL;
        size_t size = 0;
        fprintf(stderr, "%s ", question);
        fflush(stderr);
        if (getline(&line, &size, stdin) <= 0) {
                fprintf(stderr, "\n");
                clearerr(stdin);
                return 0;
        }
        return line[0];
}

struct list {
        char **paths;
        size_t count, capacity;
};

static void list_clear(struct list *l)
{
        while (l->count)
                free(l->paths[--l->count]);
        free(l->paths);
        *l = (struct list){0};
}

struct gathered {
        struct list paths, lines, from; /* from: the old name of what was renamed, or "" */
};

static int gather(void *context, const struct change *c)
{
        struct gathered *g = context;
        cleanup_text struct text line = {0};
        changes_line(&line, c);
        *vector_add(g->paths.paths, g->paths.count, g->paths.capacity) = memory_string(c->path);
        *vector_add(g->lines.paths, g->lines.count, g->lines.capacity) = memory_string(line.data);
        *vector_add(g->from.paths, g->from.count, g->from.capacity) = memory_string(c->from ? c->from : "");
        return 0;
}

/* Asks for each change; what is below a path that was decided on is decided too. */
static void ask_each(const char *name)
{
        cleanup_error struct error err = ERROR_INIT;
        cleanup_changes struct changes c = CHANGES_INIT;
        struct gathered g = {0};
        struct rename_filter renames = {.visit = gather, .context = &g};
        int result = changes_open(&c, name, &err);
        if (result == 0)
                result = changes_walk(&c, 0, rename_visit, &renames, &err);
        if (result == 0)
                result = rename_finish(&renames);
        rename_clear(&renames);
        if (result < 0) {
                error_print(stderr, &err);
                return;
        }
        struct list commit = {0}, discard = {0};
        char answer = 'k';
        const char *above = NULL;
        for (size_t i = 0; i < g.paths.count && answer; i++) {
                const char *path = g.paths.paths[i];
                if (above && path_is_below(path, above))
                        continue;
                cleanup_free char *question = memory_format("%s\n  commit, keep, discard, or quit? [c/k/d/q]",
                                                            g.lines.paths[i]);
                do
                        answer = ask(question);
                while (answer && !strchr("ckdq", answer));
                if (!answer || answer == 'q')
                        break;
                /* Without a directory nothing of what is in it can go. */
                above = g.lines.paths[i][0] != 'M' ? path : NULL;
                struct list *chosen = answer == 'c' ? &commit : answer == 'd' ? &discard : NULL;
                if (chosen && g.from.paths[i][0])
                        *vector_add(chosen->paths, chosen->count, chosen->capacity) = memory_string(g.from.paths[i]);
                if (chosen)
                        *vector_add(chosen->paths, chosen->count, chosen->capacity) = memory_string(path);
        }
        const struct { struct list *list; int (*verb)(int, char **); const char *title; } orders[] = {
                {&commit, verb_commit, "paddock commit"}, {&discard, verb_discard, "paddock discard"}};
        for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
                if (!orders[i].list->count)
                        continue;
                cleanup_free char **words = memory_grow(NULL, orders[i].list->count + 3, sizeof *words);
                words[0] = (char *)orders[i].title;
                words[1] = (char *)name;
                memcpy(words + 2, orders[i].list->paths, orders[i].list->count * sizeof *words);
                words[orders[i].list->count + 2] = NULL;
                call(orders[i].verb, words);
        }
        list_clear(&commit);
        list_clear(&discard);
        list_clear(&g.paths);
        list_clear(&g.lines);
        list_clear(&g.from);
}

static int count_one(void *context, const struct change *c)
{
        (void)c;
        ++*(unsigned long *)context;
        return -ECANCELED; /* one is enough to know */
}

static bool has_changes(const char *name)
{
        cleanup_error struct error err = ERROR_INIT;
        cleanup_changes struct changes c = CHANGES_INIT;
        unsigned long count = 0;
        int result = changes_open(&c, name, &err);
        if (result == 0)
                result = changes_walk(&c, 0, count_one, &count, &err);
        if (result < 0 && result != -ECANCELED) {
                error_print(stderr, &err);
                return true; /* there may be */
        }
        return count > 0;
}

static void tell_kept(const char *name)
{
        fprintf(stderr, "paddock: the changes are kept in environment '%s': see paddock diff, commit, discard, rm\n",
                name);
}

static void ask_what(const char *name, bool fresh)
{
        for (;;) {
                char answer = ask("commit all, keep, discard all, show lines, or ask for each? [c/k/d/l/e]");
                switch (answer) {
                case 'c':
                        if (call_on(verb_commit, "paddock commit", name, NULL) == 0)
                                break;
                        continue;
                case 'd':
                        call_on(verb_discard, "paddock discard", name, NULL);
                        break;
                case 'l':
                        call_on(verb_diff, "paddock diff", name, "-u");
                        continue;
                case 'e':
                        ask_each(name);
                        break;
                case 'k':
                case 0:
                        tell_kept(name);
                        return;
                default:
                        continue;
                }
                if (has_changes(name))
                        tell_kept(name);
                else if (fresh)
                        call_on(verb_rm, "paddock rm", name, NULL);
                return;
        }
}

int review(struct request *r, const struct library *library,
           int (*run)(struct request *r, const struct library *library))
{
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        cleanup_free char *own = memory_format("review-%lld-%d", (long long)now.tv_sec, (int)getpid());
        bool fresh = !r->name;
        if (fresh)
                r->name = own;
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
                int status = run(r, library);
                fflush(stdout);
                _exit(status);
        }
        struct sigaction ignore = {.sa_handler = SIG_IGN}, interrupt, quit;
        sigaction(SIGINT, &ignore, &interrupt); /* is for the program */
        sigaction(SIGQUIT, &ignore, &quit);
        int status = pid < 0 ? EXIT_PADDOCK : wait_for(pid);
        sigaction(SIGQUIT, &quit, NULL);
        if (status != EXIT_PADDOCK || !fresh) {
                if (has_changes(r->name)) {
                        call_on(verb_diff, "paddock diff", r->name, NULL);
                        if (isatty(STDIN_FILENO) && isatty(STDERR_FILENO))
                                ask_what(r->name, fresh);
                        else
                                tell_kept(r->name);
                } else if (fresh) {
                        fprintf(stderr, "paddock: nothing was changed\n");
                        call_on(verb_rm, "paddock rm", r->name, NULL);
                }
        } else { /* paddock failed, or the program ended as if: nothing is thrown away that may be wanted */
                if (has_changes(r->name))
                        tell_kept(r->name);
                else
                        call_on(verb_rm, "paddock rm", r->name, NULL);
        }
        sigaction(SIGINT, &interrupt, NULL);
        return status;
}
