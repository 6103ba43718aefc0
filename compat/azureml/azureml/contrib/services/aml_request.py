# SPDX-License-Identifier: Apache-2.0
"""@rawhttp, and the request that run() gets under it: with the members of flask's requests that scripts use, without
flask."""
import functools
import json
import urllib.parse

from azureml.contrib.services._headers import Headers

_rawHttpRequested = False  # read by the script host


def rawhttp(func):
    """run() is to get the request itself, and GET, POST and OPTIONS alike."""
    global _rawHttpRequested
    _rawHttpRequested = True
    return func


class Values(dict):
    """Fields of a query or form: the first value of each name; getlist() has all."""

    def __init__(self, pairs):
        self._all = {}
        for name, value in pairs:
            self._all.setdefault(name, []).append(value)
        super().__init__({name: values[0] for name, values in self._all.items()})

    def getlist(self, name):
        return self._all.get(name, [])


class File:
    """A file out of a form."""

    def __init__(self, filename, content_type, data):
        import io
        self.filename, self.content_type, self.mimetype, self.stream = filename, content_type, content_type, io.BytesIO(data)

    def read(self, size=-1):
        return self.stream.read(size)

    def save(self, target):
        with open(target, "wb") as file:
            file.write(self.stream.getvalue())


class AMLRequest:
    """A request: method, path, args, headers, data, json, form, files."""

    def __init__(self):
        self._set("POST", "/score", "", {}, b"")

    def _set(self, method, path, query, headers, data):
        self.method, self.path, self.data, self.headers = method, path, data, Headers(headers)
        self.query_string, self.full_path = query.encode(), f"{path}?{query}"
        return self

    @classmethod
    def of_frame(cls, head, body):
        """The request of a host's frame."""
        return cls()._set(head.get("method", "POST"), head.get("path", "/score"), head.get("query", ""),
                          {name.title(): value for name, value in head.get("headers", {}).items()}, body)

    @property
    def url(self):
        query = self.query_string.decode()
        return f"http://{self.headers.get('Host', 'localhost')}{self.path}{'?' + query if query else ''}"

    @functools.cached_property
    def args(self):
        return Values(urllib.parse.parse_qsl(self.query_string.decode(), keep_blank_values=True))

    @property
    def content_type(self):
        return self.headers.get("Content-Type")

    @property
    def content_length(self):
        return self.headers.get("Content-Length", type=int)

    @property
    def mimetype(self):
        return (self.content_type or "").partition(";")[0].strip().lower()

    @property
    def is_json(self):
        return self.mimetype == "application/json" or self.mimetype.endswith("+json")

    def get_data(self, cache=True, as_text=False, parse_form_data=False):
        return self.data.decode() if as_text else self.data

    def get_json(self, force=False, silent=False, cache=True):
        """The body as JSON. None where it is not said to be JSON, unless `force`; where it is none, if `silent`."""
        if not (force or self.is_json):
            return None
        try:
            return json.loads(self.data)
        except ValueError:
            if silent:
                return None
            raise

    json = property(get_json)

    @functools.cached_property
    def _parts(self):
        """(fields, files) of a form."""
        if self.mimetype == "application/x-www-form-urlencoded":
            return urllib.parse.parse_qsl(self.data.decode(), keep_blank_values=True), []
        if self.mimetype != "multipart/form-data":
            return [], []
        import email.parser
        import email.policy
        head = f"Content-Type: {self.content_type}\r\n\r\n".encode()
        message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + self.data)
        fields, files = [], []
        for part in message.iter_parts():
            name, data = part.get_param("name", header="content-disposition"), part.get_payload(decode=True) or b""
            if part.get_filename() is None:
                fields.append((name, data.decode("utf-8", "replace")))
            else:
                files.append((name, File(part.get_filename(), part.get_content_type(), data)))
        return fields, files

    @property
    def form(self):
        return Values(self._parts[0])

    @property
    def files(self):
        return Values(self._parts[1])
