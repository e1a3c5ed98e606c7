// SPDX-License-Identifier: GPL-3.0-or-later
/* How much disk a layer takes: see size.h. */
#include "layer/size.h"

#include "base/cleanup.h"
#include "layer/files.h"
#include "layer/links.h"
#include "model/chain.h"

#include <fcntl.h>
#include <string.h>

#define DEPTH 2000 /* directories inside each other that are looked at */

static uint64_t size_below(int dir, struct links *links, int depth)
{
        int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cleanup_dir DIR *list = copy < 0 ? NULL : fdopendir(copy);
        struct dirent *entry;
        uint64_t size = 0;
        while (list && (entry = readdir(list))) {
                struct meta meta;
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                    files_look(dir, entry->d_name, true, &meta) < 0 || meta.type == META_NONE)
                        continue;
                if (meta.type == META_DIRECTORY && depth < DEPTH) {
                        cleanup_close int sub = files_open_directory(dir, entry->d_name);
                        size += sub < 0 ? 0 : size_below(sub, links, depth + 1);
                } else if (meta.links > 1 && links_first(links, meta.device, meta.inode, "", 0)) {
                        continue;
                }
                size += meta.blocks * 512;
        }
        return size;
}

static uint64_t size_of(int dir, const char *name)
{
        struct links links = {0};
        cleanup_close int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        uint64_t size = fd < 0 ? 0 : size_below(fd, &links, 0);
        links_clear(&links);
        return size;
}

int layer_size(int environment, struct layer_size *size, struct error *err)
{
        cleanup_chain struct chain chain = {0};
        int result = chain_load(environment, "layer/chain", &chain, err);
        *size = (struct layer_size){.own = size_of(environment, "layer")};
        for (size_t i = 0; i < chain.count; i++) {
                cleanup_free char *name = memory_format("../../frozen/%s/layer", chain.ids[i]);
                size->shared += size_of(environment, name);
        }
        return result;
}
