// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Any requests to files-grant, as the kernel would bring them: the server answers, and neither shows nor changes what
 * lies outside of the source.
 *
 * Input: requests one after another, each a byte for its kind, a byte for the node and one for the file handle (of
 * those that were given before, or none that ever was), and a byte for the number of bytes that follow as its
 * arguments. Replies are read for the ids that they give, and for the text of a file outside.
 */
#include "grant.h"
#include "source.h"

#include "base/cleanup.h"
#include "base/tree.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECRET "CONTENT-OF-OUTSIDE"
#define KNOWN 64
#define REPLY_MOST 65536 /* what a message of the socket that stands for the device holds */
#define FRESH 200        /* inputs after which the tree is made anew */

static uint64_t ids[KNOWN], handles[KNOWN]; /* that replies gave */
static size_t id_count, handle_count;
static int kernel; /* our end of the device */
static struct server server;
static char top[] = "/tmp/fuzz-grant.XXXXXX";

/* What main.c does otherwise. */
void server_post(struct server *s, const struct grant_message *message)
{
        (void)s;
        (void)message;
}

void server_wake(struct server *s)
{
        (void)s;
}

void server_finish(struct grant *g, const struct grant_message *told)
{
        (void)g;
        (void)told;
}

static void check(bool good, const char *what)
{
        if (!good) {
                fprintf(stderr, "fuzz_grant: %s\n", what);
                abort();
        }
}

static void note(uint64_t *known, size_t *count, uint64_t number)
{
        if (number)
                known[(*count)++ % KNOWN] = number;
}

static void note_entry(const struct fuse_entry_out *entry, size_t size)
{
        check(size >= sizeof *entry, "a short entry");
        check(!(entry->attr.mode & 06000) || S_ISDIR(entry->attr.mode), "set-id bits are shown");
        note(ids, &id_count, entry->nodeid);
}

static void take_reply(uint32_t kind)
{
        static union {
                struct fuse_out_header head;
                char room[REPLY_MOST + 4096];
        } reply;
        for (ssize_t got; (got = recv(kernel, &reply, sizeof reply, MSG_DONTWAIT)) > 0;) {
                check((size_t)got >= sizeof reply.head && reply.head.len == (size_t)got,
                      "a reply that is not as long as it says");
                check(reply.head.error <= 0 && reply.head.error > -512, "an error that is none");
                check(!memmem(&reply, (size_t)got, SECRET, strlen(SECRET)), "what lies outside was shown");
                const char *body = reply.room + sizeof reply.head;
                size_t size = (size_t)got - sizeof reply.head;
                if (reply.head.error || !size)
                        continue;
                if (kind == FUSE_LOOKUP || kind == FUSE_CREATE || kind == FUSE_MKDIR || kind == FUSE_LINK ||
                    kind == FUSE_SYMLINK)
                        note_entry((const void *)body, size);
                if (kind == FUSE_OPEN || kind == FUSE_OPENDIR)
                        note(handles, &handle_count, ((const struct fuse_open_out *)(const void *)body)->fh);
                if (kind == FUSE_CREATE)
                        note(handles, &handle_count,
                             ((const struct fuse_open_out *)(const void *)(body + sizeof(struct fuse_entry_out)))->fh);
                for (size_t at = 0; kind == FUSE_READDIRPLUS && at < size;) {
                        const struct fuse_direntplus *entry = (const void *)(body + at);
                        check(at + FUSE_NAME_OFFSET_DIRENTPLUS + entry->dirent.namelen <= size,
                              "a name that is cut off");
                        note_entry(&entry->entry_out, size - at);
                        at += FUSE_DIRENTPLUS_SIZE(entry);
                }
        }
}

static void send_request(struct worker *w, uint32_t opcode, uint64_t node, const void *arguments, size_t size)
{
        static uint64_t unique;
        struct fuse_in_header *head = (void *)w->room;
        *head = (struct fuse_in_header){.len = (uint32_t)(sizeof *head + size), .opcode = opcode, .unique = unique += 2,
                                        .nodeid = node, .pid = 1};
        memcpy(head + 1, arguments, size);
        struct request r = {.grant = w->grant, .worker = w, .head = head, .argument = (char *)(head + 1), .size = size,
                            .reply = w->room + ARGUMENT_ROOM};
        dispatch(&r);
        take_reply(opcode);
}

