// SPDX-License-Identifier: GPL-3.0-or-later
/* Servers: see server.h. */
#include "host/linux/server.h"

#include "base/cleanup.h"
#include "host/linux/kernel.h"

#include <signal.h>
#include <string.h>

#define CONTROL_AT 3

char *server_path(const char *name)
{
        char self[4097];
        ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
        if (n <= 0)
                return NULL;
        self[n] = '\0';
        *strrchr(self, '/') = '\0';
        const char *folder = strncmp(name, "paddock-", 8) == 0 ? name + 8 : name;
        cleanup_free char *built = memory_format("/../servers/%s", folder);
        const char *const places[] = {"", "/../libexec/paddock", built};
        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
                cleanup_free char *path = memory_format("%s%s/%s", self, places[i], name);
                if (access(path, X_OK) == 0)
                        return steal_pointer(&path);
        }
        return NULL;
}

_Noreturn void server_become(char **argv, int control)
{
        sigset_t none;
        sigemptyset(&none);
        kernel_signal_mask(SIG_SETMASK, &none, NULL);
        setsid();
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        for (int fd = 0; fd <= 2; fd++)
                dup2(null, fd);
        if (control == CONTROL_AT)
                fcntl(control, F_SETFD, 0);
        else
                dup2(control, CONTROL_AT);
        close_range(CONTROL_AT + 1, ~0U, 0);
        execv(argv[0], argv);
        _exit(127); /* the socket closes: whoever has its other end sees that */
}
