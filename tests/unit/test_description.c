// SPDX-License-Identifier: GPL-3.0-or-later
/* The YAML description: what is refused and in which words, what is accepted, and writing as the inverse of reading. */
#include "description/description.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Parses with origin "f" and directory "/d". */
static int parse(struct environment *e, const char *text, size_t length, struct text *problems)
{
        /* In memory of exactly its size, so that a sanitizer sees reading past the end. */
        cleanup_free char *copy = memory_new(length);
        memcpy(copy, text, length);
        return description_parse(e, copy, length, "f", "/d", problems);
}

/* ---- what is refused ---- */

#define LATER " is known, but not available in this version of paddock\n"
#define COMMAND "a command: text for the shell, or [PROGRAM, ARGUMENT...]\n"
#define RULES "a rule (private, mirror, share, empty, hide, {from: PATH}, {union: [PATH, PATH]} or {grant: ro})"
#define KNOWN_RULES "known: private, mirror, share, empty, hide, from, union, grant\n"
#define NO_ALIAS "a description has neither anchors nor aliases; "
#define TAB ": a tab: YAML indents with spaces; in a name write it as \"\\t\" in double quotes\n"
#define NAME_RULE                                                                                                      \
        " cannot name an environment: a name has 1 to 64 letters, digits, '.', '_' or '-' and begins with a letter "   \
        "or digit\n"
#define HOST_RULE                                                                                                      \
        " cannot be a host name: it has 1 to 64 letters, digits, '-' or '.', and begins and ends with a letter or "    \
        "digit\n"

