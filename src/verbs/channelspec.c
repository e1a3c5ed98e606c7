// SPDX-License-Identifier: GPL-3.0-or-later
/* What a channel is to be: see channelspec.h. */
#include "verbs/channelspec.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

void channel_side_of(const struct channel_at *at, struct channel_side *side)
{
        *side = (struct channel_side){.family = at->path ? AF_UNIX : at->six ? AF_INET6 : AF_INET, .port = at->port};
        memcpy(side->address, at->address, sizeof side->address);
        if (at->path)
                snprintf(side->path, sizeof side->path, "%s", at->path);
}

void channel_commands(const struct channel_plan *plan, char **text, size_t *size, char **names)
{
        struct text bytes = {0}, list = {0};
        bool first = true; /* word of a command: its name */
        for (size_t i = 0; i < plan->count; i++) {
                const char *word = plan->words[i];
                if (strcmp(word, "--") == 0) {
                        text_add_bytes(&bytes, "", 1);
                        first = true;
                        continue;
                }
                if (first)
                        text_addf(&list, "%s%s", list.length ? " " : "", word);
                text_add_bytes(&bytes, word, strlen(word) + 1);
                first = false;
        }
        text_add_bytes(&bytes, "", 1);
        *text = bytes.data;
        *size = bytes.length;
        *names = list.data;
}

int channel_seal(const struct channel_spec *spec, const char *text, struct error *err)
{
        cleanup_close int fd = memfd_create("paddock-channel", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0 || write(fd, spec, sizeof *spec) != (ssize_t)sizeof *spec ||
            (spec->text && write(fd, text, spec->text) != (ssize_t)spec->text) ||
            fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
                return error_sys(err, errno, "cannot say what the channel is");
        return steal_fd(&fd);
}
