// SPDX-License-Identifier: GPL-3.0-or-later
/* The slots of an environment's layer: see store.h. */
#include "model/store.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define PATH_LIMIT 65536 /* bytes of an escaped path: four times what a kernel takes */

static int read_slot(int layer, const char *name, struct slots *slots, struct error *err)
{
        cleanup_free char *file = memory_format("%s/path", name);
        cleanup_close int fd = openat(layer, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0) /* cut off before it was complete: not a slot; made anew under its number */
                return errno == ENOENT ? 0 : error_sys(err, errno, "cannot read layer/%s", file);
        cleanup_free char *text = memory_new(PATH_LIMIT + 1);
        ssize_t n = read(fd, text, PATH_LIMIT);
        if (n <= 0 || text[n - 1] != '\n')
                return error_set(err, EINVAL, "layer/%s is damaged", file);
        text[n - 1] = '\0';
        bool blank = strncmp(text, "blank ", 6) == 0;
        if (!blank && strncmp(text, "changes ", 8) != 0)
                return error_set(err, EINVAL, "layer/%s is damaged", file);
        char *path = text_unescape(text + (blank ? 6 : 8));
        if (!path)
                return error_set(err, EINVAL, "layer/%s is damaged", file);
        *vector_add(slots->slots, slots->count, slots->capacity) =
                (struct slot){.number = (unsigned)strtoul(name, NULL, 10), .blank = blank, .path = path};
        return 0;
}

int slots_load(int environment, struct slots *slots, struct error *err)
{
        *slots = (struct slots){0};
        int layer = openat(environment, "layer", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (layer < 0)
                return errno == ENOENT ? 0 : error_sys(err, errno, "cannot read the layer");
        cleanup_dir DIR *dir = fdopendir(layer);
        struct dirent *entry;
        while (dir && (entry = readdir(dir))) {
                if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
                        continue;
                int result = read_slot(layer, entry->d_name, slots, err);
                if (result < 0)
                        return result;
        }
        return 0;
}

unsigned slots_find(struct slots *slots, const char *path, bool blank)
{
        unsigned next = 0;
        for (size_t i = 0; i < slots->count; i++) {
                struct slot *slot = &slots->slots[i];
                if (slot->blank == blank && strcmp(slot->path, path) == 0)
                        return slot->number;
                next = slot->number >= next ? slot->number + 1 : next;
        }
        *vector_add(slots->slots, slots->count, slots->capacity) =
                (struct slot){.number = next, .blank = blank, .path = memory_string(path)};
        return next;
}

int slots_make(int environment, const struct slot *slot, struct error *err)
{
        char name[32];
        snprintf(name, sizeof name, "layer/%u", slot->number);
        if (mkdirat(environment, name, 0700) < 0 && errno == ENOENT) {
                mkdirat(environment, "layer", 0700);
                mkdirat(environment, name, 0700);
        }
        cleanup_close int dir = openat(environment, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (dir < 0)
                return store_full(error_sys(err, errno, "cannot make %s", name), err);
        if (faccessat(dir, "path", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
                return 0;
        if (!slot->blank && ((mkdirat(dir, "upper", 0700) < 0 && errno != EEXIST) ||
                             (mkdirat(dir, "work", 0700) < 0 && errno != EEXIST)))
                return store_full(error_sys(err, errno, "cannot make %s/upper", name), err);
        return 1;
}

int slots_complete(int environment, const struct slot *slot, struct error *err)
{
        char name[32];
        snprintf(name, sizeof name, "layer/%u", slot->number);
        cleanup_close int dir = openat(environment, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (dir < 0)
                return error_sys(err, errno, "cannot open %s", name);
        cleanup_text struct text line = {0};
        text_add(&line, slot->blank ? "blank " : "changes ");
        text_add_escaped(&line, slot->path);
        text_add(&line, "\n");
        cleanup_close int fd = openat(dir, ".path.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0 || write(fd, line.data, line.length) != (ssize_t)line.length ||
            renameat(dir, ".path.new", dir, "path") < 0)
                return store_full(error_sys(err, errno, "cannot write %s/path", name), err);
        return 0;
}

void slots_clear(struct slots *slots)
{
        for (size_t i = 0; i < slots->count; i++)
                free(slots->slots[i].path);
        free(slots->slots);
        *slots = (struct slots){0};
}
