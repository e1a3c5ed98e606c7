// SPDX-License-Identifier: GPL-3.0-or-later
/* Options that describe an environment: see options.h. */
#include "verbs/options.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "model/image.h"

#include <string.h>

/* A name as the user gave it, absolute. ".." stays: what it means depends on links, which the resolver looks at. */
static char *absolute(const char *name, const char *cwd, struct error *err)
{
        if (!name[0]) {
                error_set(err, EINVAL, "an empty path in a rule");
                return NULL;
        }
        if (name[0] == '~' && (!name[1] || name[1] == '/'))
                return memory_string(name);
        if (name[0] != '/' && !cwd) {
                cleanup_free char *shown = text_escape(name);
                error_set(err, ENOENT, "%s is relative, and there is no working directory", shown);
                return NULL;
        }
        cleanup_free char *whole = name[0] == '/' ? memory_string(name) : memory_format("%s/%s", cwd, name);
        bool climbs = strstr(whole, "/../") || (strlen(whole) > 3 && strcmp(whole + strlen(whole) - 3, "/..") == 0);
        return climbs ? steal_pointer(&whole) : path_clean("/", whole);
}

/* Cuts `*rest` at the next `mark` that no backslash precedes, and takes the backslashes before marks away. */
static char *cut(char **rest, char mark)
{
        char *start = *rest, *to = start;
        if (!start)
                return NULL;
        for (char *p = start;; p++) {
                if (*p == '\\' && (p[1] == '=' || p[1] == ':' || p[1] == '\\')) {
                        *to++ = *++p;
                } else if (*p == mark || !*p) {
                        *rest = *p ? p + 1 : NULL;
                        *to = '\0';
                        return start;
                } else {
                        *to++ = *p;
                }
        }
}

static int add_rule(struct environment *e, enum rule_kind kind, const char *arg, const char *cwd, struct error *err)
{
        if (kind != RULE_FROM && kind != RULE_UNION) {
                cleanup_free char *path = absolute(arg, cwd, err);
                return path ? view_add(&e->view, kind, path, NULL, 0, err) : -err->code;
        }
        cleanup_free char *copy = memory_string(arg);
        char *rest = copy, *name = cut(&rest, '=');
        cleanup_free char *path = rest && *rest ? absolute(name, cwd, err) : NULL;
        if (!path && !err->code) {
                cleanup_free char *shown = text_escape(arg);
                error_set(err, EINVAL, "--%s %s: it takes the form PATH=%s", rule_word(kind), shown,
                          kind == RULE_FROM ? "SRC" : "A:B");
                return error_remedy(err, "a '=' or ':' in a name is written '\\=' or '\\:'");
        }
        if (!path)
                return -err->code;
        char **sources = NULL;
        size_t count = 0, capacity = 0;
        int result = 0;
        while (rest && result == 0) {
                char *source = absolute(cut(&rest, kind == RULE_UNION ? ':' : '\0'), cwd, err);
                if (source)
                        *vector_add(sources, count, capacity) = source;
                else
                        result = -err->code;
        }
        if (result == 0)
                result = view_add(&e->view, kind, path, (const char *const *)sources, count, err);
        while (count)
                free(sources[--count]);
        free(sources);
        return result;
}

static int set_root(struct environment *e, const char *arg, const char *cwd, struct error *err)
{
        free(e->root_path);
        e->root_path = NULL;
        e->root = strcmp(arg, "host") == 0    ? ROOT_HOST
                  : strcmp(arg, "empty") == 0 ? ROOT_EMPTY
                  : image_exists(arg)         ? ROOT_IMAGE
                                              : ROOT_DIRECTORY;
        if (e->root == ROOT_IMAGE)
                e->root_path = memory_string(arg);
        if (e->root == ROOT_DIRECTORY)
                e->root_path = absolute(arg, cwd, err);
        return e->root == ROOT_DIRECTORY && !e->root_path ? -err->code : 0;
}

/* PATH, PATH:ro or PATH:rw */
static int add_grant(struct environment *e, const char *arg, const char *cwd, struct error *err)
{
        cleanup_grant struct grant g = {0};
        cleanup_free char *path = memory_string(arg);
        size_t length = strlen(path);
        int mode = length > 3 && path[length - 3] == ':' ? mode_from_word(path + length - 2) : -1;
        if (mode >= 0)
                path[length - 3] = '\0';
        g.writable = mode == 1;
        g.resource = absolute(path, cwd, err);
        return g.resource ? grant_list_add(&e->grants, &g, err) : -err->code;
}

static int set_limit(struct environment *e, const char *arg, struct error *err)
{
        cleanup_free char *copy = memory_string(arg), *shown = text_escape(arg);
        char *value = strchr(copy, '=');
        if (value)
                *value++ = '\0';
        int result = value ? limits_set(&e->limits, copy, value, err) : -ENOENT;
        if (err->code)
                return error_context(err, "--limit %s", shown);
        if (result == 0)
                return 0;
        error_set(err, EINVAL, "--limit %s: it takes the form WHAT=VALUE, as memory=512M", shown);
        return error_remedy(err, "what is limited: disk, memory, tasks, cpu, io, files; and what is done when more is "
                                 "used than nothing prevents: over=tell, stop or freeze");
}

int option_apply(struct environment *e, int key, const char *arg, const char *cwd, bool *given, struct error *err)
{
        int result = 0;
        switch (key) {
        case OPTION_PRIVATE: case OPTION_MIRROR: case OPTION_SHARE: case OPTION_EMPTY: case OPTION_HIDE:
        case OPTION_FROM: case OPTION_UNION:
                result = add_rule(e, (enum rule_kind)(key - OPTION_PRIVATE), arg, cwd, err);
                break;
        case OPTION_GRANT:
                result = add_grant(e, arg, cwd, err);
                break;
        case OPTION_ROOT:
                result = set_root(e, arg, cwd, err);
                break;
        case OPTION_AS:
                if (identity_from_word(arg) < 0) {
                        cleanup_free char *shown = text_escape(arg);
                        return error_set(err, EINVAL, "--as %s: it is 'self' or 'root'", shown);
                }
                e->identity = (enum identity_kind)identity_from_word(arg);
                break;
        case OPTION_NET:
                if (network_from_word(arg) < 0) {
                        cleanup_free char *shown = text_escape(arg);
                        return error_set(err, EINVAL, "--net %s: it is 'inherit', 'none' or 'uplink'", shown);
                }
                e->network = (enum network_kind)network_from_word(arg);
                e->network_given = true;
                break;
        case OPTION_PUBLISH: {
                struct publish p;
                result = publish_from_word(arg, &p, err);
                if (result == 0)
                        result = publish_add(&e->publish, &p, err);
                if (result < 0)
                        return result;
                break;
        }
        case OPTION_ALLOW:
                result = served_allow(&e->sockets, arg, err);
                break;
        case OPTION_SESSION:
                e->session = true;
                break;
        case OPTION_HOSTNAME:
                result = environment_hostname_check(arg, err);
                if (result < 0)
                        return result;
                free(e->hostname);
                e->hostname = memory_string(arg);
                break;
        case OPTION_LIMIT:
                result = set_limit(e, arg, err);
                break;
        default:
                return OPTION_UNKNOWN;
        }
        *given = true;
        return result;
}
