// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The messages of the control socket of a started environment: doc/control.md is the description for everybody else.
 *
 * One message is one datagram of at most MESSAGE_LIMIT bytes: a header, then fields of a tag, a length and bytes.
 * Numbers are as the machine has them, since no message leaves it. Numbers of types and tags never change their meaning
 * and are never used again. A receiver skips tags that it does not know and answers a type that it does not know with
 * MESSAGE_ERROR.
 *
 * Everything here is pure: bytes in, values out, no system calls, and no byte is trusted before it was looked at.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESSAGE_LIMIT 65536
#define MESSAGE_DESCRIPTORS 8        /* passed with one message at most */
#define MESSAGE_MAGIC 0x6b647000u    /* "\0pdk" */
#define MESSAGE_VERSION 1u           /* in the low byte beside it */

/* Requests of a client. Each is answered with its own type and MESSAGE_ANSWER, or with MESSAGE_ERROR. */
enum message_type {
        MESSAGE_HELLO = 1, /* the first: VERSION, and a descriptor of the client's user namespace */
        MESSAGE_STATUS = 2, /* -> the environment, then each session */
        MESSAGE_STOP = 3, /* GRACE; answered when nothing runs any more */
        MESSAGE_ENTER = 4, /* STREAMS, TERMINAL; descriptors: session, payload, streams */
        MESSAGE_GRANT = 5, /* one right; descriptors by KIND and FLAGS: see doc/control.md */
        MESSAGE_REVOKE = 6, /* GRANT, or RESOURCE, or SET, with TO */
        MESSAGE_GRANTS = 7, /* -> each right */
        MESSAGE_ASK = 8, /* as GRANT without a descriptor: asks at the first access */
        MESSAGE_LISTEN = 9, /* from now on this connection is told of events and questions */
        MESSAGE_REPLY = 10, /* QUESTION, VERDICT */
        MESSAGE_FREEZE = 11, /* every process inside stops */
        MESSAGE_THAW = 12,
        MESSAGE_LOG = 13, /* LIMIT: how long the log may grow before it is rotated */
        MESSAGE_WAIT = 14, /* WHAT; answered when it has come to pass */
        MESSAGE_SERVER = 15, /* KIND; descriptor: the socket to a server that the client has started */
        MESSAGE_VIEW = 16, /* a rule of the view, added, changed or removed */
        MESSAGE_BEGIN = 17, /* what is granted at the start was given: the programs of `run:` may start */

        MESSAGE_CONSOLE =
                24, /* ROWS, COLUMNS; descriptor: a stream socket on which what the console says appears and is typed */

        /* The warden speaks unasked. The serial is 0. */
        MESSAGE_EVENT = 64, /* EVENT, and what it is about */
        MESSAGE_QUESTION = 65, /* QUESTION, RESOURCE, INSIDE, COMMAND: may it? */
        MESSAGE_WITHDRAWN = 66, /* QUESTION: nobody waits for the answer any more */

        MESSAGE_ERROR = 127, /* CODE, TEXT, perhaps REMEDY and NEED */
};

enum message_flags {
        MESSAGE_ANSWER = 1, /* the serial is the request's */
        MESSAGE_MORE = 2,   /* another answer to the same request follows */
};

/* What a field holds stands behind it: a number (8 bytes), text (UTF-8 or any bytes but NUL, without one at the
 * end). */
enum message_tag {
        TAG_VERSION = 1,   /* number */
        TAG_NAME = 2,      /* text: of the environment, or of a program of `run:` */
        TAG_CODE = 3,      /* number: errno */
        TAG_TEXT = 4,      /* text: one line for people */
        TAG_REMEDY = 5,    /* text: what to do */
        TAG_NEED = 6,      /* number: the server (enum grant_kind) that has to be started first */
        TAG_PID = 7,       /* number: outside */
        TAG_INIT = 8,      /* number: pid of the environment's first process, outside */
        TAG_STATE = 9,     /* number: enum session_state */
        TAG_SINCE = 10,    /* number: seconds since 1970 */
        TAG_SESSION = 11,  /* number: of a session */
        TAG_COMMAND = 12,  /* text: what runs */
        TAG_BACKGROUND = 13, /* number: 1 when it is one of `run:` */
        TAG_RESTARTS = 14, /* number */
        TAG_STATUS = 15,   /* number: as waitpid() has it */
        TAG_GRACE = 16,    /* number: milliseconds; 0: at once */
        TAG_STREAMS = 17,  /* number: bit N says that standard descriptor N comes along */
        TAG_TERMINAL = 18, /* number: bit 0 the program gets a terminal of its own, bit 1 it has it from the start */
        TAG_WHAT = 19,     /* number: enum wait_what */
        TAG_LIMIT = 20,    /* number: bytes */

