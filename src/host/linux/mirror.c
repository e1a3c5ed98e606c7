// SPDX-License-Identifier: GPL-3.0-or-later
/* The mirror of the main system: see mirror.h. */
#include "host/linux/mirror.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "host/linux/identity.h"
#include "host/linux/kernel.h"
#include "host/linux/pass.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#define SERVER "paddock-files-mirror"
#define DEVICE "/dev/fuse"

/* The server's descriptors, out of the way of those that it gets. */
#define HIGH 20
#define CONTROL_AT 3
#define RECORD_AT 4

/* Beside this program, in libexec, or in the tree that it was built in. Fresh memory, or NULL. */
static char *server_path(void)
{
        static const char *const places[] = {"", "/../libexec/paddock", "/../servers/files-mirror", NULL};
        char self[4097];
        ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
        if (n <= 0)
                return NULL;
        self[n] = '\0';
        *strrchr(self, '/') = '\0';
        for (const char *const *place = places; *place; place++) {
                cleanup_free char *path = memory_format("%s%s/" SERVER, self, *place);
                if (access(path, X_OK) == 0)
                        return steal_pointer(&path);
        }
        return NULL;
}

static int device_failed(int code, struct error *err)
{
        error_sys(err, code, "cannot open " DEVICE ", which root in a copy of this system needs");
        if (code == ENOENT || code == ENODEV || code == ENXIO)
                return error_remedy(err, "as root: modprobe fuse; in a container: let it have the device " DEVICE);
        return error_remedy(err,
                            "as root: chmod 666 " DEVICE " (distributions have it so); `paddock doctor` tells more");
}

/* Which owners mean something inside: as many as both users and groups have, from 0 on. */
static void ids_word(const struct system *system, char *word, size_t size)
{
        unsigned long uids = 1, gids = 1;
        for (size_t i = 0; i < system->uids.count; i++)
                uids += system->uids.ranges[i].count;
        for (size_t i = 0; i < system->gids.count; i++)
                gids += system->gids.ranges[i].count;
        if (system->ids_direct) {
                uids = identity_count("/proc/self/uid_map");
                gids = identity_count("/proc/self/gid_map");
        }
        unsigned long count = uids < gids ? uids : gids;
        snprintf(word, size, count == 1 ? "one" : count >= 65536 ? "all" : "%lu", count);
}

static char **server_arguments(const struct launch *launch, char *path, const char *ids, int record)
{
        const struct plan_op *op = plan_mirror(launch->plan);
        char **argv = NULL;
        size_t count = 0, capacity = 0;
        *vector_add(argv, count, capacity) = path;
        *vector_add(argv, count, capacity) = (char *)"--control";
        *vector_add(argv, count, capacity) = (char *)"3";
        *vector_add(argv, count, capacity) = (char *)"--ids";
        *vector_add(argv, count, capacity) = (char *)ids;
        if (record >= 0) {
                *vector_add(argv, count, capacity) = (char *)"--record";
                *vector_add(argv, count, capacity) = (char *)"4";
        }
        for (size_t i = 0; i < op->name_count; i++) {
                *vector_add(argv, count, capacity) =
                        (char *)(op->names[i].kind == NAME_WHITEOUT ? "--hide" : "--blank");
                *vector_add(argv, count, capacity) = op->names[i].path;
        }
        *vector_add(argv, count, capacity) = NULL;
        return argv;
}

/* In a child: becomes the program, in a session of its own, since no key of the terminal is meant for it. It has none
 * of our descriptors but its socket and the record, or a pipe that the program inside closes would stay open. */
static _Noreturn void become(char **argv, int control, int record)
{
        sigset_t none;
        sigemptyset(&none);
        kernel_signal_mask(SIG_SETMASK, &none, NULL);
        setsid();
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        for (int fd = 0; fd <= 2; fd++)
                dup2(null, fd);
        dup2(control, CONTROL_AT);
        if (record >= 0)
                dup2(record, RECORD_AT);
        close_range(RECORD_AT + (record >= 0), ~0U, 0);
        execv(argv[0], argv);
        _exit(127); /* the socket closes, and init says that the server ended */
}

