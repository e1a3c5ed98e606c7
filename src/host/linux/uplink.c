// SPDX-License-Identifier: GPL-3.0-or-later
/* The uplink, outside: see uplink.h. */
#include "host/linux/uplink.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "host/linux/idle.h"
#include "host/linux/kernel.h"
#include "host/linux/report.h"

#include <arpa/inet.h>
#include <grp.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#define TUN "/dev/net/tun"
#define START_TIME 10000 /* ms that pasta may take */
#define PORT_TIME 500    /* ms in which the last owner of a port may go */
#define RESTARTS 5       /* of a pasta that was killed, within */
#define RESTART_TIME 10  /* seconds */

#define NO_PASTA                                                                                                       \
        "as root, install the package passt (Debian 12, Ubuntu 22.10, Fedora and later have it), or use --net none "   \
        "or --net inherit"

const char *uplink_pasta(void)
{
        static const char *const places[] = {"/usr/bin/pasta", "/usr/local/bin/pasta", "/bin/pasta",
                                             "/run/current-system/sw/bin/pasta", NULL};
        for (const char *const *place = places; *place; place++)
                if (access(*place, X_OK) == 0)
                        return *place;
        return NULL;
}

/* Could `p` be listened on? 0 or a negative errno. */
static int try_port(const struct publish *p)
{
        struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)p->outer)};
        struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)p->outer)};
        bool all = strcmp(p->address, "*") == 0, is_six = strchr(p->address, ':') != NULL;
        if (!all)
                inet_pton(is_six ? AF_INET6 : AF_INET, p->address,
                          is_six ? (void *)&six.sin6_addr : (void *)&four.sin_addr);
        int family = is_six ? AF_INET6 : AF_INET, type = p->udp ? SOCK_DGRAM : SOCK_STREAM;
        cleanup_close int fd = socket(family, type | SOCK_CLOEXEC, 0);
        int yes = 1;
        if (fd < 0)
                return -errno;
        if (!p->udp) /* as pasta does: connections that have ended do not hold the port */
                setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        const struct sockaddr *address = is_six ? (struct sockaddr *)&six : (struct sockaddr *)&four;
        if (bind(fd, address, is_six ? sizeof six : sizeof four) < 0)
                return -errno;
        return !p->udp && listen(fd, 1) < 0 ? -errno : 0;
}

static int check_port(const struct publish *p, struct error *err)
{
        int result = try_port(p);
        for (int waited = 0; result == -EADDRINUSE && waited < PORT_TIME; waited += 20) {
                poll(NULL, 0, 20);
                result = try_port(p);
        }
        if (result == 0)
                return 0;
        const char *kind = p->udp ? "udp" : "tcp";
        const char *where = strcmp(p->address, "*") == 0 ? "this machine" : p->address;
        error_sys(err, -result, "cannot publish %s port %u of %s", kind, p->outer, where);
        if (result == -EADDRINUSE)
                return error_remedy(err,
                                    "another program listens there: choose another port outside, as --publish %u:%u",
                                    p->outer < 55000 ? p->outer + 10000 : p->outer - 10000, p->inner);
        if (result == -EACCES)
                return error_remedy(err, "ordinary users get ports from 1024 on (sysctl "
                                         "net.ipv4.ip_unprivileged_port_start)");
        if (result == -EADDRNOTAVAIL)
                return error_remedy(err, "name an address that this machine has, or '*' for all");
        return result;
}

int uplink_check(struct birth *birth, struct error *err)
{
        const struct launch *launch = birth->launch;
        if (!uplink_pasta()) {
                error_set(err, ENOENT, "cannot find pasta, which carries an uplink");
                return error_remedy(err, NO_PASTA);
        }
        if (access(TUN, R_OK | W_OK) < 0) {
                bool missing = errno == ENOENT;
                error_sys(err, errno, "cannot open " TUN ", which an uplink needs");
                return error_remedy(err, "%s",
                                    missing ? "as root: modprobe tun; in a container or an environment: let it have "
                                              "the device " TUN
                                            : "as root: chmod 666 " TUN " (distributions have it so); `paddock doctor` "
                                              "tells more");
        }
        for (size_t i = 0; i < launch->plan->publish.count; i++) {
                int result = check_port(&launch->plan->publish.items[i], err);
                if (result < 0)
                        return result;
        }
        /* Real root goes on in another, where the stage covers /dev. */
        birth->mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
        return birth->mounts < 0 ? error_sys(err, errno, "cannot open /proc/self/ns/mnt") : 0;
}

