// SPDX-License-Identifier: GPL-3.0-or-later
/* Readers of the texts that the probes need: see probe_text.h. */
#include "host/linux/probe_text.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

#define IDS 65536UL

bool text_number(const char *text, long *value)
{
        char *end;
        errno = 0;
        long number = strtol(text, &end, 10);
        if (end == text || errno)
                return false;
        while (isspace((unsigned char)*end))
                end++;
        if (*end)
                return false;
        *value = number;
        return true;
}

bool text_kernel_version(const char *release, int *major, int *minor)
{
        if (!isdigit((unsigned char)*release))
                return false;
        return sscanf(release, "%9d.%9d", major, minor) == 2;
}

/* The line after the one that `line` is in, or NULL at the end. */
static const char *next_line(const char *line)
{
        const char *end = strchr(line, '\n');
        return end && end[1] ? end + 1 : NULL;
}

bool text_field(const char *text, const char *key, int base, unsigned long long *value)
{
        size_t length = strlen(key);
        for (const char *line = text; line; line = next_line(line)) {
                if (strncmp(line, key, length) != 0 || line[length] != ':')
                        continue;
                char *end;
                const char *start = line + length + 1;
                *value = strtoull(start, &end, base);
                return end != start;
        }
        return false;
}

bool text_has_word(const char *text, const char *word)
{
        static const char separators[] = " \t\n,";
        size_t length = strlen(word);
        for (const char *p = text + strspn(text, separators); *p; p += strspn(p, separators)) {
                size_t here = strcspn(p, separators);
                if (here == length && memcmp(p, word, length) == 0)
                        return true;
                p += here;
        }
        return false;
}

bool idmap_has(const char *text, unsigned long id)
{
        for (const char *line = text; line; line = next_line(line)) {
                unsigned long inside, outside, count;
                if (sscanf(line, "%lu %lu %lu", &inside, &outside, &count) == 3 && id >= inside && id - inside < count)
                        return true;
        }
        return false;
}

bool idmap_is_whole(const char *text)
{
        unsigned long inside, outside, count;
        return sscanf(text, "%lu %lu %lu", &inside, &outside, &count) == 3 && inside == 0 && outside == 0 &&
               count == UINT_MAX;
}

/* Reads the line "owner:start:count" at `line`. `owner` is left in the text, `length` its length. */
static bool subid_line(const char *line, size_t *length, struct id_range *range)
{
        *length = strcspn(line, ":\n");
        return *length && line[*length] == ':' && isdigit((unsigned char)line[*length + 1]) &&
               sscanf(line + *length, ":%lu:%lu", &range->start, &range->count) == 2 && range->count;
}

static bool subid_is_of(const char *line, size_t length, const char *user, unsigned long uid)
{
        char number[32];
        size_t number_length = (size_t)snprintf(number, sizeof number, "%lu", uid);
        return (user && length == strlen(user) && memcmp(line, user, length) == 0) ||
               (length == number_length && memcmp(line, number, length) == 0);
}

void subid_all(const char *text, const char *user, unsigned long uid, unsigned long limit, struct id_ranges *ranges)
{
        size_t length;
        struct id_range here;
        *ranges = (struct id_ranges){0};
        for (const char *line = text; line && limit && ranges->count < ID_RANGES; line = next_line(line)) {
                if (!subid_line(line, &length, &here) || !subid_is_of(line, length, user, uid))
                        continue;
                here.count = here.count < limit ? here.count : limit;
                limit -= here.count;
                ranges->ranges[ranges->count++] = here;
        }
}

bool subid_largest(const char *text, const char *user, unsigned long uid, struct id_range *range)
{
        size_t length;
        struct id_range here, best = {0};
        for (const char *line = text; line; line = next_line(line))
                if (subid_line(line, &length, &here) && here.count > best.count && subid_is_of(line, length, user, uid))
                        best = here;
        if (best.count)
                *range = best;
        return best.count > 0;
}

/* The end of a range that meets the IDS ids from `start`, or 0 when none does. */
static unsigned long subid_meets(const char *text, unsigned long start)
{
        size_t length;
        struct id_range here;
        for (const char *line = text; line; line = next_line(line))
                if (subid_line(line, &length, &here) && here.start < start + IDS && start < here.start + here.count)
                        return here.start + here.count;
        return 0;
}

