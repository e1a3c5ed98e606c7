// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Identities inside an environment, by name. Their names are the environment's own: its /etc/passwd and /etc/group are
 * read by a program inside. Whoever is root there may say what they please; it is their users that are meant.
 */
#include "verbs/granting.h"

#include "base/cleanup.h"
#include "verbs/verbs.h"

#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>

#define FILE_LIMIT (4u << 20)

/* What `cat FILE` prints inside. 0 or a negative errno. */
static int read_inside(const char *name, const char *file, struct text *content)
{
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        pid_t pid = fork();
        if (pid == 0) {
                int null = open("/dev/null", O_RDWR | O_CLOEXEC);
                dup2(null, 0);
                dup2(ends[1], 1);
                dup2(null, 2);
                char *words[] = {(char *)"paddock", (char *)"enter", (char *)name, (char *)"--",
                                 (char *)"cat",     (char *)file,    NULL};
                _exit(execute_paddock(words));
        }
        close(ends[1]);
        char room[4096];
        text_add(content, "");
        for (ssize_t n; (n = read(ends[0], room, sizeof room)) > 0 && content->length < FILE_LIMIT;)
                text_add_bytes(content, room, (size_t)n);
        close(ends[0]);
        int status = 0;
        while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        return pid > 0 && status == 0 ? 0 : -EIO;
}

/* Field `field` of the line of `name` in a file as passwd(5) or group(5). */
static bool look_up(const char *content, const char *name, int field, unsigned *value)
{
        size_t length = strlen(name);
        for (const char *line = content; line && *line; line = strchr(line, '\n'), line += line != NULL) {
                if (strncmp(line, name, length) != 0 || line[length] != ':')
                        continue;
                const char *end = strchrnul(line, '\n'), *p = line;
                for (int i = 0; i < field && p && p < end; i++)
                        p = (p = strchr(p, ':')) ? p + 1 : NULL;
                char *rest = (char *)p;
                unsigned long number = p && p < end ? strtoul(p, &rest, 10) : UINT32_MAX;
                if (rest != p && number < UINT32_MAX) {
                        *value = (unsigned)number;
                        return true;
                }
        }
        return false;
}

int granting_identity(struct granting *g, const char *name, unsigned *gid, struct error *err)
{
        cleanup_text struct text users = {0}, groups = {0};
        if (g->environment.identity != IDENTITY_ROOT && geteuid() != 0) {
                error_set(err, EINVAL, "environment '%s' has one user only", g->name);
                return error_remedy(err, "leave --to out; or make an environment with users of its own: `paddock "
                                         "create --as root`");
        }
        if (read_inside(g->name, "/etc/passwd", &users) == 0 && look_up(users.data, name, 3, gid))
                return 0;
        if (read_inside(g->name, "/etc/group", &groups) == 0 && look_up(groups.data, name, 2, gid))
                return 0;
        error_set(err, ENOENT, "environment '%s' has neither a user nor a group '%s'", g->name, name);
        return error_remedy(err, "`paddock enter %s useradd %s` makes one", g->name, name);
}
