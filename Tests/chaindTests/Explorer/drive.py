#!/usr/bin/env python3
"""Drives the explorer page of a running node in a real browser, and checks what it does.

    drive.py URL [--token TOKEN] [--chromium PATH] [--shots FOLDER]

URL is a node that serves the page, on this machine. The checks append some blocks to its list. One line a check; the exit
status is 1 at the first that fails. A token is given where the browser asks its user for a password; whose certificate the
node has is not looked at. Only the standard library is needed.
"""

import argparse
import base64
import fcntl
import json
import os
import select
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

RIGHT_TO_LEFT_OVERRIDE = "\u202e"
HOSTILE = (
    "<script>window.harmed = 1</script><img src=x onerror='window.harmed = 2'>\n"
    f"user{RIGHT_TO_LEFT_OVERRIDE}gpj.exe \x00\x1b[31mred\x07\x7f\x85 \u200bend &amp; {{{{text.title}}}} "
    "שלום عربي 🏴‍☠️ Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢"
)


class Failed(Exception):
    """A check that did not find what it should."""


class Browser:
    """A headless Chromium, spoken to over its two pipes with the DevTools protocol."""

    def __init__(self, path: str, token: str | None):
        self.token = token
        self.profile = tempfile.mkdtemp(prefix="chaind-explorer-")
        to_browser, commands = os.pipe()
        answers, from_browser = os.pipe()
        # Out of the way of the two numbers that the browser expects.
        inner = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (to_browser, from_browser)]

        def place_pipes() -> None:
            os.dup2(inner[0], 3)
            os.dup2(inner[1], 4)

        self.process = subprocess.Popen(
            [path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--ignore-certificate-errors", "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
             f"--user-data-dir={self.profile}", "--remote-debugging-pipe", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            pass_fds=(3, 4), preexec_fn=place_pipes, start_new_session=True)
        for end in (to_browser, from_browser, *inner):
            os.close(end)
        self.commands, self.answers = commands, answers
        self.rest, self.sent = b"", 0
        self.events: list[dict] = []

    def close(self) -> None:
        try:
            self.send("Browser.close", seconds=5)
            self.process.wait(5)
        except Exception:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    def send(self, method: str, parameters: dict | None = None, session: str | None = None, seconds: float = 60) -> dict:
        number = self.post(method, parameters, session)
        deadline = time.monotonic() + seconds
        while True:
            answer = self.receive(deadline - time.monotonic())
            if answer is None:
                raise Failed(f"no answer to {method}")
            if answer.get("id") == number:
                if "error" in answer:
                    raise Failed(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def post(self, method: str, parameters: dict | None, session: str | None) -> int:
        """Sends a command, and gives the number of its answer."""
        self.sent += 1
        message = {"id": self.sent, "method": method, "params": parameters or {}}
        if session:
            message["sessionId"] = session
        content = json.dumps(message).encode() + b"\0"
        while content:
            content = content[os.write(self.commands, content):]
        return message["id"]

    def receive(self, seconds: float) -> dict | None:
        """The next message; events are kept. None if there is none in time."""
        deadline = time.monotonic() + max(0, seconds)
        while b"\0" not in self.rest:
            if not select.select([self.answers], [], [], max(0, deadline - time.monotonic()))[0]:
                return None
            part = os.read(self.answers, 1 << 20)
            if not part:
                raise Failed("the browser has ended")
            self.rest += part
        content, self.rest = self.rest.split(b"\0", 1)
        message = json.loads(content)
        if "method" in message:
            self.events.append(message)
            self.let_in(message)
        return message

    def let_in(self, event: dict) -> None:
        """Lets a request go on that waits; what a user would type is typed where the browser asks."""
        number = {"requestId": event["params"].get("requestId")}
        if event["method"] == "Fetch.requestPaused":
            self.post("Fetch.continueRequest", number, event["sessionId"])
        if event["method"] == "Fetch.authRequired":
            typed = {"response": "ProvideCredentials", "username": "anyone", "password": self.token}
            self.post("Fetch.continueWithAuth", {**number, "authChallengeResponse": typed}, event["sessionId"])


class Page:
    """A tab, its state apart from any other's."""

    def __init__(self, browser: Browser, language: str = "en", script: bool = True, width: int = 1280, height: int = 900,
                 is_dark: bool = False):
        self.browser = browser
        context = browser.send("Target.createBrowserContext")["browserContextId"]
        self.target = browser.send("Target.createTarget", {"url": "about:blank", "browserContextId": context})["targetId"]
        self.session = browser.send("Target.attachToTarget", {"targetId": self.target, "flatten": True})["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.send(f"{domain}.enable")
        if browser.token:
            self.send("Fetch.enable", {"handleAuthRequests": True})
        self.send("Network.setExtraHTTPHeaders", {"headers": {"Accept-Language": language}})
        self.send("Emulation.setScriptExecutionDisabled", {"value": not script})
        self.resize(width, height)
        self.send("Emulation.setEmulatedMedia", {"features": [
            {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}]})
        self.first_event = len(browser.events)

    def send(self, method: str, parameters: dict | None = None) -> dict:
        return self.browser.send(method, parameters, self.session)

    def close(self) -> None:
        self.browser.send("Target.closeTarget", {"targetId": self.target})

    def resize(self, width: int, height: int) -> None:
        self.send("Emulation.setDeviceMetricsOverride",
                  {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})

    def go(self, url: str) -> None:
        mark = len(self.browser.events)
        self.send("Page.navigate", {"url": url})
        deadline = time.monotonic() + 30
        while not any(event["method"] == "Page.loadEventFired" and event.get("sessionId") == self.session
                      for event in self.browser.events[mark:]):
            if time.monotonic() > deadline:
                raise Failed(f"{url} does not load")
            self.browser.receive(0.2)

    def evaluate(self, expression: str):
        answer = self.send("Runtime.evaluate", {"expression": expression, "returnByValue": True, "awaitPromise": True})
        if "exceptionDetails" in answer:
            raise Failed(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def until(self, expression: str, seconds: float = 15):
        """The value of the expression as soon as it is one; an element comes as an empty dictionary."""
        deadline = time.monotonic() + seconds
        while True:
            value = self.evaluate(expression)
            if value or value == {}:
                return value
            if time.monotonic() > deadline:
                raise Failed(f"not in {seconds} s: {expression}")
            time.sleep(0.1)

    def text(self, selector: str = "body") -> str:
        return self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")

    def press(self, key: str, modifiers: int = 0) -> None:
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32}
        event = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key], "modifiers": modifiers}
        if key in ("Enter", " "):
            event["text"] = "\r" if key == "Enter" else " "
        self.send("Input.dispatchKeyEvent", {"type": "keyDown", **event})
        self.send("Input.dispatchKeyEvent", {"type": "keyUp", **event})

    def type(self, selector: str, text: str) -> None:
        self.evaluate(f"(() => {{ const field = document.querySelector({json.dumps(selector)});"
                      " field.focus(); field.select?.(); })()")
        self.send("Input.insertText", {"text": text})

    def click(self, selector: str) -> None:
        self.evaluate(f"document.querySelector({json.dumps(selector)}).click()")

    def problems(self) -> list[str]:
        """Exceptions, and errors in the console: violations of the policy are among these. Answers like 404 are none."""
        found = []
        for event in self.browser.events[self.first_event:]:
            if event.get("sessionId") != self.session:
                continue
            parameters = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                found.append(json.dumps(parameters["exceptionDetails"])[:500])
            if event["method"] == "Log.entryAdded" and parameters["entry"]["source"] != "network" \
                    and parameters["entry"]["level"] in ("error", "warning"):
                found.append(parameters["entry"]["text"])
            if event["method"] == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "assert"):
                found.append(json.dumps(parameters["args"])[:500])
        return found

    def shoot(self, path: Path, whole: bool = True) -> None:
        picture = self.send("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": whole})
        path.write_bytes(base64.b64decode(picture["data"]))


