// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * `paddock image debian`: mmdebstrap, as root in an environment of its own, makes the tree and writes it as an
 * archive, which is imported as any other. Packages are kept in the cache directory of the user and shared with it.
 */
#include "verbs/image.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "base/tree.h"
#include "verbs/verbs.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

/* Packages come from the cache and go there, each by a rename, since another build may read it. $1 is the cache, $2
 * the suite, $3 the variant, $4 packages, $5 a mirror, $6 the image. */
static const char script[] =
        "export PADDOCK_CACHE=\"$1\" PADDOCK_NAME_OF_IMAGE=\"$6\"\n"
        "set -- --mode=root --format=tar --variant=\"$3\" ${4:+--include=\"$4\"} "
        "--skip=download/empty,essential/unlink "
        "--setup-hook='mkdir -p \"$1/var/cache/apt/archives\"; "
        "find \"$PADDOCK_CACHE\" -name \"*.deb\" -exec cp -t \"$1/var/cache/apt/archives\" {} +' "
        "--customize-hook='echo \"$PADDOCK_NAME_OF_IMAGE\" >\"$1/etc/hostname\"' "
        "--customize-hook='for deb in \"$1\"/var/cache/apt/archives/*.deb; do "
        "to=\"$PADDOCK_CACHE/${deb##*/}\"; [ ! -e \"$deb\" ] || [ -e \"$to\" ] || "
        "{ cp \"$deb\" \"$PADDOCK_CACHE/.new.$$\" && mv \"$PADDOCK_CACHE/.new.$$\" \"$to\"; }; done; "
        "rm -f \"$1\"/var/cache/apt/archives/*.deb' \"$2\" - ${5:+\"$5\"}\n"
        "cd /\n"
        "exec mmdebstrap \"$@\"\n";

struct build {
        pid_t pid;
        int log;
        const char *suite;
};

static char *cache_of(const char *suite)
{
        const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
        cleanup_free char *place = cache && cache[0] == '/' ? memory_string(cache)
                                   : home && home[0] == '/' ? memory_format("%s/.cache", home)
                                                            : NULL;
        cleanup_free char *whole = place ? memory_format("%s/paddock/debian/%s", place, suite) : NULL;
        return whole ? path_clean("/", whole) : NULL;
}

/* Starts the build; its archive comes out of *output. */
static int start(struct build *b, const struct image_request *r, const char *cache, int *output, struct error *err)
{
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
                return error_sys(err, errno, "cannot make a pipe");
        cleanup_free char *share = memory_format("--share=%s", cache);
        b->pid = fork();
        if (b->pid == 0) {
                int nothing = open("/dev/null", O_RDONLY);
                dup2(nothing, STDIN_FILENO);
                dup2(ends[1], STDOUT_FILENO);
                if (b->log >= 0)
                        dup2(b->log, STDERR_FILENO);
                close_range(3, ~0U, 0); /* apt hands descriptors to shells, which know those with one digit only */
                execl("/proc/self/exe", "paddock", "run", "--as", "root", share, "--", "sh", "-c", script, "sh", cache,
                      r->arguments[0], r->variant, r->include ? r->include : "", r->mirror ? r->mirror : "",
                      r->arguments[1], (char *)NULL);
                fprintf(stderr, "paddock: cannot execute itself: %s\n", strerror(errno));
                _exit(EXIT_PADDOCK);
        }
        close(ends[1]);
        *output = ends[0];
        if (b->pid < 0) {
                close(ends[0]);
                return error_sys(err, errno, "cannot make a process");
        }
        return 0;
}

/* The last line of what was said that tells what is being done. */
static void last_step(int log, char *step, size_t size)
{
        char text[4097];
        off_t end = lseek(log, 0, SEEK_END), from = end > 4096 ? end - 4096 : 0;
        ssize_t n = pread(log, text, sizeof text - 1, from);
        if (n <= 0)
                return;
        text[n] = '\0';
        for (char *line = text, *next; line; line = next) {
                next = strchr(line, '\n');
                if (!next)
                        break;
                *next++ = '\0';
                if (strncmp(line, "I: ", 3) == 0)
                        snprintf(step, size, "%.60s", line + 3);
        }
}

/* A process that tells each second what is being done. */
static pid_t start_ticker(const struct build *b)
{
        if (b->log < 0 || !isatty(STDERR_FILENO))
                return 0;
        pid_t parent = getpid(), pid = fork();
        if (pid != 0)
                return pid;
        char step[128] = "starting";
        for (int seconds = 1; getppid() == parent; seconds++) {
                sleep(1);
                last_step(b->log, step, sizeof step);
                cleanup_free char *shown = text_escape(step);
                fprintf(stderr, "\r\033[Kpaddock: %s, %d s ", shown, seconds);
        }
        _exit(0);
}

