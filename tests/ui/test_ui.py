# SPDX-License-Identifier: Apache-2.0
"""The pages at /ui and /docs, driven as a person drives them."""
import json, os, pathlib, random, re, struct, subprocess, sys, types, unittest, zlib

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent.parent / part) for part in ("server", "")]
import browser
import lab
import onnx_bytes as onnx
from serving import MODELS, ROOT, SHARED_MODELS, WORK, PROGRAM, Server, main, model, wait_for

FILES = sorted((ROOT / "ui").glob("*.*"))
LANGUAGES = {"fr": "Modèles", "it": "Modelli", "pt": "Modelos", "ru": "Модели", "ja": "モデル"}
DIGITS = SHARED_MODELS / "seed/mnist-cntk/mnist-8.onnx"
ATTACK = "<img src=x onerror=\"window.attacked=1\"></script><script>window.attacked=1</script>\u202e"
KEY = "key-" + "7" * 20
PAGES = ("#/", "#/models/digits/1", "#/live", "#/logs")


def picture(width, height, pixel):
    """A PNG; pixel(x, y) gives red, green, blue."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes(v for x in range(width) for v in pixel(x, y)) for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def npy(shape, numbers):
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + struct.pack(f"<{len(numbers)}f", *numbers)


def boxes():
    """x[1,3,64,64] -> what two detections look like: left, top, right, bottom, score, class."""
    found = onnx.floats([8, 8, 24, 40, .9, 1, 30, 30, 60, 60, .6, 0], "found", [2, 6])
    nodes = [onnx.node("ReduceMean", ["x"], ["mean"], onnx.attr_ints("axes", [0, 1, 2, 3]), onnx.attr_int("keepdims", 0)),
             onnx.node("Sub", ["mean", "mean"], ["zero"]), onnx.node("Add", ["found", "zero"], ["y"])]
    return model(nodes, [("x", onnx.FLOAT, [1, 3, 64, 64])], [("y", onnx.FLOAT, [2, 6])], [found])


def classes(labels):
    """x[1,2] -> y[1,2], with names of its classes, or worse, in the metadata."""
    name = ATTACK if labels == ATTACK else "x"
    graph = onnx.graph([onnx.node("Identity", [name], ["y"])], [onnx.value(name, onnx.FLOAT, [1, 2])], [onnx.value("y", onnx.FLOAT, [1, 2])])
    named = onnx.block(14, onnx.block(1, "names") + onnx.block(2, json.dumps([labels, "other"])))
    return onnx.model(graph, extra=named)


def deep(count):
    """A chain of so many nodes."""
    nodes = [onnx.node("Relu" if i % 2 else "Neg", [f"v{i}"], [f"v{i + 1}"], name=f"node{i}") for i in range(count)]
    return model(nodes, [("v0", onnx.FLOAT, ["n"])], [(f"v{count}", onnx.FLOAT, ["n"])])


WRITTEN = {"boxes": boxes(), "deep": deep(2000), "hostile": classes(ATTACK), "named": classes("ночь"),
           "picture": model([onnx.node("Identity", ["x"], ["y"])], [("x", onnx.FLOAT, [1, 3, 32, 32])], [("y", onnx.FLOAT, [1, 3, 32, 32])])}
for name, data in WRITTEN.items():
    (WORK / f"{name}.onnx").write_bytes(data)
(WORK / "labels.txt").write_text("cat\ndog\n")
(WORK / "beside").mkdir()
(WORK / "beside/sampled.onnx").write_bytes(MODELS["pair"])
(WORK / "beside/labels.txt").write_text("one\ntwo\n")
(WORK / "beside/sample.json").write_text('{"data": {"a": [2, 4], "b": [5, 5]}}')
(WORK / "left.png").write_bytes(picture(64, 64, lambda x, y: (255, 0, 0) if x < 32 else (0, 0, 255)))
(WORK / "beside/steady.onnx").write_bytes(MODELS["rows"])
usual = random.Random(0)
(WORK / "usual.npy").write_bytes(npy((2000, 3), [usual.gauss(0, 1) for _ in range(6000)]))
(WORK / "row.npy").write_bytes(npy((2, 3), [1, 2, 3, 4, 5, 6.5]))


class Files(unittest.TestCase):
    """What can be seen without a browser."""

    def test_every_text_is_there_in_every_language(self):
        said = set()
        for file in FILES:
            if file.suffix == ".js":
                said |= {json.loads(f'"{m}"') for m in re.findall(r'\bt\("((?:[^"\\]|\\.)*)"', file.read_text())}
            elif file.suffix == ".html":
                said |= set(re.findall(r"data-t>([^<]+)<", file.read_text())) | set(re.findall(r"<title>([^<]+)<", file.read_text()))
        for code in LANGUAGES:
            words = json.loads((ROOT / f"ui/{code}.json").read_text())
            self.assertEqual(said - set(words), set(), code)
            self.assertEqual(set(words) - said, set(), code)
            for english, other in words.items():
                self.assertEqual(sorted(re.findall(r"\{\w+\}", english)), sorted(re.findall(r"\{\w+\}", other)), (code, english))

    def test_no_html_is_made_of_text(self):
        for file in FILES:
            if file.suffix in (".js", ".html"):
                self.assertNotRegex(file.read_text(), r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|https?://(?!www\.w3\.org/2000/svg)| on\w+=")

    def test_what_the_server_sends(self):
        with Server(["rows"]) as server:
            self.assertEqual(server.ask("GET", "/ui")[0:1] + (server.ask("GET", "/ui")[1]["location"],), (308, "ui/"))
            for path, kind in (("/ui/", "text/html"), ("/ui/app.js", "text/javascript"), ("/ui/style.css", "text/css"),
                               ("/ui/fr.json", "application/json"), ("/docs", "text/html")):
                status, head, body = server.ask("GET", path)
                self.assertEqual((status, head["content-type"].split(";")[0], head["x-content-type-options"]), (200, kind, "nosniff"))
                self.assertTrue(body)
                policy = dict(part.split(" ", 1) for part in head["content-security-policy"].split("; "))
                self.assertEqual((policy["default-src"], policy["script-src"], policy["frame-ancestors"]), ("'none'", "'self'", "'none'"))
                self.assertEqual(server.ask("HEAD", path)[0::2], (200, b""))
            for path in ("/ui/none", "/ui/..%2fREADME.md", "/ui/app.js/", "/ui/README.md"):
                self.assertEqual(server.ask("GET", path)[0], 404, path)
            self.assertEqual(server.ask("POST", "/ui/", b"")[0], 405)
            self.assertNotIn("/ui/", json.loads(server.ask("GET", "/openapi.json")[2])["paths"])

    def test_without_pages(self):
        with Server(["rows"], "--no-ui") as server:
            for path in ("/ui", "/ui/", "/ui/app.js", "/ui/routes.json", "/docs"):
                self.assertEqual(server.ask("GET", path)[0], 404)
            self.assertEqual(server.ask("GET", "/v2/models/rows")[0], 200)

    def test_labels_of_a_file(self):
        with Server(["boxes=" + str(WORK / "boxes.onnx"), "rows"], "--labels", str(WORK / "labels.txt"), "--labels", f"rows={WORK}/labels.txt") as server:
            for name in ("boxes", "rows"):
                self.assertEqual(json.loads(server.ask("GET", f"/v2/models/{name}/summary")[2])["labels"], ["cat", "dog"])
        with self.assertRaisesRegex(AssertionError, "no model of that name"):
            Server(["rows"], "--labels", f"row={WORK}/labels.txt")
        with self.assertRaisesRegex(AssertionError, "none.txt"):
            Server(["rows"], "--labels", "none.txt")

    def test_the_log_is_kept_within_bounds(self):
        with Server(["rows"], "--access-log") as server:
            for i in range(1100):
                server.ask("GET", "/health/live", headers={"x-request-id": f"n{i}"})
            answer = json.loads(server.ask("GET", "/logs")[2])
            self.assertEqual([line["number"] for line in answer["lines"]], list(range(answer["next"] - 1000, answer["next"])))
            since = json.loads(server.ask("GET", f"/logs?since={answer['next']}")[2])
            self.assertEqual([line["id"] for line in since["lines"]][1:], [])
            self.assertEqual(server.ask("GET", "/logs?since=-1")[0], 400)
            self.assertEqual(server.ask("GET", "/logs?since=99999999999")[0], 200)


@unittest.skipUnless(browser.program(), "there is no Chromium")
class Driven(unittest.TestCase):
    options = ("--access-log", "--labels", f"boxes={WORK}/labels.txt")

    @classmethod
    def setUpClass(cls):
        digits = [f"digits={DIGITS}", f"digits:2={DIGITS.with_name('mnist-15.onnx')}"] if DIGITS.exists() else ["digits=" + str(WORK / "rows.onnx")]
        subprocess.run([PROGRAM, "baseline", "steady.onnx", str(WORK / "usual.npy")], cwd=WORK / "beside", check=True, capture_output=True)
        cls.server = Server([*digits, "rows", "pair", "text", "zipmap", str(WORK / "beside/sampled.onnx"), str(WORK / "beside/steady.onnx"), *(f"{n}={WORK / n}.onnx" for n in WRITTEN)], *cls.options)
        cls.browser = browser.Browser()

    @classmethod
    def tearDownClass(cls):
        cls.browser.__exit__()
        if cls.server.stop() != 0:
            raise AssertionError("the server ended with a failure")

    def open(self, path="ui/", expected=(), **options):
        page = self.browser.open(self.address + path, **options)

        def check():
            self.assertEqual([p for p in page.problems if not any(e in p for e in expected)], [])
            elsewhere = [a for a in page.asked if not a.startswith((self.address, "data:", "blob:" + self.address))]
            self.assertEqual(elsewhere, [])
        self.addCleanup(check)
        return page

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server.port}/"

    def model(self, name, version=1, **options):
        page = self.open(f"ui/#/models/{name}/{version}", **options)
        page.wait("document.querySelector('form.try')")
        return page

    def drop(self, page, name):
        data = list((WORK / name).read_bytes())
        kind = "image/png" if name.endswith(".png") else ""
        page.eval(f"""(() => {{ const data = new DataTransfer();
            data.items.add(new File([new Uint8Array({data})], {json.dumps(name)}, {{type: {json.dumps(kind)}}}));
            for (const kind of ["dragover", "drop"])
              document.querySelector("fieldset").dispatchEvent(new DragEvent(kind, {{dataTransfer: data, bubbles: true, cancelable: true}})); }})()""")

    def draw(self, page, *strokes):
        box = page.place(".board")
        for stroke in strokes:
            page.drag([(box["x"] + x, box["y"] + y) for x, y in stroke])

    def first_bar(self, page):
        return page.wait("document.querySelector('.results .bars tbody th')?.innerText")


class Pages(Driven):
    @unittest.skipUnless(DIGITS.exists(), "no models beside the checkout")
    def test_a_drawn_digit_is_recognised(self):
        for digit, strokes in (("7", [[(90, 60), (190, 60), (170, 120), (140, 180), (125, 240)]]),
                               ("1", [[(140, 40), (140, 140), (140, 240)]]),
                               ("0", [[(140, 50), (95, 80), (80, 140), (95, 200), (140, 230), (185, 200), (200, 140), (185, 80), (140, 50)]])):
            page = self.model("digits")
            self.draw(page, *strokes)
            self.assertEqual(self.first_bar(page), digit)

    @unittest.skipUnless(DIGITS.exists(), "no models beside the checkout")
    def test_drawn_with_the_keyboard(self):
        page = self.model("digits")
        page.eval("document.querySelector('.board').focus()")
        for key in ["ArrowUp"] * 8 + [" "] + ["ArrowDown"] * 16 + [" "]:
            page.key(key, " " if key == " " else None)
        self.assertEqual(self.first_bar(page), "1")
        self.assertIn("140, 220", page.text(".try [role=status]"))

    @unittest.skipUnless((SHARED_MODELS / "seed/mnist-pytorch/digit_9.png").exists(), "no models beside the checkout")
    def test_a_picture_of_a_digit(self):
        page = self.model("digits")
        page.choose("fieldset select", "picture")
        page.files("input[type=file]", SHARED_MODELS / "seed/mnist-pytorch/digit_9.png")
        self.assertEqual(self.first_bar(page), "9")

    def test_a_dropped_picture_comes_back(self):
        page = self.model("picture")
        self.drop(page, "left.png")
        page.wait("document.querySelector('.results canvas')")
        pixels = page.eval("""(() => { const c = document.querySelector(".results canvas"), d = c.getContext("2d").getImageData(0, 0, 32, 32).data;
            const at = (x, y) => [...d.slice(4 * (32 * y + x), 4 * (32 * y + x + 1))];
            return [c.width, c.height, ...at(4, 4), ...at(28, 28)]; })()""")
        self.assertEqual(pixels, [32, 32, 255, 0, 0, 255, 0, 0, 255, 255])

    def test_boxes_are_drawn_and_named(self):
        page = self.model("boxes")
        self.drop(page, "left.png")
        rows = page.wait("[...document.querySelectorAll('.results > section tbody tr')].map(r => r.innerText.replace(/\\s+/g, ' ').trim())")
        self.assertEqual(rows, ["dog 90 % 8 8 24 40", "cat 60 % 30 30 60 60"])
        page.choose("input[type=range]", "0.7")
        self.assertEqual(len(page.eval("[...document.querySelectorAll('.results > section tbody tr')]")), 1)

    def test_heads_of_detectors(self):
        """Each form holds the same box, of class 1, in the middle of 64 x 64; its like beside it is suppressed."""
        page = self.open()
        found = page.eval("""(async () => {
          const { detections } = await import("./detect.js"), size = { width: 64, height: 64 }, cells = 64 + 16 + 4;
          const zeros = (...shape) => ({ name: "y", datatype: "FP32", shape, data: new Float32Array(shape.reduce((a, b) => a * b)) });
          const late = zeros(1, 6, cells), early = zeros(1, 3 * cells, 7), raw = zeros(1, cells, 7), two = zeros(1, 35, 2, 2), out = {};
          for (const i of [5, 6]) [32, 32, 16, 32, 0, 0.9 - i / 100].forEach((v, k) => { late.data[k * cells + i] = v; });
          for (const i of [5, 6]) [32, 32, 16, 32, 0.95, 0, 0.9 - i / 100].forEach((v, k) => { early.data[i * 7 + k] = v; });
          [0, 0, Math.log(2), Math.log(4), 0.95, 0, 0.9].forEach((v, k) => { raw.data[(4 * 8 + 4) * 7 + k] = v; });
          two.data.fill(-9);
          [9, 9, Math.log(0.5 / 1.08), Math.log(1 / 1.19), 9, 0, 9].forEach((v, k) => { two.data[k * 4] = v; });
          out.late = detections([late], 2, 0.25, size);
          out.early = detections([early], 2, 0.25, size);
          out.raw = detections([raw], 2, 0.25, size);
          out.two = detections([two], 2, 0.25, size);
          const boxes = { name: "boxes", datatype: "FP32", shape: [1, 2, 4], data: [0.375, 0.25, 0.625, 0.75, 0, 0, 1, 1] };
          out.ground = detections([{ name: "scores", datatype: "FP32", shape: [1, 2, 3], data: [0.1, 0, 0.9, 0.9, 0.1, 0] }, boxes], 2, 0.25, size);
          out.none = detections([{ name: "y", datatype: "FP32", shape: [1, 10], data: new Float32Array(10) }], 0, 0.25, size);
          return out; })()""")
        self.assertIsNone(found.pop("none"))
        for form, boxes_of in found.items():
            self.assertEqual([[b["class"], *(round(b[k]) for k in ("left", "top", "right", "bottom"))] for b in boxes_of], [[1, 24, 16, 40, 48]], form)

    def test_json_files_and_texts(self):
        page = self.model("pair")
        page.choose("fieldset:nth-of-type(1) textarea", "[3, 9007199254740991]")
        page.choose("fieldset:nth-of-type(2) textarea", "[4, 1]")
        page.click("button.main")
        page.wait("document.querySelectorAll('.results table').length === 2")
        self.assertEqual(re.sub(r"\D+", " ", page.text(".results section:nth-of-type(2) tbody")).split(), "0 12 1 9 007 199 254 740 991".split())
        page.choose("fieldset:nth-of-type(2) textarea", "[4, [1]]")
        page.click("button.main")
        page.wait("document.querySelector('.results [role=alert]')")

        page = self.model("text")
        page.choose("textarea", json.dumps(["a", "<b>", "日本"]))
        page.click("button.main")
        self.assertEqual(page.wait("document.querySelector('.results tbody')?.innerText").split(), ["0", "a", "1", "<b>", "2", "日本"])

        page = self.model("rows")
        self.drop(page, "row.npy")
        self.assertEqual(page.wait("document.querySelector('.results tbody')?.innerText").split(), ["0", "1", "2", "3", "1", "4", "5", "6.5"])

        page = self.model("zipmap")
        page.choose("textarea", "[[0.25, 0.75]]")
        page.click("button.main")
        self.assertEqual(self.first_bar(page), "b")

    def test_the_registered_sample(self):
        page = self.model("sampled")
        page.eval("[...document.querySelectorAll('button')].find(b => b.innerText === 'The registered sample').click()")
        self.assertEqual(page.wait("[...document.querySelectorAll('.results tbody')].map(b => b.innerText.split(/\\s+/).join())"), ["0,7,1,9", "0,10,1,20"])
        self.assertIn("2 classes have names", page.text("main"))

    def test_names_of_classes(self):
        page = self.model("named")
        page.choose("textarea", "[[0.9, 0.1]]")
        page.click("button.main")
        self.assertEqual(self.first_bar(page), "ночь")

    def test_every_type_of_number_arrives(self):
        page = self.open()
        self.assertEqual(page.eval("""(async () => {
          const { encode, fromHalf, toHalf } = await import("./tensors.js"), wrong = [];
          for (let bits = 0; bits < 65536; bits++) {
            const value = fromHalf(bits);
            if (!Number.isNaN(value) && toHalf(value) !== bits) wrong.push(bits);
          }
          const pairs = [[1 + 2 ** -11, 0x3c00], [1 + 3 * 2 ** -11, 0x3c02], [65519, 0x7bff], [65520, 0x7c00], [2 ** -25, 0], [2 ** -25 * 1.01, 1], [-0, 0x8000]];
          for (const [value, bits] of pairs) if (toHalf(value) !== bits) wrong.push([value, toHalf(value)]);
          if (encode("INT64", [-5, 2 ** 40])[1] !== 2n ** 40n) wrong.push("INT64");
          if (encode("BF16", [1, -2.5]).join() !== "16256,49184") wrong.push("BF16");
          return wrong.slice(0, 5); })()"""), [])

    @unittest.skipUnless(DIGITS.exists(), "no models beside the checkout")
    def test_what_changed_between_versions(self):
        page = self.model("digits", 2)
        text = page.wait("[...document.querySelectorAll('table')].find(t => t.caption.innerText.includes('Changes'))?.innerText")
        self.assertRegex(text, r"metadata\.opset:ai\.onnx\s+8\s+15")

    def test_the_graph(self):
        page = self.model("deep")
        self.assertEqual(page.wait("[...document.querySelectorAll('main a')].find(a => a.innerText === 'Its graph')?.getAttribute('href')"), "graph.html#/deep/1")
        page.eval("[...document.querySelectorAll('main a')].find(a => a.innerText === 'Its graph').click()")
        inner = "document.querySelector('iframe').contentDocument"
        page.wait(f"document.querySelector('iframe') && {inner}.querySelector('#details')?.innerText.includes('2000')")
        self.assertEqual(page.eval(f"{inner}.querySelector('h1').innerText"), "deep, version 1")
        page.eval(f"(() => {{ const q = {inner}.querySelector('#query'); q.focus(); q.value = 'node1234'; q.dispatchEvent(new Event('input', {{bubbles: true}})); }})()")
        page.wait(f"{inner}.querySelector('#found').innerText.includes('node1234')")
        self.assertEqual(self.server.ask("GET", "/v2/models/deep/graph?against=7")[0], 404)

    @unittest.skipUnless(DIGITS.exists(), "no models beside the checkout")
    def test_both_graphs(self):
        page = self.open("ui/graph.html#/digits/2/1")
        page.wait("document.querySelector('iframe')?.contentDocument.querySelector('h1')?.innerText === 'digits, version 2 | digits, version 1'")

    def test_live(self):
        page = self.open("ui/#/live")
        page.wait("document.querySelectorAll('figure svg').length === 4")
        for _ in range(40):
            self.server.infer("rows", {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}]})
        page.wait("""[...document.querySelectorAll('figure svg')].some(s => /^Requests per second.*rows:1: [1-9]/.test(s.getAttribute("aria-label")))""")
        page.wait("""[...document.querySelectorAll('figure svg')].some(s => /^Time of a request.*rows:1 99 % below: [\\d.]+ (µs|ms)/.test(s.getAttribute("aria-label")))""")

    def test_drift(self):
        numbers = random.Random(1)
        def send(shift, count):
            for _ in range(count):
                data = [numbers.gauss(shift, 1) for _ in range(3)]
                self.server.infer("steady", {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3], "data": data}]})
        send(0, 200)
        page = self.model("steady")
        page.wait("document.querySelector('main').innerText.includes('The inputs are as before.')")
        send(3, 600)
        page = self.model("steady")
        page.wait("document.querySelector('main').innerText.includes('The inputs are not what they were.')")
        self.assertRegex(page.eval("[...document.querySelectorAll('section')].at(-1).innerText"), r"x\S*\s+input\s+drifts")
        page = self.open("ui/#/live")
        page.wait("[...document.querySelectorAll('.problem')].some(p => /drift: steady:1/.test(p.innerText))")

    def test_log_with_filter(self):
        self.server.infer("rows", {"inputs": []}, headers={"x-request-id": "look-for-me"})
        page = self.open("ui/#/logs")
        page.choose("input[type=search]", "look-for-me")
        row = page.wait("document.querySelectorAll('tbody tr').length === 1 && document.querySelector('tbody tr').innerText")
        self.assertRegex(row, r"warning\s+rows\s+look-for-me\s+.*POST \"/v2/models/rows/infer\" 400")
        page.choose("select:not(header select)", "error")
        page.wait("document.querySelectorAll('tbody tr').length === 0")

    def test_hostile_words_stay_words(self):
        self.server.ask("GET", "/v2/models/%3Cimg%20src=x%20onerror=alert(1)%3E", headers={"x-request-id": "<b>id"})
        page = self.model("hostile")
        page.choose("textarea", "[[0.9, 0.1]]")
        page.click("button.main")
        self.assertEqual(self.first_bar(page), ATTACK.replace("\u202e", "") if "\u202e" not in self.first_bar(page) else ATTACK)
        self.assertIn("<img src=x", page.text("legend"))
        for path in ("ui/#/", "ui/#/logs", "docs", "ui/#/models/hostile/%3Cimg%20src=x%20onerror=attacked=1%3E"):
            shown = self.open(path, expected=["404"])
            shown.wait("document.querySelector('main h1, main [role=alert]')")
            self.assertIsNone(shown.eval("window.attacked ?? null"))
            self.assertEqual(shown.eval("document.querySelectorAll('main img, main script, main b').length"), 0)
        self.assertIsNone(page.eval("window.attacked ?? null"))

    def test_languages(self):
        page = self.open()
        page.wait("document.querySelector('h1')")
        for code, heading in LANGUAGES.items():
            page.choose("#language", code)
            page.wait(f"document.querySelector('h1')?.innerText === {json.dumps(heading)}")
            self.assertEqual(page.eval("[document.documentElement.lang, document.querySelector('nav a:not([hidden])').innerText]"), [code, heading])
        again = self.open("docs", beside=page)
        again.wait("document.documentElement.lang === 'ja' && document.querySelector('h1')?.innerText === '呼び出し方'")
        page.choose("#language", "en")
        page.wait("document.querySelector('h1')?.innerText === 'Models'")
        for options, heading in (({"beside": page}, "Models"), ({}, "Modelos")):  # what was chosen holds, in this profile
            self.assertEqual(self.open(language="pt-BR", **options).wait("document.querySelector('h1')?.innerText"), heading)

    def test_docs_can_be_tried(self):
        page = self.open("docs")
        page.wait("document.querySelector('.operation')")
        page.choose("input[type=search]", "/v2/models/pair/infer")
        page.click(".operation > summary")
        page.click(".operation button.main")
        page.wait("document.querySelector('.operation [aria-live]').innerText.includes('Status 200')")
        self.assertIn('"product"', page.text(".operation [aria-live]"))
        self.assertIn("curl -X POST", page.eval("document.querySelector('.operation details code').textContent"))

    def test_examples_are_accepted(self):
        """The example of every path that computes, lists that were cut aside."""
        page = self.open("docs", expected=["400", "404", "415", "503"])
        page.wait("document.querySelector('.operation')")
        sent = 0
        for path in ("/score", "/v2/models/rows/infer", "/v2/models/pair/infer", "/api/v1/service/rows/score"):
            page.choose("input[type=search]", path)
            found = page.eval(f"""[...document.querySelectorAll(".operation")].findIndex(d => d.querySelector("code").innerText === {json.dumps(path)})""")
            page.eval(f"document.querySelectorAll('.operation')[{found}].querySelector('summary').click()")
            page.wait(f"document.querySelectorAll('.operation')[{found}].querySelector('button')")
            if page.eval(f"!!document.querySelectorAll('.operation')[{found}].querySelector('.problem')"):
                continue
            page.eval(f"document.querySelectorAll('.operation')[{found}].querySelector('button').click()")
            answer = page.wait(f"document.querySelectorAll('.operation')[{found}].querySelector('[aria-live]').innerText")
            self.assertIn("Status 200", answer, path)
            sent += 1
        self.assertEqual(sent, 4)

    def test_axe_finds_nothing_serious(self):
        script, reason = browser.axe()
        if not script:
            self.skipTest(reason)
        for dark in (False, True):
            for path in PAGES:
                page = self.open("ui/" + path, dark=dark)
                page.wait("document.querySelector('main h2, main table, main figure')")
                if "digits" in path and DIGITS.exists():
                    self.draw(page, [(140, 40), (140, 240)])
                    self.first_bar(page)
                self.assertEqual(page.violations(script), [], (path, dark))
            page = self.open("docs", dark=dark)
            page.wait("document.querySelector('.operation')")
            page.click(".operation > summary")
            self.assertEqual(page.violations(script), [], ("docs", dark))

    def test_a_phone_scrolls_one_way(self):
        for path in (*("ui/" + p for p in PAGES), "docs"):
            page = self.open(path, width=360, height=740)
            page.wait("document.querySelector('main h2, main table, main figure, main details')")
            self.assertLessEqual(page.eval("document.documentElement.scrollWidth"), 360, path)

    def test_dark_and_light(self):
        ground = "getComputedStyle(document.documentElement).backgroundColor"
        page = self.open(dark=True)
        dark = page.wait(ground)
        page.choose("#colours", "light")
        self.assertNotEqual(page.eval(ground), dark)
        page.choose("#colours", "")
        self.assertEqual(page.eval(ground), dark)

    def test_the_keyboard_reaches_the_content(self):
        page = self.open()
        page.wait("document.querySelector('h1')")
        page.key("Tab")
        self.assertEqual(page.eval("document.activeElement.className"), "skip")
        for _ in range(6):
            page.key("Tab")
        self.assertEqual(page.eval("document.activeElement.id"), "colours")


class Keys(Driven):
    """The same server with keys: the page asks, and forgets with the tab."""

    @classmethod
    def setUpClass(cls):
        (WORK / "keys").write_text(KEY + "\n")
        os.chmod(WORK / "keys", 0o600)
        cls.options = ("--keys", str(WORK / "keys"))
        super().setUpClass()

    def test_the_page_asks_for_the_key(self):
        page = self.open(expected=["401"])
        for key in ("wrong", KEY):
            page.wait("document.querySelector('dialog[open] input')")
            page.choose("dialog input", key)
            page.eval("document.querySelector('dialog form').requestSubmit(document.querySelector('dialog button'))")
            page.wait("document.querySelector('main li, dialog .problem')")
        page.wait("document.querySelectorAll('main li').length > 3")
        self.assertEqual(page.eval("[Object.values(localStorage).join(), Object.values(sessionStorage).includes('" + KEY + "')]"), ["", True])
        other = self.open(expected=["401"], beside=page)
        other.wait("document.querySelector('dialog[open]')")  # another tab has not got it
        other.click("dialog button[type=button]")
        other.wait("document.querySelector('main [role=alert]')")
        self.assertNotIn(KEY, "".join(page.asked))


@unittest.skipUnless(browser.program(), "there is no Chromium")
class Workspace(lab.Case):
    """`sardonyx workspace serve` has the same page, with what a workspace holds."""
    open = Driven.open
    address = Driven.address

    def setUp(self):
        super().setUp()
        self.register("twice", None, "--tag", f"note={ATTACK}")
        self.register("twice", lab.with_constant([1, 2, 3]), "--description", ATTACK)
        self.command("service", "deploy", "double", "--model", "twice:1", "--auth", "key", "--wait")
        self.addCleanup(self.command, "service", "delete", "double")
        port = self.folder / "port"
        process = subprocess.Popen([lab.COMMAND, "workspace", "serve", "--port", "0", "--port-file", str(port)], cwd=self.folder,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        self.assertTrue(wait_for(port.exists, 20))
        self.server = types.SimpleNamespace(port=int(port.read_text()))
        self.browser = browser.Browser()
        self.addCleanup(self.browser.__exit__)

    def enter(self, path):
        page = self.open(path, expected=["401"])
        page.wait("document.querySelector('dialog[open] input')")
        page.choose("dialog input", (self.store / "rest-keys").read_text().strip())
        page.eval("document.querySelector('dialog form').requestSubmit(document.querySelector('dialog button'))")
        return page

    def test_models_services_and_keys_that_are_shown_once(self):
        page = self.enter("ui/")
        page.wait("document.querySelectorAll('main table').length === 4")
        self.assertEqual(page.eval("[...document.querySelectorAll('nav a')].filter(a => !a.hidden).map(a => a.innerText)"), ["Workspace", "Live", "Log", "How to call"])
        self.assertRegex(page.text("main"), r"double\s+healthy\s+double:1\s+1\s+http://")
        script, reason = browser.axe()
        for path, there in (("#/", "table"), ("#/workspace/twice", "section:nth-of-type(3) table"), ("#/services/double", "pre")):
            page.eval(f"location.hash = '{path}'")
            page.wait(f"document.querySelector('main {there}')")
            if script:
                self.assertEqual(page.violations(script), [], path)
            self.assertEqual(page.eval("[window.attacked ?? null, document.querySelectorAll('main img, main script').length]"), [None, 0])
            page.resize(360, 740)
            self.assertLessEqual(page.eval("document.documentElement.scrollWidth"), 360, path)
            page.resize(1200, 900)
        page.eval("location.hash = '#/workspace/twice'")
        self.assertIn(ATTACK[:40], page.wait("document.querySelector('main section:nth-of-type(3) table')?.innerText"))
        page.eval("location.hash = '#/services/double'")
        page.wait("[...document.querySelectorAll('main button')].some(b => b.innerText === 'New primary key')")
        page.eval("[...document.querySelectorAll('main button')].find(b => b.innerText === 'New primary key').click()")
        page.click("dialog button.main")
        secret = page.wait("document.querySelector('.secret')?.innerText")
        self.assertEqual(secret, self.ask("service", "keys", "double")["primary"])
        page.eval("[...document.querySelectorAll('dialog button')].find(b => b.innerText === 'Close').click()")
        page.wait("!document.querySelector('.secret')")
        self.assertNotIn(secret, page.eval("document.documentElement.outerHTML"))
        page.wait("document.querySelector('main pre').innerText.includes('revision 1 is in force')")
        page.choose("main input[type=search]", "no such line")
        self.assertEqual(page.text("main pre"), "")
        page.eval("[...document.querySelectorAll('main button')].find(b => b.innerText === 'Stop').click()")
        page.click("dialog button.main")
        page.wait("document.querySelector('main table').innerText.includes('stopped')")
        self.assertEqual(self.ask("service", "show", "double")["state"], "Stopped")


class Pictures(Driven):
    """What the pages look like, for eyes: PICTURES=FOLDER."""

    def test_pictures(self):
        folder = os.environ.get("PICTURES")
        if not folder:
            self.skipTest("PICTURES names no folder")
        for kind, options in (("desktop", {}), ("dark", {"dark": True}), ("phone", {"width": 375, "height": 740})):
            for i, path in enumerate((*("ui/" + p for p in PAGES), "docs", "ui/#/models/boxes/1")):
                page = self.open(path, **options)
                page.wait("document.querySelector('main h2, main table, main figure, main details')")
                if "digits" in path:
                    self.draw(page, [(90, 60), (190, 60), (170, 120), (140, 180), (125, 240)])
                    self.first_bar(page)
                if "boxes" in path:
                    self.drop(page, "left.png")
                    page.wait("document.querySelector('.results canvas')")
                if "live" in path:
                    page.wait("document.querySelectorAll('figure path.line').length && !document.querySelector('figure').innerText.includes('–')")
                page.picture(f"{folder}/{i}-{kind}.png")


if __name__ == "__main__":
    sys.exit(main())
