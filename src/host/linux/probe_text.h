// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What the kernel and the administrator say in text, read without asking the system: so that the tests can give the
 * texts of other machines. `text` is always a whole NUL-terminated file.
 */
#pragma once

#include <stdbool.h>
#include "plan/system.h"

#include <stddef.h>

/* The number that a file like /proc/sys/... holds. False when it does not hold exactly one. */
bool text_number(const char *text, long *value);

/* "6.1.0-18-amd64" is 6 and 1. False when it does not begin with two numbers. */
bool text_kernel_version(const char *release, int *major, int *minor);

/* The value of `key` ("Seccomp", "CapEff") in a file of "Key:<white space>value" lines, in the given base. */
bool text_field(const char *text, const char *key, int base, unsigned long long *value);

/* Is `word` one of the words of a line that white space, commas or both separate? */
bool text_has_word(const char *text, const char *word);

/* /proc/PID/uid_map: does `id`, as seen inside, mean anything; and is it the map of the namespace the system booted
 * with? */
bool idmap_has(const char *text, unsigned long id);
bool idmap_is_whole(const char *text);


/* The largest range of `user` (by name or by number, as /etc/subuid allows both). `user` may be NULL. False: none. */
bool subid_largest(const char *text, const char *user, unsigned long uid, struct id_range *range);

/* All ranges of `user`, as subid_largest() finds them, in their order; those beyond `limit` ids in total are cut
 * off. */
void subid_all(const char *text, const char *user, unsigned long uid, unsigned long limit, struct id_ranges *ranges);

/* The first of base, base + 65536, base + 2*65536, ... from which 65,536 ids are in no range of the two texts (each may
 * be NULL). */
unsigned long subid_free(const char *subuid, const char *subgid, unsigned long base);

/* /etc/nsswitch.conf: the source that answers "subid:", when it is not the files. Fresh memory or NULL. */
char *nsswitch_subid(const char *text);

enum cgroup_kind { CGROUP_NONE, CGROUP_V1, CGROUP_HYBRID, CGROUP_V2 };

/* /proc/self/cgroup: which hierarchies there are. `path` (unless NULL) receives where the process is in the version 2
 * one, fresh memory or NULL; `v1` the version 1 controllers in use, separated by spaces, fresh memory or NULL. */
enum cgroup_kind cgroup_read(const char *text, char **path, char **v1);

/* /proc/self/mountinfo: the mount point of the first mount of type `fstype`. Fresh memory or NULL. */
char *mountinfo_find(const char *text, const char *fstype);

/* Is "/" itself a mount point? When it is not, the process is in a chroot of a plain directory. */
bool mountinfo_has_root(const char *text);

/* The first mount strictly below `top` that can hide what is under it (not an automount point, not binfmt_misc: those
 * stand on directories that are always empty). Fresh memory or NULL. */
char *mountinfo_cover(const char *text, const char *top);
