// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The warden: the one process outside that a started environment has.
 *
 *      paddock start web ->  warden (a session of its own, parent of init)
 *                              '- init (pid 1 inside; its namespaces hold the view)
 *                                   '- programs, all in one inner set of namespaces ("the floor", host/linux/floor.h)
 *
 * It owns init, the control socket, the log of what runs in the background, and the grants. It opens nothing outside:
 * clients send descriptors. After its set-up it gives up what it does not need (host_isolate()): it can execute
 * nothing, and of the file system it has the environment's directory alone. It waits for nobody: what takes time is
 * answered when it is done.
 *
 * Everything is one loop in one process without threads. The parts of the room: control.c (connections), sessions.c
 * (what runs), log.c, grants.c (rights).
 */
#pragma once

#include "base/error.h"
#include "warden/protocol.h"

struct warden;

/* Who waits for an answer. Plain values: if the connection ends meanwhile, the answer goes nowhere. */
struct asker {
        uint32_t connection, serial;
};

/* Answers. warden_answer() begins a message in the warden's own buffer; fields are added; warden_send() sends it. */
struct message_out *warden_answer(struct warden *w, struct asker asker, enum message_type type, unsigned flags);
void warden_send(struct warden *w, struct asker asker, struct message_out *m);
void warden_send_error(struct warden *w, struct asker asker, const struct error *err);
/* The same with TAG_NEED: the client is to start that server first. */
void warden_send_need(struct warden *w, struct asker asker, enum grant_kind kind);

/* To everyone who sent LISTEN: begin with warden_event(), send with warden_tell(). */
struct message_out *warden_event(struct warden *w, enum message_type type);
void warden_tell(struct warden *w, struct message_out *m);

/* The environment's directory, and its name. */
int warden_directory(const struct warden *w);
const char *warden_name(const struct warden *w);

/*
 * Orders to init. Each is carried out by a process of its own in the namespaces of the view, so that nothing that hangs
 * keeps others waiting; `done` is called later with the result, unless init ends first: then the warden ends as well.
 * `result` is 0 or a negative errno with `err` set.
 *
 * A mount that was made has a `handle`, by which it is taken away whatever was renamed meanwhile.
 */
struct outcome_of_order {
        int result;
        int handle;    /* of the mount */
        int fd;        /* the descriptor that came back, or -1; who wants it sets it to -1 */
        const struct error *err;
};
typedef void order_done(void *context, struct outcome_of_order *outcome);

/* Mounts FUSE on `inside` (a directory, or a file if `is_file`) with allow_other, default_permissions, nosuid, nodev,
 * and what `mode` and `flags` (GRANT_NOEXEC) say. `fd` that comes back is the device. EOPNOTSUPP: there is no
 * /dev/fuse. */
void warden_mount_fuse(struct warden *w, const char *inside, bool is_file, enum grant_mode mode, unsigned flags,
                       order_done *done, void *context);
/* The same for a placeholder that asks: without default_permissions. */
void warden_mount_placeholder(struct warden *w, const char *inside, bool is_file, order_done *done, void *context);
/* Attaches the detached mount `tree` on `inside`. `tree` stays the caller's. */
void warden_attach(struct warden *w, const char *inside, bool is_file, int tree, order_done *done, void *context);
/* Carries out a change of the view's rules, which the sealed memory file `change` holds (plan/change.h): see views.c.
 * `change` stays the caller's. */
void warden_change_view(struct warden *w, int change, unsigned covered, bool back, order_done *done, void *context);
/* Has the kernel ask the server of a mounted file what it is: to be done once the server has it. */
void warden_look(struct warden *w, int handle, order_done *done, void *context);
/* What the processes have of memory: the outcome's handle is in KiB. */
void warden_measure(struct warden *w, order_done *done, void *context);
/* Opens the network of the programs inside (no descriptor comes back: they have that of outside), or their root
 * directory. */
void warden_reach(struct warden *w, bool root, order_done *done, void *context);
/* Takes the mount away, lazily. A mount point that was made for it stays, empty. */
void warden_detach(struct warden *w, int handle, order_done *done, void *context);
