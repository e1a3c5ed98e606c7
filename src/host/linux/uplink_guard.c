// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The uplink, inside, by init: what must hold before pasta is there.
 *
 * A packet to a loopback address that leaves through another interface than loopback is one for the main system's own
 * loopback services, since pasta forwards to what is written on it. The filter drops such packets. It is set through
 * netlink (nf_tables), in a namespace over which only init's user namespace has power.
 */
#include "host/linux/uplink.h"

#include "base/cleanup.h"
#include "host/linux/kernel.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define LOOPBACK 1 /* the number of that interface in every network */
#define TABLE "paddock"
#define CHAIN "out"

/* Messages for the kernel, one after the other. */
struct batch {
        char data[4096];
        size_t length;
        size_t message; /* where the last one starts */
        uint32_t number;
};

static void *room(struct batch *b, size_t size)
{
        void *at = b->data + b->length;
        memset(at, 0, NLMSG_ALIGN(size)); /* all that is said here is far shorter than the batch */
        b->length += NLMSG_ALIGN(size);
        ((struct nlmsghdr *)(void *)(b->data + b->message))->nlmsg_len = (uint32_t)(b->length - b->message);
        return at;
}

static void begin(struct batch *b, int type, int flags, int family, int resource)
{
        b->message = b->length;
        struct nlmsghdr *head = room(b, sizeof *head);
        head->nlmsg_type = (uint16_t)type;
        head->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
        head->nlmsg_seq = ++b->number;
        struct nfgenmsg *general = room(b, sizeof *general);
        general->nfgen_family = (uint8_t)family;
        general->res_id = htons((uint16_t)resource);
}

static void put(struct batch *b, int type, const void *data, size_t size)
{
        struct nlattr *a = room(b, sizeof *a + size);
        a->nla_type = (uint16_t)type;
        a->nla_len = (uint16_t)(sizeof *a + size);
        memcpy(a + 1, data, size);
}

static void put_text(struct batch *b, int type, const char *text)
{
        put(b, type, text, strlen(text) + 1);
}

static void put_number(struct batch *b, int type, uint32_t number)
{
        number = htonl(number);
        put(b, type, &number, sizeof number);
}

/* What is put until close_nest() is its value. */
static size_t open_nest(struct batch *b, int type)
{
        size_t at = b->length;
        struct nlattr *a = room(b, sizeof *a);
        a->nla_type = (uint16_t)(type | NLA_F_NESTED);
        return at;
}

static void close_nest(struct batch *b, size_t at)
{
        ((struct nlattr *)(void *)(b->data + at))->nla_len = (uint16_t)(b->length - at);
}

/* An expression of a rule: its attributes follow, then two close_nest(). */
static void open_expression(struct batch *b, const char *name, size_t nests[2])
{
        nests[0] = open_nest(b, NFTA_LIST_ELEM);
        put_text(b, NFTA_EXPR_NAME, name);
        nests[1] = open_nest(b, NFTA_EXPR_DATA);
}

static void close_expression(struct batch *b, const size_t nests[2])
{
        close_nest(b, nests[1]);
        close_nest(b, nests[0]);
}

static void compare(struct batch *b, int operation, const void *data, size_t size)
{
        size_t nests[2];
        open_expression(b, "cmp", nests);
        put_number(b, NFTA_CMP_SREG, NFT_REG_1);
        put_number(b, NFTA_CMP_OP, (uint32_t)operation);
        size_t value = open_nest(b, NFTA_CMP_DATA);
        put(b, NFTA_DATA_VALUE, data, size);
        close_nest(b, value);
        close_expression(b, nests);
}

