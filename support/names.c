// SPDX-License-Identifier: Apache-2.0
// Names (names.h).
#include "support/names.h"

#include <string.h>

#include "base/str.h"

bool name_valid(const char *name) {
  static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  size_t length = strlen(name);
  return length && length <= NAME_BYTES && strspn(name, alphabet) == length && *name != '.' && *name != '-';
}

const char *name_closest(const char *wrong, const char *const *names, size_t count) {
  str_nearest nearest;
  str_nearest_init(&nearest, str_from(wrong));
  for (size_t i = 0; i < count; i++) str_nearest_offer(&nearest, str_from(names[i]));
  return nearest.best.at;
}
