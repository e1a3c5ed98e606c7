// SPDX-License-Identifier: GPL-3.0-or-later
/* `paddock diff`: what an environment has changed. */
#include "base/cleanup.h"
#include "host/host.h"
#include "layer/rename.h"
#include "layer/texts.h"
#include "verbs/changes.h"
#include "verbs/difftext.h"
#include "verbs/pager.h"
#include "verbs/verbs.h"

#include <argp.h>
#include <jansson.h>
#include <string.h>

enum { OPTION_STAT = 0x300, OPTION_TIMES, OPTION_NO_PAGER };

struct request {
        const char *name;
        char **paths;
        int path_count;
        bool json, stat, unified, times, no_pager, color;
        unsigned long counts[5]; /* by kind */
        uint64_t bytes;          /* of files added or changed */
        unsigned long printed;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct request *r = state->input;
        switch (key) {
        case 'j':
                r->json = true;
                return 0;
        case 'u':
                r->unified = true;
                return 0;
        case OPTION_STAT:
                r->stat = true;
                return 0;
        case OPTION_TIMES:
                r->times = true;
                return 0;
        case OPTION_NO_PAGER:
                r->no_pager = true;
                return 0;
        case ARGP_KEY_END:
                if (r->json + r->stat + r->unified > 1)
                        argp_error(state, "one of --json, --stat and --unified");
                return 0;
        default:
                return changes_argument(key, arg, state, &r->name, &r->paths, &r->path_count);
        }
}

static json_t *time_json(const struct timespec *t)
{
        char text[64];
        snprintf(text, sizeof text, "%lld.%09ld", (long long)t->tv_sec, t->tv_nsec);
        return json_string(text);
}

static json_t *meta_json(const struct meta *m)
{
        char mode[16];
        snprintf(mode, sizeof mode, "%04o", m->mode);
        json_t *value = json_pack("{s:s, s:s, s:I, s:I, s:o}", "type", changes_type(m), "mode", mode, "uid",
                                  (json_int_t)m->uid, "gid", (json_int_t)m->gid, "mtime", time_json(&m->mtime));
        if (m->type == META_REGULAR)
                json_object_set_new(value, "size", json_integer((json_int_t)m->size));
        return value;
}

static void set_name(json_t *object, const char *key, const char *name)
{
        json_t *exact = json_string(name);
        if (!exact) /* as in `show`: what is no UTF-8 is escaped, and said to be */
                json_object_set_new(object, "escaped", json_true());
        json_decref(exact);
        json_object_set_new(object, key, json_name(name));
}

static json_t *what_json(unsigned what)
{
        static const char *const words[] = {"content", "mode",         "owner",  "attributes", "access-list",
                                            "capabilities", "target", "link",   "time"};
        json_t *list = json_array();
        for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
                if (what & 1u << i)
                        json_array_append_new(list, json_string(words[i]));
        return list;
}

static int print_change_json(struct request *r, const struct change *c)
{
        static const char *const kinds[] = {"added", "changed", "replaced", "deleted", "renamed"};
        json_t *value = json_object();
        json_object_set_new(value, "change", json_string(kinds[c->kind]));
        set_name(value, "path", c->path);
        if (c->from)
                set_name(value, "from", c->from);
        if (c->what)
                json_object_set_new(value, "what", what_json(c->what));
        if (c->link)
                set_name(value, "link", c->link);
        if (c->before.type != META_NONE)
                json_object_set_new(value, "before", meta_json(&c->before));
        if (c->kind != CHANGE_DELETED)
                json_object_set_new(value, "after", meta_json(&c->after));
        fputs(r->printed++ ? ",\n  " : "[\n  ", stdout);
        int result = json_dumpf(value, stdout, JSON_ENSURE_ASCII);
        json_decref(value);
        return result < 0 ? -EIO : 0;
}

static const char *color_of(const struct change *c)
{
        static const char *const colors[] = {"\033[32m", "\033[33m", "\033[35m", "\033[31m", "\033[36m"};
        return colors[c->kind];
}

static void print_line(const struct request *r, const struct change *c)
{
        cleanup_text struct text line = {0};
        changes_line(&line, c);
        if (r->stat && c->kind != CHANGE_RENAMED && (c->before.type == META_REGULAR || c->after.type == META_REGULAR)) {
                text_add(&line, "  ");
                if (c->kind != CHANGE_ADDED)
                        changes_size(&line, c->before.type == META_REGULAR ? c->before.size : 0);
                if (c->kind != CHANGE_ADDED && c->kind != CHANGE_DELETED)
                        text_add(&line, " -> ");
                if (c->kind != CHANGE_DELETED)
                        changes_size(&line, c->after.type == META_REGULAR ? c->after.size : 0);
        }
        if (r->color)
                printf("%s%s\033[m\n", color_of(c), line.data);
        else
                printf("%s\n", line.data);
}

