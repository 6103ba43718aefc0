// SPDX-License-Identifier: Apache-2.0
// Files of the source tree that travel inside of the program; cmake/embed.cmake makes the tables.
#pragma once

#include <stddef.h>

typedef struct embedded_file {
  const char *name;   // without its folder
  const char *bytes;  // one NUL behind them
  size_t size;
} embedded_file;

// In the order of their names, ended by a row without one.
extern const embedded_file embedded_migrations[];  // registry/migrations/*.sql
extern const embedded_file embedded_converters[];  // convert/*.py
extern const embedded_file embedded_viewer[];      // view/*.css, *.html, *.js
extern const embedded_file embedded_manifests[];   // deploy/manifests/*.yaml
extern const embedded_file embedded_monitoring[];  // deploy/monitoring/*
extern const embedded_file embedded_ui[];          // ui/*.html, *.css, *.js, *.json
