// SPDX-License-Identifier: GPL-3.0-or-later
/* Manifests of images: see oci.h. */
#include "image/oci.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <jansson.h>
#include <string.h>

static void json_drop(json_t **json)
{
        json_decref(*json);
}
#define cleanup_json __attribute__((cleanup(json_drop)))

static bool is_hex(const char *text, size_t n)
{
        return strspn(text, "0123456789abcdef") == n;
}

bool oci_is_part(const char *name)
{
        static const char *const whole[] = {"oci-layout",   "index.json", "manifest.json", "repositories", "blobs",
                                            "blobs/sha256", NULL};
        for (const char *const *one = whole; *one; one++)
                if (strcmp(name, *one) == 0)
                        return true;
        if (strncmp(name, "blobs/sha256/", 13) == 0)
                return is_hex(name + 13, 64) && !name[77];
        if (strspn(name, "0123456789abcdef") != 64)
                return false;
        static const char *const ends[] = {"", ".json", ".tar", "/layer.tar", "/json", "/VERSION", NULL};
        for (const char *const *end = ends; *end; end++)
                if (strcmp(name + 64, *end) == 0)
                        return true;
        return false;
}

/* "sha256:HEX" of a descriptor, and its size. */
static int take_digest(const char *digest, char hex[65], struct error *err)
{
        if (!digest)
                return error_set(err, EINVAL, "a part of it has no digest");
        cleanup_free char *shown = text_escape(digest);
        if (strncmp(digest, "sha256:", 7) != 0)
                return error_set(err, EOPNOTSUPP, "a part of it has the digest %.100s, and only sha256 is known here",
                                 shown);
        if (!is_hex(digest + 7, 64) || digest[71])
                return error_set(err, EINVAL, "%.100s is no digest", shown);
        snprintf(hex, 65, "%s", digest + 7);
        return 0;
}

static int take_descriptor(const json_t *descriptor, struct oci_blob *blob, struct error *err)
{
        const json_t *size = json_object_get(descriptor, "size");
        int result = take_digest(json_string_value(json_object_get(descriptor, "digest")), blob->digest, err);
        if (result < 0)
                return result;
        blob->name = memory_format("blobs/sha256/%s", blob->digest);
        blob->size = json_is_integer(size) && json_integer_value(size) >= 0 ? (int64_t)json_integer_value(size) : -1;
        return 0;
}

static json_t *parse(const char *text, size_t size, const char *what, struct error *err)
{
        json_error_t problem;
        json_t *json = size > OCI_TEXT_LIMIT ? NULL : json_loadb(text, size, JSON_REJECT_DUPLICATES, &problem);
        if (json)
                return json;
        if (size > OCI_TEXT_LIMIT) {
                error_set(err, EFBIG, "%s is larger than such a text is", what);
        } else {
                cleanup_free char *shown = text_escape(problem.text);
                error_set(err, EINVAL, "%s is no JSON: line %d: %.200s", what, problem.line, shown);
        }
        return NULL;
}

/* Go's names of machines, which the specification takes. */
static const struct {
        const char *go, *uname;
} machines[] = {{"amd64", "x86_64"},    {"arm64", "aarch64"},   {"386", "i686"},    {"arm", "armv7l"},
                {"riscv64", "riscv64"}, {"ppc64le", "ppc64le"}, {"s390x", "s390x"}, {"loong64", "loongarch64"}};

static const char *machine_of(const char *go)
{
        for (size_t i = 0; go && i < sizeof machines / sizeof *machines; i++)
                if (strcmp(machines[i].go, go) == 0)
                        return machines[i].uname;
        return go;
}

static const char *tag_of(const json_t *descriptor)
{
        return json_string_value(
                json_object_get(json_object_get(descriptor, "annotations"), "org.opencontainers.image.ref.name"));
}

