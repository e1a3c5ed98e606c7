// SPDX-License-Identifier: GPL-3.0-or-later
/* What a layer was made over: see stamp.h. */
#include "model/stamp.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <string.h>

#define STAMP_MAGIC "paddock-base "
#define STAMP_VERSION 1

void stamp_clear(struct stamp *stamp)
{
        for (size_t i = 0; i < stamp->package_count; i++) {
                free(stamp->packages[i].name);
                free(stamp->packages[i].version);
        }
        for (size_t i = 0; i < stamp->mount_count; i++)
                free(stamp->mounts[i]);
        free(stamp->packages);
        free(stamp->mounts);
        free(stamp->os);
        free(stamp->database);
        *stamp = (struct stamp){0};
}

void stamp_add_package(struct stamp *stamp, const char *name, const char *version)
{
        *vector_add(stamp->packages, stamp->package_count, stamp->package_capacity) =
                (struct package){.name = memory_string(name), .version = memory_string(version)};
}

void stamp_add_mount(struct stamp *stamp, const char *path)
{
        *vector_add(stamp->mounts, stamp->mount_count, stamp->mount_capacity) = memory_string(path);
}

static int by_name(const void *a, const void *b)
{
        return strcmp(((const struct package *)a)->name, ((const struct package *)b)->name);
}

