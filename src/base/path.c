// SPDX-License-Identifier: GPL-3.0-or-later
/* File names as text: see path.h. */
#include "base/path.h"

#include "base/cleanup.h"

#include <string.h>

bool path_is_below(const char *path, const char *top)
{
        if (!top[1])
                return true;
        while (*top && *top == *path)
                top++, path++;
        return !*top && (*path == '\0' || *path == '/');
}

char *path_clean(const char *base, const char *path)
{
        cleanup_free char *whole = path[0] == '/' ? memory_string(path) : memory_format("%s/%s", base, path);
        char *clean = memory_new(strlen(whole) + 2), *end = clean;
        for (char *p = whole; *p;) {
                while (*p == '/')
                        p++;
                size_t n = strcspn(p, "/");
                if (n == 2 && p[0] == '.' && p[1] == '.') {
                        while (end > clean && *--end != '/')
                                ;
                } else if (n && !(n == 1 && p[0] == '.')) {
                        *end++ = '/';
                        memcpy(end, p, n);
                        end += n;
                }
                p += n;
        }
        if (end == clean)
                *end++ = '/';
        *end = '\0';
        return clean;
}

char *path_join(const char *dir, const char *name)
{
        char *path = memory_new(strlen(dir) + strlen(name) + 2);
        stpcpy(stpcpy(stpcpy(path, dir[0] == '/' && !dir[1] ? "" : dir), "/"), name);
        return path;
}

char *path_parent(const char *path)
{
        const char *slash = strrchr(path, '/');
        size_t n = slash && slash != path ? (size_t)(slash - path) : 1;
        char *parent = memory_new(n + 1);
        memcpy(parent, path, n);
        return parent;
}

const char *path_name(const char *path)
{
        const char *slash = strrchr(path, '/');
        return slash ? slash + 1 : path;
}

int path_compare_start(const char *a, const char *b, size_t length)
{
        /* "/" is the parent of all, though it ends in a slash that the others have as a separator. */
        if (a[0] == '/' && !a[1])
                a++;
        const char *end = b + length;
        if (length == 1 && *b == '/')
                b++;
        while (*a && b < end && *a == *b)
                a++, b++;
        unsigned char x = (unsigned char)*a, y = b < end ? (unsigned char)*b : 0;
        x = x == '/' ? 1 : x > 0 && x < '/' ? x + 1 : x;
        y = y == '/' ? 1 : y > 0 && y < '/' ? y + 1 : y;
        return x - y;
}

int path_compare(const char *a, const char *b)
{
        return path_compare_start(a, b, strlen(b));
}