static void make_file(int at, const char *name, const char *text)
{
        cleanup_close int fd = openat(at, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        check(fd >= 0 && write(fd, text, strlen(text)) >= 0, "cannot make the tree");
}

static void remove_top(void)
{
        cleanup_error struct error err = ERROR_INIT;
        tree_remove(AT_FDCWD, top, &err);
}

/* The source is `in`; beside it lies what must not be reached. */
static struct grant *prepare(void)
{
        cleanup_close int at = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct statx st;
        int ends[2], room = 4 << 20;
        mkdirat(at, "in", 0755);
        mkdirat(at, "in/d", 0755);
        make_file(at, "secret", SECRET);
        make_file(at, "in/file", "some content");
        make_file(at, "in/d/x", "x");
        symlinkat("../secret", at, "in/up");
        symlinkat("..", at, "in/above");
        linkat(at, "in/file", at, "in/d/hard", 0);
        check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0, "no socket");
        setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
        kernel = ends[1];
        struct grant *g = memory_new(sizeof *g);
        *g = (struct grant){.id = 1,
                            .server = &server,
                            .device = ends[0],
                            .refs = 1,
                            .writable = true,
                            .used = true,
                            .direct = true,
                            .source = openat(at, "in", O_PATH | O_DIRECTORY | O_CLOEXEC)};
        pthread_mutex_init(&g->lock, NULL);
        pthread_cond_init(&g->changed, NULL);
        check(stat_name(g->source, "", &st) == 0, "no source");
        struct identity is = identity_of(&st);
        node_tree_start(&g->tree, &is);
        id_count = handle_count = 0;
        return g;
}

static void start(void)
{
        struct rlimit small = {1 << 20, 1 << 20};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &small);
        check(mkdtemp(top), "cannot make a directory");
        atexit(remove_top);
        server.proc = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
        server.handle_limit = 200;
        pthread_mutex_init(&server.lock, NULL);
}

static void look_outside(void)
{
        char name[sizeof top + 16], text[64] = "";
        snprintf(name, sizeof name, "%s/secret", top);
        cleanup_close int fd = open(name, O_RDONLY | O_CLOEXEC);
        check(fd >= 0 && read(fd, text, sizeof text - 1) > 0 && strcmp(text, SECRET) == 0,
              "what lies outside was changed");
}

static const uint32_t kinds[] = {FUSE_LOOKUP,     FUSE_FORGET,       FUSE_GETATTR,     FUSE_SETATTR,
                                 FUSE_READLINK,   FUSE_SYMLINK,      FUSE_MKNOD,       FUSE_MKDIR,
                                 FUSE_UNLINK,     FUSE_RMDIR,        FUSE_RENAME,      FUSE_RENAME2,
                                 FUSE_LINK,       FUSE_CREATE,       FUSE_TMPFILE,     FUSE_OPEN,
                                 FUSE_READ,       FUSE_WRITE,        FUSE_FLUSH,       FUSE_RELEASE,
                                 FUSE_FSYNC,      FUSE_FALLOCATE,    FUSE_LSEEK,       FUSE_OPENDIR,
                                 FUSE_READDIR,    FUSE_READDIRPLUS,  FUSE_STATFS,      FUSE_SETXATTR,
                                 FUSE_GETXATTR,   FUSE_LISTXATTR,    FUSE_REMOVEXATTR, FUSE_GETLK,
                                 FUSE_SETLK,      FUSE_BATCH_FORGET, FUSE_INTERRUPT,   FUSE_COPY_FILE_RANGE,
                                 FUSE_RELEASEDIR, FUSE_IOCTL,        FUSE_POLL,        4000};
static const char *const names[] = {"d",  "file", "x", "up",  "above", "hard",  "new",
                                    "..", ".",    "",  "d/x", "in",    "secret"};

/* Where in its arguments a kind has a handle, and how many bytes come before its names. */
static size_t handle_at(uint32_t kind)
{
        return kind == FUSE_GETATTR || kind == FUSE_SETATTR ? 8 : 0;
}

