// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * An environment that lives without a program of its own: what the warden asks of a host. host/linux answers it here.
 *
 * The warden speaks with the environment's first process (init) over a socket: orders one way, news the other. Neither
 * waits for the other.
 */
#pragma once

#include "host/host.h"

#include <stdint.h>
#include <sys/types.h>

/* Made by a child of the warden-to-be, whose own child init becomes. `launch->keep` is set. Calls launch->ready when
 * programs can be started. The socket is to be passed to the warden. */
struct living {
        int socket, init;
};
int host_start(const struct launch *launch, struct living *living, struct error *err);

enum order_type {
        ORDER_ENTER = 1, /* descriptors: session, payload, streams; value: TAG_TERMINAL; flags: TAG_STREAMS */
        ORDER_SPAWN = 2, /* descriptors: payload, log: standard output and error; it has no terminal and no input */
        ORDER_SIGNAL = 3, /* value: the signal, for every process inside */
        ORDER_STOP = 4, /* every process is asked to end; init ends when none is left */
        ORDER_MOUNT = 5, /* path, flags: FUSE on it. Back come the device and a handle */
        ORDER_ATTACH = 6, /* path, flags; descriptor: the detached mount. Back comes a handle */
        ORDER_DETACH = 7, /* value: the handle */
        ORDER_VIEW = 8, /* descriptor: a change of the view (plan/wire.c); value: how many earlier ones lie on its top.
                         * ORDER_BACK: it leads back to before the last of them */
        ORDER_LOOK = 9, /* value: the handle of a FUSE mount: its server is asked for what it is mounted on */
        ORDER_MEASURE = 17, /* back comes what the processes have of memory, in KiB, as the handle */
        ORDER_REACH = 10, /* value: 0 for the network of the programs inside, 1 for their root directory. It comes back;
                           * no network does when they have that of outside */
        ORDER_BOOT = 16, /* descriptor: payload: it becomes the environment's own init. Back comes its console */
};
enum order_flags {
        ORDER_FILE = 1,
        ORDER_READ_ONLY = 2,
        ORDER_NOEXEC = 4,
        ORDER_BACK = 8,
        ORDER_ASKS = 16 /* the server is asked for each access */
};
#define ORDER_PATH 4096

struct order {
        uint32_t type, id; /* the id comes back with what becomes of it */
        int32_t value;
        uint32_t flags;
        char path[ORDER_PATH]; /* sent as long as it is */
};
#define ORDER_INIT(type_, id_, value_, flags_)                                                                         \
        ((struct order){.type = (type_), .id = (id_), .value = (value_), .flags = (flags_)})

/* 0, -EAGAIN when the socket is full, or another negative errno. */
int host_order(int socket, const struct order *order, const int *fds, size_t count);

enum news_type {
        NEWS_STARTED = 1, /* ENTER, SPAWN; value: pid inside */
        NEWS_ENDED = 2,   /* the same; value: as waitpid() has it */
        NEWS_CONSOLE = 4, /* BOOT; the descriptor of its console's other side */
        NEWS_DONE = 3,    /* MOUNT, ATTACH, DETACH, VIEW, MEASURE; code, value: the handle; the device */
};
/* How a subhurd ended: the exit status in NEWS_ENDED. Others: its init could not be executed. */
enum {
        BOOT_HALTED = 0,
        BOOT_AGAIN = 133 /* it is to be started again */,
        BOOT_LOST = 134 /* its init ended, which none should */
};

struct news {
        uint32_t type, id;
        int32_t code, value; /* code: 0 or a positive errno, with text and remedy */
        char text[512], remedy[512];
};

/* 1; 0: init has ended; -EAGAIN: there is none. `fd` is what came along, or -1. */
int host_news(int socket, struct news *news, int *fd);

/* What becomes of a program that is to run: from the paddock outside that the user started. */
struct entering {
        int session, payload; /* to be sent with ENTER */
        int streams[3];
        size_t stream_count;
        unsigned stream_bits, terminal_bits;
        void *own; /* of the host */
};
/* Takes the standard descriptors, the terminal, working directory and variables of this process. `user` may be NULL. */
int host_enter_prepare(struct entering *e, char **argv, const char *user, struct error *err);
/* After the environment has them: passes on signals and the terminal until the program ends. */
int host_enter_watch(struct entering *e, struct outcome *outcome, struct error *err);
/* It came to nothing. */
void host_enter_forget(struct entering *e);

/* What is to run in the background, for ORDER_SPAWN, with the variables and the working directory of this process. A
 * descriptor. */
int host_payload(char **argv, struct error *err);

/* The control socket. `directory` is the environment's. */
int host_listen(int directory, const char *name, struct error *err);
int host_accept(int listening);                        /* a connection that never waits, or a negative errno */
int host_connect(int directory, const char *name);     /* a connection, or a negative errno */
int host_own_namespace(void); /* a descriptor that proves where one lives, or a negative errno */
/* Is whoever connected one of the owner's processes, outside, and does `proof` prove it? */
bool host_is_outside(int connection, int proof);

/* What is to be an environment's own init, for ORDER_BOOT, with the variables that an init is given. A descriptor. */
int host_boot_payload(char **argv, struct error *err);

/* send() without waiting and without SIGPIPE: bytes sent, or a negative errno. */
ssize_t host_send_plain(int socket, const void *data, size_t size);

/* A terminal's size. */
void host_terminal_size(int terminal, unsigned rows, unsigned columns);

/* Messages with descriptors: see pass.h for the contract. */
#define HOST_DESCRIPTORS 8
int host_send(int socket, const void *data, size_t size, const int *fds, size_t count);
int host_receive(int socket, void *data, size_t size, int fds[HOST_DESCRIPTORS], size_t *count);

/* poll(), for a process that may wait long and shall then cost little. */
struct pollfd;
int host_wait(struct pollfd *fds, size_t count, int timeout);

/* Milliseconds since boot, sleep included. */
int64_t host_clock(void);

/* Leaves whoever started this process: a session of its own, at "/", its standard input and output led to nowhere
 * (errors still go where they went), all other descriptors closed but *kept and *also (-1: none), which get new
 * numbers. 0 or a negative errno. */
int host_leave(int *kept, int *also);

/* Gives up what the warden does not need, in stages: see isolate.c. `kept` is the directory that it may go on writing
 * in. */
int host_isolate(int kept, struct error *err);
