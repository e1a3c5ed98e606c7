// SPDX-License-Identifier: GPL-3.0-or-later
/* Rules for connections (servers/sockets-policy), names in messages of the domain name system (servers/supervisor). */
#include "servers/sockets-policy/rule.h"
#include "servers/supervisor/dnsmessage.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct rule parse(const char *text, bool deny)
{
        struct rule r;
        if (!rule_parse(text, deny, &r))
                fail_msg("'%s' should be a rule", text);
        return r;
}

static void forms(void **state)
{
        (void)state;
        static const char *const good[] = {"*", "*:80", "example.org", "Example.ORG.:443", "*.example.org", "a-b_c.d:1-65535", "10.0.0.1",
                                           "10.0.0.1:80", "10.0.0.0/8", "0.0.0.0/0:53", "::1", "fd00::/8", "[::1]", "[::1]:80",
                                           "[fd00::]/8", "[fd00::]/8:443", "1.2.3.4.example"};
        static const char *const bad[] = {"", ":80", "a:", "a:b", "a:70000", "a:5-2", "a:-", "*x", "*.", "*.*.org", "a..b", ".a", "1.2.3",
                                          "1.2.3.4.5", "10.0.0.0/33", "10.0.0.0/", "a/8", "[10.0.0.1]:80", "[::1", "[::1]80", "::1/129",
                                          "a b", "a\n", "[a]:80", "*/8"};
        struct rule r;
        for (size_t i = 0; i < sizeof good / sizeof *good; i++)
                parse(good[i], false);
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
                if (rule_parse(bad[i], false, &r))
                        fail_msg("'%s' should be none", bad[i]);
        r = parse("Example.ORG.:443", false);
        assert_string_equal(r.name, "example.org");
        assert_int_equal(r.first, 443);
        assert_int_equal(r.last, 443);
}

static bool allows(struct rule *rules, size_t count, const char *address, unsigned port, const char *name)
{
        union {
                struct sockaddr_in four;
                struct sockaddr_in6 six;
        } a = {0};
        uint8_t bytes[16];
        unsigned got;
        const char *names[1] = {name};
        if (inet_pton(AF_INET, address, &a.four.sin_addr) == 1) {
                a.four.sin_family = AF_INET;
                a.four.sin_port = htons((uint16_t)port);
                assert_true(rule_address(&a, sizeof a.four, bytes, &got));
        } else {
                assert_int_equal(inet_pton(AF_INET6, address, &a.six.sin6_addr), 1);
                a.six.sin6_family = AF_INET6;
                a.six.sin6_port = htons((uint16_t)port);
                assert_true(rule_address(&a, sizeof a.six, bytes, &got));
        }
        assert_int_equal(got, port);
        struct rule *r = rule_decides(rules, count, bytes, port, names, name != NULL);
        return r && !r->deny;
}

static void decisions(void **state)
{
        (void)state;
        assert_false(allows(NULL, 0, "192.0.2.1", 80, "example.org"));
        struct rule rules[] = {parse("*.example.org", false), parse("bad.example.org", true),   parse("203.0.113.0/24:443", false),
                               parse("203.0.113.7", true),    parse("[2001:db8::]/32", false), parse("*.bad.example.org:80", false)};
        size_t n = sizeof rules / sizeof *rules;
        assert_true(allows(rules, n, "198.51.100.1", 80, "www.example.org"));
        assert_true(allows(rules, n, "198.51.100.1", 80, "a.b.example.org"));
        assert_false(allows(rules, n, "198.51.100.1", 80, "example.org")); /* not below itself */
        assert_false(allows(rules, n, "198.51.100.1", 80, "notexample.org"));
        assert_false(allows(rules, n, "198.51.100.1", 80, "example.org.evil.net"));
        assert_false(allows(rules, n, "198.51.100.1", 80, "bad.example.org"));
        assert_true(allows(rules, n, "198.51.100.1", 80, "x.bad.example.org"));
        assert_true(allows(rules, n, "198.51.100.1", 443, "x.bad.example.org")); /* by *.example.org */
        assert_true(allows(rules, n, "203.0.113.9", 443, NULL));
        assert_false(allows(rules, n, "203.0.113.9", 80, NULL));
        assert_false(allows(rules, n, "203.0.113.7", 443, NULL));
        assert_true(allows(rules, n, "2001:db8::5", 1, NULL));
        assert_true(allows(rules, n, "::ffff:203.0.113.9", 443, NULL)); /* IPv4, however it is written */
        /* A name that was given a private address: every form of those. */
        static const char *const private_[] = {"127.0.0.1", "10.1.2.3", "192.168.1.1", "172.31.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
                                               "224.0.0.1", "255.255.255.255", "::1", "::", "fd00::1", "fe80::1", "ff02::1",
                                               "::ffff:127.0.0.1"};
        for (size_t i = 0; i < sizeof private_ / sizeof *private_; i++)
                if (allows(rules, n, private_[i], 80, "www.example.org"))
                        fail_msg("%s by a name", private_[i]);
        struct rule own[] = {parse("*.example.org", false), parse("10.0.0.0/8:80", false)};
        assert_true(allows(own, 2, "10.1.2.3", 80, "www.example.org"));
        assert_false(allows(own, 2, "10.1.2.3", 81, "www.example.org"));
        struct rule all[] = {parse("*", false), parse("*", true)};
        assert_true(allows(all, 1, "10.1.2.3", 80, NULL));
        assert_false(allows(all, 2, "10.1.2.3", 80, NULL));
}