static const struct bad {
        const char *text, *problems;
        size_t length; /* 0: strlen(text) */
} bad[] = {
        /* keys */
        {"viev: {}\n", "f:1:1: unknown key 'viev'; did you mean 'view'?\n"},
        {"name: a\n\nnetwrok: none\n", "f:3:1: unknown key 'netwrok'; did you mean 'network'?\n"},
        {"something: 1\n", "f:1:1: unknown key 'something'; known: name, root, identity, view, network, sockets, session, "
                           "hostname, run, init, grants, limits, channels\n"},
        {"devcies: []\n", "f:1:1: unknown key 'devcies'; did you mean 'devices'?\n"},
        {"name: a\nname: a\n", "f:2:1: duplicate key 'name', first on line 1\n"},
        {"name: a\n\"name\": b\n? name\n: c\n",
         "f:2:1: duplicate key 'name', first on line 1\nf:3:3: duplicate key 'name', first on line 1\n"},
        {"[a]: b\n", "f:1:1: a key is a word, not a list\n"},
        {"{a: b}: c\n", "f:1:1: a key is a word, not a map\n"},
        {"- name: web\n", "f:1:1: a description is a map of KEY: VALUE, not a list\n"},
        {"web\n", "f:1:1: a description is a map of KEY: VALUE, not a word\n"},
        {"sockets: {serv: [./s]}\n", "f:1:11: unknown key of 'sockets' 'serv'; did you mean 'serve'?\n"},
        {"sockets: {serve: []}\n", "f:1:18: 'serve' takes a program and its words, as [paddock-sockets-policy, --allow, \"*\"]\n"},
        {"sockets: {allow: x}\n", "f:1:18: 'allow' takes a list, as [\"example.org:443\", \"*.debian.org\"]\n"},
        {"sockets: {allow: ['a b']}\n", "f:1:19: 'a b' is no rule for connections\n"},
        {"sockets: {resolver: x}\n", "f:1:21: 'x' is no resolver\n"},
        {"sockets: none\n", "f:1:10: 'sockets' takes 'inherit', {allow: [HOST:PORT]} or {serve: [COMMAND]}\n"},
        {"devices: [/dev/dri]\n", "f:1:1: 'devices'" LATER},
        {"limits: {memory: lots}\n", "f:1:18: 'lots' is no size: it is written as 512M, 2G or a number of bytes\n"},
        {"limits: {tasks: 0}\n", "f:1:17: '0' is not a number of processes and threads, from 1 to 4194304\n"},
        {"limits: {cpu: 10001}\n", "f:1:15: '10001' is not a weight from 1 to 10000, where 100 is everybody's\n"},
        {"limits: {files: 1K}\n", "f:1:17: '1K' is not a number of open files, from 16 to 1048576\n"},
        {"limits: {over: kill}\n", "f:1:16: 'kill' is not tell, stop or freeze\n"},
        {"limits: 2G\n", "f:1:9: 'limits' takes a map, as {disk: 2G}\n"},
        {"limits: {disc: 2G}\n", "f:1:10: unknown limit 'disc'; did you mean 'disk'?\n"},
        {"limits: {disk: 2 GB}\n", "f:1:16: '2 GB' is no size: it is written as 512M, 2G or a number of bytes\n"},
        {"limits: {disk: 0}\n", "f:1:16: '0' is no size: it is written as 512M, 2G or a number of bytes\n"},
        {"limits: {disk: 99999999999T}\n",
         "f:1:16: '99999999999T' is no size: it is written as 512M, 2G or a number of bytes\n"},
        {"limits: {disk: }\n", "f:1:10: 'disk' has no value: it takes a size, as 512M or 2G\n"},
        {"init: [sbin/init]\n", "f:1:7: an init is an absolute name, and at most 63 arguments\n"},
        {"nest: yes\n", "f:1:1: 'nest'" LATER},
        /* programs */
        {"run: date\n", "f:1:6: 'run' takes a list of programs: a line '- COMMAND' for each\n"},
        {"run: {command: date}\n", "f:1:6: 'run' takes a list of programs: a line '- COMMAND' for each\n"},
        {"run:\n  - []\n", "f:2:5: 'run' takes " COMMAND},
        {"run:\n  - ''\n", "f:2:5: 'run' has no value: it takes " COMMAND},
        {"run:\n  - ['', a]\n", "f:2:6: 'run' has no value: it takes words\n"},
        {"run:\n  - [a, [b]]\n", "f:2:9: 'run' takes words, not a list\n"},
        {"run:\n  - {name: a}\n", "f:2:5: a program of 'run' needs a command\n"},
        {"run:\n  - {command: a, restat: always}\n",
         "f:2:18: unknown word of a program 'restat'; did you mean 'restart'?\n"},
        {"run:\n  - {command: a, restart: sometimes}\n", "f:2:27: 'restart' takes 'no', 'on-failure' or 'always'\n"},
        {"run:\n  - {command: a, name: -b}\n",
         "f:2:5: a name of a program has 1 to 64 letters, digits, '.', '_' or '-' and begins with a letter or digit\n"},
        {"run:\n  - {command: a, name: b}\n  - {command: c, name: b}\n", "f:3:5: two programs have the name 'b'\n"},
        /* values */
        {"name:\n", "f:1:1: 'name' has no value: it takes a name\n"},
        {"name: ''\n", "f:1:7: 'name' has no value: it takes a name\n"},
        {"name: [a]\n", "f:1:7: 'name' takes a name, not a list\n"},
        {"name: {a: b}\n", "f:1:7: 'name' takes a name, not a map\n"},
        {"name: we b\n", "f:1:7: 'we b'" NAME_RULE},
        {"name: ../x\n", "f:1:7: '../x'" NAME_RULE},
        {"name: \"a\\nb\"\n", "f:1:7: 'a\\nb'" NAME_RULE},
        {"name: \"a\\0b\"\n", "f:1:7: 'name' takes a name, which cannot hold a NUL character\n"},
        {"name: !!binary YQBi\n", "f:1:16: 'name' takes a name, which cannot hold a NUL character\n"},
        {"root: hots\n",
         "f:1:7: unknown root 'hots'; did you mean 'host'? a directory is written with a slash, as './hots'\n"},
        {"root: debian\n", "f:1:7: unknown root 'debian'; a directory is written with a slash, as './debian'\n"},
        {"root: [host]\n", "f:1:7: 'root' takes 'host', 'empty', an image or a directory, not a list\n"},
        {"root: ~bob\n",
         "f:1:7: '~bob': of the names with a tilde only '~' and '~/...' are known, for the home directory of whoever "
         "runs it; write './~...' for a file of that name\n"},
        {"identity: rot\n", "f:1:11: unknown identity 'rot'; did you mean 'root'?\n"},
        {"identity: admin\n", "f:1:11: unknown identity 'admin'; known: self, root\n"},
        {"identity: {users: []}\n", "f:1:11: users of its own are known, but not available in this version of paddock: "
                                    "write 'self' or 'root'\n"},
        {"identity: [root]\n", "f:1:11: 'identity' takes 'self' or 'root', not a list\n"},
        {"identity: ''\n", "f:1:11: 'identity' has no value: it takes 'self' or 'root'\n"},
        {"network: non\n", "f:1:10: unknown network 'non'; did you mean 'none'?\n"},
        {"network: bridge\n", "f:1:10: unknown network 'bridge'; known: none, inherit, uplink\n"},
        {"network: {uplink: yes, allow: ['*:443']}\n",
         "f:1:24: 'allow' is known, but not available in this version of paddock\n"},
        {"network: {publish: [80:80]}\n",
         "f:1:10: ports are published through an uplink: write 'uplink: yes' beside them\n"},
        {"network: {uplnk: yes}\n", "f:1:11: unknown word of a network 'uplnk'; did you mean 'uplink'?\n"},
        {"network: {uplink: yes, publish: 80}\n", "f:1:33: 'publish' takes a list, as ['8080:80']\n"},
        {"network: {uplink: yes, publish: ['80:x']}\n",
         "f:1:34: '80:x' publishes no port: a port is a number from 1 to 65535\n"},
        {"session: maybe\n", "f:1:10: 'session' takes yes or no, without quotes, not 'maybe'\n"},
        {"session: 'yes'\n", "f:1:10: 'session' takes yes or no, without quotes, not 'yes'\n"},
        {"hostname: a_b\n", "f:1:11: 'a_b'" HOST_RULE},
        {"hostname: a-\n", "f:1:11: 'a-'" HOST_RULE},
        {"hostname: 12345678901234567890123456789012345678901234567890123456789012345\n",
         "f:1:11: '123456789012345678901234567890123456789012345678901234567890...'" HOST_RULE},
        /* rules */
        {"view: share\n", "f:1:7: 'view' takes a map of PATH: RULE, not a word\n"},
        {"view: [/a]\n", "f:1:7: 'view' takes a map of PATH: RULE, not a list\n"},
        {"view:\n  [a]: hide\n  {a: b}: hide\n", "f:2:3: 'view' takes a path before each colon, not a list\n"
                                                 "f:3:3: 'view' takes a path before each colon, not a map\n"},
        {"view:\n  '': hide\n", "f:2:3: 'view' has no value: it takes a path\n"},
        {"view:\n  /a:\n", "f:2:3: '/a' has no value: it takes " RULES "\n"},
        {"view:\n  /a: [hide]\n", "f:2:7: '/a' takes " RULES ", not a list\n"},
        {"view:\n  /a: mirorr\n", "f:2:7: unknown rule 'mirorr'; did you mean 'mirror'?\n"},
        {"view:\n  /a: rw\n", "f:2:7: unknown rule 'rw'; " KNOWN_RULES},
        {"view:\n  /a: from\n  /b: union\n",
         "f:2:7: 'from' needs a value: {from: PATH}\nf:3:7: 'union' needs a value: {union: [PATH, PATH]}\n"},
        {"view:\n  /a: {share: yes}\n", "f:2:8: 'share' takes no value: write it as PATH: share\n"},
        {"view:\n  /a: {form: /b}\n", "f:2:8: unknown rule 'form'; did you mean 'from'?\n"},
        {"view:\n  /a: {from: [/b]}\n", "f:2:14: 'from' takes a path, not a list\n"},
        {"view:\n  /a: {from: }\n", "f:2:8: 'from' has no value: it takes a path\n"},
        {"view:\n  /a: {from: /b, union: [/c]}\n", "f:2:7: '/a' takes one rule, not 2\n"},
        {"view:\n  /a: {}\n", "f:2:7: '/a' takes one rule, not 0\n"},
        {"view:\n  /a: {union: /b}\n",
         "f:2:15: 'union' takes a list of 1 to 1024 directories: {union: [PATH, PATH]}\n"},
        {"view:\n  /a: {union: []}\n",
         "f:2:15: 'union' takes a list of 1 to 1024 directories: {union: [PATH, PATH]}\n"},
        {"view:\n  /a: {union: [/b, {c: d}, '']}\n",
         "f:2:20: 'union' takes a path, not a map\nf:2:28: 'union' has no value: it takes a path\n"},
        {"view:\n  /a: {translator: [squashfuse, x], start: demand}\n",
         "f:2:8: 'translator'" LATER "f:2:37: 'start'" LATER},
        {"view:\n  /b: {device: x}\n  /c: {channel: y}\n", "f:2:8: 'device'" LATER "f:3:8: 'channel'" LATER},
        {"view:\n  /a: {grant: wr}\n  /b: grant\n",
         "f:2:15: unknown mode 'wr'; known: ro, rw\nf:3:7: 'grant' needs a value: {grant: ro} or {grant: rw}\n"},
        {"grants: printing\n", "f:1:9: 'grants' takes a list of grants: [NAME, PATH, {path: PATH, mode: rw}]\n"},
        {"grants:\n  - [a]\n", "f:2:5: 'grants' takes names of sets, paths, and maps with a path, not a list\n"},
        {"grants:\n  - {mode: rw}\n  - {path: /a, set: b}\n  - {set: b, mode: rw}\n",
         "f:2:5: a grant needs a 'path' or a 'set'\nf:3:16: a grant has one 'path' or one 'set'\n"
         "f:4:5: a set says itself what it grants: beside 'set' there can be 'to', 'for', 'until' and 'locked'\n"},
        {"grants:\n  - {path: /a, for: soon, until: x, pth: 1, plain: 'yes'}\n",
         "f:2:21: 'soon' is no time span; write a number and its unit, as 90s, 15m, 1h, 1h30m, 2d or 1w; at most ten "
         "years\n"
         "f:2:27: 'for' and 'until' exclude each other\n"
         "f:2:34: 'x' is no time; write 2027-01-31 or \"2027-01-31 18:30\"; a Z at the end means UTC\n"
         "f:2:37: unknown word of a grant 'pth'; did you mean 'path'?\n"
         "f:2:52: 'plain' takes yes or no, without quotes, not 'yes'\n"},
        {"grants:\n  - /a\n  - {path: /a, mode: rw}\n  - {path: /a, to: 0x}\n  - a b\n",
         "f:3:5: two grants on /a contradict each other\n"
         "f:4:20: '0x' cannot name an identity: a name has 1 to 32 lower-case letters, digits, '_' or '-', and does "
         "not begin with a "
         "digit or '-'\n"
         "f:5:5: 'a b' cannot name a set: a name has 1 to 64 letters, digits, '.', '_' or '-' and begins with a letter "
         "or digit\n"},
        {"view:\n  /a: hide\n  /a: hide\n", "f:3:3: duplicate key '/a', first on line 2\n"},
        {"view:\n  /a: hide\n  /b: hide\n  /c/./../a: share\n  /./a/: share\n",
         "f:5:3: two rules on '/a' contradict each other: 'hide' on line 2, and 'share' here\n"},
        {"view:\n  a: {from: b}\n  /d/a: {from: c}\n",
         "f:3:3: two rules on '/d/a' contradict each other: 'from' on line 2, and 'from' here\n"},
        {"view:\n  \"/a\\0\": hide\n", "f:2:3: 'view' takes a path, which cannot hold a NUL character\n"},
        /* several at once, in the order of the file, a syntax error among them */
        {"nmae: x\nsession: 1\nview:\n  /a: priv4te\n  /b: [\nname: x\n",
         "f:1:1: unknown key 'nmae'; did you mean 'name'?\n"
         "f:2:10: 'session' takes yes or no, without quotes, not '1'\n"
         "f:4:7: unknown rule 'priv4te'; did you mean 'private'?\n"
         "f:6:1: YAML syntax: wrongly indented flow sequence\n"},
        /* YAML */
        {"name: \"web\n", "f:1:8: YAML syntax: double-quoted scalar without closing quote\n"},
        {"view: {'/a''''b': hide, /c: {union: ['''''']}}",
         "f:1:8: several quotes side by side in single quotes: write this in double quotes\n"
         "f:1:38: several quotes side by side in single quotes: write this in double quotes\n"},
        {"name: |\n  web\nhostname: >-\n  web\n",
         "f:2:1: a text block ('|' or '>'): write the value on one line, in quotes if need be\n"
         "f:4:1: a text block ('|' or '>'): write the value on one line, in quotes if need be\n"},
        {"name: @web\n", "f:1:7: YAML syntax: plain scalar cannot start with '@'\n"},
        {"view: {/a: hide}}\n", "f:1:17: YAML syntax: flow mapping with invalid extra closing brace\n"},
        {"name: \"\\q\"\n", "f:1:8: YAML syntax: invalid escape 'q' in double-quoted string\n"},
        {"\tname: web\n", "f:1:1" TAB},
        {"view:\n\t\t/a:\thide\n", "f:2:1" TAB "f:2:6" TAB},
        {"name: web\n  root: host\n",
         "f:1:7: YAML syntax: by its indentation the next line belongs to this value, but it has a key of its own: "
         "indent it as the others\n"},
        {"name: a\n---\nname: b\n", "f:2:1: a second document begins here: one file describes one environment\n"},
        {"name: a\n...\nname: b\n", "f:3:1: a second document begins here: one file describes one environment\n"},
        {"%YAML 1.1\n---\nname: a\n", "f:1:1: a description has no directives (%YAML, %TAG)\n"},
        {"# c\n%TAG !x! y\n---\nname: a\n", "f:2:1: a description has no directives (%YAML, %TAG)\n"},
        {"\xef\xbb\xbf%", "f:1:1: a description has no directives (%YAML, %TAG)\n"},
        {"name: &a web\nhostname: *a\n", "f:1:7: an anchor: " NO_ALIAS "write the value where it is used\n"
                                         "f:2:11: an alias: " NO_ALIAS "write the value itself\n"},
        {"view: &v {/a: hide}\n", "f:1:7: an anchor: " NO_ALIAS "write the value where it is used\n"},
        {"view:\n  <<: *x\n", "f:2:7: an alias: " NO_ALIAS "write the value itself\n"},
        {"name: !foo web\n",
         "f:1:12: tag '!foo' has no meaning here: only !!binary and !!str do, on words and names\n"},
        {"view: !!set {/a: hide}\n",
         "f:1:13: tag 'tag:yaml.org,2002:set' has no meaning here: only !!binary and !!str do, on words and names\n"},
        {"name: !!binary YQ\n", "f:1:16: this is not base64, which !!binary announces\n"},
        {"name: !!binary \"YR==\"\n", "f:1:16: this is not base64, which !!binary announces\n"},
        {"name: !!binary \"YQ==YQ==\"\n", "f:1:16: this is not base64, which !!binary announces\n"},
        {"name: !!binary \"Y=Q=\"\n", "f:1:16: this is not base64, which !!binary announces\n"},
        {"name: !!binary \"====\"\n", "f:1:16: this is not base64, which !!binary announces\n"},
        {"a: [[[[[[[[[[[[[[[[[[x]]]]]]]]]]]]]]]]]]\n", "f:1:19: this is nested too deeply for a description\n"},
        /* characters */
        {"name: a\0b\n", "f:1:8: a NUL byte\n", 10},
        {"name: web\nroot: /caf\xe9\n",
         "f:2:11: byte 0xe9 is not UTF-8; a file name that is not is written with !!binary\n"},
        {"\xc3\xa9: \xc0\xaf\n# \xed\xa0\x80\n# \xf4\x90\x80\x80",
         "f:1:4: byte 0xc0 is not UTF-8; a file name that is not is written with !!binary\n"
         "f:2:3: byte 0xed is not UTF-8; a file name that is not is written with !!binary\n"
         "f:3:3: byte 0xf4 is not UTF-8; a file name that is not is written with !!binary\n"},
        {"name: a\x07\n", "f:1:8: character U+0007 cannot stand here: write it as \"\\u0007\" in double quotes\n"},
        {"# \xc2\x85\r\n# \xef\xbb\xbf\r# \xef\xbf\xbf\n",
         "f:1:3: character U+0085 cannot stand here: write it as \"\\u0085\" in double quotes\n"
         "f:2:3: character U+FEFF cannot stand here: write it as \"\\ufeff\" in double quotes\n"
         "f:3:3: character U+FFFF cannot stand here: write it as \"\\uffff\" in double quotes\n"},
        {"\xff\xfen\0a\0", "f:1:1: this looks like UTF-16: a description is UTF-8\n", 6},
        {"\"k\\u202ey\\e[31m\": 1\n", "f:1:1: unknown key 'k\\xe2\\x80\\xaey\\x1b[31m'; known: name, root, identity, "
                                      "view, network, sockets, session, hostname, run, init, grants, limits, channels\n"},
};

