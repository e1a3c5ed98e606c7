// SPDX-License-Identifier: GPL-3.0-or-later
/* Life of an environment description in memory: see environment.h. */
#include "model/environment.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <string.h>

const char *identity_word(enum identity_kind identity)
{
        return identity == IDENTITY_ROOT ? "root" : "self";
}

int identity_from_word(const char *word)
{
        return strcmp(word, "self") == 0 ? (int)IDENTITY_SELF : strcmp(word, "root") == 0 ? (int)IDENTITY_ROOT : -1;
}

bool environment_name_valid(const char *name)
{
        static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        size_t n = strlen(name);
        return n >= 1 && n <= 64 && strchr(letters, name[0]) &&
               strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n;
}

int environment_name_check(const char *name, struct error *err)
{
        if (environment_name_valid(name))
                return 0;
        cleanup_free char *shown = text_escape(name);
        return error_set(err, EINVAL,
                         "'%s' cannot name an environment: a name has 1 to 64 letters, digits, '.', '_' or '-' and "
                         "begins with a letter or digit",
                         shown);
}

int environment_hostname_check(const char *name, struct error *err)
{
        static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
        size_t n = strlen(name);
        if (n >= 1 && n <= 64 && strspn(name, letters) == n && !strchr(".-", name[0]) && !strchr(".-", name[n - 1]))
                return 0;
        cleanup_free char *shown = text_escape(name);
        return error_set(err, EINVAL,
                         "'%.60s%s' cannot be a host name: it has 1 to 64 letters, digits, '-' or '.', and begins and ends with a "
                         "letter or digit",
                         shown, strlen(shown) > 60 ? "..." : "");
}

void environment_copy(struct environment *to, const struct environment *from)
{
        *to = *from;
        to->name = from->name ? memory_string(from->name) : NULL;
        to->root_path = from->root_path ? memory_string(from->root_path) : NULL;
        to->hostname = from->hostname ? memory_string(from->hostname) : NULL;
        view_copy(&to->view, &from->view);
        grant_list_copy(&to->grants, &from->grants);
}

void environment_clear(struct environment *environment)
{
        free(environment->name);
        free(environment->root_path);
        free(environment->hostname);
        view_clear(&environment->view);
        grant_list_clear(&environment->grants);
        *environment = (struct environment){0};
}
