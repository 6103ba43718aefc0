#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Workspaces and models through the command: real files, real processes, full disks and foreign folders."""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import resource
import shutil
import sqlite3
import stat
import struct
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from onnx_bytes import FLOAT, external, graph, model, node, tensor, value  # noqa: E402
from lab import COMMAND, ROOT, Case, twice, with_constant, with_external  # noqa: E402
import suite  # noqa: E402

AZURE = {"subscription_id": "11111111-2222-3333-4444-555555555555", "resource_group": "group", "workspace_name": "azure"}
NOBODY = 65534


class Finding(Case):
    workspace = False

    def found(self, start):
        return self.ask("workspace", "show", cwd=start)["config"]

    def test_as_the_sdk_finds_it(self):
        """.azureml upwards, then aml_config upwards, then the folder itself upwards."""
        inner = self.folder / "a/b"
        inner.mkdir(parents=True)
        self.assertIn("workspace create", self.fails("workspace", "show"))
        for place in ("config.json", "a/aml_config/config.json", ".azureml/config.json"):
            self.write(place, json.dumps(AZURE))
            self.assertEqual(self.found(inner), str(self.folder / place))
        self.write("a/b/.azureml/project.json", json.dumps({"Scope": "/subscriptions/s/resourceGroups/g/providers/p/workspaces/w"}))
        self.assertEqual(self.found(inner), str(self.folder / ".azureml/config.json"))  # config.json comes first
        os.remove(self.folder / ".azureml/config.json")
        shown = self.ask("workspace", "show", cwd=inner)
        self.assertEqual((shown["subscription_id"], shown["resource_group"], shown["name"]), ("s", "g", "w"))
        self.assertEqual(shown["folder"], str(inner))

    def test_a_downloaded_one_serves(self):
        self.write("config.json", json.dumps(AZURE))
        shown = self.ask("workspace", "show")
        self.assertEqual({k: shown[k] for k in AZURE if k != "workspace_name"}, {k: AZURE[k] for k in AZURE if k != "workspace_name"})
        self.assertEqual((shown["name"], shown["location"]), ("azure", "local"))
        self.register("m")
        self.assertEqual(len(self.ask("model", "list", "--workspace", self.folder / "config.json", cwd="/")), 1)

    def test_another_tools_config(self):
        self.write("config.json", '{"model_type": "bert"}')
        self.assertIn("subscription_id", self.fails("model", "list"))
        for text in ("{", "", "[1]", "\xff"):
            self.write("config.json", text.encode("latin-1"))
            self.assertIn("config.json", self.fails("workspace", "show"))

    def test_create(self):
        made = self.ask("workspace", "create", "new", "--resource-group", "lab", "--location", "here")
        self.assertEqual((made["name"], made["resource_group"], made["location"]), ("new", "lab", "here"))
        config = json.loads((self.folder / "new/.azureml/config.json").read_text())
        self.assertEqual(config["workspace_name"], "new")
        self.assertIn("already", self.fails("workspace", "create", "new"))
        self.assertIn("cannot name", self.fails("workspace", "create", "other", "--name", "a/b"))
        modes = {stat.S_IMODE(os.stat(self.folder / "new/.sardonyx" / name).st_mode) for name in ("", "blobs", "staging")}
        self.assertEqual(modes, {0o700})

    def test_delete(self):
        self.command("workspace", "create")
        self.register("m")
        self.assertIn("--yes", self.fails("workspace", "delete", code=2))
        self.command("workspace", "delete", "--yes")
        self.assertFalse(self.store.exists())
        self.assertTrue((self.folder / "m.onnx").exists())
        self.fails("model", "list")
        self.command("workspace", "create")
        self.assertEqual(self.ask("model", "list"), [])

    def test_modes_under_any_umask(self):
        previous = os.umask(0)
        try:
            self.command("workspace", "create")
            self.register("m")
        finally:
            os.umask(previous)
        for path in self.store.rglob("*"):
            mode = stat.S_IMODE(path.stat().st_mode)
            self.assertFalse(mode & (0o077 if path.is_dir() or path.name.startswith("registry") else 0o022), f"{path}: {mode:o}")


