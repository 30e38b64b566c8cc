#!/usr/bin/env python3
"""Writes the pages of the reference from what the program says of itself.

    generate.py PATH/TO/chaind            writes settings.md, commands.md, routes.md and metrics.md
    generate.py PATH/TO/chaind --check    says which of them are not up to date, and exits with 1 if any is

The figures come from nodes that run, on free ports of this machine, for some seconds.
"""

import argparse
import contextlib
import difflib
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
START_SECONDS_MAX = 30
FIGURES_SECONDS_MAX = 60

MADE = "<!-- Made by docs/reference/generate.py: change the program's own texts, and run it again. -->"

SETTINGS = """# Settings

Each setting of `chaind serve` is a flag, an environment variable, and a key of the JSON file that `--config` names, in this
order of precedence. The key is the flag without its dashes, as in `{"port": 8000, "log-level": "notice"}`; a flag that takes
no value is `true` or `false` there and in the environment. An unknown key, or a value out of its range, ends the program
with a message that names it.
"""

COMMANDS = """# Commands and exit statuses

`chaind help COMMAND` and `man chaind COMMAND` (of the Debian package) say the same. Answers go to standard output, errors as
one line to standard error.

Of every command:

| exit status | means |
|---|---|
| 0 | it was done; a node was told to stop, and stopped in order |
| 1 | it failed, or was refused; the line on standard error says why |
| 64 | the command line is wrong, and nothing was done |
| 128 and a signal's number | a signal ended it: 130 for Ctrl-C |

What else a command's exit status means is said at the command.
"""

ROUTES = """# Routes

Each path is answered with and without a slash at its end; each GET answers HEAD too. `/openapi.json` and `/docs` of a node
that runs have every field, error and limit; this is the short table. 405 and 500 may come from any of them and are left out.
"""

METRICS = """# Metrics

What `GET /metrics` tells, in the text format of Prometheus. Those of members are there once there are members, those of the
engine with `--etcd`, those of a validation or of the scrub once it has ended. [monitoring.md](../monitoring/monitoring.md)
says how to scrape them, what they cannot say, and what to do when an alert fires.
"""


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(row) + " |\n" for row in lines).replace("| --- ", "|---").replace("--- |", "---|")


def page(*parts: str) -> str:
    return "\n".join((MADE, *parts))


# Commands and settings

def arguments_of(command: dict) -> list[dict]:
    return [argument for argument in command.get("arguments", [])
            if argument["shouldDisplay"] and argument.get("valueName") not in ("help", "version")]


def setting_of(argument: dict) -> tuple[str, str, str, str] | None:
    """Help, values, default and environment, if the argument is a setting."""
    found = re.fullmatch(r"(.*?) \((?:(.+); )?default: (.+); environment: (.+)\)", argument.get("abstract", ""), re.DOTALL)
    if not found:
        return None
    help_text, values, default, environment = found[1], found[2] or "the name of a file", found[3], found[4]
    if argument["valueName"] == "hashing":
        # These differ from machine to machine.
        values, default = "of avx512, sha-ni, avx2, openssl, those that the processor has", "the first of these"
    return help_text, values, default, environment


def settings(serve: dict) -> str:
    rows = []
    for argument in arguments_of(serve):
        setting = setting_of(argument)
        if setting is None:
            raise SystemExit(f"--{argument['valueName']} does not say its values, default and environment")
        help_text, values, default, environment = setting
        variables = ", ".join(f"`{name}`" for name in environment.split(", "))
        rows.append([f"`--{argument['preferredName']['name']}`", cell(help_text), cell(values), cell(default), variables])
    return page(SETTINGS, table(["setting", "what", "values", "default", "environment"], rows))


def usage(argument: dict) -> str:
    if argument["kind"] == "positional":
        name = f"<{argument['valueName']}>"
    else:
        names = argument["names"]
        name = ", ".join(("-" if item["kind"] == "short" else "--") + item["name"] for item in names)
        if argument["kind"] == "option":
            name += f" <{argument['valueName']}>"
    return f"`{name}`"


def explained(argument: dict) -> str:
    setting = setting_of(argument)
    if setting:
        return cell(f"{setting[0]} ({setting[1]}; default: {setting[2]}; environment: {setting[3]})")
    return cell(argument.get("abstract", ""))


def command_section(command: dict) -> str:
    name = command["commandName"]
    parts = [f"## chaind {name}\n", command["abstract"] + "\n"]
    for paragraph in command.get("discussion", "").strip().split("\n\n"):
        text = "\n".join(line.strip() for line in paragraph.splitlines())
        if text:
            parts.append(re.sub(r"(?<![\w`])(--[a-z][a-z-]*)", r"`\1`", text) + "\n")
    if name == "serve":
        parts.append("Its settings have [a page of their own](settings.md).\n")
    else:
        rows = [[usage(argument), explained(argument)] for argument in arguments_of(command)]
        parts.append(table(["argument", "what"], rows) if rows else "")
    return "\n".join(parts)


def commands(root: dict) -> str:
    sections = [command_section(command) for command in root["subcommands"] if command["commandName"] != "help"]
    return page(COMMANDS, *sections)


# Routes