static void test_bad(void **state)
{
        (void)state;
        size_t failures = 0;
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                struct environment e;
                cleanup_text struct text problems = {0};
                int result = parse(&e, bad[i].text, bad[i].length ? bad[i].length : strlen(bad[i].text), &problems);
                if (result != -EINVAL || !problems.data || strcmp(problems.data, bad[i].problems) != 0) {
                        print_error("%s\n--- expected ---\n%s--- got %d ---\n%s\n", bad[i].text, bad[i].problems,
                                    result, problems.data ? problems.data : "");
                        failures++;
                }
                static const struct environment clear;
                assert_memory_equal(&e, &clear, sizeof e);
        }
        assert_int_equal(failures, 0);
}

/* Nothing reaches the terminal but through `problems`: the library would like to print for itself. */
static void test_silent(void **state)
{
        (void)state;
        cleanup_file FILE *caught = tmpfile();
        cleanup_close int saved = dup(STDERR_FILENO);
        assert_non_null(caught);
        dup2(fileno(caught), STDERR_FILENO);
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                struct environment e;
                cleanup_text struct text problems = {0};
                parse(&e, bad[i].text, bad[i].length ? bad[i].length : strlen(bad[i].text), &problems);
                environment_clear(&e);
        }
        dup2(saved, STDERR_FILENO);
        assert_int_equal(lseek(fileno(caught), 0, SEEK_END), 0);
}

