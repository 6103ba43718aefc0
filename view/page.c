// SPDX-License-Identifier: Apache-2.0
// The page: page.html with the style, the document and the script put into their places. Its policy lets that script
// and that style run and nothing else, so that a name in a model cannot become code even if it got out of its string.
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "support/embedded.h"
#include "support/files.h"
#include "view/parts.h"

static bool ends_in(const char *name, const char *ending) {
  size_t size = strlen(name), of = strlen(ending);
  return size > of && !strcmp(name + size - of, ending);
}

// All files of that ending in one piece, to be freed.
static char *gather(const char *ending) {
  char *all = NULL;
  size_t size = 0;
  for (const embedded_file *file = embedded_viewer; file->name; file++) {
    if (!ends_in(file->name, ending)) continue;
    char *more = realloc(all, size + file->size + 1);
    if (!more) {
      free(all);
      return NULL;
    }
    all = more;
    memcpy(all + size, file->bytes, file->size + 1);
    size += file->size;
  }
  return all;
}

static char *hash_of(const char *text) {
  unsigned char hash[32], *encoded = malloc(48);
  if (!text || !encoded || !EVP_Digest(text, strlen(text), hash, NULL, EVP_sha256(), NULL)) {
    free(encoded);
    return NULL;
  }
  EVP_EncodeBlock(encoded, hash, sizeof hash);
  return (char *)encoded;
}

static char *policy_of(const char *style, const char *script) {
  char *of_style = hash_of(style), *of_script = hash_of(script), *policy = NULL;
  if (of_style && of_script)
    policy = path_format(
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src blob: data:; "
        "style-src 'sha256-%s'; script-src 'sha256-%s'",
        of_style, of_script);
  free(of_style);
  free(of_script);
  return policy;
}

char *view_policy(void) {
  char *style = gather(".css"), *script = gather(".js"), *policy = policy_of(style, script);
  free(style);
  free(script);
  return policy;
}

typedef struct writer {
  const view_sink *sink;
  bool stopped;
} writer;

static void put(writer *w, const char *bytes, size_t size) {
  w->stopped = w->stopped || (size && !w->sink->put(w->sink->context, bytes, size));
}

// JSON inside of an element: no '<' of a string may begin a tag or a comment.
static int put_json(const char *bytes, size_t size, void *context) {
  writer *w = context;
  while (size && !w->stopped) {
    const char *less = memchr(bytes, '<', size);
    size_t plain = less ? (size_t)(less - bytes) : size;
    put(w, bytes, plain);
    if (less) put(w, "\\u003c", 6);
    bytes += plain + (less != NULL), size -= plain + (less != NULL);
  }
  return w->stopped ? -1 : 0;
}

// A word of the page that something else stands for.
static bool put_part(writer *w, const json_t *document, str word, const char *style, const char *script,
                     const char *policy) {
  const char *part = str_is(word, "style") ? style : str_is(word, "script") ? script : policy;
  if (str_is(word, "document")) return !json_dump_callback(document, put_json, w, JSON_COMPACT);
  put(w, part, strlen(part));
  return !w->stopped;
}

static void put_page(writer *w, const json_t *document, const char *page, const char *style, const char *script,
                     const char *policy) {
  const char *open;
  while (!w->stopped && (open = strstr(page, "{{"))) {
    const char *close = strstr(open, "}}");
    put(w, page, (size_t)(open - page));
    if (!put_part(w, document, (str){open + 2, (size_t)(close - open - 2)}, style, script, policy)) w->stopped = true;
    page = close + 2;
  }
  put(w, page, strlen(page));
}

sdx_status view_page(const json_t *document, const view_sink *sink, fault *f) {
  char *page = gather(".html"), *style = gather(".css"), *script = gather(".js"), *policy = policy_of(style, script);
  writer w = {sink, false};
  if (page && policy) put_page(&w, document, page, style, script, policy);
  else fault_no_memory(f);
  if (w.stopped) fault_set(f, SDX_IO_ERROR, "the page could not be written whole");
  free(page);
  free(style);
  free(script);
  free(policy);
  return f->status;
}
