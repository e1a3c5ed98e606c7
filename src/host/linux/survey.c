// SPDX-License-Identifier: GPL-3.0-or-later
/* A look at the main system: what the resolver needs to know of it (plan/system.h), read from Linux. */
#include "host/host.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"

#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

/* Reads a /proc file whole, whatever it says its size is. Fresh memory, or NULL with errno. */
static char *read_proc(const char *path)
{
        char small[16384]; /* holds most of them without asking the kernel for memory and giving it back */
        cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return NULL;
        size_t length = 0, capacity = sizeof small;
        cleanup_free char *large = NULL;
        for (;;) {
                ssize_t n = read(fd, (large ? large : small) + length, capacity - length - 1);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        break;
                length += (size_t)n;
                if (length + 1 < capacity)
                        continue;
                bool first = !large;
                large = memory_grow(large, capacity *= 2, 1);
                if (first)
                        memcpy(large, small, length);
        }
        if (!large) {
                small[length] = '\0';
                return memory_string(small);
        }
        large[length] = '\0';
        return steal_pointer(&large);
}

static int look_file(void *context, const char *path, struct file *file)
{
        struct system *system = context;
        struct stat st;
        *file = (struct file){.type = FILE_NONE};
        /* A name too long to be looked at in one piece is too long for the kernel's mounts as well. */
        if (fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0) {
                if (errno == EACCES) { /* what we may not see exists as far as anyone can tell: a closed directory */
                        file->covered = true;
                        return 0;
                }
                return errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG ? 0 : -errno;
        }
        file->type = S_ISDIR(st.st_mode)    ? FILE_DIRECTORY
                     : S_ISREG(st.st_mode)  ? FILE_REGULAR
                     : S_ISLNK(st.st_mode)  ? FILE_SYMLINK
                     : S_ISSOCK(st.st_mode) ? FILE_SOCKET
                                             : FILE_OTHER;
        file->mode = st.st_mode & 07777;
        file->mine = st.st_uid == system->uid;
        return 0;
}

static char *look_link(void *context, const char *path)
{
        (void)context;
        char target[4097];
        ssize_t n = readlink(path, target, sizeof target - 1);
        if (n <= 0)
                return NULL;
        target[n] = '\0';
        return memory_string(target);
}

static bool look_opaque(void *context, const char *path)
{
        (void)context;
        char value;
        return getxattr(path, "user.overlay.opaque", &value, 1) == 1 && value == 'y';
}

/* What getdents64(2) fills a buffer with. */
struct kernel_dirent {
        uint64_t ino;
        int64_t offset;
        unsigned short length;
        unsigned char type;
        char name[];
};

/* The entries of a directory, without readdir(): one call of the kernel where that makes several. */
static int list(const char *path, int limit, bool directories, char ***names)
{
        _Alignas(struct kernel_dirent) char buffer[16384];
        cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
        int kept = 0, seen = 0, capacity = 0;
        long n = -1;
        *names = NULL;
        while (fd >= 0 && seen <= limit && (n = syscall(SYS_getdents64, fd, buffer, sizeof buffer)) > 0) {
                for (long at = 0; at < n;) {
                        const struct kernel_dirent *entry = (const struct kernel_dirent *)(buffer + at);
                        at += entry->length;
                        if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0)
                                continue;
                        if (++seen > limit)
                                break;
                        if (!directories || entry->type == DT_DIR || entry->type == DT_UNKNOWN)
                                *vector_add(*names, kept, capacity) = memory_string(entry->name);
                }
        }
        if (n >= 0 && seen <= limit)
                return kept;
        int code = n < 0 ? errno : E2BIG;
        while (kept)
                free((*names)[--kept]);
        free(*names);
        *names = NULL;
        return -code;
}

static int look_entries(void *context, const char *path, int limit, char ***names)
{
        (void)context;
        return list(path, limit, false, names);
}

static int look_directories(void *context, const char *path, int limit, char ***names)
{
        (void)context;
        return list(path, limit, true, names);
}

