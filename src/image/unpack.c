// SPDX-License-Identifier: GPL-3.0-or-later
/* Archives laid into a tree: see unpack.h. */
#include "image/unpack.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "base/tree.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define NAME_LIMIT 4095
#define PIECE (1 << 18)
#define WHITEOUT ".wh."
#define OPAQUE ".wh..wh..opq"

/* A directory's time is set when everything is in it: what the archive says of it, else what it was before. */
struct dated {
        char *path;
        struct timespec mtime;
        bool said;
};

struct job {
        struct unpacked *u;
        struct archive *a;
        enum unpack_pass pass;
        struct dated *dated;
        size_t count, capacity;
        char *above; /* the directory that was changed last */
        char *buffer;
        struct error *err;
};

static int refuse(struct job *j, int code, const char *why)
{
        cleanup_free char *shown = text_escape(j->a->entry.name);
        return error_set(j->err, code, "%.300s%s: %s", shown, strlen(shown) > 300 ? "..." : "", why);
}

static int failed(struct job *j, const char *what)
{
        int code = errno;
        cleanup_free char *shown = text_escape(j->a->entry.name);
        error_sys(j->err, code, "%.300s: %s", shown, what);
        if (code == EINVAL && (j->a->entry.uid > 65535 || j->a->entry.gid > 65535))
                error_remedy(j->err, "its owner (%llu:%llu) is not among the 65536 ids that an environment has",
                             (unsigned long long)j->a->entry.uid, (unsigned long long)j->a->entry.gid);
        return -code;
}

/* The name relative to the tree, in place: without what leads to its top. "" is the top itself. -EINVAL: it leads
 * out. */
static int take_name(struct job *j, char *name, char **relative)
{
        char *at = name;
        for (;;) {
                while (*at == '/')
                        at++;
                if (at[0] == '.' && (at[1] == '/' || !at[1]))
                        at++;
                else
                        break;
        }
        if (strlen(at) > NAME_LIMIT)
                return refuse(j, ENAMETOOLONG, "the name is too long");
        for (const char *part = at; *part;) {
                size_t n = strcspn(part, "/");
                if (n == 2 && part[0] == '.' && part[1] == '.')
                        return refuse(j, EINVAL, "the name leads out of the tree ('..')");
                if (n > 255)
                        return refuse(j, ENAMETOOLONG, "a component of the name is too long");
                part += n;
                part += strspn(part, "/");
        }
        *relative = at;
        return 0;
}

/* Before the first change in the directory `path`, for what is made in it: its time is kept. So a tree does not
 * depend on when it was made. */
static void keep_time(struct job *j, const char *path)
{
        struct stat st;
        if ((j->above && strcmp(j->above, path) == 0) || stat(path, &st) < 0)
                return;
        free(j->above);
        j->above = memory_string(path);
        *vector_add(j->dated, j->count, j->capacity) = (struct dated){.path = memory_string(path), .mtime = st.st_mtim};
}

static void keep_time_above(struct job *j, const char *path)
{
        const char *slash = strrchr(path, '/');
        cleanup_free char *above = slash ? memory_format("%.*s", (int)(slash - path), path) : memory_string(".");
        keep_time(j, above);
}

/* The earliest that is known of a directory was its time; what the archive says goes before that. */
static void set_times(struct job *j, bool good)
{
        for (size_t i = j->count; good && i-- > 0;)
                if (!j->dated[i].said) {
                        struct timespec times[2] = {j->dated[i].mtime, j->dated[i].mtime};
                        (void)!utimensat(AT_FDCWD, j->dated[i].path, times,
                                         AT_SYMLINK_NOFOLLOW); /* replaced since: not ours */
                }
        for (size_t i = 0; i < j->count; i++) {
                struct timespec times[2] = {j->dated[i].mtime, j->dated[i].mtime};
                if (good && j->dated[i].said)
                        (void)!utimensat(AT_FDCWD, j->dated[i].path, times, AT_SYMLINK_NOFOLLOW);
                free(j->dated[i].path);
        }
        free(j->dated);
        free(j->above);
}

/* Makes the directories above a name that are not there. A link among them is followed, inside the tree. */
static int make_parents(struct job *j, char *path)
{
        for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                struct stat st;
                int result = 0;
                if (stat(path, &st) < 0) {
                        static const struct timespec never[2];
                        keep_time_above(j, path);
                        result = mkdir(path, 0755);
                        if (result == 0)
                                utimensat(AT_FDCWD, path, never, 0);
                } else if (!S_ISDIR(st.st_mode)) {
                        result = (errno = ENOTDIR, -1);
                }
                *slash = '/';
                if (result < 0)
                        return failed(j, "cannot make the directories above it");
        }
        return 0;
}

