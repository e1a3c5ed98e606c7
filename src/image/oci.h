// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The texts of an OCI image layout (image-spec 1.1) and of a docker archive: what they name is only text here, and
 * checked to be a SHA-256 or a name of one of the few shapes that such archives have. Nothing here opens a file.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OCI_TEXT_LIMIT (4 << 20) /* bytes of a JSON text, as registries have it */
#define OCI_LAYERS 512           /* more than any builder makes */

struct oci_blob {
        char *name;     /* relative to the layout: "blobs/sha256/HEX", "HEX.tar", "HEX/layer.tar" */
        char digest[65]; /* "" where nothing says it */
        int64_t size;   /* -1: not said */
};

struct oci_image {
        struct oci_blob config;
        struct oci_blob *layers; /* the lowest first */
        char (*diff_ids)[65];    /* SHA-256 of each layer as it is unpacked */
        size_t layer_count, diff_count, capacity;
        char *architecture; /* as uname -m has it where it is known */
        char *title;        /* the tag */
};

/* Is this a name that a layout or a docker archive has at its top? "oci-layout", "blobs/sha256/HEX", "HEX.json",
 * ... */
bool oci_is_part(const char *name);

/* What an index.json, or an index that it names, leads to: `next` is a manifest, or another index (*again). `tag`
 * chooses among several images, NULL when there is only one; `machine` is this one's, as uname -m has it. */
int oci_index(const char *text, size_t size, const char *tag, const char *machine, struct oci_blob *next, bool *again,
              char **title, struct error *err);
/* A manifest: config and layers. */
int oci_manifest(const char *text, size_t size, struct oci_image *image, struct error *err);
/* The manifest.json of a docker archive. */
int oci_docker(const char *text, size_t size, const char *tag, struct oci_image *image, struct error *err);
/* The config: architecture and what the layers are unpacked. */
int oci_config(const char *text, size_t size, struct oci_image *image, struct error *err);

void oci_blob_clear(struct oci_blob *blob);
void oci_clear(struct oci_image *image);
