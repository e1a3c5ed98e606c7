// SPDX-License-Identifier: GPL-3.0-or-later
/* Ids from /etc/subuid and /etc/subgid: see subordinate.h. */
#include "host/linux/subordinate.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "base/tree.h"
#include "host/host.h"
#include "host/linux/identity.h"
#include "host/linux/kernel.h"
#include "host/linux/probe_text.h"

#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define IDS 65535UL /* beside 0 */

/* A small file whole; fresh memory, or NULL. */
static char *read_whole(const char *path)
{
        cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0)
                return NULL;
        size_t size = st.st_size > 0 ? (size_t)st.st_size : 16384; /* of /proc's files nobody knows the size */
        char *text = memory_new(size + 1);
        size_t length = 0;
        for (ssize_t n;
             length < size && ((n = read(fd, text + length, size - length)) > 0 || (n < 0 && errno == EINTR));)
                length += n > 0 ? (size_t)n : 0;
        text[length] = '\0';
        return text;
}

/* The user's name, which the C library linked in statically cannot ask a directory service for; there, what login
 * said. */
static char *user_name(uid_t uid)
{
        cleanup_free char *passwd = read_whole("/etc/passwd");
        for (char *rest = passwd, *line; rest && (line = strsep(&rest, "\n"));) {
                char *name = strsep(&line, ":"), *password = strsep(&line, ":"), *number = strsep(&line, ":");
                if (name && password && number && *number && strtoul(number, NULL, 10) == uid)
                        return memory_string(name);
        }
        const char *login = getenv("LOGNAME");
        return login ? memory_string(login) : NULL;
}

static const char *tool_path(const char *name, char *buffer, size_t size)
{
        static const char *const places[] = {"/usr/bin", "/bin", "/usr/local/bin", "/run/wrappers/bin", NULL};
        for (const char *const *place = places; *place; place++) {
                snprintf(buffer, size, "%s/%s", *place, name);
                if (access(buffer, X_OK) == 0)
                        return buffer;
        }
        return NULL;
}

void host_survey_ids(struct system *system)
{
        if (system->ids_direct)
                return;
        char buffer[64];
        if (!tool_path("newuidmap", buffer, sizeof buffer) || !tool_path("newgidmap", buffer, sizeof buffer)) {
                system->ids_lack = memory_string(
                        "newuidmap is not installed: as root, install the package uidmap (Debian, Ubuntu) "
                        "or shadow-utils (Fedora)");
                return;
        }
        cleanup_free char *name = user_name(system->uid), *subuid = read_whole("/etc/subuid"),
                          *subgid = read_whole("/etc/subgid");
        if (subuid)
                subid_all(subuid, name, system->uid, IDS, &system->uids);
        if (subgid)
                subid_all(subgid, name, system->uid, IDS, &system->gids);
        if (system->uids.count && system->gids.count)
                return;
        cleanup_free char *number = memory_format("%u", system->uid), *shown = text_escape(name ? name : number);
        system->ids_lack = memory_format("%s gives %s no ids: `paddock doctor` tells the command for root that does",
                                         system->uids.count ? "/etc/subgid" : "/etc/subuid", shown);
        system->uids.count = system->gids.count = 0;
}

/* Starts `tool`; its complaints go to standard error, which is the user's. */
static int start_tool(const char *tool, pid_t init, unsigned long own, const struct id_ranges *ranges, pid_t *pid,
                      struct error *err)
{
        char path[64], words[3 + 3 * ID_RANGES][24], *argv[3 + 3 + 3 * ID_RANGES] = {0};
        if (!tool_path(tool, path, sizeof path))
                return error_set(err, ENOENT, "%s is gone", tool);
        size_t n = 0, w = 0;
        argv[n++] = path;
        unsigned long next = 1;
        snprintf(words[w], sizeof words[w], "%d", (int)init);
        argv[n++] = words[w++];
        argv[n++] = (char *)"0";
        snprintf(words[w], sizeof words[w], "%lu", own);
        argv[n++] = words[w++];
        argv[n++] = (char *)"1";
        for (size_t i = 0; i < ranges->count; i++) {
                const unsigned long numbers[] = {next, ranges->ranges[i].start, ranges->ranges[i].count};
                for (size_t k = 0; k < 3; k++) {
                        snprintf(words[w], sizeof words[w], "%lu", numbers[k]);
                        argv[n++] = words[w++];
                }
                next += ranges->ranges[i].count;
        }
        *pid = kernel_fork(0); /* posix_spawn() waits until the program is loaded, and there are two to be started */
        if (*pid == 0) {
                sigset_t none;
                sigemptyset(&none);
                kernel_signal_mask(SIG_SETMASK, &none, NULL);
                execv(path, argv);
                _exit(127);
        }
        return *pid < 0 ? error_sys(err, errno, "cannot start %s", path) : 0;
}

int subordinate_begin(struct mapping *m, const struct system *system, pid_t init, struct error *err)
{
        *m = (struct mapping){0};
        if (system->ids_direct)
                return identity_map_same(init, err);
        int result = start_tool("newuidmap", init, system->uid, &system->uids, &m->tools[0], err);
        return result < 0 ? result : start_tool("newgidmap", init, system->gid, &system->gids, &m->tools[1], err);
}

int subordinate_finish(struct mapping *m, struct error *err)
{
        int result = 0;
        for (size_t i = 0; i < sizeof m->tools / sizeof *m->tools; i++) {
                int status = 0;
                pid_t pid = m->tools[i];
                while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
                        ;
                m->tools[i] = 0;
                if (pid > 0 && status && result == 0) {
                        result = error_set(err, EPERM, "%s could not map your ids", i ? "newgidmap" : "newuidmap");
                        error_remedy(err, "`paddock doctor` tells what it needs");
                }
        }
        return result;
}

/* Removes with all ids of the user: layers of root's environments hold files of theirs. */
static int remove_as_root(const struct system *system, int dir, const char *name, struct error *err)
{
        int go[2];
        if (pipe2(go, O_CLOEXEC) < 0)
                return error_sys(err, errno, "cannot make a pipe");
        cleanup_close int wait_end = go[0], go_end = go[1];
        pid_t pid = kernel_fork(CLONE_NEWUSER);
        if (pid < 0)
                return error_sys(err, errno, "cannot make a user namespace");
        if (pid == 0) {
                char byte;
                close(go_end);
                cleanup_error struct error own = ERROR_INIT;
                if (read(wait_end, &byte, 1) != 1 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
                        _exit(EPERM);
                _exit(tree_remove(dir, name, &own) < 0 ? own.code : 0);
        }
        struct mapping mapping;
        int result = subordinate_begin(&mapping, system, pid, err);
        if (result == 0)
                result = subordinate_finish(&mapping, err);
        if (result == 0 && write(go_end, "", 1) != 1)
                result = error_sys(err, errno, "cannot start the removal");
        close(steal_fd(&go_end));
        int status = 0;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        if (result == 0 && status)
                result = error_sys(err, WIFEXITED(status) ? WEXITSTATUS(status) : EINTR, "cannot remove %s", name);
        return result;
}

int host_remove_tree(int dir, const char *name, struct error *err)
{
        int result = tree_remove(dir, name, err);
        if ((result != -EACCES && result != -EPERM) || geteuid() == 0)
                return result;
        struct system system = {.uid = geteuid(), .gid = getegid()}; /* no root: asked above */
        host_survey_ids(&system);
        cleanup_free char *lack = system.ids_lack;
        if (lack)
                return error_remedy(err, "it has files of the ids that its root had, and %s", lack);
        error_clear(err);
        return remove_as_root(&system, dir, name, err);
}
