// SPDX-License-Identifier: GPL-3.0-or-later
/* Calls that are trapped: see trap.h, and servers/supervisor/supervisor.h for what becomes of them. */
#include "host/linux/trap.h"

#include "base/cleanup.h"
#include "host/linux/abi.h"
#include "host/linux/kernel.h"
#include "host/linux/pass.h"
#include "host/linux/server.h"
#include "host/living.h"
#include "model/served.h"
#include "servers/supervisor/admin.h"
#include "servers/supervisor/word.h"

#include <arpa/inet.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define LANDLOCK_CONNECT_TCP (1ULL << 1) /* LANDLOCK_ACCESS_NET_CONNECT_TCP, ABI 4 (Linux 6.7) */
#define FASTOPEN 0x20000000u             /* MSG_FASTOPEN */
#define RESOLVERS 3                      /* as many as resolv.conf(5) names */
#define PORT_NAMES 53

#define SUPERVISOR "paddock-supervisor"
#define POLICY "paddock-sockets-policy"

union trap_address {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
};

static char **arguments(const struct launch *launch, char *path, char *policy)
{
        const struct served *served = launch->sockets;
        char **argv = NULL;
        size_t count = 0, capacity = 0;
        *vector_add(argv, count, capacity) = path;
        if (served->resolver) {
                *vector_add(argv, count, capacity) = (char *)"--resolver";
                *vector_add(argv, count, capacity) = served->resolver;
        }
        if (launch->name) {
                *vector_add(argv, count, capacity) = (char *)"--environment";
                *vector_add(argv, count, capacity) = (char *)launch->name;
        }
        *vector_add(argv, count, capacity) = (char *)"--";
        for (size_t i = 0; served->server && served->server[i]; i++)
                *vector_add(argv, count, capacity) = i || !policy ? served->server[i] : policy;
        if (!served->server) {
                *vector_add(argv, count, capacity) = policy;
                for (size_t i = 0; i < served->allow_count; i++) {
                        *vector_add(argv, count, capacity) = (char *)"--allow";
                        *vector_add(argv, count, capacity) = served->allow[i];
                }
        }
        *vector_add(argv, count, capacity) = NULL;
        return argv;
}

/* Rules are the server's to understand. It says what it does not, before anything is started. */
static int check_rules(char **argv, struct error *err)
{
        size_t from = 0;
        while (strcmp(argv[from], "--") != 0)
                from++;
        argv[from] = argv[from + 1];
        argv[from + 1] = (char *)"--check";
        pid_t pid = fork();
        if (pid == 0) {
                execv(argv[from], argv + from);
                _exit(127);
        }
        int status = -1;
        while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        argv[from + 1] = argv[from];
        argv[from] = (char *)"--";
        return status == 0 ? 0 : error_set(err, EINVAL, "its rules for connections are not understood");
}

