"""
A browser in a namespace: Chromium without a window, driven from outside.

Its driver speaks HTTP on the loopback of that namespace, so that all is asked of it by one thread
that lives there.
"""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from lbctl.testbed import namespaces

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
QUIET = (  # it would ask the network for news of itself
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--no-first-run", "--no-default-browser-check", "--disable-extensions"),
)


class Browser:
    """One browser with one tab; a context manager."""

    def __init__(self, namespace, folder) -> None:
        self._there = ThreadPoolExecutor(1, initializer=namespaces.enter, initargs=(namespace,))
        self._folder = folder
        self._asked = set()

    def __enter__(self):
        try:
            self._driver = self._do(self._start)
        except BaseException:
            self._there.shutdown()
            raise
        return self

    def __exit__(self, *_):
        try:
            self._do(self._driver.quit)
        finally:
            self._there.shutdown()

    def _do(self, function, *arguments, **named):
        return self._there.submit(function, *arguments, **named).result()

    def _start(self):
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for option in (
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *(f"--user-data-dir={self._folder}", *QUIET),
        ):
            options.add_argument(option)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        return webdriver.Chrome(options, webdriver.ChromeService(DRIVER))

    # -- what people do --------------------------------------------------------------------------

    def open(self, url):
        """Go to a page, and wait until it is loaded."""
        self._do(self._driver.get, url)

    def prepare(self, script):
        """Run a script in every page from now on, before those of the page."""
        self.cdp("Page.addScriptToEvaluateOnNewDocument", source=script)

    def press(self, *keys):
        """Press keys one after the other; words are typed, names such as "ENTER" are keys."""

        def press() -> None:
            chain = ActionChains(self._driver, duration=0)
            for key in keys:
                chain.send_keys(getattr(Keys, key) if key.isupper() else key)
            chain.perform()

        self._do(press)

    def show(self, width, height, scheme="light", *, reduced_motion=False):
        """Have a screen of that size, and its owner's wishes."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.cdp("Emulation.setDeviceMetricsOverride", **size)
        wishes = {
            "prefers-color-scheme": scheme,
            "prefers-reduced-motion": "reduce" if reduced_motion else "no-preference",
        }
        features = [{"name": name, "value": value} for name, value in wishes.items()]
        self.cdp("Emulation.setEmulatedMedia", features=features)

    # -- what can be seen ------------------------------------------------------------------------

    def js(self, expression, *arguments):
        """The value of an expression in the page; arguments are `arguments[0]` and so on."""
        return self._do(self._driver.execute_script, f"return {expression}", *arguments)

    def text(self, selector):
        """The visible text of the first element that matches; None if there is none."""
        return self.js("document.querySelector(arguments[0])?.innerText", selector)

    def texts(self, selector):
        """The texts of all elements that match, those for screen readers included."""
        found = "[...document.querySelectorAll(arguments[0])]"
        return self.js(f"{found}.map(e => e.textContent)", selector)

    def rows(self, selector):
        """The visible texts of the cells of a table, row by row."""
        found = "[...document.querySelectorAll(arguments[0])]"
        texts = f"{found}.map(row => [...row.cells].map(cell => cell.innerText))"
        return self.js(texts, f"{selector} tbody tr")

    def focused(self):
        """The text of what has the focus, or its id."""
        return self.js("document.activeElement.textContent.trim() || document.activeElement.id")

    def cdp(self, command, **given):
        """Have the browser carry out one command of its protocol."""
        return self._do(self._driver.execute_cdp_cmd, command, given)

    def shot(self, path, *, whole=False):
        """Write what is on the screen, or the whole page, to a PNG file."""
        taken = self.cdp("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(taken["data"]))

    def complaints(self):
        """What the console has had since the last time, as (source, text)."""
        return [
            (line["source"], line["message"]) for line in self._do(self._driver.get_log, "browser")
        ]

    def requests(self):
        """The URLs of all requests since the browser was started."""
        for line in self._do(self._driver.get_log, "performance"):
            message = json.loads(line["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self._asked.add(message["params"]["request"]["url"])
        return self._asked