static void test_origin(void **state)
{
        (void)state;
        struct environment e;
        cleanup_text struct text problems = {0};
        text_add(&problems, "before\n");
        assert_int_equal(description_parse(&e, "x", 1, "a\nb\x1b.yaml", "/", &problems), -EINVAL);
        assert_string_equal(problems.data,
                            "before\na\\nb\\x1b.yaml:1:1: a description is a map of KEY: VALUE, not a word\n");
}

/* ---- what is accepted ---- */

#define DEFAULTS "root: host\nidentity: self\nnetwork: inherit\nsession: no\n"

static const struct good {
        const char *text, *written;
} good[] = {
        {"", DEFAULTS},
        {"# only a comment\n", DEFAULTS},
        {"---\n", DEFAULTS},
        {"{}\n", DEFAULTS},
        {"view:\n", DEFAULTS},
        {"\xef\xbb\xbfname: web\r\nroot: host\r\n", "name: web\n" DEFAULTS},
        {"--- # c\nname: web\n...\n", "name: web\n" DEFAULTS},
        {"name: 'yes'\n", "name: \"yes\"\n" DEFAULTS},
        {"name: 12\n", "name: \"12\"\n" DEFAULTS},
        {"name: !!str a\n", "name: a\n" DEFAULTS},
        {"view: {'/a''b': hide, '/''': hide, /c: {from: '''/d'}, 'it''s''': share}",
         DEFAULTS "view:\n  \"/a'b\": hide\n  \"/'\": hide\n  /c: {from: \"/d/'/d\"}\n  \"/d/it's'\": share\n"},
        {"view: {\"/a\\tb\": hide}", DEFAULTS "view:\n  \"/a\\tb\": hide\n"},
        {"name: !!binary d2\n  Vi\n", "name: web\n" DEFAULTS},
        {"{\"name\": \"web\", \"session\": false, \"view\": {\"/x\": {\"from\": \"/y\"}}}",
         "name: web\n" DEFAULTS "view:\n  /x: {from: /y}\n"},
        {"root: host\nidentity: root\nnetwork: inherit\nsession: no\n",
         "root: host\nidentity: root\nnetwork: inherit\nsession: no\n"},
        {"root: empty\nidentity: self\nnetwork: none\nsession: true\nhostname: a.b-c\n",
         "root: empty\nidentity: self\nnetwork: none\nsession: yes\nhostname: a.b-c\n"},
        {"network: uplink\n", "root: host\nidentity: self\nnetwork: uplink\nsession: no\n"},
        {"network: {uplink: no}\n", "root: host\nidentity: self\nnetwork: none\nsession: no\n"},
        {"network: {publish: [80, '*:1:2'], uplink: yes}\n",
         "root: host\nidentity: self\nnetwork: {uplink: yes, publish: ['80:80', '*:1:2']}\nsession: no\n"},
        {"limits: {disk: 2048K}\n", "root: host\nidentity: self\nnetwork: inherit\nsession: no\nlimits: {disk: 2M}\n"},
        {"limits: {over: stop, memory: 512M, tasks: 20, cpu: 50, io: 200, files: 1024}\n",
         "root: host\nidentity: self\nnetwork: inherit\nsession: no\n"
         "limits: {memory: 512M, tasks: 20, cpu: 50, io: 200, files: 1024, over: stop}\n"},
        {"limits: {disk: 1000}\n", "root: host\nidentity: self\nnetwork: inherit\nsession: no\nlimits: {disk: 1000}\n"},
        {"root: ./t/.//u//\n", "root: /d/t/u\nidentity: self\nnetwork: inherit\nsession: no\n"},
        {"root: ~\n", "root: \"~\"\nidentity: self\nnetwork: inherit\nsession: no\n"},
        {"root: /\n", "root: /\nidentity: self\nnetwork: inherit\nsession: no\n"},
        {"view:\n  ~: private\n  ~/: private\n  ~/x//./y/: hide\n  .: mirror\n  ./~u: empty\n  ...: empty\n",
         DEFAULTS "view:\n  \"~\": private\n  ~/x/y: hide\n  /d: mirror\n  /d/~u: empty\n  /d/...: empty\n"},
        /* what ".." means is not for the text to decide */
        {"view:\n  ..: share\n  ~/..: hide\n  ~/a/../b/: hide\n  /a/..//b: hide\n  ./x/..: hide\n",
         DEFAULTS "view:\n  /d/..: share\n  ~/..: hide\n  ~/a/../b/: hide\n  /a/..//b: hide\n  /d/./x/..: hide\n"},
        {"view:\n  /z: {from: ./hosts}\n  /a: {union: [x, ~, ~/y/, /z//.]}\n  null: hide\n  1: hide\n", DEFAULTS
         "view:\n  /z: {from: /d/hosts}\n  /a: {union: [/d/x, \"~\", ~/y, /z]}\n  /d/null: hide\n  /d/1: hide\n"},
        {"grants: [printing, ~/p, {path: x, mode: rw, at: /y, for: 1h30m, once: yes, no-exec: true}, {set: keys, to: "
         "chat, locked: yes}]\n"
         "view: {~/D: {grant: rw}}\n",
         DEFAULTS "grants:\n  - {set: printing}\n  - {path: ~/p, mode: ro}\n"
                  "  - {path: /d/x, mode: rw, at: /y, no-exec: yes, once: yes, for: \"5400s\"}\n"
                  "  - {set: keys, to: chat, locked: yes}\n  - {path: ~/D, mode: rw}\n"},
        {"run:\n", DEFAULTS},
        {"run: [date, [/bin/x/y.z, '', 'a b'], {command: [y], restart: on-failure}, {restart: no, name: n, command: "
         "'a; b'}]\n",
         DEFAULTS "run:\n  - name: sh\n    command: [/bin/sh, \"-c\", date]\n    restart: \"no\"\n"
                  "  - name: y.z\n    command: [/bin/x/y.z, \"\", \"a b\"]\n    restart: \"no\"\n"
                  "  - name: \"y\"\n    command: [\"y\"]\n    restart: on-failure\n"
                  "  - name: \"n\"\n    command: [/bin/sh, \"-c\", \"a; b\"]\n    restart: \"no\"\n"},
        {"run: [[sleep, '1'], [sleep, '2'], ['/x/_: y']]\n",
         DEFAULTS "run:\n  - name: sleep\n    command: [sleep, \"1\"]\n    restart: \"no\"\n"
                  "  - name: sleep-2\n    command: [sleep, \"2\"]\n    restart: \"no\"\n"
                  "  - name: \"y\"\n    command: [\"/x/_: y\"]\n    restart: \"no\"\n"},
        {"grants: [{path: /a, until: '2027-01-31T12:00:00Z', plain: yes}]\n",
         DEFAULTS "grants:\n  - {path: /a, mode: ro, plain: yes, until: \"2027-01-31T12:00:00Z\"}\n"},
        {"view:\n  !!binary \"L2NhZuk=\": {from: !!binary L//+}\n  /caf\xc3\xa9: hide\n  \"/a\\u202eb\\u00a0\\\\\": "
         "hide\n",
         DEFAULTS "view:\n  # not UTF-8: /caf\\xe9\n  # not UTF-8: /\\xff\\xfe\n"
                  "  !!binary \"L2NhZuk=\": {from: !!binary \"L//+\"}\n  \"/caf\xc3\xa9\": hide\n"
                  "  \"/a\\u202Eb\\xA0\\\\\": hide\n"},
};

