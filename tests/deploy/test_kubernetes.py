#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Services on a cluster: manifests against the schemas of Kubernetes, under 'podman kube play', and applied by a kubectl
that stands in for one with a cluster."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import unittest
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import venv  # noqa: E402

venv.enter("deploy")
import kubernetes_validate  # noqa: E402
import yaml  # noqa: E402
from lab import Case  # noqa: E402
import suite  # noqa: E402

PODMAN = ["podman", "--cgroup-manager=cgroupfs", "--runtime", "runc"]
# A kubectl whose cluster is a folder: it keeps what is applied, and says that all of it runs.
KUBECTL = """#!/usr/bin/env python3
import json, os, pathlib, shutil, sys
home, words = pathlib.Path(os.environ["CLUSTER"]), sys.argv[1:]
with open(home / "calls", "a") as calls:
    print(*words, file=calls)
if (home / "down").exists():
    sys.exit("The connection to the server was refused")
if words[0] == "apply":
    shutil.copytree(words[-1], home / "applied", dirs_exist_ok=True)
elif words[0] == "delete":
    shutil.rmtree(home / "applied", ignore_errors=True)
elif words[0] == "get":
    if not (home / "applied").exists() or (words[1] == "deployment") != (home / "applied/deployment.yaml").exists():
        sys.exit("NotFound")
    print(json.dumps({"metadata": {"generation": 1}, "spec": {"replicas": 2}, "status": {"observedGeneration": 1,
          "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "conditions": [{"type": "Ready", "status": "True"}]}}))
elif words[0] == "logs":
    print("one\\ntwo")
"""


class ClusterCase(Case):
    def setUp(self):
        super().setUp()
        self.register("m")

    def written(self, *words, name="digits"):
        """The manifests by file name, without the folder."""
        self.state = self.ask("service", "deploy", name, "--model", "m", "--target", "kubernetes", "--out", "out", *words)
        return {str(p.relative_to(self.folder / "out")): yaml.safe_load(p.read_text()) for p in (self.folder / "out").rglob("*.yaml")}