class Registering(Case):
    def test_one_file(self):
        data = twice()
        m = self.register("digits", data, "--tag", "onnx", "--tag", "stage=test", "--property", "p=1", "-d", "words")
        self.assertEqual((m["id"], m["version"], m["description"]), ("digits:1", 1, "words"))
        self.assertEqual((m["tags"], m["properties"]), ({"onnx": "", "stage": "test"}, {"p": "1"}))
        self.assertEqual(m["digest"], "sha256:" + hashlib.sha256(data).hexdigest())
        self.assertEqual(m["inputs"], [{"name": "x", "type": "tensor(float)", "shape": ["batch", 3]}])
        self.assertEqual(m["framework"], "Onnx")
        self.assertEqual(self.register("digits")["id"], "digits:2")
        self.assertEqual(self.ask("model", "show", "digits")["id"], "digits:2")
        self.assertEqual(self.ask("model", "show", "digits:1")["created"], m["created"])

    def test_name_from_the_file(self):
        self.write("d/net.onnx", twice())
        self.assertEqual(self.ask("model", "register", "d/net.onnx")["name"], "net")
        self.assertEqual(self.ask("model", "register", "d/")["name"], "d")
        self.assertEqual(self.ask("model", "register", ".", cwd=self.folder / "d", )["files"][0]["path"], "d/net.onnx")

    def test_a_folder_is_one_unit(self):
        self.write("net/model.onnx", with_external())
        self.write("net/weights.bin", struct.pack("<3f", 1, 2, 3))
        self.write("net/labels/names.txt", "a\nb\n")
        m = self.ask("model", "register", "net")
        self.assertEqual([f["path"] for f in m["files"]], ["net/labels/names.txt", "net/model.onnx", "net/weights.bin"])
        self.assertEqual(m["main"], "net/model.onnx")
        self.command("model", "download", "net", "out")
        run = self.ask("run", "out/net/model.onnx", "x=[1,1,1]")
        self.assertEqual(run["outputs"]["y"]["data"], [2, 3, 4])
        self.verify()

    def test_files_by_name(self):
        self.write("model.onnx", with_external())
        self.write("weights.bin", struct.pack("<3f", 1, 2, 3))
        m = self.ask("model", "register", "model.onnx", "weights.bin", "--name", "two")
        self.assertEqual(m["main"], "model.onnx")
        self.assertIn("register the model together", self.fails("model", "register", "model.onnx"))
        self.write("d/model.onnx", twice())
        self.assertIn("both be named", self.fails("model", "register", "model.onnx", "d/model.onnx", "--name", "x"))

    def test_external_data_out_of_bounds(self):
        self.write("secret", "xxxxxxxxxxxx")
        for location in ("../secret", str(self.folder / "secret"), "/etc/passwd"):
            self.write("net/model.onnx", with_external(location))
            self.fails("model", "register", "net")
        self.assertEqual(self.ask("model", "list"), [])
        self.verify()

    def test_several_models(self):
        self.write("pair/encoder.onnx", twice())
        self.write("pair/decoder.onnx", twice(5))
        self.assertIn("--main pair/decoder.onnx", self.fails("model", "register", "pair"))
        m = self.ask("model", "register", "pair", "--main", "pair/encoder.onnx")
        self.assertEqual(m["inputs"][0]["shape"], ["batch", 3])
        self.assertIn("pair/encoder.onnx", self.fails("model", "register", "pair", "--main", "pair/encodr.onnx"))
        self.write("pair/decoder.onnx", b"damaged")
        self.assertIn("decoder.onnx", self.fails("model", "register", "pair", "--main", "pair/encoder.onnx"))

    def test_what_does_not_load_is_refused(self):
        for name, data, text in [("empty", b"\0"[:0], "not an ONNX model"), ("text", b"hello", "not an ONNX model"),
                                 ("cut", twice()[:-5], "cut.onnx")]:
            self.write(name + ".onnx", data)
            self.assertIn(text, self.fails("model", "register", name + ".onnx"))
        self.assertEqual(self.ask("model", "list"), [])
        self.verify()

    def test_other_frameworks(self):
        self.write("forest.pkl", b"pickle")
        self.assertIn("--framework", self.fails("model", "register", "forest.pkl", "--name", "forest"))
        m = self.ask("model", "register", "forest.pkl", "--name", "forest", "--framework", "ScikitLearn", "--framework-version", "1.0")
        self.assertEqual((m["framework"], m["framework_version"]), ("ScikitLearn", "1.0"))
        self.assertNotIn("inputs", m)
        self.write("d/a.txt", "a")
        self.write("d/b.txt", "b")
        self.assertIn("none of the 2 files", self.fails("model", "register", "d"))

    def test_names(self):
        self.register("MyONNXmodel")
        self.assertIn("did you mean 'MyONNXmodel'", self.fails("model", "show", "MyONNXModel"))
        self.assertIn("did you mean 'MyONNXmodel'", self.fails("model", "register", "MyONNXmodel.onnx", "--name", "MyONNXModel"))
        for name in ("..", "a/b", "../x", ".hidden", "a b", "", "x" * 129, "é", "a:1", "a\nb", "-x"):
            self.assertIn("cannot name a model", self.fails("model", "register", "MyONNXmodel.onnx", f"--name={name}"))
        self.assertIn("its newest versions: 1", self.fails("model", "show", "MyONNXmodel:2"))
        for reference in ("MyONNXmodel:x", "MyONNXmodel:", "MyONNXmodel:-1", "MyONNXmodel:99999999999999999999"):
            self.assertIn("version", self.fails("model", "show", reference))
        self.assertEqual(self.ask("model", "show", "MyONNXmodel:latest")["version"], 1)

    def test_files_that_are_not_there(self):
        self.write("model.onnx", twice())
        self.assertIn("did you mean model.onnx?", self.fails("model", "register", "modle.onnx"))
        os.mkfifo(self.folder / "pipe")
        self.assertIn("neither a file nor a folder", self.fails("model", "register", "pipe"))
        (self.folder / "net").mkdir()
        self.assertIn("no files", self.fails("model", "register", "net"))
        os.symlink("/etc/passwd", self.folder / "net/link.txt")
        self.assertIn("is a link", self.fails("model", "register", "net"))
        os.symlink("model.onnx", self.folder / "alias.onnx")  # named by the user
        self.assertEqual(self.ask("model", "register", "alias.onnx")["files"][0]["path"], "alias.onnx")

    def linked(self, links, **files):
        """A folder named net of links, beside what they point to; the files of its model."""
        for name, content in files.items():
            self.write(name.replace("__", "/"), content)
        for name, target in links.items():
            (self.folder / "net" / name).parent.mkdir(parents=True, exist_ok=True)
            os.symlink(target, self.folder / "net" / name)

    def paths(self, folder="net"):
        return [f["path"] for f in self.ask("model", "register", folder, "--name", "linked")["files"]]

    def test_snapshots_of_a_hub(self):
        """Links into a folder of blobs under other names, where the model's weights lie, too."""
        weights = model(graph([node("Add", ["x", "w"], ["y"])], [value("x", FLOAT, [4])], [value("y", FLOAT, [4])],
                              [tensor(FLOAT, [4], None, "w", external("model.onnx_data", 0, 16))]))
        self.linked({"config.json": "../blobs/c", "onnx/model.onnx": "../../blobs/a", "onnx/model.onnx_data": "../../blobs/b"},
                    blobs__a=weights, blobs__b=bytes(16), blobs__c="{}")
        self.assertEqual(self.paths(), ["net/config.json", "net/onnx/model.onnx", "net/onnx/model.onnx_data"])
        shutil.rmtree(self.folder / "blobs")
        self.command("model", "download", "linked", "out")
        self.assertFalse([p for p in (self.folder / "out").rglob("*") if p.is_symlink()])
        self.assertEqual(self.ask("run", next((self.folder / "out").rglob("model.onnx")), "x=[1,2,3,4]")["outputs"]["y"]["data"], [1, 2, 3, 4])

    def test_mounts_that_are_switched_by_a_link(self):
        self.linked({"..data": "..2026", "model.onnx": "..data/model.onnx"}, **{"net__..2026__model.onnx": twice()})
        self.assertEqual(self.paths(), ["net/model.onnx"])

    def test_links_that_lead_astray(self):
        self.write("secret/key", "s3cret")
        for link, target, said in (("key", "../secret/key", "is a link that leads to '../secret/key'"), ("key", "/etc/passwd", "out of the folder"),
                                   ("key", "key", "cannot open"), ("key", "nowhere", "cannot open"), ("d", "../secret", "out of the folder"),
                                   ("key", "/dev/zero", "out of the folder"), ("d", ".", "deep|too many files|which one")):
            with self.subTest(link=link, target=target):
                self.linked({link: target}, net__model=twice())
                os.replace(self.folder / "net/model", self.folder / "net/model.onnx")
                self.assertRegex(self.fails("model", "register", "net"), said)
                shutil.rmtree(self.folder / "net")
        self.linked({"a": ".", "b": "."})  # more paths than there are files in the world
        self.assertRegex(self.fails("model", "register", "net"), "deep|too many files")

    def test_words_have_limits(self):
        self.write("m.onnx", twice())
        self.assertIn("at most 100", self.fails("model", "register", "m.onnx", *[f"--tag=k{i}" for i in range(101)], code=2))
        self.assertIn("at most 65536", self.fails("model", "register", "m.onnx", "-d", "x" * 70000))
        tags = {"a'; DROP TABLE assets; --": "1", 'q"': "\\", "ключ": "значение"}
        m = self.ask("model", "register", "m.onnx", *[f"--tag={k}={v}" for k, v in tags.items()])
        self.assertEqual(m["tags"], tags)
        self.assertEqual(len(self.ask("model", "list", "--tag", "ключ=значение")), 1)

    def test_a_request_is_done_once(self):
        self.write("m.onnx", twice())
        first = self.ask("model", "register", "m.onnx", "--request", "job-7")
        self.assertEqual(self.ask("model", "register", "m.onnx", "--request", "job-7"), first)
        self.assertEqual(len(self.ask("model", "list")), 1)

    def test_source_may_change_afterwards(self):
        m = self.register("m")
        (self.folder / "m.onnx").write_bytes(b"overwritten")
        self.command("model", "download", "m", "out")
        self.assertEqual((self.folder / "out/m.onnx").read_bytes(), twice())
        self.assertEqual(self.ask("model", "show", "m")["digest"], m["digest"])


