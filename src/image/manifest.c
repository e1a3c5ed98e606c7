// SPDX-License-Identifier: GPL-3.0-or-later
/* The manifest of a tree: see manifest.h. */
#include "image/manifest.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "layer/digest.h"
#include "layer/files.h"
#include "layer/links.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct walk {
        FILE *to;
        struct manifest *m;
        struct digest whole;
        struct links links;
        char *buffer;
        struct error *err;
};
#define PIECE (1 << 18)

static int failed(struct walk *w, const char *path)
{
        int code = errno;
        cleanup_free char *shown = text_escape(path);
        return error_sys(w->err, code, "cannot read %s", shown);
}

static int digest_file(struct walk *w, int dir, const char *name, const char *path, char hex[DIGEST_HEX])
{
        struct digest d;
        digest_begin(&d);
        cleanup_close int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
                return failed(w, path);
        for (ssize_t n; (n = read(fd, w->buffer, PIECE)) != 0;) {
                if (n < 0 && errno != EINTR)
                        return failed(w, path);
                if (n > 0) {
                        digest_add(&d, w->buffer, (size_t)n);
                        w->m->bytes += (uint64_t)n;
                }
        }
        digest_hex(&d, hex);
        return 0;
}

static int digest_xattrs(struct walk *w, int dir, const char *name, const char *path, char hex[DIGEST_HEX])
{
        struct xattrs list;
        int result = files_xattrs(dir, name, 0, &list);
        if (result < 0) {
                errno = -result;
                return failed(w, path);
        }
        snprintf(hex, DIGEST_HEX, "-");
        if (list.count) {
                struct digest d;
                digest_begin(&d);
                for (size_t i = 0; i < list.count; i++) {
                        digest_add(&d, list.items[i].name, strlen(list.items[i].name) + 1);
                        digest_add(&d, list.items[i].value, list.items[i].size);
                        digest_add(&d, "", 1);
                }
                digest_hex(&d, hex);
        }
        files_xattrs_clear(&list);
        return 0;
}