class Written(ClusterCase):
    def test_by_the_schemas(self):
        files = self.written("--auth", "key", "--replicas", "2", "--cpu", "0.5", "--memory", "1", "--namespace", "vision")
        self.assertEqual((self.state["state"], self.state["scoring_uri"]), ("Written", "http://digits.vision.svc/score"))
        plain = {k[11:]: v for k, v in files.items() if k.startswith("kubernetes/")}
        self.assertEqual(sorted(plain), ["autoscaler.yaml", "deployment.yaml", "disruption-budget.yaml", "network-policy.yaml",
                                         "secret.yaml", "service.yaml"])
        for name, manifest in plain.items():
            for version in ("1.27", "1.37"):
                kubernetes_validate.validate(manifest, version, strict=True)
            self.assertEqual((manifest["metadata"]["name"], manifest["metadata"]["namespace"]), ("digits", "vision"), name)
        broken = json.loads(json.dumps(plain["deployment.yaml"]))
        broken["spec"]["replicas"] = "two"
        with self.assertRaises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(broken, "1.37", strict=True)

    def test_what_they_say(self):
        files = self.written("--auth", "key", "--replicas", "3", "--cpu", "0.5", "--memory", "1", "--max-replicas", "5")
        keys = self.ask("service", "keys", "digits")
        deployment, scaler = files["kubernetes/deployment.yaml"], files["kubernetes/autoscaler.yaml"]
        pod = deployment["spec"]["template"]
        server = pod["spec"]["containers"][0]
        self.assertEqual((deployment["spec"]["replicas"], scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]), (3, 3, 5))
        self.assertEqual(server["resources"]["limits"], {"cpu": "500m", "memory": "1024Mi"})
        self.assertEqual(server["image"], "localhost/digits:1")
        self.assertIn("m=/var/azureml-app/azureml-models/m/1/m.onnx", server["args"])
        self.assertEqual(deployment["spec"]["selector"]["matchLabels"], pod["metadata"]["labels"])
        self.assertEqual(files["kubernetes/service.yaml"]["spec"]["selector"], pod["metadata"]["labels"])
        self.assertEqual(files["kubernetes/secret.yaml"]["stringData"], {"keys": f"{keys['primary']}\n{keys['secondary']}\n"})
        self.assertEqual(os.stat(self.folder / "out/kubernetes/secret.yaml").st_mode & 0o077, 0)
        mounts = {v["name"] for v in pod["spec"]["volumes"]}
        self.assertEqual({m["name"] for m in server["volumeMounts"]}, mounts)
        self.assertTrue(pod["spec"]["securityContext"]["runAsNonRoot"] and server["securityContext"]["readOnlyRootFilesystem"])

    def test_tls_and_origins(self):
        self.write("cert.pem", "-----BEGIN CERTIFICATE-----\n")
        self.write("key.pem", "-----BEGIN PRIVATE KEY-----\n")
        files = self.written("--tls-cert", "cert.pem", "--tls-key", "key.pem", "--cors-origin", "https://one.example", "--auth", "token")
        self.assertEqual(self.state["scoring_uri"], "https://digits.default.svc/score")
        for manifest in (m for name, m in files.items() if name.startswith("kubernetes/")):
            kubernetes_validate.validate(manifest, "1.37", strict=True)
        secret = files["kubernetes/secret.yaml"]["stringData"]
        self.assertEqual((sorted(secret), secret["tls.crt"]), (["tls.crt", "tls.key", "token-key"], "-----BEGIN CERTIFICATE-----\n"))
        for server in (files["kubernetes/deployment.yaml"]["spec"]["template"]["spec"]["containers"][0], files["kserve/runtime.yaml"]["spec"]["containers"][0]):
            self.assertEqual(server["readinessProbe"]["httpGet"]["scheme"], "HTTPS")
            options = dict(zip(server["args"], server["args"][1:]))
            self.assertEqual([options[o] for o in ("--tls-cert", "--tls-key", "--cors-origin")],
                             ["/etc/sardonyx/tls.crt", "/etc/sardonyx/tls.key", "https://one.example"])
        self.assertEqual(files["kubernetes/service.yaml"]["spec"]["ports"][0]["port"], 443)

    def test_a_fixed_number(self):
        scaler = self.written("--replicas", "2", "--max-replicas", "2")["kubernetes/autoscaler.yaml"]
        self.assertEqual((scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]), (2, 2))

    def test_for_kserve(self):
        files = self.written("--replicas", "2")
        self.assertNotIn("kserve/secret.yaml", files)  # nobody is asked for a key
        runtime, service = files["kserve/runtime.yaml"], files["kserve/service.yaml"]
        self.assertEqual((runtime["apiVersion"], runtime["kind"]), ("serving.kserve.io/v1alpha1", "ServingRuntime"))
        self.assertEqual((service["apiVersion"], service["kind"]), ("serving.kserve.io/v1beta1", "InferenceService"))
        predictor = service["spec"]["predictor"]
        self.assertEqual((predictor["model"]["runtime"], predictor["minReplicas"], predictor["maxReplicas"]), (runtime["metadata"]["name"], 2, 10))
        self.assertIn(predictor["model"]["modelFormat"]["name"], [f["name"] for f in runtime["spec"]["supportedModelFormats"]])
        self.assertIn(predictor["model"]["protocolVersion"], runtime["spec"]["protocolVersions"])
        # What KServe puts around these containers is Kubernetes' own: they hold against its schema as a pod.
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
               "spec": {k: runtime["spec"][k] for k in ("containers", "volumes")}}
        kubernetes_validate.validate(pod, "1.37", strict=True)

    def test_an_update_writes_again(self):
        self.written()
        said = self.ask("service", "update", "digits", "--model", "m", "--auth", "token")
        self.assertEqual((said["state"], said["revision"], said["previous"]), ("Written", 2, 1))
        server = yaml.safe_load((self.folder / "out/kubernetes/deployment.yaml").read_text())["spec"]["template"]["spec"]["containers"][0]
        self.assertEqual((server["image"], server["args"][-2]), ("localhost/digits:2", "--token-key"))
        self.ask("service", "rollback", "digits")
        self.ask("service", "scale", "digits", "7")
        deployment = yaml.safe_load((self.folder / "out/kubernetes/deployment.yaml").read_text())
        self.assertEqual((deployment["spec"]["replicas"], deployment["metadata"]["annotations"]["sardonyx.io/revision"]), (7, "1"))
        self.command("service", "delete", "digits")
        self.verify()

    def test_what_lies_beside_stays(self):
        """A folder may hold other manifests, of other services, too; secrets that nobody needs any more go."""
        self.write("out/kubernetes/mine.yaml", "a: 1\n")
        files = self.written("--auth", "key")
        self.assertEqual(files["kubernetes/mine.yaml"], {"a": 1})
        self.assertTrue((self.folder / "out/kserve/secret.yaml").exists())
        self.ask("service", "update", "digits", "--auth", "none")
        self.assertEqual(list((self.folder / "out").rglob("secret.yaml")), [])
        self.assertTrue((self.folder / "out/kubernetes/mine.yaml").exists())

    def test_names_of_a_cluster(self):
        for bad in ("Digits", "a_b", "1a", "a-", "a.b"):
            self.assertIn("lower-case", self.fails("service", "deploy", bad, "--model", "m", "--target", "kubernetes"))