int trap_start(const struct launch *launch, struct error *err)
{
        const struct served *served = launch->sockets;
        cleanup_free char *path = server_path(SUPERVISOR);
        /* A server in the box is called by its name, wherever it was installed. */
        const char *own = !served->server ? POLICY : strncmp(served->server[0], "paddock-", 8) == 0 ? served->server[0] : NULL;
        cleanup_free char *server = own ? server_path(own) : NULL;
        if (!path || (!served->server && !server)) {
                error_set(err, ENOENT, "cannot find %s, which belongs into libexec beside paddock-verbs",
                          path ? POLICY : SUPERVISOR);
                return error_remedy(err, "install paddock again (make install), or build it (make)");
        }
        int sockets[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
                return error_sys(err, errno, "cannot make a socket pair");
        cleanup_close int ours = sockets[0], theirs = sockets[1], admin = -1;
        if (launch->keep && launch->state >= 0) {
                admin = host_listen(launch->state, ADMIN_SOCKET, err);
                if (admin < 0)
                        return admin;
                int result = pass_send(ours, (char[]){SUPERVISOR_ADMIN}, 1, admin);
                if (result < 0)
                        return error_sys(err, -result, "cannot speak to the supervisor of calls");
        }
        cleanup_free char **argv = arguments(launch, path, server);
        if (!served->server && check_rules(argv, err) < 0)
                return -err->code;
        pid_t pid = fork();
        if (pid == 0) {
                if (fork() == 0) /* nobody waits for it: it ends with the environment */
                        server_become(argv, theirs);
                _exit(0);
        }
        if (pid < 0)
                return error_sys(err, errno, "cannot make a process");
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
        return steal_fd(&ours);
}

/* The resolvers that resolv.conf inside names, and the one that is asked when it names none. */
static size_t read_resolvers(union trap_address found[RESOLVERS])
{
        char line[512], word[128];
        size_t count = 0;
        cleanup_file FILE *file = fopen("/etc/resolv.conf", "re");
        while (file && count < RESOLVERS && fgets(line, sizeof line, file)) {
                if (sscanf(line, " nameserver %127s", word) != 1)
                        continue;
                union trap_address *a = &found[count];
                *a = (union trap_address){0};
                if (inet_pton(AF_INET, word, &a->four.sin_addr) == 1)
                        a->any.sa_family = AF_INET;
                else if (inet_pton(AF_INET6, word, &a->six.sin6_addr) == 1)
                        a->any.sa_family = AF_INET6;
                else
                        continue;
                count++;
        }
        if (!count) {
                found[0] = (union trap_address){.four = {.sin_family = AF_INET}};
                found[0].four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
                count = 1;
        }
        return count;
}

/* Makes the address one of the loopback's. One that is there already, as 127.0.0.53, needs nothing. */
static void add_address(const union trap_address *a, unsigned number)
{
        if (a->any.sa_family == AF_INET) {
                cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
                struct ifreq request = {0};
                snprintf(request.ifr_name, sizeof request.ifr_name, "lo:%u", number + 1);
                if (ntohl(a->four.sin_addr.s_addr) >> 24 == 127)
                        return;
                struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = a->four.sin_addr};
                memcpy(&request.ifr_addr, &address, sizeof address);
                ioctl(fd, SIOCSIFADDR, &request);
                address.sin_addr.s_addr = ~0U;
                memcpy(&request.ifr_netmask, &address, sizeof address);
                ioctl(fd, SIOCSIFNETMASK, &request);
                return;
        }
        cleanup_close int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct {
                struct in6_addr address;
                uint32_t length;
                int index;
        } request = {.address = a->six.sin6_addr, .length = 128, .index = 1 /* loopback, in every network */};
        ioctl(fd, SIOCSIFADDR, &request);
}

