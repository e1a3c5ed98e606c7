// SPDX-License-Identifier: GPL-3.0-or-later
/* `paddock export` and `import`: a whole environment into one file, and out of it. */
#include "layer/portable.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "host/host.h"
#include "layer/layer.h"
#include "model/chain.h"
#include "verbs/changes.h"
#include "verbs/verbs.h"

#include <argp.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#define TELL_EVERY 200000000 /* ns */

struct request {
        bool import, json, progress;
        const char *first, *second; /* export: environment, file; import: file, environment */
};

static const struct argp_option options[] = {
        {"json", 'j', NULL, 0, "print what came of it as JSON", 0},
        {"progress", 'p', NULL, 0, "tell how far it is, also where that is no terminal", 0}, {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct request *r = state->input;
        if (key == 'j')
                r->json = true;
        else if (key == 'p')
                r->progress = true;
        else if (key == ARGP_KEY_ARG && !r->first)
                r->first = arg;
        else if (key == ARGP_KEY_ARG && !r->second)
                r->second = arg;
        else if (key == ARGP_KEY_ARG)
                argp_error(state, "one environment and one file at a time");
        else if (key == ARGP_KEY_NO_ARGS)
                argp_error(state, r->import ? "from which file?" : "which environment?");
        else if (key == ARGP_KEY_END && r->json && r->second && !r->import && strcmp(r->second, "-") == 0)
                argp_error(state, "the standard output cannot hold both the archive and JSON");
        else
                return ARGP_ERR_UNKNOWN;
        return 0;
}

struct teller {
        struct timespec last;
        bool terminal, told;
};

static void tell(void *context, unsigned long entries, uint64_t bytes)
{
        struct teller *t = context;
        struct timespec now;
        if (entries % 64)
                return;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if ((now.tv_sec - t->last.tv_sec) * 1000000000LL + now.tv_nsec - t->last.tv_nsec < TELL_EVERY)
                return;
        cleanup_text struct text size = {0};
        changes_size(&size, bytes);
        fprintf(stderr, t->terminal ? "\r\033[K%lu files, %s" : "%lu files, %s\n", entries, size.data);
        t->last = now;
        t->told = true;
}

static void tell_end(const struct teller *t)
{
        if (t->told && t->terminal)
                fprintf(stderr, "\r\033[K");
}

/* The work, which may be done by another process: what comes of it is shared with that. */
struct work {
        struct portable portable;
        struct teller teller;
        int directory;       /* export: of the environment; import: where it is made */
        unsigned shift;
        struct import *import;
        const char *name;
        struct error *err;   /* of whoever works */
};

static struct work *work_new(const struct request *r, struct error *err)
{
        struct work *w = mmap(NULL, sizeof *w, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (w == MAP_FAILED) {
                error_sys(err, errno, "cannot share memory with the process that works");
                return NULL;
        }
        w->err = err;
        w->teller.terminal = isatty(STDERR_FILENO);
        w->portable.context = &w->teller;
        w->portable.progress = r->progress || w->teller.terminal ? tell : NULL;
        return w;
}

static int report(const struct request *r, const struct portable *p, const char *name, const char *file)
{
        if (r->json)
                return print_json(json_pack("{s:s, s:o, s:s, s:I, s:I, s:s}", "name", name, "file", json_name(file),
                                            "identity", identity_word(p->identity), "entries", (json_int_t)p->entries,
                                            "bytes", (json_int_t)p->bytes, "sha256", p->digest));
        cleanup_text struct text size = {0};
        changes_size(&size, p->bytes);
        fprintf(!r->import && strcmp(file, "-") == 0 ? stderr : stdout, "%s: %lu entries, %s, sha256 %s\n", name,
                p->entries, size.data, p->digest);
        return 0;
}

/* Whose home directory slots may be in. Fresh memory, or NULL. */
static char *home(void)
{
        const char *name = getenv("HOME");
        char *real = name && name[0] == '/' ? realpath(name, NULL) : NULL;
        if (real && real[1])
                return real;
        free(real);
        return NULL;
}

/* Has it other ids than the one that the invoking user is? Then who of the two works: 1 a process with the ids of the
 * user's, 2 one with a range of root's; 0: this one. Negative: an errno. */
static int ids_of(enum identity_kind identity, struct portable *p, struct error *err)
{
        cleanup_system struct system system = {0};
        int result = host_survey(&system, NULL, NULL, err);
        if (result < 0)
                return result;
        p->uid = geteuid();
        p->gid = getegid();
        if (system.superuser)
                return 2;
        if (geteuid() != 0 && identity == IDENTITY_ROOT)
                host_survey_ids(&system);
        p->single = geteuid() != 0 && (identity == IDENTITY_SELF || system.ids_lack);
        return geteuid() != 0 && !p->single;
}

/* --- export ------------------------------------------------------------------------------------------------------- */

static int export_all(void *context, int owners)
{
        struct work *w = context;
        (void)owners;
        int result = portable_export(&w->portable, w->directory, w->shift, w->err);
        tell_end(&w->teller);
        if (result < 0)
                error_print(stderr, w->err);
        error_clear(w->err);
        return result < 0 ? EXIT_PADDOCK : 0;
}

static void tell_left_out(int directory, const char *name)
{
        cleanup_close int inner = files_open_directory(directory, "inner");
        struct meta meta;
        if (inner >= 0 && files_look(inner, "env", false, &meta) == 0 && meta.type == META_DIRECTORY)
                fprintf(stderr,
                        "paddock: environments that were made inside '%s' are not taken along: export them there\n",
                        name);
}

static int export_to(struct work *w, struct store *store, const char *name, FILE *file, struct error *err)
{
        cleanup_environment struct environment e = {0};
        int locks[2] = {-1, -1}, result = store_load(store, name, &e, err);
        if (result == 0)
                result = store_hold(store, name, locks, "`paddock clone` it and export the clone, or end it", err);
        cleanup_close int setup = locks[0], alive = locks[1];
        cleanup_close int directory = result < 0 ? -1 : store_open_environment(store, name, err);
        (void)setup, (void)alive;
        if (directory < 0)
                return -err->code;
        tell_left_out(directory, name);
        w->directory = directory;
        w->portable.file = file;
        w->portable.identity = e.identity;
        w->portable.image = e.root == ROOT_IMAGE;
        snprintf(w->portable.name, sizeof w->portable.name, "%s", name);
        int other = ids_of(e.identity, &w->portable, err);
        struct meta meta;
        if (other < 0 || files_look(directory, "", false, &meta) < 0)
                return other;
        if (other == 2 && meta.uid != geteuid())
                w->shift = meta.uid;
        if (other == 1)
                return host_inside(export_all, w, err);
        host_read_everything();
        return export_all(w, -1);
}

static int export_environment(const struct request *r, struct error *err)
{
        cleanup_free char *usual = memory_format("%s.paddock.tar", r->first);
        const char *to = r->second ? r->second : usual;
        bool standard = strcmp(to, "-") == 0;
        if (standard && isatty(STDOUT_FILENO))
                return error_set(err, EINVAL, "a terminal cannot hold an archive: name a file");
        cleanup_store struct store store = STORE_CLOSED;
        int result = store_open(&store, err);
        if (result == 0) {
                cleanup_close int there = result = store_open_environment(&store, r->first, err);
                (void)there;
        }
        struct work *w = result < 0 ? NULL : work_new(r, err);
        if (!w)
                return -err->code;
        cleanup_free char *own = home(), *fresh = memory_format("%s.paddock-%d", to, (int)getpid()),
                          *shown = text_escape(to);
        w->portable.home = own;
        int fd = standard ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)
                          : open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        cleanup_file FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
        if (!file)
                return error_sys(err, errno, "cannot write %s", shown);
        result = export_to(w, &store, r->first, file, err);
        int status = result;
        if (result == 0 && !standard && (fsync(fd) < 0 || rename(fresh, to) < 0))
                result = error_sys(err, errno, "cannot write %s", shown);
        if (result != 0 && !standard)
                unlink(fresh);
        if (result == 0 && w->portable.unproven)
                fprintf(stderr, "paddock: of %lu changes it does not say what they were made from: a commit after the import has "
                                "to force them\n", w->portable.unproven);
        if (result == 0)
                status = report(r, &w->portable, r->first, to);
        munmap(w, sizeof *w);
        return result < 0 ? result : status;
}

/* --- import ------------------------------------------------------------------------------------------------------- */

static int import_all(void *context, int owners)
{
        struct work *w = context;
        (void)owners;
        int result = import_read(w->import, w->directory, w->name, w->err);
        tell_end(&w->teller);
        if (result < 0)
                error_print(stderr, w->err);
        error_clear(w->err);
        return result < 0 ? EXIT_PADDOCK : 0;
}

/* Puts in place what was read: frozen layers first, which nobody holds yet, then the environment, by one rename. */
static int place(struct store *store, int holder, const char *name, struct error *err)
{
        cleanup_close int frozen = chain_lock(store, false, err),
                          from = frozen < 0 ? -1 : files_open_directory(holder, "frozen");
        int copy = from < 0 ? -1 : openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cleanup_dir DIR *list = copy < 0 ? NULL : fdopendir(copy);
        if (!list)
                return err->code ? -err->code : error_sys(err, errno, "cannot read the frozen layers");
        struct dirent *entry;
        while ((entry = readdir(list)))
                if (entry->d_name[0] != '.' && renameat(from, entry->d_name, frozen, entry->d_name) < 0)
                        return error_sys(err, errno, "cannot put a frozen layer in its place");
        int result = fsync(frozen) < 0 ? error_sys(err, errno, "cannot make the frozen layers durable") : 0;
        if (result == 0)
                result = store_adopt(store, holder, "env", name, err);
        if (result == 0 && files_sync(store->fd) < 0)
                result = error_sys(err, errno, "cannot make the environment durable");
        return result;
}

/* A process of its own, which may read and make everything that is the user's, and then ends. */
static int import_apart(struct work *w, struct error *err)
{
        int status = 0;
        pid_t pid = fork();
        if (pid == 0) {
                host_read_everything();
                _exit(import_all(w, -1));
        }
        while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        return pid < 0 || !WIFEXITED(status) ? error_set(err, EIO, "the process that restores the environment died")
                                             : WEXITSTATUS(status);
}

/* Which places the layer has changes of depends on the system and the user it was made for: names those that a run here
 * leaves alone. */
static void tell_unseen(struct store *store, const char *name)
{
        cleanup_error struct error err = ERROR_INIT;
        cleanup_environment struct environment e = {0};
        cleanup_system struct system system = {0};
        cleanup_plan struct plan plan = {0};
        struct slots slots = {0};
        cleanup_close int directory = store_open_environment(store, name, &err);
        if (directory < 0 || store_load(store, name, &e, &err) < 0 ||
            host_survey(&system, store->path, store->path, &err) < 0 || slots_load(directory, &slots, &err) < 0 ||
            plan_resolve(&plan, &e, &system, &slots, &err) < 0) {
                fprintf(stderr, "paddock: whether all of it can be seen in a run here is not known: %s\n",
                        err.text ? err.text : "");
                slots_clear(&slots);
                return;
        }
        for (size_t i = 0; i < plan.slots.count; i++) {
                bool seen = false;
                for (size_t n = 0; n < plan.count && !seen; n++)
                        seen = plan.ops[n].slot == (int)plan.slots.slots[i].number;
                cleanup_free char *upper = memory_format("layer/%u/upper", plan.slots.slots[i].number),
                                  *shown = text_escape(plan.slots.slots[i].path);
                cleanup_close int fd = files_open_directory(directory, upper);
                struct names names = {.budget = 1};
                bool empty = fd < 0 || (names_next(&names, &fd, 1) == 1 && !names.count);
                names_clear(&names);
                if (!seen && !empty)
                        fprintf(stderr,
                                "paddock: what was changed in %s is not seen in a run here, where that is not private; "
                                "`paddock diff %s` tells it\n",
                                shown, name);
        }
}

static int import_from(struct work *w, struct store *store, const char *name, struct error *err)
{
        struct portable *p = &w->portable;
        int other = ids_of(p->identity, p, err);
        cleanup_free char *scratch = NULL;
        cleanup_close int alive = -1, holder = other < 0 ? -1 : store_scratch(store, &scratch, &alive, err);
        if (holder < 0)
                return -err->code;
        w->directory = holder;
        w->name = name;
        int result = other == 1   ? host_inside(import_all, w, err)
                     : other == 2 ? host_inside_range(name, holder, import_all, w, err)
                                  : import_apart(w, err);
        if (result == 0)
                result = place(store, holder, name, err);
        cleanup_error struct error left = ERROR_INIT;
        if (store_scratch_remove(store, scratch, &left) < 0 && result == 0)
                error_print(stderr, &left);
        return result;
}

static int import_environment(const struct request *r, struct error *err)
{
        bool standard = strcmp(r->first, "-") == 0;
        cleanup_free char *shown = text_escape(r->first), *own = home();
        int fd = standard ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0) : open(r->first, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        cleanup_file FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
        if (!file)
                return error_sys(err, errno, "cannot read %s", shown);
        struct work *w = work_new(r, err);
        if (!w)
                return -err->code;
        cleanup_store struct store store = {.fd = -1, .remove = host_remove_tree};
        w->portable.file = file;
        w->portable.home = own;
        int result = import_begin(&w->portable, &w->import, err);
        const char *name = r->second ? r->second : w->portable.name;
        if (result < 0)
                error_context(err, "%s", shown);
        if (result == 0)
                result = environment_name_check(name, err);
        if (result == 0)
                result = store_open(&store, err);
        if (result == 0)
                result = store_is_free(&store, name, err);
        if (result == 0)
                result = import_from(w, &store, name, err);
        if (result == 0) {
                tell_unseen(&store, name);
                result = report(r, &w->portable, name, r->first);
        }
        import_end(w->import);
        munmap(w, sizeof *w);
        return result;
}

/* --- */

static int act(int argc, char **argv, const struct argp *argp, struct request *r)
{
        argp_err_exit_status = EXIT_PADDOCK;
        if (argp_parse(argp, argc, argv, 0, NULL, r))
                return EXIT_PADDOCK;
        cleanup_error struct error err = ERROR_INIT;
        int result = r->import ? import_environment(r, &err) : export_environment(r, &err);
        if (result < 0)
                error_print(stderr, &err);
        return result < 0 ? EXIT_PADDOCK : result;
}

int verb_export(int argc, char **argv)
{
        static const struct argp argp =
                {options,
                 parse,
                 "NAME [FILE|-]",
                 "Write a whole environment into one file.\v"
                 "The file (NAME.paddock.tar unless another is named) is a tar archive: description, layer, snapshots, "
                 "and digests of all of it. `paddock import` restores it, here or elsewhere. An environment that runs "
                 "is refused.",
                 0,
                 0,
                 0};
        struct request r = {0};
        return act(argc, argv, &argp, &r);
}

int verb_import(int argc, char **argv)
{
        static const struct argp argp = {options,
                                         parse,
                                         "FILE|- [NEWNAME]",
                                         "Restore an environment that `paddock export` has written.\v"
                                         "It appears complete, with all digests right, or not at all. What was in the "
                                         "home directory of whoever "
                                         "exported it is in yours. A later commit replaces what is outside where that is, "
                                         "by its digest, what the change was made from, and refuses the rest; `--force` "
                                         "allows it.",
                                         0,
                                         0,
                                         0};
        struct request r = {.import = true};
        return act(argc, argv, &argp, &r);
}