        TAG_GRANT = 32,    /* number: given by the warden; never used again while it lives */
        TAG_RESOURCE = 33, /* text: its name outside, for people */
        TAG_INSIDE = 34,   /* text: absolute name inside */
        TAG_KIND = 35,     /* number: enum grant_kind */
        TAG_MODE = 36,     /* number: enum grant_mode */
        TAG_FLAGS = 37,    /* number: enum grant_flags */
        TAG_EXPIRY = 38,   /* number: seconds of TAG_CLOCK; missing: never */
        TAG_CLOCK = 39,    /* number: enum grant_clock */
        TAG_SET = 40,      /* text: the named set that it came with */
        TAG_BY = 41,       /* text: by whose word */
        TAG_TO = 42,       /* text: the identity inside that has it; missing: the whole environment */
        TAG_USED = 43,     /* number: seconds since 1970 of the first use; missing: not yet */
        TAG_LOST = 44,     /* number: bytes that were written and did not reach the file */
        TAG_COUNT = 45,    /* number */
        TAG_QUESTION = 46, /* number */
        TAG_VERDICT = 47,  /* number: enum verdict */
        TAG_EVENT = 48,    /* number: enum event_kind */
        TAG_TIMEOUT = 49,  /* number: milliseconds */
        TAG_RULE = 50,     /* text: the word of a rule of the view */
        TAG_GID = 52,      /* number: with TO, the group inside that stands for the right */
        TAG_ROWS = 64,     /* number: of a terminal */
        TAG_COLUMNS = 65,  /* number */
        TAG_PARTS = 68,    /* number: enum channel_bring, of a channel */
        TAG_OVERDUE = 70,  /* number: 1 when it did not end within the grace, and was killed */
        TAG_SOURCE = 51,   /* text, several times: what a rule answers from */
};

enum session_state {
        SESSION_RUNNING = 1,
        SESSION_WAITING = 2 /* for its next start */,
        SESSION_ENDED = 3,
        SESSION_STOPPING = 4
};
enum wait_what { WAIT_PROGRAMS = 1 /* all of `run:` ended for good */, WAIT_STOPPED = 2 };
enum grant_kind { GRANT_TREE = 1, GRANT_FILE = 2, GRANT_SOCKET = 3, GRANT_CHANNEL = 4 };
/* Of a channel. The first two come along as descriptors, after the one that says what it is; the others the warden
 * adds. */
enum channel_bring {
        BRING_OUTER = 1,   /* a listening socket */
        BRING_INNER = 2,   /* a listening socket, and a detached mount of its name */
        BRING_NETWORK = 4, /* the network of the programs inside */
        BRING_ROOT = 8,    /* their root directory */
};
enum grant_mode { GRANT_RO = 1, GRANT_RW = 2 };
enum grant_flags {
        GRANT_NOEXEC = 1,
        GRANT_PLAIN = 2,   /* what is open stays open when it is revoked */
        GRANT_KEEP = 4,    /* for later starts as well */
        GRANT_ONCE = 8,    /* ends with its first use */
        GRANT_ASKS = 32,   /* only told: whoever uses it is asked about */
        GRANT_LOCKED = 16, /* of the description: no command revokes it */
};
enum grant_clock {
        CLOCK_OF_DAY = 1 /* seconds since 1970 */,
        CLOCK_OF_BOOT = 2 /* seconds since boot, sleep included */
};
enum verdict {
        VERDICT_NO = 1,
        VERDICT_ONCE = 2,
        VERDICT_RUN = 3 /* as long as the environment runs */,
        VERDICT_ALWAYS = 4
};
enum event_kind {
        EVENT_GRANTED = 1,
        EVENT_REVOKED = 2,
        EVENT_USED = 3,
        EVENT_DENIED = 4,
        EVENT_STARTED = 5,
        EVENT_ENDED = 6,
        EVENT_STOPPING = 7
};

struct message_header {
        uint32_t magic; /* MESSAGE_MAGIC | version */
        uint16_t type, flags;
        uint32_t serial; /* the client's; the answer repeats it */
        uint32_t length; /* of the fields */
};

/* A message that is being written. `room` is what `data` has place for, at most MESSAGE_LIMIT. */
struct message_out {
        unsigned char *data;
        size_t room, length;
        bool full; /* a field did not fit: message_end() fails */
};

void message_begin(struct message_out *m, void *data, size_t room, enum message_type type, unsigned flags,
                   uint32_t serial);
void message_bytes(struct message_out *m, enum message_tag tag, const void *bytes, size_t length);
void message_number(struct message_out *m, enum message_tag tag, uint64_t number);
void message_text(struct message_out *m, enum message_tag tag, const char *text); /* NULL: nothing is added */
/* Returns the length of the whole, or -EMSGSIZE. */
int message_end(struct message_out *m);

/* A message that was received. Points into the bytes that it was read from. */
struct message {
        struct message_header header;
        const unsigned char *fields;
        size_t length;
};

/* Looks at all of it. -EBADMSG: it is malformed; -EPROTO: of another version (header.magic tells which). */
int message_parse(struct message *m, const void *data, size_t size);
unsigned message_version(const struct message *m);

/* The next field after *offset (0 at first). False at the end. */
bool message_next(const struct message *m, size_t *offset, unsigned *tag, const unsigned char **bytes, size_t *length);

/* The first field of that tag. False when there is none, or it is not of that form. */
bool message_get_number(const struct message *m, enum message_tag tag, uint64_t *number);
/* Fresh memory; NULL when there is none, it holds a NUL, or it is longer than `limit` bytes. */
char *message_get_text(const struct message *m, enum message_tag tag, size_t limit);

/* An error as an answer to `serial`, and back. message_error() returns a negative errno. */
int message_end_error(struct message_out *m, uint32_t serial, const struct error *err);
int message_error(const struct message *m, struct error *err);
