// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Placeholders: what stands at a path that is not granted yet, and asks (control.h).
 *
 * Theory of operation. All is the main thread's: there is no file system outside that could hold it up. A request that
 * asks is parked with its question; the answer comes from the warden, or the kernel says that whoever waited was
 * killed. The kernel resolves the path anew after ESTALE, so nothing is decided on a name that could change its
 * meaning.
 */
#include "grant.h"

#include "base/cleanup.h"

#include <string.h>
#include <sys/uio.h>

#define PARKED 4096 /* requests that wait at one placeholder */
#define AT_ONCE 64  /* requests that are taken before others get their turn */

struct parked {
        struct parked *next;
        uint64_t unique, serial;
};

struct placeholder {
        struct parked *parked;
        unsigned parked_count, question_count;
        uint64_t last_serial;
        bool opened; /* the answer was yes */
        struct open_question {
                uint64_t serial;
                uint32_t pid;
                unsigned waits;
        } questions[GRANT_QUESTIONS + 1];
};

int ask_start(struct grant *g)
{
        g->placeholder = memory_new(sizeof *g->placeholder);
        return 0;
}

static struct open_question *question_of(struct placeholder *p, uint64_t serial)
{
        for (unsigned i = 0; i < p->question_count; i++)
                if (p->questions[i].serial == serial)
                        return &p->questions[i];
        return NULL;
}

static void close_question(struct placeholder *p, struct open_question *question)
{
        *question = p->questions[--p->question_count];
}

static void tell(struct grant *g, enum grant_type type, const struct grant_question *question)
{
        struct grant_message message = {.word = GRANT_WORD, .type = (uint16_t)type, .id = g->id, .question = *question};
        server_post(g->server, &message);
}

/* The question that a program's request belongs to; asked when it is new. */
static struct open_question *find_question(struct grant *g, const struct fuse_in_header *head, enum grant_what what,
                                           const char *name)
{
        struct placeholder *p = g->placeholder;
        bool crowded = p->question_count >= GRANT_QUESTIONS;
        struct open_question *others = NULL;
        for (unsigned i = 0; i < p->question_count; i++) {
                if (p->questions[i].pid == head->pid)
                        return &p->questions[i];
                if (p->questions[i].pid == 0)
                        others = &p->questions[i];
        }
        if (crowded && others)
                return others;
        struct open_question *question = &p->questions[p->question_count++];
        *question = (struct open_question){.serial = ++p->last_serial, .pid = crowded ? 0 : head->pid};
        struct grant_question asked = {
                .serial = question->serial, .pid = question->pid, .uid = head->uid, .what = what};
        snprintf(asked.name, sizeof asked.name, "%s", name);
        tell(g, GRANT_QUESTION, &asked);
        return question;
}

static void ask(struct grant *g, const struct fuse_in_header *head, enum grant_what what, const char *name)
{
        struct placeholder *p = g->placeholder;
        if (p->opened || p->parked_count >= PARKED) {
                reply_error(g, head->unique, p->opened ? -ESTALE : -EACCES);
                return;
        }
        struct open_question *question = find_question(g, head, what, name);
        struct parked *parked = memory_new(sizeof *parked);
        *parked = (struct parked){p->parked, head->unique, question->serial};
        p->parked = parked;
        p->parked_count++;
        question->waits++;
}

/* Answers those who wait for a question; all of them when `serial` is 0. */
static void answer_parked(struct grant *g, uint64_t serial, int error)
{
        struct placeholder *p = g->placeholder;
        for (struct parked **at = &p->parked, *parked; (parked = *at);) {
                if (serial && parked->serial != serial) {
                        at = &parked->next;
                        continue;
                }
                *at = parked->next;
                p->parked_count--;
                if (g->device >= 0)
                        reply_error(g, parked->unique, error);
                free(parked);
        }
}

