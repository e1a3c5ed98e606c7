// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Stands for the warden and the init of an environment: starts the server, mounts in namespaces of its own, and says to
 * the server what it is told on standard input, a line a command:
 *
 *      add ID FLAGS SOURCE            mounts /mnt/ID; FLAGS: words of flags_of(), and uid=N gid=N mode=N, with commas
 *      place ID FLAGS SOURCE          the same in the place of the placeholder ID - 1000, at /mnt/(ID-1000)
 *      set ID FLAGS | revoke ID | umount ID | answer ID SERIAL yes|no
 *      raw HEX                        one message of those bytes; waits for no answer
 *      many N SOURCE                  adds 100000 .. 100000+N-1, all of them; tells microseconds for each
 *      none N                         revokes them
 *      end                            closes the control socket, and waits for the end of the server
 *
 * Each is answered by a line on standard output. Events are appended to the file EVENTS. Usage: grants PIDS EVENTS
 * SERVER
 */
#include "../control.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define UNUSED_RANGE 1879048192U /* for root */
#define FIRST_OF_MANY 100000UL

static FILE *events;
static int control, helper;

static _Noreturn void die(const char *what, ...)
{
        int code = errno;
        va_list arguments;
        va_start(arguments, what);
        fprintf(stderr, "grants: ");
        vfprintf(stderr, what, arguments);
        fprintf(stderr, ": %s\n", strerror(code));
        va_end(arguments);
        exit(99);
}

static long long now_us(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

/* --- descriptors over sockets --- */

static bool send_with(int socket, const void *data, size_t size, const int *fds, size_t count)
{
        struct iovec part = {(void *)data, size};
        union {
                struct cmsghdr header;
                char room[CMSG_SPACE(2 * sizeof(int))];
        } ancillary = {0};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
        if (count) {
                message.msg_control = &ancillary;
                message.msg_controllen = CMSG_SPACE(count * sizeof(int));
                struct cmsghdr *header = CMSG_FIRSTHDR(&message);
                *header = (struct cmsghdr){.cmsg_len = CMSG_LEN(count * sizeof(int)), .cmsg_level = SOL_SOCKET,
                                           .cmsg_type = SCM_RIGHTS};
                memcpy(CMSG_DATA(header), fds, count * sizeof(int));
        }
        return sendmsg(socket, &message, MSG_NOSIGNAL) >= 0;
}

static int receive_fd(int socket, int *code)
{
        struct iovec part = {code, sizeof *code};
        union {
                struct cmsghdr header;
                char room[CMSG_SPACE(sizeof(int))];
        } ancillary = {0};
        struct msghdr message = {
                .msg_iov = &part, .msg_iovlen = 1, .msg_control = &ancillary, .msg_controllen = sizeof ancillary};
        int fd = -1;
        if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) <= 0)
                die("the helper inside is gone");
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        if (header)
                memcpy(&fd, CMSG_DATA(header), sizeof fd);
        return fd;
}

/* --- inside --- */

struct order {
        char what; /* m: mount, u: umount */
        unsigned long place;
        uint32_t flags;
};

static int mount_one(const struct order *o, int *device)
{
        char place[64], options[200];
        snprintf(place, sizeof place, "/mnt/%lu", o->place);
        if (o->flags & GRANT_FILE) {
                int fd = open(place, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
                if (fd >= 0)
                        close(fd);
        } else {
                mkdir(place, 0755);
        }
        *device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
        if (*device < 0)
                return errno;
        snprintf(options, sizeof options, "fd=%d,rootmode=%o,user_id=0,group_id=0,allow_other%s", *device,
                 o->flags & GRANT_FILE ? S_IFREG : S_IFDIR, o->flags & GRANT_ASK ? "" : ",default_permissions");
        unsigned long flags = MS_NOSUID | MS_NODEV |
                              (o->flags & (GRANT_RW | GRANT_ASK) || getenv("GRANTS_MOUNT_RW") ? 0 : MS_RDONLY) |
                              (o->flags & GRANT_NOEXEC ? MS_NOEXEC : 0);
        return mount("grant", place, "fuse", flags, options) < 0 ? errno : 0;
}

static _Noreturn void inside(int socket)
{
        struct order o;
        if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
                die("becoming root");
        (void)!setgroups(0, NULL);
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount("test", "/mnt", "tmpfs", 0, NULL) < 0)
                die("/mnt");
        prctl(PR_SET_DUMPABLE, 1);
        int ready = 0;
        send_with(socket, &ready, sizeof ready, NULL, 0);
        while (recv(socket, &o, sizeof o, 0) == sizeof o) {
                int device = -1, code;
                char place[64];
                snprintf(place, sizeof place, "/mnt/%lu", o.place);
                code = o.what == 'm' ? mount_one(&o, &device) : umount2(place, MNT_DETACH) < 0 ? errno : 0;
                send_with(socket, &code, sizeof code, &device, code == 0 && device >= 0);
                if (device >= 0)
                        close(device);
        }
        _exit(0);
}