class Node:
    """The node that serves the page."""

    def __init__(self, url: str):
        self.url = url.rstrip("/")

    def get(self, path: str):
        request = urllib.request.Request(self.url + path, headers={"Accept": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def append(self, text: str) -> dict:
        request = urllib.request.Request(
            self.url + "/blocks/", json.dumps({"data": text}).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["blocks"][0]


def expect(condition, what: str) -> None:
    if not condition:
        raise Failed(what)


CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def opened(browser: Browser, node: Node, path: str = "/", **options) -> Page:
    page = Page(browser, **options)
    page.go(node.url + path)
    if options.get("script", True):
        page.until("document.querySelector('#connection').dataset.state === 'live'")
    return page


def row_of(height: int) -> str:
    return f"#blocks [data-height=\"{height}\"]"


@check
def policy_of_the_page(browser: Browser, node: Node) -> None:
    """the page comes with its policy, and the JSON answer of the same path stays"""
    request = urllib.request.Request(node.url + "/", headers={"Accept": "text/html,*/*;q=0.8"})
    with urllib.request.urlopen(request) as answer:
        policy = answer.headers["Content-Security-Policy"]
        content = answer.read().decode()
    expect("default-src 'none'" in policy and "unsafe" not in policy, f"policy: {policy}")
    expect("{{" not in content.replace("{{text.title}}", ""), "a placeholder was left")
    expect(node.get("/")["health"] is True, "the JSON of / is gone")


@check
def live_update(browser: Browser, node: Node) -> None:
    """a block that is appended elsewhere appears by itself, and is checked in the browser"""
    page = opened(browser, node)
    block = node.append("appended elsewhere")
    row = page.until(f"document.querySelector('{row_of(block['height'])}.good')?.innerText")
    expect("appended elsewhere" in row and block["hash"] in row, row)
    expect("checked in this browser" in row, row)
    page.until(f"document.querySelector('#node').innerText.includes('{block['hash']}')")
    expect(not page.problems(), page.problems())
    page.close()


@check
def older_and_newer(browser: Browser, node: Node) -> None:
    """older, newer and the back button"""
    for index in range(max(0, 45 - node.get("/")["height"])):
        node.append(f"filling {index}")
    page = opened(browser, node)
    first = "Number(document.querySelector('#blocks > :first-child').dataset.height)"
    top = page.until(first)
    page.click(".pages .older")
    page.until(f"{first} <= {top} - 20 && location.search.startsWith('?from=')")
    page.evaluate("history.back()")
    page.until(f"{first} >= {top} && location.search === ''")
    page.go(node.url + "/?from=0")
    page.until("document.querySelectorAll('#blocks > .good').length === 20")
    expect("Genesis Block" in page.text("#blocks"), "no genesis on the oldest page")
    expect(not page.problems(), page.problems())
    page.close()


@check
def one_block(browser: Browser, node: Node) -> None:
    """one block by height, by hash, by a link; and what does not exist"""
    block = node.append("to be found")
    page = opened(browser, node, f"/#block={block['height']}")
    page.until(f"document.querySelector('#block').innerText.includes('{block['hash']}')")
    page.until(f"document.querySelector('#block .verdict').innerText.includes('continues block {block['height'] - 1}')")
    page.type("#block-name", block["previous_hash"])
    page.press("Enter")
    page.until(f"document.querySelector('#block h2').innerText.includes('{block['height'] - 1}')")
    page.evaluate("history.back()")
    page.until(f"document.querySelector('#block h2').innerText.includes('{block['height']}')")
    page.type("#block-name", "99999999999")
    page.press("Enter")
    page.until("document.querySelector('#block').innerText.includes('no such block')")
    page.type("#block-name", "no name of a block")
    page.press("Enter")
    page.until("document.querySelector('#block').innerText.includes('64 hexadecimal digits')")
    expect(not page.problems(), page.problems())
    page.close()


@check
def jump_to_a_time(browser: Browser, node: Node) -> None:
    """the first block since a time"""
    page = opened(browser, node)
    page.evaluate("document.querySelector('#time').value = '2023-06-25T18:14:00'")
    page.evaluate("document.querySelector('#time-form').requestSubmit()")
    page.until("document.querySelector('#blocks .found')?.dataset.height === '0'")
    page.evaluate("document.querySelector('#time').value = '2199-01-01T00:00:00'")
    page.evaluate("document.querySelector('#time-form').requestSubmit()")
    page.until("document.querySelector('#find-result').innerText.includes('no block since')")
    expect(not page.problems(), page.problems())
    page.close()


@check
def search_in_the_texts(browser: Browser, node: Node) -> None:
    """search, with and without the case of letters"""
    word = f"needle{time.time_ns()}"
    block = node.append(f"a haystack with a {word.upper()} in it (and a bracket")
    page = opened(browser, node)
    page.evaluate("document.querySelector('.find details').open = true")
    page.type("#search-to", str(block["height"]))
    page.type("#search-text", f"{word} in it (and")
    page.click("#search-start")
    page.until("document.querySelector('#search-state').innerText.startsWith('1 blocks')", 60)
    expect(f"Block {block['height']}" in page.text("#search-results"), page.text("#search-results"))
    expect(word.upper() in page.text("#search-results mark"), "the match is not marked")
    page.click("#search-any-case")
    page.type("#search-from", "0")
    page.click("#search-start")
    page.until("document.querySelector('#search-state').innerText.startsWith('0 blocks')", 60)
    expect(not page.problems(), page.problems())
    page.close()


@check
def append_by_the_form(browser: Browser, node: Node) -> None:
    """append by the form, onto a head, an empty text only when it is meant, and one above the usual limit"""
    page = opened(browser, node)
    page.type("#append-text", "written in the form\nin two lines")
    page.click("#append-onto-head")
    page.click("#append-start")
    page.until("document.querySelector('#append-result .good')")
    head = node.get("/blocks/head")
    expect(head["data"] == "written in the form\nin two lines", head)
    expect(head["hash"] in page.text("#append-result"), page.text("#append-result"))
    page.click("#append-start")
    page.until("document.querySelector('#append-result .warn')")
    expect(node.get("/")["height"] == head["height"], "an empty text was appended at once")
    page.evaluate("document.querySelector('#append-text').value = ('x'.repeat(1023) + '\\n').repeat(1025)")
    page.click("#append-start")
    page.until("document.querySelector('#append-result .bad')?.innerText.includes('too large')", 60)
    expect(not page.problems(), page.problems())
    page.close()


@check
def hostile_texts(browser: Browser, node: Node) -> None:
    """hostile texts are shown as texts and do nothing, also a million characters in one line"""
    hostile = node.append(HOSTILE)
    node.append("x" * (1 << 20))
    node.append("\x00\u202ea" * 100_000)
    long = node.append(RIGHT_TO_LEFT_OVERRIDE + "<b>" + "w" * 1_000_000)
    page = opened(browser, node)
    shown = page.until(f"document.querySelector('{row_of(hostile['height'])}.good')?.innerText")
    for piece in ("<script>window.harmed = 1</script>", "[U+202E]", "␀␛[31mred␇␡[U+0085]", "&amp; {{text.title}}"):
        expect(piece in shown, f"not shown: {piece!r} in {shown!r}")
    expect(RIGHT_TO_LEFT_OVERRIDE not in page.text(), "the override stands in the page")
    expect(page.evaluate("document.querySelectorAll('#blocks script, #blocks img, #blocks b').length") == 0, "elements from a text")
    page.click(f"{row_of(long['height'])} button")
    page.until(f"document.querySelector('{row_of(long['height'])} .data').innerText.length > 1000000", 60)
    for width in (390, 1280):
        page.resize(width, 900)
        expect(page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"wider than {width} pixels")
    page.go(f"{node.url}/?block={hostile['height']}")
    page.until("document.querySelector('#block .data')?.innerText.includes('window.harmed')")
    expect(page.evaluate("window.harmed === undefined"), "a text was executed")
    expect(not page.problems(), page.problems())
    page.close()


@check
def validation(browser: Browser, node: Node) -> None:
    """validate now"""
    page = opened(browser, node)
    page.click("#validate")
    page.until("document.querySelector('#validation .good')?.innerText.startsWith('Valid at')", 60)
    expect(not page.problems(), page.problems())
    page.close()


@check
def group_and_charts(browser: Browser, node: Node) -> None:
    """the group as a picture and as a table, and the chart of appends"""
    page = opened(browser, node)
    page.until("document.querySelector('#group-picture svg[role=img][aria-label]')")
    page.until("document.querySelector('#group-table tbody tr')")
    node.append("for the chart")
    page.until("document.querySelector('#appends-chart .bar')")
    expect(not page.problems(), page.problems())
    page.close()


@check
def without_script(browser: Browser, node: Node) -> None:
    """without JavaScript: the last blocks, one block, older ones, and no harm"""
    block = node.append("read without script <b>&amp;</b>")
    page = opened(browser, node, script=False)
    shown = page.text()
    for piece in ("read without script <b>&amp;</b>", block["hash"], "Without JavaScript", "Older"):
        expect(piece in shown, f"not shown: {piece}")
    expect("Appends per second" not in shown, "parts are shown that need JavaScript")
    page.go(f"{node.url}/?block={block['hash']}")
    expect(block["previous_hash"] in page.text("#block"), page.text("#block"))
    page.go(f"{node.url}/?from=0")
    expect("Genesis Block" in page.text("#blocks"), page.text("#blocks"))
    page.go(f"{node.url}/?block=%3Cscript%3E")
    expect(page.text("#block").strip() != "", "nothing is said of a name that is none")
    expect(not page.problems(), page.problems())
    page.close()


@check
def portuguese(browser: Browser, node: Node) -> None:
    """in Portuguese, by the browser's preference"""
    page = opened(browser, node, language="pt-BR,pt;q=0.9,en;q=0.5")
    expect(page.evaluate("document.documentElement.lang").startswith("pt"), "lang is not pt")
    page.until("document.querySelector('#blocks .good')?.innerText.includes('verificado neste navegador')")
    expect("Ao vivo" in page.text("#connection"), page.text("#connection"))
    expect(not page.problems(), page.problems())
    page.close()


@check
def keyboard_alone(browser: Browser, node: Node) -> None:
    """with the keyboard alone: every control is reached with a visible focus, and a block is appended"""
    page = opened(browser, node)
    reached, last = [], None
    for _ in range(300):
        page.press("Tab")
        focus = page.evaluate("(() => { const a = document.activeElement; const s = getComputedStyle(a);"
                              " return [a.id || a.tagName, s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0]; })()")
        if focus[0] == "BODY" and reached:
            break
        expect(focus[1] or focus[0] == "BODY", f"no visible focus: {focus[0]}")
        reached.append(focus[0])
        last = focus[0]
    for control in ("validate", "block-name", "time", "pause", "append-text", "append-onto-head", "append-start"):
        expect(control in reached, f"not reached: {control}; last {last}")
    page.evaluate("document.querySelector('#append-text').focus()")
    page.send("Input.insertText", {"text": "typed and sent with the keyboard"})
    page.press("Enter", modifiers=2)
    page.until("document.querySelector('#append-result .good')")
    expect(not page.problems(), page.problems())
    page.close()


@check
def names_for_screen_readers(browser: Browser, node: Node) -> None:
    """every control and picture has a name for screen readers, and no id stands twice"""
    page = opened(browser, node, f"/?block=0")
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    page.until("document.querySelector('#group-picture svg')")
    roles = {"button", "link", "textbox", "searchbox", "checkbox", "spinbutton", "progressbar", "image", "img", "region",
             "navigation", "dialog", "DisclosureTriangle", "InputTime", "DateTime"}
    controls = 0
    for item in page.send("Accessibility.getFullAXTree")["nodes"]:
        role = item.get("role", {}).get("value")
        if item.get("ignored") or role not in roles:
            continue
        controls += 1
        expect(item.get("name", {}).get("value"), f"{role} without a name: {item.get('properties')}")
    expect(controls > 30, f"only {controls} controls were found")
    doubles = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id).filter((id, i, all) => all.indexOf(id) !== i)")
    expect(not doubles, f"ids that stand twice: {doubles}")
    page.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("url")
    parser.add_argument("--token", help="one that may append")
    parser.add_argument("--chromium", default=shutil.which("chromium") or "chromium")
    parser.add_argument("--shots", type=Path, help="where pictures of the page are to be put")
    options = parser.parse_args()
    node = Node(options.url)
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=ssl._create_unverified_context()))
    if options.token:
        opener.addheaders = [("Authorization", f"Bearer {options.token}")]
    urllib.request.install_opener(opener)
    browser = Browser(options.chromium, options.token)
    try:
        for function in CHECKS:
            started = time.monotonic()
            try:
                function(browser, node)
            except (Failed, urllib.error.URLError) as error:
                print(f"FAILED  {function.__doc__}: {error}", flush=True)
                return 1
            print(f"ok      {function.__doc__} ({time.monotonic() - started:.1f} s)", flush=True)
        for is_dark in (False, True) if options.shots else ():
            page = opened(browser, node, is_dark=is_dark)
            time.sleep(2)
            options.shots.mkdir(parents=True, exist_ok=True)
            page.shoot(options.shots / f"page-{'dark' if is_dark else 'light'}.png")
        return 0
    finally:
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
