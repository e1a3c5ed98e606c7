// SPDX-License-Identifier: GPL-3.0-or-later
/* Opens every descriptor that it was left again for writing, and appends a line. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
        for (int fd = 3; fd < 64; fd++) {
                char name[64];
                snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
                int again = open(name, O_WRONLY | O_APPEND);
                if (again >= 0 && write(again, "overwritten\n", 12) == 12)
                        printf("wrote to descriptor %d\n", fd);
        }
        return 0;
}
