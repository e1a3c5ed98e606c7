// SPDX-License-Identifier: GPL-3.0-or-later
/* The socket relay: options, what it gives up, and its end. README.md is its contract. */
#include "relay.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <linux/landlock.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* It lives as long as its warden, whatever is typed at the terminal. */
static void stand_alone(void)
{
        static const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU};
        for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
                signal(ignored[i], SIG_IGN);
        (void)!chdir("/");
}

/* Nobody traces it, it executes nothing with more rights, and it opens no file any more. Where the kernel has no
 * Landlock the last of these is not so. */
static void give_up(void)
{
        struct landlock_ruleset_attr all = {.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1};
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        cleanup_close int rules = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);
        if (rules >= 0)
                syscall(SYS_landlock_restrict_self, rules, 0);
}

int main(int argc, char **argv)
{
        cleanup_error struct error err = ERROR_INIT;
        struct relay r;
        int type = 0;
        socklen_t size = sizeof type;
        if (argc > 1 || getsockopt(RELAY_CONTROL, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_SEQPACKET) {
                error_set(&err, EINVAL,
                          "%s is started by paddock, with a SOCK_SEQPACKET socket on descriptor %d and no argument",
                          argv[0], RELAY_CONTROL);
                error_print(stderr, &err);
                return 1;
        }
        stand_alone();
        give_up();
        int result = relay_start(&r, RELAY_CONTROL);
        if (result < 0) {
                error_sys(&err, -result, "the relay of sockets cannot start");
                error_print(stderr, &err);
                return 1;
        }
        while (relay_once(&r, -1))
                ;
        _exit(0); /* the kernel ends every connection; nobody waits for a descriptor that cannot be closed */
}
