"""Driver for a real browser over its DevTools pipe; uses only the standard library."""

import json
import os
import select
import shutil
import subprocess
import time

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SECONDS = 60  # for an answer


def installed():
    """The path of a Chromium, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page of a headless Chromium.

    Attributes:
        events: What the page has reported: (method, parameters).
    """

    def __init__(self, profile):
        (theirs, self.to), (self.back, ours) = os.pipe(), os.pipe()
        words = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
        words += [f"--user-data-dir={profile}", "--no-first-run", "about:blank"]
        # Chromium reads commands from file 3 and answers into file 4.
        script = f'exec "$@" 3<&{theirs} 4>&{ours}'
        self.process = subprocess.Popen(
            ["bash", "-c", script, "browser", installed(), *words],
            pass_fds=(theirs, ours),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs)
        os.close(ours)
        self.number, self.held, self.events, self.session = 0, b"", [], None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()
        os.close(self.to)
        os.close(self.back)

    def ask(self, method, **parameters):
        """The result of a command."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            found = self._message()
            if found.get("id") == self.number:
                assert "error" not in found, found
                return found["result"]
            self.events.append((found.get("method"), found.get("params")))

    def open(self, path, width, height):
        """Loads a file in a window of a size."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.ask("Emulation.setDeviceMetricsOverride", **size)
        self.events.clear()
        self.ask("Page.navigate", url=path.as_uri())
        while not any(method == "Page.loadEventFired" for method, _ in self.events):
            found = self._message()
            self.events.append((found.get("method"), found.get("params")))

    def value(self, expression):
        """Of a JavaScript expression in the page, or of its promise."""
        answer = self.ask(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        return answer["result"].get("value")

    def complaints(self):
        """What a person would see in red in the console."""
        return [
            (method, parameters)
            for method, parameters in self.events
            if method == "Runtime.exceptionThrown"
            or (method == "Log.entryAdded" and parameters["entry"]["level"] != "verbose")
            or (method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "assert"))
        ]

    def requests(self):
        """Addresses of all that was asked for but the page and what it holds."""
        asked = [
            x["request"]["url"] for name, x in self.events if name == "Network.requestWillBeSent"
        ]
        return [url for url in asked if not url.startswith("data:")]

    def _message(self):
        end = time.monotonic() + SECONDS
        while b"\0" not in self.held:
            ready, _, _ = select.select([self.back], [], [], max(0, end - time.monotonic()))
            assert ready, f"the browser said nothing for {SECONDS} seconds"
            part = os.read(self.back, 1 << 16)
            assert part, "the browser is gone"
            self.held += part
        message, _, self.held = self.held.partition(b"\0")
        return json.loads(message)
