#!/usr/bin/env python3
"""Runs the commands of the documents, as somebody who reads them would, and checks their links.

    run_documents.py PATH/TO/chaind [DOCUMENT...]

Each document gets a fresh folder, `chaind` and `make` (whose `run` and `group` serve with that program), and a network of its
own where the machine allows it; else ports 8000 to 8002 and the others that it names have to be free. An indented block is
run, what serves in it in the background; a fenced block after it is what it prints: hashes, ids and times may be others, but have to be the same ones
again wherever the document says so, and later commands get those that came. `…` in it stands for anything.

Readers do not see these lines of a document, which say how to read the next block, or what to do between two of them:

    <!-- not run: WHY -->            the next block is not run
    <!-- file: NAME -->              the next fenced block is written into that file
    <!-- until: COMMAND -->          waits until the command succeeds
    <!-- serve: COMMAND -->          starts what serves in the background
    <!-- stop: WORDS -->             Ctrl-C for what was started with these words in its command
"""

import argparse
import fcntl
import os
import re
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = ["README.md", "README.pt.md", "docs/tutorial.md", "docs/backup.md",
             *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs/how-to").glob("*.md"))]
COMMAND_SECONDS_MAX = 60
WAIT_SECONDS_MAX = 30
ALL_SECONDS_MAX = 180
IS_INSIDE = "CHAIND_DOCUMENTS_INSIDE"

SERVER = re.compile(r"(make (run|group)|\S*chaind serve|etcd|nginx)\b")
MARKER = re.compile(r"<!-- (not run|file|until|serve|stop): (.+) -->")
GENESIS = "89b5c2eadcfcdbc2661cab5212f78e701af68a8f4881a6272ad5429964fb14f4"
ALWAYS_SO = {"0" * 64, GENESIS, GENESIS[:12], "1687716840", "2023-06-25T18:14:00Z"}
CHANGING = re.compile(
    r"(?P<name>\b[0-9a-f]{64}\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{12}\b)"
    r"|(?P<time>\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:Z| UTC)?|\b1[6-9]\d{8}\b)"
    r"|(?P<number>(?<![\d.])\d+\.\d+(?![\d.])|\b\d[\d,]*(?= blocks/s))"
    r"|(?P<anything>…)")


class Failed(Exception):
    """What is not as the document says."""


@dataclass
class Step:
    line: int
    kind: str
    """`run`, or that of a marker."""
    text: str
    output: str | None = None


# Reading a document

def steps_of(text: str) -> list[Step]:
    lines = text.split("\n")
    steps: list[Step] = []
    marker: Step | None = None
    index = 0
    while index < len(lines):
        line, start = lines[index], index + 1
        if found := MARKER.fullmatch(line):
            step = Step(start, *found.groups())
            if step.kind in ("not run", "file"):
                marker = step
            else:
                steps.append(step)
        elif line.startswith("```"):
            end = lines.index("```", index + 1)
            content = "\n".join(lines[index + 1:end]) + "\n"
            index = end
            if marker and marker.kind == "file":
                steps.append(Step(start, "file", marker.text, content))
            elif marker:
                steps.append(Step(start, "not run", marker.text))
            elif steps and steps[-1].kind in ("run", "not run") and steps[-1].output is None and not between(lines, steps[-1], start):
                steps[-1].output = content
            else:
                raise Failed(f"{start}: this block follows no command: is it a file, or not run?")
            marker = None
        elif line.startswith("    ") and line.strip() and (index == 0 or not lines[index - 1].strip()):
            block = []
            while index < len(lines) and (lines[index].startswith("    ") or not lines[index].strip()):
                block.append(lines[index][4:])
                index += 1
            index -= 1
            content = "\n".join(block).rstrip()
            steps.append(Step(start, "not run", marker.text) if marker else Step(start, "run", content))
            marker = None
        elif line.strip() and marker:
            raise Failed(f"{start}: a marker is followed by no block")
        index += 1
    return steps


def between(lines: list[str], step: Step, line: int) -> bool:
    """Whether there is text between the end of a block of commands and a line."""
    index = step.line - 1
    while lines[index].startswith("    "):
        index += 1
    return any(text.strip() for text in lines[index:line - 1])


def commands_of(block: str) -> list[str]:
    """What serves is a command by itself; the lines between are run together, as a script that ends where one fails."""
    commands, script = [], []
    for line in [*re.sub(r"\\\n\s*", "", block).split("\n"), None]:
        if line is not None and not SERVER.match(line):
            script.append(line)
            continue
        if any(part.strip() for part in script):
            commands.append("\n".join(script))
        script = []
        if line is not None:
            commands.append(line)
    return commands


# Running one

class Run:
    """A document that is run in a folder."""

    def __init__(self, chaind: Path, folder: Path, deadline: float):
        self.chaind, self.folder, self.deadline = chaind, folder, deadline
        self.bound: dict[str, str] = {}
        self.servers: list[tuple[str, subprocess.Popen, Path]] = []
        release, tools = folder / ".build/release", folder / ".tools"
        release.mkdir(parents=True)
        tools.mkdir()
        for place in (release, tools):
            (place / "chaind").symlink_to(chaind)
        make = tools / "make"
        # What these two rest on is there: the program that was given.
        make.write_text(f"#!/bin/sh\nexec {shutil.which('make')} --no-print-directory -f {shlex.quote(str(ROOT / 'Makefile'))} -o release \"$@\"\n")
        make.chmod(0o755)
        # No figures of a transfer between the lines, and each answer on a line of its own.
        (folder / ".curlrc").write_text("silent\nshow-error\nwrite-out = \"\\n\"\n")
        kept = {name: value for name, value in os.environ.items() if not re.match("CHAIND_|SERVER_ID|UVICORN_|MAKE", name)}
        self.environment = kept | {
            "HOME": str(folder), "LC_ALL": "C.UTF-8", "TMPDIR": str(folder / ".tools"), "ETCD_LOG_LEVEL": "error",
            "PATH": f"{tools}:{os.environ['PATH']}:/usr/sbin:/sbin"}

    def close(self) -> None:
        for _, process, _ in self.servers:
            kill(process)

    def as_came(self, text: str) -> str:
        return CHANGING.sub(lambda found: self.bound.get(found[0], found[0]), text)

    def seconds_left(self, most: float) -> float:
        left = min(most, self.deadline - time.monotonic())
        if left <= 0:
            raise Failed(f"all documents together take more than {ALL_SECONDS_MAX} s")
        return left

    def shell(self, command: str, seconds: float) -> tuple[int | None, str]:
        process = subprocess.Popen(
            ["bash", "-e", "-o", "pipefail", "-c", command], cwd=self.folder, env=self.environment, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        try:
            output, _ = process.communicate(timeout=self.seconds_left(seconds))
            return process.returncode, output
        except subprocess.TimeoutExpired:
            kill(process)
            return None, process.communicate()[0]

    def serve(self, command: str) -> None:
        log = self.folder / ".tools" / f"server-{len(self.servers)}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {command}" if not command.startswith("make") else command], cwd=self.folder,
                env=self.environment, start_new_session=True, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        self.servers.append((command, process, log))
        deadline = time.monotonic() + self.seconds_left(WAIT_SECONDS_MAX)
        for port in ports_of(command):
            while not is_open(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise Failed(f"it does not serve on port {port}:\n{log.read_text()}")
                time.sleep(0.05)

    def stop(self, words: str) -> None:
        chosen = [server for server in self.servers if words in server[0] and server[1].poll() is None]
        if not chosen:
            raise Failed(f"nothing runs that has {words!r} in its command")
        for command, process, log in chosen:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(self.seconds_left(WAIT_SECONDS_MAX))
            except subprocess.TimeoutExpired:
                raise Failed(f"Ctrl-C does not end {command}:\n{log.read_text()}") from None

    def until(self, command: str) -> None:
        deadline = time.monotonic() + self.seconds_left(WAIT_SECONDS_MAX)
        while True:
            status, output = self.shell(command, 10)
            if status == 0:
                return
            if time.monotonic() > deadline:
                raise Failed(f"not in {WAIT_SECONDS_MAX} s; it ends with {status}:\n{output}{self.logs()}")
            time.sleep(0.2)

    def logs(self) -> str:
        return "".join(f"--- {command}\n{log.read_text()[-2_000:]}" for command, _, log in self.servers)

    def run(self, block: str, expected: str | None) -> None:
        printed = ""
        for command in commands_of(self.as_came(block)):
            if SERVER.match(command):
                self.serve(command)
                continue
            status, output = self.shell(command, COMMAND_SECONDS_MAX)
            if status != 0:
                ended = "does not end" if status is None else f"ends with {status}"
                raise Failed(f"{command}\n{ended}:\n{output}\n{self.logs()}")
            printed += output
        if expected is not None:
            self.compare(expected, printed)

    def compare(self, expected: str, printed: str) -> None:
        pattern, names, end = "", [], 0
        text = expected.strip()
        for found in CHANGING.finditer(text):
            pattern += re.escape(text[end:found.start()])
            end = found.end()
            if found[0] in ALWAYS_SO:
                pattern += re.escape(found[0])
            else:
                names.append(found)
                pattern += "(" + {"name": f"[0-9a-f-]{{{len(found[0])}}}", "time": r"[\d:TZUC -]{9,23}", "number": r"[\d.,]+",
                                  "anything": r"[\s\S]*?"}[found.lastgroup] + ")"
        came = re.fullmatch(pattern + re.escape(text[end:]), printed.strip())
        if not came:
            raise Failed(f"the document says\n{expected}\nand this came:\n{printed}\n{self.logs()}")
        for found, value in zip(names, came.groups()):
            if found.lastgroup == "name" and self.bound.get(found[0], value) != value:
                raise Failed(f"{found[0]} was {self.bound[found[0]]} before, and is now {value}")
            if found.lastgroup in ("name", "time"):
                self.bound[found[0]] = value


def ports_of(command: str) -> list[int]:
    if command.startswith("make group"):
        return [8000, 8001, 8002]
    if command.startswith("etcd"):
        return [2379]
    if "--config" in command or command.startswith("nginx"):
        return []
    found = re.search(r"--port[ =](\d+)", command)
    return [int(found[1])] if found else [8000]


def is_open(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


def kill(process: subprocess.Popen) -> None:
    """All of its session, which may outlive the first of it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def run_document(chaind: Path, name: str, deadline: float) -> str:
    counts = {"run": 0, "outputs": 0, "not run": 0}
    try:
        steps = steps_of((ROOT / name).read_text(encoding="utf-8"))
    except Failed as failure:
        raise Failed(f"{name}:{failure}") from None
    with tempfile.TemporaryDirectory(prefix="chaind-documents-") as folder:
        run = Run(chaind, Path(folder), deadline)
        try:
            for step in steps:
                try:
                    if step.kind == "run":
                        run.run(step.text, step.output)
                        counts["run"] += 1
                        counts["outputs"] += step.output is not None
                    elif step.kind == "file":
                        (run.folder / step.text).write_text(run.as_came(step.output), encoding="utf-8")
                    elif step.kind == "until":
                        run.until(run.as_came(step.text))
                    elif step.kind == "serve":
                        run.serve(step.text)
                    elif step.kind == "stop":
                        run.stop(step.text)
                    else:
                        counts["not run"] += 1
                except Failed as failure:
                    raise Failed(f"{name}:{step.line}: {failure}") from None
        finally:
            run.close()
    return f"{counts['run']} blocks run, {counts['outputs']} outputs compared, {counts['not run']} blocks not run"


# Links

def check_links() -> int:
    """Every link to a file of the repository, and to a heading of one, leads somewhere."""
    files = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=ROOT, check=True,
                           capture_output=True, text=True).stdout.split("\n")
    links, broken = 0, []
    for name in filter(None, files):
        text = re.sub(r"(?ms)^```.*?^```|^    .*?$|`[^`\n]*`", "", (ROOT / name).read_text(encoding="utf-8"))
        for target in re.findall(r"\]\(([^()\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"", text):
            target = target[0] or target[1]
            if re.match(r"[a-z]+:", target):
                continue
            links += 1
            path, _, heading = target.partition("#")
            file = (ROOT / name).parent / path if path else ROOT / name
            if not file.exists():
                broken.append(f"{name}: there is no {target}")
            elif heading and heading not in headings_of(file):
                broken.append(f"{name}: there is no heading {target}")
    if broken:
        raise Failed("\n".join(broken))
    return links


def headings_of(file: Path) -> set[str]:
    """As GitHub names them."""
    text = re.sub(r"(?ms)^```.*?^```", "", file.read_text(encoding="utf-8"))
    headings = re.findall(r"(?m)^#+ (.+)$", text)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# The start

def enter_network() -> None:
    """Goes on in a network of its own, in which every port is free; or here, where the machine does not allow that."""
    if os.environ.pop(IS_INSIDE, None):
        with socket.socket() as any_socket:
            # SIOCSIFFLAGS, IFF_UP.
            fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 1))
        return
    unshare = ["unshare", "--map-root-user", "--net"]
    if shutil.which("unshare") and subprocess.run([*unshare, "true"], stderr=subprocess.DEVNULL).returncode == 0:
        os.environ[IS_INSIDE] = "1"
        os.execvp("unshare", [*unshare, sys.executable, __file__, *sys.argv[1:]])
    taken = [port for port in (8000, 8001, 8002, 2379, 2380) if is_open(port)]
    if taken:
        sys.exit(f"these ports are taken, and there can be no network apart: {taken}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("chaind", type=Path)
    parser.add_argument("documents", nargs="*", default=DOCUMENTS)
    options = parser.parse_args()
    enter_network()
    started = time.monotonic()
    deadline = started + ALL_SECONDS_MAX
    failures = 0
    for name in ["links", *options.documents]:
        try:
            if name == "links":
                print(f"ok      {check_links()} links", flush=True)
            else:
                print(f"ok      {name}: {run_document(options.chaind.resolve(), name, deadline)}", flush=True)
        except Failed as failure:
            failures += 1
            print(f"FAILED  {failure}", flush=True)
    print(f"{time.monotonic() - started:.0f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
