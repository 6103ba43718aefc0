// SPDX-License-Identifier: Apache-2.0
// What ends a run before its time: CancelToken, set from another thread, and Ctrl-C.
// Read next: session_run in _engine.c.
#include <signal.h>

#include "_engine.h"

// A run in progress; on the stack of the thread that runs it.
typedef struct watched_run {
  sdx_run *run;
  struct watched_run *next;
} watched_run;

struct cancel_token {
  PyObject_HEAD bool set;
  watched_run *runs;  // guarded by the GIL
};

static PyObject *token_get(cancel_token *t, void *closure) { return PyBool_FromLong(t->set); }

static int token_set(cancel_token *t, PyObject *value, void *closure) {
  int truth = value ? PyObject_IsTrue(value) : 0;
  if (truth < 0) return -1;
  t->set = truth;
  for (watched_run *w = t->runs; w && truth; w = w->next) sdx_run_cancel(w->run);
  return 0;
}

static PyGetSetDef token_fields[] = {
    {"terminate", (getter)token_get, (setter)token_set,
     "True ends the runs in progress that were given these options, and refuses new ones.", NULL},
    {0}};

PyTypeObject token_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "sardonyx._engine.CancelToken",
    .tp_basicsize = sizeof(cancel_token),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_doc = "Base of RunOptions: what can end a run from another thread.",
    .tp_new = PyType_GenericNew,
    .tp_getset = token_fields,
};

// Ctrl-C: while the main thread is inside a run, SIGINT cancels that run and then does what Python
// installed. sdx_run_cancel is one atomic store.
static sdx_run *volatile interrupted_run;
static volatile sig_atomic_t was_interrupted;
static struct sigaction python_action;

static void on_interrupt(int signal, siginfo_t *info, void *context) {
  sdx_run *run = interrupted_run;
  was_interrupted = 1;
  if (run) sdx_run_cancel(run);
  if (python_action.sa_flags & SA_SIGINFO) python_action.sa_sigaction(signal, info, context);
  else if (python_action.sa_handler != SIG_DFL && python_action.sa_handler != SIG_IGN) python_action.sa_handler(signal);
}

static unsigned long main_thread;  // identifier, as threading.main_thread().ident

static sdx_status execute(sdx_run *run, bool *interrupted) {
  bool watch = PyThread_get_thread_ident() == main_thread && !interrupted_run, handled = false;
  sdx_status status = SDX_OK;
  *interrupted = false;
  if (watch) {
    struct sigaction mine = {.sa_sigaction = on_interrupt, .sa_flags = SA_SIGINFO | SA_RESTART};
    was_interrupted = 0;
    interrupted_run = run;
    sigaction(SIGINT, NULL, &python_action);
    handled = (python_action.sa_flags & SA_SIGINFO) ||
              (python_action.sa_handler != SIG_DFL && python_action.sa_handler != SIG_IGN);
    if (handled) sigaction(SIGINT, &mine, NULL);
    if (PyErr_CheckSignals()) status = SDX_CANCELLED;  // one that came before, which Python would look at afterwards
  }
  if (status == SDX_OK) {
    Py_BEGIN_ALLOW_THREADS;
    status = sdx_run_execute(run);
    Py_END_ALLOW_THREADS;
  }
  if (handled) sigaction(SIGINT, &python_action, NULL);
  if (watch) {
    interrupted_run = NULL;
    *interrupted = was_interrupted;
  }
  return status;
}

bool run_watched(sdx_run *run, cancel_token *token) {
  static const char refused[] = "Exiting due to terminate flag being set to true.";
  if (token && token->set) return raise_status(SDX_CANCELLED, refused) != NULL;
  watched_run here = {run, token ? token->runs : NULL};
  if (token) token->runs = &here;
  bool interrupted;
  sdx_status status = execute(run, &interrupted);
  // A handler of SIGINT that does not raise wants the work to go on.
  while (interrupted && !PyErr_CheckSignals() && status == SDX_CANCELLED && !(token && token->set))
    status = execute(run, &interrupted);
  if (token) {
    watched_run **at = &token->runs;
    while (*at != &here) at = &(*at)->next;
    *at = here.next;
  }
  if (PyErr_Occurred()) return false;
  if (status == SDX_CANCELLED && token && token->set) raise_status(status, refused);
  else if (status) raise_engine(status, "", sdx_run_error(run), sdx_run_error_json(run));
  return !status;
}

int cancel_init(void) {
  // The thread that gets signals, whichever thread imports this.
  PyObject *threading = PyImport_ImportModule("threading");
  PyObject *thread = threading ? PyObject_CallMethod(threading, "main_thread", NULL) : NULL;
  PyObject *ident = thread ? PyObject_GetAttrString(thread, "ident") : NULL;
  if (ident) main_thread = PyLong_AsUnsignedLong(ident);
  Py_XDECREF(threading);
  Py_XDECREF(thread);
  Py_XDECREF(ident);
  return PyErr_Occurred() ? -1 : PyType_Ready(&token_type);
}
