// SPDX-License-Identifier: GPL-3.0-or-later
/* Real root's file systems, alone and with mapped ids: see superuser.h. */
#include "host/linux/superuser.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "host/linux/identity.h"
#include "host/linux/kernel.h"

#include <grp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#define STAGE "/dev" /* exists on every Linux, and the environment has a /dev of its own */

static bool is_listed(const struct superuser *s, const char *path)
{
        for (size_t i = 0; i < s->count; i++)
                if (strcmp(s->staged[i].path, path) == 0)
                        return true;
        return false;
}

static void add_frozen(struct superuser *s, const struct plan *plan, size_t *capacity)
{
        for (size_t i = 0; i < plan->count; i++)
                for (size_t n = 0; n < plan->ops[i].frozen; n++) {
                        char *stage = memory_format(STAGE "/m/%zu", s->count);
                        *vector_add(s->staged, s->count, *capacity) = (struct staged){
                                .path = memory_string(plan->ops[i].sources[n]), .stage = stage, .frozen = true};
                }
}

int superuser_prepare(struct superuser *s, const struct launch *launch, const char *key, struct error *err)
{
        const struct system *system = launch->system;
        struct stat st;
        bool has = launch->state >= 0 && fstat(launch->state, &st) == 0 && identity_begins_range(st.st_uid);
        *s = (struct superuser){.base = has ? st.st_uid : identity_unused_range(key)};
        size_t capacity = 0;
        for (size_t i = 0; i < system->mount_count; i++) {
                const struct mount *mount = &system->mounts[i];
                bool own = path_is_below(mount->path, "/proc") || path_is_below(mount->path, "/dev");
                if (own || strcmp(mount->fstype, "autofs") == 0 || is_listed(s, mount->path))
                        continue;
                char *stage = memory_format(STAGE "/m/%zu", s->count);
                *vector_add(s->staged, s->count, capacity) =
                        (struct staged){.path = memory_string(mount->path), .stage = stage};
        }
        add_frozen(s, launch->plan, &capacity);
        s->mapped = mmap(NULL, s->count + 1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (s->mapped == MAP_FAILED)
                return error_sys(err, errno, "cannot share memory with the environment's first process");
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return error_sys(err, errno, "cannot make a mount namespace");
        return 0;
}

/* Clones one mount alone and maps its ids where its file system can, and they are not the environment's already. Returns the detached mount. */
static int clone_mapped(const struct staged *staged, int user_namespace, unsigned char *mapped,
                        struct error *err)
{
        const char *path = staged->path;
        cleanup_close int tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_NO_AUTOMOUNT);
        if (tree < 0)
                return errno == ENOENT || errno == EINVAL || errno == EACCES
                               ? -ENOENT /* covered by another mount: nobody sees it */
                               : error_sys(err, errno, "cannot clone the mount on %s", path);
        struct mount_attr attributes = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)user_namespace};
        *mapped = !staged->frozen && mount_setattr(tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0;
        return steal_fd(&tree);
}

static int attach_at(int tree, const char *point, bool directory, struct error *err)
{
        int made = directory ? mkdir(point, 0755) : mknod(point, S_IFREG | 0644, 0);
        if ((made < 0 && errno != EEXIST) ||
            move_mount(tree, "", AT_FDCWD, point, MOVE_MOUNT_F_EMPTY_PATH) < 0)
                return error_sys(err, errno, "cannot stage a mount on %s", point);
        return 0;
}

int superuser_stage(struct superuser *s, pid_t init, int state, struct error *err)
{
        int result = identity_map_range(init, s->base, IDENTITY_RANGE, err);
        if (result < 0)
                return result;
        char name[64];
        snprintf(name, sizeof name, "/proc/%d/ns/user", (int)init);
        cleanup_close int user_namespace = open(name, O_RDONLY | O_CLOEXEC);
        if (user_namespace < 0)
                return error_sys(err, errno, "cannot open %s", name);
        cleanup_close int devices = open_tree(AT_FDCWD, "/dev", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        cleanup_close int own = -1, parent = -1;
        if (state >= 0) {
                own = open_tree(state, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
                snprintf(name, sizeof name, "/proc/self/fd/%d", state);
                if (own < 0) /* the descriptor is older than our mount namespace: by name, then */
                        own = open_tree(AT_FDCWD, ".", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
                parent = open_tree(AT_FDCWD, "..", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
                if (own < 0 || parent < 0 || fchown(state, s->base, s->base) < 0)
                        return error_sys(err, errno, "cannot give the environment's directory to its ids");
                /* One that a reset or a snapshot before the first run left empty is still root's. */
                if (fchownat(state, "layer", s->base, s->base, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
                        return error_sys(err, errno, "cannot give the layer to the environment's ids");
        }
        cleanup_free int *trees = memory_grow(NULL, s->count, sizeof *trees);
        for (size_t i = 0; i < s->count; i++) {
                trees[i] = result < 0 ? -1 : clone_mapped(&s->staged[i], user_namespace, &s->mapped[i], err);
                if (trees[i] < 0 && trees[i] != -ENOENT)
                        result = result < 0 ? result : trees[i];
        }
        if (result == 0 && (mount("paddock", STAGE, "tmpfs", MS_NOSUID, "mode=0755") < 0 ||
                            mkdir(STAGE "/m", 0755) < 0 || mkdir(STAGE "/work", 0755) < 0))
                result = error_sys(err, errno, "cannot mount a stage on " STAGE);
        for (size_t i = 0; i < s->count; i++) {
                if (trees[i] < 0)
                        continue;
                struct stat st;
                if (result == 0 && fstat(trees[i], &st) == 0)
                        result = attach_at(trees[i], s->staged[i].stage, S_ISDIR(st.st_mode), err);
                close(trees[i]);
        }
        if (result == 0 && devices >= 0)
                result = attach_at(devices, STAGE "/d", true, err);
        if (result == 0 && own >= 0)
                result = attach_at(own, STAGE "/state", true, err);
        if (result == 0 && parent >= 0)
                result = attach_at(parent, SUPERUSER_PARENT, true, err);
        return result;
}

int superuser_enter(struct superuser *s, struct workplace *w, bool has_state, struct error *err)
{
        if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
                return error_sys(err, errno, "cannot become root of the environment");
        /* The change of ids made this process undumpable, and its /proc entries root's, which nobody here is. */
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
        if (has_state && chdir(STAGE "/state") < 0)
                return error_sys(err, errno, "cannot enter the environment's directory");
        if (unshare(CLONE_NEWNS) < 0)
                return error_sys(err, errno, "cannot make a mount namespace");
        for (size_t i = 0; i < s->count; i++)
                s->staged[i].mapped = s->mapped[i];
        w->staged = s->staged;
        w->staged_count = s->count;
        w->devices = STAGE "/d";
        w->stage_point = STAGE "/work";
        return 0;
}
