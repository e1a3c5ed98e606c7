// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Memory and descriptors that free themselves at the end of their scope, and are stolen on success:
 *
 *      cleanup_free char *name = strdup(...);
 *      ...
 *      return steal_pointer(&name);
 */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_freep(void *p)
{
        free(*(void **)p);
}

/* Keeps errno: callers close on the way out of a failure whose errno they are about to report. */
static inline void cleanup_closep(int *fd)
{
        if (*fd >= 0) {
                int saved = errno;
                close(*fd);
                errno = saved;
        }
}

static inline void cleanup_closedirp(DIR **dir)
{
        if (*dir)
                closedir(*dir);
}

static inline void cleanup_fclosep(FILE **file)
{
        if (*file)
                fclose(*file);
}

#define cleanup_free __attribute__((cleanup(cleanup_freep)))
#define cleanup_close __attribute__((cleanup(cleanup_closep)))
#define cleanup_dir __attribute__((cleanup(cleanup_closedirp)))
#define cleanup_file __attribute__((cleanup(cleanup_fclosep)))

static inline int steal_fd(int *fd)
{
        int taken = *fd;
        *fd = -1;
        return taken;
}

static inline void *steal_pointer_(void *pointer)
{
        void **p = pointer, *taken = *p;
        *p = NULL;
        return taken;
}
#define steal_pointer(p) ((__typeof__(*(p)))steal_pointer_(p))

/* Memory for a description or a plan is small; running out of it leaves nothing sensible to do but to say so and stop
 * before anything was started. These never return NULL. */
void *memory_new(size_t size) __attribute__((returns_nonnull));                        /* zeroed */
void *memory_grow(void *p, size_t count, size_t size); /* count*size, overflow checked */
char *memory_string(const char *s);
char *memory_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Makes room for one more element in a vector {items, count, capacity} and returns a pointer to it, zeroed. */
#define vector_add(items, count, capacity)                                                                            \
        ({                                                                                                            \
                if ((count) == (capacity)) {                                                                          \
                        (capacity) = (capacity) ? (capacity)*2 : 8;                                                   \
                        (items) = memory_grow((items), (capacity), sizeof *(items));                                  \
                }                                                                                                     \
                __typeof__((items)) slot_ = &(items)[(count)++];                                                      \
                *slot_ = (__typeof__(*(items))){0};                                                                   \
                slot_;                                                                                                \
        })
