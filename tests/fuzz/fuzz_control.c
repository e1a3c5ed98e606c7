// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Any bytes as a message of the control socket. Either it is refused, or all of its fields lie in it, and a message of
 * the same fields is the same bytes.
 *
 *      clang -fsanitize=fuzzer,address ... tests/fuzz/fuzz_control.c
 */
#include "warden/protocol.h"

#include "base/cleanup.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good, const char *what)
{
        if (!good) {
                fprintf(stderr, "fuzz_control: %s\n", what);
                abort();
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        /* Memory of exactly that size: the sanitizer sees whatever looks behind it. */
        cleanup_free unsigned char *bytes = memory_new(size ? size : 1);
        memcpy(bytes, data, size);
        struct message m;
        if (message_parse(&m, bytes, size) < 0) {
                check(m.length == 0, "fields of a message that was refused");
                return 0;
        }
        cleanup_free unsigned char *again = memory_new(MESSAGE_LIMIT);
        struct message_out out;
        message_begin(&out, again, MESSAGE_LIMIT, (enum message_type)m.header.type, m.header.flags, m.header.serial);
        size_t offset = 0, length;
        unsigned tag;
        const unsigned char *field;
        while (message_next(&m, &offset, &tag, &field, &length)) {
                check(field >= m.fields && field + length <= m.fields + m.length, "a field outside of its message");
                message_bytes(&out, (enum message_tag)tag, field, length);
                uint64_t number = 0;
                bool is_number = message_get_number(&m, (enum message_tag)tag, &number);
                cleanup_free char *text = message_get_text(&m, (enum message_tag)tag, 100);
                check(!text || strlen(text) <= 100, "a text longer than allowed");
                check(!is_number || size >= sizeof number, "a number out of nothing");
        }
        check(message_end(&out) == (int)size && memcmp(again, bytes, size) == 0, "written again it is another message");
        cleanup_error struct error err = ERROR_INIT;
        check(message_error(&m, &err) < 0 && err.text, "an error without a text");
        int written = message_end_error(&out, 7, &err);
        check(written > 0 && message_parse(&m, again, (size_t)written) == 0, "an error that cannot be sent");
        return 0;
}
