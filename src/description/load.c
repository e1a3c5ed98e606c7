// SPDX-License-Identifier: GPL-3.0-or-later
/* Reading the file of a description: see description.h. */
#include "description/description.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "description/parser.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* Reads `fd` to its end into `content`. Returns 0, EFBIG past the limit, or the errno of a failed read. */
static int read_all(int fd, struct text *content)
{
        static const size_t piece = 65536;
        cleanup_free char *buffer = memory_new(piece);
        text_add(content, "");
        for (;;) {
                ssize_t n = read(fd, buffer, piece);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n ? errno : 0;
                if (content->length + (size_t)n > DESCRIPTION_SIZE_LIMIT)
                        return EFBIG;
                text_add_bytes(content, buffer, (size_t)n);
        }
}

/* The directory that relative names in `file` start from, in fresh memory; NULL with errno when there is none. */
static char *directory_of(const char *file, bool regular)
{
        const char *slash = regular ? strrchr(file, '/') : NULL;
        cleanup_free char *directory = slash == file ? memory_string("/") : slash ? memory_string(file) : NULL;
        if (slash && slash != file)
                directory[slash - file] = '\0';
        /* Resolved, so that ".." in the description means what it means to the kernel. */
        return realpath(directory ? directory : ".", NULL);
}

int description_read(const char *file, struct text *content, char **directory, struct error *err)
{
        bool standard = strcmp(file, "-") == 0;
        cleanup_free char *name = text_escape(standard ? "<stdin>" : file);

        cleanup_close int opened = standard ? -1 : open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (!standard && opened < 0)
                return error_sys(err, errno, "cannot read the description %s", name);
        int fd = standard ? STDIN_FILENO : opened;
        struct stat st;
        if (fstat(fd, &st) < 0)
                return error_sys(err, errno, "cannot read the description %s", name);

        int code = read_all(fd, content);
        if (code == EFBIG)
                return error_set(err, EFBIG, "%s is too big for a description: the limit is %d KiB", name,
                                 DESCRIPTION_SIZE_LIMIT / 1024);
        if (code)
                return error_sys(err, code, "cannot read the description %s", name);
        *directory = directory_of(file, !standard && S_ISREG(st.st_mode));
        if (!*directory)
                return error_sys(err, errno, "cannot tell which directory the names in %s are relative to", name);
        return 0;
}

int description_load(struct environment *e, const char *file, struct text *problems, struct error *err)
{
        const char *origin = strcmp(file, "-") == 0 ? "<stdin>" : file;
        cleanup_text struct text content = {0};
        cleanup_free char *directory = NULL;
        *e = (struct environment){0};
        int result = description_read(file, &content, &directory, err);
        if (result < 0)
                return result;
        cleanup_free char *name = text_escape(origin);
        if (description_parse(e, content.data, content.length, origin, directory, problems) < 0)
                return error_set(err, EINVAL, "%s does not describe an environment", name);
        return 0;
}
