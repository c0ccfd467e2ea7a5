"""Chromium by WebDriver: as much of the protocol as the test of the status page needs, with nothing but Python."""

import base64
import http.client
import json
import re
import subprocess
import tempfile
import time

# A browser as root on a closed network, which asks nobody but the page under test.
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-default-apps", "--disable-domain-reliability", "--no-pings",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb", "--lang=en",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
PATIENCE = 30
PAUSE = 0.05


class Browser:
    """A fresh Chromium, with one window."""

    def __init__(self):
        self.profile = tempfile.TemporaryDirectory(prefix="page-test.")
        self.driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        port = None
        for line in self.driver.stdout:
            if found := re.search(r"started successfully on port (\d+)", line):
                port = int(found[1])
                break
        assert port, "chromedriver does not start"
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.session = None
        options = {"args": [*ARGUMENTS, f"--user-data-dir={self.profile.name}"]}
        wanted = {
            "browserName": "chrome", "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        begun = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.version, self.session = begun["capabilities"]["browserVersion"], begun["sessionId"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            if self.session:
                self.ask("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait(20)
            self.profile.cleanup()

    def ask(self, method, path, body=None):
        prefix = f"/session/{self.session}" if self.session else ""
        text = None if method != "POST" else json.dumps(body or {})
        self.connection.request(method, prefix + path, text, {"Content-Type": "application/json"})
        value = json.loads(self.connection.getresponse().read())["value"]
        if isinstance(value, dict) and "error" in value:
            raise RuntimeError(f"{path}: {value['error']}: {value['message']}")
        return value

    def open(self, address):
        self.ask("POST", "/url", {"url": address})

    def run(self, script, *arguments):
        """What the body of a function in the page returns."""
        return self.ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def devtools(self, command, **parameters):
        return self.ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def text(self, selector):
        """What is to be read there, as it is shown."""
        return self.run("return [...document.querySelectorAll(arguments[0])].map(e => e.innerText).join('\\n')", selector)

    def wait(self, what, condition, *arguments):
        """Until an expression of the page is true; what it is then."""
        begun = time.monotonic()
        while not (value := self.run(f"return {condition}", *arguments)):
            if time.monotonic() - begun > PATIENCE:
                raise AssertionError(f"not seen within {PATIENCE} s: {what}\n{self.text('body')}")
            time.sleep(PAUSE)
        return value

    def press(self, selector, keys):
        """Focus an element, and press keys there."""
        found = self.ask("POST", "/element", {"using": "css selector", "value": selector})
        self.ask("POST", f"/element/{found[ELEMENT]}/value", {"text": keys})

    def look(self, width, height, dark, phone=False):
        """How large the window is, and which colours its user likes."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.devtools("Emulation.setEmulatedMedia", features=[scheme])
        self.devtools(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if phone else 1, mobile=phone)

    def picture(self, path, whole=True):
        shot = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def console(self):
        """What was said on the console since it was asked last."""
        return [f"{line['level']}: {line['message']}" for line in self.ask("POST", "/se/log", {"type": "browser"})]

    def requests(self):
        """What was asked for, of anybody, since it was asked last; but for the page of Chromium's own that a window begins with."""
        for line in self.ask("POST", "/se/log", {"type": "performance"}):
            message = json.loads(line["message"])["message"]
            sent = message["params"] if message["method"] == "Network.requestWillBeSent" else None
            if sent and not sent["documentURL"].startswith("chrome://"):
                yield sent["request"]["url"]