static bool look_writable(void *context, const char *path)
{
        (void)context;
        return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS | AT_SYMLINK_NOFOLLOW) == 0;
}

static bool one_of(const char *word, const char *const *words)
{
        for (; *words; words++)
                if (strcmp(word, *words) == 0)
                        return true;
        return false;
}

/* Undoes mountinfo's \ooo escapes in place. */
static char *unescape(char *s)
{
        char *to = s;
        for (char *from = s; *from; from++) {
                if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] && from[3]) {
                        *to++ = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
                        from += 3;
                } else {
                        *to++ = *from;
                }
        }
        *to = '\0';
        return s;
}

/* One line of mountinfo, proc(5): "36 35 98:0 /root /path options [optional ...] - fstype source options". */
static void add_mount(struct system *system, size_t *capacity, char *line)
{
        static const char *const virtual_types[] = {
                "proc",    "sysfs",   "cgroup",     "cgroup2",    "devtmpfs", "devpts", "mqueue",   "debugfs",
                "tracefs", "bpf",     "securityfs", "configfs",   "pstore",   "efivarfs", "hugetlbfs", "fusectl",
                "autofs",  "binfmt_misc", "rpc_pipefs", "nsfs", "ramfs", "selinuxfs", NULL};
        static const char *const remote_types[] = {"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "afs", "fuse.sshfs",
                                                   "fuse.rclone", "fuse.glusterfs", NULL};
        char *field[6] = {0}, *rest = line;
        for (int i = 0; i < 6; i++)
                field[i] = strsep(&rest, " ");
        char *dash = rest ? strstr(rest, "- ") : NULL;
        if (!field[5] || !dash)
                return;
        char *type = dash + 2;
        type[strcspn(type, " ")] = '\0';
        *vector_add(system->mounts, system->mount_count, *capacity) =
                (struct mount){.path = memory_string(unescape(field[4])),
                               .fstype = memory_string(type),
                               .device = memory_string(field[2]),
                               .root = memory_string(unescape(field[3])),
                               .virtual_ = one_of(type, virtual_types),
                               .remote = one_of(type, remote_types)};
}

static int read_mounts(struct system *system, struct error *err)
{
        cleanup_free char *text = read_proc("/proc/self/mountinfo");
        if (!text) {
                error_sys(err, errno, "cannot read /proc/self/mountinfo");
                return error_remedy(err, "paddock needs /proc to be mounted");
        }
        size_t capacity = 0;
        char *rest = text, *line;
        while ((line = strsep(&rest, "\n")))
                if (*line)
                        add_mount(system, &capacity, line);
        return 0;
}

/* Path sockets that something listens on, from /proc/net/unix: "Num: RefCount Protocol Flags Type St Inode Path", where
 * a set bit 16 in Flags (__SO_ACCEPTCON) means listening and datagram sockets (Type 0002) need none. */
static int look_sockets(void *context, char ***paths)
{
        (void)context;
        cleanup_free char *text = read_proc("/proc/net/unix");
        int count = 0, capacity = 0;
        *paths = NULL;
        for (char *rest = text, *line; rest && (line = strsep(&rest, "\n"));) {
                char *path = strchr(line, '/'), *save = NULL;
                if (!path || path == line || path[-1] != ' ')
                        continue;
                cleanup_free char *kept = memory_string(path);
                strtok_r(line, " ", &save);
                for (int i = 0; i < 2; i++)
                        strtok_r(NULL, " ", &save);
                const char *flags = strtok_r(NULL, " ", &save), *type = strtok_r(NULL, " ", &save);
                bool reachable = flags && type && ((strtoul(flags, NULL, 16) & 0x10000) || strcmp(type, "0002") == 0);
                if (reachable && access(kept, W_OK) == 0)
                        *vector_add(*paths, count, capacity) = steal_pointer(&kept);
        }
        return count;
}

