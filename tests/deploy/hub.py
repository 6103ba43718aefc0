# SPDX-License-Identifier: Apache-2.0
"""An OCI registry of a few lines that misbehaves on demand, and Debian's docker-registry where it is installed.

A Hub keeps blobs and manifests in memory. `faults` is a list of functions (request handler, method, path) that may answer
in its place: each is asked until it returns True, then it is used up.
"""
import base64
import hashlib
import http.server
import json
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse
import uuid


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", headers=None):
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        return True

    def fail(self, status, code="DENIED"):
        return self.answer(status, json.dumps({"errors": [{"code": code, "message": code.lower()}]}).encode())

    def body(self):
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.hub.received += len(data)
        return data

    def allowed(self, path):
        hub = self.hub
        if not hub.auth or path.startswith("/token"):
            return True
        given = self.headers.get("Authorization", "")
        if hub.auth == "basic":
            if given == "Basic " + base64.b64encode(hub.login.encode()).decode():
                return True
            self.body()
            self.answer(401, headers={"WWW-Authenticate": 'Basic realm="hub"'})
            return False
        if given == "Bearer " + hub.token:
            return True
        self.body()
        self.answer(401, headers={"WWW-Authenticate": f'Bearer realm="http://{hub.host}/token",service="hub",scope="repository:x:pull,push"'})
        return False

    def handle_all(self):
        hub, path = self.hub, urllib.parse.urlsplit(self.path)
        hub.log.append((self.command, self.path, dict(self.headers)))
        for fault in list(hub.faults):
            if fault(self, self.command, self.path):
                hub.faults.remove(fault)
                return None
        if not self.allowed(path.path):
            return None
        query = dict(urllib.parse.parse_qsl(path.query))
        if path.path == "/token":
            known = not hub.login or self.headers.get("Authorization") == "Basic " + base64.b64encode(hub.login.encode()).decode()
            return self.answer(200, json.dumps({"token": hub.token}).encode()) if known else self.fail(401)
        match = re.fullmatch(r"/v2/(.+)/(manifests|blobs|blobs/uploads)/([^/]*)", path.path)
        if not match:
            return self.answer(200 if path.path == "/v2/" else 404)
        return getattr(self, match.group(2).replace("/", "_"))(match.group(1), match.group(3), query)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = handle_all

    def manifests(self, name, reference, query):
        hub = self.hub
        if self.command == "PUT":
            data = self.body()
            for key in (reference, digest_of(data)):
                hub.manifests[name, key] = (data, self.headers["Content-Type"])
            return self.answer(201, headers={"Docker-Content-Digest": digest_of(data)})
        if (name, reference) not in hub.manifests:
            return self.fail(404, "MANIFEST_UNKNOWN")
        data, kind = hub.manifests[name, reference]
        return self.answer(200, data, {"Content-Type": kind, "Docker-Content-Digest": digest_of(data)})

    def blobs(self, name, digest, query):
        data = self.hub.blobs.get(digest)
        if data is None:
            return self.fail(404, "BLOB_UNKNOWN")
        begin = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if begin and self.hub.ranges:
            at = int(begin.group(1))
            return self.answer(206, data[at:], {"Content-Range": f"bytes {at}-{len(data) - 1}/{len(data)}"})
        return self.answer(200, data)

    def blobs_uploads(self, name, upload, query):
        hub = self.hub
        if self.command == "POST":
            upload = uuid.uuid4().hex
            hub.uploads[upload] = b""
            self.body()
            return self.answer(202, headers={"Location": f"/v2/{name}/blobs/uploads/{upload}?state=1", "Range": "0-0"})
        if upload not in hub.uploads:
            return self.fail(404, "BLOB_UPLOAD_UNKNOWN")
        where = {"Location": f"/v2/{name}/blobs/uploads/{upload}?state=2"}
        if self.command == "GET":
            return self.answer(204, headers={**where, "Range": f"0-{max(0, len(hub.uploads[upload]) - 1)}"})
        if self.command == "PATCH":
            begin = int(self.headers.get("Content-Range", "0-").split("-")[0])
            if begin != len(hub.uploads[upload]):
                self.body()
                return self.fail(416, "RANGE_INVALID")
            hub.uploads[upload] += self.body()
            return self.answer(202, headers={**where, "Range": f"0-{len(hub.uploads[upload]) - 1}"})
        data = hub.uploads.pop(upload) + self.body()
        if digest_of(data) != query.get("digest"):
            return self.fail(400, "DIGEST_INVALID")
        hub.blobs[digest_of(data)] = data
        return self.answer(201, headers={"Docker-Content-Digest": digest_of(data)})


class Hub:
    def __init__(self, auth=None, login=""):
        self.blobs, self.manifests, self.uploads, self.faults, self.log = {}, {}, {}, [], []
        self.auth, self.login, self.token, self.received, self.ranges = auth, login, uuid.uuid4().hex, 0, True
        handler = type("HubHandler", (Handler,), {"hub": self})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.handle_error = lambda request, address: None  # connections are broken on purpose
        self.host = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def put(self, name, tag, config, layers, kind="application/vnd.oci.image.manifest.v1+json", **more):
        """A manifest over blobs that are put, too. layers: (bytes, media type, annotations)."""
        self.blobs[digest_of(config)] = config
        listed = []
        for data, media_type, annotations in layers:
            self.blobs[digest_of(data)] = data
            listed.append({"mediaType": media_type, "digest": digest_of(data), "size": len(data), "annotations": annotations})
        manifest = {"schemaVersion": 2, "mediaType": kind, "config": {
            "mediaType": more.pop("config_type", "application/vnd.oci.image.config.v1+json"), "digest": digest_of(config),
            "size": len(config)}, "layers": listed, **more}
        return self.put_raw(name, tag, json.dumps(manifest).encode(), kind)

    def put_raw(self, name, tag, data, kind="application/vnd.oci.image.manifest.v1+json"):
        for key in (tag, digest_of(data)):
            self.manifests[name, key] = (data, kind)
        return data


class DockerRegistry:
    """Debian's docker-registry on loopback; `why` says why there is none."""

    def __init__(self):
        self.why = None if shutil.which("docker-registry") else "docker-registry is not installed"
        if self.why:
            return
        self.folder = tempfile.TemporaryDirectory()
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.host = f"localhost:{s.getsockname()[1]}"
        config = pathlib.Path(self.folder.name) / "config.yml"
        config.write_text(json.dumps({
            "version": 0.1, "storage": {"filesystem": {"rootdirectory": self.folder.name + "/data"}},
            "http": {"addr": self.host.replace("localhost", "127.0.0.1")}, "log": {"level": "error", "accesslog": {"disabled": True}}}))
        self.process = subprocess.Popen(["docker-registry", "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", int(self.host.split(":")[1]))) == 0:
                    return
            time.sleep(0.05)
        self.why = "docker-registry does not start"

    def close(self):
        if hasattr(self, "process"):
            self.process.kill()
            self.process.wait()
            self.folder.cleanup()
