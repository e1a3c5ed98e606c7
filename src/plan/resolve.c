// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * From a description to a plan.
 *
 *      rules --(names looked up)--> nodes --(anchors, places, mount points)--> nodes --(emit)--> operations
 *
 * Rules are taken from the shortest path to the longest, so that each name is looked up through the rules above it.
 */
#include "plan/node.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "model/image.h"

#include <string.h>

/* "~" and "~/x" with the home directory put in. Fresh memory; NULL with err set when there is none. */
static char *expand(struct resolver *r, const char *path)
{
        if (path[0] != '~')
                return memory_string(path);
        if (!r->system->home) {
                error_set(r->err, ENOENT, "rule on %s: there is no home directory", path);
                error_remedy(r->err, "set HOME to an absolute name");
                return NULL;
        }
        return path[1] ? memory_format("%s%s", r->system->home, path + 1) : memory_string(r->system->home);
}

static size_t depth(const char *path)
{
        size_t n = 0;
        for (; *path; path++)
                n += *path == '/' && path[1];
        return n;
}

struct pending {
        const struct rule *rule;
        char *path; /* expanded */
};

static int by_depth(const void *a, const void *b)
{
        const struct pending *x = a, *y = b;
        size_t i = depth(x->path), j = depth(y->path);
        return i != j ? (i < j ? -1 : 1) : strcmp(x->path, y->path);
}

static int check_source(struct resolver *r, const struct rule *rule, const char *shown, const struct node *node,
                        const char *source)
{
        struct file file = {.type = FILE_NONE};
        r->system->look.file(r->system->look.context, source, &file);
        cleanup_free char *from = text_escape(source);
        if (file.type == FILE_NONE && rule->kind != RULE_PRIVATE) {
                error_set(r->err, ENOENT, "rule %s on %s: %s does not exist in the main system", rule_word(rule->kind),
                          shown, from);
                if (rule->kind == RULE_SHARE || rule->kind == RULE_MIRROR)
                        error_remedy(r->err, "make it first, or use --empty for a place of the environment's own");
                return -ENOENT;
        }
        if (rule->kind == RULE_UNION && file.type != FILE_DIRECTORY)
                return error_set(r->err, ENOTDIR, "rule union on %s: %s is not a directory", shown, from);
        if (rule->kind == RULE_UNION && !r->whole && system_has_mounts_below(r->system, source)) {
                error_set(r->err, EBUSY, "rule union on %s: mounts lie below %s, which an ordinary user cannot unite",
                          shown, from);
                return error_remedy(r->err, "unite the directories below it, or use --from for one of them");
        }
        (void)node;
        return 0;
}

/* Can the name be looked up in one piece? Both limits are POSIX's for what systems have in common with Linux: 255 bytes
 * a component, 4,095 a name. */
static bool name_fits(const char *path)
{
        if (strlen(path) >= 4096)
                return false;
        for (size_t n; *path; path += n) {
                path += *path == '/';
                n = strcspn(path, "/");
                if (n > 255)
                        return false;
        }
        return true;
}

