#!/usr/bin/env python3
"""Takes pictures of RabbitMQ's management UI, as docs/OPERATIONS.md shows it.

    PASSWORD=... deploy/screenshots.py http://127.0.0.1:15672 dovi docs/images busy

`busy`: overview, queues, connections and the consumers of the film queue, while workers are at work. `idle`: the dead letters.
The user needs the tag `monitoring`, and for the dead letters the right to read dovi.failed (docs/SECURITY.md).

Needs chromium and chromedriver (Debian: chromium-driver); pngquant makes the pictures smaller where it is there. Nothing else:
chromedriver is spoken to by its own HTTP interface (https://www.w3.org/TR/webdriver2/).
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--lang=en",
]


class Browser:
    """One window of a headless Chromium."""

    def __init__(self, width, height):
        self.folder = tempfile.TemporaryDirectory()
        self.driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        port = None
        for line in self.driver.stdout:
            if "started successfully on port" in line:
                port = line.rsplit("port", 1)[1].strip(" .\n")
                break
        if port is None:
            sys.exit("error: chromedriver does not start")
        self.base = f"http://127.0.0.1:{port}/session"
        args = FLAGS + [f"--user-data-dir={self.folder.name}", f"--window-size={width},{height}"]
        wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": args}}}}
        self.base += "/" + self.send("POST", "", wanted)["sessionId"]

    def send(self, method, path, body=None):
        data = json.dumps(body if body is not None else {}).encode() if method == "POST" else None
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def script(self, text, *args):
        return self.send("POST", "/execute/sync", {"script": text, "args": list(args)})

    def wait(self, what, condition, *args):
        """Until a piece of JavaScript is true; `what` is for the message if it never is."""
        end = time.monotonic() + 30
        while not self.script(condition, *args):
            if time.monotonic() > end:
                self.shoot("failed.png")
                sys.exit(f"error: waited in vain for {what}; failed.png shows what was there instead")
            time.sleep(0.2)

    def click(self, selector):
        found = self.send("POST", "/element", {"using": "css selector", "value": selector})
        self.send("POST", f"/element/{found[ELEMENT]}/click")

    def type(self, selector, text):
        found = self.send("POST", "/element", {"using": "css selector", "value": selector})
        self.send("POST", f"/element/{found[ELEMENT]}/value", {"text": text})

    def shoot(self, path):
        # As high as the page is, and no higher than somebody wants to scroll.
        self.send("POST", "/window/rect", {"width": 1180, "height": 400})
        height = self.script("return document.documentElement.scrollHeight")
        self.send("POST", "/window/rect", {"width": 1180, "height": min(max(height, 300), 1500) + 90})
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.send("GET", "/screenshot")))
        if shutil.which("pngquant"):
            subprocess.run(["pngquant", "--force", "--skip-if-larger", "--strip", "--output", path, "64", path], check=False)
        print(f"{path}: {os.path.getsize(path) // 1000} kB")

    def close(self):
        try:
            self.send("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait()


def main():
    if len(sys.argv) != 5 or sys.argv[4] not in ("busy", "idle"):
        sys.exit(__doc__)
    url, user, folder, moment = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)
    browser = Browser(1180, 900)
    try:
        browser.send("POST", "/url", {"url": url + "/"})
        browser.wait("the log-in", "return !!document.querySelector('input[name=username]')")
        browser.type("input[name=username]", user)
        browser.type("input[name=password]", os.environ["PASSWORD"])
        browser.click("input[type=submit]")
        browser.wait("the overview", "return !!document.querySelector('#menu')")

        def page(name, path, there, open_sections=()):
            browser.send("POST", "/url", {"url": f"{url}/#/{path}"})
            browser.wait(name, "return document.querySelector('#main') && document.querySelector('#main').innerText.includes(arguments[0])", there)
            for section in open_sections:
                browser.script(
                    "for (const h of document.querySelectorAll('#main h2'))"
                    " if (h.innerText.startsWith(arguments[0]) && h.parentElement.className.includes('invisible')) h.click()",
                    section,
                )
            time.sleep(1.5)  # sections unfold

        def close_sections(*names):
            for name in names:
                browser.script(
                    "for (const h of document.querySelectorAll('#main h2'))"
                    " if (h.innerText.startsWith(arguments[0]) && h.parentElement.className.includes('visible')"
                    " && !h.parentElement.className.includes('invisible')) h.click()",
                    name,
                )
            time.sleep(1.5)

        queue = "queues/dovi/"
        if moment == "busy":
            page("the overview", "", "Global counts")
            browser.wait("connections in the overview", "return /Connections: *[1-9]/.test(document.querySelector('#main').innerText)")
            browser.shoot(f"{folder}/ui-overview.png")
            page("the queues", "queues", "dovi.films")
            browser.shoot(f"{folder}/ui-queues.png")
            page("the connections", "connections", "dovi-consumer")
            browser.shoot(f"{folder}/ui-connections.png")
            page("the film queue", queue + "dovi.films", "Consumers", ["Consumers"])
            close_sections("Overview")
            browser.shoot(f"{folder}/ui-consumers.png")
        else:
            page("the dead letters", queue + "dovi.failed", "Get messages", ["Get messages"])
            close_sections("Overview")
            browser.click("form[action='#/queues/get'] input[type=submit]")
            browser.wait("a message", "return document.querySelector('#main').innerText.includes('Payload')")
            time.sleep(1)
            browser.shoot(f"{folder}/ui-dead-letter.png")
    finally:
        browser.close()


main()
