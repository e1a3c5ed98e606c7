// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The words between files-grant and whoever started it (the warden), over a SOCK_SEQPACKET socket which is descriptor 3
 * of the server. Every message, either way, is one struct grant_message, whole: another size, another `word` or a type
 * that is not known ends nothing but is answered GRANT_REFUSED. Descriptors come with ADD alone; any others are closed.
 * Numbers never change; a change of the layout changes GRANT_WORD.
 *
 *      warden                                          server
 *      ADD{id, add} + fuse device, source    ->
 *                                            <-        ADDED{id, status}
 *      SET{id, add}                          ->        flags and identity of `add` replace those of before
 *                                            <-        CHANGED{id, status}      they hold for everything from now on
 *      REVOKE{id}                            ->
 *                                            <-        DONE{id, done}           nothing is readable or writable any more, the
 *                                                                 device is closed, the id is free again
 *                                            <-        USED{id, used}           once, at the first use of a grant
 *                                            <-        GONE{id}                 it was unmounted: the id is free again
 *                                            <-        QUESTION{id, question}   of a placeholder (GRANT_ASK)
 *      ANSWER{id, answer}                    ->
 *                                            <-        WITHDRAWN{id, question}  nobody waits for the answer any more
 *                                            <-        REFUSED{id, status}      that message made no sense
 *
 * Answers to different ids may come in any order. The end of the socket is the end of the server and of all its grants.
 *
 * ADD. The device is /dev/fuse, opened in the user namespace that mounted it and mounted already, with
 *      fd=N,user_id=…,group_id=…,allow_other,default_permissions,rootmode=40000 (a tree) or 100000 (GRANT_FILE)
 * and nosuid,nodev, and ro and noexec as the flags say. The source is O_PATH (or any other) descriptor of the directory
 * or of the regular file. Nobody else may keep the device: revoking ends with closing its last descriptor.
 *
 * A placeholder (GRANT_ASK) comes with the device alone and is mounted WITHOUT default_permissions (the kernel would
 * not ask for access(2) and chdir(2)) and without ro, unless only reading is ever to be granted there (it would be
 * EROFS without a question). It shows an empty directory or file with `mode`. OPEN, OPENDIR, ACCESS and every look at a
 * name in it wait while a question is open; stat(2) of itself does not. There is one question for a program (a thread,
 * as inside numbers it), and one for all others (pid 0) when there are GRANT_QUESTIONS already.
 *
 * ANSWER yes: *first* the placeholder is taken away and the grant mounted where it stood, then the ANSWER is sent; all
 * who wait are told ESTALE, at which the kernel walks the path again, into the grant. Mounting OVER the placeholder may
 * wait for ever: a look at a name in it holds the directory's lock. So: umount2(MNT_DETACH) and mount, or
 * MOVE_MOUNT_BENEATH and umount. Other open questions of that id are WITHDRAWN. Then REVOKE the placeholder. ANSWER no:
 * EACCES for those who wait for this one. (The kernel does not walk again for mkdir, mknod, symlink and link of a name
 * *directly* in the placeholder: they give ESTALE when they are the very first access.)
 */
#pragma once

#include <stdint.h>

#define GRANT_CONTROL 3          /* the descriptor */
#define GRANT_WORD 0x50644701U   /* "PdG", version 1 */
#define GRANT_RANGES 4
#define GRANT_QUESTIONS 16       /* open ones of one placeholder, beside that of pid 0 */

enum grant_type {
        /* to the server */
        GRANT_ADD = 1,
        GRANT_SET = 2,
        GRANT_REVOKE = 3,
        GRANT_ANSWER = 4,
        /* from the server */
        GRANT_ADDED = 65,
        GRANT_CHANGED = 66,
        GRANT_DONE = 67,
        GRANT_USED = 68,
        GRANT_QUESTION = 69,
        GRANT_WITHDRAWN = 70,
        GRANT_GONE = 71,
        GRANT_REFUSED = 72,
};

enum grant_flags {
        GRANT_RW = 1,     /* else every change is EROFS, whatever the mount says */
        GRANT_FILE = 2,   /* the source is a regular file; cannot be SET */
        GRANT_NOEXEC = 4, /* regular files are shown without x */
        GRANT_ASK = 8,    /* a placeholder; cannot be SET */
        GRANT_MAPPED =
                16, /* owners are shown as outside, by `uids` and `gids`; else everything belongs to uid and gid */
        GRANT_GROUP =
                32, /* the group may what the owner may, and others nothing: `gid` stands for the right on this grant */
};

/* Ids `outside` (as the server sees them) .. + count are shown as `inside` .., numbers of the user namespace that
 * mounted. What is in no range is shown as 65534. count 0: no range. */
struct grant_range {
        uint32_t inside, outside, count;
};

struct grant_add {
        uint32_t flags;
        uint32_t uid, gid; /* shown, unless GRANT_MAPPED */
        uint32_t mode;     /* permission bits of a placeholder */
        struct grant_range uids[GRANT_RANGES], gids[GRANT_RANGES];
};

struct grant_done {
        uint64_t lost;  /* bytes written through a shared mapping that did not reach the file */
        uint32_t stuck; /* requests that hang in the file system outside: whether a change among them was made is not
                           known */
        uint32_t files; /* that were open */
};

struct grant_used {
        uint32_t pid;    /* in the pid namespace of whoever mounted; 0: not of it */
        uint32_t uid;    /* as the mount's user namespace numbers it */
        uint32_t writes; /* the first use is a change */
};

enum grant_what {
        GRANT_OPENS = 1,      /* the file or directory itself */
        GRANT_ENTERS = 2,     /* access(2), chdir(2) */
        GRANT_LOOKS = 3,      /* at a name in it */
};

struct grant_question {
        uint64_t serial; /* of the question, never 0, never used twice for an id */
        uint32_t pid, uid;
        uint32_t what; /* enum grant_what */
        char name[128]; /* GRANT_LOOKS: the name, cut off where it is longer, always ended */
};

struct grant_answer {
        uint64_t serial;
        uint32_t yes;
};

struct grant_message {
        uint32_t word; /* GRANT_WORD */
        uint16_t type; /* enum grant_type */
        uint16_t zero;
        uint64_t id; /* given by the warden; not 0 */
        union {
                struct grant_add add;
                int32_t status; /* 0 or a negative errno */
                struct grant_done done;
                struct grant_used used;
                struct grant_question question;
                struct grant_answer answer;
                uint64_t room[30];
        };
};

_Static_assert(sizeof(struct grant_message) == 256, "the size is part of the protocol");
