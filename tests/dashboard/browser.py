"""A headless Chromium for tests, over its DevTools pipe: Python's library alone, no driver, no network.

https://chromedevtools.github.io/devtools-protocol/
"""
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
DEADLINE_SECONDS = 30  # of one answer or condition, on a loaded machine


def find():
    """The path of a browser, or None."""
    named = os.environ.get("TROUPE_BROWSER")
    return named or next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    """One tab. What it complains of (console errors, uncaught exceptions, blocked content) is in `complaints`."""

    def __init__(self, program):
        self._profile = tempfile.TemporaryDirectory()
        self._to, self._from = self._start(program)
        self._buffer = b""
        self._number = 0
        self.complaints = []
        target = self._call("Target.createTarget", url="about:blank", session=None)["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True, session=None)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")

    def _start(self, program):
        # The browser reads commands from its descriptor 3 and writes answers to 4.
        pipes = [[fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in os.pipe()] for _ in range(2)]
        (theirs_in, ours_out), (ours_in, theirs_out) = pipes

        def place():
            os.setsid()  # a group of its own, with the browser's helpers
            os.dup2(theirs_in, 3)
            os.dup2(theirs_out, 4)

        self._process = subprocess.Popen(
            [program, "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-background-networking",
             "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", f"--user-data-dir={self._profile.name}"],
            close_fds=False, preexec_fn=place, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        os.close(theirs_in)
        os.close(theirs_out)
        return ours_out, ours_in

    def close(self):
        self._process.terminate()
        self._process.wait()
        self._end_helpers()  # one that still runs would write into the profile again
        os.close(self._to)
        os.close(self._from)
        self._profile.cleanup()

    def _end_helpers(self):
        try:
            while True:
                os.killpg(self._process.pid, signal.SIGKILL)
                time.sleep(0.01)
        except ProcessLookupError:
            pass

    def _read(self):
        deadline = time.monotonic() + DEADLINE_SECONDS
        while b"\0" not in self._buffer:
            if not select.select([self._from], [], [], max(0, deadline - time.monotonic()))[0]:
                raise TimeoutError("the browser does not answer")
            part = os.read(self._from, 1 << 16)
            if not part:
                raise ConnectionError("the browser ended")
            self._buffer += part
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def _note(self, message):
        method, params = message.get("method"), message.get("params", {})
        if method == "Log.entryAdded" and params["entry"]["level"] in ("warning", "error"):
            self.complaints.append(params["entry"]["text"])
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"]))
        if method == "Runtime.consoleAPICalled" and params["type"] in ("warning", "error", "assert"):
            self.complaints.append(json.dumps(params["args"]))

    def _call(self, method, session="", **params):
        self._number += 1
        command = {"id": self._number, "method": method, "params": params}
        if session is not None:
            command["sessionId"] = self._session
        os.write(self._to, json.dumps(command).encode() + b"\0")
        while True:
            message = self._read()
            if message.get("id") != self._number:
                self._note(message)
            elif "error" in message:
                raise RuntimeError(f"{method}: {message['error']}")
            else:
                return message["result"]

    def open(self, url, width=1280, height=720):
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                   mobile=width < 600)
        self._call("Page.navigate", url=url)

    def value(self, expression):
        """Of a JavaScript expression, awaited."""
        result = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait_while(self, expression, holds):
        """While `holds` is true of an expression's value, looked at once a frame; gives up in the end."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            try:
                if not holds(self.value(expression)):
                    return
                self.value("new Promise((resolve) => requestAnimationFrame(() => resolve()))")
            except RuntimeError:  # not there yet, or the page was left for the one that is being opened
                pass

    def wait_for(self, condition):
        """Until a JavaScript expression is true."""
        self.wait_while(f"Boolean({condition})", lambda value: not value)
        if not self.value(f"Boolean({condition})"):
            raise TimeoutError(f"never true: {condition}")

    def point_at(self, selector, x_share, y_share=0.5):
        """Moves the mouse over an element, to shares of its width and height."""
        self.value(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'center'}})")
        box = self.value(f"document.querySelector({json.dumps(selector)}).getBoundingClientRect().toJSON()")
        self._call("Input.dispatchMouseEvent", type="mouseMoved", x=box["x"] + x_share * box["width"],
                   y=box["y"] + y_share * box["height"])

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, key=key, code=key)
