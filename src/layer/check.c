// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * May a change go to the outside? See commit.h, and "What a commit proves" in doc/architecture.md.
 */
#include "layer/commit.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

char *commit_target(const struct layer_slot *slot, const char *path)
{
        if (!slot->target)
                return NULL;
        const char *rest = path + (slot->path[1] ? strlen(slot->path) : 0);
        return rest[0] ? memory_format("%s%s", slot->target[1] ? slot->target : "", rest) : memory_string(slot->target);
}

static bool is_forced(const struct commit *c, const char *path)
{
        for (size_t i = 0; i < c->forced_count; i++)
                if (path_is_below(path, c->forced[i]))
                        return true;
        return false;
}

int commit_tree_is_old(const struct commit *c, int dir, const char *name, const char *path,
                       const struct timespec *since, bool strict, char **found)
{
        cleanup_close int fd = files_open_directory(dir, name);
        if (fd < 0)
                return fd;
        struct names names = {.budget = 1 << 20};
        int result = 1;
        for (int more; result == 1 && (more = names_next(&names, &fd, 1)) != 0;) {
                if (more < 0)
                        result = more;
                for (size_t i = 0; i < names.count && result == 1; i++) {
                        struct meta meta;
                        cleanup_free char *below = path_join(path, names.items[i]);
                        int looked = files_look(fd, names.items[i], false, &meta);
                        if (looked < 0) {
                                result = looked;
                                break;
                        }
                        /* A commit at work changes directories from which it takes something out, and other names of a
                         * file. */
                        const struct timespec *age = !strict && time_before(&meta.mtime, &meta.ctime) ? &meta.mtime
                                                                                                      : &meta.ctime;
                        bool loose = !strict && meta.type == META_DIRECTORY;
                        if (meta.type != META_NONE && !loose && !time_before(age, since) &&
                            !known_has(&c->known, below, &meta)) {
                                *found = steal_pointer(&below);
                                result = 0;
                        } else if (meta.type == META_DIRECTORY) {
                                result = commit_tree_is_old(c, fd, names.items[i], below, since, strict, found);
                        }
                }
        }
        names_clear(&names);
        return result;
}

/* Is what stands outside known to be what the layer covered? NULL: yes. */
static const char *unproven(const struct commit *c, const struct change *change, const char *target)
{
        if (change->proof == PROOF_SURE || known_has(&c->known, target, &change->before))
                return NULL;
        if (change->proof == PROOF_CHANGED)
                return "it was changed outside since the environment first had it";
        if (change->proof == PROOF_HIDDEN)
                return "a rule hides what is there outside, and nobody inside has seen it";
        return "whether it was changed outside since cannot be told";
}

/* A directory that goes, with what is in it. */
static const char *tree_unproven(const struct commit *c, const struct change *change, int parent, const char *target,
                                 char **text)
{
        char *found = NULL;
        int result = commit_tree_is_old(c, parent, path_name(target), target, &change->since, true, &found);
        cleanup_free char *owned = found;
        if (result == 1)
                return NULL;
        if (result < 0) {
                *text = memory_format("what is in it outside cannot be looked at: %s", strerror(-result));
        } else {
                cleanup_free char *shown = text_escape(owned);
                *text = memory_format("%s in it was changed outside since the environment first had it", shown);
        }
        return *text;
}

static bool in_group(const struct commit *c, gid_t gid)
{
        if (gid == c->gid || c->inside)
                return gid == c->gid;
        gid_t groups[1024];
        int count = getgroups(1024, groups);
        for (int i = 0; i < count; i++)
                if (groups[i] == gid)
                        return true;
        return false;
}

/* Ids in access lists and capabilities of an environment with ids of its own mean others outside; and what a file has
 * outside of these root inside was not shown, so it would be lost. */
static const char *not_to_carry(const struct change *change, const char *target)
{
        struct xattrs own = {0}, base = {0};
        const char *why = NULL;
        if (change->after.type == META_SYMLINK)
                return NULL;
        cleanup_close int fd = change_open_any(change->slot, change->path);
        cleanup_free char *above = path_parent(target);
        bool covers = change->before.type == change->after.type;
        cleanup_close int parent = covers ? files_open_root(above) : -1;
        if (fd < 0 || files_xattrs(fd, "", 0, &own) < 0 ||
            (covers && (parent < 0 || files_xattrs(parent, path_name(target), 0, &base) < 0)))
                why = "its attributes cannot be read";
        for (size_t i = 0; i < own.count; i++)
                if (strncmp(own.items[i].name, "user.", 5) != 0)
                        why = "inside it has an access list or capabilities, whose ids mean others outside";
        if (!why && base.count > own.count)
                why = "outside it has attributes or an access list, which root inside was not shown";
        files_xattrs_clear(&own);
        files_xattrs_clear(&base);
        return why;
}