static int print_change(void *context, const struct change *c)
{
        struct request *r = context;
        if (c->passage)
                return 0;
        r->counts[c->kind]++;
        if (c->kind != CHANGE_DELETED && c->kind != CHANGE_RENAMED && c->after.type == META_REGULAR)
                r->bytes += c->after.size;
        int result = 0;
        if (r->json)
                result = print_change_json(r, c);
        else
                print_line(r, c);
        if (r->unified)
                result = difftext_print(c, r->color);
        return result < 0 ? result : ferror(stdout) ? -EPIPE : 0;
}

static void print_summary(const struct request *r)
{
        cleanup_text struct text size = {0};
        changes_size(&size, r->bytes);
        printf("%lu added, %lu changed, %lu replaced, %lu deleted, %lu renamed; %s in files added or changed\n",
               r->counts[CHANGE_ADDED], r->counts[CHANGE_CHANGED], r->counts[CHANGE_REPLACED],
               r->counts[CHANGE_DELETED], r->counts[CHANGE_RENAMED], size.data);
}

struct work {
        struct request *r;
        struct changes *c;
        struct pager *pager;
};

/* Walks and prints. Returns an exit status. */
static int print_all(void *context)
{
        const struct work *w = context;
        struct request *r = w->r;
        cleanup_error struct error err = ERROR_INIT;
        struct rename_filter renames = {.visit = print_change, .context = r};
        int result = changes_walk(w->c, r->times ? CHANGES_TIMES : 0, rename_visit, &renames, &err);
        if (result == 0)
                result = rename_finish(&renames);
        rename_clear(&renames);
        if (result == -EPIPE && w->pager->pid) /* left before the end */
                return 0;
        if (result == 0 && r->json)
                fputs(r->printed ? "\n]\n" : "[]\n", stdout);
        if (result == 0 && r->stat)
                print_summary(r);
        if (result == 0 && fflush(stdout) == EOF && !w->pager->pid)
                result = -errno;
        if (result < 0) {
                if (!err.code || result == -EPIPE)
                        error_sys(&err, -result, "cannot write the changes");
                error_print(stderr, &err);
                return EXIT_PADDOCK;
        }
        if (changes_name_unfound(w->c)) {
                fprintf(stderr, "paddock: `paddock diff %s` lists what there is\n", r->name);
                return EXIT_PADDOCK;
        }
        return w->c->trouble ? EXIT_PADDOCK : 0;
}

static int keep_texts(void *context)
{
        struct changes *c = context;
        struct commit commit = {.layer = &c->layer};
        known_load(&commit.known, c->directory);
        bases_load(&commit.bases, c->directory);
        texts_collect(&commit, c->paths, c->path_count);
        known_clear(&commit.known);
        bases_clear(&commit.bases);
        return 0;
}

/* What was shown is kept for a merge, if nobody takes something out of the layer at this moment. */
static void keep_shown(struct changes *c, const char *name)
{
        cleanup_error struct error ignored = ERROR_INIT; /* nobody asked for it */
        cleanup_close int alive = -1;
        if (store_share(&c->store, name, &alive, &ignored) < 0 || changes_reopen(c, &ignored) < 0)
                return;
        if (c->root)
                changes_inside(c, keep_texts, c, &ignored);
        else
                keep_texts(c); /* this process may read everything by now */
}

static int diff(void *request, struct changes *c, struct error *err)
{
        struct request *r = request;
        int result = changes_open_paths(c, r->name, r->paths, r->path_count, err);
        if (result < 0)
                return result;
        r->color = pager_color();
        struct pager pager;
        pager_start(&pager, !r->no_pager && !r->json);
        struct work work = {r, c, &pager};
        result = changes_inside(c, print_all, &work, err);
        pager_end(&pager);
        if (r->unified && result >= 0 && !c->image)
                keep_shown(c, r->name);
        return result;
}

int verb_diff(int argc, char **argv)
{
        static const struct argp_option options[] = {
                {"unified", 'u', NULL, 0, "with the lines that differ in text files", 0},
                {"stat", OPTION_STAT, NULL, 0, "with sizes, and a count at the end", 0},
                {"json", 'j', NULL, 0, "print JSON", 0},
                {"times", OPTION_TIMES, NULL, 0, "a time of change that differs counts too", 0},
                {"no-pager", OPTION_NO_PAGER, NULL, 0, "print to the terminal without a pager", 0},
                {0}};
        static const struct argp argp = {options,
                                         parse,
                                         "NAME [PATH...]",
                                         "Tell what an environment has changed.\v"
                                         "A line a change: A added, M changed, T replaced by another type, D deleted "
                                         "with everything below, R renamed. "
                                         "What was touched but is equal is no change. With PATHs: only changes at or "
                                         "below them.",
                                         0,
                                         0,
                                         0};
        struct request r = {0};
        return changes_verb(argc, argv, &argp, &r, diff);
}
