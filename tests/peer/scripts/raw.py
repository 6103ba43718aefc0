# SPDX-License-Identifier: Apache-2.0
"""Requests as they are, answers with status and headers."""
import json

from azureml_inference_server_http.api.aml_request import rawhttp
from azureml_inference_server_http.api.aml_response import AMLResponse


def init():
    pass


@rawhttp
def run(request):
    do = request.args.get("do")
    if do == "bytes":
        return AMLResponse(bytes(reversed(request.get_data())), 200, {"Content-Type": "application/x-reversed"})
    if do == "teapot":
        return AMLResponse("short and stout", 418, {"X-Pot": "tea, coffee"})
    if do == "json":
        return AMLResponse({"a": [1, 2]}, 201, json_str=True)
    if do == "failed":
        return AMLResponse("no", 400, run_function_failed=True)
    if do == "broken":
        return AMLResponse("no", 503)
    if do == "nothing":
        return AMLResponse(None, 200)
    if do == "form":
        return {"field": request.form["field"], "file": request.files["file"].read().decode(), "name": request.files["file"].filename}
    if do == "raise":
        raise KeyError("secret")
    return {"method": request.method, "path": request.path, "args": dict(request.args), "list": request.args.getlist("a"),
            "type": request.headers.get("content-type"), "data": request.get_data(as_text=True), "json": request.get_json(silent=True),
            "length": request.content_length, "text": json.dumps(request.is_json), "agent": request.headers["X-Agent"],
            "url": request.full_path, "type of body": type(request.data).__name__, "mimetype": request.mimetype}
