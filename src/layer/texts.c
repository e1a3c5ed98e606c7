// SPDX-License-Identifier: GPL-3.0-or-later
/* Texts that changed files were made from: see texts.h. */
#include "layer/texts.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "layer/digest.h"
#include "layer/line.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define HEADER_LIMIT 20000 /* bytes of the line */

/* The line that begins the file, and the name of the file. */
static void header_of(const struct layer_slot *slot, const char *path, struct text *line, char name[DIGEST_HEX])
{
        struct digest d;
        const char *rest = path + (slot->path[1] ? strlen(slot->path) : 0);
        text_addf(line, "%u ", slot->number);
        text_add_escaped(line, rest + (*rest == '/'));
        digest_begin(&d);
        digest_add(&d, line->data, line->length);
        digest_hex(&d, name);
        text_add(line, "\n");
}

static int copy_rest(int from, off_t at, int to, size_t limit)
{
        char piece[65536];
        size_t total = 0;
        for (ssize_t n; (n = pread(from, piece, sizeof piece, at)) != 0; at += n) {
                if (n < 0)
                        return -errno;
                total += (size_t)n;
                if (memchr(piece, 0, (size_t)n) || total > limit)
                        return -EFBIG;
                for (ssize_t done = 0, m; done < n; done += m)
                        if ((m = write(to, piece + done, (size_t)(n - done))) < 0)
                                return -errno;
        }
        return 0;
}

int texts_keep(const struct layer *layer, const struct layer_slot *slot, const char *path, int fd)
{
        cleanup_text struct text line = {0};
        char name[DIGEST_HEX];
        struct stat st;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (st.st_size > TEXTS_SIZE || !merge_is_text(fd))
                return 0;
        header_of(slot, path, &line, name);
        if (line.length > HEADER_LIMIT)
                return 0;
        if (mkdirat(layer->directory, "texts", 0700) < 0 && errno != EEXIST)
                return -errno;
        cleanup_close int dir = files_open_directory(layer->directory, "texts");
        if (dir < 0)
                return dir;
        cleanup_free char *fresh = memory_format(".%d.new", (int)getpid());
        cleanup_close int to = openat(dir, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (to < 0)
                return -errno;
        int result = write(to, line.data, line.length) == (ssize_t)line.length ? copy_rest(fd, 0, to, TEXTS_SIZE) : -EIO;
        if (result == 0 && renameat(dir, fresh, dir, name) < 0)
                result = -errno;
        if (result < 0)
                unlinkat(dir, fresh, 0);
        return result == -EFBIG ? 0 : result < 0 ? result : 1;
}

void texts_drop(const struct layer *layer, const struct layer_slot *slot, const char *path)
{
        cleanup_text struct text line = {0};
        char name[DIGEST_HEX];
        header_of(slot, path, &line, name);
        cleanup_close int dir = files_open_directory(layer->directory, "texts");
        if (dir >= 0)
                unlinkat(dir, name, 0);
}

int texts_open(const struct layer *layer, const struct layer_slot *slot, const char *path)
{
        cleanup_text struct text line = {0};
        char name[DIGEST_HEX];
        header_of(slot, path, &line, name);
        cleanup_close int dir = files_open_directory(layer->directory, "texts");
        cleanup_close int fd = dir < 0 ? dir : files_open_regular(dir, name);
        if (fd < 0)
                return fd;
        cleanup_free char *first = memory_new(line.length + 1);
        if (pread(fd, first, line.length, 0) != (ssize_t)line.length || memcmp(first, line.data, line.length) != 0)
                return -ENOENT;
        cleanup_file FILE *file = tmpfile();
        int to = file ? fcntl(fileno(file), F_DUPFD_CLOEXEC, 0) : -1;
        if (to < 0)
                return -errno;
        int result = copy_rest(fd, (off_t)line.length, to, TEXTS_SIZE);
        if (result < 0)
                close(to);
        return result < 0 ? -ENOENT : to;
}

static int collect(void *context, const struct change *change)
{
        struct commit *c = context;
        cleanup_free char *target = commit_target(change->slot, change->path), *text = NULL;
        if (change->kind != CHANGE_CHANGED || change->passage || change->after.type != META_REGULAR ||
            !(change->what & CHANGE_CONTENT) || change->before.size > TEXTS_SIZE || !target ||
            commit_lacking(c, change, -1, target, &text))
                return 0;
        cleanup_free char *above = path_parent(target);
        cleanup_close int parent = files_open_root(above);
        cleanup_close int fd = parent < 0 ? parent : files_open_regular(parent, path_name(target));
        struct meta now;
        if (fd >= 0 && files_look(fd, "", false, &now) == 0 && now.inode == change->before.inode &&
            time_equal(&now.ctime, &change->before.ctime))
                texts_keep(c->layer, change->slot, change->path, fd);
        return 0;
}

void texts_collect(struct commit *c, char **paths, size_t path_count)
{
        cleanup_error struct error err = ERROR_INIT;
        struct layer_walk walk = {.layer = c->layer,
                                  .paths = paths,
                                  .path_count = path_count,
                                  .proofs = true,
                                  .visit = collect,
                                  .context = c};
        layer_walk(&walk, &err);
}

/* Where the text of an open file belongs inside, fresh memory, or NULL. */
static char *path_of(const struct layer *layer, int fd)
{
        cleanup_free char *line = memory_new(HEADER_LIMIT + 1);
        ssize_t n = pread(fd, line, HEADER_LIMIT, 0);
        char *end = n > 0 ? memchr(line, '\n', (size_t)n) : NULL;
        const char *at = line;
        uint64_t number;
        if (!end)
                return NULL;
        *end = '\0';
        if (!line_take_number(&at, &number) || *at++ != ' ')
                return NULL;
        cleanup_free char *rest = text_unescape(at);
        for (size_t i = 0; rest && i < layer->count; i++)
                if (layer->slots[i].number == number)
                        return rest[0] ? path_join(layer->slots[i].path, rest) : memory_string(layer->slots[i].path);
        return NULL;
}

int texts_forget(const struct layer *layer, const char *path, struct error *err)
{
        cleanup_close int dir = files_open_directory(layer->directory, "texts");
        if (dir < 0)
                return dir == -ENOENT ? 0 : error_sys(err, -dir, "cannot open the texts that changes were made from");
        struct names names = {0};
        int result = 0;
        while (result == 0 && names_next(&names, &dir, 1) > 0)
                for (size_t i = 0; i < names.count && result == 0; i++) {
                        cleanup_close int fd = files_open_regular(dir, names.items[i]);
                        cleanup_free char *own = fd < 0 ? NULL : path_of(layer, fd);
                        if ((!own || path_is_below(own, path)) && unlinkat(dir, names.items[i], 0) < 0)
                                result = error_sys(err, errno, "cannot forget a text that a change was made from");
                }
        names_clear(&names);
        return result;
}
