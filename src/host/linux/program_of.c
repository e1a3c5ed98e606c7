// SPDX-License-Identifier: GPL-3.0-or-later
/* Looks into a tree as whoever has it as their root would: links in it lead to its own names. */
#include "host/host.h"

#include "base/cleanup.h"
#include "host/linux/kernel.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

/* include/uapi/linux/elf-em.h, and uname -m */
static const struct { unsigned number; const char *name, *binfmt;
} machines[] = {{62, "x86_64", "qemu-x86_64"}, {183, "aarch64", "qemu-aarch64"},        {3, "i686", "qemu-i386"},
                {40, "armv7l", "qemu-arm"},    {243, "riscv64", "qemu-riscv64"},        {21, "ppc64le", "qemu-ppc64le"},
                {22, "s390x", "qemu-s390x"},   {258, "loongarch64", "qemu-loongarch64"}};

const char *host_machine_name(const unsigned char header[20])
{
        if (memcmp(header, "\177ELF", 4) != 0)
                return NULL;
        unsigned number =
                header[5] == 2 ? (unsigned)(header[18] << 8 | header[19]) : (unsigned)(header[19] << 8 | header[18]);
        for (size_t i = 0; i < sizeof machines / sizeof *machines; i++)
                if (machines[i].number == number)
                        return machines[i].name;
        return "a machine that is not known here";
}

static bool runs_here(const char *machine)
{
        struct utsname here;
        if (uname(&here) < 0 || strcmp(here.machine, machine) == 0 ||
            (strcmp(here.machine, "x86_64") == 0 && strcmp(machine, "i686") == 0))
                return true;
        for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
                char path[96];
                snprintf(path, sizeof path, "/proc/sys/fs/binfmt_misc/%s", machines[i].binfmt);
                if (strcmp(machines[i].name, machine) == 0 && access(path, F_OK) == 0)
                        return true;
        }
        return false;
}

int host_look_for_program(const char *tree, const char *program, char **file, struct error *err)
{
        *file = NULL;
        cleanup_close int root = open(tree, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root < 0)
                return error_sys(err, errno, "cannot open %s", tree);
        struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
        int opened; /* EAGAIN: something was mounted or renamed anywhere while a ".." of a link was followed */
        for (int tries = 0; (opened = (int)syscall(SYS_openat2, root, program, &how, sizeof how)) < 0 && errno == EAGAIN;)
                if (++tries == 1000)
                        break;
        cleanup_close int found = opened;
        struct stat st;
        if (found < 0 || fstat(found, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || !(st.st_mode & 0111))
                return -EACCES;
        char own[64];
        snprintf(own, sizeof own, "/proc/self/fd/%d", found);
        char name[4096];
        ssize_t length = readlink(own, name, sizeof name - 1);
        name[length > 0 ? length : 0] = '\0';
        const char *slash = strrchr(name, '/');
        *file = memory_string(slash ? slash + 1 : name);
        cleanup_close int fd = open(own, O_RDONLY | O_CLOEXEC);
        unsigned char header[20];
        struct utsname here = {0};
        const char *machine =
                fd >= 0 && read(fd, header, sizeof header) == sizeof header ? host_machine_name(header) : NULL;
        if (!machine || runs_here(machine))
                return 0;
        uname(&here);
        error_set(err, ENOEXEC, "its %s is for %s, and this machine is %s", program, machine, here.machine);
        return error_remedy(err,
                            "get the system for %s; with qemu-user and its binfmt entry installed it runs here as well",
                            here.machine);
}