/* The words of its command line. */
static char **pasta_words(const struct plan *plan)
{
        static const char *const always[] = {"--quiet", "--config-net", "--netns-only", "--no-map-gw", "-T", "none",
                                             "-U", "none", "--dns-forward", UPLINK_RESOLVER};
        char **argv = NULL;
        size_t count = 0, capacity = 0;
        *vector_add(argv, count, capacity) = (char *)uplink_pasta();
        for (size_t i = 0; i < sizeof always / sizeof *always; i++)
                *vector_add(argv, count, capacity) = (char *)always[i];
        bool any[2] = {false, false};
        for (size_t i = 0; i < plan->publish.count; i++) {
                const struct publish *p = &plan->publish.items[i];
                bool all = strcmp(p->address, "*") == 0;
                any[p->udp] = true;
                *vector_add(argv, count, capacity) = (char *)(p->udp ? "-u" : "-t");
                *vector_add(argv, count, capacity) = memory_format("%s%s%u:%u", all ? "" : p->address, all ? "" : "/",
                                                                   p->outer, p->inner);
        }
        for (int udp = 0; udp < 2; udp++) {
                if (any[udp])
                        continue;
                *vector_add(argv, count, capacity) = (char *)(udp ? "-u" : "-t");
                *vector_add(argv, count, capacity) = (char *)"none";
        }
        *vector_add(argv, count, capacity) = (char *)"--netns";
        *vector_add(argv, count, capacity) = NULL; /* for start_pasta() */
        *vector_add(argv, count, capacity) = NULL;
        return argv;
}

/* What the keeper has. */
struct keeper {
        char **argv; /* of pasta */
        char place[48]; /* its last word */
        int words, init, network, signals;
};

/* In a child of the keeper: stands in the network, so that pasta finds it by a name, and has no power, so that pasta,
 * which has less than init, may look at it. Says what it is called. */
static _Noreturn void hold(int network, int words)
{
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        static const struct __user_cap_data_struct nothing[2];
        char name[16];
        ssize_t n = readlink("/proc/self", name, sizeof name); /* the number that it has outside */
        if (setns(network, CLONE_NEWNET) == 0 && n > 0 && syscall(SYS_capset, &header, nothing) == 0 &&
            prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0)
                (void)!write(words, name, (size_t)n);
        close(words);
        for (;;)
                pause();
}

/* Starts one, and gives pasta its name. */
static pid_t start_holder(struct keeper *k)
{
        int ends[2];
        char name[16] = "";
        if (pipe2(ends, O_CLOEXEC) < 0)
                return -1;
        pid_t pid = kernel_fork(0);
        if (pid == 0)
                hold(k->network, ends[1]);
        close(ends[1]);
        (void)!read(ends[0], name, sizeof name - 1);
        close(ends[0]);
        snprintf(k->place, sizeof k->place, "/proc/%s/ns/net", name);
        size_t last = 0;
        while (k->argv[last] && k->argv[last] != k->place)
                last++;
        k->argv[last] = k->place;
        return pid;
}

