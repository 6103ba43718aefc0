// SPDX-License-Identifier: Apache-2.0
// Keys (keys.h).
#include "server/keys.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "server/log.h"
#include "support/token.h"

static bool is_key(const char *line, size_t size) {
  if (size < KEY_SHORTEST || size > KEY_LONGEST) return false;
  for (size_t i = 0; i < size; i++)
    if (line[i] <= ' ' || line[i] > '~') return false;
  return true;
}

static bool read_lines(FILE *file, const char *path, keys *to) {
  char line[KEY_LONGEST + 3];
  for (int number = 1; fgets(line, sizeof line, file); number++) {
    size_t size = strcspn(line, "\r\n");
    if (!size) continue;
    if (!is_key(line, size) || to->count == KEYS_MOST) {
      log_line("error", "%s:%d: expected at most %d keys, one a line, each of %d to %d visible characters of ASCII",
               path, number, KEYS_MOST, KEY_SHORTEST, KEY_LONGEST);
      return false;
    }
    memcpy(to->at[to->count], line, size);
    to->at[to->count++][size] = 0;
  }
  if (!to->count) log_line("error", "%s: there is no key in it; 'openssl rand -hex 32' makes one", path);
  return to->count > 0;
}

static bool read_file(const char *path, keys *to) {
  struct stat st;
  FILE *file = fopen(path, "re");
  if (!file) {
    log_line("error", "the keys %s cannot be read: %m", path);
    return false;
  }
  if (!fstat(fileno(file), &st) && (st.st_mode & (S_IRGRP | S_IROTH)))
    log_line("warning", "the keys %s can be read by others; 'chmod 600' keeps them", path);
  bool good = read_lines(file, path, to);
  fclose(file);
  return good;
}

// What tokens are signed with: the one key of a file.
static bool read_token_key(const char *path, keys *to) {
  keys alone = {0};
  bool good = read_file(path, &alone);
  if (good && alone.count > 1) log_line("error", "%s: expected one key that tokens are signed with", path);
  memcpy(to->token_key, alone.at[0], sizeof to->token_key);
  explicit_bzero(&alone.at, sizeof alone.at);
  return good && alone.count == 1;
}

static bool read_all(keys *to, const char *path, const char *token_path) {
  return (!path || read_file(path, to)) && (!token_path || read_token_key(token_path, to));
}

bool keys_init(keys *k, const char *path, const char *token_path) {
  *k = (keys){.path = path, .token_path = token_path};
  pthread_mutex_init(&k->lock, NULL);
  return read_all(k, path, token_path);
}

void keys_deinit(keys *k) {
  explicit_bzero(k->at, sizeof k->at);
  explicit_bzero(k->token_key, sizeof k->token_key);
  pthread_mutex_destroy(&k->lock);
}

void keys_reload(keys *k) {
  keys fresh = {0};
  if (!k->path && !k->token_path) return;
  bool good = read_all(&fresh, k->path, k->token_path);
  if (good) {
    pthread_mutex_lock(&k->lock);
    memcpy(k->at, fresh.at, sizeof k->at);
    memcpy(k->token_key, fresh.token_key, sizeof k->token_key);
    k->count = fresh.count;
    pthread_mutex_unlock(&k->lock);
  }
  log_line("info", good ? "the keys are read again" : "the old keys stay in force");
  explicit_bzero(&fresh, sizeof fresh);
}

// The time tells nothing of where they differ.
static bool same(const char *key, str given) {
  size_t size = strlen(key);
  unsigned char off = size != given.size;
  for (size_t i = 0; i < size; i++) off |= (unsigned char)(key[i] ^ (i < given.size ? given.at[i] : 0));
  return !off;
}

bool keys_allow(keys *k, const str *authorization) {
  static const char scheme[] = "bearer ";
  enum { SCHEME = sizeof scheme - 1 };
  if (!k->path && !k->token_path) return true;
  if (!authorization || authorization->size <= SCHEME || strncasecmp(authorization->at, scheme, SCHEME)) return false;
  str given = {authorization->at + SCHEME, authorization->size - SCHEME};
  bool found = false;
  pthread_mutex_lock(&k->lock);
  for (size_t i = 0; i < k->count; i++) found |= same(k->at[i], given);
  if (k->token_path) found |= token_good(k->token_key, given.at, given.size);
  pthread_mutex_unlock(&k->lock);
  return found;
}
