// SPDX-License-Identifier: GPL-3.0-or-later
/* Changes of a view as init receives them (plan/wire.c): any bytes; and what is taken is written back to something that
 * is taken. */
#include "base/cleanup.h"
#include "plan/change.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        cleanup_free char *text = memory_new(size + 1);
        memcpy(text, data, size);
        cleanup_error struct error err = ERROR_INIT;
        struct plan_change change, again;
        struct plan made, made_again;
        if (plan_change_decode(text, &change, &made, &err) < 0)
                return 0;
        cleanup_free char *written = plan_change_encode(&change, &made.slots);
        if (plan_change_decode(written, &again, &made_again, &err) < 0)
                __builtin_trap();
        if (again.count != change.count || again.name_count != change.name_count || again.after != change.after)
                __builtin_trap();
        plan_change_clear(&again);
        plan_clear(&made_again);
        plan_change_clear(&change);
        plan_clear(&made);
        return 0;
}