static void names(void **state)
{
        (void)state;
        struct rule rules[] = {parse("*.example.org:443", false), parse("secret.example.org", true), parse("10.0.0.0/8", false)};
        assert_true(rule_may_resolve(rules, 3, "www.example.org"));
        assert_false(rule_may_resolve(rules, 3, "secret.example.org"));
        assert_false(rule_may_resolve(rules, 3, "data.out.evil.net")); /* no way out through names */
        assert_false(rule_may_resolve(rules + 2, 1, "example.org"));
        struct rule any[] = {parse("*", false)};
        assert_true(rule_may_resolve(any, 1, "x.y"));
}

/* An answer: question a.Example, alias to b.c, address of that. */
static const uint8_t answer[] = "\x12\x34\x81\x80\0\1\0\2\0\0\0\0\1a\7Example\0\0\1\0\1"
                                "\xc0\x0c\0\5\0\1\0\0\0\5\0\5\1b\1c\0"
                                "\xc0\x0c\0\1\0\1\0\0\1\0\0\4\xc0\0\2\7";

static unsigned seen;
static void found(void *context, const uint8_t *address, size_t size, uint32_t seconds)
{
        (void)context;
        seen++;
        assert_int_equal(size, 4);
        assert_memory_equal(address, "\xc0\0\2\7", 4);
        assert_int_equal(seconds, 5); /* no longer than its alias holds */
}

static void messages(void **state)
{
        (void)state;
        struct dns_question q;
        size_t size = sizeof answer - 1;
        assert_true(dns_question(answer, size, &q));
        assert_string_equal(q.name, "a.example");
        assert_int_equal(q.type, 1);
        dns_addresses(answer, size, found, NULL);
        assert_int_equal(seen, 1);
        for (size_t cut = 0; cut < size; cut++) {
                uint8_t copy[sizeof answer];
                memcpy(copy, answer, cut);
                if (cut < q.end)
                        assert_false(dns_question(copy, cut, &q));
        }
        static const uint8_t circle[] = "\0\0\0\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1";
        assert_false(dns_question(circle, sizeof circle - 1, &q));
        /* A dot and a NUL within a label are not what they look like. */
        static const uint8_t odd[] = "\0\0\0\0\0\1\0\0\0\0\0\0\3a.b\2c\0\0\0\1\0\1";
        assert_true(dns_question(odd, sizeof odd - 1, &q));
        assert_string_equal(q.name, "a\\046b.c\\000");
        uint8_t refusal[512];
        assert_true(dns_question(answer, size, &q));
        size_t length = dns_refusal(answer, &q, 3, refusal, sizeof refusal);
        assert_int_equal(length, q.end);
        assert_int_equal(refusal[3] & 15, 3);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(forms), cmocka_unit_test(decisions), cmocka_unit_test(names),
                                           cmocka_unit_test(messages)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
