// SPDX-License-Identifier: Apache-2.0
// The host's side of script workers against workers that misbehave. Each is a few lines of Python in the place of the
// real one; they run in the same sandbox.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
// after the standard headers
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "script/worker.h"
#include "support/files.h"

static char folder[] = "/tmp/sardonyx-worker-XXXXXX";
static json_t *python;

static int set_up(void **state) {
  fault f = {0};
  if (!mkdtemp(folder)) return 1;
  python = script_python(NULL, &f);
  return python == NULL;
}

static int tear_down(void **state) {
  fault f = {0};
  json_decref(python);
  return tree_remove(AT_FDCWD, folder, &f);
}

static script_worker *start(const char *source) {
  static const char head[] =
      "import os, struct, sys, time, json\n"
      "def send(head, body=b'', claim=None):\n"
      "    os.write(3, struct.pack('<IQ', len(head), len(body) if claim is None else claim) + head + body)\n";
  fault f = {0};
  char *text = path_format("%s%s", head, source);
  int fd = open(folder, O_RDONLY | O_DIRECTORY);
  assert_int_equal(file_replace(fd, "sardonyx_worker.py", text, strlen(text), 0600, &f), SDX_OK);
  close(fd);
  free(text);
  script_worker *w;
  script_options o = {
      .python = python, .programs = folder, .scratch = folder, .body_bytes = 1000, .cpu_seconds = 20, .log = -1};
  if (script_start(&o, &w, &f)) fail_msg("%s", f.message);
  return w;
}

// The status of receiving one frame from a worker of that source.
static sdx_status receive(const char *source, int timeout_ms, const char *message) {
  script_worker *w = start(source);
  json_t *head;
  char *body;
  size_t size;
  fault f = {0};
  sdx_status status = script_receive(w, timeout_ms, &head, &body, &size, &f);
  if (status) {
    assert_null(head);
    assert_null(body);
    if (!strstr(f.message, message)) fail_msg("'%s' lacks '%s'", f.message, message);
  } else {
    assert_string_equal(json_string_value(json_object_get(head, "type")), "good");
    json_decref(head);
    free(body);
  }
  script_stop(w);
  return status;
}

static void frames_there_and_back(void **state) {
  script_worker *w = start(
      "size, body = struct.unpack('<IQ', os.read(3, 12))\n"
      "head = json.loads(os.read(3, size))\n"
      "send(json.dumps({'type': 'good', 'got': head['n']}).encode(), os.read(3, body) * 2)\n");
  fault f = {0};
  json_t *head = json_pack("{s:s,s:i}", "type", "run", "n", 7);
  char *body;
  size_t size;
  assert_int_equal(script_send(w, head, "ab\0", 3, &f), SDX_OK);
  json_decref(head);
  assert_int_equal(script_receive(w, 20000, &head, &body, &size, &f), SDX_OK);
  assert_int_equal(json_integer_value(json_object_get(head, "got")), 7);
  assert_int_equal(size, 6);
  assert_memory_equal(body, "ab\0ab\0", 7);
  json_decref(head);
  free(body);
  script_stop(w);
}

static void frames_that_are_none(void **state) {
  assert_int_equal(receive("send(b'{\"type\": \"good\"}')", 20000, ""), SDX_OK);
  assert_int_equal(receive("send(b'{}')", 20000, "is none"), SDX_INVALID_ARGUMENT);
  assert_int_equal(receive("send(b'[1]')", 20000, "is none"), SDX_INVALID_ARGUMENT);
  assert_int_equal(receive("send(b'\\xff\\x00')", 20000, "is none"), SDX_INVALID_ARGUMENT);
  assert_int_equal(receive("send(b'{\"type\": 3}')", 20000, "is none"), SDX_INVALID_ARGUMENT);
  assert_int_equal(receive("send(b'{\"type\": \"a\", \"type\": \"b\"}')", 20000, "is none"), SDX_INVALID_ARGUMENT);
  assert_int_equal(receive("send(b'{}', claim=1 << 63)", 20000, "at most"), SDX_LIMIT_EXCEEDED);
  assert_int_equal(receive("send(b'{}', claim=1001)", 20000, "at most"), SDX_LIMIT_EXCEEDED);
  assert_int_equal(receive("os.write(3, b'\\xff' * 12)", 20000, "at most"), SDX_LIMIT_EXCEEDED);
}

static void workers_that_end_or_hang(void **state) {
  assert_int_equal(receive("sys.exit(3)", 20000, "exit code 3"), SDX_IO_ERROR);
  assert_int_equal(receive("os.write(3, b'\\x05')", 20000, "ended"), SDX_IO_ERROR);
  assert_int_equal(receive("send(b'{\"type\": \"good\"}', b'x', claim=2)", 20000, "ended"), SDX_IO_ERROR);
  assert_int_equal(receive("os.kill(os.getpid(), 11)", 20000, "signal 11"), SDX_IO_ERROR);
  assert_int_equal(receive("time.sleep(1000)", 300, "in time"), SDX_DEADLINE_EXCEEDED);
  assert_int_equal(receive("import signal\nsignal.signal(15, signal.SIG_IGN)\nwhile True: pass", 600, "in time"),
                   SDX_DEADLINE_EXCEEDED);
  // A byte now and then does not move the deadline.
  assert_int_equal(receive("while True:\n    os.write(3, b'\\x01')\n    time.sleep(.05)\n    break\ntime.sleep(100)",
                           400, "in time"),
                   SDX_DEADLINE_EXCEEDED);
  assert_int_equal(receive("os.close(3)\ntime.sleep(100)", 20000, "closed its channel"), SDX_IO_ERROR);
}

static void what_cannot_be_started(void **state) {
  fault f = {0};
  assert_null(script_python("/nowhere/python", &f));
  assert_int_equal(f.status, SDX_NOT_FOUND);
  f = (fault){0};
  assert_null(script_python("true", &f));
  assert_int_equal(f.status, SDX_NOT_SUPPORTED);
  f = (fault){0};
  assert_null(script_programs("/nowhere/sardonyx", &f));
  assert_int_equal(f.status, SDX_NOT_FOUND);
  script_worker *w = start("pass");
  json_t *head = json_pack("{s:s}", "type", "stop");
  usleep(500000);
  f = (fault){0};
  for (int i = 0; i < 3 && !f.status; i++) script_send(w, head, "", 0, &f);  // it has ended: no signal, a fault
  assert_int_equal(f.status, SDX_IO_ERROR);
  json_decref(head);
  script_stop(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(frames_there_and_back),
      cmocka_unit_test(frames_that_are_none),
      cmocka_unit_test(workers_that_end_or_hang),
      cmocka_unit_test(what_cannot_be_started),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
