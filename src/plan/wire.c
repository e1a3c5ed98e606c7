// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A change of the view as text, on its way from whoever worked it out to the process that carries it out: a line a
 * fact, fields separated by tabs and escaped as everywhere (base/text.h).
 *
 *      change  PATH BARE BEFORE AFTER          the subtree
 *      make    KIND PATH MODE                  a name to be made before
 *      slot    NUMBER BLANK PATH               a slot that a step uses
 *      keep    PATH                            a step
 *      op      KIND PATH SLOT MODE FLAGS FROZEN SOURCE...      a step
 *      name    KIND PATH MODE TARGET           a name in the operation before
 */
#include "plan/change.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <string.h>

#define WIRE_FIELDS 4096 /* more sources than any kernel unites */

enum { FLAG_WRITABLE = 1, FLAG_RECURSIVE = 2, FLAG_FILE = 4, FLAG_MIRRORED = 8, FLAG_ALL = 15 };

static void field(struct text *t, const char *text)
{
        text_add(t, "\t");
        text_add_escaped(t, text);
}

static void encode_op(struct text *t, const struct plan_op *op)
{
        text_addf(t, "op\t%d", op->kind);
        field(t, op->path);
        int flags = (op->writable ? FLAG_WRITABLE : 0) | (op->recursive ? FLAG_RECURSIVE : 0) |
                    (op->is_file ? FLAG_FILE : 0) | (op->mirrored ? FLAG_MIRRORED : 0);
        text_addf(t, "\t%d\t%u\t%d\t%zu", op->slot, op->mode, flags, op->frozen);
        for (size_t i = 0; i < op->source_count; i++)
                field(t, op->sources[i]);
        text_add(t, "\n");
        for (size_t i = 0; i < op->name_count; i++) {
                text_addf(t, "name\t%d", op->names[i].kind);
                field(t, op->names[i].path);
                text_addf(t, "\t%u", op->names[i].mode);
                field(t, op->names[i].target ? op->names[i].target : "");
                text_add(t, "\n");
        }
}

char *plan_change_encode(const struct plan_change *c, const struct slots *slots)
{
        struct text t = {0};
        text_add(&t, "change");
        field(&t, c->path);
        text_addf(&t, "\t%d\t%lx\t%lx\n", c->bare, c->before, c->after);
        for (size_t i = 0; i < c->name_count; i++) {
                text_addf(&t, "make\t%d", c->names[i].kind);
                field(&t, c->names[i].path);
                text_addf(&t, "\t%u\n", c->names[i].mode);
        }
        for (size_t i = 0; i < c->count; i++) {
                const struct plan_op *op = c->steps[i].op;
                for (size_t s = 0; !c->steps[i].keep && op->slot >= 0 && s < slots->count; s++)
                        if ((int)slots->slots[s].number == op->slot) {
                                text_addf(&t, "slot\t%u\t%d", slots->slots[s].number, slots->slots[s].blank);
                                field(&t, slots->slots[s].path);
                                text_add(&t, "\n");
                        }
                if (c->steps[i].keep) {
                        text_add(&t, "keep");
                        field(&t, op->path);
                        text_add(&t, "\n");
                } else {
                        encode_op(&t, op);
                }
        }
        return t.data;
}

/* A number of `base` in 0..limit. Returns false when it is none. */
static bool number(const char *text, int base, unsigned long limit, unsigned long *value)
{
        char *end;
        errno = 0;
        *value = strtoul(text, &end, base);
        return text[0] && text[0] != '-' && text[0] != '+' && !*end && errno == 0 && *value <= limit;
}

static bool absolute(const char *path)
{
        return path[0] == '/';
}

/* A name below an operation: relative, and it stays there. */
static bool below(const char *path)
{
        if (!path[0] || path[0] == '/')
                return false;
        for (const char *p = path; *p; p += strcspn(p, "/"), p += *p == '/')
                if (strncmp(p, "..", 2) == 0 && (!p[2] || p[2] == '/'))
                        return false;
        return true;
}

static bool buildable(unsigned long kind)
{
        return kind == PLAN_BIND || kind == PLAN_LAYER || kind == PLAN_BLANK || kind == PLAN_SKELETON ||
               kind == PLAN_SEAL;
}

