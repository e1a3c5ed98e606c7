// SPDX-License-Identifier: GPL-3.0-or-later
/* `paddock`: runs `run`, `start` and `enter`, and hands every other verb to paddock-verbs, which stands beside it or in
 * libexec. */
#include "verbs/verbs.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <string.h>

_Noreturn void execute_verbs(char **argv)
{
        char self[4097];
        ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
        if (n > 0) {
                self[n] = '\0';
                char *slash = strrchr(self, '/');
                if (slash)
                        *slash = '\0';
                cleanup_free char *beside = memory_format("%s/paddock-verbs", self);
                execv(beside, argv);
                cleanup_free char *installed = memory_format("%s/../libexec/paddock/paddock-verbs", self);
                execv(installed, argv);
        }
        fprintf(stderr, "paddock: cannot start paddock-verbs, which belongs beside it: %s\n"
                        "paddock: install paddock again (make install), or build it (make)\n", strerror(errno));
        _exit(EXIT_PADDOCK);
}

/* A standard descriptor that is closed must stay so for the program, and no file of ours may get its number: an inert
 * one that ends with exec takes the place. */
static void occupy_standard_descriptors(void)
{
        for (int fd = 0; fd <= 2; fd++)
                if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR | O_CLOEXEC) < 0)
                        return;
}

static int run_plain(int argc, char **argv)
{
        return verb_run(argc, argv, NULL);
}

int main(int argc, char **argv)
{
        occupy_standard_descriptors();
        static const struct {
                const char *word, *name;
                int (*run)(int argc, char **argv);
        } verbs[] = {{"run", "paddock run", run_plain},
                     {"enter", "paddock enter", verb_enter},
                     {"start", "paddock start", verb_start}};
        for (size_t i = 0; argc >= 2 && i < sizeof verbs / sizeof *verbs; i++) {
                char *word = argv[1];
                if (strcmp(word, verbs[i].word) != 0)
                        continue;
                argv[1] = (char *)verbs[i].name;
                int status = verbs[i].run(argc - 1, argv + 1);
                if (status != RUN_NEEDS_LIBRARY)
                        return status;
                argv[1] = word;
        }
        execute_verbs(argv);
}