/* Could the invoking user make what the layer has? */
static const char *not_to_make(const struct commit *c, const struct change *change, const char *target, char **text)
{
        if (c->uid == 0 || change->kind == CHANGE_DELETED)
                return NULL;
        if (change->after.type == META_DEVICE)
                return "it is a device, which only root makes";
        if (change->after.uid != c->uid || !in_group(c, change->after.gid)) {
                *text = memory_format("inside it belongs to %u:%u, which you cannot give it to", change->after.uid,
                                      change->after.gid);
                return *text;
        }
        if (c->inside)
                return not_to_carry(change, target);
        if (change->after.type != META_REGULAR || !(change->after.mode & 0111))
                return NULL;
        int own = c->open_own ? c->open_own(c->context, change->slot, change->path)
                              : change_open(change->slot, change->path, true);
        struct xattrs list = {0};
        bool capable = false;
        if (own >= 0 && files_xattrs(own, "", 0, &list) == 0)
                for (size_t i = 0; i < list.count; i++)
                        capable |= strcmp(list.items[i].name, "security.capability") == 0;
        files_xattrs_clear(&list);
        if (own >= 0)
                close(own);
        return capable ? "it has capabilities, which only root gives" : NULL;
}

/* May the invoking user make and remove this name? `outside`: the directory. */
static const char *not_to_write(const struct commit *c, const struct change *change, int parent, char **text)
{
        struct meta dir;
        if (!files_may_change(parent)) {
                *text = memory_format("you may not write the directory that it is in: %s", strerror(errno));
                return *text;
        }
        /* A process with ids of its own has power over the user's files, which the user has not. */
        bool own = c->inside && files_look(parent, "", false, &dir) == 0 && dir.uid == geteuid();
        if (own && (dir.mode & 0300) != 0300)
                return "you may not write the directory that it is in";
        if (c->inside && !files_clock_is_ours(parent))
                return "whether it was changed outside since cannot be told";
        bool another = change->before.type != META_NONE && change->before.uid != c->uid;
        if (c->uid != 0 && another && files_look(parent, "", false, &dir) == 0 && (dir.mode & 01000) &&
            dir.uid != geteuid())
                return "it belongs to somebody else, in a directory where only they may remove it";
        return NULL;
}

const char *commit_lacking(struct commit *c, const struct change *change, int parent, const char *target, char **text)
{
        c->proved = change->since;
        const char *why = unproven(c, change, target);
        if (!why && change->before.type == META_DIRECTORY && change->kind != CHANGE_CHANGED && parent >= 0)
                why = tree_unproven(c, change, parent, target, text);
        struct timespec since;
        if (!why || !bases_prove(&c->bases, change, target, &since))
                return why;
        c->proved = since;
        return NULL;
}

static const char *meta_refused(struct commit *c, const struct change *change, const char *target, char **text)
{
        if (change->what == CHANGE_TIMES)
                return NULL;
        if (c->inside) {
                const char *why = not_to_make(c, change, target, text);
                if (why)
                        return why;
        }
        if (c->uid != 0 && change->before.uid != c->uid)
                return "only its owner may change the permissions of a directory";
        return is_forced(c, change->path) ? NULL : commit_lacking(c, change, -1, target, text);
}

/* Was the base of a changed file one that nobody can have read? */
static bool is_unreadable(const struct commit *c, const struct change *change, int parent, const char *target)
{
        return change->kind == CHANGE_CHANGED && change->copy && change->before.type == META_REGULAR &&
               change->before.uid != c->uid && faccessat(parent, path_name(target), R_OK, AT_SYMLINK_NOFOLLOW) < 0;
}

/* A name that is not outside, of a file that was copied from there: was it renamed inside, or deleted outside? */
static bool is_orphan(const struct commit *c, const struct change *change, const char *target)
{
        struct timespec since;
        return change->kind == CHANGE_ADDED && change->copy && !change->link &&
               !(change->since.tv_sec && change->parent_ctime.tv_sec &&
                 time_before(&change->parent_ctime, &change->since)) &&
               !bases_prove(&c->bases, change, target, &since);
}