static bool decode_op(struct plan *made, char **f, int n)
{
        unsigned long kind, slot = 0, mode, flags, frozen;
        bool none = strcmp(f[3], "-1") == 0;
        if (!number(f[1], 10, PLAN_INNER, &kind) || !buildable(kind) || !absolute(f[2]) ||
            (!none && !number(f[3], 10, 1000000, &slot)) || !number(f[4], 10, 07777, &mode) ||
            !number(f[5], 10, FLAG_ALL, &flags) || !number(f[6], 10, (unsigned long)n - 7, &frozen))
                return false;
        for (int i = 7; i < n; i++)
                if (!absolute(f[i]))
                        return false;
        if ((kind == PLAN_BIND && n != 8) || (kind == PLAN_LAYER && n < 8) || (kind == PLAN_BLANK && none))
                return false;
        struct plan_op *op = vector_add(made->ops, made->count, made->capacity);
        *op = (struct plan_op){.kind = (enum plan_kind)kind,
                               .path = memory_string(f[2]),
                               .slot = none ? -1 : (int)slot,
                               .mode = (unsigned)mode,
                               .frozen = frozen,
                               .writable = flags & FLAG_WRITABLE,
                               .recursive = flags & FLAG_RECURSIVE,
                               .is_file = flags & FLAG_FILE,
                               .mirrored = flags & FLAG_MIRRORED};
        op->sources = memory_grow(NULL, (size_t)(n - 7) + 1, sizeof *op->sources);
        for (int i = 7; i < n; i++)
                op->sources[op->source_count++] = memory_string(f[i]);
        return true;
}

static bool decode_name(struct plan_name *name, char **f, bool inside)
{
        unsigned long kind, mode;
        if (!number(f[1], 10, NAME_SYMLINK, &kind) || !number(f[3], 10, 07777, &mode) ||
            !(inside ? below(f[2]) : absolute(f[2])))
                return false;
        *name = (struct plan_name){.kind = (enum name_kind)kind, .path = memory_string(f[2]), .mode = (unsigned)mode};
        if (inside && kind == NAME_SYMLINK)
                name->target = memory_string(f[4]);
        return true;
}

/* Keeps of a change are operations of kind SEAL without a use but their path. */
static void decode_keep(struct plan *made, const char *path)
{
        *vector_add(made->ops, made->count, made->capacity) =
                (struct plan_op){.kind = PLAN_SEAL, .path = memory_string(path), .slot = -1};
}

static bool decode_line(struct plan_change *c, struct plan *made, char **f, int n)
{
        unsigned long a, b;
        if (strcmp(f[0], "change") == 0 && n == 5 && !c->path && absolute(f[1]) && f[1][1] && number(f[2], 10, 1, &a) &&
            number(f[3], 16, ~0UL, &c->before) && number(f[4], 16, ~0UL, &c->after)) {
                c->path = memory_string(f[1]);
                c->bare = a;
                return true;
        }
        if (!c->path)
                return false;
        if (strcmp(f[0], "make") == 0 && n == 4) {
                struct plan_name name;
                if (!decode_name(&name, f, false))
                        return false;
                *vector_add(c->names, c->name_count, c->name_capacity) = name;
                return true;
        }
        if (strcmp(f[0], "slot") == 0 && n == 4 && number(f[1], 10, 1000000, &a) && number(f[2], 10, 1, &b) &&
            absolute(f[3])) {
                *vector_add(made->slots.slots, made->slots.count, made->slots.capacity) =
                        (struct slot){.number = (unsigned)a, .blank = b, .path = memory_string(f[3])};
                return true;
        }
        bool keep = strcmp(f[0], "keep") == 0 && n == 2 && absolute(f[1]);
        if (keep || (strcmp(f[0], "op") == 0 && n >= 7)) {
                if (keep)
                        decode_keep(made, f[1]);
                else if (!decode_op(made, f, n))
                        return false;
                *vector_add(c->steps, c->count, c->capacity) = (struct plan_step){.keep = keep};
                return true;
        }
        if (strcmp(f[0], "name") == 0 && n == 5 && made->count && c->count && !c->steps[c->count - 1].keep) {
                struct plan_op *op = &made->ops[made->count - 1];
                struct plan_name name;
                if (!decode_name(&name, f, true))
                        return false;
                *vector_add(op->names, op->name_count, op->name_capacity) = name;
                return true;
        }
        return false;
}

int plan_change_decode(const char *text, struct plan_change *c, struct plan *made, struct error *err)
{
        *c = (struct plan_change){0};
        *made = (struct plan){0};
        cleanup_free char *copy = memory_string(text);
        char *lines = copy, *one;
        bool good = true;
        while (good && (one = strsep(&lines, "\n"))) {
                char **fields = NULL;
                if (!*one)
                        continue;
                int n = text_fields(one, WIRE_FIELDS, &fields);
                good = n > 0 && decode_line(c, made, fields, n);
                text_fields_free(fields, n);
        }
        /* The vector has its place now. */
        for (size_t i = 0; i < c->count; i++)
                c->steps[i].op = &made->ops[i];
        if (good && c->path)
                return 0;
        plan_change_clear(c);
        plan_clear(made);
        return error_set(err, EINVAL, "a change of the view is not in the form that it must have");
}
