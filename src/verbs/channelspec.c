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

static const char *const forms[] = {[FORM_NONE] = "?",    [FORM_STREAM] = "stream", [FORM_MESSAGES] = "messages",
                                    [FORM_PORT] = "port", [FORM_FILES] = "files",   [FORM_EXEC] = "exec"};

enum channel_form channel_form_of(const char *word)
{
        for (int form = FORM_STREAM; form <= FORM_EXEC; form++)
                if (strcmp(word, forms[form]) == 0)
                        return (enum channel_form)form;
        return FORM_NONE;
}

const char *channel_form_word(enum channel_form form)
{
        return forms[form];
}

/* "[ADDRESS:]PORT". */
static int parse_port(const char *text, struct channel_side *side)
{
        const char *colon = strrchr(text, ':');
        const char *number = colon ? colon + 1 : text;
        char *end = NULL;
        unsigned long port = strtoul(number, &end, 10);
        if (*number < '0' || *number > '9' || *end || port < 1 || port > 65535)
                return -EINVAL;
        side->port = (uint32_t)port;
        side->family = AF_INET;
        if (!colon)
                return inet_pton(AF_INET, "127.0.0.1", side->address) == 1 ? 0 : -EINVAL;
        size_t length = (size_t)(colon - text);
        bool six = length > 2 && text[0] == '[' && text[length - 1] == ']';
        cleanup_free char *address = six ? strndup(text + 1, length - 2) : strndup(text, length);
        side->family = six ? AF_INET6 : AF_INET;
        return address && inet_pton((int)side->family, address, side->address) == 1 ? 0 : -EINVAL;
}

int channel_place_parse(const char *text, struct channel_side *side, struct error *err)
{
        int which = strncmp(text, "outside:", 8) == 0  ? CHANNEL_OUTSIDE
                    : strncmp(text, "inside:", 7) == 0 ? CHANNEL_INSIDE
                                                       : -EINVAL;
        const char *rest = which < 0 ? text : strchr(text, ':') + 1;
        int result = which < 0 ? which : 0;
        if (result == 0 && rest[0] == '/') {
                side->family = AF_UNIX;
                result = strlen(rest) < sizeof side->path ? 0 : -ENAMETOOLONG;
                if (result == 0)
                        memcpy(side->path, rest, strlen(rest) + 1);
        } else if (result == 0) {
                result = parse_port(rest, side);
        }
        if (result == 0)
                return which;
        cleanup_free char *shown = text_escape(text);
        error_set(err, EINVAL, "'%s' is no place of a port", shown);
        return error_remedy(err, "outside:8080, inside:127.0.0.1:80, inside:[::1]:80, outside:/run/name.sock");
}

int channel_commands(char *const *words, size_t count, char **text, size_t *size, char **names, struct error *err)
{
        struct text bytes = {0}, list = {0};
        int result = 0;
        size_t in_this = 0; /* words of the command at hand */
        for (size_t i = 0; result == 0 && i <= count; i++) {
                if (i < count && strcmp(words[i], "--") != 0) {
                        if (in_this == 1 && words[i][0] != '/')
                                result = error_set(err, EINVAL, "'%s' is no absolute name of a program", words[i]);
                        if (in_this == 0 && (!words[i][0] || strpbrk(words[i], "\n/") || strlen(words[i]) > 64))
                                result = error_set(err, EINVAL, "'%s' cannot be the name of a command", words[i]);
                        if (in_this == 0)
                                text_addf(&list, "%s%s", list.length ? " " : "", words[i]);
                        text_add_bytes(&bytes, words[i], strlen(words[i]) + 1);
                        in_this++;
                } else if (in_this < 2) {
                        result = error_set(err, EINVAL, "an exec channel needs, for each command, its name inside and what is run");
                        error_remedy(err, "exec NAME /PROGRAM [ARGUMENT...] [-- NAME /PROGRAM ...]");
                } else {
                        text_add_bytes(&bytes, "", 1);
                        in_this = 0;
                }
        }
        if (result == 0 && bytes.length > CHANNEL_TEXT)
                result = error_set(err, E2BIG, "the commands are longer than %d bytes", CHANNEL_TEXT);
        *text = bytes.data;
        *size = bytes.length;
        *names = list.data;
        return result;
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
