// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Questions of environments, answered in a terminal: see answer.h. One is before the user at a time; the others wait. A
 * question that is answered elsewhere, or that nobody waits for any more, is withdrawn.
 */
#include "verbs/answer.h"

#include "base/cleanup.h"
#include "verbs/granting.h"
#include "verbs/verbs.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define LOOK_AGAIN 2000 /* ms after which it is looked for environments that were started */
#define ENVIRONMENTS 250

struct asked {
        struct held what;
        uint64_t number, others;
        long long until; /* ms of the monotonic clock */
        char *command;
        struct listened *from;
};

struct listened {
        char *name;
        struct granting g;
};

struct listener {
        struct listened *all[ENVIRONMENTS];
        size_t count;
        struct asked *asked; /* the first one is before the user */
        size_t asked_count, asked_capacity;
        bool shown, terminal;
        char *by;
};

static long long milliseconds(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void asked_clear(struct asked *a)
{
        held_clear(&a->what);
        free(a->command);
}

static void drop(struct listener *l, size_t i, const char *why)
{
        if (i == 0 && l->shown) {
                printf("%s\n", why);
                fflush(stdout);
                l->shown = false;
        }
        asked_clear(&l->asked[i]);
        memmove(&l->asked[i], &l->asked[i + 1], (--l->asked_count - i) * sizeof *l->asked);
}

/* A word on the desktop, if there is one. */
static void notify(const char *text)
{
        if (!getenv("DISPLAY") && !getenv("WAYLAND_DISPLAY"))
                return;
        pid_t pid = fork();
        if (pid == 0) {
                if (fork() == 0) {
                        execlp("notify-send", "notify-send", "--app-name=paddock", "paddock asks", text, (char *)NULL);
                        _exit(127);
                }
                _exit(0);
        }
        while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
}

static void show(struct listener *l)
{
        if (l->shown || !l->asked_count)
                return;
        const struct asked *a = &l->asked[0];
        cleanup_text struct text t = {0};
        long long left = (a->until - milliseconds()) / 1000;
        text_addf(&t, "%s: ", a->from->name);
        text_add_escaped(&t, a->command ? a->command : "a program");
        if (a->others > 1)
                text_addf(&t, " and %llu others", (unsigned long long)a->others - 1);
        text_addf(&t, " %s ", a->others > 1 ? "want" : "wants");
        text_add_escaped(&t, a->what.grant.resource);
        text_addf(&t, " (%s, %s%s)", resource_word(a->what.grant.kind), mode_word(a->what.grant.writable),
                  a->what.grant.plain ? ", plain" : "");
        notify(t.data);
        printf("%s\n  yes, for this program [o]nce, for this [r]un, [a]lways, or [n]o? (%llds) ", t.data,
               left > 0 ? left : 0);
        fflush(stdout);
        l->shown = true;
}

static void take_question(struct listener *l, struct listened *from)
{
        const struct message *m = &from->g.client.answer;
        struct asked a = {.from = from};
        uint64_t time = 0;
        held_read(&a.what, m);
        message_get_number(m, TAG_QUESTION, &a.number);
        message_get_number(m, TAG_COUNT, &a.others);
        message_get_number(m, TAG_TIMEOUT, &time);
        a.command = message_get_text(m, TAG_COMMAND, 1024);
        a.until = milliseconds() + (long long)time;
        for (size_t i = 0; i < l->asked_count; i++)
                if (l->asked[i].from == from && l->asked[i].number == a.number) {
                        asked_clear(&a);
                        return;
                }
        *vector_add(l->asked, l->asked_count, l->asked_capacity) = a;
}

static void take_withdrawal(struct listener *l, struct listened *from)
{
        uint64_t number = 0;
        message_get_number(&from->g.client.answer, TAG_QUESTION, &number);
        for (size_t i = 0; i < l->asked_count; i++)
                if (l->asked[i].from == from && l->asked[i].number == number) {
                        drop(l, i, "(not any more)");
                        return;
                }
}

/* An environment has ended. */
static void leave(struct listener *l, size_t n)
{
        struct listened *gone = l->all[n];
        for (size_t i = l->asked_count; i-- > 0;)
                if (l->asked[i].from == gone)
                        drop(l, i, "(the environment has ended)");
        granting_close(&gone->g);
        free(gone->name);
        free(gone);
        l->all[n] = l->all[--l->count];
}

static int join(struct listener *l, const char *name, struct error *err)
{
        for (size_t i = 0; i < l->count; i++)
                if (strcmp(l->all[i]->name, name) == 0)
                        return 0;
        if (l->count == ENVIRONMENTS)
                return 0;
        struct listened *one = memory_new(sizeof *one);
        *one = (struct listened){.name = memory_string(name), .g = GRANTING_INIT};
        l->all[l->count++] = one;
        int result = granting_open(&one->g, one->name, err);
        if (result == 0 && one->g.client.socket < 0)
                result = error_set(err, ESRCH, "environment '%s' is not started", name);
        if (result == 0) {
                client_begin(&one->g.client, MESSAGE_LISTEN);
                result = client_call(&one->g.client, NULL, 0, err);
        }
        if (result < 0)
                leave(l, l->count - 1);
        return result < 0 ? result : 0;
}

/* All that are started and were not before. */
static void join_all(struct listener *l)
{
        cleanup_store struct store store = STORE_CLOSED;
        cleanup_error struct error err = ERROR_INIT;
        char **names = NULL;
        int count = store_open(&store, &err) < 0 ? 0 : store_list(&store, &names, &err);
        for (int i = 0; i < count; i++) {
                cleanup_error struct error ignored = ERROR_INIT; /* one that ends just now */
                if (store_is_running(&store, names[i], &ignored) > 0)
                        join(l, names[i], &ignored);
        }
        if (count > 0)
                store_list_free(names, count);
}

/* What an environment says. Returns false at its end. */
static bool hear(struct listener *l, struct listened *from)
{
        cleanup_error struct error err = ERROR_INIT;
        int result;
        while ((result = client_receive(&from->g.client, 0, &err)) > 0) {
                if (from->g.client.answer.header.type == MESSAGE_QUESTION)
                        take_question(l, from);
                else if (from->g.client.answer.header.type == MESSAGE_WITHDRAWN)
                        take_withdrawal(l, from);
        }
        return result == 0;
}

static void answer(struct listener *l, char letter)
{
        static const char letters[] = "nora";
        static const enum verdict verdicts[] = {VERDICT_NO, VERDICT_ONCE, VERDICT_RUN, VERDICT_ALWAYS};
        const char *at = letter ? strchr(letters, letter) : NULL;
        if (!l->asked_count || !l->shown)
                return;
        l->shown = false;
        if (!at)
                return; /* it is asked again */
        struct asked a = l->asked[0];
        memmove(&l->asked[0], &l->asked[1], --l->asked_count * sizeof *l->asked);
        cleanup_error struct error err = ERROR_INIT;
        /* Its own connection waits for the reply; what is said meanwhile comes over this one. */
        cleanup_granting struct granting g = GRANTING_INIT;
        int result = granting_open(&g, a.from->name, &err);
        if (result == 0 && (result = granting_needs_warden(&g, &err)) == 0)
                result = granting_reply(&g, a.number, verdicts[at - letters], &a.what.grant, l->by, &err);
        if (result < 0)
                error_print(stderr, &err);
        asked_clear(&a);
}

/* One round. Returns false when the input has ended. */
static bool turn(struct listener *l, bool all)
{
        struct pollfd fds[ENVIRONMENTS + 1];
        struct listened *who[ENVIRONMENTS];
        size_t count = l->count;
        show(l);
        fds[0] = (struct pollfd){.fd = 0, .events = POLLIN};
        for (size_t i = 0; i < count; i++) {
                who[i] = l->all[i];
                fds[i + 1] = (struct pollfd){.fd = who[i]->g.client.socket, .events = POLLIN};
        }
        int ready = poll(fds, count + 1, LOOK_AGAIN);
        for (size_t i = 0; ready > 0 && i < count; i++) {
                if (!fds[i + 1].revents || hear(l, who[i]))
                        continue;
                for (size_t n = 0; n < l->count; n++)
                        if (l->all[n] == who[i]) {
                                leave(l, n);
                                break;
                        }
        }
        if (ready > 0 && fds[0].revents) {
                cleanup_free char *line = NULL;
                size_t size = 0;
                setvbuf(stdin, NULL, _IONBF, 0);
                if (getline(&line, &size, stdin) <= 0)
                        return false;
                answer(l, line[strspn(line, " \t")]);
        }
        if (ready == 0 && all)
                join_all(l);
        return all || l->count;
}

int answer_questions(char **names, size_t count)
{
        struct listener l = {.by = granting_user()};
        int status = 0;
        signal(SIGPIPE, SIG_IGN);
        for (size_t i = 0; i < count && status == 0; i++) {
                cleanup_error struct error err = ERROR_INIT;
                if (join(&l, names[i], &err) < 0) {
                        error_print(stderr, &err);
                        status = EXIT_PADDOCK;
                }
        }
        if (!count)
                join_all(&l);
        while (status == 0 && turn(&l, !count))
                ;
        while (l.count)
                leave(&l, l.count - 1);
        free(l.asked);
        free(l.by);
        return status;
}
