#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`sardonyx view` and its page, driven by a headless Chromium: finds, folds, opens, compares, counts, downloads; asks nothing
of anybody; is not led astray by names. Speed: a page of 10,000 nodes is written, and drawn, in the time that is promised."""
import json
import pathlib
import re
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(pathlib.Path(__file__).resolve().parent)]
import browser
import models
import onnx_bytes as ox
import suite
import venv

COMMAND = ROOT / "build/sardonyx"
SHARED = ROOT.parent / "shared"
AXE = "axe-playwright-python==0.1.8"  # carries axe-core's script


def sardonyx(*words, code=0):
    done = subprocess.run([str(COMMAND), *map(str, words)], capture_output=True)
    assert done.returncode == code, (words, done.returncode, done.stderr.decode())
    return done


def document(page):
    """The data of a page."""
    return json.loads(re.search(r'id="document">(.*?)</script>', page, re.S).group(1))


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        home = tempfile.TemporaryDirectory(prefix="sardonyx-view-")
        cls.addClassCleanup(home.cleanup)
        cls.home = pathlib.Path(home.name)
        for name, content in {"large.onnx": models.layers(95), "larger.onnx": models.layers(95, alpha=0.5),
                              "nested.onnx": models.nested(), "hostile.onnx": models.hostile()}.items():
            (cls.home / name).write_bytes(content)

    def page(self, name, *words):
        path = self.home / f"{name}{'-'.join(map(str, words)).replace('/', '_')}.html"
        sardonyx("view", self.home / name, *words, "-o", path)
        return path


class Command(Case):
    def test_document(self):
        """Calls stay calls, bodies know their nodes, references and operators that nobody knows are told."""
        model = document(self.page("nested.onnx").read_text())["models"][0]
        graphs = model["graphs"]
        self.assertEqual([n["op"] for n in graphs[0]["nodes"]], ["If", "Twice", "Mystery"])
        self.assertEqual([(g["parent"], g["at"], g["attribute"]) for g in graphs if "parent" in g],
                         [(0, 0, "then_branch"), (1, 0, "body"), (0, 0, "else_branch")])
        function = next(g for g in graphs if "function" in g)
        self.assertEqual(function["function"], {"domain": "own", "name": "Twice"})
        self.assertEqual(function["nodes"][0]["attributes"], [{"name": "alpha", "kind": "reference", "value": "by"}])
        types = {v["name"]: v["type"] for v in graphs[0]["values"]}
        self.assertEqual((types["a"], types["b"]), ("float[2]", "float[2]"))
        self.assertIn("Mystery", model["warnings"])
        arrows = graphs[0]["layout"]["arrows"]
        pairs = set(zip(arrows[::2], arrows[1::2]))
        self.assertEqual(pairs, {(0, 2), (1, 2), (2, 3), (3, 4), (4, 5)})  # x is read by the branches of If

    def test_passes(self):
        before, after = document(self.page("large.onnx", "--passes", "both").read_text())["models"]
        self.assertEqual(len(before["graphs"][0]["nodes"]), 1996)
        self.assertLess(len(after["graphs"][0]["nodes"]), 1996)
        self.assertEqual(before["graphs"][0]["like"], 0)
        self.assertTrue(all("kernel" in s for s in after["steps"].values()))

    def test_weights(self):
        """The bytes that --weights allows travel, the smallest first; what is counted is right."""
        values = [-1.0, 0.0, 0.5, 3.0]
        small, big = ox.floats(values, "small"), ox.floats([1.0] * 100000, "big")
        (self.home / "w.onnx").write_bytes(ox.simple([ox.node("Add", ["x", "small"], ["y"]), ox.node("Add", ["b", "big"], ["z"])],
                                                     [("x", ox.FLOAT, [4]), ("b", ox.FLOAT, [100000])],
                                                     [("y", ox.FLOAT, [4]), ("z", ox.FLOAT, [100000])], [small, big]))
        for limit, carried in (("0", []), ("0.001", [4]), ("1", [4, 100000])):
            constants = document(self.page("w.onnx", "--weights", limit).read_text())["models"][0]["constants"]
            self.assertEqual(sorted(c["shape"][0] for c in constants if "data" in c), carried)
        one = next(c for c in constants if c["shape"] == [4])
        self.assertEqual((one["min"], one["max"], one["mean"], one["zeros"], one["head"]), (-1, 3, 0.625, 1, values))
        self.assertEqual((one["bins"][0], one["bins"][-1], sum(one["bins"])), (1, 1, 4))

    def test_pictures(self):
        for name in ("large.onnx", "nested.onnx", "hostile.onnx"):
            sardonyx("view", self.home / name, "--svg", "-o", self.home / "p.svg")
            root = xml.etree.ElementTree.parse(self.home / "p.svg").getroot()
            tags = {e.tag.split("}")[1] for e in root.iter()}
            self.assertEqual(tags, {"svg", "title", "style", "path", "rect", "text"})
        self.assertTrue(sardonyx("view", self.home / "nested.onnx", "--svg", "-o", "-").stdout.endswith(b"</svg>\n"))
        if not shutil.which("rsvg-convert"):
            done = sardonyx("view", self.home / "nested.onnx", "--png", "-o", self.home / "p.png", code=1)
            self.assertIn(b"librsvg2-bin", done.stderr)
            return
        sardonyx("view", self.home / "nested.onnx", "--png", "-o", self.home / "p.png")
        png = (self.home / "p.png").read_bytes()
        self.assertEqual(png[:8], b"\x89PNG\r\n\x1a\n")
        self.assertGreater(min(struct.unpack(">II", png[16:24])), 60)

    def test_mistakes(self):
        model = self.home / "nested.onnx"
        for words, said, code in ((("--svg", "--png"), "one picture", 2), (("--passes", "never"), "before, after, both", 2),
                                  (("--passes", "both", "--diff", model), "not four", 2),
                                  (("--diff", self.home / "nosted.onnx", "-o", "-"), "did you mean", 1),
                                  (("--profile", model, "-o", "-"), "no JSON", 1)):
            self.assertIn(said, sardonyx("view", model, *words, code=code).stderr.decode())
        (self.home / "empty.json").write_text("[]")
        self.assertIn("run MODEL --profile", sardonyx("view", model, "--profile", self.home / "empty.json", "-o", "-", code=1).stderr.decode())
        self.assertFalse(list(self.home.glob("*.part*")))

    def test_tree(self):
        """inspect --graph tells a repeat once, and bodies below their nodes."""
        text = sardonyx("inspect", self.home / "large.onnx", "--passes", "before", "--graph").stdout.decode()
        self.assertIn("95 × 21 nodes", text)
        self.assertLess(len(text.splitlines()), 40)
        body = ox.graph([ox.node("Neg", ["x"], ["e"])], [], [ox.value("e", ox.FLOAT, [2])])
        (self.home / "if.onnx").write_bytes(ox.simple(
            [ox.node("If", ["go"], ["y"], ox.attr_graph("then_branch", body), ox.attr_graph("else_branch", body))],
            [("go", ox.BOOL, []), ("x", ox.FLOAT, [2])], [("y", ox.FLOAT, [2])]))
        lines = sardonyx("inspect", self.home / "if.onnx", "--graph").stdout.decode().splitlines()
        self.assertEqual([line.strip().split(":")[0] for line in lines if "branch" in line], ["then_branch", "else_branch"])
        self.assertEqual(sum(line.startswith("      ") and "Neg(x)" in line for line in lines), 2)

    def test_formats(self):
        """What convert reads can be looked at."""
        found = [next((SHARED / "models").rglob(pattern), None) for pattern in ("*.tflite", "*.mlmodel", "*.keras", "*.h5", "*.ubj")]
        if not any(found):
            self.skipTest("../shared/models is not there")
        for path in filter(None, found):
            sardonyx("view", path, "-o", self.home / "f.html")
            self.assertTrue(document((self.home / "f.html").read_text())["models"][0]["graphs"][0]["nodes"], path)

    def test_speed(self):
        """10,000 nodes in less than 2 s of processor time."""
        (self.home / "10k.onnx").write_bytes(models.layers(477))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        sardonyx("view", self.home / "10k.onnx", "-o", self.home / "10k.html")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.assertLess(after.ru_utime - before.ru_utime, 2)


@unittest.skipUnless(browser.program(), "no Chromium is here (apt-get install chromium)")
class Page(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.browser = cls.enterClassContext(browser.Browser())

    def open(self, path, **how):
        page = self.browser.open(path.as_uri(), **how)
        page.wait("state.panes.length > 0 && state.panes.every((p) => p.scene)", 60)
        self.addCleanup(self.check, page)
        return page

    def check(self, page):
        """What holds of every page: quiet, alone."""
        self.assertEqual(page.problems, [])
        self.assertEqual([a for a in page.asked if not a.startswith(("file:", "blob:", "data:"))], [])

    def boxes(self, page):
        return page.eval("state.panes[0].scene.boxes.length")

    def choose_link(self, page, text):
        page.eval(f"[...document.querySelectorAll('#details .link')].find((b) => b.textContent === {json.dumps(text)}).click()")

    def test_find_fold_and_details(self):
        page = self.open(self.page("large.onnx"))
        self.assertLess(self.boxes(page), 130)
        page.click("#unfold")
        self.assertEqual(self.boxes(page), 1996 + 3)
        page.click("#fold")
        self.assertEqual(self.boxes(page), 5)
        page.eval("document.getElementById('query').focus()")
        page.command("Input.insertText", text="layer.42/mlp/leakyrelu")
        page.wait("document.querySelectorAll('#found li').length === 1")
        page.key("Enter")
        details = page.text("#details")
        for part in ("LeakyRelu", "/encoder/layer.42/mlp/LeakyRelu_", "alpha", "0.25", "float[8,8]", "onnx__LeakyRelu.html"):
            self.assertIn(part, details)
        self.assertIn("LeakyRelu", page.eval("document.getElementById('spoken').textContent"))
        self.assertGreater(self.boxes(page), 5)  # what hid it was unfolded
        page.choose("#query", "layer.42/mlp/leekyrelu_900")
        self.assertIn("Did you mean", page.text("#found"))

    def test_groups(self):
        page = self.open(self.page("large.onnx"))
        page.choose("#group", "repeats")
        page.click("#fold")
        self.assertEqual(self.boxes(page), 95 + 4)
        page.choose("#group", "none")
        self.assertEqual(self.boxes(page), 1996 + 3)

    def test_weights(self):
        page = self.open(self.page("large.onnx"))
        page.eval("select(state.pane, state.pane.graph.makers.get('/encoder/layer.3/attention/MatMul_63_out'))")
        self.choose_link(page, "Show values")
        self.assertEqual(page.eval("document.querySelectorAll('#details .bars rect').length"), 32)
        numbers = page.eval("""(async () => {
            const [, entry] = state.pane.shownConstant, blob = npy(state.pane.graph.model.constants[entry.constant]);
            return [...new Uint8Array(await blob.arrayBuffer())]; })()""")
        head = bytes(numbers[10:]).split(b"\n")[0].decode()
        self.assertIn("'descr': '<f4', 'fortran_order': False, 'shape': (8, 8)", head)
        self.assertEqual((bytes(numbers[:8]), (10 + numbers[8] + 256 * numbers[9]) % 64), (b"\x93NUMPY\x01\x00", 0))
        values = struct.unpack("<64f", bytes(numbers[10 + numbers[8] + 256 * numbers[9]:]))
        self.assertIn(struct.pack("<64f", *values), (self.home / "large.onnx").read_bytes())

    def test_bodies(self):
        page = self.open(self.page("nested.onnx"))
        page.eval("select(state.pane, state.pane.graph.items[2])")
        page.click(".body")
        self.assertEqual(page.eval("state.pane.graph.data.name"), "then_graph")
        page.eval("select(state.pane, state.pane.graph.items[0])")
        page.click(".body")
        self.assertIn("the_loop", page.text(".trail"))
        page.click(".trail button")
        self.assertEqual(page.eval("state.pane.graph.index"), 0)
        page.choose("#query", "elu")  # in the function
        page.eval("takeFound(0)")
        self.assertIn("@by", page.text("#details"))

    def test_keys(self):
        page = self.open(self.page("large.onnx"))
        page.eval("document.querySelector('.graph').focus()")
        seen = []
        for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp", "Enter", "0", "+", "-", "f"):
            page.key(key)
            seen.append(page.eval("state.pane.box?.title"))
        self.assertEqual(seen[:4], ["x", "layer.0", "layer.1", "layer.0"])
        self.assertNotEqual(seen[4], "layer.0")  # Enter unfolded it
        page.key("/")
        self.assertEqual(page.eval("document.activeElement.id"), "query")

    def test_path(self):
        page = self.open(self.page("large.onnx"))
        page.click("#unfold")
        page.eval("select(state.pane, state.pane.graph.items[2]); startPath(state.pane, state.pane.graph.items[2])")
        page.eval("select(state.pane, state.pane.graph.items[state.pane.graph.items.length - 1])")
        page.click(".path")
        self.assertEqual(page.eval("state.pane.path.get(state.pane.box) + 1"), page.eval("state.pane.path.size"))
        self.assertGreater(page.eval("state.pane.path.size"), 95 * 4)
        page.eval("startPath(state.pane, state.pane.graph.items[0]); endPath(state.pane, state.pane.graph.items[1])")
        self.assertIn("no path", page.text("#details"))

    def test_difference(self):
        page = self.open(self.page("large.onnx", "--diff", self.home / "larger.onnx"))
        self.assertEqual(page.eval("document.querySelectorAll('.pane').length"), 2)
        self.assertEqual(page.text(".differences").count("changed"), 95)
        page.eval("document.querySelector('.differences button').click()")
        self.assertIn("0.25 | 0.5", page.text("#details"))
        self.assertEqual(page.eval("state.panes.map((p) => p.box.item.node.name)[0]"), page.eval("state.panes[1].box.item.node.name"))
        same = self.open(self.page("nested.onnx", "--diff", self.home / "nested.onnx"))
        self.assertIn("No node differs", same.text("#details"))

    def test_colours(self):
        trace = self.home / "trace.json"
        sardonyx("run", self.home / "large.onnx", "--random", "--option", "optimize=none", "--profile", trace)
        page = self.open(self.page("large.onnx", "--profile", trace))
        self.assertEqual(page.eval("document.getElementById('colour').value"), "time")
        colours = {}
        for what in ("time", "memory", "kind"):
            page.choose("#colour", what)
            colours[what] = page.eval("state.panes[0].scene.boxes.map((b) => b.colour).join()")
        self.assertEqual(len(set(colours.values())), 3)
        page.eval("select(state.pane, state.pane.graph.items[2])")
        self.assertIn("µs", page.text("#details"))
        placed = self.open(self.page("large.onnx", "--passes", "after"))
        placed.choose("#colour", "place")
        placed.eval("select(state.pane, state.pane.graph.items[2])")
        self.assertIn("cpu", placed.text("#details"))

    def test_languages(self):
        page = self.open(self.page("nested.onnx"), language="fr-FR")
        self.assertEqual(page.eval("document.documentElement.lang"), "fr")
        for language, word in (("ru", "Структура"), ("pt", "Estrutura"), ("it", "Struttura"), ("ja", "アウトライン"), ("en", "Outline")):
            page.choose("#language", language)
            self.assertIn(word, page.text("#outline"))
        missing = page.eval("Object.entries(WORDS).filter(([, w]) => w.length !== LANGUAGES.length || w.some((x) => !x)).map(([n]) => n)")
        self.assertEqual(missing, [])

    def test_hostile(self):
        """Nothing in a model becomes code or hides what it is, wherever it is shown."""
        page = self.open(self.page("hostile.onnx"))
        for i in range(page.eval("state.pane.graph.items.length")):
            page.eval(f"select(state.pane, state.pane.graph.items[{i}])")
            self.assertNotRegex(page.text("#details"), "[\u202a-\u202e]")
        for words in filter(str.strip, models.HOSTILE):
            page.choose("#query", words[:200])
            page.wait("!document.getElementById('found').hidden")
        self.assertIsNone(page.eval("window.hacked"))
        self.assertEqual(page.eval("document.querySelectorAll('script').length"), 2)
        self.assertEqual(page.eval("document.querySelectorAll('#details img, #outline img, main svg[onload]').length"), 0)

    def test_smooth(self):
        """10,000 nodes: a frame is drawn in a fraction of the sixtieth of a second that it may take."""
        (self.home / "10k.onnx").write_bytes(models.layers(477))
        page = self.open(self.page("10k.onnx"))
        page.click("#unfold")
        self.assertGreater(self.boxes(page), 10000)
        for look in ("fit(p, true)", "p.scale = 1, centre(p, p.scene.boxes[3000])", "p.scale = 0.25", "p.scale = 0.05"):
            drawn = page.eval(f"""(async () => {{ const p = state.panes[0], times = []; {look};
                for (let i = 0; i < 15; i++) {{
                  p.y -= 100, redraw(p);
                  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
                  times.push(p.drawn);
                }}
                return times.sort((a, b) => a - b)[7]; }})()""")
            self.assertLess(drawn, 16, look)

    def test_accessible(self):
        """axe finds nothing: light, dark, on a phone, in details and with results open."""
        wheel = venv.fetch(AXE)
        with zipfile.ZipFile(wheel) as archive:
            axe = archive.read("axe_playwright_python/axe.min.js").decode()
        for how in ({}, {"dark": True}, {"width": 390, "height": 800}):
            page = self.open(self.page("large.onnx"), **how)
            page.eval(axe + ";0")
            page.eval("select(state.pane, state.pane.graph.items[2]), document.getElementById('query').value = 'add', showFound()")
            wrong = page.eval("axe.run().then((r) => r.violations.map((v) => [v.id, v.impact, v.nodes.slice(0, 3).map((n) => n.html)]))")
            self.assertEqual(wrong, [], how)


if __name__ == "__main__":
    sys.exit(suite.run())
