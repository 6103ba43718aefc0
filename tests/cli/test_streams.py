#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Standard streams of the command: "-" for models, inputs and results, through real pipes and terminals; what happens
when nothing more can be written; Ctrl-C. Standard library only."""
import io
import json
import os
import pathlib
import pty
import resource
import signal
import subprocess
import sys
import time
import urllib.request
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import lab  # noqa: E402
import suite  # noqa: E402
from onnx_bytes import BOOL, FLOAT, INT64, attr_graph, graph, node, numbers, simple, value  # noqa: E402

COMMANDS = (("help",), ("help", "run"), (), ("version",), ("ops",), ("kernels",), ("completion", "bash"), ("manual", "run"),
            ("inspect", "m.onnx"), ("inspect", "m.onnx", "--json"), ("check", "m.onnx"), ("run", "m.onnx", "--random"),
            ("run", "m.onnx", "--random", "--json"), ("run", "m.onnx", "--random", "-o", "-"), ("run", "two.onnx", "--random", "-o", "-"),
            ("bench", "m.onnx", "--seconds", "0.01"), ("test", "data"), ("convert", "--list"), ("run", "m.onnx", "--option", "list"))


class Streams(lab.Case):
    workspace = False

    def setUp(self):
        super().setUp()
        self.model = lab.twice()
        self.write("m.onnx", self.model)
        self.write("two.onnx", simple([node("Neg", ["x"], ["a"]), node("Abs", ["x"], ["b"])], [("x", FLOAT, [2])],
                                      [("a", FLOAT, [2]), ("b", FLOAT, [2])]))
        self.write("data/m.onnx", self.model)
        self.write("data/set_0/input_0.pb", numbers("x", FLOAT, (1, 3), (1, 2, 3)))
        self.write("data/set_0/output_0.pb", numbers("y", FLOAT, (1, 3), (2, 4, 6)))

    def pipe(self, *words, data=b"", code=0, **options):
        """Bytes into a pipe and out of one."""
        done = subprocess.run([lab.COMMAND, *map(str, words)], input=data, capture_output=True, cwd=self.folder, timeout=120,
                              check=False, **options)
        self.assertEqual(done.returncode, code, (words, done.stdout, done.stderr))
        return done

    def start(self, *words, **options):
        return subprocess.Popen([lab.COMMAND, *map(str, words)], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, **options)

    def files(self):
        return sorted(str(p.relative_to(self.folder)) for p in self.folder.rglob("*") if p.is_file())


class Models(Streams):
    def test_every_command_reads_a_model_from_a_pipe(self):
        self.assertIn(b"batch", self.pipe("inspect", "-", data=self.model).stdout)
        self.assertIn(b"no problems", self.pipe("check", "-", data=self.model).stdout)
        found = json.loads(self.pipe("run", "-", "x=[[1,2,3]]", "--json", data=self.model).stdout)
        self.assertEqual(found["outputs"]["y"]["data"], [[2, 4, 6]])
        rows = json.loads(self.pipe("bench", "-", "--seconds", "0.01", "--threads", "1,2", "--json", data=self.model).stdout)
        self.assertEqual((rows["model"], [r["threads"] for r in rows["rows"]]), ("-", [1, 2]))
        with open(self.folder / "m.onnx", "rb") as file:  # no pipe, but a file that may be read again
            subprocess.run([lab.COMMAND, "run", "-", "--random"], stdin=file, check=True, capture_output=True)

    def test_named_pipes(self):
        os.mkfifo(self.folder / "pipe")
        run = self.start("run", "pipe", "--random")
        (self.folder / "pipe").write_bytes(self.model)
        self.assertEqual(run.wait(60), 0, run.communicate())
        run.communicate()

    def test_a_broken_model_is_named(self):
        said = self.pipe("run", "-", "--random", data=b"nonsense", code=1).stderr
        self.assertIn(b"/dev/stdin", said)
        self.pipe("inspect", "-", data=b"", code=1)

    def test_standard_input_is_given_once(self):
        for words in (("run", "-", "-"), ("run", "-", "x=-"), ("run", "two.onnx", "x=-", "-"), ("check", "-", "-")):
            self.assertIn(b"given twice", self.pipe(*words, data=self.model if words[1] == "-" else b"[1,2]", code=1).stderr)

    def test_reference_data_lies_beside_files(self):
        self.assertIn(b"no reference data beside it", self.pipe("test", "-", data=self.model, code=1).stderr)

    def test_a_registered_file_has_a_name(self):
        self.assertIn(b"standard input has none", self.pipe("model", "register", "-", data=self.model, code=2).stderr)

    def test_serve(self):
        run = subprocess.Popen([lab.COMMAND, "serve", "-", "--port", "0", "--port-file", "port"], cwd=self.folder, stdin=subprocess.PIPE,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        run.stdin.write(self.model)
        run.stdin.close()
        end = time.monotonic() + 60
        while not (self.folder / "port").exists() and time.monotonic() < end:
            time.sleep(0.05)
        port = int((self.folder / "port").read_text())
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/models/stdin/ready", timeout=30) as answer:
            self.assertEqual(answer.status, 200)
        run.terminate()
        self.assertEqual(run.wait(60), 0)

    def test_convert_is_a_filter(self):
        booster = {"version": [2, 1, 0], "learner": {
            "attributes": {}, "feature_names": [], "feature_types": [],
            "learner_model_param": {"base_score": "5E-1", "num_class": "0", "num_feature": "2", "num_target": "1", "boost_from_average": "1"},
            "objective": {"name": "reg:squarederror"},
            "gradient_booster": {"name": "gbtree", "model": {"gbtree_model_param": {"num_trees": "0", "num_parallel_tree": "1"},
                                                             "iteration_indptr": [0], "tree_info": [], "trees": []}}}}
        source = json.dumps(booster).encode()
        before = self.files()
        model = self.pipe("convert", "-", data=source, env=os.environ | {"TMPDIR": str(self.folder)}).stdout
        self.assertEqual(self.files(), before)
        self.assertIn(b"no problems", self.pipe("check", "-", data=model).stdout)
        self.write("s.json", source)
        self.pipe("check", "-", data=self.pipe("convert", "s.json", "-o", "-").stdout)
        self.pipe("convert", "-", "-o", "out.onnx", data=source)
        self.assertTrue((self.folder / "out.onnx").exists())
        self.assertIn(b"--json", self.pipe("convert", "-", "--json", data=source, code=2).stderr)
        self.assertIn(b"the file is empty", self.pipe("convert", "-", code=1).stderr)


class Results(Streams):
    def test_one_output_is_npy_several_are_npz(self):
        one = self.pipe("run", "m.onnx", "x=[[1,2,3]]", "-o", "-").stdout
        self.assertTrue(one.startswith(b"\x93NUMPY"))
        again = json.loads(self.pipe("run", "m.onnx", "-", "--json", data=one).stdout)
        self.assertEqual(again["outputs"]["y"]["data"], [[4, 8, 12]])
        several = self.pipe("run", "two.onnx", "x=[1,-2]", "-o", "-").stdout
        self.assertEqual(zipfile.ZipFile(io.BytesIO(several)).namelist(), ["a.npy", "b.npy"])
        line = self.pipe("run", "two.onnx", "x=[1,-2]", "-o", "-", "--json").stdout
        self.assertEqual((line.count(b"\n"), sorted(json.loads(line)["outputs"])), (1, ["a", "b"]))
        self.assertEqual(self.files(), ["data/m.onnx", "data/set_0/input_0.pb", "data/set_0/output_0.pb", "m.onnx", "two.onnx"])

    def test_first_bytes_tell_what_comes_from_a_pipe(self):
        two = ("run", "two.onnx", "-", "--json")
        picture = b"P5 2 1 255\n" + bytes([51, 255])
        self.write("grey.onnx", simple([node("Identity", ["x"], ["y"])], [("x", FLOAT, [1, 1, 1, 2])], [("y", FLOAT, [1, 1, 1, 2])]))
        for words, data in ((two, b"[1,-2]"), (two, b' {"x": [1,-2]}'), (two, numbers("x", FLOAT, (2,), (1, -2))),
                            (("run", "grey.onnx", "-"), picture), (("run", "m.onnx", "x=-"), b"[1,2,3]")):
            with self.subTest(data):
                self.pipe(*words, data=data)
        pipe = subprocess.run(["bash", "-c", '"$0" run two.onnx <(echo "[3,4]") --json', lab.COMMAND], cwd=self.folder, check=True,
                              capture_output=True)
        self.assertEqual(json.loads(pipe.stdout)["outputs"]["b"]["data"], [3, 4])

    def test_a_terminal_gets_no_binary_data(self):
        master, slave = pty.openpty()
        for words in (("run", "m.onnx", "--random", "-o", "-"), ("convert", "m.onnx", "-o", "-")):
            done = subprocess.run([lab.COMMAND, *words], stdout=slave, stderr=subprocess.PIPE, cwd=self.folder, check=False, text=True)
            self.assertEqual(done.returncode, 1)
            self.assertIn("standard output is a terminal", done.stderr)
        os.close(slave)
        os.close(master)

    def test_a_terminal_as_standard_input_is_said(self):
        master, slave = pty.openpty()
        run = self.start("run", "m.onnx", "-", "--json", stdin=slave)
        os.write(master, b"[[1,2,3]]\n\x04")
        out, said = run.communicate(timeout=60)
        self.assertEqual(json.loads(out)["outputs"]["y"]["data"], [[2, 4, 6]])
        self.assertIn("reading standard input from the terminal", said)
        os.close(slave)
        os.close(master)


class Failures(Streams):
    def test_full_device(self):
        """Whatever a command prints: that it could not is said, and the exit code shows it."""
        for words in COMMANDS:
            with self.subTest(words), open("/dev/full", "wb") as full:
                done = subprocess.run([lab.COMMAND, *words], stdout=full, stderr=subprocess.PIPE, cwd=self.folder, text=True,
                                      check=False, timeout=60)
                self.assertIn("cannot write to standard output: No space left on device", done.stderr)
                self.assertEqual(done.returncode, 1 if words else 2)

    def test_full_device_as_file(self):
        for words in (("run", "m.onnx", "--random", "-o", "full.npy"), ("run", "two.onnx", "--random", "-o", "full.npz"),
                      ("run", "m.onnx", "--random", "-o", "full.json"), ("run", "m.onnx", "--random", "--profile", "full.json")):
            with self.subTest(words):
                path = self.folder / words[-1]
                path.symlink_to("/dev/full")
                self.assertIn(f"cannot write {words[-1]}: No space left", self.fails(*words))
                self.assertTrue(path.is_symlink())
                path.unlink()
        self.assertIn("cannot write /dev/full: No space left", self.fails("run", "m.onnx", "--random", "-o", "/dev/full"))

    def test_devices_and_pipes_take_what_standard_output_does(self):
        for model, magic in (("m.onnx", b"\x93NUMPY"), ("two.onnx", b"PK")):
            self.pipe("run", model, "--random", "-o", "/dev/null")
            os.mkfifo(self.folder / "fifo")
            running = self.start("run", model, "--random", "-o", "fifo")
            self.assertTrue((self.folder / "fifo").read_bytes().startswith(magic))
            running.communicate(timeout=60)
            (self.folder / "fifo").unlink()

    def test_closed_pipe_is_quiet(self):
        for words in (*COMMANDS[1:], ("ops", "--json")):
            with self.subTest(words):
                run = self.start(*words)
                run.stdout.close()
                said = run.stderr.read()
                run.stderr.close()
                self.assertEqual((said, run.wait(60)), ("", -signal.SIGPIPE))

    def test_closed_standard_output(self):
        done = subprocess.run(["sh", "-c", '"$0" run m.onnx --random -o y.npy >&-', lab.COMMAND], cwd=self.folder, check=False,
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("Bad file descriptor", done.stderr)
        self.assertTrue((self.folder / "y.npy").read_bytes().startswith(b"\x93NUMPY"))

    def test_files_are_whole_or_as_they_were(self):
        self.write("big.onnx", simple([node("ConstantOfShape", ["n"], ["y"])], [("n", INT64, [1])], [("y", FLOAT, ["n"])]))
        before = self.write("y.npy", b"before") and self.files()
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))  # noqa: E731
        self.assertIn("cannot write y.npy: File too large", self.fails("run", "big.onnx", "n=[100000]", "-o", "y.npy", preexec_fn=limit))
        self.assertIn("cannot write y.npz", self.fails("run", "big.onnx", "n=[100000]", "-o", "y.npz", preexec_fn=limit))
        self.assertEqual((self.files(), (self.folder / "y.npy").read_bytes()), (before, b"before"))
        (self.folder / "y.npy").chmod(0o640)
        (self.folder / "link.npy").symlink_to("y.npy")
        self.command("run", "big.onnx", "n=[10]", "-o", "link.npy")
        self.assertTrue((self.folder / "link.npy").is_symlink())
        self.assertEqual(((self.folder / "y.npy").stat().st_mode & 0o777, (self.folder / "y.npy").stat().st_size), (0o640, 168))

    def test_an_interrupted_run_leaves_no_part(self):
        self.write("big.onnx", simple([node("ConstantOfShape", ["n"], ["y"])], [("n", INT64, [1])], [("y", FLOAT, ["n"])]))
        run, end = self.start("run", "big.onnx", "n=[50000000]", "-o", "y.npy"), time.monotonic() + 60
        while not list(self.folder.glob(".sardonyx-*")) and run.poll() is None and time.monotonic() < end:
            pass
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=60)
        self.assertEqual(list(self.folder.glob(".sardonyx-*")), [])
        whole = self.folder / "y.npy"
        self.assertEqual(whole.stat().st_size if whole.exists() else 0, 200000128 if run.returncode == 0 or whole.exists() else 0)


class Work(Streams):
    def test_nothing_to_test_is_a_failure(self):
        (self.folder / "empty").mkdir()
        for words in (("m.onnx",), ("data", "m.onnx"), (".", "empty")):
            said = self.fails("test", *words)
            self.assertIn(f"{words[-1]}: no model with reference data beside it was found", said)
            self.assertIn("sardonyx help test", said)
        self.assertEqual(json.loads(self.command("test", "empty", "--json", code=1).stdout)["passed"], 0)

    def bench(self, *words):
        run = self.start("bench", "m.onnx", *words, "--seconds", "600")
        time.sleep(0.5)
        run.send_signal(signal.SIGINT)
        return run, *run.communicate(timeout=30)

    def test_interrupted_bench_prints_what_it_has(self):
        run, out, said = self.bench()
        self.assertEqual(run.returncode, 130)
        self.assertRegex(out, r"(?m)^ *all +\d")
        self.assertIn("interrupted", said)
        run, out, _ = self.bench("--threads", "1,2", "--json")
        found = json.loads(out)
        self.assertEqual((run.returncode, found["interrupted"], [r["threads"] for r in found["rows"]]), (130, True, [1]))

    def test_interrupted_bench_of_a_terminal(self):
        """There, both processes get the signal."""
        run = subprocess.Popen([lab.COMMAND, "bench", "m.onnx", "--seconds", "600"], cwd=self.folder, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, start_new_session=True)
        time.sleep(0.5)
        os.killpg(run.pid, signal.SIGINT)
        out, _ = run.communicate(timeout=30)
        self.assertEqual(run.returncode, 130)
        self.assertRegex(out, r"(?m)^ *all +\d")

    def test_interrupted_before_a_run_ended(self):
        body = graph([node("Identity", ["go"], ["on"]), node("Add", ["v", "v"], ["w"])],
                     [value("i", INT64, []), value("go", BOOL, []), value("v", FLOAT, [])], [value("on", BOOL, []), value("w", FLOAT, [])])
        self.write("m.onnx", simple([node("Loop", ["n", "", "x"], ["y"], attr_graph("body", body))],
                                    [("n", INT64, []), ("x", FLOAT, [])], [("y", FLOAT, [])]))
        run, out, said = self.bench(f"n={2**50}", "x=1")
        self.assertEqual((run.returncode, out), (130, ""))
        self.assertIn("interrupted before the first run ended", said)


if __name__ == "__main__":
    sys.exit(suite.run())
