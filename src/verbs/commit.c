// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * `paddock commit`: changes of an environment, carried to the outside.
 *
 * Changes are looked at in a process of their own, which may read everything in the layer but writes only the journal;
 * what goes to the outside is written here, with the invoking user's rights and no more.
 */
#include "base/cleanup.h"
#include "base/path.h"
#include "host/host.h"
#include "layer/commit.h"
#include "layer/discard.h"
#include "layer/rename.h"
#include "layer/texts.h"
#include "verbs/archive.h"
#include "verbs/changes.h"
#include "verbs/verbs.h"

#include <argp.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

enum { OPTION_FORCE = 0x300, OPTION_THREE_WAY, OPTION_TO };

struct request {
        const char *name, *to;
        char **paths, **forced;
        int path_count, forced_count, forced_capacity;
        bool dry, three_way;
        struct changes changes;
        struct changes force; /* only its paths */
        struct reader reader;
        struct commit commit;
        int lock, place;      /* commit/ of the environment */
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct request *r = state->input;
        switch (key) {
        case 'n':
                r->dry = true;
                return 0;
        case OPTION_FORCE:
                *vector_add(r->forced, r->forced_count, r->forced_capacity) = arg;
                return 0;
        case OPTION_THREE_WAY:
                r->three_way = true;
                return 0;
        case OPTION_TO:
                r->to = arg;
                return 0;
        case ARGP_KEY_END:
                if (r->to && (r->forced_count || r->three_way))
                        argp_error(state, "--to writes beside the outside: nothing there is forced or merged");
                return 0;
        default:
                return changes_argument(key, arg, state, &r->name, &r->paths, &r->path_count);
        }
}

static void tell(void *context, const struct change *change, const char *path, const char *why)
{
        struct request *r = context;
        if (why) {
                cleanup_free char *shown = text_escape(path);
                fprintf(stderr, "paddock: %s: %s\n", shown, why);
        } else if (r->dry && change) {
                cleanup_text struct text line = {0};
                changes_line(&line, change);
                printf("%s\n", line.data);
        }
}

static int open_by_number(void *context, unsigned slot, const char *path)
{
        const struct layer *layer = context;
        for (size_t i = 0; i < layer->count; i++)
                if (layer->slots[i].number == slot)
                        return change_open_any(&layer->slots[i], path);
        return -ENOENT;
}

static int open_own(void *context, const struct layer_slot *slot, const char *path)
{
        struct request *r = context;
        return host_reader_open(&r->reader, open_by_number, &r->changes.layer, slot->number, path);
}

/* What the process that looks tells the one that acts. */
struct verdict {
        int result;
        bool trouble;
        unsigned long refused, items, unfound;
        char text[512];
};

struct survey {
        struct request *r;
        struct verdict *v;
};

/* In a process that can read everything in the layer. */
static int look(void *context)
{
        const struct survey *s = context;
        struct request *r = s->r;
        struct verdict *v = s->v;
        struct changes *c = &r->changes;
        cleanup_error struct error err = ERROR_INIT;
        r->commit.open_own = NULL; /* this one can */
        struct rename_filter renames = {.visit = commit_check, .context = &r->commit};
        v->result = changes_walk(c, CHANGES_DIRECTORY_TIMES | CHANGES_PROOFS, rename_visit, &renames, &err);
        if (v->result == 0)
                v->result = rename_finish(&renames);
        rename_clear(&renames);
        v->unfound = changes_name_unfound(c);
        v->trouble = c->trouble;
        v->refused = r->commit.refused;
        v->items = r->commit.items;
        if (r->dry || v->refused || v->trouble || v->unfound) /* the changes stay, and the outside may go on */
                texts_collect(&r->commit, c->paths, c->path_count);
        if (v->result == 0 && (fflush(r->commit.journal.file) == EOF || fflush(stdout) == EOF))
                v->result = -errno;
        if (v->result < 0)
                snprintf(v->text, sizeof v->text, "%s", err.text ? err.text : strerror(-v->result));
        return 0;
}