int trap_network(const struct birth *birth, struct error *err)
{
        union trap_address addresses[RESOLVERS];
        size_t count = read_resolvers(addresses);
        bool any = false;
        for (size_t i = 0; i < count; i++) {
                union trap_address *a = &addresses[i];
                socklen_t size = a->any.sa_family == AF_INET ? sizeof a->four : sizeof a->six;
                add_address(a, (unsigned)i);
                if (a->any.sa_family == AF_INET)
                        a->four.sin_port = htons(PORT_NAMES);
                else
                        a->six.sin6_port = htons(PORT_NAMES);
                for (int k = 0; k < 2; k++) {
                        cleanup_close int fd = socket(a->any.sa_family, (k ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
                        if (fd < 0 || bind(fd, &a->any, size) < 0 || (k && listen(fd, 16) < 0))
                                continue; /* IPv6 may be off, two names may be one address */
                        int result = pass_send(birth->traps, (char[]){SUPERVISOR_RESOLVER}, 1, fd);
                        if (result < 0)
                                return error_sys(err, -result, "the supervisor of calls (" SUPERVISOR ") ended");
                        any = true;
                }
        }
        if (!any)
                return error_sys(err, errno, "cannot answer for names inside (port %d of the loopback)", PORT_NAMES);
        return 0;
}

/* What no call that is made natively may do to a socket of the outer network: see supervisor.h. The numbers of the
 * second ABI are those of the kernel's tables; its calls that reach others are refused, as if this kernel had
 * none. */
static int make_filter(void)
{
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, what)
#define IS(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define UNKNOWN (SECCOMP_RET_ERRNO | ENOSYS)
        struct sock_filter filter[] = {
                LOAD(arch),
                IS(ABI_NATIVE, 10, 0),
                IS(ABI_SECOND, 0, 8),
                LOAD(nr),
                IS(ABI_SECOND_SOCKETCALL, 6, 0),
                IS(ABI_SECOND_CONNECT, 5, 0),
                IS(ABI_SECOND_LISTEN, 4, 0),
                IS(ABI_SECOND_SENDTO, 3, 0),
                IS(ABI_SECOND_SENDMSG, 2, 0),
                IS(SYS_io_uring_setup, 1, 0), /* the same number everywhere */
                IS(ABI_SECOND_SENDMMSG, 0, 23),
                RETURN(UNKNOWN),
                /* 12: native */
                LOAD(nr),
                BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, ABI_FOREIGN, 0, 1), /* x32 */
                RETURN(UNKNOWN),
                IS(SYS_connect, 15, 0),
                IS(SYS_listen, 14, 0),
                IS(SYS_io_uring_setup, 14, 0),
                IS(SYS_sendto, 3, 0),
                IS(SYS_sendmmsg, 2, 0),
                IS(SYS_sendmsg, 3, 0),
                IS(SYS_socket, 4, 12),
                /* 22: flags are the fourth argument */
                LOAD(args[3]),
                BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, FASTOPEN, 9, 10),
                LOAD(args[2]),
                BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, FASTOPEN, 7, 8),
                /* 26: families that are no matter of a network namespace are not there */
                LOAD(args[0]),
                IS(AF_UNIX, 6, 0),
                IS(AF_INET, 5, 0),
                IS(AF_INET6, 4, 0),
                IS(AF_NETLINK, 3, 4),
                /* 31 */
                RETURN(SECCOMP_RET_USER_NOTIF),
                RETURN(UNKNOWN),
                RETURN(SECCOMP_RET_ERRNO | EOPNOTSUPP),
                RETURN(SECCOMP_RET_ALLOW),
                RETURN(SECCOMP_RET_ERRNO | EAFNOSUPPORT),
        };
        struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
        return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

/* No program connects a TCP socket itself, whatever it does to the arguments of a call: where Landlock can see to
 * that. */
static bool guard(void)
{
        if (syscall(SYS_landlock_create_ruleset, NULL, 0, KERNEL_LANDLOCK_CREATE_VERSION) < 4)
                return false;
        struct kernel_landlock_ruleset rules = {.handled_access_net = LANDLOCK_CONNECT_TCP};
        cleanup_close int fd = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0);
        return fd >= 0 && syscall(SYS_landlock_restrict_self, fd, 0) == 0;
}

int trap_calls(const struct birth *birth, struct error *err)
{
        bool guarded = guard();
        cleanup_close int listener = make_filter();
        if (listener < 0 && errno == EBUSY) {
                error_set(err, EBUSY, "the sockets of the environment that this one would lie in are served already, and a "
                                      "program's calls can go to one supervisor alone");
                return error_remedy(err, "start it outside, or without rules for connections");
        }
        if (listener < 0)
                return error_sys(err, errno, "cannot have calls trapped (seccomp)");
        int result = pass_send(birth->traps, (char[]){SUPERVISOR_LISTENER, guarded}, 2, listener);
        return result < 0 ? error_sys(err, -result, "the supervisor of calls (" SUPERVISOR ") ended") : 0;
}