static int add_rule(struct resolver *r, const struct pending *pending)
{
        const struct rule *rule = pending->rule;
        cleanup_free char *path = walk_inside(r, pending->path);
        cleanup_free char *shown = text_escape(pending->path);
        if (!path)
                return error_context(r->err, "rule %s on %s", rule_word(rule->kind), shown);
        if (!name_fits(path))
                return error_set(r->err, ENAMETOOLONG, "rule %s on %.64s...: the name is too long",
                                 rule_word(rule->kind), shown);
        struct node *old = node_at(r, path);
        if (old && old->asked && (int)old->kind != (int)rule->kind)
                return error_set(r->err, EEXIST, "two rules lead to %s and contradict each other: %s and %s", path,
                                 rule_word((enum rule_kind)old->kind), rule_word(rule->kind));
        if (old && old->asked && rule->kind != RULE_FROM && rule->kind != RULE_UNION)
                return 0;
        if (old && old->asked)
                return error_set(r->err, EEXIST, "two rules lead to %s", path);
        if (!path[1] && rule->kind == RULE_HIDE)
                return error_set(r->err, EINVAL, "the root directory cannot be hidden");
        if (!path[1] && old) { /* the default on "/" gives way */
                old->kind = (enum node_kind)rule->kind;
                old->asked = true;
        }
        bool through = rule->kind == RULE_PRIVATE || rule->kind == RULE_MIRROR || rule->kind == RULE_SHARE;
        struct node *node = old && !path[1]
                                    ? old
                                    : node_add(r, (enum node_kind)rule->kind, path, through ? path : NULL, true);
        if (through)
                return check_source(r, rule, shown, node, path);
        if (node->source_count) { /* "/" again: what showed through by default does not */
                free(node->sources[0]);
                node->source_count = 0;
        }
        if (rule->kind == RULE_EMPTY) {
                struct file file = {.type = FILE_NONE};
                r->system->look.file(r->system->look.context, path, &file);
                node->file.type = file.type == FILE_DIRECTORY || file.type == FILE_NONE ? FILE_DIRECTORY : FILE_REGULAR;
        }
        if (!rule->source_count)
                return 0;
        node->sources = memory_grow(node->sources, rule->source_count, sizeof *node->sources);
        for (size_t i = 0; i < rule->source_count; i++) {
                cleanup_free char *expanded = expand(r, rule->sources[i]);
                char *source = expanded ? walk_outside(r->system, expanded, r->err) : NULL;
                if (!source)
                        return error_context(r->err, "rule %s on %s", rule_word(rule->kind), shown);
                node->sources[node->source_count++] = source;
                if (!name_fits(source))
                        return error_set(r->err, ENAMETOOLONG, "rule %s on %s: the name of its source is too long",
                                         rule_word(rule->kind), shown);
                int result = check_source(r, rule, shown, node, source);
                if (result < 0)
                        return result;
                for (size_t other = 0; other + 1 < node->source_count; other++)
                        if (path_is_below(source, node->sources[other]) || path_is_below(node->sources[other], source))
                                return error_set(r->err, EINVAL,
                                                 "rule union on %s: of %s and %s one lies within the other", shown,
                                                 node->sources[other], source);
        }
        r->system->look.file(r->system->look.context, node->sources[0], &node->file);
        return 0;
}

static int add_rules(struct resolver *r)
{
        const struct view *view = &r->e->view;
        size_t count = 0;
        cleanup_free struct pending *pending = memory_grow(NULL, view->count, sizeof *pending);
        int result = 0;
        for (size_t i = 0; i < view->count && result == 0; i++) {
                char *path = expand(r, view->rules[i].path);
                if (path)
                        pending[count++] = (struct pending){.rule = &view->rules[i], .path = path};
                else
                        result = -r->err->code;
        }
        if (count > 1)
                qsort(pending, count, sizeof *pending, by_depth);
        for (size_t i = 0; i < count && result == 0; i++)
                result = add_rule(r, &pending[i]);
        while (count)
                free(pending[--count].path);
        return result;
}

static int add_root(struct resolver *r)
{
        if (r->e->root == ROOT_EMPTY) {
                node_add(r, NODE_EMPTY, "/", NULL, false)->file.type = FILE_DIRECTORY;
        } else if (r->e->root == ROOT_DIRECTORY) {
                cleanup_free char *expanded = expand(r, r->e->root_path);
                cleanup_free char *path = expanded ? walk_outside(r->system, expanded, r->err) : NULL;
                if (!path)
                        return error_context(r->err, "root %s", r->e->root_path);
                if (node_add(r, NODE_FROM, "/", path, true)->file.type != FILE_DIRECTORY) {
                        cleanup_free char *shown = text_escape(path);
                        error_set(r->err, ENOENT, "root %s: it is not a directory", shown);
                        return error_remedy(r->err,
                                            "make it first, or use --root empty, or an image (`paddock image list`)");
                }
        } else if (r->e->root == ROOT_IMAGE) {
                cleanup_free char *path = image_root(r->system->state ? r->system->state : "", r->e->root_path);
                if (node_add(r, NODE_FROM, "/", path, true)->file.type != FILE_DIRECTORY) {
                        error_set(r->err, ENOENT, "there is no image '%s'", r->e->root_path);
                        return error_remedy(r->err, "`paddock image list` lists them");
                }
        } else {
                node_add(r, NODE_PRIVATE, "/", "/", false);
        }
        return 0;
}

/* Takes the node's sources, names and reason into a fresh operation. */
static struct plan_op *emit(struct resolver *r, struct node *node, enum plan_kind kind)
{
        struct plan_op *op = vector_add(r->plan->ops, r->plan->count, r->plan->capacity);
        bool mirrored = mirror_has(r, node); /* before its sources are taken */
        *op = (struct plan_op){.kind = kind,
                               .path = memory_string(node->path),
                               .mirrored = mirrored,
                               .sources = steal_pointer(&node->sources),
                               .source_count = node->source_count,
                               .names = steal_pointer(&node->names),
                               .name_count = node->name_count,
                               .name_capacity = node->name_capacity,
                               .slot = -1,
                               .mode = node->file.mode ? node->file.mode : 0755,
                               .is_file = node->file.type != FILE_DIRECTORY && node->file.type != FILE_NONE,
                               .asked = node->asked,
                               .listed = node->listed,
                               .lists = node->kind == NODE_SPLIT || node->kind == NODE_REBUILD,
                               .why = steal_pointer(&node->why)};
        node->source_count = node->name_count = 0;
        return op;
}

