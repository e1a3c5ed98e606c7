// SPDX-License-Identifier: GPL-3.0-or-later
/* `paddock image`: root file systems that environments begin from, made, listed, removed, verified. */
#include "verbs/image.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "host/host.h"
#include "verbs/changes.h"
#include "verbs/verbs.h"

#include <argp.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

enum { KEY_TAG = 256, KEY_LIMIT, KEY_MIRROR, KEY_INCLUDE, KEY_VARIANT };

/* A number of bytes with one of K, M, G, T behind it. 0: it is none. */
static uint64_t take_size(const char *text)
{
        char *end;
        errno = 0;
        unsigned long long n = strtoull(text, &end, 10);
        static const char units[] = "KMGT";
        const char *unit = *end ? strchr(units, *end) : NULL;
        unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
        if (errno || end == text || *text == '-' || (unit ? end[1] : *end) || n > UINT64_MAX >> shift)
                return 0;
        return n << shift;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct image_request *r = state->input;
        switch (key) {
        case 'j':
                r->json = true;
                break;
        case 'v':
                r->verbose = true;
                break;
        case KEY_TAG:
                r->tag = arg;
                break;
        case KEY_MIRROR:
                r->mirror = arg;
                break;
        case KEY_INCLUDE:
                r->include = arg;
                break;
        case KEY_VARIANT:
                r->variant = arg;
                break;
        case KEY_LIMIT:
                r->limit = take_size(arg);
                if (!r->limit)
                        argp_error(state, "--limit: a number of bytes, with K, M, G or T behind it perhaps");
                break;
        case ARGP_KEY_ARG:
                if (!r->action)
                        r->action = arg;
                else if (r->count < (int)(sizeof r->arguments / sizeof *r->arguments))
                        r->arguments[r->count++] = arg;
                else
                        argp_error(state, "too many names");
                break;
        case ARGP_KEY_NO_ARGS:
                argp_error(state, "what is to be done: debian, import, list, rm, verify?");
                break;
        default:
                return ARGP_ERR_UNKNOWN;
        }
        return 0;
}

void image_tell(const struct image *image)
{
        cleanup_text struct text size = {0};
        changes_size(&size, image->bytes);
        printf("%s: %llu files, %s, %s, sha256:%.16s\n", image->name, (unsigned long long)image->files, size.data,
               image->architecture ? image->architecture : "for no machine that is known", image->digest);
}

static int import(struct store *s, const struct image_request *r, struct error *err)
{
        const char *source = r->arguments[0];
        cleanup_free char *shown = text_escape(strcmp(source, "-") == 0 ? "standard input" : source);
        struct stat st;
        bool directory = strcmp(source, "-") != 0 && stat(source, &st) == 0 && S_ISDIR(st.st_mode);
        if (directory && geteuid() != 0 && st.st_uid != geteuid()) {
                error_set(err, EPERM, "%s belongs to uid %u: the owners of its files are not to be had", shown,
                          (unsigned)st.st_uid);
                return error_remedy(err,
                                    "who owns it can send it: sudo tar -C %s --numeric-owner --xattrs -c . | paddock "
                                    "image import - %s",
                                    shown, r->arguments[1]);
        }
        if (strcmp(source, "-") == 0 && isatty(STDIN_FILENO))
                return error_set(err, EINVAL, "no archive is read from a terminal");
        struct import how = {.source = source, .fd = -1, .shown = shown, .tag = r->tag, .limit = r->limit};
        cleanup_image struct image image;
        int result = image_import(s, r->arguments[1], &how, &image, err);
        if (result == 0)
                image_tell(&image);
        return result;
}

/* The names are the store's or those that were given. */
static int list(struct store *s, const struct image_request *r, struct error *err)
{
        char **names = NULL;
        image_sweep(s);
        int count = image_list(s, &names, err);
        if (count < 0)
                return count;
        json_t *array = r->json ? json_array() : NULL;
        if (!array && count)
                printf("%-24s %10s %8s %-10s %s\n", "NAME", "SIZE", "FILES", "MACHINE", "SOURCE");
        for (int i = 0; i < count; i++) {
                cleanup_image struct image image = {0};
                cleanup_error struct error bad = ERROR_INIT;
                if (image_load(s, names[i], &image, &bad) < 0) {
                        error_print(stderr, &bad);
                        continue;
                }
                cleanup_text struct text size = {0};
                changes_size(&size, image.bytes);
                const char *machine = image.architecture ? image.architecture : "-",
                           *source = image.source ? image.source : "-";
                if (array)
                        json_array_append_new(array,
                                              json_pack("{s:s, s:I, s:I, s:s, s:s, s:s, s:I}", "name", names[i],
                                                        "bytes", (json_int_t)image.bytes, "files",
                                                        (json_int_t)image.files, "machine", machine, "source", source,
                                                        "digest", image.digest, "made", (json_int_t)image.made));
                else
                        printf("%-24s %10s %8llu %-10s %s\n", names[i], size.data, (unsigned long long)image.files,
                               machine, source);
        }
        store_list_free(names, count);
        return array ? print_json(array) : 0;
}

