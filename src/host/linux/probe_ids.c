// SPDX-License-Identifier: GPL-3.0-or-later
/* More than one id: ranges of /etc/subuid and /etc/subgid, and the set-uid programs that map them. */
#include "base/cleanup.h"
#include "base/text.h"
#include "host/linux/identity.h"
#include "host/linux/probe_text.h"
#include "host/linux/probe_trial.h"

#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#define NEEDED 65536UL       /* ids of an environment with users of its own, root (the user) included */
#define FIRST_SUBID 100000UL /* where login.defs(5) lets ranges begin */

enum { STEP_READY = TRIAL_OWN, STEP_UIDS, STEP_GIDS };

struct mapping {
        const char *uid_tool, *gid_tool; /* NULL: written by us, which root may */
        struct id_range uids, gids;
};

/* Runs newuidmap or newgidmap on `pid`: inside 0 is us, and 1... the range. 0 or a negative errno. */
static int run_tool(const char *tool, pid_t pid, unsigned long own, const struct id_range *range)
{
        char target[16], id[24], start[24], count[24];
        snprintf(target, sizeof target, "%d", (int)pid);
        snprintf(id, sizeof id, "%lu", own);
        snprintf(start, sizeof start, "%lu", range->start);
        snprintf(count, sizeof count, "%lu", range->count);
        pid_t child = trial_fork();
        if (child == 0) {
                int null = open("/dev/null", O_RDWR);
                if (null >= 0) {
                        dup2(null, STDOUT_FILENO);
                        dup2(null, STDERR_FILENO);
                }
                execl(tool, tool, target, "0", id, "1", "1", start, count, (char *)NULL);
                _exit(errno);
        }
        int result = trial_wait(child);
        /* The tools exit with 1 for whatever they refuse. */
        return result == 0 ? 0 : result == 1 ? -EPERM : result > 0 ? -result : result;
}

static int write_map(const char *which, pid_t pid, const struct id_range *range)
{
        char path[64], map[96];
        snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, which);
        snprintf(map, sizeof map, "0 %lu %lu\n", range->start, range->count);
        return trial_write(path, map);
}

/* Makes a user namespace in a child and maps the ranges into it. */
static int try_mapping(struct trial *trial, const void *argument)
{
        const struct mapping *m = argument;
        trial->step = STEP_READY;
        pid_t pid;
        cleanup_close int end = trial_hold(&pid);
        if (end < 0)
                return end;
        trial->step = STEP_UIDS;
        int result =
                m->uid_tool ? run_tool(m->uid_tool, pid, geteuid(), &m->uids) : write_map("uid_map", pid, &m->uids);
        if (result == 0) {
                trial->step = STEP_GIDS;
                result = m->gid_tool ? run_tool(m->gid_tool, pid, getegid(), &m->gids)
                                     : write_map("gid_map", pid, &m->gids);
        }
        close(steal_fd(&end));
        trial_wait(pid);
        return result;
}

/* Looks `name` up in PATH and where distributions have it. Fresh memory or NULL. */
static char *find_tool(const char *name)
{
        const char *path = getenv("PATH");
        cleanup_free char *all = memory_format("%s%s/usr/bin:/bin:/usr/local/bin", path ? path : "", path ? ":" : "");
        char *rest = all, *dir;
        while ((dir = strsep(&rest, ":"))) {
                if (*dir != '/')
                        continue; /* a set-uid program is not taken from the working directory */
                cleanup_free char *file = memory_format("%s/%s", dir, name);
                if (access(file, X_OK) == 0)
                        return steal_pointer(&file);
        }
        return NULL;
}

/* How root's files look in a user namespace without root. */
#define FOREIGN "does not belong to root, as seen from the user namespace around this process"

/* Why the tool may not do its work: a static text, or NULL when it looks right. */
static const char *tool_powerless(const char *tool)
{
        struct stat st;
        struct statvfs fs;
        if (stat(tool, &st) < 0)
                return "cannot be looked at";
        bool capable = getxattr(tool, "security.capability", NULL, 0) > 0;
        if (!(st.st_mode & S_ISUID) && !capable)
                return "is neither set-uid root nor has file capabilities";
        if (st.st_uid != 0 && !capable)
                return FOREIGN;
        if (statvfs(tool, &fs) == 0 && (fs.f_flag & ST_NOSUID))
                return "lies on a file system mounted nosuid";
        return NULL;
}

static const char lost[] = "an environment has your id alone: no `identity: root` with 65,536 ids, no users of its own";

