// SPDX-License-Identifier: GPL-3.0-or-later
/* What the slots of a run lie over: see cover.h and model/cover.h. */
#include "verbs/cover.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "model/cover.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static const struct plan_op *operation_of(const struct plan *plan, const struct slot *slot)
{
        for (size_t i = 0; i < plan->count; i++)
                if (plan->ops[i].slot == (int)slot->number && plan->ops[i].kind != PLAN_EXPOSE)
                        return &plan->ops[i];
        return NULL;
}

static void describe(struct cover *c, const struct plan_op *op)
{
        c->kind = op->kind == PLAN_LAYER ? COVER_CHANGES
                  : op->is_file          ? COVER_FILE
                  : op->source_count     ? COVER_ENTRIES
                                         : COVER_EMPTY;
        for (size_t i = op->frozen; i < op->source_count; i++) {
                /* Inside another environment a layer unites the parts of the outer one, which together are what the
                 * name shows. */
                if (path_is_below(op->sources[i], STACK_PLACE)) {
                        *vector_add(c->sources, c->source_count, c->source_capacity) = memory_string(op->path);
                        break;
                }
                *vector_add(c->sources, c->source_count, c->source_capacity) = memory_string(op->sources[i]);
        }
        static const enum cover_name_kind kinds[] = {COVER_NAME_DIRECTORY, COVER_NAME_OTHER, COVER_NAME_HIDDEN,
                                                     COVER_NAME_OTHER};
        for (size_t i = 0; i < op->name_count; i++)
                *vector_add(c->names, c->name_count, c->name_capacity) =
                        (struct cover_name){.kind = kinds[op->names[i].kind], .path = memory_string(op->names[i].path)};
}

static bool same_sources(const struct cover *a, const struct cover *b)
{
        bool same = a->kind == b->kind && a->source_count == b->source_count;
        for (size_t i = 0; same && i < a->source_count; i++)
                same = strcmp(a->sources[i], b->sources[i]) == 0;
        return same;
}

/* A layer that was emptied covers everything anew. */
static bool is_empty(int slot)
{
        int fd = openat(slot, "upper", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *entry;
        while (dir && (entry = readdir(dir)))
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                        return false;
        return dir != NULL;
}

int cover_record(int directory, const struct plan *plan, const struct slot *slot, bool fresh,
                 const struct timespec *started, struct error *err)
{
        const struct plan_op *op = operation_of(plan, slot);
        if (!op)
                return 0;
        char name[32];
        snprintf(name, sizeof name, "layer/%u", slot->number);
        cleanup_close int dir = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (dir < 0)
                return error_sys(err, errno, "cannot open %s", name);
        cleanup_cover struct cover now = {0}, before = {0};
        describe(&now, op);
        int loaded = cover_load(dir, &before, err);
        if (loaded < 0 && loaded != -ENOENT)
                error_clear(err); /* damaged: written anew, and nothing is sure */
        if (loaded == 0 && same_sources(&before, &now)) {
                now.since = before.since;
                now.inode = before.inode;
                cleanup_free char *old = cover_to_text(&before), *new = cover_to_text(&now);
                if (strcmp(old, new) == 0)
                        return 0;
        } else if (fresh || (loaded == -ENOENT && is_empty(dir))) {
                now.since = *started;
                struct stat st;
                if (now.source_count && lstat(now.sources[0], &st) == 0)
                        now.inode = st.st_ino;
        }
        return cover_store(dir, &now, err);
}
