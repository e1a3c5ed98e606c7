// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Any bytes as an archive, and as the texts of an image. What an archive gives is in bounds and ends; a name that a
 * manifest gives has one of the few shapes that such names have, whatever the text says.
 *
 *      clang -fsanitize=fuzzer,address ... tests/fuzz/fuzz_image.c
 */
#include "image/archive.h"
#include "image/oci.h"

#include "base/cleanup.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good, const char *what)
{
        if (!good) {
                fprintf(stderr, "fuzz_image: %s\n", what);
                abort();
        }
}

static void read_archive(const uint8_t *data, size_t size)
{
        cleanup_file FILE *file = fmemopen((void *)data, size, "r");
        cleanup_error struct error err = ERROR_INIT;
        struct archive a;
        char buffer[4096];
        archive_begin(&a, file);
        while (file && archive_next(&a, &err) > 0) {
                check(a.entry.name && a.entry.link && memchr("0123456", a.entry.type, 7),
                      "an entry without a name or type");
                check(a.entry.mode <= 07777 && a.at <= size, "an entry out of bounds");
                if (a.entry.size % 2)
                        (void)!archive_read(&a, buffer, sizeof buffer, &err);
        }
        archive_end(&a);
}

static void check_blob(const struct oci_blob *blob)
{
        check(!blob->name || oci_is_part(blob->name), "a name of another shape");
        check(!blob->name || !strstr(blob->name, ".."), "a name that leads up");
        check(!blob->digest[0] || strspn(blob->digest, "0123456789abcdef") == 64, "no digest");
}

static void read_texts(const char *text, size_t size)
{
        cleanup_error struct error err = ERROR_INIT;
        struct oci_image image = {0};
        struct oci_blob next = {.size = -1};
        cleanup_free char *title = NULL;
        bool again;
        oci_index(text, size, NULL, "x86_64", &next, &again, &title, &err);
        check_blob(&next);
        oci_blob_clear(&next);
        for (int form = 0; form < 2; form++) {
                int result = form ? oci_docker(text, size, NULL, &image, &err) : oci_manifest(text, size, &image, &err);
                check_blob(&image.config);
                for (size_t i = 0; i < image.layer_count; i++)
                        check_blob(&image.layers[i]);
                if (result == 0 && oci_config(text, size, &image, &err) == 0)
                        check(image.diff_count == image.layer_count, "layers without digests");
                oci_clear(&image);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        cleanup_free char *text = memory_new(size + 1);
        memcpy(text, data, size);
        read_archive(data, size);
        read_texts(text, size);
        return 0;
}