/* The environment that begins from an image, fresh memory, or NULL. */
static char *used_by(struct store *s, const char *name)
{
        cleanup_error struct error unheard = ERROR_INIT;
        char **names = NULL, *user = NULL;
        int count = store_list(s, &names, &unheard);
        for (int i = 0; i < count && !user; i++) {
                cleanup_environment struct environment e = {0};
                cleanup_error struct error bad = ERROR_INIT;
                if (store_load(s, names[i], &e, &bad) == 0 && e.root == ROOT_IMAGE && strcmp(e.root_path, name) == 0)
                        user = memory_string(names[i]);
        }
        store_list_free(names, count < 0 ? 0 : count);
        return user;
}

static int remove_one(struct store *s, const char *name, struct error *err)
{
        cleanup_free char *user = used_by(s, name);
        if (user) {
                error_set(err, EBUSY, "image '%s' is what environment '%s' lies over", name, user);
                return error_remedy(err, "remove that first: paddock rm %s", user);
        }
        return image_remove(s, name, err);
}

#define DIFFERENCES 20

static int verify_one(struct store *s, const char *name, struct error *err)
{
        uint64_t differences = 0;
        int result = image_verify(s, name, stdout, DIFFERENCES, &differences, err);
        if (result < 0)
                return result;
        if (!differences) {
                printf("%s: as it was made\n", name);
                return 0;
        }
        error_set(err, EBADMSG, "image '%s': %llu files are not as they were when it was made", name,
                  (unsigned long long)differences);
        return error_remedy(err, "make it again, or go on with what it is now if you changed it yourself");
}

static const struct action {
        const char *word;
        int least, most;
        const char *wants;
        int (*whole)(struct store *s, const struct image_request *r, struct error *err);
        int (*each)(struct store *s, const char *name, struct error *err);
} actions[] = {
        {"debian", 2, 2, "debian SUITE NAME", NULL, NULL},
        {"import", 2, 2, "import FILE|DIRECTORY|- NAME", import, NULL},
        {"list", 0, 0, "list", list, NULL},
        {"rm", 1, 64, "rm NAME...", NULL, remove_one},
        {"verify", 1, 64, "verify NAME...", NULL, verify_one},
};
#define ACTIONS (sizeof actions / sizeof *actions)

static const struct action *action_of(const struct image_request *r, struct error *err)
{
        const char *words[ACTIONS + 1] = {0};
        for (size_t i = 0; i < ACTIONS; i++) {
                words[i] = actions[i].word;
                if (strcmp(actions[i].word, r->action) != 0)
                        continue;
                if (r->count >= actions[i].least && r->count <= actions[i].most)
                        return &actions[i];
                error_set(err, EINVAL, "paddock image %s: %s arguments", r->action,
                          r->count < actions[i].least ? "too few" : "too many");
                error_remedy(err, "it is: paddock image %s", actions[i].wants);
                return NULL;
        }
        cleanup_free char *shown = text_escape(r->action);
        const char *near = text_nearest(r->action, words);
        error_set(err, EINVAL, "paddock image cannot '%s'", shown);
        error_remedy(err, near ? "did you mean '%s'?" : "it can debian, import, list, rm and verify", near);
        return NULL;
}

static int carry_out(struct store *s, const struct image_request *r, const struct action *action)
{
        int status = 0;
        for (int i = 0; i < (action->whole ? 1 : r->count); i++) {
                cleanup_error struct error err = ERROR_INIT;
                int result = action->whole ? action->whole(s, r, &err) : action->each(s, r->arguments[i], &err);
                if (result < 0 && err.code)
                        error_print(stderr, &err);
                if (result)
                        status = EXIT_PADDOCK;
        }
        return fflush(stdout) == EOF ? EXIT_PADDOCK : status;
}

int verb_image(int argc, char **argv)
{
        static const struct argp_option options[] = {
                {"json", 'j', NULL, 0, "list: print JSON", 0},
                {"tag", KEY_TAG, "TAG", 0, "import: which of several images", 0},
                {"limit", KEY_LIMIT, "SIZE", 0, "import: take so many bytes of content (half of what is free)", 0},
                {"include", KEY_INCLUDE, "PACKAGE,...", 0, "debian: with these packages", 0},
                {"variant", KEY_VARIANT, "WORD", 0, "debian: minbase, or another that mmdebstrap knows", 0},
                {"mirror", KEY_MIRROR, "URL", 0, "debian: packages from there", 0},
                {"verbose", 'v', NULL, 0, "debian: show all that is said", 0}, {0}};
        static const struct argp argp = {
                options,
                parse,
                "debian SUITE NAME\nimport FILE|DIRECTORY|- NAME\nlist\nrm NAME...\nverify NAME...",
                "Root file systems that environments begin from: `paddock run --root NAME`, `paddock boot NAME`.\v"
                "An archive may be a tar, packed with gzip, xz or zstd; an OCI image layout; or what `podman save` "
                "and `docker save` write.",
                0,
                0,
                0};
        struct image_request r = {.variant = "minbase"};
        argp_err_exit_status = EXIT_PADDOCK;
        if (argp_parse(&argp, argc, argv, 0, NULL, &r))
                return EXIT_PADDOCK;
        cleanup_error struct error err = ERROR_INIT;
        cleanup_store struct store store = {.fd = -1, .remove = host_remove_tree};
        const struct action *action = action_of(&r, &err);
        if (!action || store_open(&store, &err) < 0) {
                error_print(stderr, &err);
                return EXIT_PADDOCK;
        }
        return strcmp(action->word, "debian") == 0 ? image_debian(&store, &r) : carry_out(&store, &r, action);
}
