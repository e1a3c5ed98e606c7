// SPDX-License-Identifier: GPL-3.0-or-later
/* Changes into an archive: see archive.h. */
#include "verbs/archive.h"

#include "base/cleanup.h"
#include "layer/fold.h"
#include "layer/links.h"
#include "layer/tar.h"
#include "verbs/verbs.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct archive {
        struct changes *changes;
        struct tar tar;
        struct folds folds;
        bool folding;       /* the directory does not tell upper from lower case */
        struct links links; /* members with several names */
        bool dry;
        bool left_out;
        struct text deleted; /* for a shell */
        const char *to;
        bool directory;
        bool *incomplete; /* shared with the process that works */
        struct error *err;
};

static int add(void *context, const struct change *c)
{
        struct archive *a = context;
        cleanup_free char *shown = text_escape(c->path);
        if (a->dry) {
                cleanup_text struct text line = {0};
                changes_line(&line, c);
                printf("%s\n", line.data);
        }
        if (c->kind == CHANGE_DELETED || (c->kind == CHANGE_REPLACED && c->before.type == META_DIRECTORY)) {
                text_add(&a->deleted, " ");
                text_add_shell(&a->deleted, c->path);
        }
        const char *other = a->folding && c->kind != CHANGE_DELETED ? folds_take(&a->folds, c->path) : NULL;
        if (other) {
                cleanup_free char *before = text_escape(other);
                fprintf(stderr, "paddock: %s: there, where upper and lower case are one, it falls together with %s, and is left out\n",
                        shown, before);
                a->left_out = true;
                return 0;
        }
        if (c->kind == CHANGE_DELETED || a->dry || (c->top && !c->path[1]))
                return 0;
        if (c->after.type == META_SOCKET) {
                fprintf(stderr, "paddock: %s: it is a socket, which no archive can hold\n", shown);
                a->left_out = true;
                return 0;
        }
        /* Whatever a program made of it, it saw a stand-in, and the true content would be lost. */
        if (c->before.type == META_REGULAR && c->base >= 0 &&
            faccessat(c->base, c->name, R_OK, AT_EACCESS | AT_SYMLINK_NOFOLLOW) < 0) {
                fprintf(stderr, "paddock: %s: it is based on a file that you cannot read, and is left out\n", shown);
                a->left_out = true;
                return 0;
        }
        cleanup_close int own = change_open_any(c->slot, c->path);
        const struct link_entry *first = c->after.links > 1 && c->after.type != META_DIRECTORY
                                                 ? links_first(&a->links, c->after.device, c->after.inode, c->path, 0)
                                                 : NULL;
        int result = own < 0 ? own
                             : tar_add(&a->tar, c->path + 1, first ? first->path + 1 : NULL, own,
                                       a->changes->layer.shift);
        return result < 0 ? error_sys(a->err, -result, "cannot archive %s", shown) : 0;
}

static void tell_command(const struct archive *a, const char *to)
{
        cleanup_text struct text line = {0};
        text_add(&line, "tar --extract --preserve-permissions --numeric-owner --xattrs '--xattrs-include=*' "
                        "--directory / --file ");
        text_add_shell(&line, to);
        fprintf(stderr, "paddock: an administrator applies it with:\n");
        if (a->deleted.length)
                fprintf(stderr, "rm -rf --%s\n", a->deleted.data);
        fprintf(stderr, "%s\n", line.data);
}

/* Walks, writes the archive, and tells what it cannot say. Returns an exit status. */
static int add_all(void *context)
{
        struct archive *a = context;
        int result = changes_walk(a->changes, 0, add, a, a->err);
        if (result == 0 && !a->dry)
                result = tar_finish(&a->tar);
        if (result < 0 && !a->err->code)
                error_sys(a->err, -result, "cannot write the archive");
        if (result < 0)
                error_print(stderr, a->err);
        else if (a->directory && a->deleted.length)
                fprintf(stderr, "paddock: deleted inside, which a directory cannot say:%s\n", a->deleted.data);
        else if (!a->dry && !a->directory)
                tell_command(a, a->to);
        *a->incomplete = result < 0 || changes_name_unfound(a->changes) || a->left_out || a->changes->trouble;
        error_clear(a->err);
        return result < 0 ? EXIT_PADDOCK : 0;
}

/* tar(1) below a directory; *end is what to write to. */
static pid_t start_tar(const char *directory, FILE **end)
{
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
                return -1;
        pid_t pid = fork();
        if (pid == 0) {
                dup2(ends[0], STDIN_FILENO);
                execlp("tar", "tar", "--extract", "--file=-", "--preserve-permissions", "--numeric-owner",
                       "--delay-directory-restore", "--xattrs", "--xattrs-include=*", "--directory", directory,
                       (char *)NULL);
                fprintf(stderr, "paddock: cannot execute tar: %s\n", strerror(errno));
                _exit(127);
        }
        close(ends[0]);
        *end = pid < 0 ? NULL : fdopen(ends[1], "w");
        return pid;
}

int archive_changes(struct changes *c, const char *to, bool dry, struct error *err)
{
        struct archive a = {.changes = c, .dry = dry, .to = to, .err = err};
        struct stat st;
        bool directory = stat(to, &st) == 0 && S_ISDIR(st.st_mode), standard = strcmp(to, "-") == 0;
        cleanup_free char *shown = text_escape(to), *fresh = memory_format("%s.paddock-%d", to, (int)getpid());
        pid_t tar = 0;
        bool *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (shared == MAP_FAILED)
                return error_sys(err, errno, "cannot share memory with the process that looks at the changes");
        a.incomplete = shared;
        a.directory = directory;
        cleanup_close int there = directory ? open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
        a.folding = there >= 0 && files_folds(there);
        if (!dry && directory) {
                tar = start_tar(to, &a.tar.file);
        } else if (!dry) {
                int fd = standard ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)
                                  : open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
                a.tar.file = fd < 0 ? NULL : fdopen(fd, "w");
        }
        if (!dry && !a.tar.file)
                return error_sys(err, errno, "cannot write %s", shown);
        int result = changes_inside(c, add_all, &a, err);
        if (result > 0)
                result = error_set(err, EIO, "the archive is not complete");
        if (!dry) {
                if (result == 0 && !tar && !standard && fsync(fileno(a.tar.file)) < 0)
                        result = -errno;
                if (fclose(a.tar.file) == EOF && result == 0)
                        result = -errno;
                if (result < 0 && !err->code)
                        error_sys(err, -result, "cannot write %s", shown);
        }
        int status = 0;
        while (tar > 0 && waitpid(tar, &status, 0) < 0 && errno == EINTR)
                ;
        if (result == 0 && status)
                result = error_set(err, EIO, "tar could not lay everything below %s", shown);
        if (!dry && !directory && !standard) {
                if (result == 0 && rename(fresh, to) < 0)
                        result = error_sys(err, errno, "cannot write %s", shown);
                if (result < 0)
                        unlink(fresh);
        }
        text_clear(&a.deleted);
        links_clear(&a.links);
        folds_clear(&a.folds);
        int exit_status = *shared ? EXIT_PADDOCK : 0;
        munmap(shared, sizeof *shared);
        return result < 0 ? result : exit_status;
}