/* Is a tag the one that was asked for: the whole, or what stands behind its last ':'? */
static bool is_tag(const char *have, const char *want)
{
        if (!have)
                return false;
        const char *colon = strrchr(have, ':');
        return strcmp(have, want) == 0 || (colon && strcmp(colon + 1, want) == 0);
}

static int several(const char *tags, const char *want, struct error *err)
{
        cleanup_free char *shown = text_escape(tags);
        if (want) {
                cleanup_free char *asked = text_escape(want);
                error_set(err, ENOENT, "there is no image '%s' in it for this machine", asked);
                return error_remedy(err, "there are: %.400s", shown);
        }
        error_set(err, EINVAL, "there are several images in it");
        return error_remedy(err, "choose one with --tag: %.400s", shown);
}

int oci_index(const char *text, size_t size, const char *tag, const char *machine, struct oci_blob *next, bool *again,
              char **title, struct error *err)
{
        cleanup_json json_t *json = parse(text, size, "the index", err);
        if (!json)
                return -err->code;
        const json_t *manifests = json_object_get(json, "manifests"), *one, *chosen = NULL;
        if (!json_is_array(manifests))
                return error_set(err, EINVAL, "the index lists no images");
        cleanup_text struct text tags = {0}, others = {0};
        unsigned fitting = 0;
        size_t i;
        json_array_foreach(manifests, i, one) {
                const json_t *platform = json_object_get(one, "platform");
                const char *go = json_string_value(json_object_get(platform, "architecture"));
                const char *os = json_string_value(json_object_get(platform, "os"));
                if ((go && strcmp(machine_of(go), machine) != 0) || (os && strcmp(os, "linux") != 0)) {
                        text_addf(&others, "%s%.40s", others.length ? ", " : "", go ? go : os);
                        continue;
                }
                if (tags.length < 1000)
                        text_addf(&tags, "%s%.100s", tags.length ? " " : "",
                                  tag_of(one) ? tag_of(one) : "(without a tag)");
                if (tag && !is_tag(tag_of(one), tag))
                        continue;
                fitting++;
                chosen = chosen ? chosen : one;
        }
        if (!fitting && others.length && !tags.length) {
                cleanup_free char *shown = text_escape(others.data);
                return error_set(err, ENOEXEC, "it has nothing for this machine (%s), only for: %.400s", machine,
                                 shown);
        }
        if (!fitting && !tags.length)
                return error_set(err, ENOENT, "there is no image in it");
        if (fitting != 1)
                return several(tags.data, tag, err);
        const char *type = json_string_value(json_object_get(chosen, "mediaType"));
        *again = type && (strcmp(type, "application/vnd.oci.image.index.v1+json") == 0 ||
                          strcmp(type, "application/vnd.docker.distribution.manifest.list.v2+json") == 0);
        if (tag_of(chosen)) {
                free(*title);
                *title = memory_string(tag_of(chosen));
        }
        return take_descriptor(chosen, next, err);
}

static struct oci_blob *add_layer(struct oci_image *image)
{
        struct oci_blob *blob = vector_add(image->layers, image->layer_count, image->capacity);
        blob->size = -1;
        return blob;
}

static int check_layers(const json_t *layers, struct error *err)
{
        if (!json_is_array(layers) || json_array_size(layers) == 0)
                return error_set(err, EINVAL, "its manifest names no layers");
        if (json_array_size(layers) > OCI_LAYERS)
                return error_set(err, E2BIG, "it has %zu layers, and no more than %d are taken",
                                 json_array_size(layers), OCI_LAYERS);
        return 0;
}

int oci_manifest(const char *text, size_t size, struct oci_image *image, struct error *err)
{
        cleanup_json json_t *json = parse(text, size, "the manifest", err);
        if (!json)
                return -err->code;
        const json_t *layers = json_object_get(json, "layers"), *one;
        int result = check_layers(layers, err);
        if (result == 0)
                result = take_descriptor(json_object_get(json, "config"), &image->config, err);
        size_t i;
        json_array_foreach(layers, i, one)
                if (result == 0)
                        result = take_descriptor(one, add_layer(image), err);
        return result;
}

