"""A headless Chromium, driven through its DevTools protocol over a pair of pipes.

https://chromedevtools.github.io/devtools-protocol says what the commands are.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome-headless-shell")
_OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-component-update", "--no-first-run", "--hide-scrollbars", "--remote-debugging-pipe",
)  # fmt: skip  # a table of options
_SECONDS = 60.0  # for one answer
_LOADED = """new Promise(done => {
  const look = () => document.readyState === "complete" ? done() : setTimeout(look, 10);
  look();
})"""


def installed() -> str:
    """The path of a browser; a test that asks for one where none is installed is skipped."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    return program or pytest.skip("No browser is installed: Debian has one in the package chromium.")


class Tab:
    """One page of the browser.

    Attributes:
        requested: The addresses of all that was asked for, the page's own among them.
        complaints: What the console, the page's policy and its exceptions said.

    """

    def __init__(self, pipes: _Pipes) -> None:
        self._pipes = pipes
        self.requested: list[str] = []
        self.complaints: list[str] = []
        target = pipes.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = pipes.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        pipes.heard = self._hear
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, command: str, **values: Any) -> Any:
        """What DevTools answers to a command."""
        return self._pipes.ask(command, self._session, **values)

    def show(self, page: Path | str, width: int = 1280, height: int = 800, *, dark: bool = False) -> None:
        """Opens a file or an address in a window of CSS pixels, light or dark; waits until it is there."""
        self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 700
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", media="", features=[scheme])
        self.ask("Page.navigate", url=page.resolve().as_uri() if isinstance(page, Path) else page)
        self.run(_LOADED)

    def run(self, script: str) -> Any:
        """The value of an expression in the page; of a promise, what it becomes."""
        answer = self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def press(self, *keys: str) -> None:
        """Presses keys, one after the other: "Tab", "Enter" or a character."""
        for key in keys:
            text = {"Tab": "", "Enter": "\r"}.get(key, key)
            code = {"Tab": 9, "Enter": 13}.get(key, 0)
            said = {"key": key, "text": text, "windowsVirtualKeyCode": code}
            self.ask("Input.dispatchKeyEvent", type="keyDown", **said)
            self.ask("Input.dispatchKeyEvent", type="keyUp", **said)

    def picture(self, *, whole: bool = True) -> bytes:
        """The page as PNG: all of it, or what the window shows."""
        answer = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(answer["data"])

    def printed(self) -> bytes:
        """The page as PDF on A4."""
        answer = self.ask("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, printBackground=False)
        return base64.b64decode(answer["data"])

    def _hear(self, event: dict[str, Any]) -> None:
        name, values = event["method"], event["params"]
        if name == "Network.requestWillBeSent":
            self.requested.append(values["request"]["url"])
        elif name == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(values["exceptionDetails"]))
        elif name == "Runtime.consoleAPICalled":
            self.complaints.append(json.dumps(values["args"]))
        elif name == "Log.entryAdded":
            self.complaints.append(values["entry"]["text"])


class _Pipes:
    """Commands go out and answers come in, each ended by a zero byte."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read = write, read
        self._number, self._rest = 0, b""
        self.heard: Any = lambda _: None

    def ask(self, command: str, session: str | None = None, **values: Any) -> Any:
        self._number += 1
        message = {"id": self._number, "method": command, "params": values}
        os.write(self._write, json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0")
        for answer in self._messages():
            if "method" in answer:
                self.heard(answer)
            elif answer["id"] == self._number:
                assert "error" not in answer, f"{command}: {answer['error']}"
                return answer["result"]
        raise AssertionError(f"{command}: no answer")

    def _messages(self) -> Iterator[Any]:
        until = time.monotonic() + _SECONDS
        while True:
            message, zero, rest = self._rest.partition(b"\0")
            if zero:
                self._rest = rest
                yield json.loads(message)
                continue
            if not select.select([self._read], [], [], max(until - time.monotonic(), 0))[0]:
                return
            more = os.read(self._read, 1 << 20)
            if not more:
                return
            self._rest += more


@contextmanager
def opened(program: str) -> Iterator[Tab]:
    """A tab of a browser of its own, which ends with the context."""
    (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        # The browser reads from descriptor 3 and writes to 4.
        shell = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        arguments = [program, *_OPTIONS, f"--user-data-dir={profile}"]
        process = subprocess.Popen(
            ["bash", "-c", shell, "browser", *arguments],
            pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip  # arguments of a command
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            yield Tab(_Pipes(ours_out, ours_in))
        finally:
            process.kill()
            process.wait()
            os.close(ours_out)
            os.close(ours_in)