/* The index that a surrounding environment leaves: "PARTS<TAB>NUMBER<TAB>PATH" a line, the path escaped. */
static void read_stacks(struct system *system)
{
        cleanup_free char *text = access(STACK_PLACE "/index", R_OK) == 0 ? read_proc(STACK_PLACE "/index") : NULL;
        size_t capacity = 0;
        for (char *rest = text, *line; rest && (line = strsep(&rest, "\n"));) {
                unsigned parts, number;
                int at = 0;
                if (sscanf(line, "%u\t%u\t%n", &parts, &number, &at) != 2 || !at || parts > 500)
                        continue;
                char *path = text_unescape(line + at);
                if (!path)
                        continue;
                struct stack *stack = vector_add(system->stacks, system->stack_count, capacity);
                stack->path = path;
                stack->layers = memory_grow(NULL, parts, sizeof *stack->layers);
                for (unsigned i = 0; i < parts; i++)
                        stack->layers[stack->count++] = memory_format(STACK_PLACE "/%u/%u", number, i);
        }
}

/* Is this the main system's own user namespace, and are we root with the power to mount in it? If not, *direct says
 * whether we are root of another one, with the power to map its ids. */
static bool really_root(bool *direct)
{
        *direct = false;
        if (geteuid() != 0)
                return false;
        cleanup_free char *status = read_proc("/proc/self/status");
        char *caps = status ? strstr(status, "\nCapEff:") : NULL;
        unsigned long long effective = caps ? strtoull(caps + 8, NULL, 16) : 0;
        *direct = (effective >> 6 & 3) == 3; /* CAP_SETGID, CAP_SETUID */
        cleanup_free char *map = read_proc("/proc/self/uid_map");
        unsigned long inner = 1, outer = 1, count = 0;
        if (!map || sscanf(map, "%lu %lu %lu", &inner, &outer, &count) != 3 || inner || outer || count != 4294967295UL)
                return false;
        *direct = false;
        return effective >> 21 & 1; /* CAP_SYS_ADMIN */
}

static char *absolute_variable(const char *name)
{
        const char *value = getenv(name);
        return value && value[0] == '/' ? path_clean("/", value) : NULL;
}

int host_survey(struct system *system, const char *store, const char *layer, struct error *err)
{
        *system = (struct system){.look = {.file = look_file,
                                           .link = look_link,
                                           .opaque = look_opaque,
                                           .entries = look_entries,
                                           .directories = look_directories,
                                           .writable = look_writable,
                                           .sockets = look_sockets},
                                  .uid = geteuid(),
                                  .gid = getegid(),
                                  .home = absolute_variable("HOME"),
                                  .tmpdir = absolute_variable("TMPDIR"),
                                  .runtime = absolute_variable("XDG_RUNTIME_DIR")};
        system->superuser = really_root(&system->ids_direct);
        system->look.context = system;
        cleanup_free char *cwd = getcwd(NULL, 0);
        if (cwd && cwd[0] == '/') /* a deleted or unreachable one has no name */
                system->cwd = steal_pointer(&cwd);
        if (layer)
                system->store = memory_string(layer);
        int result = read_mounts(system, err);
        if (result == 0 && store) {
                char canonical[PATH_MAX + 1];
                system->state = memory_string(realpath(store, canonical) ? canonical : store);
        }
        if (result == 0)
                read_stacks(system);
        if (result < 0)
                host_survey_clear(system);
        return result;
}

void host_survey_clear(struct system *system)
{
        for (size_t i = 0; i < system->mount_count; i++) {
                free(system->mounts[i].path);
                free(system->mounts[i].fstype);
                free(system->mounts[i].device);
                free(system->mounts[i].root);
        }
        for (size_t i = 0; i < system->stack_count; i++) {
                while (system->stacks[i].count)
                        free(system->stacks[i].layers[--system->stacks[i].count]);
                free(system->stacks[i].layers);
                free(system->stacks[i].path);
        }
        free(system->stacks);
        free(system->mounts);
        free(system->cwd);
        free(system->home);
        free(system->tmpdir);
        free(system->runtime);
        free(system->state);
        free(system->store);
        free(system->ids_lack);
        *system = (struct system){0};
}
