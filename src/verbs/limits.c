// SPDX-License-Identifier: GPL-3.0-or-later
/* How limits are held: see limits.h. */
#include "verbs/limits.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "host/host.h"

#include <fcntl.h>
#include <string.h>

void limits_prepare(struct holding *h, const struct environment *e, bool again)
{
        *h = (struct holding){0};
        h->cgroup = host_limits_prepare(&e->limits, e->init != NULL, again, h->held);
        for (int kind = LIMIT_CPU; kind <= LIMIT_IO; kind++)
                if (e->limits.value[kind] && h->held[kind].how == HOLD_NOT)
                        fprintf(stderr, "paddock: the limit on %s is not enforced: %s\n",
                                limit_word((enum limit_kind)kind), h->held[kind].by);
}

void limits_record(int directory, const struct holding *h)
{
        cleanup_text struct text t = {0};
        for (int kind = 0; kind < LIMIT_COUNT; kind++) {
                text_addf(&t, "%s\t%d\t", limit_word((enum limit_kind)kind), (int)h->held[kind].how);
                text_add_escaped(&t, h->held[kind].by);
                text_add(&t, "\n");
        }
        cleanup_close int fd = openat(directory, "limits", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0 || write(fd, t.data, t.length) != (ssize_t)t.length)
                unlinkat(directory, "limits", 0); /* then `show` says what holds now */
}

bool limits_recorded(int directory, struct limit_held held[LIMIT_COUNT])
{
        char room[8192];
        cleanup_close int fd = openat(directory, "limits", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        ssize_t n = fd < 0 ? -1 : read(fd, room, sizeof room - 1);
        room[n > 0 ? n : 0] = '\0';
        char *rest = room, *line;
        int kind = 0;
        while (kind < LIMIT_COUNT && (line = strsep(&rest, "\n"))) {
                char **fields = NULL;
                int count = text_fields(line, 3, &fields);
                bool good = count == 3 && strcmp(fields[0], limit_word((enum limit_kind)kind)) == 0 &&
                            strlen(fields[1]) == 1 && fields[1][0] >= '0' && fields[1][0] <= '0' + HOLD_ENFORCED;
                if (good) {
                        held[kind].how = (enum limit_hold)(fields[1][0] - '0');
                        snprintf(held[kind].by, sizeof held->by, "%s", fields[2]);
                }
                text_fields_free(fields, count);
                if (!good)
                        return false;
                kind++;
        }
        return kind == LIMIT_COUNT;
}

uint64_t limits_watched(const struct holding *h, const struct environment *e)
{
        return h->held[LIMIT_MEMORY].how == HOLD_ENFORCED ? 0 : e->limits.value[LIMIT_MEMORY];
}