class Words(Case):
    def test_list(self):
        for i, (name, tags) in enumerate([("a", ["x"]), ("b", ["x=1", "y"]), ("a", ["x=2"]), ("a", [])]):
            self.register(name, with_constant([i]), *[f"--tag={t}" for t in tags])
        ids = lambda *words: [m["id"] for m in self.ask("model", "list", *words)]  # noqa: E731
        self.assertEqual(ids(), ["a:1", "b:1", "a:2", "a:3"])
        self.assertEqual(ids("--latest"), ["b:1", "a:3"])
        self.assertEqual(ids("--name", "a"), ["a:1", "a:2", "a:3"])
        self.assertEqual(ids("--tag", "x"), ["a:1", "b:1", "a:2"])
        self.assertEqual(ids("--tag", "x=2"), ["a:2"])
        self.assertEqual(ids("--tag", "x", "--tag", "y"), ["b:1"])
        self.assertEqual(ids("--count", "2"), ["a:1", "b:1"])
        self.assertEqual(ids("--framework", "Custom"), [])
        table = self.command("model", "list").stdout.splitlines()
        self.assertEqual(len(table), 5)
        self.assertEqual(table[0].split(), ["name", "version", "tags", "created", "size", "description"])

    def test_update_and_tag(self):
        self.register("m", None, "--tag", "a", "--property", "p=1")
        m = self.ask("model", "tag", "m", "b=2", "c", "--remove", "a")
        self.assertEqual(m["tags"], {"b": "2", "c": ""})
        m = self.ask("model", "update", "m:1", "-d", "new", "--tag", "b=3", "--remove-tag", "c", "--property", "q=2")
        self.assertEqual((m["description"], m["tags"], m["properties"]), ("new", {"b": "3"}, {"p": "1", "q": "2"}))
        self.assertIn("never changed", self.fails("model", "update", "m", "--property", "p=2"))
        self.assertIn("no tag", self.fails("model", "tag", "m", code=2))

    def test_download(self):
        self.register("m")
        self.command("model", "download", "m", "out")
        self.assertIn("--force", self.fails("model", "download", "m", "out"))
        (self.folder / "out/m.onnx").write_bytes(b"changed")
        self.command("model", "download", "m", "out", "--force")
        self.assertEqual((self.folder / "out/m.onnx").read_bytes(), twice())
        self.assertEqual(self.ask("model", "download", "m", "more"), ["more/m.onnx"])

    def test_delete(self):
        self.register("m")
        self.register("m")
        self.register("other")
        self.assertEqual(self.ask("model", "delete", "m:1", "m:2"), ["m:1", "m:2"])
        self.fails("model", "show", "m")
        self.verify()
        self.assertEqual(self.register("m")["version"], 3)  # never given twice
        self.command("model", "delete", "m", "other")
        self.assertEqual(list((self.store / "blobs/sha256").iterdir()), [])

    def test_log(self):
        self.register("m")
        self.command("model", "tag", "m", "a")
        self.command("model", "delete", "m")
        self.assertEqual([(o["operation"], o["asset"]) for o in self.ask("workspace", "log")],
                         [("register", "m:1"), ("update", "m:1"), ("delete", "m:1")])

    def test_help(self):
        self.assertIn("sardonyx model register", self.command("help", "model", "register").stdout)
        self.assertIn("register", self.command("model", "--help").stdout)
        self.assertIn("did you mean 'sardonyx model list'", self.fails("model", "lsit", code=2))
        self.assertIn("did you mean 'sardonyx workspace'", self.fails("workspce", code=2))
        self.assertIn("did you mean --name", self.fails("model", "list", "--nmae", "x", code=2))


