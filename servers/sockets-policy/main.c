// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * paddock-sockets-policy: which connections may lead out, by address, port and name. README.md is its contract.
 *
 * A name is believed when the resolver inside has just given this address for it, or when it has this address
 * outside: names without a wildcard are looked up there, by a thread, and what that finds holds for half a minute.
 * Meanwhile who asks waits, and nobody else.
 */
#include "rule.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "lib/paddock-server.h"

#include <netdb.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#define FRESH 30      /* seconds that addresses of a name hold */
#define ADDRESSES 32  /* of one name */
#define WAITING 256   /* connections that wait for a name; more are refused */

struct known {
        bool wanted, there; /* to be looked up; was looked up once */
        time_t when;
        uint8_t addresses[ADDRESSES][16];
        size_t count;
};

struct policy {
        struct rule *rules;
        struct known *known; /* of each rule */
        size_t count, capacity;
        bool audit;
        uint64_t refused; /* by no rule */
        pthread_mutex_t lock;
        pthread_cond_t work;
        struct paddock_server *server;
        struct waiting {
                struct paddock_message call;
        } waiting[WAITING];
        size_t waiting_count;
};

static time_t now(void)
{
        struct timespec t;
        clock_gettime(CLOCK_BOOTTIME, &t);
        return t.tv_sec;
}

static void note(const struct policy *p, const struct paddock_message *call, const char *what, const char *text)
{
        if (!p->audit)
                return;
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        fprintf(stderr, "{\"time\": %lld, \"call\": \"%s\", \"to\": \"%s\", \"pid\": %u, \"uid\": %u, \"answer\": \"refused\"}\n",
                (long long)t.tv_sec, what, text, call->caller.pid, call->caller.uid);
}

/* Decides with what is known, or finds that something has to be looked up first. -EAGAIN: that. The lock is held. */
static int decide(struct policy *p, const struct paddock_message *call, struct paddock_reply *reply)
{
        uint8_t address[16];
        unsigned port;
        if (!rule_address(call->connect.address.bytes, call->connect.address.size, address, &port))
                return -EAFNOSUPPORT;
        const char *names[64];
        size_t name_count = 0;
        bool lacks = false;
        if (call->connect.name[0])
                names[name_count++] = call->connect.name;
        for (size_t i = 0; i < p->count; i++) {
                const struct rule *r = &p->rules[i];
                struct known *k = &p->known[i];
                if (r->kind != RULE_NAME || port < r->first || port > r->last)
                        continue;
                if (!k->there || now() - k->when > FRESH) {
                        k->wanted = true;
                        pthread_cond_signal(&p->work);
                        lacks |= !k->there;
                }
                for (size_t n = 0; n < k->count && name_count < sizeof names / sizeof *names; n++)
                        if (memcmp(k->addresses[n], address, 16) == 0)
                                names[name_count++] = r->name;
        }
        struct rule *rule = rule_decides(p->rules, p->count, address, port, names, name_count);
        bool denied = !rule || rule->deny;
        if (denied && lacks && !(rule && rule->kind != RULE_ANY))
                return -EAGAIN;
        if (rule)
                rule->used++;
        else
                p->refused++;
        /* What depends on names may be otherwise in a moment. */
        bool lasts = rule && (rule->kind == RULE_NETWORK || rule->kind == RULE_ANY) && !p->audit;
        for (size_t i = 0; i < p->count && lasts; i++)
                lasts = p->rules[i].kind == RULE_NETWORK || p->rules[i].kind == RULE_ANY || p->rules[i].deny == rule->deny;
        if (lasts)
                reply->flags = PADDOCK_KEEP;
        if (!denied)
                return 0;
        char text[INET6_ADDRSTRLEN + 8], host[INET6_ADDRSTRLEN] = "";
        getnameinfo((const struct sockaddr *)call->connect.address.bytes, call->connect.address.size, host, sizeof host, NULL, 0,
                    NI_NUMERICHOST);
        snprintf(text, sizeof text, "%s %u", host, port);
        note(p, call, "connect", text);
        /* As a firewall on this machine would be told of: the program tells its user that it may not, not that
         * nobody is there. */
        return -EACCES;
}

static int on_connect(struct paddock_server *server, const struct paddock_message *call, struct paddock_reply *reply)
{
        struct policy *p = paddock_server_context(server);
        pthread_mutex_lock(&p->lock);
        p->server = server;
        int result = decide(p, call, reply);
        if (result == -EAGAIN && p->waiting_count < WAITING) {
                p->waiting[p->waiting_count++].call = *call;
                result = PADDOCK_LATER;
        }
        pthread_mutex_unlock(&p->lock);
        return result;
}

