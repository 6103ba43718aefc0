# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium, driven through a pipe by the DevTools protocol: pages, what they ask, what goes wrong on them.
Standard library only, axe aside.

    with Browser() as browser:
        page = browser.open("http://127.0.0.1:8080/ui/")
        page.wait("document.querySelector('h1')")
        page.eval("document.title")
        assert not page.problems
"""
import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
import zipfile

import venv

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def program():
    """The path of a Chromium, or None."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def axe():
    """The accessibility checker axe-core as a script, from a package; or None, and the reason."""
    wheel, reason = venv.find("axe-playwright-python==0.1.8")
    return (zipfile.ZipFile(wheel).read("axe_playwright_python/axe.min.js").decode() if wheel else None), reason


class Browser:
    def __init__(self):
        self.home = tempfile.TemporaryDirectory(prefix="sardonyx-browser-", ignore_cleanup_errors=True)
        there, self.write = os.pipe()
        self.read, back = os.pipe()

        def pipes():  # the protocol is spoken on 3 and 4; both ends go up first, so that neither falls on the other
            ends = os.dup(there), os.dup(back)
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        self.process = subprocess.Popen(
            [program(), "--headless=new", "--no-sandbox", "--remote-debugging-pipe", f"--user-data-dir={self.home.name}",
             "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
             "--disable-component-update", "--force-color-profile=srgb", "--hide-scrollbars", "about:blank"],
            preexec_fn=pipes, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(there)
        os.close(back)
        self.serial, self.buffer, self.pages = 0, b"", {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.read)
        os.close(self.write)
        self.home.cleanup()

    def _take(self, message):
        """Gives an event to its page; True for the answer to the last command."""
        if message.get("id") == self.serial:
            return True
        page = self.pages.get(message.get("sessionId"))
        if page:
            page.happened(message.get("method", ""), message.get("params", {}))
        return False

    def command(self, method, session=None, timeout=60, **params):
        self.serial += 1
        message = {"id": self.serial, "method": method, "params": params, **({"sessionId": session} if session else {})}
        os.write(self.write, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            while b"\0" in self.buffer:
                one, self.buffer = self.buffer.split(b"\0", 1)
                answer = json.loads(one)
                if self._take(answer):
                    if "error" in answer:
                        raise AssertionError(f"{method}: {answer['error']}")
                    return answer["result"]
            piece = os.read(self.read, 1 << 20)
            if not piece:
                raise AssertionError("the browser ended")
            self.buffer += piece
        raise AssertionError(f"{method}: no answer in {timeout} s")

    def open(self, address, width=1200, height=900, dark=False, language="en", beside=None):
        """In a profile of its own; or in another tab of that of a page."""
        context = beside.context if beside else self.command("Target.createBrowserContext")["browserContextId"]
        target = self.command("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self.pages[session] = Page(self, session, context)
        for domain in ("Page", "Runtime", "Log", "Network", "DOM"):
            page.command(f"{domain}.enable")
        page.resize(width, height)
        page.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        page.command("Emulation.setUserAgentOverride", userAgent="Chromium", acceptLanguage=language)
        page.command("Page.navigate", url=address)
        page.wait("document.readyState === 'complete'")
        return page


class Page:
    def __init__(self, browser, session, context):
        self.browser, self.session, self.context = browser, session, context
        self.problems = []  # of the console: errors, exceptions, what the policy has blocked
        self.asked = []  # every address

    def command(self, method, **params):
        return self.browser.command(method, self.session, **params)

    def happened(self, method, params):
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.problems.append(" ".join(str(a.get("value", a.get("description"))) for a in params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.problems.append(params["entry"]["text"] + " " + params["entry"].get("url", ""))
        elif method == "Network.requestWillBeSent":
            self.asked.append(params["request"]["url"])

    def resize(self, width, height, mobile=False):
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)

    def eval(self, script):
        """The value of an expression, of a promise when it is kept."""
        answer = self.command("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True)
        if "exceptionDetails" in answer:
            raise AssertionError(f"{script}: {answer['exceptionDetails'].get('exception', {}).get('description')}")
        return answer["result"].get("value")

    def wait(self, condition, seconds=20):
        """Until an expression is true; its value."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                value = self.eval(condition)
            except AssertionError as error:
                if "context" not in str(error) and "null" not in str(error):
                    raise
                value = None
            if value or value == {}:  # an element
                return value
            time.sleep(0.05)
        raise AssertionError(f"not in {seconds} s: {condition}\n" + str(self.eval("document.body?.innerText"))[:2000])

    def text(self, selector="body"):
        return self.eval(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")

    def click(self, selector):
        """With the mouse, in the middle of an element."""
        box = self.place(selector)
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.mouse("mousePressed", x, y)
        self.mouse("mouseReleased", x, y)

    def place(self, selector):
        return self.wait(f"""(() => {{ const e = document.querySelector({json.dumps(selector)});
            if (!e) return null; e.scrollIntoView({{block: "center"}}); return e.getBoundingClientRect().toJSON(); }})()""")

    def mouse(self, kind, x, y):
        self.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def drag(self, points):
        """A stroke through [(x, y), ...]."""
        self.mouse("mousePressed", *points[0])
        for x, y in points[1:]:
            self.mouse("mouseMoved", x, y)
        self.mouse("mouseReleased", *points[-1])

    def key(self, name, text=None):
        for kind in ("keyDown", "keyUp"):
            self.command("Input.dispatchKeyEvent", type=kind, key=name, **({"text": text} if text and kind == "keyDown" else {}))

    def choose(self, selector, value):
        """In a list or a field, as a person would: with its events."""
        self.wait(f"!!document.querySelector({json.dumps(selector)})")
        self.eval(f"""(() => {{ const e = document.querySelector({json.dumps(selector)}); e.value = {json.dumps(value)};
            for (const kind of ["input", "change"]) e.dispatchEvent(new Event(kind, {{bubbles: true}})); }})()""")

    def files(self, selector, *paths):
        """Puts files into an <input type=file>."""
        root = self.command("DOM.getDocument")["root"]["nodeId"]
        node = self.command("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.command("DOM.setFileInputFiles", files=[str(p) for p in paths], nodeId=node)

    def violations(self, axe_script):
        """What axe finds serious or critical."""
        self.eval(axe_script + "; 0")
        return self.eval("""axe.run({resultTypes: ["violations"]}).then(found => found.violations
            .filter(v => v.impact === "serious" || v.impact === "critical")
            .map(v => `${v.id}: ${v.nodes.map(n => n.html.slice(0, 200) + " " + n.failureSummary).join("; ")}`))""")

    def picture(self, path):
        """The whole page as a PNG."""
        size = self.command("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 6000), "scale": 1}
        shot = self.command("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))
