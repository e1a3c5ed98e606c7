// SPDX-License-Identifier: GPL-3.0-or-later
/* hang DIR COMMAND... - mounts a FUSE file system of one file on DIR in this mount namespace, with a server that
 * answers everything but FLUSH; then runs the command with the file's name as its last argument. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static void reply(int device, uint64_t unique, int error, const void *data, size_t size)
{
        struct fuse_out_header head = {.len = (uint32_t)(sizeof head + size), .error = error, .unique = unique};
        struct iovec parts[2] = {{&head, sizeof head}, {(void *)data, size}};
        if (writev(device, parts, 2) < 0)
                perror("reply");
}

static struct fuse_attr attributes(uint64_t node)
{
        return (struct fuse_attr){.ino = node, .mode = node == 1 ? S_IFDIR | 0755 : S_IFREG | 0644, .nlink = 1};
}

static void serve(int device)
{
        static char room[1 << 20];
        for (;;) {
                ssize_t got = read(device, room, sizeof room);
                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return;
                struct fuse_in_header *in = (void *)room;
                struct fuse_init_out init = {.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 65536};
                struct fuse_entry_out entry = {.nodeid = 2,
                                               .attr = attributes(2),
                                               .attr_valid = 1000,
                                               .entry_valid = 1000};
                struct fuse_attr_out attr = {.attr = attributes(in->nodeid), .attr_valid = 1000};
                struct fuse_open_out open = {.fh = 1};
                switch (in->opcode) {
                case FUSE_INIT:
                        reply(device, in->unique, 0, &init, sizeof init);
                        break;
                case FUSE_LOOKUP:
                        reply(device, in->unique, 0, &entry, sizeof entry);
                        break;
                case FUSE_GETATTR:
                        reply(device, in->unique, 0, &attr, sizeof attr);
                        break;
                case FUSE_OPEN:
                        reply(device, in->unique, 0, &open, sizeof open);
                        break;
                case FUSE_FLUSH:
                case FUSE_FORGET:
                case FUSE_RELEASE:
                case FUSE_INTERRUPT:
                        break;
                default:
                        reply(device, in->unique, -ENOSYS, NULL, 0);
                }
        }
}

int main(int argc, char **argv)
{
        char options[128], file[4096], *args[64] = {0};
        int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
        snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", device);
        if (argc < 3 || argc > 60 || device < 0 || mount("hang", argv[1], "fuse", MS_NOSUID | MS_NODEV, options) < 0) {
                perror("hang");
                return 1;
        }
        if (fork() == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                serve(device);
                _exit(0);
        }
        snprintf(file, sizeof file, "%s/file", argv[1]);
        memcpy(args, argv + 2, sizeof(char *) * (size_t)(argc - 2));
        args[argc - 2] = file;
        if (fork() == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                close(device);
                execv(args[0], args);
                _exit(1);
        }
        pause();
        return 0;
}
