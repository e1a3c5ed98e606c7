// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * env/NAME/audit.jsonl: what became of every right, a JSON object a line, only ever added to. Names appear as paddock
 * shows them (text_escape()).
 */
#include "base/cleanup.h"
#include "base/text.h"
#include "warden/rights.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>

int audit_open(int directory)
{
        return openat(directory, "audit.jsonl", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static void add(struct text *t, const char *key, const char *value)
{
        if (!value)
                return;
        cleanup_free char *shown = text_escape(value);
        text_addf(t, ", \"%s\": \"", key);
        for (const char *p = shown; *p; p++)
                text_addf(t, *p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
        text_add(t, "\"");
}

static void add_time(struct text *t, const char *key, time_t when)
{
        struct tm tm;
        char text[32];
        if (!gmtime_r(&when, &tm) || !strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm))
                return;
        text_addf(t, "%s\"%s\": \"%s\"", t->length > 1 ? ", " : "", key, text);
}

static void add_right(struct text *t, const struct right *r)
{
        if (r->id)
                text_addf(t, ", \"id\": %llu", (unsigned long long)r->id);
        add(t, "resource", r->grant.resource);
        add(t, "inside", r->grant.inside);
        add(t, "kind", resource_word(r->grant.kind));
        add(t, "mode", mode_word(r->grant.writable));
        add(t, "type", r->grant.plain ? "plain" : "revocable");
        add(t, "by", r->by);
        add(t, "ended-by", r->ended_by);
        add(t, "set", r->grant.set);
        add(t, "to", r->grant.to);
        if (r->grant.expiry == EXPIRY_TIME)
                add_time(t, "until", (time_t)r->grant.seconds);
        if (r->lost)
                text_addf(t, ", \"lost\": %llu", (unsigned long long)r->lost);
}

void audit(struct grants *g, const char *event, const struct right *r, const char *text)
{
        cleanup_text struct text t = {0};
        if (g->audit < 0)
                return;
        text_add(&t, "{");
        add_time(&t, "time", time(NULL));
        add(&t, "event", event);
        if (r)
                add_right(&t, r);
        add(&t, "text", text);
        text_add(&t, "}\n");
        (void)!write(g->audit, t.data, t.length); /* on a full disk nothing else is held up by it */
}