/* A name in a docker archive; where it is a digest, that is what the content must have. */
static int take_part(const json_t *json, bool config, struct oci_blob *blob, struct error *err)
{
        const char *name = json_string_value(json);
        cleanup_free char *shown = text_escape(name ? name : "nothing");
        if (!name || !oci_is_part(name))
                return error_set(err, EINVAL, "its manifest names %.200s, which is no part of such an archive", shown);
        blob->name = memory_string(name);
        const char *hex = strncmp(name, "blobs/sha256/", 13) == 0 ? name + 13 : config ? name : NULL;
        if (hex && is_hex(hex, strspn(hex, "0123456789abcdef")) && strspn(hex, "0123456789abcdef") == 64)
                snprintf(blob->digest, sizeof blob->digest, "%.64s", hex);
        return 0;
}

int oci_docker(const char *text, size_t size, const char *tag, struct oci_image *image, struct error *err)
{
        cleanup_json json_t *json = parse(text, size, "manifest.json", err);
        if (!json)
                return -err->code;
        if (!json_is_array(json) || !json_array_size(json))
                return error_set(err, EINVAL, "manifest.json lists no images");
        cleanup_text struct text tags = {0};
        const json_t *one, *chosen = NULL, *name;
        unsigned fitting = 0;
        size_t i, k;
        json_array_foreach(json, i, one) {
                bool fits = !tag;
                json_array_foreach(json_object_get(one, "RepoTags"), k, name) {
                        if (tags.length < 1000 && json_is_string(name))
                                text_addf(&tags, "%s%.100s", tags.length ? " " : "", json_string_value(name));
                        fits |= tag && is_tag(json_string_value(name), tag);
                        if (fits && json_is_string(name) && !image->title)
                                image->title = memory_string(json_string_value(name));
                }
                fitting += fits;
                chosen = fits && !chosen ? one : chosen;
        }
        if (fitting != 1)
                return several(tags.data ? tags.data : "(none has a tag)", tag, err);
        const json_t *layers = json_object_get(chosen, "Layers");
        int result = check_layers(layers, err);
        image->config.size = -1;
        if (result == 0)
                result = take_part(json_object_get(chosen, "Config"), true, &image->config, err);
        json_array_foreach(layers, i, one)
                if (result == 0)
                        result = take_part(one, false, add_layer(image), err);
        return result;
}

int oci_config(const char *text, size_t size, struct oci_image *image, struct error *err)
{
        cleanup_json json_t *json = parse(text, size, "the config", err);
        if (!json)
                return -err->code;
        const json_t *ids = json_object_get(json_object_get(json, "rootfs"), "diff_ids"), *one;
        const char *go = json_string_value(json_object_get(json, "architecture"));
        if (go) {
                free(image->architecture);
                image->architecture = memory_string(machine_of(go));
        }
        if (!json_is_array(ids) || json_array_size(ids) != image->layer_count)
                return error_set(err, EINVAL, "its config and its manifest do not agree on the layers (%zu and %zu)",
                                 json_array_size(ids), image->layer_count);
        free(image->diff_ids);
        image->diff_ids = memory_grow(NULL, image->layer_count, sizeof *image->diff_ids);
        image->diff_count = 0;
        size_t i;
        int result = 0;
        json_array_foreach(ids, i, one)
                if (result == 0 && (result = take_digest(json_string_value(one), image->diff_ids[i], err)) == 0)
                        image->diff_count++;
        return result;
}

void oci_blob_clear(struct oci_blob *blob)
{
        free(blob->name);
        *blob = (struct oci_blob){.size = -1};
}

void oci_clear(struct oci_image *image)
{
        oci_blob_clear(&image->config);
        while (image->layer_count)
                oci_blob_clear(&image->layers[--image->layer_count]);
        free(image->layers);
        free(image->diff_ids);
        free(image->architecture);
        free(image->title);
        *image = (struct oci_image){0};
}
