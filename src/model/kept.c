// SPDX-License-Identifier: GPL-3.0-or-later
/* Kept grants: see kept.h. */
#include "model/kept.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <string.h>

#define MAGIC "paddock-grants 1\n"

int kept_load(int directory, struct grant_list *grants, struct error *err)
{
        int fd = openat(directory, "grants", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno == ENOENT ? 0 : error_sys(err, errno, "cannot read the kept grants");
        cleanup_file FILE *file = fdopen(fd, "r");
        cleanup_free char *line = NULL;
        size_t size = 0;
        int number = 1, result = 0;
        if (getline(&line, &size, file) < 0 || strcmp(line, MAGIC) != 0)
                result = error_set(err, EPROTO, "the kept grants are damaged, or of another version of paddock");
        for (ssize_t n; result == 0 && (n = getline(&line, &size, file)) > 0;) {
                cleanup_grant struct grant g;
                number++;
                if (line[n - 1] == '\n')
                        line[n - 1] = '\0';
                result = grant_from_line(&g, line, err);
                if (result == 0)
                        result = grant_list_add(grants, &g, err);
                if (result < 0)
                        error_context(err, "kept grants, line %d", number);
        }
        return result < 0 ? error_remedy(err, "remove the file `grants` in the environment's directory to forget them")
                          : 0;
}

int kept_save(int directory, const struct grant_list *grants, struct error *err)
{
        cleanup_text struct text t = {0};
        text_add(&t, MAGIC);
        for (size_t i = 0; i < grants->count; i++) {
                cleanup_text struct text line = {0};
                grant_to_fields(&line, &grants->grants[i]);
                text_addf(&t, "%s\n", line.data + 1);
        }
        cleanup_close int fd = openat(directory, "grants.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                                      0600);
        bool good = fd >= 0;
        for (size_t at = 0; good && at < t.length;) {
                ssize_t n = write(fd, t.data + at, t.length - at);
                good = n > 0;
                at += n > 0 ? (size_t)n : 0;
        }
        if (!good || fsync(fd) < 0 || renameat(directory, "grants.new", directory, "grants") < 0)
                return error_sys(err, errno, "cannot keep the grants");
        return 0;
}
