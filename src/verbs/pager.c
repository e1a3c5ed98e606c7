// SPDX-License-Identifier: GPL-3.0-or-later
/* Long output in a terminal: see pager.h. */
#include "verbs/pager.h"

#include "base/cleanup.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

bool pager_color(void)
{
        const char *term = getenv("TERM"), *no = getenv("NO_COLOR");
        return isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0 && !(no && *no);
}

void pager_start(struct pager *pager, bool wanted)
{
        const char *own = getenv("PADDOCK_PAGER"), *general = getenv("PAGER");
        const char *command = own ? own : general ? general : "less";
        int ends[2];
        pager->pid = 0;
        if (!wanted || !isatty(STDOUT_FILENO) || !*command || strcmp(command, "cat") == 0 || pipe(ends) < 0)
                return;
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
                dup2(ends[0], STDIN_FILENO);
                close(ends[0]);
                close(ends[1]);
                setenv("LESS", "FRX", 0); /* a page or less is just printed; colours pass */
                /* Where there is no such pager, as on a small system, everything is just printed. */
                cleanup_free char *line = memory_format("%s || exec cat", command);
                execl("/bin/sh", "sh", "-c", own || general ? command : line, (char *)NULL);
                _exit(127);
        }
        if (pid > 0) {
                dup2(ends[1], STDOUT_FILENO);
                signal(SIGPIPE, SIG_IGN); /* whoever leaves the pager has seen enough */
                signal(SIGINT, SIG_IGN);  /* is for the pager */
                pager->pid = pid;
        }
        close(ends[0]);
        close(ends[1]);
}

void pager_end(struct pager *pager)
{
        if (!pager->pid)
                return;
        fclose(stdout);
        while (waitpid(pager->pid, NULL, 0) < 0 && errno == EINTR)
                ;
        pager->pid = 0;
}
