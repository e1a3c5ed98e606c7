// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The limit on memory, where nothing enforces it: init is asked again and again what its processes have, since the
 * warden may not list processes. When it is passed that is told, and done what the user said. Told once, and again
 * after it was kept.
 */
#include "warden/inner.h"

#include "base/cleanup.h"

#include <signal.h>

#define EVERY 1000       /* ms between an answer and the next question */
#define STOP_GRACE 10000 /* ms */

static void act(struct warden *w, uint64_t has)
{
        static const char *const done[] = {[OVER_TELL] = "watched, not enforced",
                                           [OVER_STOP] = "it is stopped",
                                           [OVER_FREEZE] = "it is frozen"};
        char line[200], size[SIZE_WORD];
        int n = snprintf(line, sizeof line, "[its processes have %llu MiB of memory, more than their limit of %s: %s]",
                         (unsigned long long)has >> 20, size_to_word(w->memory, size), done[w->over]);
        log_line(&w->log, "paddock", line, (size_t)n);
        char shown[240];
        snprintf(shown, sizeof shown, "\r\n%s\r\n", line);
        console_line(w, shown);
        struct order freeze = ORDER_INIT(ORDER_SIGNAL, 0, SIGSTOP, 0);
        if (w->over == OVER_STOP)
                warden_stop(w, STOP_GRACE);
        else if (w->over == OVER_FREEZE)
                host_order(w->init_socket, &freeze, NULL, 0);
}

static void measured(void *context, struct outcome_of_order *outcome)
{
        struct warden *w = context;
        w->measure_at = host_clock() + EVERY;
        if (outcome->result < 0 || w->stopping)
                return;
        w->memory_used = (uint64_t)outcome->handle << 10;
        bool over = w->memory_used > w->memory;
        if (over && !w->memory_told)
                act(w, w->memory_used);
        w->memory_told = over;
}

int64_t limits_deadline(const struct warden *w)
{
        return w->memory && !w->stopping ? w->measure_at : -1;
}

void limits_due(struct warden *w, int64_t now)
{
        if (!w->memory || w->stopping || w->measure_at < 0 || now < w->measure_at)
                return;
        w->measure_at = -1; /* until there is an answer */
        warden_measure(w, measured, w);
}
