#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What compat/azureml does with a workspace: models, images, environments, what it refuses; and what a score.py imports of it."""
import concurrent.futures
import io
import json
import os
import pathlib
import subprocess
import sys
import textwrap
import threading
import contextlib
import unittest
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import venv  # noqa: E402

venv.enter("azureml")
from lab import COMMAND, ROOT, Case, twice, with_constant  # noqa: E402
import suite  # noqa: E402

COMPAT = ROOT / "compat/azureml"
sys.path.insert(0, str(COMPAT))
os.environ["SARDONYX"] = COMMAND
from azureml.core import Environment, Image, Model, Workspace  # noqa: E402
from azureml.core.compute import AksCompute, ComputeTarget  # noqa: E402
from azureml.core.conda_dependencies import CondaDependencies  # noqa: E402
from azureml.core.image import ContainerImage  # noqa: E402
from azureml.core.model import InferenceConfig  # noqa: E402
from azureml.core.webservice import AciWebservice, AksEndpoint, AksWebservice, LocalWebservice, Webservice  # noqa: E402
from azureml.exceptions import (ModelNotFoundException, UserErrorException, WebserviceException,  # noqa: E402
                                WorkspaceException)


class Sdk(Case):
    """In a workspace's folder."""

    def setUp(self):
        super().setUp()
        before = pathlib.Path.cwd()
        os.chdir(self.folder)
        self.addCleanup(os.chdir, before)
        self.said = io.StringIO()
        kept = contextlib.redirect_stdout(self.said)
        kept.__enter__()
        self.addCleanup(kept.__exit__, None, None, None)
        if self.workspace:
            self.ws = Workspace.from_config()

    def model(self, name="digits", data=None, **more):
        self.write(name + ".onnx", data or twice())
        return Model.register(self.ws, name + ".onnx", name, **more)

    def raises(self, what, text, function, *arguments, **more):
        with self.assertRaises(what) as caught:
            function(*arguments, **more)
        self.assertIn(text, caught.exception.message)

    def warned(self, function, *arguments, **more):
        """What is said while it is done."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            function(*arguments, **more)
        return "\n".join(str(one.message) for one in caught)


class Workspaces(Sdk):
    workspace = False

    def test_created_found_written_deleted(self):
        self.raises(UserErrorException, "workspace", Workspace.from_config)
        made = Workspace.create("mine", subscription_id="s-1", resource_group="lab", location="west")
        for found in (made, Workspace.from_config(), Workspace.get("mine", subscription_id="s-1", resource_group="lab"),
                      Workspace.create("mine", exist_ok=True), Workspace("s-1", "lab", "mine")):
            self.assertEqual((found.name, found.resource_group, found.location, found.subscription_id), ("mine", "lab", "west", "s-1"))
        self.raises(WorkspaceException, "has the name 'mine', not 'other'", Workspace.get, "other")
        self.raises(WorkspaceException, "named 'mine'", Workspace.create, "other", exist_ok=True)
        self.raises(WorkspaceException, "", Workspace.create, "mine")
        (self.folder / "deep/er").mkdir(parents=True)
        os.chdir("deep/er")
        self.assertEqual(Workspace.from_config().name, "mine")
        os.chdir(self.folder)
        self.assertEqual(Workspace.from_config("deep").name, "mine")
        self.assertEqual(Workspace.list("s-1")["mine"][0].name, "mine")
        self.assertEqual(Workspace.list("s-2"), {})
        details = made.get_details()
        self.assertEqual((details["name"], details["location"]), ("mine", "west"))
        self.assertTrue(details["id"].endswith("/subscriptions/s-1/resourceGroups/lab/providers/Microsoft.MachineLearningServices/"
                                               "workspaces/mine"))
        made.write_config()
        self.assertEqual(Workspace.from_config().location, "west")
        (self.folder / "sub").mkdir()
        made.write_config("sub")
        self.assertEqual(json.loads((self.folder / "sub/.azureml/config.json").read_text())["workspace_name"], "mine")
        made.delete()
        self.assertFalse(self.store.exists())

    def test_without_the_command(self):
        kept = os.environ.pop("SARDONYX")
        self.addCleanup(os.environ.__setitem__, "SARDONYX", kept)
        path, os.environ["PATH"] = os.environ["PATH"], "/nowhere"
        self.addCleanup(os.environ.__setitem__, "PATH", path)
        self.raises(UserErrorException, "not in PATH", Workspace.from_config)


class Models(Sdk):
    def test_registered(self):
        first = self.model("digits", tags=["onnx"], description="test", properties={"by": 7})
        self.assertEqual((first.id, first.name, first.version, first.description), ("digits:1", "digits", 1, "test"))
        self.assertEqual((first.tags, first.properties, first.model_framework), ({"onnx": ""}, {"by": "7"}, "Onnx"))
        self.assertIn("Registering model digits", self.said.getvalue())
        second = self.model("digits", with_constant([1.0]), tags={"stage": "live"}, model_framework=Model.Framework.ONNX)
        self.assertEqual((second.id, second.tags), ("digits:2", {"stage": "live"}))
        self.assertGreaterEqual(second.created_time, first.created_time)
        self.assertEqual([m.id for m in Model.list(self.ws)], ["digits:2", "digits:1"])
        self.assertEqual([m.id for m in Model.list(self.ws, "digits", tags=["onnx"])], ["digits:1"])
        self.assertEqual([m.id for m in Model.list(self.ws, tags=[["stage", "live"]])], ["digits:2"])
        self.assertEqual([m.id for m in Model.list(self.ws, latest=True)], ["digits:2"])
        self.assertEqual({n: m.version for n, m in self.ws.models.items()}, {"digits": 2})
        for model in (Model(self.ws, "digits", version=1), Model(self.ws, id="digits:1"), Model(self.ws, "digits", tags=["onnx"])):
            self.assertEqual(model.id, "digits:1")
        self.assertEqual(Model.deserialize(self.ws, first.serialize()).id, "digits:1")
        self.raises(WebserviceException, "did you mean 'digits'", Model, self.ws, "digit")
        self.raises(WebserviceException, "name or its id", Model, self.ws)
        self.raises(WebserviceException, "and run", Model, self.ws, "digits", run_id="r")
        self.assertEqual((Model.list(self.ws, run_id="r"), Model.list(self.ws, dataset_id="d")), ([], []))

    def test_words_about_it(self):
        model = self.model(tags={"a": "1", "b": "2"})
        model.add_tags({"c": "3"})
        model.remove_tags(["a"])
        self.assertEqual(Model(self.ws, "digits").tags, {"b": "2", "c": "3"})
        model.update(tags={"d": "4"}, description="now")
        again = Model(self.ws, "digits")
        self.assertEqual((again.tags, again.description), ({"d": "4"}, "now"))
        model.add_properties({"p": "q"})
        self.raises(WebserviceException, "p", model.add_properties, {"p": "other"})
        model.update_tags_properties(add_tags={"e": ""}, remove_tags=["d"], add_properties={"r": "s"})
        self.assertEqual((model.tags, model.properties), ({"e": ""}, {"p": "q", "r": "s"}))
        self.raises(UserErrorException, "a dict or a list", model.add_tags, "e")

    def test_refused(self):
        self.raises(WebserviceException, "there is no model file", Model.register, self.ws, "none.onnx", "m")
        self.raises(WebserviceException, "without model_framework", Model.register, self.ws, "x", "m", model_framework_version="1")
        self.write("bad.onnx", b"no model")
        self.raises(WebserviceException, "bad.onnx", Model.register, self.ws, "bad.onnx", "m")
        model = self.model()
        model.delete()
        self.raises(WebserviceException, "there is no model", Model, self.ws, "digits")

    def test_files(self):
        model = self.model()
        self.assertEqual(model.download("out"), "out/digits.onnx")
        self.raises(WebserviceException, "out", model.download, "out")
        self.assertEqual(pathlib.Path(model.download("out", exist_ok=True)).read_bytes(), twice())
        self.write("set/a.onnx", twice())
        self.write("set/labels.txt", "x")
        several = Model.register(self.ws, "set", "set")
        self.assertEqual(sorted(p.name for p in pathlib.Path(several.download("two")).iterdir()), ["a.onnx", "labels.txt"])
        one = Model.register(self.ws, "set", "one", child_paths=["a.onnx"])
        self.assertEqual(pathlib.Path(one.download("three")).name, "a.onnx")
        self.assertEqual(sorted(several.get_sas_urls()), ["set/a.onnx", "set/labels.txt"])

    def test_paths_in_a_script(self):
        self.raises(ModelNotFoundException, "digits not found", Model.get_model_path, "digits")
        self.write("digits", b"file beside")
        self.assertEqual(Model.get_model_path("digits"), "digits")
        self.write("azureml-models/digits/9/m.onnx", b"9")
        self.write("azureml-models/digits/10/m.onnx", b"10")
        self.assertEqual(Model.get_model_path("digits"), "azureml-models/digits/10/m.onnx")
        self.assertEqual(Model.get_model_path("digits", version=9), "azureml-models/digits/9/m.onnx")
        self.raises(WebserviceException, "should be an int", Model.get_model_path, "digits", "9")
        self.model("other")
        self.assertEqual(Model.get_model_path("other", _workspace=self.ws), "azureml-models/other/1/other.onnx")


SCORE = """
    import json
    import numpy as np
    import onnxruntime
    from azureml.core.model import Model

    def init():
        global session
        session = onnxruntime.InferenceSession(Model.get_model_path("digits"))

    def run(raw):
        data = np.array(json.loads(raw)["data"], dtype=np.float32)
        return session.run(None, {session.get_inputs()[0].name: data})[0].tolist()