/* In a child of the keeper: becomes pasta, which keeps the power over the namespaces that it joins. */
static _Noreturn void become_pasta(char **argv, int errors)
{
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct data[2];
        if (syscall(SYS_capget, &header, data) == 0) {
                data[0].inheritable = data[0].permitted;
                data[1].inheritable = data[1].permitted;
                syscall(SYS_capset, &header, data);
        }
        for (int capability = 0; capability < 64; capability++)
                prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0);
        for (int signal = 1; signal <= 64; signal++) { /* it takes an ignored SIGPIPE for a failure */
                struct sigaction action = {.sa_handler = SIG_DFL};
                sigaction(signal, &action, NULL);
        }
        sigset_t none;
        sigemptyset(&none);
        kernel_signal_mask(SIG_SETMASK, &none, NULL);
        dup2(errors, 2);
        close_range(3, ~0U, 0);
        execv(argv[0], argv);
        dprintf(2, "%s\n", strerror(errno));
        _exit(127);
}

/* What it complained about: its last line that says something. */
static void last_line(char *text)
{
        char *found = NULL;
        for (char *rest = text, *line; (line = strsep(&rest, "\n"));)
                if (*line && !strstr(line, "to syslog"))
                        found = line + strspn(line, "0123456789.: "); /* the time */
        if (found)
                memmove(text, found, strlen(found) + 1);
        else
                text[0] = '\0';
}