static unsigned range_of_user(const char *file)
{
        char line[512];
        const struct passwd *user = getpwuid(getuid());
        FILE *f = fopen(file, "re");
        unsigned first = 0;
        while (f && user && !first && fgets(line, sizeof line, f)) {
                char *rest = line, *name = strsep(&rest, ":");
                unsigned from, count;
                if (strcmp(name, user->pw_name) == 0 && rest && sscanf(rest, "%u:%u", &from, &count) == 2 &&
                    count >= 65535)
                        first = from;
        }
        if (f)
                fclose(f);
        return first;
}

static void write_file(const char *text, const char *format, int pid)
{
        char path[64];
        snprintf(path, sizeof path, format, pid);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, text, strlen(text)) < 0)
                die("%s", path);
        close(fd);
}

static void map_ids(pid_t child)
{
        char text[300];
        unsigned uids = range_of_user("/etc/subuid"), gids = range_of_user("/etc/subgid");
        if (getuid() == 0 && !getenv("GRANTS_ONE_ID")) {
                snprintf(text, sizeof text, "0 0 1\n1 %u 65535\n", UNUSED_RANGE);
                write_file(text, "/proc/%d/uid_map", child);
                write_file(text, "/proc/%d/gid_map", child);
        } else if (uids && gids && !getenv("GRANTS_ONE_ID")) {
                snprintf(text, sizeof text, "newuidmap %d 0 %u 1 1 %u 65535 && newgidmap %d 0 %u 1 1 %u 65535", child,
                         getuid(), uids, child, getgid(), gids);
                if (system(text) != 0)
                        die("newuidmap");
        } else {
                write_file("deny", "/proc/%d/setgroups", child);
                snprintf(text, sizeof text, "0 %u 1\n", getuid());
                write_file(text, "/proc/%d/uid_map", child);
                snprintf(text, sizeof text, "0 %u 1\n", getgid());
                write_file(text, "/proc/%d/gid_map", child);
        }
}

/* --- words with the server --- */

static void note(const struct grant_message *m)
{
        unsigned long id = (unsigned long)m->id;
        switch (m->type) {
        case GRANT_USED:
                fprintf(events, "used %lu pid=%u uid=%u writes=%u\n", id, m->used.pid, m->used.uid, m->used.writes);
                break;
        case GRANT_QUESTION:
                fprintf(events, "question %lu %llu pid=%u what=%u name=%s\n", id,
                        (unsigned long long)m->question.serial, m->question.pid, m->question.what, m->question.name);
                break;
        case GRANT_WITHDRAWN:
                fprintf(events, "withdrawn %lu %llu\n", id, (unsigned long long)m->question.serial);
                break;
        case GRANT_GONE:
                fprintf(events, "gone %lu\n", id);
                break;
        case GRANT_REFUSED:
                fprintf(events, "refused %lu %s\n", id, strerror(-m->status));
                break;
        default:
                fprintf(events, "unexpected %u\n", m->type);
        }
        fflush(events);
}

/* The next message; false when there was none in time, or the server is gone. */
static bool next(struct grant_message *m, int ms)
{
        struct pollfd fd = {.fd = control, .events = POLLIN};
        if (poll(&fd, 1, ms) <= 0)
                return false;
        return recv(control, m, sizeof *m, 0) == sizeof *m && m->word == GRANT_WORD;
}

static bool answer_to(unsigned long id, unsigned type, struct grant_message *m)
{
        while (next(m, 20000)) {
                if (m->id == id && m->type == type)
                        return true;
                note(m);
        }
        return false;
}