static int by_path(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

void stamp_sort(struct stamp *stamp)
{
        if (stamp->package_count > 1)
                qsort(stamp->packages, stamp->package_count, sizeof *stamp->packages, by_name);
        if (stamp->mount_count > 1)
                qsort(stamp->mounts, stamp->mount_count, sizeof *stamp->mounts, by_path);
        size_t kept = 0; /* mounts lie on each other */
        for (size_t i = 0; i < stamp->mount_count; i++) {
                if (kept && strcmp(stamp->mounts[kept - 1], stamp->mounts[i]) == 0)
                        free(stamp->mounts[i]);
                else
                        stamp->mounts[kept++] = stamp->mounts[i];
        }
        stamp->mount_count = kept;
}

/* The value of a line "Key: value", or NULL; *length is its length. */
static const char *value_of(const char *line, size_t length, const char *key, size_t *value_length)
{
        size_t n = strlen(key);
        if (length < n + 1 || strncmp(line, key, n) != 0 || line[n] != ':')
                return NULL;
        const char *value = line + n + 1;
        while (value < line + length && (*value == ' ' || *value == '\t'))
                value++;
        *value_length = (size_t)(line + length - value);
        return value;
}

struct field {
        const char *at;
        size_t length;
};

/* One paragraph of the database, deb822(5), up to `end`. */
static void add_paragraph(struct stamp *stamp, const char *text, const char *end)
{
        static const char *const keys[] = {"Package", "Status", "Architecture", "Version"};
        static const char installed[] = " installed";
        struct {
                const char *at;
                size_t length;
        } fields[4] = {0};
        for (const char *at = text; at < end;) {
                size_t length = strcspn(at, "\n"), n;
                for (size_t k = 0; k < 4; k++) {
                        const char *value = value_of(at, length, keys[k], &n);
                        if (value) {
                                fields[k].at = value;
                                fields[k].length = n;
                        }
                }
                at += length + (at[length] == '\n');
        }
        size_t n = sizeof installed - 1;
        if (!fields[0].at || !fields[3].at || fields[1].length < n ||
            memcmp(fields[1].at + fields[1].length - n, installed, n) != 0)
                return;
        cleanup_free char *name = memory_format("%.*s:%.*s", (int)fields[0].length, fields[0].at, (int)fields[2].length,
                                                fields[2].at ? fields[2].at : "");
        cleanup_free char *version = memory_format("%.*s", (int)fields[3].length, fields[3].at);
        stamp_add_package(stamp, name, version);
}

void stamp_add_dpkg(struct stamp *stamp, const char *status)
{
        while (*status) {
                const char *end = strstr(status, "\n\n");
                end = end ? end + 1 : status + strlen(status);
                add_paragraph(stamp, status, end);
                status = end + strspn(end, "\n");
        }
}

static void line(struct text *t, const char *key, const char *one, const char *two)
{
        text_addf(t, "%s\t", key);
        text_add_escaped(t, one);
        if (two) {
                text_add(t, "\t");
                text_add_escaped(t, two);
        }
        text_add(t, "\n");
}

char *stamp_to_text(const struct stamp *stamp)
{
        struct text t = {0};
        text_addf(&t, STAMP_MAGIC "%d\n", STAMP_VERSION);
        if (stamp->os)
                line(&t, "os", stamp->os, NULL);
        if (stamp->database)
                line(&t, "database", stamp->database, NULL);
        for (size_t i = 0; i < stamp->mount_count; i++)
                line(&t, "mount", stamp->mounts[i], NULL);
        for (size_t i = 0; i < stamp->package_count; i++)
                line(&t, "package", stamp->packages[i].name, stamp->packages[i].version);
        return t.data;
}

static int apply(struct stamp *stamp, char *text, struct error *err)
{
        char *key = strsep(&text, "\t"), *first = strsep(&text, "\t"), *second = strsep(&text, "\t");
        cleanup_free char *one = first ? text_unescape(first) : NULL, *two = second ? text_unescape(second) : NULL;
        if (text || !one || (second && !two))
                return error_set(err, EINVAL, "it is damaged");
        if (strcmp(key, "os") == 0 && !stamp->os && !two)
                stamp->os = steal_pointer(&one);
        else if (strcmp(key, "database") == 0 && !stamp->database && !two)
                stamp->database = steal_pointer(&one);
        else if (strcmp(key, "mount") == 0 && !two)
                stamp_add_mount(stamp, one);
        else if (strcmp(key, "package") == 0 && two)
                stamp_add_package(stamp, one, two);
        else
                return error_set(err, EINVAL, "it is damaged");
        return 0;
}

int stamp_from_text(struct stamp *stamp, const char *text, struct error *err)
{
        *stamp = (struct stamp){0};
        size_t magic = strlen(STAMP_MAGIC);
        char *rest;
        if (strncmp(text, STAMP_MAGIC, magic) != 0)
                return error_set(err, EINVAL, "it is no record of a layer's base");
        long version = strtol(text + magic, &rest, 10);
        if (version > STAMP_VERSION)
                return error_set(err, EPROTO, "it was written by a newer paddock (version %ld)", version);
        if (version < 1 || *rest != '\n')
                return error_set(err, EINVAL, "it is damaged in its first line");
        cleanup_free char *copy = memory_string(rest + 1);
        char *lines = copy, *one;
        int result = 0;
        while (result == 0 && (one = strsep(&lines, "\n")))
                if (*one)
                        result = apply(stamp, one, err);
        if (result < 0)
                stamp_clear(stamp);
        else
                stamp_sort(stamp);
        return result;
}

size_t stamp_compare(const struct stamp *before, const struct stamp *now, struct package_change **changes)
{
        size_t count = 0, capacity = 0, i = 0, j = 0;
        *changes = NULL;
        while (i < before->package_count || j < now->package_count) {
                const struct package *a = i < before->package_count ? &before->packages[i] : NULL;
                const struct package *b = j < now->package_count ? &now->packages[j] : NULL;
                if (!a && !b)
                        break;
                int order = !a ? 1 : !b ? -1 : strcmp(a->name, b->name);
                if (order != 0 || strcmp(a->version, b->version) != 0)
                        *vector_add(*changes, count, capacity) =
                                (struct package_change){.name = order <= 0 ? a->name : b->name,
                                                        .before = order <= 0 ? a->version : NULL,
                                                        .after = order >= 0 ? b->version : NULL};
                i += order <= 0;
                j += order >= 0;
        }
        return count;
}

bool stamp_has_mount(const struct stamp *stamp, const char *path)
{
        for (size_t i = 0; i < stamp->mount_count; i++)
                if (strcmp(stamp->mounts[i], path) == 0)
                        return true;
        return false;
}
