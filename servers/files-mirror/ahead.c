// SPDX-License-Identifier: GPL-3.0-or-later
/* What is asked for before somebody waits for it: see ahead.h. */
#include "ahead.h"

#include "control.h"
#include "hold.h"
#include "readahead.h"
#include "serve.h"

#include "base/cleanup.h"

#define LOOKED_UP 8       /* names found one by one in a directory, after which the rest is worth a listing */
#define LOOKED_UP_AGAIN 2 /* the same where that has happened beside it */
#define SEVERAL 3         /* directories that were gone through make a walk */
#define LEVELS 3          /* so far above it they may lie side by side */
#define NAMES 512U        /* for a beginning */
#define DOUBLED 5U        /* so often at most */

/* Somebody goes through `node`: counts it in the directory above, and that one in those above it if it is the first
 * there. */
static void count(struct mirror *m, const struct node *node, size_t counter)
{
        struct node *above = node_parent(&m->tree, node);
        for (int i = 0; above && i < LEVELS; i++, above = node_parent(&m->tree, above)) {
                uint8_t *number = (uint8_t *)above + counter;
                if (*number < UINT8_MAX)
                        ++*number;
                if (*number > 1)
                        break;
        }
}

/* How often that was counted where it was counted most, above `node`; *up: how far above it was enough. */
static unsigned most(struct mirror *m, const struct node *node, size_t counter, unsigned *up)
{
        unsigned result = 0, level = 1;
        *up = 0;
        const struct node *above = node_parent(&m->tree, node);
        for (; above && level <= LEVELS; level++, above = node_parent(&m->tree, above)) {
                unsigned number = ((const uint8_t *)above)[counter];
                if (number >= SEVERAL)
                        *up = level;
                result = number > result ? number : result;
        }
        return result;
}

/* Asks for what comes after `node`. Lock held. */
static void walk(struct mirror *m, const struct node *node, char order)
{
        unsigned up, often = most(m, node, offsetof(struct node, walked), &up);
        cleanup_free char *path = node_path(&m->tree, node);
        const char *name = path && path[1] ? path + 1 : ".";
        bool crowded = m->tree.count > m->node_limit / 2;
        if (!path)
                return;
        /* Who lists is served a directory at a time anyway: that somebody else does it takes time only off another
         * processor. */
        bool worth = order == 'n' || serve_is_quiet(m);
        if (often >= SEVERAL && !crowded && worth)
                control_walk(m, order, NAMES << (often - SEVERAL < DOUBLED ? often - SEVERAL : DOUBLED), up, name);
        else if (order == 'n')
                control_list(m, name);
}

void ahead_looked_up(struct mirror *m, uint64_t directory)
{
        unsigned up;
        pthread_mutex_lock(&m->tree.lock);
        struct node *node = node_find(&m->tree, directory);
        if (node && !node->listed && node->watch > 0) {
                bool again = most(m, node, offsetof(struct node, walked), &up) >= SEVERAL;
                if (++node->looked_up >= (again ? LOOKED_UP_AGAIN : LOOKED_UP)) {
                        node->listed = true;
                        node->awaited = again;
                        count(m, node, offsetof(struct node, walked));
                        walk(m, node, 'n');
                }
        }
        pthread_mutex_unlock(&m->tree.lock);
}

void ahead_listing(struct mirror *m, uint64_t directory, pid_t pid, unsigned changes)
{
        bool asked = pid && pid == atomic_load(&m->lister);
        pthread_mutex_lock(&m->tree.lock);
        struct node *node = node_find(&m->tree, directory);
        if (node && node->watch > 0 && !asked &&
            !node->complete) { /* if it is listed already, the walker has caught up */
                if (!node->listed)
                        count(m, node, offsetof(struct node, walked));
                walk(m, node, 'w');
        }
        if (node && node->watch > 0) {
                node->listed = true;
                node->complete = false;
                node->changes = changes;
                node->awaited = false;
        }
        pthread_mutex_unlock(&m->tree.lock);
        hold_release(m, directory);
}

bool ahead_is_listed(struct mirror *m, uint64_t directory, unsigned changes)
{
        pthread_mutex_lock(&m->tree.lock);
        const struct node *node = node_find(&m->tree, directory);
        bool result = node && node->listed && !node->complete && node->changes == changes;
        pthread_mutex_unlock(&m->tree.lock);
        return result;
}

void ahead_listed(struct mirror *m, uint64_t directory)
{
        unsigned up;
        pthread_mutex_lock(&m->tree.lock);
        struct node *node = node_find(&m->tree, directory);
        if (node)
                node->complete = node->listed;
        bool wanted = node && node->watch > 0 && most(m, node, offsetof(struct node, read), &up) >= SEVERAL;
        pthread_mutex_unlock(&m->tree.lock);
        if (wanted)
                readahead_directory(m, directory);
}

bool ahead_read(struct mirror *m, uint64_t directory)
{
        unsigned up;
        pthread_mutex_lock(&m->tree.lock);
        const struct node *node = node_find(&m->tree, directory);
        if (node)
                count(m, node, offsetof(struct node, read));
        bool several = node && most(m, node, offsetof(struct node, read), &up) >= SEVERAL;
        pthread_mutex_unlock(&m->tree.lock);
        return several;
}