static struct grant_add flags_of(char *text)
{
        static const struct {
                const char *word;
                uint32_t flag;
        } words[] = {{"rw", GRANT_RW}, {"file", GRANT_FILE}, {"noexec", GRANT_NOEXEC}, {"ask", GRANT_ASK},
                     {"mapped", GRANT_MAPPED}, {"group", GRANT_GROUP}};
        struct grant_add add = {.mode = 0755};
        for (char *word; (word = strsep(&text, ","));) {
                if (sscanf(word, "uid=%u", &add.uid) == 1 || sscanf(word, "gid=%u", &add.gid) == 1 ||
                    sscanf(word, "mode=%o", &add.mode) == 1)
                        continue;
                for (size_t i = 0; i < sizeof words / sizeof *words; i++)
                        if (strcmp(word, words[i].word) == 0)
                                add.flags |= words[i].flag;
        }
        add.uids[0] = (struct grant_range){0, getuid(), 1};
        add.gids[0] = (struct grant_range){0, getgid(), 1};
        return add;
}

static int order(char what, unsigned long place, uint32_t flags, int *device)
{
        struct order o = {what, place, flags};
        int code;
        if (!send_with(helper, &o, sizeof o, NULL, 0))
                die("helper");
        *device = receive_fd(helper, &code);
        return code;
}

static int add(unsigned long id, unsigned long place, const struct grant_add *how, const char *source)
{
        struct grant_message m = {.word = GRANT_WORD, .type = GRANT_ADD, .id = id, .add = *how};
        int fds[2] = {-1, open(source, O_PATH | O_CLOEXEC)};
        int code = order('m', place, how->flags, &fds[0]);
        if (code)
                return -code;
        send_with(control, &m, sizeof m, fds, fds[1] < 0 ? 1 : 2);
        close(fds[0]);
        if (fds[1] >= 0)
                close(fds[1]);
        return answer_to(id, GRANT_ADDED, &m) ? m.status : -EPIPE;
}

static bool take_back(unsigned long id, struct grant_message *m)
{
        struct grant_message revoke = {.word = GRANT_WORD, .type = GRANT_REVOKE, .id = id};
        send_with(control, &revoke, sizeof revoke, NULL, 0);
        return answer_to(id, GRANT_DONE, m);
}

static const char *told(int status)
{
        return status ? strerror(-status) : "ok";
}

static void obey(char *line)
{
        char a[4096] = "", b[4096] = "", c[4096] = "";
        unsigned long id;
        struct grant_message m;
        int none;
        long long start = now_us();
        if (sscanf(line, "add %lu %4095s %4095[^\n]", &id, a, b) >= 2) {
                struct grant_add how = flags_of(a);
                printf("%s\n", told(add(id, id, &how, b)));
        } else if (sscanf(line, "place %lu %4095s %4095[^\n]", &id, a, b) == 3) {
                struct grant_add how = flags_of(a);
                int code = order('u', id - 1000, 0, &none);
                printf("%s\n", told(code ? -code : add(id, id - 1000, &how, b)));
        } else if (sscanf(line, "set %lu %4095s", &id, a) == 2) {
                m = (struct grant_message){.word = GRANT_WORD, .type = GRANT_SET, .id = id, .add = flags_of(a)};
                send_with(control, &m, sizeof m, NULL, 0);
                printf("%s\n", answer_to(id, GRANT_CHANGED, &m) ? told(m.status) : "no answer");
        } else if (sscanf(line, "revoke %lu", &id) == 1) {
                if (take_back(id, &m))
                        printf("done lost=%llu stuck=%u files=%u us=%lld\n", (unsigned long long)m.done.lost,
                               m.done.stuck, m.done.files, now_us() - start);
                else
                        printf("no answer\n");
        } else if (sscanf(line, "umount %lu", &id) == 1) {
                printf("%s\n", told(-order('u', id, 0, &none)));
        } else if (sscanf(line, "answer %lu %4095s %4095s", &id, a, c) == 3) {
                m = (struct grant_message){.word = GRANT_WORD, .type = GRANT_ANSWER, .id = id,
                                           .answer = {strtoull(a, NULL, 10), strcmp(c, "yes") == 0}};
                printf("%s\n", send_with(control, &m, sizeof m, NULL, 0) ? "ok" : "no server");
        } else if (sscanf(line, "raw %4095s", a) == 1) {
                unsigned char bytes[2048];
                size_t n = 0;
                for (char *p = a; p[0] && p[1] && n < sizeof bytes; p += 2, n++)
                        sscanf(p, "%2hhx", &bytes[n]);
                printf("%s\n", send_with(control, bytes, n, NULL, 0) ? "ok" : "no server");
        } else if (sscanf(line, "many %lu %4095[^\n]", &id, b) == 2) {
                struct grant_add how = {.flags = GRANT_RW};
                int code = 0;
                for (unsigned long i = 0; i < id && code == 0; i++)
                        code = add(FIRST_OF_MANY + i, FIRST_OF_MANY + i, &how, b);
                printf("%s us=%lld\n", told(code), (now_us() - start) / (long long)id);
        } else if (sscanf(line, "none %lu", &id) == 1) {
                bool good = true;
                for (unsigned long i = 0; i < id && good; i++)
                        good = take_back(FIRST_OF_MANY + i, &m) && order('u', FIRST_OF_MANY + i, 0, &none) == 0;
                printf("%s us=%lld\n", good ? "ok" : "failed", (now_us() - start) / (long long)id);
        } else {
                printf("what?\n");
        }
        fflush(stdout);
}