static int write_line(struct walk *w, int dir, const char *name, const char *path, const struct stat *st)
{
        static const struct {
                mode_t type;
                char letter;
        } letters[] = {{S_IFREG, 'f'}, {S_IFDIR, 'd'}, {S_IFLNK, 'l'}, {S_IFIFO, 'p'}};
        char letter = '?', content[DIGEST_HEX] = "-", xattrs[DIGEST_HEX] = "-", target[4096] = "-";
        for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
                if (letters[i].type == (st->st_mode & S_IFMT))
                        letter = letters[i].letter;
        int result = 0;
        const struct link_entry *first = NULL;
        if (letter == 'f' && st->st_nlink > 1)
                first = links_first(&w->links, st->st_dev, st->st_ino, path, 0);
        if (letter == 'l') {
                ssize_t n = readlinkat(dir, name, target, sizeof target - 1);
                if (n < 0)
                        return failed(w, path);
                target[n] = '\0';
        } else if (first) {
                letter = 'h';
                snprintf(target, sizeof target, "%s", first->path);
        } else if (letter == 'f') {
                result = digest_file(w, dir, name, path, content);
        }
        if (result == 0 && (letter == 'f' || letter == 'd'))
                result = digest_xattrs(w, dir, name, path, xattrs);
        if (result < 0)
                return result;
        cleanup_text struct text line = {0};
        text_addf(&line, "%c\t%04o\t%u\t%u\t%lld\t%lld.%09ld\t%s\t", letter, st->st_mode & 07777, (unsigned)st->st_uid,
                  (unsigned)st->st_gid, S_ISDIR(st->st_mode) ? 0LL : (long long)st->st_size,
                  (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec, content);
        text_add_escaped(&line, target);
        text_addf(&line, "\t%s\t", xattrs);
        text_add_escaped(&line, *path ? path : ".");
        text_add(&line, "\n");
        digest_add(&w->whole, line.data, line.length);
        w->m->files++;
        return fwrite(line.data, 1, line.length, w->to) == line.length
                       ? 0
                       : error_sys(w->err, errno, "cannot write the manifest");
}

static int by_name(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_names(int dir, char ***names, size_t *count)
{
        int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cleanup_dir DIR *entries = copy < 0 ? NULL : fdopendir(copy);
        if (!entries)
                return -errno;
        size_t capacity = 0;
        struct dirent *entry;
        while ((entry = readdir(entries)))
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                        *vector_add(*names, *count, capacity) = memory_string(entry->d_name);
        if (*count)
                qsort(*names, *count, sizeof **names, by_name);
        return 0;
}

/* The directory's entries, each directory's own below it. No deeper than a name can be long. */
static int walk_directory(struct walk *w, int dir, const char *path)
{
        char **names = NULL;
        size_t count = 0;
        int result = read_names(dir, &names, &count);
        if (result < 0) {
                errno = -result;
                result = failed(w, path);
        }
        for (size_t i = 0; i < count; i++) {
                cleanup_free char *one = memory_format("%s%s%s", path, *path ? "/" : "", names[i]);
                struct stat st;
                if (result == 0 && fstatat(dir, names[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
                        result = failed(w, one);
                if (result == 0)
                        result = write_line(w, dir, names[i], one, &st);
                if (result == 0 && S_ISDIR(st.st_mode)) {
                        cleanup_close int sub = openat(dir, names[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                        result = sub < 0 ? failed(w, one) : walk_directory(w, sub, one);
                }
                free(names[i]);
        }
        free(names);
        return result;
}

int manifest_write(int root, FILE *to, struct manifest *m, struct error *err)
{
        *m = (struct manifest){0};
        cleanup_free char *buffer = memory_new(PIECE);
        struct walk w = {.to = to, .m = m, .buffer = buffer, .err = err};
        digest_begin(&w.whole);
        files_limit(); /* a descriptor for each level */
        struct stat st;
        int result = fstat(root, &st) < 0 ? failed(&w, ".") : write_line(&w, root, ".", "", &st);
        if (result == 0)
                result = walk_directory(&w, root, "");
        if (result == 0 && fflush(to) == EOF)
                result = error_sys(err, errno, "cannot write the manifest");
        digest_hex(&w.whole, m->digest);
        links_clear(&w.links);
        return result;
}

int manifest_digest(FILE *from, char digest[65], struct error *err)
{
        struct digest d;
        char buffer[16384];
        digest_begin(&d);
        for (size_t n; (n = fread(buffer, 1, sizeof buffer, from)) > 0;)
                digest_add(&d, buffer, n);
        digest_hex(&d, digest);
        return ferror(from) ? error_sys(err, errno, "cannot read the manifest") : 0;
}

struct lines {
        char **lines;
        size_t count, capacity;
};

static const char *path_in(const char *line)
{
        const char *tab = strrchr(line, '\t');
        return tab ? tab + 1 : line;
}

static int by_path(const void *a, const void *b)
{
        return strcmp(path_in(*(char *const *)a), path_in(*(char *const *)b));
}

static void read_lines(FILE *from, struct lines *l)
{
        char *line = NULL;
        size_t size = 0;
        for (ssize_t n; (n = getline(&line, &size, from)) > 0;) {
                line[n - (line[n - 1] == '\n')] = '\0';
                *vector_add(l->lines, l->count, l->capacity) = memory_string(line);
        }
        free(line);
        if (l->count)
                qsort(l->lines, l->count, sizeof *l->lines, by_path);
}

uint64_t manifest_compare(FILE *first, FILE *second, FILE *out, unsigned limit)
{
        struct lines a = {0}, b = {0};
        read_lines(first, &a);
        read_lines(second, &b);
        uint64_t differences = 0;
        for (size_t i = 0, j = 0; i < a.count || j < b.count;) {
                int order = i == a.count ? 1 : j == b.count ? -1 : by_path(&a.lines[i], &b.lines[j]);
                bool differ = order || strcmp(a.lines[i], b.lines[j]) != 0;
                if (differ && differences++ < limit)
                        fprintf(out, "%s  %s\n", order < 0 ? "missing" : order > 0 ? "added  " : "changed",
                                path_in(order > 0 ? b.lines[j] : a.lines[i]));
                i += order <= 0;
                j += order >= 0;
        }
        struct lines *const both[] = {&a, &b};
        for (size_t k = 0; k < 2; k++) {
                while (both[k]->count)
                        free(both[k]->lines[--both[k]->count]);
                free(both[k]->lines);
        }
        return differences;
}