/* Takes away what has the name, unless both are directories. 1: a directory stays. */
static int make_way(struct job *j, const char *path, bool directory)
{
        struct stat st;
        if (lstat(path, &st) < 0)
                return errno == ENOENT ? 0 : failed(j, "cannot look at what has its name");
        if (S_ISDIR(st.st_mode) && directory)
                return 1;
        if (!S_ISDIR(st.st_mode))
                return unlink(path) < 0 ? failed(j, "cannot replace what has its name") : 0;
        int result = tree_remove(AT_FDCWD, path, j->err);
        return result < 0 ? error_context(j->err, "cannot replace a directory") : 0;
}

static int write_content(struct job *j, int fd)
{
        for (;;) {
                ssize_t n = archive_read(j->a, j->buffer, PIECE, j->err);
                if (n <= 0)
                        return (int)n;
                j->u->bytes += (uint64_t)n;
                if (j->u->bytes > j->u->limit) {
                        refuse(j, EFBIG, "with it the content is larger than what is allowed");
                        return error_remedy(j->err, "allowed are %llu MiB, half of what is free; --limit allows more",
                                            (unsigned long long)j->u->limit >> 20);
                }
                for (ssize_t done = 0, w; done < n; done += w > 0 ? w : 0)
                        if ((w = write(fd, j->buffer + done, (size_t)(n - done))) < 0 && errno != EINTR)
                                return failed(j, "cannot write it");
        }
}

/* Attributes by which overlays are marked have a meaning for the kernel that an archive must not give them. Those
 * of other security modules have none here. */
static int take_attributes(struct job *j, int fd)
{
        const struct xattrs *list = &j->a->entry.xattrs;
        for (size_t i = 0; i < list->count; i++) {
                const char *name = list->items[i].name;
                if (strncmp(name, "user.overlay.", 13) == 0 || strncmp(name, "trusted.overlay.", 16) == 0)
                        return refuse(j, EPERM, "it has an attribute that marks parts of layers (overlay)");
                bool security = strncmp(name, "security.", 9) == 0 && strcmp(name, "security.capability") != 0;
                if (security || strncmp(name, "trusted.", 8) == 0 || files_add_xattr(fd, &list->items[i]) < 0)
                        j->u->attributes++;
        }
        return 0;
}

/* Owner, permissions, attributes, time: in this order, because a change of the owner takes set-uid bits and
 * capabilities away. */
static int dress(struct job *j, int fd)
{
        const struct archive_entry *e = &j->a->entry;
        struct timespec times[2] = {e->mtime, e->mtime};
        if (e->uid > UINT32_MAX - 1 || e->gid > UINT32_MAX - 1)
                errno = EINVAL;
        else if (fchown(fd, (uid_t)e->uid, (gid_t)e->gid) == 0 && fchmod(fd, e->mode) == 0 && futimens(fd, times) == 0)
                return take_attributes(j, fd);
        return failed(j, "cannot give it its owner and permissions");
}

static int make_file(struct job *j, const char *path)
{
        cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return failed(j, "cannot make it");
        int result = write_content(j, fd);
        return result < 0 ? result : dress(j, fd);
}

static int make_directory(struct job *j, const char *path, bool there)
{
        if (!there && mkdir(path, 0700) < 0)
                return failed(j, "cannot make the directory");
        cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return failed(j, "cannot open the directory");
        *vector_add(j->dated, j->count, j->capacity) = (struct dated){.path = memory_string(path),
                                                                      .mtime = j->a->entry.mtime,
                                                                      .said = true};
        return dress(j, fd);
}

/* What cannot be opened without effects: a link, a fifo. */
static int make_special(struct job *j, const char *path)
{
        const struct archive_entry *e = &j->a->entry;
        struct timespec times[2] = {e->mtime, e->mtime};
        if (e->type == '2' && (!e->link[0] || strlen(e->link) > NAME_LIMIT))
                return refuse(j, EINVAL, "a symbolic link to nothing, or to a name that is too long");
        if ((e->type == '2' ? symlink(e->link, path) : mkfifo(path, 0600)) < 0)
                return failed(j, "cannot make it");
        if (lchown(path, (uid_t)e->uid, (gid_t)e->gid) < 0 || (e->type == '6' && chmod(path, e->mode) < 0) ||
            utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) < 0)
                return failed(j, "cannot give it its owner and permissions");
        return 0;
}

static int make_link(struct job *j, const char *path)
{
        char *target = NULL;
        int result = take_name(j, j->a->entry.link, &target);
        if (result < 0)
                return error_context(j->err, "a hard link to somewhere else");
        if (!*target)
                return refuse(j, EINVAL, "a hard link to a directory");
        if (linkat(AT_FDCWD, target, AT_FDCWD, path, 0) == 0)
                return 0;
        int code = errno;
        cleanup_free char *to = text_escape(target);
        errno = code;
        cleanup_free char *what = memory_format("cannot link it to %.300s", to);
        return failed(j, what);
}