static void drop_sources(struct plan_op *op)
{
        while (op->source_count)
                free(op->sources[--op->source_count]);
        op->mirrored = false;
}

static void emit_slot(struct resolver *r, struct node *node, enum plan_kind kind)
{
        struct plan_op *op = emit(r, node, kind);
        op->slot = (int)slots_find(&r->plan->slots, op->path, kind == PLAN_BLANK);
}

static void emit_bind(struct resolver *r, struct node *node, bool writable)
{
        struct plan_op *op = emit(r, node, PLAN_BIND);
        op->writable = writable;
        op->recursive = !op->is_file;
}

static void emit_private(struct resolver *r, struct node *node)
{
        bool in_place = !node->path[1] && r->e->root == ROOT_HOST && !r->whole && node->kind == NODE_PRIVATE;
        if (in_place) {
                emit(r, node, PLAN_ROOT)->why =
                        memory_string("what you could write is private below; the rest is read-only");
                return;
        }
        if (node->file.type == FILE_DIRECTORY) {
                bool foreign = !node->file.mine && !r->whole && node->kind == NODE_PRIVATE;
                if (foreign && !node->why)
                        node->why = memory_string(
                                "it belongs to somebody else: what others own in it cannot be changed");
                emit_slot(r, node, PLAN_LAYER);
        } else if (node->file.type == FILE_NONE || node->file.type == FILE_REGULAR) {
                if (node->file.type == FILE_REGULAR && node->kind == NODE_FROM) {
                        emit_bind(r, node, false);
                        return;
                }
                if (node->file.type == FILE_NONE)
                        while (node->source_count)
                                free(node->sources[--node->source_count]);
                emit_slot(r, node, PLAN_BLANK);
        } else if (node->kind == NODE_FROM) {
                emit_bind(r, node, false);
        } else {
                struct plan_op *op = emit(r, node, PLAN_SEAL); /* a private socket or device is nobody's */
                drop_sources(op);
                op->is_file = true;
        }
}

/* A layer without a writable part shows the same files and nobody's sockets and fifos, also those that are made later.
 * Where that cannot be had (mounts below, no files that anyone keeps, a server that may be dead) it is a bind; sockets
 * that listen there are closed one by one (place.c). On an overlay they are dead already. */
static void emit_mirror(struct resolver *r, struct node *node)
{
        const struct mount *mount = node->source_count ? system_mount_of(r->system, node->sources[0]) : NULL;
        bool plain = mount && !mount->virtual_ && !mount->remote && strcmp(mount->fstype, "overlay") != 0;
        if (mirror_has(r, node))
                emit_bind(r, node, false); /* read-only, one tree, and its sockets and fifos are nobody's */
        else if (!node->path[1])
                emit(r, node, PLAN_ROOT);
        else if (node->file.type == FILE_DIRECTORY && plain && !system_has_mounts_below(r->system, node->sources[0]))
                emit(r, node, PLAN_LAYER);
        else
                emit_bind(r, node, false);
}

static void emit_node(struct resolver *r, struct node *node)
{
        struct plan_op *op;
        switch (node->kind) {
        case NODE_PRIVATE:
        case NODE_FROM:
                emit_private(r, node);
                break;
        case NODE_UNION:
                emit_slot(r, node, PLAN_LAYER);
                break;
        case NODE_MIRROR:
                emit_mirror(r, node);
                break;
        case NODE_SHARE:
                if (!node->path[1])
                        emit(r, node, PLAN_SHARED_ROOT);
                else
                        emit_bind(r, node, true);
                break;
        case NODE_EMPTY:
        case NODE_SPLIT:
                emit_slot(r, node, PLAN_BLANK);
                break;
        case NODE_AUGMENT:
                emit(r, node, PLAN_LAYER);
                break;
        case NODE_REBUILD:
                drop_sources(emit(r, node, PLAN_SKELETON));
                break;
        case NODE_HIDE:
                if (!node->name_count)
                        break; /* carried out in the node above it */
                op = emit(r, node, PLAN_SKELETON);
                op->mode = 0555;
                break;
        case NODE_RUNTIME:
                emit(r, node, PLAN_SKELETON);
                break;
        case NODE_PROC:
                emit(r, node, PLAN_PROC);
                break;
        case NODE_DEVICES:
                emit(r, node, PLAN_DEVICES);
                break;
        case NODE_INNER:
                emit(r, node, PLAN_INNER)->mode = 0700;
                break;
        case NODE_SEAL:
                op = emit(r, node, PLAN_SEAL);
                drop_sources(op);
                op->mode = 0;
                break;
        }
}