static bool has_handle(uint32_t kind)
{
        return kind == FUSE_READ || kind == FUSE_WRITE || kind == FUSE_FLUSH || kind == FUSE_RELEASE ||
               kind == FUSE_RELEASEDIR || kind == FUSE_FSYNC || kind == FUSE_FALLOCATE || kind == FUSE_LSEEK ||
               kind == FUSE_READDIR || kind == FUSE_SETATTR || kind == FUSE_READDIRPLUS || kind == FUSE_GETLK ||
               kind == FUSE_SETLK || kind == FUSE_COPY_FILE_RANGE;
}

static size_t before_names(uint32_t kind)
{
        switch (kind) {
        case FUSE_MKNOD: return sizeof(struct fuse_mknod_in);
        case FUSE_MKDIR: return sizeof(struct fuse_mkdir_in);
        case FUSE_RENAME: return sizeof(struct fuse_rename_in);
        case FUSE_RENAME2: return sizeof(struct fuse_rename2_in);
        case FUSE_LINK: return sizeof(struct fuse_link_in);
        case FUSE_CREATE: return sizeof(struct fuse_create_in);
        case FUSE_LOOKUP:
        case FUSE_UNLINK:
        case FUSE_RMDIR:
        case FUSE_SYMLINK: return 0;
        default: return SIZE_MAX;
        }
}

/* Puts names that are there behind the arguments; a few inputs bring their own. Returns the size. */
static size_t add_names(uint32_t kind, uint8_t which, char *arguments, size_t size, uint64_t node)
{
        size_t at = before_names(kind);
        if (at == SIZE_MAX || which >= 240)
                return size;
        if (kind == FUSE_RENAME || kind == FUSE_RENAME2 || kind == FUSE_LINK)
                memcpy(arguments, &node, sizeof node);
        for (int i = 0; i < 2; i++, which /= 13) {
                const char *name = names[which % (sizeof names / sizeof *names)];
                memcpy(arguments + at, name, strlen(name) + 1);
                at += strlen(name) + 1;
        }
        return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct worker worker;
        static unsigned inputs;
        if (!worker.room) {
                worker.room = memory_new(REQUEST_ROOM);
                pthread_mutex_init(&worker.reply, NULL);
                start();
        }
        if (inputs++ % FRESH == 0) {
                if (worker.grant) {
                        close(kernel);
                        grant_release(worker.grant);
                        cleanup_error struct error err = ERROR_INIT;
                        tree_remove(AT_FDCWD, top, &err);
                        mkdir(top, 0700);
                }
                worker.grant = prepare();
        }
        while (size >= 4) {
                char arguments[1024] = {0};
                uint32_t kind = kinds[data[0] % (sizeof kinds / sizeof *kinds)];
                uint64_t node = data[1] < KNOWN ? ids[data[1]] : data[1] < 160 ? NODE_ROOT : data[1] * 0x100000001ULL;
                uint64_t handle = data[2] < KNOWN ? handles[data[2]] : data[2] * 0x100000001ULL;
                size_t length = data[3] < size - 4 ? data[3] : size - 4, sent = length;
                uint8_t which = data[2];
                memcpy(arguments, data + 4, length);
                data += 4 + length;
                size -= 4 + length;
                if (has_handle(kind)) {
                        memcpy(arguments + handle_at(kind), &handle, sizeof handle);
                        sent = sent < 100 ? 100 : sent;
                }
                if (kind == FUSE_READ || kind == FUSE_READDIR || kind == FUSE_READDIRPLUS)
                        ((struct fuse_read_in *)(void *)arguments)->size %= REPLY_MOST;
                if (kind == FUSE_LISTXATTR || kind == FUSE_GETXATTR)
                        ((struct fuse_getxattr_in *)(void *)arguments)->size %= REPLY_MOST;
                if (kind == FUSE_SETATTR || kind == FUSE_OPEN || kind == FUSE_OPENDIR || kind == FUSE_TMPFILE)
                        sent = sent < 100 ? 100 : sent;
                sent = add_names(kind, which, arguments, sent, ids[which % KNOWN]);
                send_request(&worker, kind, node, arguments, sent);
        }
        look_outside();
        return 0;
}
