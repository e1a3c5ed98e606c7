// SPDX-License-Identifier: GPL-3.0-or-later
/* Which directories a walk ahead lists: inotify tells which ones were listed. */
#include "host/linux/ahead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const directories[] = {"p", "p/a", "p/b", "p/b/x", "p/b/x/y", "p/c", "p/d", "q", "q/e"};
#define COUNT (sizeof directories / sizeof *directories)

struct world {
        char top[64];
        int root, notify;
        int stop_after, asked;
        const char *catch_up; /* said at the first question */
        bool caught;
};

static bool go_on(struct ahead *a)
{
        struct world *w = a->context;
        if (w->catch_up && w->asked++ == 1)
                w->caught = ahead_catch_up(a, w->catch_up, 100);
        return w->stop_after-- > 0;
}

/* The names of those that were listed, in order. */
static void walked(struct world *w, struct ahead *a, const char *path, const char *expected)
{
        char got[256] = "", buffer[8192] __attribute__((aligned(8)));
        while (read(w->notify, buffer, sizeof buffer) > 0) /* what making it did */
                ;
        w->asked = 0;
        ahead_walk(a, path);
        ssize_t n = read(w->notify, buffer, sizeof buffer);
        int last = -1;
        for (ssize_t i = 0; i < n;) {
                const struct inotify_event *event = (const void *)(buffer + i);
                const char *name = strrchr(directories[event->wd - 1], '/');
                if (event->wd != last && !event->len)
                        snprintf(got + strlen(got), sizeof got - strlen(got), "%s ",
                                 name ? name + 1 : directories[event->wd - 1]);
                last = event->len ? last : event->wd;
                i += (ssize_t)(sizeof *event + event->len);
        }
        assert_string_equal(got, expected);
}

static struct ahead by_name(struct world *w, long names, int up)
{
        w->stop_after = 100;
        return (struct ahead){.root = w->root, .by_name = true, .names = names, .up = up, .go_on = go_on, .context = w};
}

static int setup(void **state)
{
        struct world *w = calloc(1, sizeof *w);
        char path[200];
        strcpy(w->top, "/tmp/test_ahead.XXXXXX");
        if (!mkdtemp(w->top))
                return -1;
        w->root = open(w->top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        w->notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        for (size_t i = 0; i < COUNT; i++) {
                if (mkdirat(w->root, directories[i], 0755) < 0)
                        return -1;
                for (int k = 0; k < 3; k++) {
                        snprintf(path, sizeof path, "%s/f%d", directories[i], k);
                        close(openat(w->root, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
                }
        }
        if (symlinkat("../q", w->root, "p/link") < 0)
                return -1;
        for (size_t i = 0; i < COUNT; i++) {
                snprintf(path, sizeof path, "%s/%s", w->top, directories[i]);
                if (inotify_add_watch(w->notify, path, IN_ACCESS | IN_ONLYDIR) != (int)i + 1)
                        return -1;
        }
        *state = w;
        return 0;
}

static int teardown(void **state)
{
        struct world *w = *state;
        char command[100];
        close(w->root);
        close(w->notify);
        snprintf(command, sizeof command, "rm -r %s", w->top);
        free(w);
        return system(command);
}

static void in_order_of_names(void **state)
{
        struct world *w = *state;
        struct ahead a = by_name(w, 1000, 0);
        walked(w, &a, "p/b", "b x y ");
        a = by_name(w, 1000, 1);
        walked(w, &a, "p/b", "b x y p c d ");
        a = by_name(w, 1000, 2);
        walked(w, &a, "p/c", "c p d q e ");
        a = by_name(w, 1000, 9); /* not above the root */
        walked(w, &a, "q/e", "e q ");
        a = by_name(w, 1000, 1);
        walked(w, &a, ".", "p a b x y c d q e ");
}

static void after_the_directory(void **state)
{
        struct world *w = *state;
        struct ahead a = by_name(w, 1000, 1);
        a.by_name = false;
        w->stop_after = 0; /* the directory above is looked through, and nothing is listed */
        walked(w, &a, "p/b", "p ");
}

static void so_many_names(void **state)
{
        struct world *w = *state;
        struct ahead a = by_name(w, 1, 1);
        walked(w, &a, "p/b", "b ");
        a = by_name(w, 10, 1); /* each has three files, "." and "..", b also a directory */
        walked(w, &a, "p/b", "b x ");
        a = by_name(w, 1000, 1);
        w->stop_after = 2;
        walked(w, &a, "p/b", "b x ");
}

static void overtaken(void **state)
{
        struct world *w = *state;
        struct ahead a = by_name(w, 1000, 1);
        w->catch_up = "p/b"; /* while it lists that itself: c is the walker's too */
        walked(w, &a, "p/a", "a p b x y d ");
        assert_true(w->caught);
        a = by_name(w, 1000, 1);
        w->catch_up = "q/e"; /* elsewhere */
        walked(w, &a, "p/a", "a p b x y c d ");
        assert_false(w->caught);
        a = by_name(w, 1000, 1);
        w->catch_up = "p/gone";
        walked(w, &a, "p/c", "c p d ");
        w->catch_up = NULL;
}

static void what_is_not_there(void **state)
{
        struct world *w = *state;
        struct ahead a = by_name(w, 1000, 1);
        walked(w, &a, "nothing/at/all", "");
        a = by_name(w, 1000, 1);
        walked(w, &a, "p/link", "");
        a = by_name(w, 1000, 1);
        walked(w, &a, "../../etc", "");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(in_order_of_names, setup, teardown),
                cmocka_unit_test_setup_teardown(after_the_directory, setup, teardown),
                cmocka_unit_test_setup_teardown(so_many_names, setup, teardown),
                cmocka_unit_test_setup_teardown(overtaken, setup, teardown),
                cmocka_unit_test_setup_teardown(what_is_not_there, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