static void test_good(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
                struct environment e;
                cleanup_text struct text problems = {0};
                int result = parse(&e, good[i].text, strlen(good[i].text), &problems);
                if (result)
                        fail_msg("%s\n--- %d ---\n%s", good[i].text, result, problems.data);
                assert_null(problems.data);
                cleanup_free char *written = description_write(&e);
                assert_string_equal(written, good[i].written);
                environment_clear(&e);
        }
}

/* ---- writing and reading are inverse ---- */

static void assert_same(const struct environment *a, const struct environment *b, const char *text)
{
#define SAME_STRING(x, y) (!(x) == !(y) && (!(x) || strcmp((x), (y)) == 0))
        bool same = SAME_STRING(a->name, b->name) && SAME_STRING(a->root_path, b->root_path) &&
                    SAME_STRING(a->hostname, b->hostname) && a->root == b->root && a->network == b->network &&
                    a->session == b->session && a->view.count == b->view.count && a->grants.count == b->grants.count;
        for (size_t i = 0; same && i < a->grants.count; i++)
                same = grant_equal(&a->grants.grants[i], &b->grants.grants[i]);
        same = same && a->program_count == b->program_count;
        for (size_t i = 0; same && i < a->program_count; i++) {
                const struct run_program *x = &a->programs[i], *y = &b->programs[i];
                same = strcmp(x->name, y->name) == 0 && x->restart == y->restart;
                for (size_t n = 0; same && (x->argv[n] || y->argv[n]); n++)
                        same = x->argv[n] && y->argv[n] && strcmp(x->argv[n], y->argv[n]) == 0;
        }
        for (size_t i = 0; same && i < a->view.count; i++) {
                const struct rule *x = &a->view.rules[i], *y = &b->view.rules[i];
                same = x->kind == y->kind && strcmp(x->path, y->path) == 0 && x->source_count == y->source_count &&
                       x->by_default == y->by_default;
                for (size_t s = 0; same && s < x->source_count; s++)
                        same = strcmp(x->sources[s], y->sources[s]) == 0;
        }
        if (!same)
                fail_msg("another environment came back from\n%s", text);
}

