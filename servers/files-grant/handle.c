// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What is open inside: a number for the kernel, a descriptor outside. All grants share the descriptors that a process
 * may have; one of them gets no more than half of those that are left.
 */
#include "grant.h"

#include "base/cleanup.h"

#define FREE 1U

int handle_new(struct grant *g, struct node *node, int fd, bool writable, bool directory, struct handle **made)
{
        struct server *s = g->server;
        unsigned limit = atomic_load(&s->handle_limit), others = atomic_load(&s->handles) - g->handle_count;
        if (others >= limit || g->handle_count >= (limit - others) / 2)
                return -ENFILE;
        if (g->handle_free == 0) {
                uint32_t room = g->handle_room ? g->handle_room * 2 : 8;
                g->handles = memory_grow(g->handles, room, sizeof *g->handles);
                for (uint32_t i = g->handle_room; i < room; i++)
                        g->handles[i] = (struct handle *)((i + 1 < room ? (uintptr_t)(i + 2) << 1 : 0U) | FREE);
                g->handle_free = g->handle_room + 1;
                g->handle_room = room;
        }
        struct handle *handle = memory_new(sizeof *handle);
        uint32_t i = g->handle_free;
        g->handle_free = (uint32_t)((uintptr_t)g->handles[i - 1] >> 1);
        *handle = (struct handle){.fd = fd, .refs = 1, .slot = i, .generation = ++g->handle_generation, .node = node,
                                  .next = node->handles, .writable = writable, .directory = directory};
        pthread_mutex_init(&handle->listing, NULL);
        g->handles[i - 1] = handle;
        g->handle_count++;
        node->handles = handle;
        atomic_fetch_add(&s->handles, 1);
        *made = handle;
        return 0;
}

uint64_t handle_number(const struct handle *handle)
{
        return (uint64_t)handle->generation << 32 | handle->slot;
}

struct handle *handle_get(struct grant *g, uint64_t fh, uint64_t id)
{
        struct handle *handle = NULL;
        uint32_t slot = (uint32_t)fh;
        pthread_mutex_lock(&g->lock);
        if (slot > 0 && slot <= g->handle_room && !((uintptr_t)g->handles[slot - 1] & FREE))
                handle = g->handles[slot - 1];
        if (handle && (handle->generation != fh >> 32 || node_id(handle->node) != id))
                handle = NULL;
        if (handle)
                handle->refs++;
        pthread_mutex_unlock(&g->lock);
        return handle;
}

/* Nobody uses it any more. It left the table before. */
static void end_handle(struct grant *g, struct handle *handle)
{
        close(handle->fd);
        pthread_mutex_destroy(&handle->listing);
        free(handle);
        atomic_fetch_sub(&g->server->handles, 1);
}

void handle_put(struct grant *g, struct handle *handle)
{
        pthread_mutex_lock(&g->lock);
        bool last = --handle->refs == 0;
        pthread_mutex_unlock(&g->lock);
        if (last)
                end_handle(g, handle);
}

/* Out of the table and off its node. Lock held. */
static void leave_table(struct grant *g, struct handle *handle)
{
        struct handle **at;
        for (at = &handle->node->handles; *at != handle; at = &(*at)->next)
                ;
        *at = handle->next;
        g->handles[handle->slot - 1] = (struct handle *)((uintptr_t)g->handle_free << 1 | FREE);
        g->handle_free = handle->slot;
        g->handle_count--;
        node_forget(&g->tree, handle->node, 0);
        handle->node = NULL;
}

void handle_drop(struct grant *g, struct handle *handle)
{
        pthread_mutex_lock(&g->lock);
        bool first = handle->node;
        if (first)
                leave_table(g, handle);
        pthread_mutex_unlock(&g->lock);
        if (first)
                handle_put(g, handle);
}

void handles_end(struct grant *g)
{
        for (uint32_t i = 0; i < g->handle_room; i++) {
                struct handle *handle = g->handles[i];
                if ((uintptr_t)handle & FREE)
                        continue;
                leave_table(g, handle);
                end_handle(g, handle);
        }
        free(g->handles);
        g->handles = NULL;
        g->handle_room = 0;
}
