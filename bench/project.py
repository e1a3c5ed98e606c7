# SPDX-License-Identifier: GPL-3.0-or-later
"""A C project for `make -j2`: sources that include what ordinary programs do and keep the compiler busy for a while."""

import os

SOURCE = """\
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "project.h"

{functions}
int part{i}(int n)
{{
        int sum = 0;
{calls}
        return sum;
}}
"""

FUNCTION = """\
static int step{i}_{j}(int n)
{{
        char text[64];
        int sum = {j};
        for (int k = 0; k < n % 17; k++) {{
                snprintf(text, sizeof text, "%d-%d", k, sum);
                sum += (int)strlen(text) * (k ^ {j}) + (sum >> 3);
                if (sum % 7 == {j} % 7)
                        sum -= atoi(text);
        }}
        return sum;
}}
"""

MAKEFILE = """\
OBJECTS := $(patsubst %.c,%.o,$(wildcard *.c))
program: $(OBJECTS)
\t$(CC) -o $@ $^
%.o: %.c project.h
\t$(CC) -O1 -c -o $@ $<
clean:
\trm -f program $(OBJECTS)
.PHONY: clean
"""


def write_project(top, sources):
    """Writes the project of `sources` parts, a main file and a Makefile into the new directory `top`."""
    os.makedirs(top)

    def put(name, text):
        with open(f"{top}/{name}", "w", encoding="ascii") as file:
            file.write(text)

    for i in range(sources):
        functions = "".join(FUNCTION.format(i=i, j=j) for j in range(12))
        calls = "\n".join(f"        sum += step{i}_{j}(n + sum);" for j in range(12))
        put(f"part{i}.c", SOURCE.format(i=i, functions=functions, calls=calls))
    put("project.h", "".join(f"int part{i}(int n);\n" for i in range(sources)))
    calls = "".join(f"        sum += part{i}(argc);\n" for i in range(sources))
    put("main.c", f'#include "project.h"\nint main(int argc, char **argv)\n{{\n        int sum = 0;\n{calls}'
                  "        return !argv[0] || sum == 42;\n}\n")
    put("Makefile", MAKEFILE)
