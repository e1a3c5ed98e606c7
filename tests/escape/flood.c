// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Makes work for the environment's init.
 *
 *      flood stops      orphans that are stopped and continued without pause, each of which is news for init; then ends
 *      flood orphans    processes that end as orphans, without pause; then ends
 *      flood bomb N     N processes that all want to be more; ends when no more can be made
 *      flood write FILE processes that write FILE until they die; ends at once
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define ORPHANS 150
#define PROCESSES 250 /* never more of them: the machine is not to run out */

/* A process whose parent is init. */
static pid_t orphan(void)
{
        int pipe_fds[2];
        pid_t pid = -1;
        if (pipe(pipe_fds) < 0)
                exit(1);
        pid_t middle = fork();
        if (middle == 0) {
                pid = fork();
                if (pid == 0) {
                        setsid();
                        pid = getpid();
                        (void)!write(pipe_fds[1], &pid, sizeof pid);
                        return 0;
                }
                _exit(0);
        }
        close(pipe_fds[1]); /* when no process could be made, nobody writes */
        if (middle > 0)
                waitpid(middle, NULL, 0);
        (void)!read(pipe_fds[0], &pid, sizeof pid);
        close(pipe_fds[0]);
        return pid;
}

static void silent(void)
{
        for (int fd = 0; fd < 3; fd++)
                close(fd);
}

int main(int argc, char **argv)
{
        if (argc < 2)
                return 2;
        alarm(30); /* whatever happens, not for ever */
        struct rlimit limit = {PROCESSES, PROCESSES};
        setrlimit(RLIMIT_NPROC, &limit);
        if (strcmp(argv[1], "stops") == 0) {
                pid_t leader = 0;
                int ready[2];
                if (pipe(ready) < 0)
                        return 1;
                leader = orphan();
                if (leader == 0) { /* a group of orphans, each a child of init */
                        silent();
                        setpgid(0, 0);
                        for (int i = 0; i < ORPHANS; i++)
                                if (fork() == 0) {
                                        if (fork())
                                                _exit(0);
                                        alarm(30);
                                        for (;;)
                                                pause();
                                }
                        while (waitpid(-1, NULL, 0) > 0)
                                ;
                        (void)!write(ready[1], "", 1);
                        for (;;)
                                pause();
                }
                (void)!read(ready[0], &(char){0}, 1);
                for (int i = 0; i < 2; i++)
                        if (orphan() == 0) {
                                silent();
                                alarm(30);
                                for (;;) {
                                        kill(-leader, SIGSTOP);
                                        kill(-leader, SIGCONT);
                                }
                        }
                usleep(300000);
                return 0;
        }
        if (strcmp(argv[1], "orphans") == 0) {
                for (int i = 0; i < 8; i++)
                        if (orphan() == 0) {
                                silent();
                                alarm(30);
                                for (;;) {
                                        pid_t pid = vfork();
                                        if (pid == 0) {
                                                if (vfork() >= 0)
                                                        _exit(0);
                                                _exit(0);
                                        }
                                        if (pid > 0)
                                                waitpid(pid, NULL, 0);
                                }
                        }
                usleep(300000);
                return 0;
        }
        if (strcmp(argv[1], "bomb") == 0) {
                limit.rlim_cur = limit.rlim_max = (rlim_t)atoi(argv[2]);
                setrlimit(RLIMIT_NPROC, &limit);
                signal(SIGCHLD, SIG_IGN);
                int made = 0;
                while (made < atoi(argv[2])) {
                        pid_t pid = fork();
                        if (pid == 0) {
                                silent();
                                setsid();
                                alarm(30);
                                for (int i = 0; i < 1000; i++)
                                        if (fork() < 0)
                                                usleep(1000);
                                for (;;)
                                        pause();
                        }
                        made++;
                        if (pid < 0)
                                break;
                }
                return 0;
        }
        if (strcmp(argv[1], "write") == 0) {
                for (int i = 0; i < 4; i++)
                        if (fork() == 0) {
                                silent();
                                setsid();
                                alarm(30);
                                char name[4096];
                                for (unsigned n = 0;; n++) {
                                        snprintf(name, sizeof name, "%s.%d.%u", argv[2], i, n % 500);
                                        int fd = open(name, O_WRONLY | O_CREAT, 0600);
                                        (void)!write(fd, name, sizeof name);
                                        close(fd);
                                }
                        }
                usleep(200000);
                return 0;
        }
        return 2;
}
