// SPDX-License-Identifier: Apache-2.0
// Names of models (model_name.h), over utf8proc.
#include "server/model_name.h"

#include <stdlib.h>
#include <utf8proc.h>

#include "base/unicode.h"

static bool in_names(int32_t code) {
  if (code < 0) return false;
  utf8proc_category_t category = utf8proc_category(code);
  return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NO) || code == '.' || code == '_' ||
         code == '-';
}

// Composed; NULL: not UTF-8, or no memory. free() it.
static char *compose(str word) {
  utf8proc_uint8_t *composed = NULL;
  utf8proc_ssize_t size = utf8proc_map((const utf8proc_uint8_t *)word.at, (utf8proc_ssize_t)word.size, &composed,
                                       UTF8PROC_STABLE | UTF8PROC_COMPOSE);
  return size < 0 ? NULL : (char *)composed;
}

bool model_name_read(str word, char name[MODEL_NAME_BYTES]) {
  enum { MOST = 4 * MODEL_NAME_BYTES };  // composing makes shorter
  if (!word.size || word.size > MOST || word.at[0] == '.') return false;
  for (size_t at = 0; at < word.size;)
    if (!in_names(utf8_next(word, &at))) return false;
  char *composed = compose(word);
  bool good = composed && strlen(composed) < MODEL_NAME_BYTES;
  if (good) memcpy(name, composed, strlen(composed) + 1);
  free(composed);
  return good;
}

void model_name_from_path(const char *path, char name[MODEL_NAME_BYTES]) {
  const char *slash = strrchr(path, '/');
  str base = str_from(slash ? slash + 1 : path);
  if (base.size > 5 && !memcmp(base.at + base.size - 5, ".onnx", 5)) base.size -= 5;
  char *composed = compose(base);
  if (composed) base = str_from(composed);
  size_t size = 0;
  for (size_t at = 0; at < base.size;) {
    size_t begin = at;
    bool kept = in_names(utf8_next(base, &at)) && !(size == 0 && base.at[begin] == '.');
    size_t bytes = kept ? at - begin : 1;
    if (size + bytes >= MODEL_NAME_BYTES) break;
    memcpy(name + size, kept ? base.at + begin : "_", bytes);
    size += bytes;
  }
  name[size] = 0;
  free(composed);
}
