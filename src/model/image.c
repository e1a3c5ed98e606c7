// SPDX-License-Identifier: GPL-3.0-or-later
/* Images in the state directory: see image.h. */
#include "model/image.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define MAGIC "paddock-image "
#define VERSION 1
#define RECORD_LIMIT 65536

int image_name_check(const char *name, struct error *err)
{
        bool taken = strcmp(name, "host") == 0 || strcmp(name, "empty") == 0;
        if (environment_name_valid(name) && !taken)
                return 0;
        cleanup_free char *shown = text_escape(name);
        if (taken)
                return error_set(err, EINVAL,
                                 "an image cannot be called '%s', which is another root that environments have", name);
        error_set(err, EINVAL, "'%s' cannot be the name of an image", shown);
        return error_remedy(err, "use 1 to 64 letters, digits, '.', '_' and '-', and begin with a letter or digit");
}

char *image_root(const char *state, const char *name)
{
        return memory_format("%s/image/%s/root", state, name);
}

bool image_exists(const char *name)
{
        cleanup_free char *state = store_path();
        if (!state || !environment_name_valid(name))
                return false;
        cleanup_free char *record = memory_format("%s/image/%s/record", state, name);
        return access(record, F_OK) == 0;
}

/* The directory that images are in. */
static int open_place(struct store *s, bool make, struct error *err)
{
        if (make && mkdirat(s->fd, "image", 0700) < 0 && errno != EEXIST)
                return error_sys(err, errno, "cannot make a directory for images in %s", s->path);
        int fd = openat(s->fd, "image", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? error_sys(err, errno, "cannot open the directory of images in %s", s->path) : fd;
}

static int by_name(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

int image_list(struct store *s, char ***names, struct error *err)
{
        *names = NULL;
        cleanup_close int place = open_place(s, false, err);
        if (place == -ENOENT) {
                error_clear(err);
                return 0;
        }
        cleanup_dir DIR *dir = place < 0 ? NULL : fdopendir(place);
        if (!dir)
                return place < 0 ? place : error_sys(err, errno, "cannot read the directory of images");
        steal_fd(&place); /* it is the stream's */
        int count = 0, capacity = 0;
        char **list = NULL;
        struct dirent *entry;
        while ((entry = readdir(dir)))
                if (environment_name_valid(entry->d_name))
                        *vector_add(list, count, capacity) = memory_string(entry->d_name);
        if (count)
                qsort(list, (size_t)count, sizeof *list, by_name);
        *names = list;
        return count;
}

static int missing(struct store *s, const char *name, struct error *err)
{
        cleanup_free char *shown = text_escape(name);
        cleanup_error struct error unheard = ERROR_INIT;
        char **names = NULL;
        int count = image_list(s, &names, &unheard);
        cleanup_free const char **words = memory_grow(NULL, (size_t)(count < 0 ? 0 : count) + 1, sizeof *words);
        for (int i = 0; names && i < count; i++)
                words[i] = names[i];
        words[count < 0 ? 0 : count] = NULL;
        const char *near = text_nearest(name, words);
        error_set(err, ENOENT, "there is no image '%s'", shown);
        if (near)
                error_remedy(err, "did you mean '%s'?", near);
        else
                error_remedy(
                        err,
                        "`paddock image list` lists them; `paddock image debian` and `paddock image import` make one");
        store_list_free(names, count < 0 ? 0 : count);
        return -ENOENT;
}

int image_open(struct store *s, const char *name, struct error *err)
{
        if (!environment_name_valid(name))
                return missing(s, name, err);
        cleanup_free char *path = memory_format("image/%s", name);
        int fd = openat(s->fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT)
                return missing(s, name, err);
        return fd < 0 ? error_sys(err, errno, "cannot open image '%s'", name) : fd;
}

int image_hold(struct store *s, const char *name, bool alone, struct error *err)
{
        cleanup_close int dir = image_open(s, name, err);
        if (dir < 0)
                return dir;
        cleanup_close int lock = openat(dir, "lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (lock < 0)
                return error_sys(err, errno, "image '%s': cannot lock it", name);
        if (flock(lock, (alone ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0) {
                error_set(err, EBUSY, alone ? "image '%s' is in use" : "image '%s' is being removed", name);
                return alone ? error_remedy(err, "end the environments that run over it first") : -EBUSY;
        }
        return steal_fd(&lock);
}

static void line(struct text *t, const char *key, const char *value)
{
        if (!value)
                return;
        text_addf(t, "%s\t", key);
        text_add_escaped(t, value);
        text_add(t, "\n");
}

char *image_to_record(const struct image *image)
{
        struct text t = {0};
        text_addf(&t, MAGIC "%d\n", VERSION);
        line(&t, "source", image->source);
        line(&t, "architecture", image->architecture);
        line(&t, "digest", image->digest);
        text_addf(&t, "bytes\t%llu\nfiles\t%llu\nmade\t%lld\n", (unsigned long long)image->bytes,
                  (unsigned long long)image->files, image->made);
        return t.data;
}

int image_from_record(struct image *image, char *text, struct error *err)
{
        size_t magic = strlen(MAGIC);
        if (strncmp(text, MAGIC, magic) != 0)
                return error_set(err, EINVAL, "it is not the record of an image");
        char *rest;
        long version = strtol(text + magic, &rest, 10);
        if (version > VERSION)
                return error_set(err, EPROTO,
                                 "it was written by a newer paddock (version %ld; this one knows up to %d)", version,
                                 VERSION);
        for (char *one; rest && (one = strsep(&rest, "\n"));) {
                char *value = strchr(one, '\t');
                if (!value)
                        continue;
                *value++ = '\0';
                char **to = strcmp(one, "source") == 0         ? &image->source
                            : strcmp(one, "architecture") == 0 ? &image->architecture
                            : strcmp(one, "digest") == 0       ? &image->digest
                                                               : NULL;
                if (to) {
                        free(*to);
                        *to = text_unescape(value);
                } else if (strcmp(one, "bytes") == 0) {
                        image->bytes = strtoull(value, NULL, 10);
                } else if (strcmp(one, "files") == 0) {
                        image->files = strtoull(value, NULL, 10);
                } else if (strcmp(one, "made") == 0) {
                        image->made = strtoll(value, NULL, 10);
                }
        }
        if (version < 1 || !image->digest || strlen(image->digest) != 64)
                return error_set(err, EINVAL, "its record is damaged");
        return 0;
}

int image_load(struct store *s, const char *name, struct image *image, struct error *err)
{
        *image = (struct image){0};
        cleanup_close int dir = image_open(s, name, err);
        if (dir < 0)
                return dir;
        cleanup_close int fd = openat(dir, "record", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        cleanup_free char *text = memory_new(RECORD_LIMIT + 1);
        ssize_t n = fd < 0 ? -1 : read(fd, text, RECORD_LIMIT);
        if (n < 0)
                return error_sys(err, errno, "image '%s': cannot read its record", name);
        text[n] = '\0';
        image->name = memory_string(name);
        int result = image_from_record(image, text, err);
        if (result < 0) {
                image_clear(image);
                return error_context(err, "image '%s'", name);
        }
        return 0;
}

int image_begin(struct store *s, const char *name, char **fresh, int *lock, struct error *err)
{
        *lock = -1;
        int result = image_name_check(name, err);
        if (result < 0)
                return result;
        if (image_exists(name)) {
                error_set(err, EEXIST, "there is an image '%s' already", name);
                return error_remedy(err, "remove it with `paddock image rm %s`, or choose another name", name);
        }
        cleanup_close int place = open_place(s, true, err);
        if (place < 0)
                return place;
        image_sweep(s);
        *fresh = memory_format(".%s.%d", name, (int)getpid());
        if (mkdirat(place, *fresh, 0700) < 0)
                return error_sys(err, errno, "cannot make a directory for image '%s' in %s", name, s->path);
        cleanup_close int dir = openat(place, *fresh, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        *lock = dir < 0 ? -1 : openat(dir, "lock", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (*lock < 0 || flock(*lock, LOCK_EX | LOCK_NB) < 0 || mkdirat(dir, "root", 0755) < 0)
                return error_sys(err, errno, "cannot make image '%s'", name);
        return steal_fd(&dir);
}

int image_complete(struct store *s, int directory, const char *fresh, const struct image *image, struct error *err)
{
        cleanup_close int place = open_place(s, false, err);
        if (place < 0)
                return place;
        cleanup_free char *record = image_to_record(image);
        cleanup_close int fd = openat(directory, "record", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        size_t length = strlen(record);
        if (fd < 0 || write(fd, record, length) != (ssize_t)length)
                return error_sys(err, errno, "cannot write the record of image '%s'", image->name);
        /* A directory that is not empty is not replaced by rename(). */
        if (renameat(place, fresh, place, image->name) == 0)
                return 0;
        if (errno == ENOTEMPTY || errno == EEXIST)
                return error_set(err, EEXIST, "an image '%s' was made by another paddock meanwhile", image->name);
        return error_sys(err, errno, "cannot give image '%s' its name", image->name);
}

int image_abandon(struct store *s, const char *fresh, struct error *err)
{
        cleanup_close int place = open_place(s, false, err);
        return place < 0 ? place : s->remove(place, fresh, err);
}

int image_remove(struct store *s, const char *name, struct error *err)
{
        cleanup_close int lock = image_hold(s, name, true, err);
        if (lock < 0)
                return lock;
        cleanup_close int place = open_place(s, false, err);
        if (place < 0)
                return place;
        cleanup_free char *fresh = memory_format(".%s.%d", name, (int)getpid());
        if (renameat(place, name, place, fresh) < 0)
                return error_sys(err, errno, "cannot remove image '%s'", name);
        return s->remove(place, fresh, err);
}

void image_sweep(struct store *s)
{
        cleanup_error struct error unheard = ERROR_INIT; /* the next one tries again */
        cleanup_close int place = open_place(s, false, &unheard);
        int copy = place < 0 ? -1 : openat(place, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cleanup_dir DIR *dir = copy < 0 ? NULL : fdopendir(copy);
        struct dirent *entry;
        while (dir && (entry = readdir(dir))) {
                struct stat st;
                if (entry->d_name[0] != '.' || !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
                    fstatat(place, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        continue;
                cleanup_free char *name = memory_format("%s/lock", entry->d_name);
                cleanup_close int lock = openat(place, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
                /* One that is being made this very moment has no lock yet: leave the young alone. */
                if (lock < 0 ? st.st_ctim.tv_sec + 10 < time(NULL) : flock(lock, LOCK_EX | LOCK_NB) == 0)
                        s->remove(place, entry->d_name, &unheard);
        }
}

void image_clear(struct image *image)
{
        free(image->name);
        free(image->source);
        free(image->architecture);
        free(image->digest);
        *image = (struct image){0};
}
