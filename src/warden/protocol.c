// SPDX-License-Identifier: GPL-3.0-or-later
/* Messages of the control socket, written and read: see protocol.h. */
#include "warden/protocol.h"

#include "base/cleanup.h"

#include <string.h>

struct field {
        uint16_t tag, length;
};

void message_begin(struct message_out *m, void *data, size_t room, enum message_type type, unsigned flags,
                   uint32_t serial)
{
        *m = (struct message_out){.data = data, .room = room < MESSAGE_LIMIT ? room : MESSAGE_LIMIT};
        struct message_header header = {.magic = MESSAGE_MAGIC | MESSAGE_VERSION,
                                        .type = (uint16_t)type,
                                        .flags = (uint16_t)flags,
                                        .serial = serial};
        m->full = m->room < sizeof header;
        if (m->full)
                return;
        memcpy(m->data, &header, sizeof header);
        m->length = sizeof header;
}

void message_bytes(struct message_out *m, enum message_tag tag, const void *bytes, size_t length)
{
        if (m->full || length > UINT16_MAX || m->room - m->length < sizeof(struct field) + length) {
                m->full = true;
                return;
        }
        struct field field = {(uint16_t)tag, (uint16_t)length};
        memcpy(m->data + m->length, &field, sizeof field);
        if (length)
                memcpy(m->data + m->length + sizeof field, bytes, length);
        m->length += sizeof field + length;
}

void message_number(struct message_out *m, enum message_tag tag, uint64_t number)
{
        message_bytes(m, tag, &number, sizeof number);
}

void message_text(struct message_out *m, enum message_tag tag, const char *text)
{
        if (text)
                message_bytes(m, tag, text, strlen(text));
}

int message_end(struct message_out *m)
{
        if (m->full)
                return -EMSGSIZE;
        uint32_t length = (uint32_t)(m->length - sizeof(struct message_header));
        memcpy(m->data + offsetof(struct message_header, length), &length, sizeof length);
        return (int)m->length;
}

int message_parse(struct message *m, const void *data, size_t size)
{
        *m = (struct message){0};
        if (size < sizeof m->header || size > MESSAGE_LIMIT)
                return -EBADMSG;
        memcpy(&m->header, data, sizeof m->header);
        if ((m->header.magic & ~0xFFu) != MESSAGE_MAGIC)
                return -EBADMSG;
        if (message_version(m) != MESSAGE_VERSION)
                return -EPROTO;
        if (m->header.length != size - sizeof m->header)
                return -EBADMSG;
        m->fields = (const unsigned char *)data + sizeof m->header;
        m->length = m->header.length;
        size_t offset = 0, length;
        unsigned tag;
        const unsigned char *bytes;
        while (message_next(m, &offset, &tag, &bytes, &length))
                ;
        if (offset == m->length)
                return 0;
        *m = (struct message){.header = m->header};
        return -EBADMSG;
}

unsigned message_version(const struct message *m)
{
        return m->header.magic & 0xFFu;
}

bool message_next(const struct message *m, size_t *offset, unsigned *tag, const unsigned char **bytes, size_t *length)
{
        struct field field;
        if (m->length - *offset < sizeof field)
                return false;
        memcpy(&field, m->fields + *offset, sizeof field);
        if (m->length - *offset - sizeof field < field.length)
                return false;
        *tag = field.tag;
        *bytes = m->fields + *offset + sizeof field;
        *length = field.length;
        *offset += sizeof field + field.length;
        return true;
}

static bool find(const struct message *m, enum message_tag tag, const unsigned char **bytes, size_t *length)
{
        size_t offset = 0;
        unsigned found;
        while (message_next(m, &offset, &found, bytes, length))
                if (found == (unsigned)tag)
                        return true;
        return false;
}

bool message_get_number(const struct message *m, enum message_tag tag, uint64_t *number)
{
        const unsigned char *bytes;
        size_t length;
        if (!find(m, tag, &bytes, &length) || length != sizeof *number)
                return false;
        memcpy(number, bytes, sizeof *number);
        return true;
}

char *message_get_text(const struct message *m, enum message_tag tag, size_t limit)
{
        const unsigned char *bytes;
        size_t length;
        if (!find(m, tag, &bytes, &length) || length > limit || memchr(bytes, '\0', length))
                return NULL;
        char *text = memory_new(length + 1);
        memcpy(text, bytes, length);
        return text;
}

#define ERROR_TEXT 4096 /* no message for people is longer */

static void add_limited(struct message_out *m, enum message_tag tag, const char *text)
{
        if (text)
                message_bytes(m, tag, text, strnlen(text, ERROR_TEXT));
}

int message_end_error(struct message_out *m, uint32_t serial, const struct error *err)
{
        message_begin(m, m->data, m->room, MESSAGE_ERROR, MESSAGE_ANSWER, serial);
        message_number(m, TAG_CODE, (uint64_t)(err->code > 0 ? err->code : EIO));
        add_limited(m, TAG_TEXT, err->text);
        add_limited(m, TAG_REMEDY, err->remedy);
        return message_end(m);
}

int message_error(const struct message *m, struct error *err)
{
        uint64_t code = 0;
        if (m->header.type != MESSAGE_ERROR || !message_get_number(m, TAG_CODE, &code) || code == 0 || code > 4095)
                code = EPROTO;
        cleanup_free char *text = message_get_text(m, TAG_TEXT, ERROR_TEXT),
                          *remedy = message_get_text(m, TAG_REMEDY, ERROR_TEXT);
        error_set(err, (int)code, "%s", text ? text : "the warden gave no reason");
        return remedy ? error_remedy(err, "%s", remedy) : -err->code;
}