/* Why it is refused, or NULL. What is no constant is put into *text. */
static const char *refusal(struct commit *c, const struct change *change, const char *target, char **text)
{
        if (!target)
                return "several directories show through there: which of them is meant cannot be told";
        if (change->passage && change->kind == CHANGE_REPLACED)
                return "it replaced something else outside: choose it as a whole";
        bool forced = is_forced(c, change->path);
        if (change->top || (change->kind == CHANGE_CHANGED && change->after.type == META_DIRECTORY))
                return meta_refused(c, change, target, text);
        const char *why = not_to_make(c, change, target, text);
        if (why)
                return why;
        if (change->parent_new)
                return NULL; /* that directory is looked at by itself */
        cleanup_free char *above = path_parent(target);
        cleanup_close int parent = files_open_root(above);
        if (parent == -ELOOP || parent == -ENOTDIR)
                return "a symbolic link or file stands outside where a directory above it was";
        if (parent < 0 && parent != -ENOENT) {
                *text = memory_format("the directory that it is in cannot be opened: %s", strerror(-parent));
                return *text;
        }
        if (parent < 0)
                return NULL; /* made before it, or refused itself */
        why = not_to_write(c, change, parent, text);
        if (why)
                return why;
        struct meta now = change->before;
        if (change->before.type == META_NONE && files_look(parent, path_name(target), false, &now) == 0 &&
            now.type != META_NONE && !forced && !known_has(&c->known, target, &now))
                return "the name is there outside, and nobody inside has seen it";
        if (forced || change->before.type == META_NONE)
                return !forced && is_orphan(c, change, target)
                               ? "it is a copy of a file outside that is not there any more, deleted or renamed: if "
                                 "it was renamed inside, choose its old name too"
                               : NULL;
        if (is_unreadable(c, change, parent, target))
                return "it is based on a file that you cannot read";
        if (c->merge && change->kind == CHANGE_CHANGED && change->after.type == META_REGULAR)
                return NULL;
        return commit_lacking(c, change, parent, target, text);
}

static bool is_chosen(const struct commit *c, const char *path)
{
        for (size_t i = 0; i < c->path_count; i++)
                if (path_is_below(path, c->paths[i]))
                        return true;
        return !c->paths;
}

static int write_down(struct commit *c, const struct change *change, const char *target)
{
        bool directory = change->after.type == META_DIRECTORY;
        cleanup_free char *text = NULL;
        struct item item = {.kind = change->kind == CHANGE_DELETED                ? ITEM_DELETE
                                    : directory && change->kind == CHANGE_CHANGED ? ITEM_META
                                    : directory                                   ? ITEM_DIRECTORY
                                    : change->link && is_chosen(c, change->link)  ? ITEM_LINK
                                                                                  : ITEM_PUT,
                            .forced = is_forced(c, change->path),
                            .only_time = change->what == CHANGE_TIMES,
                            .slot = change->slot->number,
                            .before = change->before,
                            .after = change->after.type,
                            .since = c->proved,
                            .path = (char *)change->path};
        if (item.kind == ITEM_LINK)
                item.link = (char *)change->link;
        /* A merge is only wanted where the two really went apart. */
        if (c->merge && item.kind == ITEM_PUT && change->kind == CHANGE_CHANGED && change->after.type == META_REGULAR &&
            !item.forced && commit_lacking(c, change, -1, target, &text))
                item.kind = ITEM_MERGE;
        c->items++;
        return journal_add(&c->journal, &item);
}

static int check(struct commit *c, const struct change *change)
{
        cleanup_free char *target = commit_target(change->slot, change->path), *text = NULL;
        c->proved = change->since;
        const char *why = refusal(c, change, target, &text);
        cleanup_free char *fallen = why || change->what == CHANGE_TIMES ? NULL
                                                                        : folds_refuse(&c->folds, change, target);
        why = why ? why : fallen;
        if (change->what == CHANGE_TIMES && why)
                return 0; /* a directory's time is only taken along */
        if (change->what != CHANGE_TIMES || change->after.type != META_DIRECTORY)
                c->tell(c->context, change, change->path, why);
        if (why) {
                c->refused++;
                return 0;
        }
        return write_down(c, change, target);
}

int commit_check(void *context, const struct change *change)
{
        struct commit *c = context;
        if (!c->asked) {
                c->uid = geteuid();
                c->gid = getegid();
                c->asked = true;
        }
        if (change->kind != CHANGE_RENAMED)
                return check(c, change);
        struct change added = *change, deleted = *change;
        added.kind = CHANGE_ADDED;
        added.before = (struct meta){.type = META_NONE};
        added.copy = false; /* it is clear where it comes from */
        deleted.kind = CHANGE_DELETED;
        deleted.path = change->from;
        deleted.after = (struct meta){.type = META_NONE};
        int result = check(c, &added);
        return result < 0 ? result : check(c, &deleted);
}