def linked(text: str) -> str:
    return re.sub(r"docs/([\w/-]+\.md)", r"[\1](../\1)", text)


def routes(description: dict) -> str:
    def parameter(item: dict) -> dict:
        return description["components"]["parameters"][item["$ref"].split("/")[-1]] if "$ref" in item else item

    rows: dict[str, list[list[str]]] = {tag["name"]: [] for tag in description["tags"]}
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            if method not in ("get", "post", "put", "delete"):
                continue
            taken = [parameter(item) for item in operation.get("parameters", [])]
            names = [f"`{item['name']}`" for item in taken if item["in"] != "path"]
            statuses = [status for status in operation["responses"] if status not in ("405", "500")]
            rows[operation["tags"][0]].append(
                [f"`{method.upper()} {path}`", cell(operation["summary"]), ", ".join(names), " ".join(statuses)])
    sections = [f"## {tag['name'][0].upper()}{tag['name'][1:]}\n\n{linked(tag['description'])}\n\n"
                + table(["route", "does", "takes", "answers"], rows[tag["name"]]) for tag in description["tags"]]
    return page(ROUTES, *sections)


# Metrics

@contextlib.contextmanager
def node(chaind: str, folder: Path, name: str, *arguments: str):
    """The URL of a node that runs on a free port."""
    log = folder / f"{name}.log"
    with log.open("w") as errors, subprocess.Popen(
            [chaind, "serve", "--port", "0", "--data-dir", folder / name, "--interval-seconds", "1", "--log-level", "notice",
             "--scrub-megabytes-per-second", "10000", *arguments], stdout=subprocess.DEVNULL, stderr=errors) as process:
        try:
            deadline = time.monotonic() + START_SECONDS_MAX
            while not (found := re.search(r"address=127\.0\.0\.1:(\d+)", log.read_text())):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"no node: {log.read_text()}")
                time.sleep(0.1)
            yield f"http://127.0.0.1:{found[1]}"
        finally:
            process.kill()


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def figures(chaind: str) -> dict[str, tuple[str, str, list[str]]]:
    """Kind, meaning and labels of each figure, by its name."""
    found: dict[str, tuple[str, str, list[str]]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shared = ("--sync-file", str(folder / "sync.json"))
        with node(chaind, folder, "one", *shared) as one, node(chaind, folder, "two", *shared), \
                node(chaind, folder, "engine", "--sync-file", str(folder / "engine.json"),
                     "--etcd", "http://127.0.0.1:9") as engine:
            deadline = time.monotonic() + FIGURES_SECONDS_MAX
            # These come last: after the first check of a member, the first validation, the first pass of the scrub.
            wanted = {"chaind_member_last_contact_seconds", "chaind_validation_valid", "chaind_scrub_timestamp_seconds",
                      "chaind_consensus_state", "chaind_http_request_duration_seconds"}
            while not wanted <= found.keys():
                if time.monotonic() > deadline:
                    raise SystemExit(f"not told by any node: {', '.join(sorted(wanted - found.keys()))}")
                for url in (one, engine):
                    found |= families(fetch(f"{url}/metrics"))
                time.sleep(0.5)
    return found


def families(text: str) -> dict[str, tuple[str, str, list[str]]]:
    found = {}
    for name, meaning, kind in re.findall(r"(?m)^# HELP (\w+) (.+)\n# TYPE \w+ (\w+)$", text):
        samples = re.findall(rf"(?m)^{name}(?:_bucket|_sum|_count)?{{(.*)}} ", text)
        labels = {label for sample in samples for label in re.findall(r'(\w+)="(?:[^"\\]|\\.)*"', sample)} - {"le"}
        if samples or re.search(rf"(?m)^{name}(_count)? ", text):
            found[name] = (kind, meaning, sorted(labels))
    return found


def metrics(chaind: str) -> str:
    rows = [[f"`{name}`" + (f" by {', '.join(labels)}" if labels else ""), kind, cell(meaning)]
            for name, (kind, meaning, labels) in sorted(figures(chaind).items())]
    return page(METRICS, table(["figure", "kind", "what"], rows))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("chaind")
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    help_text = subprocess.run([options.chaind, "--experimental-dump-help"], check=True, capture_output=True, text=True)
    root = json.loads(help_text.stdout)["command"]
    serve = next(command for command in root["subcommands"] if command["commandName"] == "serve")
    description = json.loads((HERE / "../../Sources/CPages/description/openapi.json").read_text(encoding="utf-8"))
    pages = {"settings.md": settings(serve), "commands.md": commands(root), "routes.md": routes(description),
             "metrics.md": metrics(options.chaind)}
    outdated = 0
    for name, content in pages.items():
        file = HERE / name
        former = file.read_text(encoding="utf-8") if file.exists() else ""
        if content == former:
            continue
        outdated += 1
        if options.check:
            print(f"{name} is not up to date: run docs/reference/generate.py")
            lines = former.splitlines(), content.splitlines()
            print(*difflib.unified_diff(*lines, name, "as the program says", n=0, lineterm=""), sep="\n")
        else:
            file.write_text(content, encoding="utf-8")
    return 1 if options.check and outdated else 0


if __name__ == "__main__":
    sys.exit(main())
