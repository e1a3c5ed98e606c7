// SPDX-License-Identifier: GPL-3.0-or-later
/* Things outside that are granted: looked at, and made ready to be handed to the warden. host/linux answers it here. */
#pragma once

#include "base/error.h"
#include "model/grant.h"

#include <stdbool.h>

struct resource {
        char *path;              /* canonical */
        enum resource_kind kind;
        int fd;                  /* for looking at only */
        bool linked;             /* the name that was given goes through a symbolic link */
};
#define RESOURCE_NONE ((struct resource){.fd = -1})
#define cleanup_resource __attribute__((cleanup(host_resource_clear)))
void host_resource_clear(struct resource *r);

/* Opens what `path` (absolute) names, and refuses by name what cannot be granted: what is not there, what is no tree,
 * file or socket, the kernel's own file systems, "/" for writing, and whatever holds or lies in `state`, the state
 * directory (may be NULL). */
int host_resource_open(struct resource *r, const char *path, bool writable, const char *state, struct error *err);

/* A detached mount of it, for a plain grant. A descriptor. `init` is the environment's first process: for real root,
 * whose environments have other ids, owners are mapped to those. */
int host_resource_mount(const struct resource *r, int init, bool writable, bool noexec, struct error *err);

/* A listening socket with the type of the socket `r`, named `name` in `directory`; *mount is a detached mount of that
 * name. A descriptor. */
int host_resource_listen(const struct resource *r, int directory, const char *name, int *mount, struct error *err);

/* A listening socket of type `type` (SOCK_*), named `name` in `directory`, where one of that name is removed
 * first. *mount, unless NULL, becomes a detached mount of that name. `shown` is what errors speak of. A
 * descriptor. */
int host_socket_listen(int type, int directory, const char *name, const char *shown, int *mount, struct error *err);

/* Starts a server of grants: the program `name`. Returns the socket to it. */
int host_grant_server(const char *name, struct error *err);
