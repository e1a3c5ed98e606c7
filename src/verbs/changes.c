// SPDX-License-Identifier: GPL-3.0-or-later
/* What the verbs on a layer have in common: see changes.h. */
#include "verbs/changes.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "verbs/verbs.h"

#include <string.h>

error_t changes_argument(int key, char *arg, struct argp_state *state, const char **name, char ***paths, int *count)
{
        switch (key) {
        case ARGP_KEY_ARG:
                if (*name)
                        return ARGP_ERR_UNKNOWN; /* the rest are paths */
                *name = arg;
                return 0;
        case ARGP_KEY_ARGS:
                *paths = state->argv + state->next;
                *count = state->argc - state->next;
                return 0;
        case ARGP_KEY_NO_ARGS:
                argp_error(state, "which environment?");
                return 0;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

int changes_open(struct changes *c, const char *name, struct error *err)
{
        c->name = name;
        int result = store_open(&c->store, err);
        if (result < 0)
                return result;
        c->directory = store_open_environment(&c->store, name, err);
        if (c->directory < 0)
                return c->directory;
        cleanup_environment struct environment e = {0};
        result = store_load(&c->store, name, &e, err);
        if (result < 0)
                return result;
        c->image = e.root == ROOT_IMAGE;
        c->root = e.identity == IDENTITY_ROOT && geteuid() != 0;
        result = layer_open(&c->layer, c->directory, err);
        return result < 0 ? error_context(err, "environment '%s'", name) : 0;
}

int changes_reopen(struct changes *c, struct error *err)
{
        bool mine = c->layer.mine;
        layer_close(&c->layer);
        int result = layer_open(&c->layer, c->directory, err);
        c->layer.mine = mine;
        return result < 0 ? error_context(err, "environment '%s'", c->name) : 0;
}

/* The directories of the name with their links followed; what does not exist outside stays as it is written. */
static char *canonical(const char *path)
{
        cleanup_free char *parent = path_parent(path);
        if (!path[1])
                return memory_string(path);
        cleanup_free char *real = realpath(parent, NULL);
        if (!real)
                real = canonical(parent);
        return path_join(real, path_name(path));
}

int changes_add_path(struct changes *c, const char *path, struct error *err)
{
        cleanup_free char *cwd = getcwd(NULL, 0);
        if (!path[0])
                return error_set(err, EINVAL, "an empty path");
        if (path[0] != '/' && !cwd) {
                cleanup_free char *shown = text_escape(path);
                return error_set(err, ENOENT, "%s is relative, and there is no working directory", shown);
        }
        cleanup_free char *clean = path_clean(cwd ? cwd : "/", path);
        *vector_add(c->paths, c->path_count, c->path_capacity) = canonical(clean);
        return 0;
}

int changes_open_paths(struct changes *c, const char *name, char **paths, int count, struct error *err)
{
        int result = changes_open(c, name, err);
        for (int i = 0; result == 0 && i < count; i++)
                result = changes_add_path(c, paths[i], err);
        return result;
}

int changes_verb(int argc, char **argv, const struct argp *argp, void *request,
                 int (*act)(void *request, struct changes *c, struct error *err))
{
        argp_err_exit_status = EXIT_PADDOCK;
        if (argp_parse(argp, argc, argv, 0, NULL, request))
                return EXIT_PADDOCK;
        cleanup_changes struct changes c = CHANGES_INIT;
        cleanup_error struct error err = ERROR_INIT;
        int status = act(request, &c, &err);
        if (status < 0)
                error_print(stderr, &err);
        return status < 0 ? EXIT_PADDOCK : status;
}

static void tell_trouble(void *context, const char *path, const char *what, int code)
{
        struct changes *c = context;
        cleanup_free char *shown = text_escape(path);
        fprintf(stderr, "paddock: %s: %s: %s\n", shown, what, strerror(code));
        c->trouble = true;
}

struct both {
        struct changes *changes;
        layer_visit visit;
        void *context;
};

static int pass_visit(void *context, const struct change *change)
{
        const struct both *b = context;
        return b->visit(b->context, change);
}

static void pass_trouble(void *context, const char *path, const char *what, int code)
{
        tell_trouble(((struct both *)context)->changes, path, what, code);
}

int changes_walk(struct changes *c, unsigned times, layer_visit visit, void *context, struct error *err)
{
        struct both both = {c, visit, context};
        free(c->found);
        c->found = memory_new((c->path_count + 1) * sizeof *c->found);
        struct layer_walk walk = {.layer = &c->layer,
                                  .paths = c->paths,
                                  .path_count = c->path_count,
                                  .times = times & CHANGES_TIMES,
                                  .directory_times = times & CHANGES_DIRECTORY_TIMES,
                                  .proofs = times & CHANGES_PROOFS,
                                  .visit = pass_visit,
                                  .trouble = pass_trouble,
                                  .context = &both,
                                  .found = c->found};
        return layer_walk(&walk, err);
}

struct inside {
        struct changes *changes;
        int (*work)(void *context);
        void *context;
};

static int ask_owner(void *context, int dir, const char *name, unsigned *uid, unsigned *gid)
{
        return host_owner(((struct changes *)context)->owners, dir, name, uid, gid);
}

static int work_inside(void *context, int owners)
{
        const struct inside *i = context;
        struct changes *c = i->changes;
        c->owners = owners;
        c->layer.ids = true;
        c->layer.owner = c->image ? NULL : ask_owner; /* an image's can be seen here */
        c->layer.owner_context = c;
        int result = i->work(i->context);
        fflush(stdout);
        return result;
}

int changes_inside(struct changes *c, int (*work)(void *context), void *context, struct error *err)
{
        if (!c->root) {
                host_read_everything();
                return work(context);
        }
        struct inside inside = {c, work, context};
        fflush(stdout);
        return host_inside(work_inside, &inside, err);
}

size_t changes_name_unfound(const struct changes *c)
{
        size_t count = 0;
        for (size_t i = 0; i < c->path_count; i++) {
                if (c->found[i])
                        continue;
                cleanup_free char *shown = text_escape(c->paths[i]);
                fprintf(stderr, "paddock: environment '%s' has no change at or below %s\n", c->name, shown);
                count++;
        }
        return count;
}

void changes_close(struct changes *c)
{
        layer_close(&c->layer);
        if (c->directory >= 0)
                close(c->directory);
        store_close(&c->store);
        while (c->path_count)
                free(c->paths[--c->path_count]);
        free(c->paths);
        free(c->found);
        *c = CHANGES_INIT;
}

const char *changes_type(const struct meta *m)
{
        switch (m->type) {
        case META_REGULAR:
                return "file";
        case META_DIRECTORY:
                return "directory";
        case META_SYMLINK:
                return "symlink";
        case META_FIFO:
                return "fifo";
        case META_SOCKET:
                return "socket";
        case META_DEVICE:
                return "device";
        case META_NONE:
                break;
        }
        return "nothing";
}

char changes_letter(const struct change *c)
{
        static const char letters[] = "AMTDR";
        return letters[c->kind];
}

void changes_size(struct text *t, uint64_t bytes)
{
        static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
        double value = (double)bytes;
        size_t unit = 0;
        while (value >= 1024 && unit < 5)
                value /= 1024, unit++;
        text_addf(t, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

static void add_what(struct text *t, const char *separator, const char *fmt, unsigned a, unsigned b)
{
        text_add(t, t->length ? separator : "");
        text_addf(t, fmt, a, b);
}

static void describe(struct text *t, const struct change *c)
{
        const struct { unsigned bit; const char *word;
        } words[] = {{CHANGE_CONTENT, "content"},
                     {CHANGE_TARGET, c->after.type == META_SYMLINK ? "target" : "device number"},
                     {CHANGE_XATTRS, "attributes"},
                     {CHANGE_ACL, "access list"},
                     {CHANGE_CAPABILITIES, "capabilities"},
                     {CHANGE_TIMES, "time"}};
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
                if (c->what & words[i].bit)
                        add_what(t, ", ", words[i].word, 0, 0);
        if (c->what & CHANGE_MODE)
                add_what(t, ", ", "mode %03o -> %03o", c->before.mode, c->after.mode);
        if ((c->what & CHANGE_OWNER) && c->before.uid != c->after.uid)
                add_what(t, ", ", "owner %u -> %u", c->before.uid, c->after.uid);
        if ((c->what & CHANGE_OWNER) && c->before.gid != c->after.gid)
                add_what(t, ", ", "group %u -> %u", c->before.gid, c->after.gid);
}

void changes_line(struct text *t, const struct change *c)
{
        text_addf(t, "%c  ", changes_letter(c));
        if (c->kind == CHANGE_RENAMED) {
                text_add_escaped(t, c->from);
                text_add(t, " -> ");
        }
        text_add_escaped(t, c->path);
        const struct meta *m = c->kind == CHANGE_DELETED ? &c->before : &c->after;
        if (m->type == META_DIRECTORY && c->path[1])
                text_add(t, "/");
        cleanup_text struct text what = {0};
        if (c->kind == CHANGE_CHANGED)
                describe(&what, c);
        else if (c->kind == CHANGE_REPLACED)
                text_addf(&what, "%s -> %s", changes_type(&c->before), changes_type(&c->after));
        else if (m->type != META_REGULAR && m->type != META_DIRECTORY)
                text_add(&what, changes_type(m));
        if (c->link) {
                text_add(&what, what.length ? ", hard link to " : "hard link to ");
                text_add_escaped(&what, c->link);
        }
        if (what.length)
                text_addf(t, "  (%s)", what.data);
}
