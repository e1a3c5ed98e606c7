// SPDX-License-Identifier: GPL-3.0-or-later
/* The base of a layer, recorded and compared: see base.h. */
#include "verbs/base.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "host/host.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define STAMP "base"
#define TOLD 5 /* packages that are named in a message */
#define DATABASE "/var/lib/dpkg/status"

void moved_clear(struct moved *m)
{
        stamp_clear(&m->then);
        stamp_clear(&m->now);
        free(m->changes);
        free(m->held);
        *m = (struct moved){0};
}

/* Has the layer a file of its own (or a mark that it is gone) at `path`? Directories are merged, so they do not
 * count. */
static bool layer_has(int environment, const struct slots *slots, const char *path)
{
        for (size_t i = 0; i < slots->count; i++) {
                const struct slot *slot = &slots->slots[i];
                if (!path_is_below(path, slot->path))
                        continue;
                const char *rest = path + (slot->path[1] ? strlen(slot->path) : 0);
                cleanup_free char *name = memory_format("layer/%u/%s%s", slot->number,
                                                        slot->blank ? "content" : "upper", rest);
                struct stat st;
                if (fstatat(environment, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode))
                        return true;
        }
        return false;
}

static bool layer_has_package(int environment, const struct slots *slots, const char *package)
{
        cleanup_free char *files = host_package_files(package);
        for (char *rest = files, *path; rest && (path = strsep(&rest, "\n"));)
                if (path[0] == '/' && path[1] && layer_has(environment, slots, path))
                        return true;
        return false;
}

static char *read_stamp(int environment)
{
        cleanup_close int fd = openat(environment, STAMP, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0)
                return NULL;
        char *text = memory_new((size_t)st.st_size + 1);
        ssize_t n = read(fd, text, (size_t)st.st_size);
        text[n > 0 ? n : 0] = '\0';
        return text;
}

int base_compare(int environment, const struct slots *slots, const struct system *system, bool whole, struct moved *m,
                 struct error *err)
{
        *m = (struct moved){0};
        cleanup_free char *text = read_stamp(environment);
        if (!text)
                return 0;
        int result = stamp_from_text(&m->then, text, err);
        if (result < 0)
                return error_context(err, "the record of the layer's base");
        m->recorded = true;
        cleanup_free char *database = host_stamp_database();
        bool touched = strcmp(database ? database : "", m->then.database ? m->then.database : "") != 0;
        if (!touched && !whole) /* an upgrade of the system changes packages */
                return 0;
        host_stamp_read(system, &m->now);
        m->os = strcmp(m->then.os ? m->then.os : "", m->now.os ? m->now.os : "") != 0;
        m->unknown = touched && !m->now.package_count;
        m->own_database = layer_has(environment, slots, DATABASE);
        m->count = m->unknown ? 0 : stamp_compare(&m->then, &m->now, &m->changes);
        m->held = memory_grow(NULL, m->count + 1, sizeof *m->held);
        for (size_t i = 0; i < m->count; i++) {
                m->held[i] = layer_has_package(environment, slots, m->changes[i].name);
                m->held_count += m->held[i];
        }
        return 0;
}

void base_tell(const struct moved *m, const char *name)
{
        size_t concerned = m->own_database ? m->count : m->held_count;
        if (!m->os && !concerned)
                return;
        cleanup_text struct text t = {0};
        if (m->os)
                text_addf(&t, " it was %s, and is %s", m->then.os ? m->then.os : "?", m->now.os ? m->now.os : "?");
        if (concerned)
                text_addf(&t, "%s %zu package%s that the layer has %s of changed:", m->os ? ";" : "", concerned,
                          concerned == 1 ? "" : "s", m->own_database ? "a record" : "files");
        size_t told = 0;
        for (size_t i = 0; i < m->count && told < TOLD; i++) {
                const struct package_change *change = &m->changes[i];
                if (!m->own_database && !m->held[i])
                        continue;
                text_add(&t, told++ ? ", " : " ");
                text_add_escaped(&t, change->name);
                text_addf(&t, " (%s -> %s)", change->before ? change->before : "none",
                          change->after ? change->after : "none");
        }
        if (concerned > told)
                text_addf(&t, " and %zu more", concerned - told);
        fprintf(stderr,
                "paddock: the main system moved on since the layer of '%s' was made:%s\n"
                "paddock: the layer mixes old and new; `paddock run --rebase -n %s` starts a fresh one\n",
                name, t.data, name);
}

int base_record(int environment, const struct system *system, struct error *err)
{
        cleanup_stamp struct stamp now;
        host_stamp_read(system, &now);
        cleanup_free char *text = stamp_to_text(&now);
        cleanup_close int fd = openat(environment, ".base.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                                      0600);
        size_t length = strlen(text);
        if (fd < 0 || write(fd, text, length) != (ssize_t)length ||
            renameat(environment, ".base.new", environment, STAMP) < 0)
                return error_sys(err, errno, "cannot record what the layer was made over");
        return 0;
}