"""


class Images(Sdk):
    @classmethod
    def setUpClass(cls):
        venv.install("bindings/python")

    def setUp(self):
        super().setUp()
        self.write("score.py", textwrap.dedent(SCORE))
        self.write("myenv.yml", CondaDependencies.create(pip_packages=["numpy", "onnxruntime", "azureml-core"]).serialize_to_string())

    def config(self, **more):
        return ContainerImage.image_configuration("score.py", "python", conda_file="myenv.yml", **more)

    def test_created(self):
        model = self.model()
        self.write("labels.txt", "0 1 2")
        config = self.config(dependencies=["labels.txt"], tags=["onnx"], description="test", properties={"a": "b"})
        image = ContainerImage.create(workspace=self.ws, name="first", models=[model], image_config=config)
        image.wait_for_creation(show_output=True)
        self.assertIn('Image creation operation finished for image first:1, operation "Succeeded"', self.said.getvalue())
        self.assertEqual((image.creation_state, image.tags, image.description, image.properties), ("Succeeded", {"onnx": ""}, "test", {"a": "b"}))
        self.assertEqual([m.id for m in image.models], ["digits:1"])
        log = pathlib.Path(image.image_build_log_uri.removeprefix("file://")).read_text()
        self.assertIn("run(sample) answers 200", log)
        self.raises(WebserviceException, "first:1", model.delete)
        for found in (Image(self.ws, "first"), Image(self.ws, id="first:1"), Image.list(self.ws, model_name="digits")[0],
                      Image.list(self.ws, image_name="first", model_id="digits:1", tags=["onnx"])[0], self.ws.images["first"],
                      Image.deserialize(self.ws, image.serialize())):
            self.assertEqual((type(found), found.id), (ContainerImage, "first:1"))
        self.assertEqual(Image.list(self.ws, model_id="digits:2"), [])
        image.update(tags={"x": "y"})
        self.assertEqual(Image(self.ws, "first").tags, {"x": "y"})
        image.delete()
        self.assertEqual(Image.list(self.ws), [])

    def test_what_a_configuration_refuses(self):
        for text, more in (("entry script 'no.py' does not exist", {"execution_script": "no.py"}),
                           ("is no Python file", {"execution_script": "myenv.yml"}), ("none of python", {"runtime": "julia"}),
                           ("needs Spark", {"runtime": "spark-py"}), ("conda file 'no.yml'", {"conda_file": "no.yml"}),
                           ("dependency 'no.txt'", {"dependencies": ["no.txt"]}), ("schema file 'no.json'", {"schema_file": "no.json"}),
                           ("Docker file 'Dockerfile'", {"docker_file": "Dockerfile"}),
                           ("absolute path", {"execution_script": str(self.folder / "score.py")})):
            with self.subTest(text):
                self.raises(WebserviceException, text, ContainerImage.image_configuration,
                            **{"execution_script": "score.py", "runtime": "python", **more})
        self.write("Dockerfile", "RUN true")
        for more, text in (({"docker_file": "Dockerfile"}, "steps for Docker are not run"), ({"enable_gpu": True}, "GPUs has no effect")):
            self.assertIn(text, self.warned(self.config, **more))

    def test_packaged(self):
        environment = Environment.from_conda_specification("e", "myenv.yml")
        for folder in ("src", ".hidden"):
            self.write(f"src/{folder}/x.txt", "x")
        self.write("src/score.py", textwrap.dedent(SCORE))
        config = InferenceConfig("score.py", source_directory="src", environment=environment, description="of mine")
        config.validation_script_content()
        package = Model.package(self.ws, [self.model()], config)
        package.wait_for_creation(show_output=True)
        self.assertEqual((package.state, package.location, Image(self.ws, "digits").description), ("Succeeded", "digits:1", "of mine"))
        package.save("layout")
        self.assertTrue((self.folder / "layout/index.json").exists())
        names = subprocess.run(["sh", "-c", "for f in layout/blobs/sha256/*; do tar tzf $f 2>/dev/null; done"], capture_output=True, text=True,
                               check=False).stdout
        self.assertIn("var/azureml-app/src/x.txt", names)
        self.assertNotIn("hidden", names)
        self.raises(UserErrorException, "without Docker", Model.package, self.ws, [], generate_dockerfile=True)
        self.write("bad.py", "def init(): pass\n")
        self.raises(WebserviceException, "has no function run()", InferenceConfig("bad.py").validation_script_content)


BODY = json.dumps({"data": [[1, 2, 3]]})
ANSWER = {"result": [[2.0, 4.0, 6.0]]}


class Services(Sdk):
    def deploy(self, name, config=None, **more):
        service = Model.deploy(self.ws, name, [self.model()], deployment_config=config, **more)
        self.addCleanup(lambda: name in self.ws.webservices and Webservice(self.ws, name).delete())
        self.assertEqual(service.state, "Transitioning")
        service.wait_for_deployment(show_output=True)
        return service

    def test_local(self):
        service = self.deploy("native", LocalWebservice.deploy_configuration())
        self.assertIn('Local service creation operation finished, operation "Succeeded"', self.said.getvalue())
        self.assertEqual((service.run(BODY), service.run(BODY.encode()), service.run(json.loads(BODY))), (ANSWER,) * 3)
        self.assertEqual(service.scoring_uri, f"http://127.0.0.1:{service.port}/score")
        self.assertEqual((service.state, service.compute_type, [m.id for m in service.models], service.image.id),
                         ("Healthy", "Local", ["digits:1"], "native:1"))
        for refused in (service.get_keys, lambda: service.regen_key("Primary"), service.get_token):
            self.assertRaises(NotImplementedError, refused)
        for found in (Webservice(self.ws, "native"), LocalWebservice(self.ws, "native"), self.ws.webservices["native"],
                      LocalWebservice.list(self.ws, model_name="digits")[0], Webservice.list(self.ws, image_name="native")[0],
                      Webservice.deserialize(self.ws, service.serialize())):
            self.assertEqual((type(found), found.scoring_uri), (LocalWebservice, service.scoring_uri))
        self.assertEqual(Webservice.list(self.ws, compute_type="ACI"), [])
        self.raises(WebserviceException, "there is a service 'native' already", Model.deploy, self.ws, "native", service.models)
        self.raises(WebserviceException, "did you mean 'native'", Webservice, self.ws, "nativ")
        self.raises(WebserviceException, "there is no service", LocalWebservice, self.ws, "other")
        missing = LocalWebservice(self.ws, "other", must_exist=False)
        self.assertEqual((missing.state, missing.port), ("unknown", None))
        self.raises(WebserviceException, "has no address yet", missing.run, BODY)
        self.assertEqual(service.image_digest, service.image._facts["digest"])
        self.assertEqual([s.name for s in Webservice.list(self.ws, image_digest=service.image_digest)], ["native"])
        self.assertEqual(Webservice.list(self.ws, image_digest="sha256:0"), [])
        self.raises(WebserviceException, f"keeps its port {service.port}", service.update,
                    deployment_config=LocalWebservice.deploy_configuration(service.port % 65535 + 1))

        service.update(models=[self.model("digits", with_constant([1.0, 1.0, 1.0]))], wait=True)
        self.assertEqual(service.models[0].id, "digits:2")
        self.assertEqual(service.run(json.dumps({"data": [1, 2, 3]})), {"result": [2.0, 3.0, 4.0]})
        service.reload(wait=True)
        self.assertEqual(service.run(json.dumps({"data": [1, 2, 3]})), {"result": [2.0, 3.0, 4.0]})
        self.assertIn("supervisor", service.get_logs(num_lines=5))
        service.delete(delete_image=True)
        self.assertEqual((service.state, self.ws.webservices), ("deleted", {}))
        self.raises(WebserviceException, "", service.run, BODY)

    def test_keys_and_words(self):
        config = AciWebservice.deploy_configuration(auth_enabled=True, primary_key="a-key-of-ones-own-0123", cpu_cores=1, memory_gb=1,
                                                    tags={"t": "1"}, description="first", properties={"p": "q"})
        service = self.deploy("with-keys", config)
        self.assertEqual((type(service), service.auth_enabled, service.tags, service.properties, service.description),
                         (AciWebservice, True, {"t": "1"}, {"p": "q"}, "first"))
        first, second = service.get_keys()
        self.assertEqual(first, "a-key-of-ones-own-0123")
        self.assertEqual(service.run(BODY), ANSWER)
        service.regen_key("secondary")
        service.regen_key("Primary", "another-of-ones-own-0123")
        self.assertEqual(service.get_keys()[0], "another-of-ones-own-0123")
        self.assertNotEqual(service.get_keys()[1], second)
        self.assertEqual(service.run(BODY), ANSWER)
        self.raises(WebserviceException, "Valid options are", service.regen_key, "third")
        before = service._facts["revisions"]
        service.update(tags=service.tags)
        service.add_tags({"a": "b"})
        service.remove_tags(["t"])
        service.add_properties({"r": "s"})
        service.update(tags={"z": "y"}, description="second")
        again = Webservice(self.ws, "with-keys")
        self.assertEqual((again.tags, again.description, again.properties), ({"z": "y"}, "second", {"p": "q", "r": "s"}))
        self.assertEqual(again._facts["revisions"], before)  # words start nothing
        self.raises(WebserviceException, "Response Code: 400", service.run, "{")
        service.update(auth_enabled=False)
        service.wait_for_deployment()
        self.assertEqual((service.auth_enabled, service.run(BODY)), (False, ANSWER))
        answers, stop = [], threading.Event()

        def client():
            while not stop.is_set():
                answers.append(again.run(BODY))

        again.update_deployment_state()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:  # what it raises is raised by result()
            load = pool.submit(client)
            try:
                replaced = Model.deploy(self.ws, "with-keys", [self.model()], overwrite=True)
                replaced.wait_for_deployment()
            finally:
                stop.set()
            load.result()
        self.assertEqual((replaced.tags, replaced.run(BODY), replaced.scoring_uri), ({}, ANSWER, again.scoring_uri))
        self.assertEqual([a for a in answers if a != ANSWER], [])
        self.assertGreater(len(answers), 5)
        elsewhere = Model.deploy(self.ws, "with-keys", [self.model()], deployment_config=LocalWebservice.deploy_configuration(port=replaced._facts["port"] % 60000 + 1),
                                 overwrite=True)
        elsewhere.wait_for_deployment()
        self.assertEqual((elsewhere.run(BODY), elsewhere.scoring_uri == again.scoring_uri), (ANSWER, False))

    def test_in_a_cluster(self):
        """What the command is told (tests/deploy asks what it makes of that)."""
        config = AksWebservice.deploy_configuration(autoscale_enabled=True, autoscale_min_replicas=2, autoscale_max_replicas=5, cpu_cores=0.5,
                                                    namespace="models", tags={"a": "b"})
        words = config._words()
        for pair in ("--target kubernetes", "--auth key", "--replicas 2", "--max-replicas 5", "--cpu 0.5", "--namespace models", "--tag a=b"):
            self.assertIn(pair, " ".join(words))
        fixed = AksWebservice.deploy_configuration(num_replicas=3)._words()
        self.assertIn("--replicas 3 --max-replicas 3", " ".join(fixed))
        self.assertIn("--auth token", " ".join(AksWebservice.deploy_configuration(token_auth_enabled=True)._words()))
        for refused in ("create_version", "update_version", "delete_version"):
            self.raises(WebserviceException, "has all of the traffic", getattr(object.__new__(AksEndpoint), refused), "v2")

    def test_tokens(self):
        image = Image.deserialize(self.ws, self.ask("image", "build", "--model", self.model().id))
        config = AksWebservice.deploy_configuration(token_auth_enabled=True)
        config._words = lambda: [*config._common_words(), "--target", "local", "--auth", "token"]  # here instead of in a cluster
        service = Webservice.deploy_from_image(self.ws, "with-tokens", image, config)
        self.addCleanup(service.delete)
        service.wait_for_deployment()
        token, refresh = service.get_token()
        self.assertEqual((type(service), service.token_auth_enabled, service.auth_enabled), (AksWebservice, True, False))
        self.assertGreater(refresh, service.created_time)
        self.assertEqual(service.run(BODY), ANSWER)
        self.assertEqual((service.get_access_token().token_type, token.count(".")), ("Bearer", 2))

    def test_versions(self):
        config = AksEndpoint.deploy_configuration(auth_enabled=False)
        config._words = lambda: [*config._common_words(), "--target", "local"]  # here instead of in a cluster
        service = self.deploy("with-versions", config)
        self.assertEqual((type(service), list(service.versions), service.run(BODY)), (AksEndpoint, ["1"], ANSWER))
        other = self.model("digits", with_constant([1.0, 1.0, 1.0]))
        for more in ({}, {"traffic_percentile": 50}):
            self.raises(WebserviceException, "has all of the traffic", service.create_version, "v2", models=[other], **more)
        self.assertIn("version_name", self.warned(service.create_version, "v2", models=[other], traffic_percentile=100, tags={"a": "b"},
                                                  description="second", properties={"p": "q"}))
        service.wait_for_deployment()
        again = Webservice(self.ws, "with-versions")
        self.assertEqual((type(again), again.properties), (AksEndpoint, {"p": "q"}))
        self.assertEqual((service.tags, service.description, sorted(service.versions)), ({"a": "b"}, "second", ["1", "2"]))
        self.assertEqual(service.run(json.dumps({"data": [1, 2, 3]})), {"result": [2.0, 3.0, 4.0]})

    def test_variables(self):
        venv.install("bindings/python")
        self.write("score.py", "import os\ndef init(): pass\ndef run(raw): return os.environ['WHO'] + os.environ['LEVEL']\n")
        environment = Environment("e")
        environment.environment_variables = {"WHO": "me = ", "LEVEL": 3}
        service = Model.deploy(self.ws, "variables", [self.model()], InferenceConfig("score.py", environment=environment))
        self.addCleanup(service.delete)
        service.wait_for_deployment()
        self.assertEqual(service.run(BODY), "me = 3")
        environment.environment_variables["PATH"] = "/x"
        self.raises(WebserviceException, "variable 'PATH'", Model.package, self.ws, service.models, InferenceConfig("score.py", environment=environment))

    def test_what_does_not_come_up(self):
        venv.install("bindings/python")
        self.write("score.py", "import os\ndef init():\n    print('about to fail')\n    raise ValueError('no luck')\ndef run(raw): pass\n")
        service = Model.deploy(self.ws, "broken", [self.model()], InferenceConfig("score.py"))
        self.addCleanup(service.delete)
        with self.assertRaises(WebserviceException) as caught:
            service.wait_for_deployment()
        for text in ("current service state: Failed", "init() fails in line 4: ValueError: no luck", "about to fail", "raise ValueError('no luck')"):
            self.assertIn(text, caught.exception.message)
        self.assertEqual((service.state, service.error["line"]), ("Failed", 4))
        for name in ("A b", "x", "9abc", "with_underscore", "a" * 33):
            self.raises(WebserviceException, "3 to 32 characters", Model.deploy, self.ws, name, [])
        # Nothing is registered or built for a service that cannot be.
        known, config = len(Image.list(self.ws)), ContainerImage.image_configuration("score.py", "python")
        for text, name in (("3 to 32 characters", "A b"), ("there is a service 'broken' already", "broken")):
            self.raises(WebserviceException, text, Webservice.deploy, self.ws, name, ["score.py"], config)
            self.raises(WebserviceException, text, Webservice.deploy_from_model, self.ws, name, self.ws.models.values(), config)
        self.assertEqual((len(Image.list(self.ws)), list(self.ws.models)), (known, ["digits"]))

    def test_an_image_is_tried(self):
        image = Image.deserialize(self.ws, self.ask("image", "build", "--model", self.model().id))
        self.assertEqual(image.run(BODY), ANSWER)
        self.assertEqual(self.ws.webservices, {})


class Environments(Sdk):
    def test_of_conda(self):
        plain = CondaDependencies()
        plain.add_pip_package("numpy")
        plain.add_pip_package("azureml-core")
        plain.add_pip_package("numpy==2")
        self.assertEqual(list(plain.pip_packages), ["azureml-defaults", "azureml-core", "numpy==2"])
        plain.remove_pip_package("azureml-defaults")
        plain.add_conda_package("python=3.9")
        plain.add_conda_package("libpng")
        plain.add_channel("mine")
        plain.set_pip_option("--pre")
        plain.set_pip_option("--index-url a")
        plain.set_pip_option("--index-url b")
        self.assertEqual((plain.get_python_version(), list(plain.conda_packages)), ("3.9", ["python=3.9", "libpng"]))
        self.assertEqual((list(plain.conda_channels)[-1], list(plain.pip_options)), ("mine", ["--pre", "--index-url b"]))
        self.write("env.yml", plain.serialize_to_string())
        self.assertEqual(CondaDependencies("env.yml").as_dict(), plain.as_dict())
        for text, function in (("Invalid package name -x", lambda: plain.add_pip_package("-x")),
                               ("must not be removed", lambda: plain.remove_conda_package("python=3.9")),
                               ("Invalid pip option x", lambda: plain.set_pip_option("x")),
                               ("Invalid core type", lambda: plain.add_cntk_package("tpu")), ("is a folder", lambda: plain.save(".")),
                               ("is no folder", lambda: plain.save("no/env.yml"))):
            self.raises(UserErrorException, text, function)
        self.write("odd.yml", "nonsense: 1\n")
        self.raises(UserErrorException, "unknown nonsense key", CondaDependencies, "odd.yml")
        self.write("list.yml", "- 1\n")
        self.raises(UserErrorException, "not a valid YAML structure", CondaDependencies, "list.yml")
        self.assertEqual(CondaDependencies.merge_requirements(["a==1", "a<2", "b"]), ["a==1,<2", "b"])
        self.assertEqual(plain.save_to_file("."), ".azureml/auto_conda_dependencies.yml")

    def test_registered(self):
        self.write("requirements.txt", "numpy==2  # arrays\n# more\n\nonnxruntime\n")
        first = Environment.from_pip_requirements("mine", "requirements.txt").register(self.ws)
        self.assertEqual(list(first.python.conda_dependencies.pip_packages), ["numpy==2", "onnxruntime"])
        self.assertEqual((first.version, first.register(self.ws).version), ("1", "1"))
        first.environment_variables["A"] = "b"
        self.assertEqual(first.register(self.ws).version, "2")
        self.assertEqual(Environment.get(self.ws, "mine").environment_variables, {"A": "b"})
        self.assertEqual(Environment.get(self.ws, "mine", "1").environment_variables, {})
        self.assertEqual(list(self.ws.environments), ["mine"])
        self.raises(UserErrorException, "it has mine", Environment.get, self.ws, "other")

    def test_what_has_no_effect_is_said(self):
        for file in ("c.pem", "k.pem", "score.py"):
            self.write(file, "")
        aci = AciWebservice.deploy_configuration(ssl_enabled=True, ssl_cert_pem_file="c.pem", ssl_key_pem_file="k.pem", ssl_cname="me")
        environment = Environment("mine")
        environment.docker.arguments, environment.inferencing_stack_version = ["--net=host"], "latest"
        environment.docker.base_image_registry.username = "me"
        new = object.__new__
        for text, function, more in (("ssl_enabled", aci._words, {}), ("enable_app_insights", new(AciWebservice).update, {"enable_app_insights": True}),
                                     ("autoscale_max_replicas, namespace, x", new(AksWebservice).update,
                                      {"namespace": "n", "autoscale_max_replicas": 3, "x": 1}),
                                     ("enable_app_insights", new(AksEndpoint).update, {"enable_app_insights": True}),
                                     ("agent_count, vm_size", ComputeTarget.create, {"workspace": self.ws, "name": "c", "provisioning_configuration":
                                                                                     AksCompute.provisioning_configuration(3, "big")}),
                                     ("datasets", self.model, {"datasets": [1]}), ("tags", Workspace.create, {"name": self.ws.name, "exist_ok": True,
                                                                                                             "tags": {"a": "b"}}),
                                     ("arguments, inferencing_stack_version", InferenceConfig, {"entry_script": "score.py", "environment": environment}),
                                     ("podman login", InferenceConfig, {"entry_script": "score.py", "environment": environment})):
            self.assertIn(text, self.warned(function, **more))
        self.assertEqual(self.warned(AksCompute.attach, self.ws, "known", "/clusters/mine"), "")
        self.assertEqual(self.ws.compute_targets["known"].cluster_resource_id, "/clusters/mine")
        environment.docker.base_dockerfile = "FROM x"
        self.raises(UserErrorException, "without Docker", InferenceConfig, "score.py", environment=environment)

    def test_deployments_that_contradict_themselves(self):
        for text, function, more in (("cpu_cores must be greater than zero", AciWebservice.deploy_configuration, {"cpu_cores": 0}),
                                     ("SSL is enabled", AciWebservice.deploy_configuration, {"ssl_enabled": True}),
                                     ("port must be", LocalWebservice.deploy_configuration, {"port": "x"}),
                                     ("autoscale enabled and num_replicas", AksWebservice.deploy_configuration,
                                      {"autoscale_enabled": True, "num_replicas": 2}),
                                     ("num_replicas not provided", AksWebservice.deploy_configuration, {"autoscale_enabled": False}),
                                     ("cannot both be true", AksWebservice.deploy_configuration,
                                      {"auth_enabled": True, "token_auth_enabled": True}),
                                     ("between 0 and 100", AksEndpoint.deploy_configuration, {"traffic_percentile": 101})):
            self.raises(WebserviceException, text, function, **more)


class Imports(unittest.TestCase):
    def python(self, program, **more):
        return subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False,
                              env={**os.environ, "PYTHONPATH": str(COMPAT)}, **more)

    def test_what_is_not_there_says_what_is(self):
        said = self.python("from azureml.core import Experiment").stderr
        self.assertIn("ImportError: azureml.core.Experiment is about training and data in Azure. Sardonyx registers", said)

    def test_a_script_imports_little(self):
        said = self.python("""
            import sys
            from azureml.core.model import Model
            from azureml.contrib.services.aml_request import rawhttp
            print([name for name in ("yaml", "numpy", "sardonyx", "email") if name in sys.modules])
            """)
        self.assertEqual(said.stdout.strip(), "[]", said.stderr)

    def test_beside_the_original(self):
        kept = COMPAT / "azureml_core-1.0.0.dist-info"
        self.addCleanup(lambda: [(kept / "top_level.txt").unlink(), kept.rmdir()])
        kept.mkdir()
        (kept / "top_level.txt").write_text("azureml\n")
        said = self.python("import azureml.core").stderr
        self.assertIn("azureml-core and sardonyx-azureml bring the same package 'azureml'", said)
        built = subprocess.run([sys.executable, "-c", f"import sysconfig; sysconfig.get_path = lambda name: {str(COMPAT)!r}\n"
                                "import backend; backend.build_wheel('/nowhere')"], cwd=COMPAT, capture_output=True, text=True, check=False)
        self.assertIn("To use Sardonyx: pip uninstall azureml-core", built.stderr)

    def test_requests_and_responses(self):
        said = self.python(r"""
            from azureml.contrib.services.aml_request import AMLRequest
            from azureml.contrib.services.aml_response import AMLResponse
            head = {"method": "POST", "path": "/score", "query": "a=1&a=2&b=", "headers": {"content-type": "multipart/form-data; boundary=X"}}
            body = (b'--X\r\nContent-Disposition: form-data; name="t"\r\n\r\nword\r\n--X\r\nContent-Disposition: form-data; name="image"; '
                    b'filename="d.png"\r\nContent-Type: image/png\r\n\r\n\x00\xff\r\n--X--\r\n')
            r = AMLRequest.of_frame(head, body)
            assert (r.method, r.args["a"], r.args.getlist("a"), r.args.get("b")) == ("POST", "1", ["1", "2"], "")
            assert (r.form["t"], r.files["image"].filename, r.files["image"].read()) == ("word", "d.png", b"\x00\xff")
            assert r.headers["Content-Type"] == r.headers["content-type"] and not r.is_json and r.get_json() is None
            j = AMLRequest.of_frame({"headers": {"content-type": "application/json"}}, b'{"a": 1}')
            assert j.json == {"a": 1} and j.get_data(as_text=True) == '{"a": 1}'
            a = AMLResponse({"m": 1}, 201, {"X-A": "1, 2"}, json_str=True)
            assert a.get_data() == b'{"m": 1}' and a.headers.get_all("x-a") == ["1", "2"] and a.mimetype == "application/json"
            assert AMLResponse(None, 200).get_data() == b"{}"
            assert AMLResponse(b"1", 200, {"content-type": "a/b"}).headers["Content-Type"] == "a/b"
            """)
        self.assertEqual(said.stderr, "")

    def test_collected_data(self):
        import tempfile
        with tempfile.TemporaryDirectory() as folder:
            said = self.python("""
                from azureml.monitoring import ModelDataCollector
                inputs = ModelDataCollector("m", "inputs", ["a", "b"], model_version=2)
                found = inputs.collect([[1, 2], [3, 4]], "me")
                answers = ModelDataCollector("m", "predictions", ["y"], model_version=2)
                assert answers.collect(answers.add_correlations([[5]], found)) is None
                print(found["$aml_dc_correlation_id"])
                """, cwd=folder)
            self.assertEqual(said.stderr.splitlines()[-1:], ["TypeError: 'NoneType' object is not subscriptable"])  # it is off
            os.environ.update(AML_MODEL_DC_STORAGE_ENABLED="true", AML_MODEL_DC_STORAGE=folder)
            self.addCleanup(lambda: [os.environ.pop(name) for name in ("AML_MODEL_DC_STORAGE_ENABLED", "AML_MODEL_DC_STORAGE")])
            said = self.python("""
                from azureml.monitoring import ModelDataCollector
                inputs = ModelDataCollector("m", "inputs", ["a", "b"], model_version=2)
                inputs.collect([[1, 2], [3, 4]], "me")
                """)
            self.assertEqual(said.stderr, "")
            file, = pathlib.Path(folder).glob("modeldata/default/default/default/default/m/2/inputs/*/*/*/inputs.csv")
            lines = file.read_text().splitlines()
            self.assertEqual((lines[0][:32], lines[1][:7], lines[2][:7]), ("a,b,$aml_dc_correlation_id,$aml_d"[:32], "1,2,me,", "3,4,me,"))


if __name__ == "__main__":
    sys.exit(suite.run(0))