/* Deletes from the layers below what a whiteout names. */
static int white_out(struct job *j, char *path)
{
        char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
        if (strncmp(name, WHITEOUT, sizeof WHITEOUT - 1) != 0 || j->pass != UNPACK_WHITEOUTS)
                return 0;
        bool opaque = strcmp(name, OPAQUE) == 0;
        const char *gone = name + sizeof WHITEOUT - 1;
        if (!opaque && (!*gone || strcmp(gone, ".") == 0 || strcmp(gone, "..") == 0))
                return refuse(j, EINVAL, "it deletes no name");
        cleanup_free char *above = slash ? memory_format("%.*s", (int)(slash - path), path) : memory_string(".");
        cleanup_close int dir = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
                return 0; /* what is not there need not be deleted */
        keep_time(j, above);
        if (!opaque)
                return tree_remove(dir, gone, j->err);
        int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cleanup_dir DIR *entries = copy < 0 ? NULL : fdopendir(copy);
        struct dirent *entry;
        int result = 0;
        while (result == 0 && entries && (entry = readdir(entries)))
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                        result = tree_remove(dir, entry->d_name, j->err);
        return result;
}

static int lay_entry(struct job *j)
{
        const struct archive_entry *e = &j->a->entry;
        char *path = NULL;
        int result = take_name(j, e->name, &path);
        if (result < 0 || !path)
                return result;
        const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
        if (j->pass == UNPACK_WHITEOUTS)
                return white_out(j, path);
        if (j->pass == UNPACK_LAYER && strncmp(name, WHITEOUT, sizeof WHITEOUT - 1) == 0)
                return 0;
        if (!*path)
                return e->type == '5' ? make_directory(j, ".", true)
                                      : refuse(j, EINVAL, "the tree itself is no directory");
        if (e->type == '3' || e->type == '4') {
                if (strncmp(path, "dev/", 4) != 0) {
                        cleanup_free char *shown = text_escape(path);
                        fprintf(stderr, "paddock: left out: %.300s, a device node (%llu, %llu)\n", shown,
                                (unsigned long long)e->major, (unsigned long long)e->minor);
                }
                j->u->devices++;
                return 0;
        }
        result = make_parents(j, path);
        if (result == 0)
                keep_time_above(j, path);
        if (result == 0)
                result = make_way(j, path, e->type == '5');
        if (result < 0)
                return result;
        switch (e->type) {
        case '0':
                return make_file(j, path);
        case '1':
                return make_link(j, path);
        case '5':
                return make_directory(j, path, result == 1);
        default:
                return make_special(j, path);
        }
}

static double seconds_since(const struct timespec *then, const struct timespec *now)
{
        return (double)(now->tv_sec - then->tv_sec) + (double)(now->tv_nsec - then->tv_nsec) / 1e9;
}

static void tell(struct unpacked *u, bool last)
{
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (!u->progress || seconds_since(&u->begun, &now) < 1 || (!last && seconds_since(&u->told, &now) < 0.2))
                return;
        u->told = now;
        fprintf(stderr, "\rpaddock: %llu files, %llu MiB%s", (unsigned long long)u->entries,
                (unsigned long long)u->bytes >> 20, last ? "\n" : " ");
}

void unpack_told(struct unpacked *u)
{
        if (u->told.tv_sec)
                tell(u, true);
}

void unpack_keep_top(struct unpacked *u, const struct archive_entry *e)
{
        u->top.there = true;
        u->top.mode = e->mode;
        u->top.uid = e->uid;
        u->top.gid = e->gid;
        u->top.mtime = e->mtime;
}

/* The tree itself, as unpack_keep_top() kept it. */
static int lay_top(struct job *j)
{
        const struct unpacked *u = j->u;
        struct timespec times[2] = {u->top.mtime, u->top.mtime};
        if (u->top.uid > UINT32_MAX - 1 || u->top.gid > UINT32_MAX - 1 ||
            chown(".", (uid_t)u->top.uid, (gid_t)u->top.gid) < 0 || chmod(".", u->top.mode) < 0 ||
            utimensat(AT_FDCWD, ".", times, 0) < 0)
                return error_sys(j->err, errno, "cannot give the tree its owner and permissions");
        *vector_add(j->dated, j->count,
                    j->capacity) = (struct dated){.path = memory_string("."), .mtime = u->top.mtime, .said = true};
        return 0;
}

int unpack(struct unpacked *u, struct archive *a, bool begun, enum unpack_pass pass, struct error *err)
{
        cleanup_free char *buffer = memory_new(PIECE);
        struct job j = {.u = u, .a = a, .pass = pass, .buffer = buffer, .err = err};
        int result = u->top.there ? lay_top(&j) : 0;
        for (; result >= 0 && (begun || (result = archive_next(a, err)) > 0); begun = false) {
                if (pass != UNPACK_WHITEOUTS && ++u->entries > UNPACK_ENTRIES)
                        result = refuse(&j, E2BIG, "it has more files than any system");
                else
                        result = lay_entry(&j);
                if (result < 0)
                        break;
                if (u->entries % 64 == 0)
                        tell(u, false);
        }
        set_times(&j, result >= 0);
        return result;
}
