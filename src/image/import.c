// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Images made: see import.h.
 *
 * Theory of operation. The work is done by a process with the ids of root's environments (host_with_ids()), which
 * sees owners as they are inside. Each archive is laid by a child of its own that has changed its root directory to
 * the tree: nothing an archive says can lead it out. What the children find out stands in shared memory. So do
 * their errors, until they are told.
 */
#include "image/import.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "base/tree.h"
#include "host/host.h"
#include "image/bundle.h"
#include "image/disk.h"
#include "image/manifest.h"
#include "image/stream.h"
#include "image/unpack.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sys/wait.h>

/* What processes tell each other. */
struct shared {
        struct unpacked unpacked;
        struct manifest manifest;
        char diff_id[DIGEST_HEX]; /* of the archive that was laid last */
        char architecture[32], title[256];
        int code; /* of what went wrong in a child, */
        char text[2048], remedy[512];
};

struct work {
        const struct import *import;
        int directory; /* the image's */
        int root;      /* its tree */
        struct shared *shared;
        char machine[65];
        struct error *err;
};

/* The machine that the tree's programs are for, by the headers of those that every system has; from within the
 * tree. */
static void look_for_machine(struct shared *shared)
{
        static const char *const programs[] = {"/bin/sh", "/sbin/init", "/bin/busybox", "/usr/bin/env", NULL};
        for (const char *const *program = programs; *program; program++) {
                unsigned char header[20];
                cleanup_close int fd = open(*program, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
                const char *machine =
                        fd >= 0 && read(fd, header, sizeof header) == sizeof header ? host_machine_name(header) : NULL;
                if (!machine)
                        continue;
                snprintf(shared->architecture, sizeof shared->architecture, "%s", machine);
                return;
        }
}

/* An error on its way to the process above. */
static void tell(struct shared *s, const struct error *err)
{
        s->code = err->code;
        snprintf(s->text, sizeof s->text, "%s", err->text ? err->text : "");
        snprintf(s->remedy, sizeof s->remedy, "%s", err->remedy ? err->remedy : "");
}

static int heard(struct shared *s, struct error *err)
{
        if (!s->code)
                return error_set(err, EIO, "the process that unpacks it died");
        error_set(err, s->code, "%s", s->text);
        if (s->remedy[0])
                error_remedy(err, "%s", s->remedy);
        int code = s->code;
        s->code = 0;
        return -code;
}

/* Lays what `a` reads, whose first entry was read already if `begun`, in a process that has the tree as its root. */
static int lay(struct work *w, struct archive *a, bool begun, enum unpack_pass pass)
{
        pid_t pid = fork();
        if (pid < 0)
                return error_sys(w->err, errno, "cannot make a process");
        if (pid == 0) {
                cleanup_error struct error own = ERROR_INIT;
                int result =
                        fchdir(w->root) < 0 || chroot(".") < 0 ? error_sys(&own, errno, "cannot enter the tree") : 0;
                umask(0);
                if (result == 0)
                        result = unpack(&w->shared->unpacked, a, begun, pass, &own);
                if (result == 0 && pass == UNPACK_TREE && !a->ended) {
                        error_set(&own, ENODATA, "it has no end, after %llu bytes: it is truncated",
                                  (unsigned long long)a->at);
                        result = error_remedy(&own, "get it once more");
                }
                unpack_told(&w->shared->unpacked);
                digest_hex(&a->digest, w->shared->diff_id);
                look_for_machine(w->shared);
                tell(w->shared, &own);
                _exit(result < 0);
        }
        int status = 0;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        if (!status)
                return 0;
        return heard(w->shared, w->err);
}

/* What was missing at its end is explained by the program that should have unpacked it. */
static int close_stream(struct stream *stream, int result, struct error *err)
{
        cleanup_error struct error packed = ERROR_INIT;
        int closed = stream_close(stream, result == 0 || result == -ENODATA, &packed);
        if (closed == 0)
                return result;
        error_clear(err);
        error_set(err, packed.code, "%s", packed.text);
        return packed.remedy ? error_remedy(err, "%s", packed.remedy) : closed;
}

/* bundle.c lays layers with this. */
static int lay_layer(void *context, int fd, bool lowest, const char *diff_id, struct error *err)
{
        struct work *w = context;
        int result = 0;
        for (int pass = lowest ? UNPACK_LAYER : UNPACK_WHITEOUTS; result == 0 && pass <= UNPACK_LAYER; pass++) {
                int copy = lseek(fd, 0, SEEK_SET) < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
                if (copy < 0)
                        return error_sys(err, errno, "cannot read a layer");
                struct stream stream;
                struct archive a;
                result = stream_open(&stream, copy, err);
                if (result < 0)
                        return result;
                archive_begin(&a, stream.file);
                result = lay(w, &a, false, (enum unpack_pass)pass);
                archive_end(&a);
                result = close_stream(&stream, result, err);
        }
        if (result == 0 && diff_id && strcmp(diff_id, w->shared->diff_id) != 0)
                result = error_set(err, EBADMSG, "a layer is not what its config says: it should have the digest %s",
                                   diff_id);
        return result;
}

static int lay_bundle(struct work *w, int bundle)
{
        struct bundle b = {
                .directory = bundle, .tag = w->import->tag, .machine = w->machine, .lay = lay_layer, .context = w};
        int result = bundle_lay(&b, w->err);
        if (result == 0 && b.image.architecture)
                snprintf(w->shared->architecture, sizeof w->shared->architecture, "%s", b.image.architecture);
        if (result == 0 && b.image.title)
                snprintf(w->shared->title, sizeof w->shared->title, "%s", b.image.title);
        oci_clear(&b.image);
        return result;
}

/* An archive of either kind: its first name that is not the tree itself tells. */
static int lay_archive(struct work *w, FILE *file)
{
        struct archive a;
        archive_begin(&a, file);
        int result = archive_next(&a, w->err);
        if (result > 0 && a.entry.type == '5' && strspn(a.entry.name, "./") == strlen(a.entry.name)) {
                unpack_keep_top(&w->shared->unpacked, &a.entry);
                result = archive_next(&a, w->err);
        }
        if (result == 0) {
                result = error_set(w->err, EINVAL, "there is nothing in it");
        } else if (result > 0 && bundle_begins(a.entry.name)) {
                int bundle = -1;
                result = bundle_spool(w->directory, &a, w->shared->unpacked.limit, &bundle, w->err);
                cleanup_close int held = bundle;
                memset(&w->shared->unpacked.top, 0, sizeof w->shared->unpacked.top);
                if (result == 0)
                        result = lay_bundle(w, held);
        } else if (result > 0) {
                result = lay(w, &a, true, UNPACK_TREE);
        }
        archive_end(&a);
        return result < 0 ? result : 0;
}

/* A tree on disk is read as its archive, which tar(1) makes. */
static int open_tree_archive(const char *path, pid_t *pid, struct error *err)
{
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
                return error_sys(err, errno, "cannot make a pipe");
        *pid = fork();
        if (*pid == 0) {
                dup2(ends[1], STDOUT_FILENO);
                execlp("tar", "tar", "--create", "--file=-", "--format=posix", "--numeric-owner", "--one-file-system",
                       "--xattrs", "--xattrs-include=*", "--warning=no-file-ignored", "--directory", path, ".",
                       (char *)NULL);
                fprintf(stderr, "paddock: cannot execute tar: %s\n", strerror(errno));
                _exit(127);
        }
        close(ends[1]);
        if (*pid > 0)
                return ends[0];
        close(ends[0]);
        return error_sys(err, errno, "cannot make a process");
}

static int lay_directory(struct work *w, const char *path)
{
        cleanup_close int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (directory < 0)
                return error_sys(w->err, errno, "cannot open it");
        if (bundle_is_in(directory))
                return lay_bundle(w, directory);
        pid_t pid = 0;
        int fd = open_tree_archive(path, &pid, w->err);
        if (fd < 0)
                return fd;
        cleanup_file FILE *file = fdopen(fd, "r");
        int result = lay_archive(w, file);
        fclose(steal_pointer(&file));
        int status = 0;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        if (result == 0 && status)
                result = error_set(w->err, EIO, "not all of it could be read");
        return result;
}

/* A file system in a file is served by a program, and read as a directory is. */
static int lay_disk(struct work *w, const struct disk *disk)
{
        int pid = 0;
        if (mkdirat(w->directory, "disk", 0700) < 0)
                return error_sys(w->err, errno, "cannot make a directory");
        cleanup_close int place = openat(w->directory, "disk", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        int result = place < 0 ? error_sys(w->err, errno, "cannot make a directory")
                               : host_serve_disk(place, w->import->source, disk->server, disk->options, &pid, w->err);
        if (result == -ENOENT)
                error_remedy(w->err, "as root, install the package %s", disk->package);
        if (result < 0)
                return result;
        cleanup_free char *path = getcwd(NULL, 0); /* by name: the descriptor is of what lies below */
        result = path ? lay_directory(w, path) : error_sys(w->err, errno, "cannot enter it");
        host_serve_disk_end(pid);
        if (result < 0)
                error_context(w->err, "a file system of type %s", disk->kind);
        return result;
}

static int lay_any(struct work *w)
{
        const struct import *import = w->import;
        struct stat st;
        int fd = import->fd;
        if (fd < 0 && strcmp(import->source, "-") == 0)
                fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
        else if (fd < 0 && stat(import->source, &st) == 0 && S_ISDIR(st.st_mode))
                return lay_directory(w, import->source);
        else if (fd < 0)
                fd = open(import->source, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return error_sys(w->err, errno, "cannot open it");
        struct disk disk;
        int result = disk_look(fd, &disk, w->err);
        if (result > 0 && (import->fd >= 0 || strcmp(import->source, "-") == 0))
                result = error_set(w->err, ESPIPE,
                                   "a file system is read from a file, and this comes through a descriptor");
        if (result) {
                close(fd);
                return result < 0 ? result : lay_disk(w, &disk);
        }
        struct stream stream;
        result = stream_open(&stream, fd, w->err);
        if (result < 0)
                return result;
        result = lay_archive(w, stream.file);
        return close_stream(&stream, result, w->err);
}

static int write_manifest(struct work *w)
{
        int fd = openat(w->directory, "manifest", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        cleanup_file FILE *to = fd < 0 ? NULL : fdopen(fd, "w");
        return to ? manifest_write(w->root, to, &w->shared->manifest, w->err)
                  : error_sys(w->err, errno, "cannot write the manifest");
}

static int work_inside(void *context, int owners)
{
        (void)owners;
        struct work *w = context;
        cleanup_error struct error err = ERROR_INIT;
        w->err = &err;
        int result = lay_any(w);
        if (result == 0)
                result = tree_remove(w->directory, "bundle", &err);
        if (result == 0)
                result = tree_remove(w->directory, "disk", &err);
        if (result == 0)
                result = write_manifest(w);
        if (result < 0) {
                error_context(&err, "%s", w->import->shown);
                tell(w->shared, &err);
        }
        return result < 0;
}

static int import_into(struct store *s, int directory, const char *fresh, const struct import *import,
                       struct image *image, struct error *err)
{
        struct work w = {.import = import, .directory = directory};
        struct statvfs space;
        struct utsname system;
        cleanup_close int root = openat(directory, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        w.root = root;
        if (root < 0 || fstatvfs(root, &space) < 0 || uname(&system) < 0)
                return error_sys(err, errno, "cannot open the tree of the image");
        snprintf(w.machine, sizeof w.machine, "%.64s", system.machine);
        w.shared = mmap(NULL, sizeof *w.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (w.shared == MAP_FAILED)
                return error_sys(err, errno, "cannot share memory");
        struct unpacked *u = &w.shared->unpacked;
        u->limit = import->limit ? import->limit : (uint64_t)space.f_bavail * space.f_frsize / 2;
        u->progress = !import->quiet && isatty(STDERR_FILENO);
        clock_gettime(CLOCK_MONOTONIC, &u->begun);
        static const struct timespec never[2]; /* an archive need not say when the tree itself was changed */
        utimensat(directory, "root", never, 0);
        fflush(stdout);
        int result = host_with_ids(work_inside, &w, err);
        if (result > 0)
                result = heard(w.shared, err);
        if (result == 0 && import->check)
                result = import->check(import->context, err);
        if (result == 0) {
                const struct shared *got = w.shared;
                image->source = got->title[0] ? memory_format("%s (%s)", import->shown, got->title)
                                              : memory_string(import->shown);
                image->architecture = got->architecture[0] ? memory_string(got->architecture) : NULL;
                image->digest = memory_string(got->manifest.digest);
                image->bytes = got->manifest.bytes;
                image->files = got->manifest.files;
                image->made = (long long)time(NULL);
                if (u->attributes)
                        fprintf(stderr, "paddock: %u extended attributes could not be kept\n", u->attributes);
                result = image_complete(s, directory, fresh, image, err);
        }
        munmap(w.shared, sizeof *w.shared);
        return result;
}

int image_import(struct store *s, const char *name, const struct import *import, struct image *image, struct error *err)
{
        *image = (struct image){0};
        cleanup_free char *fresh = NULL;
        int held = -1;
        cleanup_close int directory = image_begin(s, name, &fresh, &held, err);
        cleanup_close int lock = held; /* until it has its name */
        (void)lock;
        int result = directory;
        if (directory >= 0) {
                image->name = memory_string(name);
                result = import_into(s, directory, fresh, import, image, err);
        }
        if (result < 0) {
                cleanup_error struct error leftover = ERROR_INIT;
                if (fresh && image_abandon(s, fresh, &leftover) < 0)
                        error_print(stderr, &leftover);
                image_clear(image);
        }
        return result < 0 ? result : 0;
}

struct verification {
        int directory, root;
        FILE *out;
        unsigned limit;
        uint64_t *differences; /* shared */
        const char *name, *digest;
};

static int verify_inside(void *context, int owners)
{
        (void)owners;
        struct verification *v = context;
        cleanup_error struct error err = ERROR_INIT;
        struct manifest now;
        char recorded[65];
        int fd = openat(v->directory, "manifest", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        cleanup_file FILE *before = fd < 0 ? NULL : fdopen(fd, "r");
        cleanup_file FILE *after = tmpfile();
        int result = !before || !after ? error_sys(&err, errno, "cannot read its manifest")
                                       : manifest_digest(before, recorded, &err);
        if (result == 0 && strcmp(recorded, v->digest) != 0)
                result = error_set(&err, EBADMSG, "its manifest is not the one that its record has the digest of");
        if (result == 0)
                result = manifest_write(v->root, after, &now, &err);
        if (result == 0 && strcmp(now.digest, v->digest) != 0) {
                rewind(before);
                rewind(after);
                *v->differences = manifest_compare(before, after, v->out, v->limit);
                fflush(v->out);
        }
        if (result < 0) {
                error_context(&err, "image '%s'", v->name);
                error_print(stderr, &err);
        }
        return result < 0;
}

int image_verify(struct store *s, const char *name, FILE *out, unsigned limit, uint64_t *differences, struct error *err)
{
        cleanup_image struct image image;
        int result = image_load(s, name, &image, err);
        if (result < 0)
                return result;
        cleanup_close int lock = image_hold(s, name, false, err);
        cleanup_close int directory = lock < 0 ? -1 : image_open(s, name, err);
        cleanup_close int root =
                directory < 0 ? -1 : openat(directory, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (root < 0)
                return err->code ? -err->code : error_sys(err, errno, "image '%s': cannot open its tree", name);
        struct verification v = {
                .directory = directory, .root = root, .out = out, .limit = limit, .name = name, .digest = image.digest};
        v.differences = mmap(NULL, sizeof *v.differences, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (v.differences == MAP_FAILED)
                return error_sys(err, errno, "cannot share memory");
        fflush(out);
        result = host_with_ids(verify_inside, &v, err);
        *differences = *v.differences;
        munmap(v.differences, sizeof *v.differences);
        return result > 0 ? -EIO : result;
}