static int on_resolve(struct paddock_server *server, const struct paddock_message *call, struct paddock_reply *reply)
{
        struct policy *p = paddock_server_context(server);
        (void)reply;
        pthread_mutex_lock(&p->lock);
        bool may = rule_may_resolve(p->rules, p->count, call->resolve.name);
        pthread_mutex_unlock(&p->lock);
        if (!may)
                note(p, call, "resolve", call->resolve.name);
        return may ? 0 : -ENOENT;
}

static size_t look_up(const char *name, uint8_t found[ADDRESSES][16])
{
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
        size_t count = 0;
        if (getaddrinfo(name, NULL, &hints, &list) != 0)
                return 0;
        for (struct addrinfo *a = list; a && count < ADDRESSES; a = a->ai_next) {
                unsigned port;
                count += rule_address(a->ai_addr, a->ai_addrlen, found[count], &port);
        }
        freeaddrinfo(list);
        return count;
}

/* Looks up what is wanted, and answers who waited for that. */
static void *look_up_all(void *context)
{
        struct policy *p = context;
        pthread_mutex_lock(&p->lock);
        for (;;) {
                size_t i = 0;
                while (i < p->count && !p->known[i].wanted)
                        i++;
                if (i == p->count) {
                        for (size_t w = 0; w < p->waiting_count; w++) {
                                struct paddock_reply reply = {.verdict = PADDOCK_NATIVE, .give = -1};
                                const struct paddock_message *call = &p->waiting[w].call;
                                int result = decide(p, call, &reply);
                                paddock_server_answer(p->server, call->serial, call->call, &reply,
                                                      result == -EAGAIN ? -EACCES : result);
                        }
                        p->waiting_count = 0;
                        pthread_cond_wait(&p->work, &p->lock);
                        continue;
                }
                uint8_t found[ADDRESSES][16];
                char name[sizeof p->rules[i].name];
                memcpy(name, p->rules[i].name, sizeof name);
                pthread_mutex_unlock(&p->lock);
                size_t count = look_up(name, found);
                pthread_mutex_lock(&p->lock);
                struct known *k = &p->known[i];
                memcpy(k->addresses, found, count * sizeof found[0]);
                k->count = count;
                k->when = now();
                k->there = true;
                k->wanted = false;
        }
        return NULL;
}

static int usage(const char *self, const char *wrong)
{
        cleanup_error struct error err = ERROR_INIT;
        if (wrong)
                error_set(&err, EINVAL, "%s: it is no rule for connections", wrong);
        else
                error_set(&err, EINVAL, "%s is started by paddock, as: %s [--check] [--audit] [--allow HOST[:PORT]]... [--deny HOST[:PORT]]...", self,
                          self);
        error_print(stderr, &err);
        return 1;
}

int main(int argc, char **argv)
{
        bool check = false;
        struct policy p = {.lock = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER};
        for (int i = 1; i < argc; i++) {
                bool deny = strcmp(argv[i], "--deny") == 0;
                if (strcmp(argv[i], "--audit") == 0 || strcmp(argv[i], "--check") == 0) {
                        p.audit |= argv[i][2] == 'a';
                        check |= argv[i][2] == 'c';
                        continue;
                }
                if ((!deny && strcmp(argv[i], "--allow") != 0) || i + 1 >= argc)
                        return usage(argv[0], NULL);
                struct rule *rule = vector_add(p.rules, p.count, p.capacity);
                if (!rule_parse(argv[++i], deny, rule))
                        return usage(argv[0], argv[i]);
        }
        if (check)
                return 0;
        p.known = memory_new((p.count + 1) * sizeof *p.known);
        pthread_t thread;
        struct paddock_sockets sockets = {.wants = PADDOCK_WANTS_NAMES | (p.audit ? PADDOCK_WANTS_CALLER : 0u),
                                          .connect = on_connect,
                                          .resolve = on_resolve,
                                          .also = -1,
                                          .context = &p};
        int result = pthread_create(&thread, NULL, look_up_all, &p);
        result = result ? -result : paddock_serve_sockets(&sockets);
        if (result == 0)
                _exit(0);
        cleanup_error struct error err = ERROR_INIT;
        error_sys(&err, -result, "%s cannot serve", argv[0]);
        error_print(stderr, &err);
        return usage(argv[0], NULL);
}