int mirror_start(const struct launch *launch, int state, struct error *err)
{
        if (access(DEVICE, R_OK | W_OK) < 0)
                return device_failed(errno, err);
        cleanup_free char *path = server_path();
        if (!path) {
                error_set(err, ENOENT, "cannot find " SERVER ", which belongs into libexec beside paddock-verbs");
                return error_remedy(err, "install paddock again (make install), or build it (make)");
        }
        int sockets[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
                return error_sys(err, errno, "cannot make a socket pair");
        cleanup_close int ours = sockets[0], theirs = fcntl(sockets[1], F_DUPFD_CLOEXEC, HIGH), record = -1;
        close(sockets[1]);
        if (theirs < 0)
                return error_sys(err, errno, "cannot make a socket pair");
        if (state >= 0) {
                cleanup_close int low = openat(state, "unreadable",
                                               O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
                record = low < 0 ? -1 : fcntl(low, F_DUPFD_CLOEXEC, HIGH);
                if (record < 0)
                        return error_sys(err, errno, "cannot write the record of what could not be read");
        }
        char ids[24];
        ids_word(launch->system, ids, sizeof ids);
        cleanup_free char **argv = server_arguments(launch, path, ids, record);
        pid_t server = kernel_fork(0);
        if (server == 0)
                become(argv, theirs, record);
        return server < 0 ? error_sys(err, errno, "cannot make a process") : steal_fd(&ours);
}

int mirror_open_device(struct error *err)
{
        int fd = open(DEVICE, O_RDWR | O_CLOEXEC);
        return fd < 0 ? device_failed(errno, err) : fd;
}

static int hand_over(int control, int device, struct error *err)
{
        int result = pass_send(control, "f", 1, device);
        if (result == 0)
                return 0;
        return error_sys(err, -result, SERVER " ended while the environment was being made");
}

/* Read-only and without devices, but set-uid programs shall work: they only gain ids of the environment. */
int mirror_mount(struct workplace *w, int device, int control, struct error *err)
{
        char number[16];
        snprintf(number, sizeof number, "%d", device);
        cleanup_close int context = fsopen("fuse", FSOPEN_CLOEXEC);
        static const char *const options[][2] = {{"source", "paddock"}, {"rootmode", "40000"}, {"user_id", "0"},
                                                 {"group_id", "0"}};
        bool good = context >= 0 && fsconfig(context, FSCONFIG_SET_STRING, "fd", number, 0) == 0;
        for (size_t i = 0; good && i < sizeof options / sizeof *options; i++)
                good = fsconfig(context, FSCONFIG_SET_STRING, options[i][0], options[i][1], 0) == 0;
        good = good && fsconfig(context, FSCONFIG_SET_FLAG, "allow_other", NULL, 0) == 0 &&
               fsconfig(context, FSCONFIG_SET_FLAG, "default_permissions", NULL, 0) == 0 &&
               fsconfig(context, FSCONFIG_SET_FLAG, "ro", NULL, 0) ==
                       0 && /* no times of access: nobody asks for new ones */
               fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0;
        cleanup_close int tree = good ? fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV) : -1;
        if (tree < 0) {
                error_sys(err, errno, "cannot mount the mirror of the main system (FUSE)");
                return error_remedy(err, "this kernel forbids FUSE mounts to users (it needs Linux 4.18): see `paddock "
                                         "doctor`");
        }
        int result = hand_over(control, device, err);
        cleanup_close int point = result < 0 ? -1 : stage_directory(w, "mirror", 0, 0755, err);
        if (point < 0)
                return -err->code;
        if (kernel_attach(tree, point) < 0)
                return error_sys(err, errno, "cannot attach the mirror of the main system");
        w->lister.mirror = w->mirror = steal_fd(&tree);
        w->lister.control = control;
        if (w->launch->argv)
                lister_touch(&w->lister, w->launch->argv[0]);
        return 0;
}

void guard_start(struct guard *g, const struct plan *plan, int control)
{
        size_t capacity = 0;
        g->control = control;
        if (control < 0)
                return;
        for (size_t i = 0; i < plan->count; i++) {
                const struct plan_op *op = &plan->ops[i];
                if (!op->mirrored || op->kind != PLAN_LAYER)
                        continue;
                int layer = open(op->path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (layer >= 0)
                        *vector_add(g->layers, g->layer_count, capacity) = (struct guarded_layer){layer, op->slot < 0};
        }
        (void)!send(control, "g", 1, MSG_DONTWAIT | MSG_NOSIGNAL); /* the answer comes by mirror_obey() */
}

bool guard_keeps(const struct guard *g, int fd)
{
        bool keeps = fd == g->control || fd == g->device;
        for (size_t i = 0; i < g->layer_count; i++)
                keeps |= fd == g->layers[i].mount;
        return keeps;
}

void guard_end(struct guard *g)
{
        if (g->device >= 0)
                close(steal_fd(&g->device));
}

/* A layer keeps names of its base, also that something is not there, for as long as it likes. To be reconfigured makes
 * it forget those that nobody uses (reconfigure_super() in the kernel's fs/super.c). */
static void forget_names(const struct guard *g)
{
        for (size_t i = 0; i < g->layer_count; i++) {
                cleanup_close int layer = fspick(g->layers[i].mount, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH);
                if (layer >= 0 && (!g->layers[i].read_only || fsconfig(layer, FSCONFIG_SET_FLAG, "ro", NULL, 0) == 0))
                        fsconfig(layer, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0);
        }
}

bool mirror_obey(struct guard *g, struct lister *lister)
{
        char word[4096]; /* CONTROL_ROOM of the server */
        int fds[PASS_LIMIT];
        size_t count;
        int n = pass_receive_all(g->control, word, sizeof word, fds, &count);
        for (size_t i = 0; i < count; i++) {
                if (g->device < 0)
                        g->device = fds[i];
                else
                        close(fds[i]);
        }
        if (n == 0 || (n < 0 && n != -EAGAIN && n != -EINTR))
                return false;
        if (n == 1 && word[0] == 's')
                forget_names(g);
        else if (n > 1 && strchr("dwn", word[0]))
                lister_ask(lister, word, (size_t)n);
        return true;
}
