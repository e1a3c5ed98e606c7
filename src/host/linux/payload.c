// SPDX-License-Identifier: GPL-3.0-or-later
/* What is to run, as a memory file: see payload.h. */
#include "host/linux/payload.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

struct head {
        uint32_t magic, argc, envc, umask;
        uint64_t mask, ignored;
        uint8_t what[4];
        uint8_t unused[4];
};

static uint32_t count_of(char *const *list)
{
        uint32_t count = 0;
        while (list && list[count])
                count++;
        return count;
}

static void add(struct text *t, const char *s)
{
        text_add_bytes(t, s ? s : "", s ? strlen(s) + 1 : 1);
}

int payload_seal(const struct payload *p, struct error *err)
{
        struct head head = {.magic = PAYLOAD_MAGIC,
                            .argc = count_of(p->argv),
                            .envc = count_of(p->variables),
                            .umask = p->umask,
                            .mask = p->mask,
                            .ignored = p->ignored,
                            .what = {p->what[0], p->what[1], p->what[2]}};
        cleanup_text struct text t = {0};
        text_add_bytes(&t, (const char *)&head, sizeof head);
        add(&t, p->cwd);
        add(&t, p->user);
        for (int i = 0; i < 3; i++)
                add(&t, p->directory[i]);
        for (uint32_t i = 0; i < head.argc; i++)
                add(&t, p->argv[i]);
        for (uint32_t i = 0; i < head.envc; i++)
                add(&t, p->variables[i]);
        if (t.length > PAYLOAD_LIMIT)
                return error_sys(err, E2BIG, "the arguments and variables");
        cleanup_close int fd =
                (int)syscall(SYS_memfd_create, "paddock-payload", 3 /* MFD_CLOEXEC | MFD_ALLOW_SEALING */);
        if (fd < 0)
                return error_sys(err, errno, "cannot make a memory file");
        for (size_t done = 0; done < t.length;) {
                ssize_t n = write(fd, t.data + done, t.length - done);
                if (n < 0 && errno != EINTR)
                        return error_sys(err, errno, "cannot write a memory file");
                done += n > 0 ? (size_t)n : 0;
        }
        fcntl(fd, 1033 /* F_ADD_SEALS */, 15 /* seal, shrink, grow, write */);
        return steal_fd(&fd);
}

/* The next text in the bytes from *at on. NULL: it does not end in them. */
static char *take(char **at, const char *end)
{
        char *start = *at, *nul = start < end ? memchr(start, '\0', (size_t)(end - start)) : NULL;
        if (nul)
                *at = nul + 1;
        return nul ? start : NULL;
}

static char *or_none(char *s)
{
        return s && *s ? s : NULL;
}

/* `count` texts as a list that ends with NULL; NULL when they are not there. */
static char **take_list(char **at, const char *end, uint32_t count)
{
        if (count > (size_t)(end - *at)) /* each has a byte at least */
                return NULL;
        char **list = memory_grow(NULL, (size_t)count + 1, sizeof *list);
        for (uint32_t i = 0; i < count; i++)
                if (!(list[i] = take(at, end))) {
                        free(list);
                        return NULL;
                }
        list[count] = NULL;
        return list;
}

static int parse(struct payload *p, char *bytes, size_t size)
{
        struct head head;
        if (size < sizeof head)
                return -EBADMSG;
        memcpy(&head, bytes, sizeof head);
        if (head.magic != PAYLOAD_MAGIC || !head.argc || head.umask > 07777)
                return -EBADMSG;
        p->umask = head.umask;
        p->mask = head.mask;
        p->ignored = head.ignored;
        char *at = bytes + sizeof head, *texts[5];
        const char *end = bytes + size;
        for (int i = 0; i < 5; i++)
                if (!(texts[i] = take(&at, end)))
                        return -EBADMSG;
        p->cwd = or_none(texts[0]);
        p->user = or_none(texts[1]);
        for (int i = 0; i < 3; i++) {
                p->what[i] = head.what[i];
                p->directory[i] = or_none(texts[2 + i]);
                if (p->what[i] > INHERIT_DIRECTORY || (p->what[i] == INHERIT_DIRECTORY && !p->directory[i]))
                        return -EBADMSG;
        }
        p->argv = take_list(&at, end, head.argc);
        p->variables = p->argv ? take_list(&at, end, head.envc) : NULL;
        return p->variables && at == end ? 0 : -EBADMSG;
}

int payload_parse(struct payload *p, char *bytes, size_t size)
{
        *p = (struct payload){0};
        if (parse(p, bytes, size) == 0)
                return 0;
        free(p->argv);
        free(p->variables);
        *p = (struct payload){0};
        return -EBADMSG;
}

int payload_read(int fd, struct payload *p, struct error *err)
{
        struct stat st;
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > PAYLOAD_LIMIT)
                return error_set(err, EBADMSG, "what is to run was not told in the form that is expected");
        char *bytes = memory_new((size_t)st.st_size + 1);
        ssize_t n = pread(fd, bytes, (size_t)st.st_size, 0);
        if (n != st.st_size || payload_parse(p, bytes, (size_t)n) < 0) {
                free(bytes);
                return error_set(err, EBADMSG, "what is to run was not told in the form that is expected");
        }
        p->bytes = bytes;
        return 0;
}

void payload_clear(struct payload *p)
{
        free(p->argv);
        free(p->variables);
        free(p->bytes);
        *p = (struct payload){0};
}
