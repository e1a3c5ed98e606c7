// SPDX-License-Identifier: GPL-3.0-or-later
/* Waiting without memory: see idle.h. */
#include "host/linux/idle.h"

#include "host/living.h"

#include <link.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define PATIENCE 100 /* milliseconds */

#define PARTS 8 /* of a statically linked program: its headers, text and constants */

struct parts {
        struct {
                void *start;
                size_t size;
        } part[PARTS];
        size_t count;
};

/* Lists the read-only parts of one loaded object. */
static int list_object(struct dl_phdr_info *info, size_t size, void *context)
{
        (void)size;
        struct parts *parts = context;
        uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
        for (int i = 0; i < info->dlpi_phnum && parts->count < PARTS; i++) {
                const ElfW(Phdr) *part = &info->dlpi_phdr[i];
                if (part->p_type != PT_LOAD || (part->p_flags & PF_W))
                        continue;
                uintptr_t start = (info->dlpi_addr + part->p_vaddr) & ~(page - 1);
                uintptr_t end = (info->dlpi_addr + part->p_vaddr + part->p_memsz) & ~(page - 1);
                if (end > start) {
                        parts->part[parts->count].start = (void *)start;
                        parts->part[parts->count++].size = end - start;
                }
        }
        return 0;
}

int idle_poll(struct pollfd *fds, nfds_t count)
{
        return idle_poll_until(fds, count, -1);
}

int host_wait(struct pollfd *fds, size_t count, int timeout)
{
        return idle_poll_until(fds, (nfds_t)count, timeout);
}

int idle_poll_until(struct pollfd *fds, nfds_t count, int timeout)
{
        bool patient = timeout < 0 || timeout > 2 * PATIENCE;
        int ready = poll(fds, count, patient ? PATIENCE : timeout);
        if (ready != 0 || !patient)
                return ready;
        struct parts parts = {.count = 0};
#ifdef __GLIBC__ /* musl gives back what is free by itself */
        malloc_trim(0);
#endif
        dl_iterate_phdr(list_object, &parts);
        /* Last, and nothing between it and waiting: whatever runs after it is loaded again. */
        for (size_t i = 0; i < parts.count; i++)
                madvise(parts.part[i].start, parts.part[i].size, MADV_DONTNEED); /* refused: the pages just stay */
        return poll(fds, count, timeout < 0 ? -1 : timeout - PATIENCE);
}