class Together(Case):
    def test_64_at_once(self):
        """64 processes register one name: versions 1 to 64, each its own content."""
        for i in range(64):
            self.write(f"m{i}.onnx", with_constant([float(i)]))
        with concurrent.futures.ThreadPoolExecutor(64) as pool:
            made = list(pool.map(lambda i: self.ask("model", "register", f"m{i}.onnx", "--name", "one"), range(64)))
        self.assertEqual(sorted(m["version"] for m in made), list(range(1, 65)))
        for i, m in enumerate(made):
            self.assertEqual(m["digest"], "sha256:" + hashlib.sha256(with_constant([float(i)])).hexdigest())
        self.assertEqual([m["version"] for m in self.ask("model", "list")], list(range(1, 65)))
        self.verify()

    def test_same_content_at_once_beside_deletes_and_collecting(self):
        self.write("m.onnx", twice())
        work = [("model", "register", "m.onnx", "--name", f"n{i % 4}") for i in range(24)] + [("workspace", "gc")] * 4
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for done in pool.map(lambda words: subprocess.run([COMMAND, *words], cwd=self.folder, capture_output=True,
                                                              text=True, timeout=120, check=False), work):
                self.assertIn(done.returncode, (0, 1) if "writing" in done.stderr else (0,), done.stderr)
        self.assertEqual(len(self.ask("model", "list")), 24)
        ids = [m["id"] for m in self.ask("model", "list")]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda i: self.command("model", "delete", i), ids[:-1]))
        self.verify()
        self.assertEqual([m["id"] for m in self.ask("model", "list")], ids[-1:])

    def test_first_use_by_many(self):
        """The store and its database are made once, whoever comes first."""
        shutil.rmtree(self.store)
        self.write("m.onnx", twice())
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            made = list(pool.map(lambda i: self.ask("model", "register", "m.onnx"), range(16)))
        self.assertEqual(sorted(m["version"] for m in made), list(range(1, 17)))


