// SPDX-License-Identifier: GPL-3.0-or-later
/* Pieces of tar archives: see pax.h. */
#include "layer/pax.h"

#include "base/cleanup.h"

#include <string.h>

const char *pax_digits(const char *text, const char *end, uint64_t *value)
{
        const char *at = text;
        *value = 0;
        for (; at < end && *at >= '0' && *at <= '9' && *value <= (UINT64_MAX - 9) / 10; at++)
                *value = *value * 10 + (uint64_t)(*at - '0');
        return at > text && (at == end || *at < '0' || *at > '9') ? at : NULL;
}

char *pax_text(const char *text, size_t size)
{
        return size && !memchr(text, '\0', size) ? memory_format("%.*s", (int)size, text) : NULL;
}

bool pax_records(const char *text, size_t size,
                 bool (*take)(void *context, const char *key, const char *value, size_t size), void *context)
{
        for (const char *at = text, *end = text + size; at < end;) {
                uint64_t length;
                const char *key = pax_digits(at, end, &length);
                if (!key || *key != ' ' || length > (uint64_t)(end - at) || length < (uint64_t)(key - at) + 3)
                        return false;
                key++;
                const char *next = at + length, *equals = memchr(key, '=', (size_t)(next - key));
                if (!equals || next[-1] != '\n' || equals == key)
                        return false;
                cleanup_free char *name = pax_text(key, (size_t)(equals - key));
                if (!name || !take(context, name, equals + 1, (size_t)(next - 1 - (equals + 1))))
                        return false;
                at = next;
        }
        return true;
}

void pax_add_attribute(struct xattrs *list, const char *name, const char *value, size_t size)
{
        void *copy = memory_new(size + 1);
        memcpy(copy, value, size);
        *vector_add(list->items, list->count, list->capacity) =
                (struct xattr){.name = memory_string(name), .value = copy, .size = size};
}

bool pax_is_zero(const struct tar_header *h)
{
        static const struct tar_header zero;
        return memcmp(h, &zero, sizeof zero) == 0;
}
