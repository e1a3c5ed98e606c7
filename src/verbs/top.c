// SPDX-License-Identifier: GPL-3.0-or-later
/* `paddock top`: the environments that run and their processes, drawn again and again. Plain ANSI, in 80x24 or more. */
#include "base/cleanup.h"
#include "base/text.h"
#include "host/host.h"
#include "model/store.h"
#include "verbs/session.h"
#include "verbs/verbs.h"

#include <argp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>

#define INITS 4096

struct request {
        char **names;
        size_t count, capacity;
        double delay; /* seconds */
        long rounds;  /* -1: until a key ends it */
};

/* An environment that runs. */
struct row {
        char *name;
        const char *state;
        double cpu; /* percent of one processor */
        unsigned long long memory;
        size_t processes;
};

struct picture {
        struct row *rows;
        size_t row_count, row_capacity;
        int inits[INITS];
        size_t owner[INITS]; /* row of each init */
        size_t init_count;
        struct process *processes, *before;
        size_t process_count, before_count;
        double *cpu; /* of each process, in percent since the picture before */
        size_t *order;
        struct timespec taken;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct request *r = state->input;
        char *end;
        switch (key) {
        case 'd':
                r->delay = strtod(arg, &end);
                if (!*arg || *end || !(r->delay >= 0.1) || r->delay > 3600)
                        argp_error(state, "--delay %s: it takes seconds, from 0.1 to 3600", arg);
                return 0;
        case 'n':
                r->rounds = strtol(arg, &end, 10);
                if (!*arg || *end || r->rounds < 1)
                        argp_error(state, "--count %s: it takes a number", arg);
                return 0;
        case ARGP_KEY_ARG:
                *vector_add(r->names, r->count, r->capacity) = arg;
                return 0;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

static bool wanted(const struct request *r, const char *name)
{
        for (size_t i = 0; i < r->count; i++)
                if (strcmp(r->names[i], name) == 0)
                        return true;
        return !r->count;
}

static void find_rows(const struct request *r, struct store *store, struct picture *p)
{
        cleanup_error struct error err = ERROR_INIT;
        char **names = NULL;
        int count = store_list(store, &names, &err);
        while (p->row_count)
                free(p->rows[--p->row_count].name);
        p->init_count = 0;
        for (int i = 0; i < count; i++) {
                if (!wanted(r, names[i]))
                        continue;
                const char *state = store_state(store, names[i], &err);
                cleanup_close int directory =
                        state && strcmp(state, "stopped") != 0 ? store_open_environment(store, names[i], &err) : -1;
                if (directory < 0)
                        continue;
                size_t n = session_inits(directory, p->inits + p->init_count, INITS - p->init_count);
                for (size_t k = 0; k < n; k++)
                        p->owner[p->init_count++] = p->row_count;
                *vector_add(p->rows, p->row_count, p->row_capacity) =
                        (struct row){.name = memory_string(names[i]), .state = state};
        }
        store_list_free(names, count);
}

/* How much of a processor it has used since it was seen last; 0 when it was not. */
static double share_of(const struct picture *p, const struct process *one, double seconds)
{
        for (size_t i = 0; i < p->before_count; i++)
                if (p->before[i].pid == one->pid && p->before[i].inner == one->inner && one->cpu >= p->before[i].cpu)
                        return seconds > 0 ? (double)(one->cpu - p->before[i].cpu) / seconds / 10 : 0;
        return 0;
}

static const struct picture *sorted; /* for qsort(), which passes no context */
static int by_cpu(const void *a, const void *b)
{
        size_t x = *(const size_t *)a, y = *(const size_t *)b;
        if (sorted->cpu[x] != sorted->cpu[y])
                return sorted->cpu[x] < sorted->cpu[y] ? 1 : -1;
        return sorted->processes[x].pid - sorted->processes[y].pid;
}

static struct row *row_of(struct picture *p, int init)
{
        for (size_t i = 0; i < p->init_count; i++)
                if (p->inits[i] == init)
                        return &p->rows[p->owner[i]];
        return NULL;
}

static void take(const struct request *r, struct store *store, struct picture *p)
{
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        double seconds = p->taken.tv_sec ? (double)(now.tv_sec - p->taken.tv_sec) +
                                                   (double)(now.tv_nsec - p->taken.tv_nsec) / 1e9
                                         : 0;
        p->taken = now;
        find_rows(r, store, p);
        host_processes_free(p->before, p->before_count);
        p->before = p->processes;
        p->before_count = p->process_count;
        p->process_count = host_processes(p->inits, p->init_count, &p->processes);
        p->cpu = memory_grow(p->cpu, p->process_count + 1, sizeof *p->cpu);
        p->order = memory_grow(p->order, p->process_count + 1, sizeof *p->order);
        for (size_t i = 0; i < p->process_count; i++) {
                const struct process *one = &p->processes[i];
                struct row *row = row_of(p, one->init);
                p->order[i] = i;
                p->cpu[i] = share_of(p, one, seconds);
                if (!row)
                        continue;
                row->cpu += p->cpu[i];
                row->memory += one->memory;
                row->processes++;
        }
        sorted = p;
        qsort(p->order, p->process_count, sizeof *p->order, by_cpu);
}

/* A line, cut at the width. Names and commands were made safe to show, so that a byte is a column or less. */
static void line(struct text *screen, size_t width, bool bold, const char *text)
{
        size_t length = strlen(text);
        if (length > width) {
                length = width;
                while (length && ((unsigned char)text[length] & 0xC0) == 0x80) /* not within a character */
                        length--;
        }
        text_add(screen, bold ? "\033[1m" : "");
        text_add_bytes(screen, text, length);
        text_add(screen, bold ? "\033[0m" : "");
        text_add(screen, "\n");
}

static void draw(struct picture *p, size_t width, size_t height, bool terminal, struct text *screen)
{
        char clock[16];
        time_t now = time(NULL);
        strftime(clock, sizeof clock, "%H:%M:%S", localtime(&now));
        cleanup_free char *title = memory_format("paddock top  %s  %zu environment%s, %zu process%s%s", clock,
                                                 p->row_count, p->row_count == 1 ? "" : "s", p->process_count,
                                                 p->process_count == 1 ? "" : "es", terminal ? "  (q ends)" : "");
        line(screen, width, false, title);
        line(screen, width, terminal, "NAME                     STATE      CPU%   MEMORY  PROCESSES");
        size_t used = 2, most = height > 12 ? height / 2 : 4;
        for (size_t i = 0; i < p->row_count && used < most; i++, used++) {
                const struct row *row = &p->rows[i];
                cleanup_free char *text = memory_format("%-24s %-8s %6.1f %8.1f %10zu", row->name, row->state, row->cpu,
                                                        (double)row->memory / 1048576, row->processes);
                line(screen, width, false, text);
        }
        line(screen, width, false, "");
        line(screen, width, terminal, " OUTSIDE   INSIDE ENVIRONMENT  USER       S   CPU%   MEMORY COMMAND");
        used += 2;
        for (size_t i = 0; i < p->process_count && used + 1 < height; i++, used++) {
                const struct process *one = &p->processes[p->order[i]];
                const struct row *row = row_of(p, one->init);
                char user[32];
                cleanup_free char *text =
                        memory_format("%8d %8d %-12.12s %-10.10s %c %6.1f %8.1f %s", one->pid, one->inner,
                                      row ? row->name : "-", user_name_of(one->uid, user, sizeof user), one->state,
                                      p->cpu[p->order[i]], (double)one->memory / 1048576, one->command);
                line(screen, width, false, text);
        }
}

static volatile sig_atomic_t over;
static void end(int signal)
{
        (void)signal;
        over = 1;
}

/* Waits until the next picture is due. True: a key or a signal ends it. */
static bool pause_between(double delay, bool keys)
{
        struct pollfd input = {.fd = keys ? 0 : -1, .events = POLLIN};
        int ready = poll(&input, 1, (int)(delay * 1000));
        char key = 0;
        if (ready > 0 && read(0, &key, 1) <= 0)
                return true;
        return over || key == 'q' || key == 'Q' || key == 3;
}

static int watch(const struct request *r, struct store *store)
{
        static struct picture p;
        bool terminal = isatty(1), keys = terminal && isatty(0);
        struct termios before, raw;
        if (keys && tcgetattr(0, &before) == 0) {
                raw = before;
                raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
                tcsetattr(0, TCSADRAIN, &raw);
        }
        struct sigaction action = {.sa_handler = end};
        sigaction(SIGINT, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
        sigaction(SIGHUP, &action, NULL);
        struct sigaction resized = {.sa_handler = SIG_DFL};
        sigaction(SIGWINCH, &resized, NULL);
        if (terminal)
                fputs("\033[?1049h\033[?25l", stdout);
        long rounds = r->rounds > 0 ? r->rounds : terminal ? -1 : 1;
        take(r, store, &p);
        if (!terminal || r->rounds > 0)
                over = over || pause_between(r->delay < 0.5 ? r->delay : 0.5, keys); /* shares need two looks */
        for (long round = 0; !over && (rounds < 0 || round < rounds); round++) {
                if (round && pause_between(r->delay, keys))
                        break;
                if (round || !terminal || r->rounds > 0)
                        take(r, store, &p);
                struct winsize size = {.ws_col = 80, .ws_row = 24};
                if (!terminal || ioctl(1, TIOCGWINSZ, &size) < 0 || !size.ws_col || !size.ws_row)
                        size = (struct winsize){.ws_col = terminal ? 80 : 4096, .ws_row = terminal ? 24 : 65535};
                cleanup_text struct text screen = {0};
                draw(&p, size.ws_col, size.ws_row, terminal, &screen);
                /* Each line clears what stood behind it: nothing flickers. */
                if (terminal)
                        fputs("\033[H", stdout);
                for (char *rest = screen.data, *one; rest && (one = strsep(&rest, "\n")) && rest;)
                        printf(terminal ? "%s\033[K\r\n" : "%s\n", one);
                if (terminal)
                        fputs("\033[J", stdout);
                if (fflush(stdout) == EOF)
                        break;
        }
        if (terminal)
                fputs("\033[?25h\033[?1049l", stdout);
        fflush(stdout);
        if (keys)
                tcsetattr(0, TCSADRAIN, &before);
        return 0;
}

int verb_top(int argc, char **argv)
{
        static const struct argp_option options[] = {
                {"delay", 'd', "SECONDS", 0, "between two pictures (2)", 0},
                {"count", 'n', "NUMBER", 0, "end after so many pictures; one, if the output is no terminal", 0},
                {0}};
        static const struct argp argp = {
                options,
                parse,
                "[NAME...]",
                "Watch the environments that run, and their processes.\v"
                "Those that use the processor most stand first. CPU% is of one processor, memory is in MiB. "
                "q ends it.",
                0,
                0,
                0};
        struct request r = {.delay = 2, .rounds = -1};
        argp_err_exit_status = EXIT_PADDOCK;
        if (argp_parse(&argp, argc, argv, 0, NULL, &r))
                return EXIT_PADDOCK;
        cleanup_error struct error err = ERROR_INIT;
        cleanup_store struct store store = STORE_CLOSED;
        int result = store_open(&store, &err);
        for (size_t i = 0; result >= 0 && i < r.count; i++) {
                result = store_open_environment(&store, r.names[i], &err);
                if (result >= 0)
                        close(result);
        }
        if (result >= 0)
                return watch(&r, &store);
        error_print(stderr, &err);
        return EXIT_PADDOCK;
}
