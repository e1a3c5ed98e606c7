// SPDX-License-Identifier: GPL-3.0-or-later
/* What the main system is made of, for the stamp of a layer (model/stamp.h): its name, packages and mounts. */
#include "host/host.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* Package databases. Of one kind the packages are read; of the others only that something changed is known. */
#define DPKG "/var/lib/dpkg/status"
static const char *const databases[] = {DPKG,
                                        "/var/lib/rpm/rpmdb.sqlite",
                                        "/usr/lib/sysimage/rpm/rpmdb.sqlite",
                                        "/var/lib/rpm/Packages",
                                        "/var/lib/pacman/local",
                                        "/lib/apk/db/installed",
                                        NULL};

#define FILE_LIMIT (256 << 20) /* a database larger than this is not read */

static char *read_file(const char *path)
{
        cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_LIMIT)
                return NULL;
        char *text = memory_new((size_t)st.st_size + 1);
        size_t length = 0;
        for (ssize_t n; length < (size_t)st.st_size &&
                        ((n = read(fd, text + length, (size_t)st.st_size - length)) > 0 || (n < 0 && errno == EINTR));)
                length += n > 0 ? (size_t)n : 0;
        text[length] = '\0';
        return text;
}

char *host_stamp_database(void)
{
        for (const char *const *path = databases; *path; path++) {
                struct stat st;
                if (stat(*path, &st) == 0)
                        return memory_format("%s %lld %lld.%09ld", *path, (long long)st.st_size,
                                             (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
        }
        return NULL;
}

/* The value of PRETTY_NAME, os-release(5), without its quotes. Fresh memory, or NULL. */
static char *pretty_name(char *text)
{
        for (char *rest = text, *line; rest && (line = strsep(&rest, "\n"));) {
                if (strncmp(line, "PRETTY_NAME=", 12) != 0)
                        continue;
                char *value = line + 12;
                size_t n = strlen(value);
                if (n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n - 1] == value[0]) {
                        value[n - 1] = '\0';
                        value++;
                }
                return memory_string(value);
        }
        return NULL;
}

void host_stamp_read(const struct system *system, struct stamp *stamp)
{
        *stamp = (struct stamp){.database = host_stamp_database()};
        cleanup_free char *release = read_file("/etc/os-release");
        stamp->os = pretty_name(release);
        size_t n = strlen(DPKG);
        if (stamp->database && strncmp(stamp->database, DPKG, n) == 0 && stamp->database[n] == ' ') {
                cleanup_free char *status = read_file(DPKG);
                if (status)
                        stamp_add_dpkg(stamp, status);
        }
        for (size_t i = 0; i < system->mount_count; i++)
                if (!system->mounts[i].virtual_)
                        stamp_add_mount(stamp, system->mounts[i].path);
        stamp_sort(stamp);
}

char *host_package_files(const char *package)
{
        const char *colon = strchr(package, ':');
        if (strchr(package, '/'))
                return NULL;
        cleanup_free char *whole = memory_format("/var/lib/dpkg/info/%s.list", package);
        cleanup_free char *bare =
                memory_format("/var/lib/dpkg/info/%.*s.list", (int)(colon ? colon - package : 0), package);
        char *text = read_file(whole); /* with the architecture where several can be installed at once */
        return text ? text : read_file(bare);
}
