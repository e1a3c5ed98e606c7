// SPDX-License-Identifier: GPL-3.0-or-later
/* Kept grants and channels: see kept.h. */
#include "model/kept.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <string.h>

#define MAGIC "paddock-grants 1\n"
#define CHANNELS "channels"
#define CHANNELS_MAGIC "paddock-channels 1\n"
#define FIELDS_LIMIT 4096 /* of one channel: words of its commands */

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

/* Replaces the file `name` by way of `fresh`. */
static int replace(int directory, const char *name, const char *fresh, const struct text *t)
{
        cleanup_close int fd = openat(directory, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        bool good = fd >= 0;
        for (size_t at = 0; good && at < t->length;) {
                ssize_t n = write(fd, t->data + at, t->length - at);
                good = n > 0;
                at += n > 0 ? (size_t)n : 0;
        }
        return !good || fsync(fd) < 0 || renameat(directory, fresh, directory, name) < 0 ? -errno : 0;
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
        int result = replace(directory, "grants", "grants.new", &t);
        return result < 0 ? error_sys(err, -result, "cannot keep the grants") : 0;
}

int kept_channels_load(int directory, struct channel_plans *plans, struct error *err)
{
        int fd = openat(directory, CHANNELS, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno == ENOENT ? 0 : error_sys(err, errno, "cannot read the kept channels");
        cleanup_file FILE *file = fdopen(fd, "r");
        cleanup_free char *line = NULL;
        size_t size = 0;
        int result = 0;
        if (getline(&line, &size, file) < 0 || strcmp(line, CHANNELS_MAGIC) != 0)
                result = error_set(err, EPROTO, "the kept channels are damaged, or of another version of paddock");
        for (ssize_t n; result == 0 && (n = getline(&line, &size, file)) > 0;) {
                char **fields = NULL;
                if (line[n - 1] == '\n')
                        line[n - 1] = '\0';
                int count = text_fields(line, FIELDS_LIMIT, &fields);
                result = count < 0 ? error_set(err, EINVAL, "the kept channels are damaged")
                                   : channel_plans_add_fields(plans, fields, (size_t)count, err);
                text_fields_free(fields, count);
        }
        return result < 0 ? error_remedy(err, "remove the file `" CHANNELS "` in the environment's directory to forget "
                                              "them")
                          : 0;
}

int kept_channels_save(int directory, const struct channel_plans *plans, struct error *err)
{
        cleanup_text struct text t = {0};
        if (!plans->count) {
                if (unlinkat(directory, CHANNELS, 0) < 0 && errno != ENOENT)
                        return error_sys(err, errno, "cannot forget the kept channels");
                return 0;
        }
        text_add(&t, CHANNELS_MAGIC);
        for (size_t i = 0; i < plans->count; i++) {
                cleanup_text struct text line = {0};
                channel_plan_to_fields(&line, &plans->items[i]);
                text_addf(&t, "%s\n", line.data + 1);
        }
        int result = replace(directory, CHANNELS, CHANNELS ".new", &t);
        return result < 0 ? error_sys(err, -result, "cannot keep the channels") : 0;
}
