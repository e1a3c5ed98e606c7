// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * To be one of the users that an environment has, as its /etc/passwd and /etc/group name them.
 *
 * Both files are the program's as much as ours: what they say decides only who one is inside. The C library is not
 * asked, since a statically linked one knows these files alone, and the other asks servers inside.
 */
#include "host/linux/keep.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_LIMIT (4 << 20)
#define GROUP_LIMIT 256

struct account {
        unsigned long uid, gid;
        char *name, *home, *shell; /* point into the text of the file; NULL: not told */
};

/* A file of the environment's whole; fresh memory, or NULL. */
static char *read_whole(const char *path)
{
        cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_LIMIT)
                return NULL;
        char *text = memory_new((size_t)st.st_size + 1);
        ssize_t n = read(fd, text, (size_t)st.st_size);
        text[n > 0 ? n : 0] = '\0';
        return text;
}

static bool number_of(const char *text, unsigned long *number)
{
        char *end = NULL;
        errno = 0;
        *number = text && *text ? strtoul(text, &end, 10) : 0;
        return end && !*end && !errno && *number < 0xFFFFFFFFUL && text[0] >= '0' && text[0] <= '9';
}

/* name:password:uid:gid:comment:home:shell, passwd(5) */
static bool find_account(char *passwd, const char *name, struct account *a)
{
        unsigned long wanted;
        bool is_number = number_of(name, &wanted);
        for (char *rest = passwd, *line; rest && (line = strsep(&rest, "\n"));) {
                char *field[7] = {0};
                for (size_t i = 0; i < 7 && line; i++)
                        field[i] = strsep(&line, ":");
                if (!field[3] || !number_of(field[2], &a->uid) || !number_of(field[3], &a->gid))
                        continue;
                if (strcmp(field[0], name) != 0 && !(is_number && a->uid == wanted))
                        continue;
                a->name = field[0];
                a->home = field[5];
                a->shell = field[6];
                return true;
        }
        *a = (struct account){.uid = wanted, .gid = wanted};
        return is_number;
}

/* The groups whose line in group(5) (name:password:gid:members) names the user. Returns how many. */
static size_t find_groups(char *group, const char *name, gid_t *groups)
{
        size_t count = 0;
        for (char *rest = group, *line; rest && (line = strsep(&rest, "\n")) && count < GROUP_LIMIT;) {
                strsep(&line, ":");
                strsep(&line, ":");
                char *number = strsep(&line, ":");
                unsigned long gid;
                if (!number || !number_of(number, &gid))
                        continue;
                for (char *member; line && (member = strsep(&line, ","));)
                        if (strcmp(member, name) == 0) {
                                groups[count++] = (gid_t)gid;
                                break;
                        }
        }
        return count;
}

int user_become(const char *name, struct error *err)
{
        cleanup_free char *passwd = read_whole("/etc/passwd"), *group = read_whole("/etc/group"),
                          *shown = text_escape(name);
        struct account a = {0};
        if (!passwd || !find_account(passwd, name, &a)) {
                error_set(err, ENOENT, "there is no user '%s' inside", shown);
                return error_remedy(err,
                                    "/etc/passwd inside names those that there are; a number works without a name");
        }
        if (a.uid != geteuid() || a.gid != getegid()) {
                gid_t groups[GROUP_LIMIT + 1] = {(gid_t)a.gid};
                size_t count = 1 + (group && a.name ? find_groups(group, a.name, groups + 1) : 0);
                if (setgroups(count, groups) < 0 || setresgid((gid_t)a.gid, (gid_t)a.gid, (gid_t)a.gid) < 0 ||
                    setresuid((uid_t)a.uid, (uid_t)a.uid, (uid_t)a.uid) < 0) {
                        error_sys(err, errno, "cannot become '%s' (user %lu, group %lu) inside", shown, a.uid, a.gid);
                        return error_remedy(err,
                                            "an environment has one user only, unless it was made with `--as root` and "
                                            "there are ids for others (`paddock doctor`)");
                }
        }
        setenv("HOME", a.home && a.home[0] ? a.home : "/", 1);
        if (a.name) {
                setenv("USER", a.name, 1);
                setenv("LOGNAME", a.name, 1);
        }
        if (a.shell && a.shell[0])
                setenv("SHELL", a.shell, 1);
        unsetenv("MAIL");
        if (a.uid != 0)
                unsetenv("XDG_STATE_HOME");
        return 0;
}