/* The same numbers in every run: a failure can be repeated. */
static uint64_t seed;

static unsigned below(unsigned limit)
{
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        return (unsigned)(seed >> 33) % limit;
}

/* A path of one to four components made of what YAML, terminals and UTF-8 decoders stumble over. */
static char *random_path(void)
{
        static const char *const pieces[] = {
                "a", "yes", "null", "1e3", "~", ": ", " #", "- ", "? ", "\n", "\r", "\t", " ", "\"", "'", "\\", "\\n",
                "%", "@", "`", "*a", "&a", "!t", "<<", "|", ">", "[", "]", "{", "}", ",", "=", "---", "...", "#",
                "a: b", "a b", "-", "\x01", "\x1b[31m", "\x7f", "\xc2\x85", "\xc2\xa0", "\xc3\xa9", "\xe2\x80\xae",
                "\xe2\x80\xa8", "\xef\xbb\xbf", "\xef\xbf\xbe", "\xef\xbf\xbf", "\xf0\x9f\x98\x80",
                "\xf3\xa0\x80\x81", "\xf4\x8f\xbf\xbf", "\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                "\xe2\x82"};
        cleanup_text struct text t = {0};
        bool home = !below(4);
        text_add(&t, home ? "~" : "");
        for (unsigned i = below(4) + !home; i; i--) {
                text_add(&t, "/");
                size_t start = t.length;
                do {
                        const char *piece = pieces[below(sizeof pieces / sizeof *pieces)];
                        char byte[2] = {(char)(1 + below(255)), '\0'};
                        text_add(&t, below(4) ? piece : byte[0] == '/' ? "x" : byte);
                } while (below(3));
                for (unsigned n = below(400) ? 0 : below(4000); n; n--)
                        text_add(&t, "0123456789");
                if (strcmp(t.data + start, ".") == 0)
                        text_add(&t, "x");
                text_add(&t, below(40) ? "" : "/..");
        }
        return steal_pointer(&t.data);
}

static void random_environment(struct environment *e)
{
        static const char *const names[] = {"web", "yes", "12", "NULL", "0x1f", "a.b_c-d", "e", "1e9", "On", "true"};
        *e = (struct environment){0};
        if (below(4))
                e->name = memory_string(names[below(10)]);
        if (below(4) == 0)
                e->hostname = memory_string(below(2) ? "a-1.b" : "007");
        e->root = (enum root_kind)below(3);
        if (e->root == ROOT_DIRECTORY)
                e->root_path = random_path();
        e->network = (enum network_kind)below(3);
        e->session = below(2);
        for (unsigned grants = below(4); grants; grants--) {
                cleanup_error struct error err = ERROR_INIT;
                cleanup_grant struct grant g = {.writable = below(2),
                                                .noexec = below(2),
                                                .plain = below(2),
                                                .once = below(2),
                                                .locked = below(2),
                                                .expiry = (enum expiry_kind)below(3)};
                g.seconds = g.expiry ? 1 + below(300000000) : 0;
                g.resource = random_path();
                g.inside = below(2) ? random_path() : NULL;
                g.to = below(3) ? NULL : memory_string("chat");
                grant_list_add(&e->grants, &g, &err); /* a double may be refused */
        }
        for (unsigned programs = below(4); programs; programs--) {
                cleanup_error struct error err = ERROR_INIT;
                cleanup_free char *a = random_path(), *b = random_path();
                const char *const argv[] = {a, below(3) ? b : "", "last"};
                environment_add_program(e, below(2) ? NULL : names[below(10)], argv, 1 + below(3),
                                        (enum restart_policy)below(3), &err); /* a name that is taken is refused */
        }
        for (unsigned rules = below(8); rules; rules--) {
                cleanup_free char *path = random_path();
                cleanup_error struct error err = ERROR_INIT;
                enum rule_kind kind = (enum rule_kind)below(RULE_KINDS);
                char *sources[4];
                size_t count = kind == RULE_FROM ? 1 : kind == RULE_UNION ? 1 + below(4) : 0;
                for (size_t i = 0; i < count; i++)
                        sources[i] = random_path();
                view_add(&e->view, kind, path, (const char *const *)sources, count, &err); /* a double may be refused */
                while (count)
                        free(sources[--count]);
        }
}

static void test_round_trip(void **state)
{
        (void)state;
        seed = 0x9e3779b97f4a7c15;
        for (int i = 0; i < 4000; i++) {
                struct environment e, back;
                random_environment(&e);
                cleanup_free char *text = description_write(&e);
                cleanup_text struct text problems = {0};
                if (parse(&back, text, strlen(text), &problems) < 0)
                        fail_msg("%s\n--- is refused ---\n%s", text, problems.data);
                assert_same(&e, &back, text);
                for (const unsigned char *p = (const unsigned char *)text; *p; p++)
                        if ((*p < ' ' && *p != '\n') || *p == 0x7f)
                                fail_msg("a control character is written as itself: %s", text);
                environment_clear(&e);
                environment_clear(&back);
        }
}

static void test_write_skips_defaults(void **state)
{
        (void)state;
        struct environment e = {0};
        view_add_default(&e.view, RULE_PRIVATE, "/", NULL);
        cleanup_free char *none = description_write(&e);
        assert_string_equal(none, DEFAULTS);
        cleanup_error struct error err = ERROR_INIT;
        assert_int_equal(view_add(&e.view, RULE_SHARE, "/b", NULL, 0, &err), 0);
        assert_int_equal(view_add(&e.view, RULE_HIDE, "/a", NULL, 0, &err), 0);
        cleanup_free char *two = description_write(&e);
        assert_string_equal(two, DEFAULTS "view:\n  /b: share\n  /a: hide\n");
        environment_clear(&e);
}

/* ---- named sets ---- */

static void test_sets(void **state)
{
        (void)state;
        static const char text[] = "printing: [/run/cups/cups.sock, {path: /etc/cups, mode: ro}]\n"
                                   "my-keys:\n  - {path: ~/.ssh/agent, for: 1h}\nnone: []\n";
        cleanup_grant_sets struct grant_sets sets;
        cleanup_text struct text problems = {0};
        cleanup_error struct error err = ERROR_INIT;
        assert_int_equal(grant_sets_parse(&sets, text, strlen(text), "f", "/d", &problems), 0);
        const struct grant_list *found;
        assert_int_equal(grant_sets_find(&sets, "printing", &found, &err), 0);
        assert_int_equal(found->count, 2);
        assert_string_equal(found->grants[1].resource, "/etc/cups");
        assert_string_equal(found->grants[1].set, "printing");
        assert_int_equal(grant_sets_find(&sets, "my-key", &found, &err), -ENOENT);
        assert_non_null(strstr(err.text, "did you mean 'my-keys'?"));

        struct environment e;
        static const char used[] = "grants: [{set: my-keys, to: chat, locked: yes}, {set: printing, for: 2h}, /x, "
                                   "none]\n";
        assert_int_equal(parse(&e, used, strlen(used), &problems), 0);
        cleanup_grant_list struct grant_list expanded;
        error_clear(&err);
        assert_int_equal(grant_sets_expand(&sets, &e.grants, &expanded, &err), 0);
        assert_int_equal(expanded.count, 4);
        assert_string_equal(expanded.grants[0].resource, "~/.ssh/agent");
        assert_string_equal(expanded.grants[0].to, "chat");
        assert_true(expanded.grants[0].locked && expanded.grants[0].seconds == 3600);
        assert_int_equal(expanded.grants[1].seconds, 7200);
        assert_string_equal(expanded.grants[3].resource, "/x");
        environment_clear(&e);

        static const char wrong[] = "a b: [/x]\nc: [d]\ne: 1\n";
        struct grant_sets none;
        assert_int_equal(grant_sets_parse(&none, wrong, strlen(wrong), "f", "/d", &problems), -EINVAL);
        assert_string_equal(problems.data, "f:1:1: 'a b' cannot name a set: a name has 1 to 64 letters, digits, '.', "
                                           "'_' or '-' and begins with a letter or "
                                           "digit\nf:2:5: a set holds no other sets: write the paths\n"
                                           "f:3:4: 'e' takes a list of grants: [NAME, PATH, {path: PATH, mode: rw}]\n");
}

/* ---- limits ---- */

static void test_limits(void **state)
{
        (void)state;
        struct environment e;
        for (unsigned over = 0; over < 2; over++) {
                cleanup_text struct text rules = {0}, list = {0}, problems = {0};
                text_add(&rules, "view:\n");
                for (unsigned i = 0; i < DESCRIPTION_RULE_LIMIT + over; i++)
                        text_addf(&rules, "  /r%u: hide\n", i);
                assert_int_equal(parse(&e, rules.data, rules.length, &problems), over ? -EINVAL : 0);
                if (over)
                        assert_string_equal(problems.data, "f:2:3: a view has no more than 4096 rules\n");
                environment_clear(&e);
                text_clear(&problems);

                text_add(&list, "view: {/u: {union: [/s");
                for (unsigned i = 1; i < DESCRIPTION_SOURCE_LIMIT + over; i++)
                        text_addf(&list, ", /s%u", i);
                text_add(&list, "]}}\n");
                assert_int_equal(parse(&e, list.data, list.length, &problems), over ? -EINVAL : 0);
                environment_clear(&e);
        }
}

/* Hostile texts as long as a file may be end soon, and with a list of problems that can be read. */
static void test_hostile_size(void **state)
{
        (void)state;
        static const char *const repeated[] = {"a:\n",   "- ",   "[",   "{",  "{a: ",  "? ",          "a: b\n",
                                               "&a ",    "*a\n", "#\n", "\"", "\xff",  "\xffx",       "[a,",
                                               "!!str ", "a\n",  " ",   "\n", "---\n", "a: [b, c]\n", "\x01y",
                                               "- a\n",  "''",   "%",   "\t", "|\n",   "x: *a\n",     "- !x a\n"};
        for (size_t i = 0; i < sizeof repeated / sizeof *repeated; i++) {
                struct environment e;
                cleanup_text struct text text = {0}, problems = {0};
                while (text.length + strlen(repeated[i]) <= DESCRIPTION_SIZE_LIMIT / 4)
                        text_add(&text, repeated[i]);
                parse(&e, text.data, text.length, &problems);
                size_t lines = 0;
                for (const char *p = problems.data; p && (p = strchr(p, '\n')); p++)
                        lines++;
                assert_in_range(lines, 0, 1001);
                environment_clear(&e);
        }
        struct environment e;
        cleanup_text struct text text = {0}, problems = {0};
        text_add(&text, "a0: &a0 [x, x]\n");
        for (int i = 1; i < 64; i++)
                text_addf(&text, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1, i - 1, i - 1);
        assert_int_equal(parse(&e, text.data, text.length, &problems), -EINVAL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bad),        cmocka_unit_test(test_silent),
                cmocka_unit_test(test_origin),     cmocka_unit_test(test_good),
                cmocka_unit_test(test_round_trip), cmocka_unit_test(test_write_skips_defaults),
                cmocka_unit_test(test_sets), cmocka_unit_test(test_limits),     cmocka_unit_test(test_hostile_size),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