unsigned long subid_free(const char *subuid, const char *subgid, unsigned long base)
{
        unsigned long start = base;
        for (;;) {
                unsigned long end = subuid ? subid_meets(subuid, start) : 0;
                if (!end)
                        end = subgid ? subid_meets(subgid, start) : 0;
                if (!end || end < start)
                        return start;
                while (start < end)
                        start += IDS;
        }
}

char *nsswitch_subid(const char *text)
{
        for (const char *line = text; line; line = next_line(line)) {
                const char *p = line + strspn(line, " \t");
                if (strncmp(p, "subid:", 6) != 0)
                        continue;
                p += 6;
                p += strspn(p, " \t");
                size_t length = strcspn(p, " \t\n#");
                if (!length || (length == 5 && memcmp(p, "files", 5) == 0))
                        return NULL;
                return memory_format("%.*s", (int)length, p);
        }
        return NULL;
}

enum cgroup_kind cgroup_read(const char *text, char **path, char **v1)
{
        bool two = false, one = false;
        cleanup_text struct text controllers = {0};
        if (path)
                *path = NULL;
        for (const char *line = text; line && *line; line = next_line(line)) {
                const char *list = strchr(line, ':'), *where = list ? strchr(list + 1, ':') : NULL;
                if (!where)
                        continue;
                size_t length = (size_t)(where - list - 1);
                where++;
                if (length == 0) {
                        two = true;
                        if (path && !*path)
                                *path = memory_format("%.*s", (int)strcspn(where, "\n"), where);
                } else {
                        one = true;
                        /* "name=systemd" is a hierarchy without a controller. */
                        if (strncmp(list + 1, "name=", 5) != 0) {
                                if (controllers.length)
                                        text_add(&controllers, " ");
                                text_add_bytes(&controllers, list + 1, length);
                        }
                }
        }
        if (v1)
                *v1 = steal_pointer(&controllers.data);
        return two && one ? CGROUP_HYBRID : two ? CGROUP_V2 : one ? CGROUP_V1 : CGROUP_NONE;
}

/* A line of mountinfo, its fields as pointers into the line (each up to the next space). */
struct mount_line {
        const char *point;  /* field 5 */
        const char *fstype; /* the first one after the "-" */
};

static bool mount_line_read(const char *line, struct mount_line *mount)
{
        const char *end = line + strcspn(line, "\n"), *p = line;
        for (int field = 1; field < 5; field++) {
                p = memchr(p, ' ', (size_t)(end - p));
                if (!p)
                        return false;
                p++;
        }
        mount->point = p;
        const char *dash = memmem(p, (size_t)(end - p), " - ", 3);
        if (!dash)
                return false;
        mount->fstype = dash + 3;
        return true;
}

static bool field_is(const char *field, const char *word)
{
        size_t length = strlen(word);
        return strcspn(field, " \n") == length && memcmp(field, word, length) == 0;
}

/* A field in fresh memory, with the kernel's octal escapes (\040 for a space) undone. */
static char *field_text(const char *field)
{
        size_t length = strcspn(field, " \n"), n = 0;
        char *text = memory_new(length + 1);
        for (size_t i = 0; i < length; i++) {
                unsigned code;
                if (field[i] == '\\' && i + 3 < length && sscanf(field + i + 1, "%3o", &code) == 1) {
                        text[n++] = (char)code;
                        i += 3;
                } else {
                        text[n++] = field[i];
                }
        }
        return text;
}

char *mountinfo_find(const char *text, const char *fstype)
{
        struct mount_line mount;
        for (const char *line = text; line; line = next_line(line))
                if (mount_line_read(line, &mount) && field_is(mount.fstype, fstype))
                        return field_text(mount.point);
        return NULL;
}

bool mountinfo_has_root(const char *text)
{
        struct mount_line mount;
        for (const char *line = text; line; line = next_line(line))
                if (mount_line_read(line, &mount) && field_is(mount.point, "/"))
                        return true;
        return false;
}

char *mountinfo_cover(const char *text, const char *top)
{
        struct mount_line mount;
        for (const char *line = text; line; line = next_line(line)) {
                if (!mount_line_read(line, &mount) || field_is(mount.fstype, "autofs") ||
                    field_is(mount.fstype, "binfmt_misc"))
                        continue;
                cleanup_free char *point = field_text(mount.point);
                if (path_is_below(point, top) && strcmp(point, top) != 0)
                        return steal_pointer(&point);
        }
        return NULL;
}
