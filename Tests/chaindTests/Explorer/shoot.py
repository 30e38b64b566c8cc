#!/usr/bin/env python3
"""Makes the pictures of the explorer that the documents show, from nodes that run.

    shoot.py PATH/TO/chaind FOLDER

Ports 8000 to 8002 have to be free. Chromium is needed, and pngquant makes the pictures small. It takes about a minute.
"""

import itertools
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from drive import Browser, Node, Page, opened

PORTS = (8000, 8001, 8002)
CUSTOMERS = ("Silva", "Müller", "Okafor", "Tanaka", "Haddad", "Novák", "Björk")


def texts():
    """What a small shop would keep in an audit log."""
    for number in itertools.count(1041):
        customer = CUSTOMERS[number % len(CUSTOMERS)]
        amount = f"{number * 37 % 900 + 12}.{number % 10}0"
        yield f"invoice {number} to {customer}: {amount} EUR"
        if number % 3 == 0:
            yield f"invoice {number} paid: {amount} EUR"
        if number % 7 == 0:
            yield json.dumps({"user": "maria", "action": "export", "table": "invoices", "rows": number}, indent=1)


class Nodes:
    """Nodes on the ports, each with a folder of its own, and one group if there are several."""

    def __init__(self, chaind: str, folder: Path, ports):
        self.chaind, self.folder = chaind, folder
        self.processes = {}
        for port in ports:
            self.start(port)

    def start(self, port: int) -> None:
        self.processes[port] = subprocess.Popen(
            [self.chaind, "serve", "--port", str(port), "--data-dir", self.folder / str(port),
             "--sync-file", self.folder / "sync.json", "--interval-seconds", "1"])
        for _ in range(100):
            try:
                return urllib.request.urlopen(f"http://localhost:{port}/live").close()
            except OSError:
                time.sleep(0.1)
        raise SystemExit(f"no node on port {port}")

    def stop(self, port: int, kill: bool = False) -> None:
        process = self.processes.pop(port)
        process.kill() if kill else process.terminate()
        process.wait(30)

    def close(self) -> None:
        for port in list(self.processes):
            self.stop(port, kill=True)


def append_for(seconds: float, node: Node, words) -> None:
    """More and less of them, so that the chart has something to show."""
    end = time.monotonic() + seconds
    for rest in itertools.cycle((0.1, 0.5, 0.2, 1.0, 0.05, 0.7, 0.3)):
        if time.monotonic() > end:
            return
        node.append(next(words))
        time.sleep(rest)


class Pictures:
    def __init__(self, browser: Browser, folder: Path):
        self.browser, self.folder = browser, folder

    def page(self, node: Node, path: str = "/", scale: int = 1, **options) -> Page:
        page = opened(self.browser, node, path, **options)
        size = {"width": options.get("width", 1280), "height": options.get("height", 900)}
        page.send("Emulation.setDeviceMetricsOverride",
                  {**size, "deviceScaleFactor": scale, "mobile": size["width"] < 600})
        page.until("document.querySelectorAll('#blocks > :is(.good, .bad)').length >= 20")
        page.until("document.querySelector('#appends-chart .bar')")
        time.sleep(2)
        return page

    def take(self, name: str, page: Page) -> None:
        path = self.folder / f"{name}.png"
        page.shoot(path, whole=False)
        if shutil.which("pngquant"):
            subprocess.run(["pngquant", "--force", "--skip-if-larger", "--strip", "--speed", "1", "--output", path, path])
        print(f"{path} {path.stat().st_size // 1024} KiB")
        page.close()


def group_pictures(nodes: Nodes, pictures: Pictures) -> None:
    node, words = Node(f"http://localhost:{PORTS[0]}"), texts()
    append_for(40, node, words)
    pictures.take("light", pictures.page(node))
    pictures.take("dark", pictures.page(node, is_dark=True))
    pictures.take("phone", pictures.page(node, width=390, height=844, scale=2))
    page = pictures.page(node)
    nodes.stop(PORTS[2], kill=True)
    append_for(8, node, words)
    page.until("document.querySelector('#group-picture .member.removed')", 30)
    page.evaluate("document.querySelector('#group-details').open = true")
    time.sleep(2)
    pictures.take("member-down", page)


def damage_picture(nodes: Nodes, pictures: Pictures) -> None:
    """Somebody changes an amount in the file."""
    node, words = Node(f"http://localhost:{PORTS[0]}"), texts()
    append_for(10, node, words)
    paid = next(text for text in words if "paid" in text)
    node.append(paid)
    node.append(next(words))
    nodes.stop(PORTS[0])
    file = nodes.folder / str(PORTS[0]) / "chain.db"
    file.write_bytes(file.read_bytes().replace(paid.encode(), paid.replace("paid: ", "paid: 9")[:len(paid)].encode()))
    nodes.start(PORTS[0])
    page = pictures.page(node)
    page.click("#validate")
    page.until("document.querySelector('#validation .bad')")
    time.sleep(1)
    pictures.take("damaged", page)


def main() -> None:
    chaind, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    browser = Browser(shutil.which("chromium") or "chromium", token=None)
    try:
        for ports, draw in ((PORTS, group_pictures), (PORTS[:1], damage_picture)):
            with tempfile.TemporaryDirectory() as data:
                nodes = Nodes(chaind, Path(data), ports)
                try:
                    draw(nodes, Pictures(browser, folder))
                finally:
                    nodes.close()
    finally:
        browser.close()


if __name__ == "__main__":
    main()