static void interrupt(struct grant *g, uint64_t unique)
{
        struct placeholder *p = g->placeholder;
        struct parked **at, *parked;
        for (at = &p->parked; (parked = *at) && parked->unique != unique; at = &parked->next)
                ;
        if (!parked)
                return; /* answered already */
        struct open_question *question = question_of(p, parked->serial);
        reply_error(g, unique, -EINTR);
        *at = parked->next;
        p->parked_count--;
        free(parked);
        if (question && --question->waits == 0) {
                tell(g, GRANT_WITHDRAWN, &(struct grant_question){.serial = question->serial, .pid = question->pid});
                close_question(p, question);
        }
}

void ask_answer(struct grant *g, const struct grant_answer *answer)
{
        struct placeholder *p = g->placeholder;
        struct open_question *question = question_of(p, answer->serial);
        if (!answer->yes) {
                if (question) {
                        answer_parked(g, question->serial, -EACCES);
                        close_question(p, question);
                }
                return;
        }
        p->opened = true; /* also when nobody waits any more: the grant stands there */
        while (p->question_count) {
                question = &p->questions[p->question_count - 1];
                if (question->serial != answer->serial)
                        tell(g, GRANT_WITHDRAWN,
                             &(struct grant_question){.serial = question->serial, .pid = question->pid});
                p->question_count--;
        }
        answer_parked(g, 0, -ESTALE);
}

void ask_end(struct grant *g)
{
        answer_parked(g, 0, -EACCES);
        free(g->placeholder);
        g->placeholder = NULL;
}

static void answer_attributes(struct grant *g, uint64_t unique)
{
        struct fuse_attr_out out = {.attr = {.ino = 1,
                                             .mode = (g->file ? S_IFREG : S_IFDIR) | (g->show.mode & 0777),
                                             .nlink = g->file ? 1 : 2,
                                             .uid = g->show.uid,
                                             .gid = g->show.gid,
                                             .blksize = 4096}};
        struct fuse_out_header head = {.len = sizeof head + sizeof out, .unique = unique};
        struct iovec parts[2] = {{&head, sizeof head}, {&out, sizeof out}};
        (void)!writev(g->device, parts, 2);
}

static void serve_one(struct grant *g, const struct fuse_in_header *head, const char *argument, size_t size)
{
        switch (head->opcode) {
        case FUSE_LOOKUP:
                ask(g, head, GRANT_LOOKS, memchr(argument, '\0', size) ? argument : "");
                break;
        case FUSE_OPEN:
        case FUSE_OPENDIR:
                ask(g, head, GRANT_OPENS, "");
                break;
        case FUSE_ACCESS:
                ask(g, head, GRANT_ENTERS, "");
                break;
        case FUSE_GETATTR:
                answer_attributes(g, head->unique);
                break;
        case FUSE_INTERRUPT:
                if (size >= sizeof(struct fuse_interrupt_in))
                        interrupt(g, ((const struct fuse_interrupt_in *)(const void *)argument)->unique);
                break;
        case FUSE_FORGET:
        case FUSE_BATCH_FORGET:
        case FUSE_DESTROY:
                break;
        case FUSE_GETXATTR:
        case FUSE_LISTXATTR:
                reply_error(g, head->unique, -EOPNOTSUPP);
                break;
        default:
                if (head->opcode == FUSE_IOCTL)
                        reply_error(g, head->unique, -ENOTTY);
                else /* what is newer than we are is asked for in an older way then */
                        reply_error(g, head->unique, is_change(head->opcode) ? -EACCES : -ENOSYS);
        }
}

void ask_serve(struct grant *g)
{
        static union {
                struct fuse_in_header head;
                char room[4 * FUSE_MIN_READ_BUFFER];
        } request;
        for (unsigned i = 0; i < AT_ONCE; i++) {
                ssize_t got = read(g->device, &request, sizeof request);
                if (got < 0 && (errno == ENOENT || errno == EINTR))
                        continue;
                if (got < 0 && errno == EAGAIN)
                        return;
                if (got < (ssize_t)sizeof request.head) {
                        if (!g->finished)
                                server_finish(g, &(struct grant_message){.type = GRANT_GONE});
                        return;
                }
                size_t used = request.head.len < (uint32_t)got ? request.head.len : (uint32_t)got;
                serve_one(g, &request.head, request.room + sizeof request.head,
                          used > sizeof request.head ? used - sizeof request.head : 0);
        }
}
