// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Layers: whether changes can be kept beside what they change, on disk and in memory.
 *
 * Theory of operation. The disk trial works in a directory `.paddock-probe-PID-TIME`, made where the state directory is
 * or will be: only there does its answer mean anything. The terminal's and the administrator's signals wait while it
 * exists; what a kill -9 left there is removed by the next look.
 */
#include "base/cleanup.h"
#include "base/path.h"
#include "base/tree.h"
#include "host/linux/probe_trial.h"
#include "model/store.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <time.h>

#define PREFIX ".paddock-probe-"
#define STALE 60           /* seconds after which a directory of that name has no owner any more */
#define SWEEP_ENTRIES 4096 /* of the directory searched for such: a home has fewer, and the look stays short */

enum { STEP_TMPFS = TRIAL_OWN, STEP_MAKE, STEP_XATTR, STEP_MOUNT, STEP_COPY, STEP_REPLACE, STEP_CHECK, STEP_UNNAMED };

static const char *step_words(int step)
{
        return step == STEP_TMPFS     ? "mount a memory file system"
               : step == STEP_MAKE    ? "make files for the trial"
               : step == STEP_XATTR   ? "set user.* extended attributes"
               : step == STEP_MOUNT   ? "mount an overlay"
               : step == STEP_COPY    ? "change a file of the main system in an overlay"
               : step == STEP_REPLACE ? "replace a directory of the main system in an overlay"
               : step == STEP_UNNAMED ? "make an unnamed file in an overlay"
               : step == STEP_CHECK   ? "trust the overlay: a change went through to the main system"
                                      : "enter namespaces";
}

/* Makes in `dir` what an overlay needs: lower/file, lower/directory/old, upper, work, merged. 0 or a negative errno. */
static int make_tree(int dir)
{
        static const char *const directories[] = {"lower", "lower/directory", "upper", "work", "merged"};
        static const char *const files[] = {"lower/file", "lower/directory/old"};
        for (size_t i = 0; i < sizeof directories / sizeof *directories; i++)
                if (mkdirat(dir, directories[i], 0700) < 0)
                        return -errno;
        for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
                cleanup_close int fd = openat(dir, files[i], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
                if (fd < 0)
                        return -errno;
        }
        return 0;
}

/* Uses an overlay in the working directory, where make_tree() was: what programs do most and what needs most. */
static int use_overlay(struct trial *trial)
{
        struct stat st;
        trial->step = STEP_MOUNT;
        if (mount("overlay", "merged", "overlay", MS_NOSUID | MS_NODEV,
                  "lowerdir=lower,upperdir=upper,workdir=work,userxattr") < 0)
                return -errno;

        trial->step = STEP_COPY;
        cleanup_close int file = open("merged/file", O_WRONLY | O_APPEND | O_CLOEXEC);
        if (file < 0 || write(file, "x", 1) != 1)
                return -errno;

        /* A directory made where one of the lower was removed must be empty: that takes an attribute. */
        trial->step = STEP_REPLACE;
        if (unlink("merged/directory/old") < 0 || rmdir("merged/directory") < 0 || mkdir("merged/directory", 0700) < 0)
                return -errno;
        if (stat("merged/directory/old", &st) == 0)
                return -EEXIST;

        trial->step = STEP_CHECK;
        if (stat("lower/file", &st) < 0 || st.st_size != 0 || stat("lower/directory/old", &st) < 0)
                return -EPERM;
        return 0;
}

