// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Any requests to files-mirror, as the kernel would bring them: the server answers, and shows nothing hidden.
 *
 * Input: requests one after another, each a byte for its kind, a byte for the node (one of those that were given
 * before, or none that ever was), a byte for the number of bytes that follow as its arguments. What fuse.h puts before
 * them is made here. Replies are read for the ids that they give, and for the text that hidden files have.
 */
#include "mirror.h"
#include "hold.h"
#include "serve.h"
#include "watch.h"

#include "base/cleanup.h"
#include "base/tree.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/uio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECRET "HIDDEN-CONTENT"
#define IDS 64

static uint64_t ids[IDS]; /* that replies gave */
static size_t id_count;
static uint32_t kind; /* of the request that is being answered */

static void check(bool good, const char *what)
{
        if (!good) {
                fprintf(stderr, "fuzz_mirror: %s\n", what);
                abort();
        }
}

static void note_id(uint64_t id)
{
        if (id)
                ids[id_count++ % IDS] = id;
}

static ssize_t take_reply(int fd, struct iovec *parts, int count, void *context)
{
        static char reply[(1 << 20) + 4096];
        size_t size = 0;
        (void)fd;
        (void)context;
        for (int i = 0; i < count; i++) {
                check(size + parts[i].iov_len <= sizeof reply, "a reply is larger than what may be asked for");
                memcpy(reply + size, parts[i].iov_base, parts[i].iov_len);
                size += parts[i].iov_len;
        }
        struct fuse_out_header head;
        check(size >= sizeof head, "a reply without a head");
        memcpy(&head, reply, sizeof head);
        check(head.len == size, "a reply that is not as long as it says");
        check(head.error <= 0 && head.error > -1000, "an error that is none");
        check(!memmem(reply, size, SECRET, strlen(SECRET)), "hidden content was shown");
        const char *body = reply + sizeof head, *end = reply + size;
        if (head.error == 0 && kind == FUSE_LOOKUP) {
                struct fuse_entry_out entry;
                check(body + sizeof entry <= end, "a short entry");
                memcpy(&entry, body, sizeof entry);
                note_id(entry.nodeid);
        }
        for (const char *p = body; head.error == 0 && kind == FUSE_READDIRPLUS && p < end;) {
                struct fuse_direntplus entry;
                check(p + FUSE_NAME_OFFSET_DIRENTPLUS <= end, "a short entry in a listing");
                memcpy(&entry, p, FUSE_NAME_OFFSET_DIRENTPLUS);
                check(p + FUSE_NAME_OFFSET_DIRENTPLUS + entry.dirent.namelen <= end, "a name that is cut off");
                const char *name = p + FUSE_NAME_OFFSET_DIRENTPLUS;
                check(entry.dirent.namelen && !memchr(name, '/', entry.dirent.namelen), "a name that is none");
                check(!memmem(name, entry.dirent.namelen, "hidden", 6), "a hidden name was listed");
                note_id(entry.entry_out.nodeid);
                p += FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET_DIRENTPLUS + entry.dirent.namelen);
        }
        return (ssize_t)size;
}

static ssize_t no_request(int fd, void *buffer, size_t size, void *context)
{
        (void)fd;
        (void)buffer;
        (void)size;
        (void)context;
        errno = EAGAIN;
        return -1;
}

static void send_request(struct mirror *m, uint32_t opcode, uint64_t node, const void *arguments, size_t size)
{
        static uint64_t unique;
        static union {
                struct fuse_in_header head;
                char room[8192];
        } request;
        request.head = (struct fuse_in_header){.len = (uint32_t)(sizeof request.head + size), .opcode = opcode,
                                               .unique = unique += 2, .nodeid = node, .pid = 1};
        memset(request.room + sizeof request.head, 0, sizeof request.room - sizeof request.head);
        if (size)
                memcpy(request.room + sizeof request.head, arguments, size);
        /* libfuse trusts the kernel to end names and to send whole arguments: what follows is zero. */
        struct fuse_buf buffer = {.size = sizeof request.head + size, .mem = request.room};
        kind = opcode;
        fuse_session_process_buf(m->session, &buffer);
}

