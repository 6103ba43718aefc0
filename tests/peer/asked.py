# SPDX-License-Identifier: Apache-2.0
"""{script: {name: (method, path, body, headers)}}."""
import json

JSON = {"Content-Type": "application/json"}
FORM = (b'--X\r\nContent-Disposition: form-data; name="field"\r\n\r\nword\r\n--X\r\nContent-Disposition: form-data; name="file"; '
        b'filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nlines\r\n--X--\r\n')


def post(body, **headers):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return "POST", "/score", body, {**JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}


PLAIN = {word: post({"do": word}) for word in ("none text json list number dict nan empty array false tuple deep raise exit sleep").split()}
PLAIN |= {
    "other JSON": post([1, {"a": "ü"}]), "no JSON": post(b"{"), "no body": post(b""), "bytes": post(b"\xff\xfe"),
    "other type": ("POST", "/score", b"words", {"Content-Type": "text/plain"}), "no type": ("POST", "/score", b"words", {}),
    "get": ("GET", "/score?a=1&b=[1,2]&c=x&c=y&d=null&e=", None, {}), "get nothing": ("GET", "/score", None, {}),
    "get escaped": ("GET", "/score?a=%C3%A4+b", None, {}),
    "options": ("OPTIONS", "/score", None, {}), "put": ("PUT", "/score", b"1", JSON), "delete": ("DELETE", "/score", None, {}),
    "health": ("GET", "/", None, {}), "nowhere": ("GET", "/nowhere", None, {}), "post to health": ("POST", "/", b"1", JSON),
    "slash": ("POST", "/score/", b"1", JSON), "swagger": ("GET", "/swagger.json", None, {}),
    "id": post([1], x_request_id="me-1"), "client id": post([1], x_ms_client_request_id="me-2"), "old id": post([1], x_ms_request_id="me-3"),
    "ids": post([1], x_request_id="a", x_ms_client_request_id="b"), "long id": post([1], x_request_id="i" * 101),
    "long client id": post([1], x_ms_client_request_id="i" * 101), "longest id": post([1], x_request_id="i" * 100),
    "trace id": post([1], TraceId="t-1")}
RAW = {f"{method.lower()} {do}": (method, f"/score?do={do}&a=1&a=2", body, {"X-Agent": "me", **(JSON if body else {})})
       for method, body in (("POST", b'{"k": 1}'), ("GET", None))
       for do in ("bytes", "teapot", "json", "failed", "broken", "nothing", "raise", "echo")}
RAW |= {"form": ("POST", "/score?do=form", FORM, {"Content-Type": "multipart/form-data; boundary=X"}),
        "png": ("POST", "/score?do=bytes", bytes(range(256)), {"Content-Type": "image/png"}),
        "options": ("OPTIONS", "/score?do=echo", None, {}), "put": ("PUT", "/score", b"1", JSON)}
SCHEMA = {
    "both": post({"data": [[1, 2], [3, 4]], "scale": 3.0}, X_Agent="me"), "default": post({"data": [[1, 2]]}),
    "more": post({"data": [[1, 2]], "other": 1}), "missing": post({"scale": 1.0}), "null": post({"data": None}), "list": post([[1, 2]]),
    "no JSON": post(b"{"), "no body": post(b""), "wrong shape": post({"data": [[1, 2, 3]]}), "wrong type": post({"data": "x"}),
    "wrong scale": post({"data": [[1, 2]], "scale": "x"}), "whole scale": post({"data": [[1, 2]], "scale": 2}),
    "other type": ("POST", "/score", b'{"data": [[1, 2]]}', {"Content-Type": "text/plain"}),
    "JSON with charset": ("POST", "/score", b'{"data": [[1, 2]]}', {"Content-Type": "application/json; charset=utf-8"}),
    "get": ("GET", "/score?data=[[1,2]]&scale=2.5", None, {}), "get missing": ("GET", "/score", None, {}),
    "swagger 2": ("GET", "/swagger.json?version=2", None, {}), "swagger": ("GET", "/swagger.json", None, {}),
    "swagger 3": ("GET", "/swagger.json?version=3", None, {}), "swagger 9": ("GET", "/swagger.json?version=9", None, {})}
UNSENDABLE = {word: post(word.encode()) for word in ("array", "bytes", "set", "missing")}
ALL = {"plain": PLAIN, "raw": RAW, "schema": SCHEMA, "unsendable": UNSENDABLE}
