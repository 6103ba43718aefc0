# SPDX-License-Identifier: Apache-2.0
"""What run() may return to choose status, headers and bytes."""
import json

from azureml.contrib.services._headers import Headers


class AMLResponse:
    """An answer. A header `x-ms-run-function-failed` says whether it tells of a failure."""

    def __init__(self, message, status_code, response_headers={}, json_str=False, run_function_failed=False):  # noqa: B006
        as_json = json_str or message is None
        self.status_code, self.headers = status_code, Headers()
        self.headers["Content-Type"] = "application/json" if as_json else "text/html; charset=utf-8"
        self.headers["x-ms-run-function-failed"] = run_function_failed
        self.set_data(json.dumps({} if message is None else message) if as_json else message)
        given = Headers(response_headers)
        for name in given.keys():
            self.headers.remove(name)
        for name, value in given.items():
            # Several values of a name come as one text, with commas between them.
            for part in value.split(","):
                self.headers.add(name, part.strip())

    @property
    def status(self):
        return str(self.status_code)

    @property
    def data(self):
        return self._data

    @property
    def mimetype(self):
        return self.headers.get("Content-Type", "").partition(";")[0]

    def set_data(self, value):
        self._data = value.encode() if isinstance(value, str) else bytes(value)

    def get_data(self, as_text=False):
        return self._data.decode() if as_text else self._data