static void make_file(int at, const char *name, const char *text)
{
        cleanup_close int fd = openat(at, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        check(fd >= 0 && write(fd, text, strlen(text)) >= 0, "cannot make the tree");
}

static char top[] = "/tmp/fuzz-mirror.XXXXXX";

static void remove_top(void)
{
        cleanup_error struct error err = ERROR_INIT;
        tree_remove(AT_FDCWD, top, &err);
}

static struct mirror *prepare(void)
{
        static struct mirror m =
                {.control = -1, .record = -1, .words = -1, .lister = 1, .ids = 65536, .node_limit = 1000};
        static struct keeps keeps;
        static const struct fuse_custom_io io = {.writev = take_reply, .read = no_request};
        char name[32];
        check(mkdtemp(top), "cannot make a directory");
        atexit(remove_top);
        m.root = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
        mkdirat(m.root, "a", 0755);
        mkdirat(m.root, "a/b", 0755);
        mkdirat(m.root, "a/hidden-dir", 0755);
        mkdirat(m.root, "etc", 0755);
        mkdirat(m.root, "closed", 0);
        mkdirat(m.root, "blank", 0755);
        make_file(m.root, "a/b/file", "some content");
        make_file(m.root, "a/hidden", SECRET);
        make_file(m.root, "a/hidden-dir/in", SECRET);
        make_file(m.root, "blank/in", SECRET);
        make_file(m.root, "etc/passwd", "root:x:0:0::/:\n");
        make_file(m.root, "etc/shadow", "x");
        fchmodat(m.root, "etc/shadow", 0, 0);
        linkat(m.root, "a/hidden", m.root, "l", 0);
        symlinkat("a/hidden", m.root, "s");
        mkfifoat(m.root, "p", 0644);
        for (int i = 0; i < 100; i++) {
                snprintf(name, sizeof name, "a/b/%d", i);
                make_file(m.root, name, "x");
        }
        rules_add(&m.rules, RULE_HIDDEN, "/a/hidden");
        rules_add(&m.rules, RULE_HIDDEN, "/a/hidden-dir");
        rules_add(&m.rules, RULE_BLANK, "/blank");
        m.groups = calloc(1, sizeof *m.groups);
        m.uid = geteuid();
        check(rules_identify(&m.rules, m.root) == 0 && node_tree_start(&m.tree, &m.rules.root) == 0, "no tree");
        static char *argv[] = {(char *)"fuzz", NULL};
        struct fuse_args arguments = FUSE_ARGS_INIT(1, argv);
        m.session = fuse_session_new(&arguments, &mirror_answers, sizeof mirror_answers, &m);
        check(m.session && fuse_session_custom_io(m.session, &io, open("/dev/null", O_RDWR | O_CLOEXEC)) == 0,
              "no session");
        fuse_opt_free_args(&arguments);
        keeps_start(&keeps);
        struct fuse_init_in init = {.major = FUSE_KERNEL_VERSION,
                                    .minor = 36,
                                    .max_readahead = 1 << 17,
                                    .flags = ~0U & ~(1U << 30)};
        send_request(&m, FUSE_INIT, 0, &init, sizeof init);
        return &m;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const uint32_t kinds[] = {FUSE_LOOKUP,  FUSE_FORGET, FUSE_GETATTR,  FUSE_READLINK,
                                         FUSE_OPEN,    FUSE_READ,   FUSE_LSEEK,    FUSE_READDIRPLUS,
                                         FUSE_READDIR, FUSE_STATFS, FUSE_GETXATTR, FUSE_BATCH_FORGET,
                                         FUSE_OPENDIR, FUSE_FLUSH,  FUSE_INTERRUPT};
        static const char *const names[] = {"a",     "b",      "file",     "hidden", "hidden-dir",
                                            "in",    "etc",    "shadow",   "..",     ".",
                                            "blank", "closed", "l",        "s",      "p",
                                            "7",     "passwd", "a/hidden", ""};
        static struct mirror *m;
        if (!m)
                m = prepare();
        node_find(&m->tree, NODE_ROOT)->awaited = size %
                                                  2; /* as if its listing had been asked for: lookups are put off */
        while (size >= 3) {
                uint32_t opcode = kinds[data[0] % (sizeof kinds / sizeof *kinds)];
                uint64_t node = data[1] < IDS ? ids[data[1]] : data[1] < 128 ? NODE_ROOT : data[1] * 0x100000001ULL;
                size_t length = data[2];
                char arguments[512] = {0};
                data += 3;
                size -= 3;
                if (length > size)
                        length = size;
                memcpy(arguments, data, length);
                size_t sent = length;
                if (opcode == FUSE_LOOKUP && length < 4) { /* one of the names that are there */
                        const char *name = names[(length ? data[0] : 0) % (sizeof names / sizeof *names)];
                        snprintf(arguments, sizeof arguments, "%s", name);
                        sent = strlen(name) + 1;
                } else if (opcode == FUSE_BATCH_FORGET) { /* the kernel counts right */
                        struct fuse_batch_forget_in batch = {
                                .count = (uint32_t)(length / sizeof(struct fuse_forget_one))};
                        memcpy(arguments, &batch, sizeof batch);
                        memcpy(arguments + sizeof batch, data, length);
                        sent = length + sizeof batch;
                } else if (sent < 64) {
                        sent = 64;
                } else {
                        sent++; /* ends a name */
                }
                data += length;
                size -= length;
                if (opcode == FUSE_READ || opcode == FUSE_READDIRPLUS) { /* as much as the kernel asks for, at most */
                        struct fuse_read_in *in = (void *)arguments;
                        in->size %= SERVE_ROOM + 1;
                }
                send_request(m, opcode, opcode == FUSE_BATCH_FORGET ? 0 : node, arguments, sent);
        }
        hold_end(m);
        return 0;
}