static void show_log(int log)
{
        char text[3001];
        off_t end = lseek(log, 0, SEEK_END), from = end > 3000 ? end - 3000 : 0;
        ssize_t n = pread(log, text, sizeof text - 1, from);
        text[n > 0 ? n : 0] = '\0';
        char *line = from ? strchr(text, '\n') : text;
        for (char *next; line && *line; line = next) {
                next = strchr(line, '\n');
                if (next)
                        *next++ = '\0';
                cleanup_free char *shown = text_escape(line);
                fprintf(stderr, "  %s\n", shown);
        }
}

/* The archive had an end; had the build a good one? */
static int ended_well(void *context, struct error *err)
{
        struct build *b = context;
        int status = 0;
        while (waitpid(b->pid, &status, 0) < 0 && errno == EINTR)
                ;
        b->pid = 0;
        return status ? error_set(err, EIO, "mmdebstrap failed") : 0;
}

static bool is_word(const char *text)
{
        return *text && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(text) && text[0] != '-';
}

static int prepare(const struct image_request *r, char **cache, struct error *err)
{
        const char *suite = r->arguments[0];
        if (!is_word(suite)) {
                cleanup_free char *shown = text_escape(suite);
                error_set(err, EINVAL, "'%s' is no suite of Debian", shown);
                return error_remedy(err, "it is a word like bookworm or trixie");
        }
        bool found = false;
        cleanup_free char *path = memory_string(getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin");
        for (char *rest = path, *dir; !found && (dir = strsep(&rest, ":"));) {
                cleanup_free char *name = memory_format("%s/mmdebstrap", dir);
                found = access(name, X_OK) == 0;
        }
        if (!found) {
                error_set(err, ENOENT, "mmdebstrap, which builds a Debian, is not installed");
                return error_remedy(
                        err, "install it (as root: apt-get install mmdebstrap), or import an image made elsewhere");
        }
        *cache = cache_of(suite);
        if (!*cache)
                return error_set(err, ENOENT, "no place to keep packages: neither XDG_CACHE_HOME nor HOME is set");
        int fd = tree_make(*cache, 0755, err);
        if (fd < 0)
                return error_context(err, "the cache of packages");
        close(fd);
        return 0;
}

int image_debian(struct store *s, const struct image_request *r)
{
        cleanup_error struct error err = ERROR_INIT;
        cleanup_free char *cache = NULL,
                          *shown = memory_format("debian %s (%s%s%s)", r->arguments[0], r->variant,
                                                 r->include ? ", with " : "", r->include ? r->include : "");
        const char *name = r->arguments[1];
        int result = image_name_check(name, &err);
        if (result == 0 && image_exists(name)) {
                error_set(&err, EEXIST, "there is an image '%s' already", name);
                result = error_remedy(&err, "remove it with `paddock image rm %s`, or choose another name", name);
        }
        if (result == 0)
                result = prepare(r, &cache, &err);
        cleanup_file FILE *log = r->verbose ? NULL : tmpfile();
        struct build build = {.log = log ? fileno(log) : -1, .suite = r->arguments[0]};
        if (log)
                fcntl(build.log, F_SETFL, fcntl(build.log, F_GETFL) | O_APPEND);
        int output = -1;
        if (result == 0)
                result = start(&build, r, cache, &output, &err);
        if (result < 0) {
                error_print(stderr, &err);
                return EXIT_PADDOCK;
        }
        pid_t ticker = start_ticker(&build);
        struct import how = {
                .fd = output, .shown = shown, .quiet = true, .limit = r->limit, .check = ended_well, .context = &build};
        cleanup_image struct image image;
        result = image_import(s, name, &how, &image, &err);
        close(output);
        if (ticker > 0) {
                kill(ticker, SIGKILL);
                waitpid(ticker, NULL, 0);
                fprintf(stderr, "\r\033[K");
        }
        if (build.pid > 0) { /* the import failed before it */
                cleanup_error struct error own = ERROR_INIT;
                if (ended_well(&build, &own) < 0 && (err.code == EINVAL || err.code == ENODATA)) {
                        error_clear(&err); /* what came was cut off */
                        error_set(&err, EIO, "mmdebstrap failed");
                }
        }
        if (result == 0) {
                image_tell(&image);
                return 0;
        }
        if (log)
                show_log(build.log);
        if (err.code)
                error_print(stderr, &err);
        return EXIT_PADDOCK;
}