/* Where the program starts: the outer working directory, if the same name leads anywhere inside. */
static void start_directory(struct resolver *r)
{
        if (!r->system->cwd)
                return;
        cleanup_free char *outer = node_outer(r, r->system->cwd);
        struct node *node = node_governing(r, r->system->cwd);
        struct file file = {.type = FILE_NONE};
        if (outer)
                r->system->look.file(r->system->look.context, outer, &file);
        if (file.type == FILE_DIRECTORY ||
            (node && strcmp(node->path, r->system->cwd) == 0 && node->kind != NODE_HIDE && node->kind != NODE_SEAL))
                r->plan->cwd = memory_string(r->system->cwd);
}

static int resolve(struct resolver *r)
{
        int result = add_root(r);
        if (result == 0)
                result = add_rules(r);
        if (result == 0)
                result = anchor_nodes(r);
        if (result == 0)
                result = place_nodes(r);
        if (result == 0)
                result = mountpoint_nodes(r);
        if (result < 0)
                return result;
        stack_sources(r);
        struct node *root = node_at(r, "/");
        bool host = root->kind == NODE_PRIVATE || root->kind == NODE_MIRROR || root->kind == NODE_SHARE;
        r->plan->new_root = !host || r->system->superuser || (r->mirror && root->kind != NODE_SHARE);
        start_directory(r);
        for (size_t i = 0; i < r->count; i++)
                emit_node(r, &r->nodes[i]);
        stack_expose(r);
        mirror_emit(r);
        return 0;
}

static unsigned long ids_in(const struct id_ranges *ranges)
{
        unsigned long sum = 1;
        for (size_t i = 0; i < ranges->count; i++)
                sum += ranges->ranges[i].count;
        return sum;
}

/* Says which ids there are inside, and what one alone cannot do. */
static void describe_ids(struct resolver *r)
{
        const struct system *system = r->system;
        if (!r->mirror)
                return;
        if (system->ids_direct)
                r->plan->ids = memory_string(" (the ids that there are here)");
        else if (!system->ids_lack)
                r->plan->ids = memory_format(" (%lu user ids, %lu group ids; 0 is you)", ids_in(&system->uids),
                                             ids_in(&system->gids));
        else
                r->plan->ids = memory_string(" (one id: 0 is you)");
        if (system->ids_lack)
                plan_note(r->plan,
                          "root is the only user inside, and every file is root's: chown to others, su, and programs "
                          "that "
                          "drop their rights fail; %s",
                          system->ids_lack);
}

int plan_resolve(struct plan *plan, const struct environment *e, const struct system *system, struct slots *slots,
                 struct error *err)
{
        if (e->network == NETWORK_UPLINK && served_is(&e->sockets)) {
                *plan = (struct plan){0};
                error_set(err, EINVAL, "an uplink leads past the server that is to answer connections");
                return error_remedy(err, "leave `network: uplink` (--net uplink) or `sockets:` (--allow) out");
        }
        *plan = (struct plan){.own_network = e->network != NETWORK_INHERIT || served_is(&e->sockets),
                              .uplink = e->network == NETWORK_UPLINK,
                              .served = served_is(&e->sockets),
                              .session = e->session,
                              .hostname = e->hostname ? memory_string(e->hostname) : NULL,
                              .superuser = system->superuser,
                              .in_memory = !system->store};
        if (slots) {
                plan->slots = *slots;
                *slots = (struct slots){0};
        }
        if (environment_network_check(e, err) < 0) {
                plan_clear(plan);
                return -EINVAL;
        }
        publish_copy(&plan->publish, &e->publish);
        if (plan->uplink && e->session)
                plan_note(plan, "the session's abstract sockets belong to the network outside, and are not there");
        bool mirror = e->identity == IDENTITY_ROOT && !system->superuser;
        plan->root = e->identity == IDENTITY_ROOT;
        struct resolver r = {.e = e, .system = system, .plan = plan, .err = err, .mirror = mirror,
                             .whole = mirror || system->superuser};
        describe_ids(&r);
        int result = resolve(&r);
        nodes_clear(&r);
        if (result < 0)
                plan_clear(plan);
        return result;
}
