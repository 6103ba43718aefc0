// SPDX-License-Identifier: Apache-2.0
// Units (systemd.h).
#include "deploy/systemd.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/files.h"

// A word of ExecStart: in quotes, with what systemd would expand doubled. NULL: no memory.
static char *quoted(const char *word) {
  char *text = malloc(2 * strlen(word) + 3), *at = text;
  if (!text) return NULL;
  *at++ = '"';
  for (; *word; word++) {
    if (*word == '%' || *word == '$') *at++ = *word;
    else if (*word == '"' || *word == '\\') *at++ = '\\';
    *at++ = *word;
  }
  *at++ = '"';
  *at = 0;
  return text;
}

char *systemd_unit(const registry *r, const char *name, bool user, fault *f) {
  const struct passwd *owner = user ? NULL : getpwuid(getuid());
  char *command = quoted(registry_command(r)), *config = quoted(registry_config(r)),
       *whose = owner ? path_format("User=%s\n", owner->pw_name) : strdup(""), *text = NULL;
  // Its servers end with it: only the supervisor is told to stop.
  if (command && config && whose)
    text = path_format(
        "[Unit]\nDescription=Sardonyx service %s\nAfter=network.target\n\n"
        "[Service]\nExecStart=%s service supervise %s --workspace %s\n%sRestart=on-failure\nRestartSec=1\n"
        "KillMode=mixed\nTimeoutStopSec=90\nDelegate=yes\n\n"
        "[Install]\nWantedBy=%s\n",
        name, command, name, config, whose, user ? "default.target" : "multi-user.target");
  if (!text) fault_no_memory(f);
  free(command);
  free(config);
  free(whose);
  return text;
}

char *systemd_install(const char *name, const char *text, bool user, fault *f) {
  const char *home = getenv("HOME");
  char *path = user ? path_format("%s/.config/systemd/user/sardonyx-%s.service", home ? home : "", name)
                    : path_format("/etc/systemd/system/sardonyx-%s.service", name);
  if (!path) fault_no_memory(f);
  else if (!folder_make_parents(AT_FDCWD, path, 0755, f)) file_replace(AT_FDCWD, path, text, strlen(text), 0644, f);
  if (!f->status) return path;
  free(path);
  return NULL;
}
