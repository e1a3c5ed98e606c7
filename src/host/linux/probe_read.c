// SPDX-License-Identifier: GPL-3.0-or-later
/* Small files of /proc and /sys, read whole. Apart from the probes, because a failing run reads them without
 * probing. */
#include "base/cleanup.h"
#include "host/linux/probe_text.h"
#include "host/linux/probe_trial.h"

#include <fcntl.h>

#define READ_LIMIT (1 << 20)

char *probe_read(const char *path)
{
        cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
                return NULL;
        size_t length = 0, capacity = 4096;
        cleanup_free char *text = memory_new(capacity);
        for (;;) {
                ssize_t n = read(fd, text + length, capacity - length - 1);
                if (n < 0 && errno != EINTR)
                        return NULL;
                if (n == 0 || capacity > READ_LIMIT)
                        break;
                length += n > 0 ? (size_t)n : 0;
                if (capacity - length < 2)
                        text = memory_grow(text, capacity *= 2, 1);
        }
        text[length] = '\0';
        return steal_pointer(&text);
}

long probe_read_number(const char *path)
{
        cleanup_free char *text = probe_read(path);
        long value;
        return text && text_number(text, &value) ? value : -1;
}
