// SPDX-License-Identifier: GPL-3.0-or-later
/* Who forbids namespaces: what is known of the machine, and the judgement, apart so that the tests can make machines
 * up. */
#pragma once

#include "base/error.h"

#include <stdbool.h>

/* The kinds of namespaces that the kernel counts in /proc/sys/user/max_<kind>_namespaces; a NULL ends the list. */
extern const char *const namespace_kinds[];
#define NAMESPACE_KINDS 8

struct namespace_facts {
        bool proc;                   /* /proc is mounted */
        bool built[NAMESPACE_KINDS]; /* the kernel has this kind */
        long limit[NAMESPACE_KINDS]; /* user.max_<kind>_namespaces; -1: unknown */
        bool superuser;              /* CAP_SYS_ADMIN over the whole machine */
        bool nested;                 /* in a user namespace already */
        bool ids_mapped;             /* our ids mean something in the namespace we are in */
        bool chrooted;
        bool filtered;          /* a seccomp filter refuses user namespaces (or kills who asks for them) */
        long clone_switch;      /* kernel.unprivileged_userns_clone (Debian); -1: there is none */
        long apparmor_switch;   /* kernel.apparmor_restrict_unprivileged_userns (Ubuntu); -1: there is none */
        char *apparmor_profile; /* the profile that confines us; NULL: none */
        bool selinux;           /* SELinux is enforcing */
        char *modules;          /* active security modules, as the kernel lists them; or NULL */
        const char *container;  /* what says that this is a container: a file or variable; or NULL */
        char *program;          /* what an AppArmor profile for paddock attaches to */
};

void namespace_facts_read(struct namespace_facts *facts);
void namespace_facts_clear(struct namespace_facts *facts);

/* Judges: records in `err` who forbids it (`code`: positive errno) and what to do. Returns -code. */
int namespace_facts_explain(const struct namespace_facts *facts, int code, struct error *err);

/* Is this root of the whole machine, from the texts of /proc/self/status and uid_map (each may be NULL)? */
bool is_superuser(const char *status, const char *uid_map);

/* What an AppArmor profile attaches to so that it covers both programs of an installation, given the name of one of
 * them. Fresh memory. */
char *apparmor_attachment(const char *program);

/* What to change where a container was started, so that paddock works in it. `container` as above. Static. */
const char *container_remedy(const char *container);
