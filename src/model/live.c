// SPDX-License-Identifier: GPL-3.0-or-later
/* The view of a started environment as it is now: see live.h. */
#include "model/live.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define LIVE_FILE "live"
#define LIVE_LIMIT (16 << 20)

int live_load(int directory, struct live *live, struct error *err)
{
        *live = (struct live){0};
        cleanup_close int fd = openat(directory, LIVE_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0)
                return error_sys(err, errno, "cannot read what the view is now");
        if (!S_ISREG(st.st_mode) || st.st_size > LIVE_LIMIT)
                return error_set(err, EINVAL, "the file " LIVE_FILE " of the environment is damaged");
        cleanup_free char *text = memory_new((size_t)st.st_size + 1);
        size_t have = 0;
        for (ssize_t n; have < (size_t)st.st_size && (n = read(fd, text + have, (size_t)st.st_size - have)) > 0;)
                have += (size_t)n;
        char *record = strchr(text, '\n');
        if (!record)
                return error_set(err, EINVAL, "the file " LIVE_FILE " of the environment is damaged");
        *record++ = '\0';
        int result = environment_from_record(&live->environment, record, LIVE_FILE, err);
        char *rest = text, *cwd = strsep(&rest, "\t"), *number;
        if (result == 0 && cwd[0])
                live->cwd = text_unescape(cwd);
        while (result == 0 && rest && (number = strsep(&rest, "\t")))
                *vector_add(live->slots, live->slot_count, live->slot_capacity) = (unsigned)strtoul(number, NULL, 10);
        return result;
}

int live_store(int directory, const struct live *live, const struct environment *environment, struct error *err)
{
        cleanup_text struct text t = {0};
        if (live->cwd)
                text_add_escaped(&t, live->cwd);
        for (size_t i = 0; i < live->slot_count; i++)
                text_addf(&t, "\t%u", live->slots[i]);
        text_add(&t, "\n");
        cleanup_free char *record = environment_to_record(environment);
        text_add(&t, record);
        cleanup_close int fd = openat(directory, "." LIVE_FILE ".new",
                                      O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        bool written = fd >= 0;
        for (size_t done = 0; written && done < t.length;) {
                ssize_t n = write(fd, t.data + done, t.length - done);
                written = n > 0;
                done += written ? (size_t)n : 0;
        }
        if (!written || renameat(directory, "." LIVE_FILE ".new", directory, LIVE_FILE) < 0) {
                error_sys(err, errno, "cannot write what the view is now");
                return error_remedy(err,
                                    "rules can only be changed at the next start; make room where the state is kept");
        }
        return 0;
}

void live_remove(int directory)
{
        unlinkat(directory, LIVE_FILE, 0);
}

void live_clear(struct live *live)
{
        environment_clear(&live->environment);
        free(live->cwd);
        free(live->slots);
        *live = (struct live){0};
}