/* Starts it, and returns when it works: it goes to the background then. Else `text` says why not. */
static bool start_pasta(struct keeper *k, char *text, size_t size)
{
        int errors[2];
        text[0] = '\0';
        if (pipe2(errors, O_CLOEXEC | O_NONBLOCK) < 0)
                return false;
        pid_t holder = start_holder(k);
        pid_t pid = holder < 0 ? -1 : kernel_fork(0);
        if (pid == 0)
                become_pasta(k->argv, errors[1]);
        close(errors[1]);
        struct timespec pause = {.tv_nsec = 2000000};
        int status = 0;
        pid_t got = 0;
        for (int waited = 0; pid > 0 && waited < START_TIME && (got = waitpid(pid, &status, WNOHANG)) == 0; waited += 2)
                nanosleep(&pause, NULL);
        if (holder > 0 && kill(holder, SIGKILL) == 0)
                waitpid(holder, NULL, 0);
        ssize_t n = read(errors[0], text, size - 1);
        text[n > 0 ? n : 0] = '\0';
        close(errors[0]);
        last_line(text);
        if (got == pid && pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return true;
        if (got == 0 && pid > 0)
                snprintf(text, size, "it does not answer");
        else if (!text[0])
                snprintf(text, size, "it ended without a word");
        return false;
}

/* Ends with the environment's init, and pasta with it. */
static _Noreturn void keep(struct keeper *k)
{
        char text[512];
        bool good = start_pasta(k, text, sizeof text);
        dprintf(k->words, "%c%s", good ? 'y' : 'n', good ? "" : text);
        unsigned restarts = 0;
        time_t since = 0;
        while (good) {
                struct pollfd fds[2] = {{.fd = k->init, .events = POLLIN}, {.fd = k->signals, .events = POLLIN}};
                idle_poll(fds, 2);
                if (fds[0].revents)
                        break;
                struct signalfd_siginfo info;
                (void)!read(k->signals, &info, sizeof info);
                while (waitpid(-1, NULL, WNOHANG) > 0)
                        ;
                if (waitpid(-1, NULL, WNOHANG) == 0 || errno != ECHILD)
                        continue;
                /* It was killed: what was connected is lost, what comes is not. */
                if (time(NULL) - since > RESTART_TIME)
                        restarts = 0;
                since = time(NULL);
                good = restarts++ < RESTARTS && start_pasta(k, text, sizeof text);
        }
        kill(-1, SIGKILL);
        while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
                ;
        _exit(0);
}

static _Noreturn void give_up(int words, const char *what)
{
        dprintf(words, "n%s: %s", what, strerror(errno));
        _exit(1);
}

/* Away from the terminal and from what this process held, into init's user namespace; then the keeper. */
static _Noreturn void become_keeper(const struct birth *birth, struct keeper *k, int user)
{
        int words = k->words;
        setsid();
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        for (int fd = 0; fd <= 2; fd++)
                dup2(null, fd);
        k->argv = pasta_words(birth->launch->plan);
        if (birth->superuser && setns(birth->mounts, CLONE_NEWNS) < 0)
                give_up(words, "cannot return to the main system's mounts");
        if (setns(user, CLONE_NEWUSER) < 0)
                give_up(words, "cannot enter the environment's user namespace");
        if (birth_has_ids(birth) && ((void)setgroups(0, NULL), setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
                give_up(words, "cannot become root of the environment");
        /* The child of another is nobody's to wait for: it is the system's. */
        pid_t pid = kernel_fork(CLONE_NEWPID);
        if (pid < 0)
                give_up(words, "cannot make a process space for pasta");
        if (pid > 0)
                _exit(0);
        prctl(PR_SET_NAME, "paddock-uplink", 0, 0, 0);
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        (void)!chdir("/");
        sigset_t children;
        sigemptyset(&children);
        sigaddset(&children, SIGCHLD);
        kernel_signal_mask(SIG_BLOCK, &children, NULL);
        k->signals = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
        const int kept[] = {words, k->init, k->network, k->signals};
        int last = 2;
        for (int i = 0; i < 4; i++)
                last = kept[i] > last ? kept[i] : last;
        for (int fd = 3; fd < last; fd++)
                if (fd != kept[0] && fd != kept[1] && fd != kept[2] && fd != kept[3])
                        close(fd);
        close_range((unsigned)last + 1, ~0U, 0);
        keep(k);
}

/* Waits until init stands in its namespaces. */
static int hear_init(const struct birth *birth, struct error *err)
{
        struct report report;
        int got = report_receive(birth->ours, &report, NULL);
        if (got == 1 && report.type == REPORT_UPLINK)
                return 0;
        if (got == 1 && report.type == REPORT_FAILED) {
                error_set(err, EIO, "%s", report.text);
                return report.remedy[0] ? error_remedy(err, "%s", report.remedy) : -EIO;
        }
        if (got == 1 && report.type == REPORT_FORBIDDEN)
                return error_sys(err, report.value, "cannot make the environment's namespaces");
        return error_set(err, EIO, "the environment's first process was killed");
}

int uplink_start(struct birth *birth, struct error *err)
{
        int result = hear_init(birth, err);
        if (result < 0)
                return result;
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/ns/user", (int)birth->init);
        cleanup_close int user = open(path, O_RDONLY | O_CLOEXEC);
        snprintf(path, sizeof path, "/proc/%d/ns/net", (int)birth->init);
        cleanup_close int network = open(path, O_RDONLY | O_CLOEXEC);
        cleanup_close int init = (int)syscall(SYS_pidfd_open, birth->init, 0);
        int sockets[2];
        if (user < 0 || network < 0 || init < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
                return error_sys(err, errno, "cannot reach the environment's first process");
        cleanup_close int ours = sockets[0], theirs = sockets[1];
        struct keeper keeper = {.words = theirs, .init = init, .network = network};
        pid_t pid = kernel_fork(0);
        if (pid == 0)
                become_keeper(birth, &keeper, user);
        if (pid < 0)
                return error_sys(err, errno, "cannot make a process for the uplink");
        close(steal_fd(&theirs));
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
        char answer[600];
        ssize_t n;
        while ((n = read(ours, answer, sizeof answer - 1)) < 0 && errno == EINTR)
                ;
        answer[n > 0 ? n : 0] = '\0';
        if (answer[0] == 'y') {
                birth->uplink = steal_fd(&ours);
                return 0;
        }
        cleanup_free char *shown = text_escape(answer[0] ? answer + 1 : "its keeper was killed");
        error_set(err, EIO, "the uplink cannot be made by pasta: %s", shown);
        if (strstr(answer, "interface"))
                error_remedy(err, "an uplink needs a network outside with a default route");
        return -EIO;
}

void uplink_over(struct birth *birth)
{
        struct pollfd end = {.fd = birth->uplink, .events = POLLIN};
        if (birth->uplink < 0)
                return;
        poll(&end, 1, 1000);
        close(steal_fd(&birth->uplink));
}