class Applied(ClusterCase):
    def setUp(self):
        super().setUp()
        self.cluster = self.folder / "cluster"
        self.write("bin/kubectl", KUBECTL)
        os.chmod(self.folder / "bin/kubectl", 0o755)
        self.cluster.mkdir()
        self.env = {**os.environ, "PATH": f"{self.folder}/bin:{os.environ['PATH']}", "CLUSTER": str(self.cluster)}

    def test_there_and_gone(self):
        words = ("service", "deploy", "digits", "--model", "m", "--target", "kubernetes", "--replicas", "2")
        self.assertEqual(self.ask(*words, "--wait", env=self.env)["state"], "Healthy")
        self.assertTrue((self.cluster / "applied/deployment.yaml").exists())
        self.assertEqual(self.ask("service", "logs", "digits", "--lines", "5", env=self.env), ["one", "two"])
        self.assertIn("--tail=5", (self.cluster / "calls").read_text())
        self.command("service", "delete", "digits", env=self.env)
        self.assertFalse((self.cluster / "applied").exists())
        self.verify()

    def test_by_kserve(self):
        words = ("service", "deploy", "digits", "--model", "m", "--target", "kubernetes", "--kserve")
        self.assertEqual(self.ask(*words, "--wait", env=self.env)["state"], "Healthy")
        self.assertEqual(self.ask("service", "logs", "digits", env=self.env), ["one", "two"])
        self.assertIn("logs --selector=serving.kserve.io/inferenceservice=digits", (self.cluster / "calls").read_text())
        self.command("service", "delete", "digits", env=self.env)

    def test_a_cluster_that_is_away(self):
        self.write("cluster/down", "")
        words = ("service", "deploy", "digits", "--model", "m", "--target", "kubernetes", "--wait")
        self.assertIn("refused", self.fails(*words, env=self.env))
        self.assertEqual(self.ask("service", "show", "digits", env=self.env)["error"]["code"], "ApplyFailed")
        (self.cluster / "down").unlink()
        self.assertEqual(self.ask("service", "start", "digits", "--wait", env=self.env)["state"], "Healthy")


@unittest.skipUnless(all(map(shutil.which, ("podman", "runc", "catatonit"))), "podman, runc or catatonit is not installed")
class Played(ClusterCase):
    def test_under_podman(self):
        """The deployment as it is, but for the network: here a pod has that of the host."""
        self.written(name="played")
        self.command("image", "export", "played", "image.tar")
        text = (self.folder / "out/kubernetes/deployment.yaml").read_text()
        text = re.sub(r"\n          ports:\n.*", "", text)
        self.write("play.yaml", text)
        self.write("containers.conf", '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n')
        env = {**os.environ, "CONTAINERS_CONF": str(self.folder / "containers.conf")}
        call = lambda *words: subprocess.run([*PODMAN, *words], cwd=self.folder, env=env, capture_output=True, text=True, timeout=120)  # noqa: E731
        self.assertEqual(call("load", "--quiet", "--input", "image.tar").returncode, 0)
        self.addCleanup(call, "kube", "down", "play.yaml")
        played = call("kube", "play", "--network", "host", "play.yaml")
        self.assertEqual(played.returncode, 0, played.stderr)
        end, body = time.monotonic() + 30, None
        while body is None:
            try:
                request = urllib.request.Request("http://127.0.0.1:5001/score", b'{"data": [[1, 2, 3]]}', {"Content-Type": "application/json"})
                with urllib.request.urlopen(request, timeout=5) as answer:
                    body = answer.read()
            except OSError:
                self.assertLess(time.monotonic(), end)
                time.sleep(0.2)
        self.assertEqual(json.loads(body), {"result": [[2, 4, 6]]})


if __name__ == "__main__":
    sys.exit(suite.run())
