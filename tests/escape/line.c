// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Terminals.
 *
 *      line outer MODE COMMAND...  runs the command on a fresh terminal and says what was typed on it meanwhile that nobody
 *                                  typed. MODE: `session` (its controlling terminal), `plain` (open, but nobody's)
 *      line type                   tries to type on every terminal in reach
 *      line hold                   says which terminals of another instance than one's own /dev/pts are in reach
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define WORD "escaped"

static void type_on(int fd)
{
        for (const char *p = WORD "\n"; *p; p++)
                if (ioctl(fd, TIOCSTI, p) < 0)
                        return;
}

static int type_all(void)
{
        for (int fd = 0; fd < 16; fd++)
                type_on(fd);
        type_on(open("/dev/tty", O_RDWR));
        /* TIOCLINUX: paste the selection of a console */
        char subcode[] = {3};
        for (int fd = 0; fd < 16; fd++)
                ioctl(fd, TIOCLINUX, subcode);
        /* As the leader of a session of its own. */
        for (int fd = 0; fd < 3; fd++)
                if (fork() == 0) {
                        setsid();
                        ioctl(fd, TIOCSCTTY, 0);
                        type_on(fd);
                        ioctl(fd, TIOCSCTTY, 1);
                        type_on(fd);
                        _exit(0);
                } else {
                        wait(NULL);
                }
        char name[64];
        for (int i = 0; i < 64; i++) {
                snprintf(name, sizeof name, "/dev/pts/%d", i);
                int fd = open(name, O_RDWR | O_NOCTTY);
                if (fd >= 0)
                        type_on(fd);
        }
        return 0;
}

static int hold(void)
{
        struct stat own, st;
        if (stat("/dev/pts", &own) < 0)
                return 1;
        for (int fd = 0; fd < 64; fd++)
                if (isatty(fd) && fstat(fd, &st) == 0 && st.st_dev != own.st_dev)
                        printf("descriptor %d is a terminal of outside (%u:%u)\n", fd, major(st.st_rdev),
                               minor(st.st_rdev));
        return 0;
}

static int outer(char **argv)
{
        int master = posix_openpt(O_RDWR | O_NOCTTY);
        grantpt(master);
        unlockpt(master);
        int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
        struct termios quiet;
        tcgetattr(slave, &quiet);
        quiet.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
        tcsetattr(slave, TCSANOW, &quiet);
        pid_t pid = fork();
        if (pid == 0) {
                setsid();
                if (strcmp(argv[0], "session") == 0)
                        ioctl(slave, TIOCSCTTY, 0);
                int copy = dup(1); /* what it has to say goes past the terminal, by name */
                char name[32];
                snprintf(name, sizeof name, "%d", copy);
                setenv("SAY", name, 1);
                dup2(slave, 0);
                dup2(slave, 1);
                dup2(slave, 2);
                close(master);
                execvp(argv[1], argv + 1);
                _exit(127);
        }
        int status;
        while (waitpid(pid, &status, WNOHANG) == 0) {
                struct pollfd fds = {.fd = master, .events = POLLIN};
                char data[4096];
                if (poll(&fds, 1, 50) > 0) {
                        ssize_t n = read(master, data, sizeof data);
                        if (n > 0)
                                (void)!write(1, data, (size_t)n);
                }
        }
        char data[4096];
        fcntl(master, F_SETFL, O_NONBLOCK);
        for (ssize_t n; (n = read(master, data, sizeof data)) > 0;)
                (void)!write(1, data, (size_t)n);
        tcsetattr(slave, TCSANOW, &quiet);
        int waiting = 0;
        ioctl(slave, FIONREAD, &waiting);
        if (waiting > 0)
                printf("ESCAPED: %d bytes were typed on the outer terminal\n", waiting);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
        signal(SIGHUP, SIG_IGN);
        signal(SIGTTOU, SIG_IGN);
        if (argc > 3 && strcmp(argv[1], "outer") == 0)
                return outer(argv + 2);
        if (argc > 1 && strcmp(argv[1], "type") == 0)
                return type_all();
        if (argc > 1 && strcmp(argv[1], "hold") == 0)
                return hold();
        return 2;
}