/* Enters namespaces and makes a tree in memory, the working directory. */
static int enter_memory(struct trial *trial)
{
        int result = trial_enter(trial, CLONE_NEWNS);
        if (result < 0)
                return result;
        trial->step = STEP_TMPFS;
        if (mount("tmpfs", "/proc", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700,size=1m") < 0 || chdir("/proc") < 0)
                return -errno;
        trial->step = STEP_MAKE;
        return make_tree(AT_FDCWD);
}

static int try_memory(struct trial *trial, const void *argument)
{
        (void)argument;
        int result = enter_memory(trial);
        return result < 0 ? result : use_overlay(trial);
}

/* O_TMPFILE is the overlay's own affair: whatever lies below, Linux before 6.10 refuses it. */
static int try_unnamed(struct trial *trial, const void *argument)
{
        (void)argument;
        int result = enter_memory(trial);
        if (result < 0)
                return result;
        trial->step = STEP_MOUNT;
        if (mount("overlay", "merged", "overlay", MS_NOSUID | MS_NODEV,
                  "lowerdir=lower,upperdir=upper,workdir=work,userxattr") < 0)
                return -errno;
        trial->step = STEP_UNNAMED;
        cleanup_close int file = open("merged", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
        return file < 0 ? -errno : 0;
}

static int try_disk(struct trial *trial, const void *argument)
{
        const int *dir = argument;
        trial->step = STEP_MAKE;
        if (fchdir(*dir) < 0)
                return -errno;
        int result = make_tree(*dir);
        if (result < 0)
                return result;
        trial->step = STEP_XATTR;
        if (setxattr("upper", "user.paddock", "y", 1, 0) < 0)
                return -errno;
        result = trial_enter(trial, CLONE_NEWNS);
        return result < 0 ? result : use_overlay(trial);
}

/* The name of a file system type, as far as it matters here. */
static const char *type_word(int dir)
{
        static const struct {
                unsigned long magic;
                const char *word;
        } types[] = {
                {0xef53, "ext4"},        {0x9123683e, "btrfs"},    {0x58465342, "xfs"},  {0x01021994, "tmpfs"},
                {0x794c7630, "overlay"}, {0x6969, "nfs"},          {0x65735546, "fuse"}, {0x2fc12fc1, "zfs"},
                {0xf2f52010, "f2fs"},    {0xca451a4e, "bcachefs"}, {0xf15f, "ecryptfs"}, {0xff534d42, "cifs"},
                {0xfe534d42, "smb2"},    {0x01021997, "9p"},       {0x4d44, "vfat"},     {0x2011bab0, "exfat"},
        };
        struct statfs st;
        if (fstatfs(dir, &st) < 0)
                return "unknown file system";
        for (size_t i = 0; i < sizeof types / sizeof *types; i++)
                if ((unsigned long)st.f_type == types[i].magic)
                        return types[i].word;
        return "other file system";
}

/* Removes what a killed look left in `dir`. Silent: it is only tidying. */
static void sweep(int dir)
{
        int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cleanup_dir DIR *entries = copy < 0 ? NULL : fdopendir(copy);
        if (!entries) {
                if (copy >= 0)
                        close(copy);
                return;
        }
        struct dirent *entry;
        for (int i = 0; i < SWEEP_ENTRIES && (entry = readdir(entries)); i++) {
                struct stat st;
                if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0 ||
                    fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode) ||
                    st.st_uid != geteuid() || st.st_ctime + STALE > time(NULL))
                        continue;
                cleanup_error struct error ignored = ERROR_INIT;
                tree_remove(dir, entry->d_name, &ignored);
        }
}

/* Makes a directory of our own in `dir` and runs the disk trial in it; nothing of it remains. `leftover` receives the
 * reason when something does (heap). */
static struct trial run_disk(struct probing *p, int dir, char **leftover)
{
        struct trial trial = {.step = STEP_MAKE};
        sigset_t wait_for_us, before;
        sigemptyset(&wait_for_us);
        static const int polite[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGPIPE};
        for (size_t i = 0; i < sizeof polite / sizeof *polite; i++)
                sigaddset(&wait_for_us, polite[i]);
        sigprocmask(SIG_BLOCK, &wait_for_us, &before);

        char name[64];
        unsigned long number = (unsigned long)trial_clock();
        snprintf(name, sizeof name, PREFIX "%d-%lx", (int)getpid(), number);
        if (mkdirat(dir, name, 0700) < 0) {
                trial.code = errno;
        } else {
                cleanup_close int here = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (here < 0)
                        trial.code = errno;
                else
                        trial = trial_run(p, try_disk, &here);
                cleanup_error struct error err = ERROR_INIT;
                if (tree_remove(dir, name, &err) < 0)
                        *leftover = memory_format("%s: %s", name, err.text);
        }
        sigprocmask(SIG_SETMASK, &before, NULL);
        return trial;
}

/* The nearest directory of `path` that exists: its descriptor, with `path` replaced by its name. A negative errno when
 * something on the way is no directory or cannot be entered. */
static int nearest(char **path)
{
        for (;;) {
                int fd = open(*path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (fd >= 0)
                        return fd;
                if (errno != ENOENT || strcmp(*path, "/") == 0)
                        return -errno;
                char *parent = path_parent(*path);
                free(*path);
                *path = parent;
        }
}

/* Is it the kernel, or who guards it, rather than the file system below, that refuses the overlay? */
static bool kernel_refuses(const struct trial *trial)
{
        return trial->step == STEP_MOUNT && (trial->code == ENODEV || trial->code == EPERM || trial->code == EACCES);
}

static const char *kernel_remedy(const struct trial *trial)
{
        if (trial->code == ENODEV)
                return "as root: modprobe overlay; to keep it: echo overlay > /etc/modules-load.d/paddock.conf";
        return "boot Linux 5.11 or newer with CONFIG_OVERLAY_FS, and let the container or security module around this "
               "process allow overlay mounts";
}

/* Fills in the line for the state directory. Returns false when layers on disk do not work. */
static bool probe_disk(struct probing *p, struct probe *probe)
{
        static const char lost[] = "changes cannot be kept on disk: environments live in memory and end with their run";
        static const char move[] = "set XDG_STATE_HOME to a directory of your own on ext4, xfs or btrfs";
        cleanup_free char *state = store_path(), *path = state ? memory_string(state) : NULL;
        if (!path) {
                probe_set(probe, PROBE_MISSING,
                          "no place to keep it: neither HOME nor XDG_STATE_HOME is an absolute name");
                probe_but(probe, lost, "set HOME, or XDG_STATE_HOME to a directory of your own");
                return false;
        }
        cleanup_close int dir = nearest(&path);
        struct stat st;
        if (dir < 0 || fstat(dir, &st) < 0) {
                probe_set(probe, PROBE_MISSING, "cannot open %s: %s", path, strerror(dir < 0 ? -dir : errno));
                probe_but(probe, lost, "%s", move);
                return false;
        }
        if (strcmp(path, state) == 0 && st.st_uid != geteuid()) {
                probe_set(probe, PROBE_MISSING, "the state directory %s belongs to uid %u, not to you (uid %u)", path,
                          (unsigned)st.st_uid, (unsigned)geteuid());
                probe_but(probe, lost, "set HOME to your own, or XDG_STATE_HOME to a directory of your own");
                return false;
        }
        sweep(dir);
        cleanup_free char *leftover = NULL;
        struct trial trial = run_disk(p, dir, &leftover);
        if (!probe_settled(probe, &trial, "%s (%s) takes overlays and user.* attributes", path, type_word(dir))) {
                cleanup_free char *reason = trial_reason(&trial);
                probe_set(probe, trial.step == STEP_REPLACE ? PROBE_DEGRADED : PROBE_MISSING,
                          "cannot %s in %s (%s): %s", step_words(trial.step), path, type_word(dir), reason);
                probe_but(probe,
                          trial.step == STEP_REPLACE
                                  ? "a directory of the main system cannot be removed and made anew inside"
                                  : lost,
                          trial.code == ENOSPC || trial.code == EDQUOT ? "make room there, or %s" : "%s",
                          kernel_refuses(&trial) ? kernel_remedy(&trial) : move);
        }
        if (leftover && probe->state == PROBE_GOOD) {
                probe_set(probe, PROBE_DEGRADED, "it works, but the trial left something in %s: cannot remove %s", path,
                          leftover);
                probe_but(probe, "none for runs", "remove it by hand");
        }
        return trial.code == 0 || trial.step == STEP_REPLACE;
}

static bool probe_memory(struct probing *p, struct probe *probe)
{
        struct trial trial = trial_run(p, try_memory, NULL);
        if (probe_settled(probe, &trial, "overlays on a memory file system"))
                return trial.code == 0;
        probe_failed(probe, step_words(trial.step), &trial);
        if (trial.step == STEP_REPLACE) {
                /* tmpfs without user.* attributes. */
                probe->state = PROBE_DEGRADED;
                probe_but(probe,
                          "with a layer in memory, a directory of the main system cannot be removed and made anew "
                          "inside",
                          "keep layers on disk, or boot Linux 6.6 or newer");
                return true;
        }
        probe_but(probe, "environments cannot live in memory", "%s", kernel_remedy(&trial));
        return false;
}

static void probe_unnamed(struct probing *p)
{
        struct probe *probe = probe_add(p, "unnamed files", false);
        if (probe_impossible(p, probe))
                return;
        struct trial trial = trial_run(p, try_unnamed, NULL);
        if (probe_settled(probe, &trial, "O_TMPFILE works in layers"))
                return;
        probe_failed(probe, step_words(trial.step), &trial);
        if (trial.step == STEP_UNNAMED)
                probe->state = PROBE_DEGRADED;
        probe_but(probe,
                  "programs that ask for a file without a name (O_TMPFILE) are refused it inside; most make a named "
                  "one "
                  "then",
                  "%s", trial.step == STEP_UNNAMED ? "boot Linux 6.10 or newer" : "see the layers above");
}

void probe_layers(struct probing *p)
{
        struct probe *probe = probe_add(p, "layers on disk", false);
        bool disk = !probe_impossible(p, probe) && probe_disk(p, probe);
        probe = probe_add(p, "layers in memory", false);
        bool memory = !probe_impossible(p, probe) && probe_memory(p, probe);
        /* One of the two is enough. */
        if (!disk && !memory && p->namespaces) {
                probe->essential = true;
                probe_but(probe, "`paddock run` has nowhere to put what is changed inside", "%s",
                          probe->remedy ? probe->remedy : "see above");
        }
        probe_unnamed(p);
}
