# SPDX-License-Identifier: Apache-2.0
"""The log: what sardonyx warns of when it loads and runs models, as lines of standard error or calls of the function
that set_default_logger_callback was given."""
import sys
import time

WARNING = 2
_LETTERS = "VIWEF"


class _Log:
    severity, verbosity, callback = WARNING, 0, None


def configure(**changes):
    for name, value in changes.items():
        setattr(_Log, name, value)


def write(options, location, message, severity=WARNING):
    """One message about a session or a run with these options."""
    least = options.log_severity_level
    if severity < (_Log.severity if least < 0 else least):
        return
    if _Log.callback:
        try:
            _Log.callback(severity, "onnxruntime", options.logid, location, message)
            return
        except Exception as failure:  # a caller's mistake must not end the work
            sys.unraisablehook(_Unraisable(failure))
    now = time.time()
    clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
    print(f"{clock}.{int(now % 1 * 1e9):09d} [{_LETTERS[severity]}:onnxruntime:{options.logid}, {location}] {message}",
          file=sys.stderr)


class _Unraisable:
    """What sys.unraisablehook is told."""

    def __init__(self, failure):
        self.exc_type, self.exc_value, self.exc_traceback = type(failure), failure, failure.__traceback__
        self.err_msg, self.object = "Exception ignored in the logger's callback", _Log.callback