/* Has `work` done by another process, which can read and move everything in the layer. */
static int apart(struct request *r, int (*work)(void *context), void *context, struct error *err)
{
        if (r->changes.root)
                return changes_inside(&r->changes, work, context, err);
        pid_t pid = fork();
        if (pid == 0) {
                host_read_everything();
                _exit(work(context));
        }
        while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
        return pid < 0 ? error_sys(err, errno, "cannot make a process") : 0;
}

/* Looks at all chosen changes, in another process. */
static int survey(struct request *r, struct verdict *result, struct error *err)
{
        struct verdict *v = mmap(NULL, sizeof *v, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (v == MAP_FAILED)
                return error_sys(err, errno, "cannot share memory with the process that looks at the changes");
        v->result = -EIO;
        fflush(stdout);
        fflush(r->commit.journal.file);
        struct survey s = {r, v};
        int done = apart(r, look, &s, err);
        *result = *v;
        munmap(v, sizeof *v);
        if (done < 0)
                return done;
        if (result->result < 0)
                return error_set(err, -result->result, "%s",
                                 result->text[0] ? result->text : "the process that looks at the changes died");
        return 0;
}

static int begin(struct request *r, struct error *err)
{
        int directory = r->changes.directory;
        mkdirat(directory, "commit", 0700);
        r->place = openat(directory, "commit", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (r->place < 0)
                return error_sys(err, errno, "cannot open the directory of commits");
        r->lock = openat(r->place, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (r->lock < 0)
                return error_sys(err, errno, "cannot lock the directory of commits");
        /* One that was killed may leave a process of its own, which ends soon. */
        int locked = -1;
        for (int i = 0; i < 100 && (locked = flock(r->lock, LOCK_EX | LOCK_NB)) < 0; i++) {
                struct timespec pause = {.tv_nsec = 20000000};
                nanosleep(&pause, NULL);
        }
        if (locked < 0) {
                error_set(err, EBUSY, "another commit of environment '%s' is at work", r->name);
                return error_remedy(err, "wait for its end");
        }
        known_load(&r->commit.known, directory);
        bases_load(&r->commit.bases, directory);
        return 0;
}

/* What was carried out leaves the layer, so that the outside shows there again. `stopped`: nobody uses the layer. */
static int take_out(struct request *r, char **paths, size_t count, bool whole, struct error *err)
{
        if (whole)
                return store_discard_layer(&r->changes.store, r->changes.directory, err);
        cleanup_free char *scratch = NULL;
        cleanup_close int alive = -1, holder = store_scratch(&r->changes.store, &scratch, &alive, err);
        int result = holder < 0 ? holder : 0;
        for (size_t i = 0; result == 0 && i < count; i++) {
                result = layer_discard(&r->changes.layer, paths[i], holder, err);
                result = result > 0 ? 0 : result;
        }
        if (result == 0)
                result = layer_settle(&r->changes.layer, holder, err);
        cleanup_error struct error left = ERROR_INIT;
        if (holder >= 0)
                store_scratch_remove(&r->changes.store, scratch, &left);
        return result;
}

struct taking {
        struct request *r;
        char **paths;
        size_t count;
        bool whole;
};

static int take_out_all(void *context)
{
        const struct taking *t = context;
        cleanup_error struct error err = ERROR_INIT;
        if (take_out(t->r, t->paths, t->count, t->whole, &err) < 0)
                error_print(stderr, &err);
        return 0;
}

static void take_out_apart(struct request *r, char **paths, size_t count, bool whole)
{
        struct taking taking = {r, paths, count, whole};
        cleanup_error struct error err = ERROR_INIT;
        fflush(stdout);
        if (apart(r, take_out_all, &taking, &err) < 0)
                error_print(stderr, &err);
}

/* What was committed stays in the layer, and is what both sides come from now. */
static void keep_texts(struct request *r)
{
        struct commit *c = &r->commit;
        struct item item = {0};
        journal_rewind(&c->journal);
        while (journal_next(&c->journal, &item) == 1) {
                const struct layer_slot *slot = NULL;
                for (size_t i = 0; i < c->layer->count; i++)
                        slot = c->layer->slots[i].number == item.slot ? &c->layer->slots[i] : slot;
                if (item.kind != ITEM_PUT || item.after != META_REGULAR || item.before.type != META_REGULAR || !slot)
                        continue;
                cleanup_free char *target = commit_target(slot, item.path), *above = target ? path_parent(target) : NULL;
                cleanup_close int parent = above ? files_open_root(above) : -1;
                cleanup_close int fd = parent < 0 ? -1 : files_open_regular(parent, path_name(target));
                struct meta now;
                bool same = fd >= 0 && files_look(fd, "", false, &now) == 0 && known_has(&c->known, target, &now);
                if (!same || texts_keep(c->layer, slot, item.path, fd) != 1)
                        texts_drop(c->layer, slot, item.path); /* an older one is not that any more */
        }
        free(item.path);
        free(item.link);
}

/* Carries out the journal that is open. */
static int carry_out(struct request *r, bool again, bool stopped, struct error *err)
{
        struct commit *c = &r->commit;
        c->open_own = open_own;
        c->layer->idle = stopped;
        c->done = c->conflicts = c->merged = 0;
        int result = commit_apply(c, again, err);
        if (result == 0)
                result = known_store(&c->known, r->changes.directory, err);
        if (result < 0)
                return result;
        /* Which paths were chosen stands in the journal, also when another process wrote it. */
        char **paths = NULL;
        size_t count = 0, capacity = 0;
        struct item item = {0};
        journal_rewind(&c->journal);
        while (journal_next(&c->journal, &item) == 1)
                if (item.kind == ITEM_CHOSEN)
                        *vector_add(paths, count, capacity) = memory_string(item.path);
        /* What a snapshot or a clone holds stays as it is; `known` says that it is outside too. */
        if (stopped && !c->conflicts && !r->changes.layer.chain.count)
                take_out_apart(r, paths, count, count == 1 && strcmp(paths[0], "/") == 0);
        else
                keep_texts(r);
        while (count)
                free(paths[--count]);
        free(paths);
        free(item.path);
        free(item.link);
        journal_remove(&c->journal, r->place);
        return 0;
}

static int write_chosen(struct request *r)
{
        struct item item = {.kind = ITEM_CHOSEN, .path = (char *)"/"};
        int result = 0;
        if (!r->changes.path_count)
                return journal_add(&r->commit.journal, &item);
        for (size_t i = 0; i < r->changes.path_count && result == 0; i++) {
                item.path = r->changes.paths[i];
                result = journal_add(&r->commit.journal, &item);
        }
        return result;
}

static int report(const struct request *r)
{
        const struct commit *c = &r->commit;
        if (c->conflicts)
                fprintf(stderr,
                        "paddock: %lu change%s outside came in between: what is named was left as it is there\n",
                        c->conflicts, c->conflicts > 1 ? "s" : "");
        printf("%lu change%s committed\n", c->done, c->done == 1 ? "" : "s");
        return c->conflicts ? EXIT_PADDOCK : c->merged ? 1 : 0;
}

/* While it does not run it is kept from starting; else the layer stays as it is, and only the outside changes. */
static int hold(struct request *r, int locks[2], bool *stopped, struct error *err)
{
        int result;
        do {
                result = store_hold(&r->changes.store, r->name, locks, "", err);
                *stopped = result == 0;
                if (result != -EBUSY)
                        return result;
                error_clear(err);
                result = store_share(&r->changes.store, r->name, &locks[1], err);
        } while (result == -EAGAIN);
        return result;
}

static int commit(struct request *r, struct error *err)
{
        struct changes *c = &r->changes;
        int result = changes_open(c, r->name, err), locks[2] = {-1, -1};
        for (int i = 0; result == 0 && i < r->path_count; i++)
                result = changes_add_path(c, r->paths[i], err);
        for (int i = 0; result == 0 && i < r->forced_count; i++)
                result = changes_add_path(&r->force, r->forced[i], err);
        if (result == 0 && c->image && !r->to) {
                error_set(err, EPERM, "environment '%s' lies over an image, which is never written again", r->name);
                return error_remedy(err, "`paddock commit %s --to FILE.tar` writes its changes into an archive",
                                    r->name);
        }
        if (result == 0)
                result = begin(r, err);
        bool stopped = false;
        if (result == 0)
                result = hold(r, locks, &stopped, err);
        cleanup_close int setup = locks[0], alive = locks[1];
        (void)setup;
        (void)alive;
        if (result == 0)
                result = changes_reopen(c, err);
        if (result == 0 && r->to)
                return archive_changes(c, r->to, r->dry, err);
        if (result < 0)
                return result;

        c->layer.mine = r->reader.inside = r->commit.inside = c->root;
        r->commit.layer = &c->layer;
        r->commit.asked = true;
        r->commit.uid = geteuid();
        r->commit.gid = getegid();
        r->commit.directory = c->directory;
        r->commit.context = r;
        r->commit.tell = tell;
        result = journal_open(&r->commit.journal, r->place, err);
        if (result == 0) {
                fprintf(stderr, "paddock: a commit of '%s' was cut off; it is finished first\n", r->name);
                result = carry_out(r, true, stopped, err);
                if (result == 0) {
                        report(r);
                        result = changes_reopen(c, err);
                }
        }
        if (result < 0 && result != -ENOENT)
                return result;
        error_clear(err);
        r->commit.paths = c->paths;
        r->commit.path_count = c->path_count;
        r->commit.forced = r->force.paths;
        r->commit.forced_count = r->force.path_count;
        r->commit.merge = r->three_way;
        result = journal_begin(&r->commit.journal, r->place, err);
        if (result == 0 && write_chosen(r) < 0)
                result = error_sys(err, errno, "cannot write the journal of the commit");
        struct verdict verdict = {0};
        if (result == 0)
                result = survey(r, &verdict, err);
        if (result == 0 && (verdict.refused || verdict.trouble || verdict.unfound)) {
                error_set(err, EPERM, "nothing was committed");
                result = error_remedy(err, c->root ? "choose PATHs without what is named; `--to FILE.tar` takes all, "
                                                     "with owners, for an administrator"
                                                   : "choose PATHs without what is named, or `--force PATH` what you "
                                                     "have looked at");
        }
        if (result == 0 && (r->dry || !verdict.items)) {
                journal_close(&r->commit.journal);
                unlinkat(r->place, "journal.new", 0);
                if (!r->dry)
                        printf("0 changes committed\n");
                return 0;
        }
        if (result == 0)
                result = journal_finish(&r->commit.journal, r->place, err);
        if (result == 0)
                result = carry_out(r, false, stopped, err);
        unlinkat(r->place, "journal.new", 0);
        return result < 0 ? result : report(r);
}

int verb_commit(int argc, char **argv)
{
        static const struct argp_option options[] = {
                {"dry-run", 'n', NULL, 0, "only tell what would be committed, and what is refused", 0},
                {"force", OPTION_FORCE, "PATH", 0, "at and below PATH whatever changed outside", 0},
                {"three-way", OPTION_THREE_WAY, NULL, 0, "merge text that changed outside too, conflicts between marks", 0},
                {"to", OPTION_TO, "TAR|DIR", 0, "not to the outside but into an archive, or below a directory", 0},
                {0}};
        static const struct argp argp = {options,
                                         parse,
                                         "NAME [PATH...]",
                                         "Carry changes of an environment to the outside.\v"
                                         "With PATHs: only changes at or below them. All that is chosen is looked at "
                                         "first; what is refused is named, and then "
                                         "nothing is done. Cut off, it is finished by the next commit.\n\n"
                                         "Exit status: 0 done; 1 done, and text was merged with marks; 125 something "
                                         "was refused or failed.",
                                         0,
                                         0,
                                         0};
        struct request r = {.changes = CHANGES_INIT,
                            .force = CHANGES_INIT,
                            .reader = READER_NONE,
                            .lock = -1,
                            .place = -1};
        argp_err_exit_status = EXIT_PADDOCK;
        if (argp_parse(&argp, argc, argv, 0, NULL, &r))
                return EXIT_PADDOCK;
        cleanup_error struct error err = ERROR_INIT;
        int status = commit(&r, &err);
        if (status < 0) {
                error_print(stderr, &err);
                status = EXIT_PADDOCK;
        }
        host_reader_end(&r.reader);
        journal_close(&r.commit.journal);
        known_clear(&r.commit.known);
        bases_clear(&r.commit.bases);
        folds_clear(&r.commit.folds);
        if (r.place >= 0)
                close(r.place);
        if (r.lock >= 0)
                close(r.lock);
        changes_close(&r.changes);
        changes_close(&r.force);
        free(r.forced);
        return status;
}
