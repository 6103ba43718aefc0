// SPDX-License-Identifier: Apache-2.0
// Names (names.h).
#include "support/names.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

bool name_valid(const char *name) {
  static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  size_t length = strlen(name);
  return length && length <= NAME_BYTES && strspn(name, alphabet) == length && *name != '.' && *name != '-';
}

// Edits (insert, delete, replace, swap of neighbours) between two words; case costs nothing.
static size_t edits(const char *a, const char *b) {
  enum { LONGEST = 63 };
  size_t rows[3][LONGEST + 1], n = strlen(a), m = strlen(b);
  if (n > LONGEST || m > LONGEST) return SIZE_MAX;
  for (size_t j = 0; j <= m; j++) rows[0][j] = j;
  for (size_t i = 1; i <= n; i++) {
    size_t *row = rows[i % 3], *up = rows[(i + 2) % 3], *up2 = rows[(i + 1) % 3];
    row[0] = i;
    for (size_t j = 1; j <= m; j++) {
      int ca = tolower((unsigned char)a[i - 1]), cb = tolower((unsigned char)b[j - 1]);
      size_t best = up[j - 1] + (ca != cb);
      if (up[j] + 1 < best) best = up[j] + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) && cb == tolower((unsigned char)a[i - 2]) &&
          up2[j - 2] + 1 < best)
        best = up2[j - 2] + 1;
      row[j] = best;
    }
  }
  return rows[n % 3][m];
}

const char *name_closest(const char *wrong, const char *const *names, size_t count) {
  size_t length = strlen(wrong), limit = length < 3 ? 1 : length < 6 ? 2 : 3, best = limit + 1;
  const char *found = NULL;
  for (size_t i = 0; i < count; i++) {
    size_t distance = edits(wrong, names[i]);
    // A beginning that is long enough is meant too: "thr" for "threads".
    if (distance > limit && length >= 3 && !strncasecmp(wrong, names[i], length)) distance = limit;
    if (distance < best) {
      best = distance;
      found = names[i];
    }
  }
  return found;
}
