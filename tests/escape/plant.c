// SPDX-License-Identifier: GPL-3.0-or-later
/* plant NAME TARGET: moves NAME out of the way and puts a link to TARGET in its place. Without arguments: nothing. */
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
        if (argc < 3)
                return 0;
        char aside[4096];
        snprintf(aside, sizeof aside, "%s.aside", argv[1]);
        if (rename(argv[1], aside) < 0 || symlink(argv[2], argv[1]) < 0) {
                perror(argv[1]);
                return 1;
        }
        return 0;
}