class Damage(Case):
    def blob(self, m):
        return self.store / "blobs/sha256" / m["files"][0]["digest"][7:]

    def test_a_flipped_bit(self):
        path = self.blob(self.register("m"))
        data = bytearray(path.read_bytes())
        data[10] ^= 1
        path.chmod(0o600)
        path.write_bytes(data)
        report = json.loads(self.command("workspace", "verify", "--json", code=1).stdout)
        self.assertEqual([(lost["asset"], lost["path"]) for lost in report["lost"]], [("model/m:1", "m.onnx")])
        self.assertIn("damaged", self.fails("model", "download", "m", "out"))
        self.assertFalse((self.folder / "out/m.onnx").exists())
        self.assertIn("m.onnx", self.command("workspace", "verify", code=1).stdout)
        self.assertEqual(json.loads(self.command("workspace", "verify", "--fast", "--json").stdout)["lost"], [])

    def test_a_missing_blob_and_a_stray_one(self):
        path = self.blob(self.register("m"))
        path.rename(path.with_name("0" * 64))
        report = json.loads(self.command("workspace", "verify", "--json", code=1).stdout)
        self.assertEqual((report["lost"][0]["problem"], report["dangling"]), ("missing", ["blobs/" + "0" * 64]))
        self.command("workspace", "gc")
        self.register("m")  # the same bytes again: the blob is back, for both versions
        self.verify()

    def test_a_blob_swapped_by_a_link(self):
        path = self.blob(self.register("m"))
        path.unlink()
        path.symlink_to("/etc/passwd")
        self.fails("model", "download", "m", "out")
        self.command("workspace", "verify", code=1)

    def test_database(self):
        self.register("m")
        database = self.store / "registry.db"
        good = database.read_bytes()
        database.write_bytes(b"not a database" * 100)
        self.assertIn("damaged", self.fails("model", "list"))
        database.write_bytes(good)
        with sqlite3.connect(database) as db:
            db.execute("PRAGMA user_version = 99")
        self.assertIn("newer Sardonyx", self.fails("model", "list"))

    def test_migration(self):
        """A store of the first schema is taken along, after a copy was put aside."""
        self.register("m")
        database = self.store / "registry.db"
        database.unlink()
        first = sorted((ROOT / "registry/migrations").glob("*.sql"))[0].read_text()
        with sqlite3.connect(database) as db:
            db.executescript(first)
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("INSERT INTO assets(kind, name, version, digest, size, created, modified) VALUES "
                       "('image', 'old', 4, 'sha256:00', 0, '2020-01-01T00:00:00Z', '2020-01-01T00:00:00Z')")
            db.execute("INSERT INTO names VALUES ('image', 'old', 4)")
            db.execute("PRAGMA user_version = 1")
        db.close()
        self.assertEqual(self.register("m")["version"], 1)
        with sqlite3.connect(database) as db:
            self.assertEqual(db.execute("SELECT name, version FROM assets WHERE kind = 'image'").fetchall(), [("old", 4)])
            self.assertEqual(db.execute("PRAGMA user_version").fetchone()[0], len(list((ROOT / "registry/migrations").glob("*.sql"))))
        db.close()
        with sqlite3.connect(self.store / "registry.db.version-1") as copy:
            self.assertEqual(copy.execute("SELECT name FROM assets").fetchall(), [("old",)])
        copy.close()

    def test_clock_set_back(self):
        self.register("m")
        with sqlite3.connect(self.store / "registry.db") as db:
            db.execute("UPDATE assets SET created = '2999-01-01T00:00:00.000Z', modified = '2999-01-01T00:00:00.000Z'")
        db.close()
        self.register("m", with_constant([1]))
        self.assertEqual([m["version"] for m in self.ask("model", "list")], [1, 2])
        self.assertEqual(self.ask("model", "show", "m")["version"], 2)
        self.assertEqual(self.ask("model", "tag", "m:1", "a")["modified"], "2999-01-01T00:00:00.000Z")

    def test_a_long_holder(self):
        """Another process holds the database: waited for."""
        db = sqlite3.connect(self.store / "registry.db", isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        self.write("m.onnx", twice())
        waiting = subprocess.Popen([COMMAND, "model", "register", "m.onnx"], cwd=self.folder, stdout=subprocess.DEVNULL)
        with self.assertRaises(subprocess.TimeoutExpired):
            waiting.wait(1)
        db.execute("COMMIT")
        db.close()
        self.assertEqual(waiting.wait(30), 0)


class Room(Case):
    def big(self, name="big.bin", size=3 << 20):
        with open(self.folder / name, "wb") as f:
            f.write(os.urandom(size))
        return name

    def test_file_size_limit(self):
        """Writes fail at any place: nothing is registered, nothing is left, then there is room again."""
        self.register("m")
        self.big()
        words = [COMMAND, "model", "register", "big.bin", "--name", "big", "--framework", "x"]
        for limit in (0, 1000, 100000, 2 << 20):
            done = subprocess.run(words, cwd=self.folder, capture_output=True, text=True, check=False, timeout=60,
                                  preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertRegex(done.stderr, "File too large|disk is full|disk I/O error")
            self.assertEqual([m["id"] for m in self.ask("model", "list")], ["m:1"])
            self.verify()
        self.command(*words[1:])
        self.verify()

    def test_full_disk(self):
        mount = self.folder / "small"
        mount.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", mount], capture_output=True, check=False).returncode:
            self.skipTest("no tmpfs may be mounted here")
        self.addCleanup(lambda: subprocess.run(["umount", "-l", mount], check=True))
        self.command("workspace", "create", cwd=mount)
        self.write("small/m.onnx", twice())
        self.command("model", "register", "m.onnx", cwd=mount)
        message = self.fails("model", "register", self.folder / self.big(), "--framework", "x", cwd=mount)
        self.assertIn("has room for", message)
        for filler in range(200):  # fills it to the last byte, through blobs and rows alike
            (self.folder / "f").write_bytes(os.urandom(20000))
            done = subprocess.run([COMMAND, "model", "register", self.folder / "f", "--framework", "x", "--name", "f"],
                                  cwd=mount, capture_output=True, text=True, check=False, timeout=60)
            if done.returncode:
                break
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, "No space left|has room for|disk is full|disk I/O")
        report = json.loads(self.command("workspace", "verify", "--json", cwd=mount).stdout)
        self.assertEqual((report["lost"], report["dangling"]), ([], []))
        self.assertEqual(len(self.ask("model", "list", cwd=mount)), filler + 1)
        self.command("model", "delete", "f:1", "f:2", cwd=mount)
        self.command("model", "register", "m.onnx", cwd=mount)

    def as_nobody(self, *words):
        return subprocess.run([COMMAND, *map(str, words)], cwd=self.folder, capture_output=True, text=True, check=False,
                              timeout=60, user=NOBODY, group=NOBODY, extra_groups=[])

    @unittest.skipIf(os.geteuid() != 0, "needs root, to become another user")
    def test_another_users_folder(self):
        self.register("m")
        for part in (self.folder, self.folder.parent):
            part.chmod(0o755)
        done = self.as_nobody("model", "list")
        if "Permission denied" in done.stderr and str(self.store) not in done.stderr:
            self.skipTest("another user cannot read the command")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"belongs to user 0, and this is user {NOBODY}", done.stderr)
        self.verify()

    @unittest.skipIf(os.geteuid() != 0, "needs root, to become another user")
    def test_read_only_folder(self):
        self.write("m.onnx", twice())
        for path in [self.folder.parent, self.folder, *self.folder.rglob("*")]:
            os.chown(path, NOBODY, NOBODY)
        self.assertEqual(self.as_nobody("model", "register", "m.onnx").returncode, 0)
        for path in [p for p in self.folder.rglob("*") if p.is_dir()]:
            path.chmod(0o500)
        done = self.as_nobody("model", "register", "m.onnx")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, "Permission denied|readonly")
        (self.store / "registry.db").chmod(0o400)
        done = self.as_nobody("model", "register", "m.onnx")
        self.assertEqual(done.returncode, 1)
        for path in [p for p in self.folder.rglob("*") if p.is_dir()]:
            path.chmod(0o700)
        (self.store / "registry.db").chmod(0o600)
        done = self.as_nobody("workspace", "verify", "--json")
        report = json.loads(done.stdout)
        self.assertEqual((report["lost"], report["dangling"], report["files"]), ([], [], 1))


if __name__ == "__main__":
    sys.exit(suite.run())