/* What root starts has a range of unused ids, always. */
static void probe_ids_root(struct probing *p, struct probe *probe)
{
        unsigned long start = identity_unused_range("doctor");
        struct mapping m = {.uids = {start, NEEDED}, .gids = {start, NEEDED}};
        probe->essential = true;
        struct trial trial = trial_run(p, try_mapping, &m);
        if (probe_settled(probe, &trial, "root maps %lu unused ids from %lu", NEEDED, start))
                return;
        probe_failed(probe, "map a range of ids as root", &trial);
        probe_but(probe, "`paddock run` by root cannot start anything",
                  "start it as an ordinary user, or let the security module around this process allow CAP_SETUID and "
                  "CAP_SETGID");
}

void probe_ids(struct probing *p)
{
        struct probe *probe = probe_add(p, "ranges of ids", false);
        if (probe_impossible(p, probe))
                return;
        uid_t uid = geteuid();
        if (p->superuser) {
                probe_ids_root(p, probe);
                return;
        }

        cleanup_free char *uid_tool = find_tool("newuidmap"), *gid_tool = find_tool("newgidmap");
        if (!uid_tool || !gid_tool) {
                probe_set(probe, PROBE_MISSING, "%s is not installed", uid_tool ? "newgidmap" : "newuidmap");
                probe_but(probe, lost,
                          "as root: apt install uidmap (Debian, Ubuntu), dnf install shadow-utils (Fedora), or the "
                          "package that has it");
                return;
        }
        const char *tool = uid_tool, *powerless = tool_powerless(uid_tool);
        if (!powerless)
                powerless = tool_powerless(tool = gid_tool);
        if (powerless) {
                cleanup_free char *shown = text_escape(tool);
                probe_set(probe, PROBE_MISSING, "%s %s", tool, powerless);
                if (p->nested && strcmp(powerless, FOREIGN) == 0)
                        probe_but(probe, lost, "start it outside that namespace (an environment or container)");
                else
                        probe_but(probe, lost,
                                  "as root: chown root %s && chmod u+s %s, on a file system without nosuid", shown,
                                  shown);
                return;
        }

        cleanup_free char *subuid = probe_read("/etc/subuid"), *subgid = probe_read("/etc/subgid");
        cleanup_free char *nsswitch = probe_read("/etc/nsswitch.conf");
        cleanup_free char *source = nsswitch ? nsswitch_subid(nsswitch) : NULL;
        struct passwd *entry = getpwuid(uid);
        const char *user = entry ? entry->pw_name : NULL;
        struct mapping m = {.uid_tool = uid_tool, .gid_tool = gid_tool};
        bool uids = subuid && subid_largest(subuid, user, uid, &m.uids);
        bool gids = subgid && subid_largest(subgid, user, uid, &m.gids);
        if (source && (!uids || !gids)) {
                probe_set(probe, PROBE_DEGRADED, "ranges come from '%s' (/etc/nsswitch.conf), which is not looked into",
                          source);
                probe_but(probe, lost, "also write a range into /etc/subuid and /etc/subgid");
                return;
        }
        if (!uids || !gids || m.uids.count < NEEDED - 1 || m.gids.count < NEEDED - 1) {
                unsigned long start = subid_free(subuid, subgid, FIRST_SUBID), last = start + NEEDED - 1;
                cleanup_free char *number = user ? NULL : memory_format("%u", (unsigned)uid);
                if (!uids || !gids)
                        probe_set(probe, PROBE_MISSING, "%s gives %s no range", uids ? "/etc/subgid" : "/etc/subuid",
                                  user ? user : number);
                else
                        probe_set(probe, PROBE_DEGRADED, "%s has %lu uids and %lu gids; %lu are needed",
                                  user ? user : number, m.uids.count, m.gids.count, NEEDED - 1);
                if (user)
                        probe_but(probe, lost, "as root: usermod --add-subuids %lu-%lu --add-subgids %lu-%lu %s", start,
                                  last, start, last, user);
                else
                        probe_but(probe, lost, "as root: echo %s:%lu:%lu | tee -a /etc/subuid >> /etc/subgid", number,
                                  start, NEEDED);
                return;
        }

        struct trial trial = trial_run(p, try_mapping, &m);
        if (probe_settled(probe, &trial, "newuidmap and newgidmap map %lu ids from %lu", m.uids.count, m.uids.start))
                return;
        cleanup_free char *shown = text_escape(trial.step == STEP_GIDS ? gid_tool : uid_tool);
        probe_failed(probe, trial.step == STEP_GIDS ? "map gids with newgidmap" : "map uids with newuidmap", &trial);
        if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
                probe_but(probe, lost,
                          "start it where set-uid programs work: this process has no_new_privs set (a container or "
                          "service with NoNewPrivileges=)");
        else
                probe_but(probe, lost,
                          "compare /etc/subuid and /etc/subgid with `%s PID 0 %u 1`, where PID is a `unshare -U sleep "
                          "60`: it says what it objects to",
                          shown, (unsigned)uid);
}