/* A rule: what does not leave through loopback, and has `prefix` at `offset` of its header, is dropped. */
static void drop(struct batch *b, int family, uint32_t offset, const void *prefix, size_t size)
{
        size_t nests[2];
        uint32_t loopback = LOOPBACK;
        begin(b, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK, family, 0);
        put_text(b, NFTA_RULE_TABLE, TABLE);
        put_text(b, NFTA_RULE_CHAIN, CHAIN);
        size_t expressions = open_nest(b, NFTA_RULE_EXPRESSIONS);
        open_expression(b, "meta", nests);
        put_number(b, NFTA_META_DREG, NFT_REG_1);
        put_number(b, NFTA_META_KEY, NFT_META_OIF);
        close_expression(b, nests);
        compare(b, NFT_CMP_NEQ, &loopback, sizeof loopback);
        open_expression(b, "payload", nests);
        put_number(b, NFTA_PAYLOAD_DREG, NFT_REG_1);
        put_number(b, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
        put_number(b, NFTA_PAYLOAD_OFFSET, offset);
        put_number(b, NFTA_PAYLOAD_LEN, (uint32_t)size);
        close_expression(b, nests);
        compare(b, NFT_CMP_EQ, prefix, size);
        open_expression(b, "immediate", nests);
        put_number(b, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
        size_t data = open_nest(b, NFTA_IMMEDIATE_DATA), verdict = open_nest(b, NFTA_DATA_VERDICT);
        put_number(b, NFTA_VERDICT_CODE, NF_DROP);
        close_nest(b, verdict);
        close_nest(b, data);
        close_expression(b, nests);
        close_nest(b, expressions);
}

static void begin_chain(struct batch *b, int family)
{
        begin(b, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_ACK, family, 0);
        put_text(b, NFTA_TABLE_NAME, TABLE);
        begin(b, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_ACK, family, 0);
        put_text(b, NFTA_CHAIN_TABLE, TABLE);
        put_text(b, NFTA_CHAIN_NAME, CHAIN);
        size_t hook = open_nest(b, NFTA_CHAIN_HOOK);
        put_number(b, NFTA_HOOK_HOOKNUM, NF_INET_LOCAL_OUT);
        put_number(b, NFTA_HOOK_PRIORITY, 0);
        close_nest(b, hook);
        put_text(b, NFTA_CHAIN_TYPE, "filter");
}

/* Sends it, and hears for each message that it holds. 0 or a negative errno. */
static int carry_out(struct batch *b, uint32_t expected)
{
        cleanup_close int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
        struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
        if (fd < 0 || sendto(fd, b->data, b->length, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0)
                return -errno;
        uint32_t good = 0;
        _Alignas(struct nlmsghdr) char answer[8192];
        ssize_t n; /* all answers are there when the call above returns */
        while ((n = recv(fd, answer, sizeof answer, MSG_DONTWAIT)) > 0) {
                size_t left = (size_t)n;
                for (struct nlmsghdr *head = (void *)answer; NLMSG_OK(head, left); head = NLMSG_NEXT(head, left)) {
                        const struct nlmsgerr *told = NLMSG_DATA(head);
                        if (head->nlmsg_type != NLMSG_ERROR)
                                continue;
                        if (told->error)
                                return told->error;
                        good++;
                }
        }
        return good == expected ? 0 : -EIO;
}

static bool has_six(void)
{
        cleanup_close int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        return fd >= 0 || errno != EAFNOSUPPORT;
}

static int set_filter(struct error *err)
{
        static const unsigned char this_host[1] = {0}, loopback[1] = {127};
        static const unsigned char low[12], mapped[12] = {[10] = 0xff, [11] = 0xff};
        struct batch b = {0};
        uint32_t expected = 4;
        begin(&b, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
        begin_chain(&b, NFPROTO_IPV4);
        drop(&b, NFPROTO_IPV4, 16, loopback, sizeof loopback);
        drop(&b, NFPROTO_IPV4, 16, this_host, sizeof this_host);
        if (has_six()) {
                begin_chain(&b, NFPROTO_IPV6);
                drop(&b, NFPROTO_IPV6, 24, low, sizeof low); /* ::1, ::, and IPv4 addresses in the old form */
                drop(&b, NFPROTO_IPV6, 24, mapped, sizeof mapped);
                expected += 4;
        }
        begin(&b, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
        int result = carry_out(&b, expected);
        if (result == 0)
                return 0;
        error_sys(err, -result, "cannot keep the main system's loopback out of reach of an uplink (nf_tables)");
        return error_remedy(err, "as root: modprobe nf_tables; without it there is --net none");
}

/* Settings of the network that its root would have, and programs inside are not. What is refused stays as it is: that
 * takes possibilities away, and gives none. */
static void set(const char *name, const char *value)
{
        cleanup_close int fd = open(name, O_WRONLY | O_CLOEXEC);
        if (fd >= 0)
                (void)!write(fd, value, strlen(value));
}

int uplink_guard(struct error *err)
{
        int result = program_loopback(err);
        if (result == 0)
                result = set_filter(err);
        set("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
        return result;
}

/* Does the file name a resolver that is not on a loopback address? */
static bool names_resolver(const char *path)
{
        cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return false;
        char text[4096];
        ssize_t n = read(fd, text, sizeof text - 1);
        text[n > 0 ? n : 0] = '\0';
        for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
                char address[64];
                if (sscanf(line, " nameserver %63s", address) == 1 && strncmp(address, "127.", 4) != 0 &&
                    strcmp(address, "::1") != 0)
                        return true;
        }
        return false;
}

void uplink_resolver(void)
{
        static const char path[] = "/etc/resolv.conf";
        static const char text[] = "# by paddock: the resolver of the main system\nnameserver " UPLINK_RESOLVER "\n";
        if (names_resolver(path))
                return;
        cleanup_close int target = open(path, O_PATH | O_CLOEXEC | O_CREAT, 0644);
        cleanup_close int context = fsopen("tmpfs", FSOPEN_CLOEXEC);
        if (target < 0 || context < 0 || fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
                return;
        cleanup_close int tree =
                fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
        cleanup_close int file =
                tree < 0 ? -1 : openat(tree, "resolv.conf", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (file < 0 || write(file, text, sizeof text - 1) < 0)
                return;
        cleanup_close int one = open_tree(tree, "resolv.conf", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        if (one >= 0)
                kernel_attach(one, target);
}