static pid_t start_server(const char *program, int end)
{
        pid_t server = fork();
        if (server != 0)
                return server;
        if (end == GRANT_CONTROL)
                fcntl(end, F_SETFD, 0);
        else
                dup2(end, GRANT_CONTROL);
        int nothing = open("/dev/null", O_RDWR);
        dup2(nothing, STDIN_FILENO);
        dup2(nothing, STDOUT_FILENO);
        execl(program, program, NULL);
        die("%s", program);
}

int main(int argc, char **argv)
{
        int ends[2], helper_ends[2], go[2], code;
        char byte, line[8192];
        if (argc != 4) {
                fprintf(stderr, "usage: grants PIDS EVENTS SERVER\n");
                return 99;
        }
        if (!(events = fopen(argv[2], "ae")) || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0 ||
            socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, helper_ends) < 0 || pipe2(go, O_CLOEXEC) < 0)
                die("%s", argv[2]);
        pid_t server = start_server(argv[3], ends[0]);
        close(ends[0]);
        control = ends[1];
        pid_t child = fork();
        if (child == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
                        die("unshare");
                prctl(PR_SET_DUMPABLE, 1);
                close(go[1]);
                close(control);
                close(helper_ends[0]);
                int ready = 0;
                send_with(helper_ends[1], &ready, sizeof ready, NULL, 0);
                if (read(go[0], &byte, 1) != 1)
                        die("cannot map ids");
                inside(helper_ends[1]);
        }
        close(helper_ends[1]);
        helper = helper_ends[0];
        receive_fd(helper, &code);
        map_ids(child);
        if (write(go[1], "x", 1) != 1)
                die("pipe");
        receive_fd(helper, &code);
        snprintf(line, sizeof line, "%s.new", argv[1]);
        FILE *f = fopen(line, "we");
        if (!f || fprintf(f, "%d %d\n", child, server) < 0 || fclose(f) != 0 || rename(line, argv[1]) < 0)
                die("%s", argv[1]);
        struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = control, .events = POLLIN}};
        setvbuf(stdin, NULL, _IONBF, 0);
        while (poll(fds, 2, -1) > 0 || errno == EINTR) {
                struct grant_message m;
                if (fds[1].revents) {
                        if (next(&m, 0))
                                note(&m);
                        else
                                fds[1].fd = -1; /* the server is gone: tests look at what remains */
                }
                if (fds[0].revents && !fgets(line, sizeof line, stdin))
                        break;
                if (fds[0].revents && strcmp(line, "end\n") == 0)
                        break;
                if (fds[0].revents)
                        obey(line);
        }
        close(control);
        pid_t ended = 0;
        for (int i = 0; i < 500 && (ended = waitpid(server, &code, WNOHANG)) == 0; i++)
                poll(NULL, 0, 10);
        if (ended == 0) {
                fprintf(stderr, "grants: the server outlives its control socket\n");
                kill(server, SIGKILL);
                return 98;
        }
        return WIFSIGNALED(code) ? 128 + WTERMSIG(code) : WEXITSTATUS(code);
}
