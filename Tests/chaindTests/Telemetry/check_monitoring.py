#!/usr/bin/env python3
"""Checks the monitoring of chaind against real nodes and a real Prometheus.

    python3 Tests/chaindTests/Telemetry/check_monitoring.py PATH/TO/chaind

It needs prometheus and promtool (Debian: apt-get install --no-install-recommends prometheus), and Python 3.9 or later.
Three nodes and a Prometheus run on 127.0.0.1 with all their files in a temporary folder; both are gone in the end. It prints
a line for each check, and ends with status 1 at the first that fails. It takes about a minute, and gives up after 90 seconds.
"""

import argparse
import functools
import json
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

MONITORING = pathlib.Path(__file__).resolve().parents[3] / "docs" / "monitoring"
SECONDS_MAX = 90
DAMAGED_TEXT = "this one goes bad"

# What has nothing to show in three healthy nodes without an engine.
EMPTY_EXPRESSIONS = re.compile(r'^max by \(instance\) \(chaind_consensus_state|chaind_final_height|status=~"5\.\."|^ALERTS')
# What depends on the machine that the check runs on.
ALERTS_OF_MACHINE = {"ChaindDiskNearlyFull", "ChaindDiskFilling", "ChaindNoRoomToRebuild", "ChaindCommitsSlow"}


class Failed(Exception):
    pass


def done(what):
    print(f"ok  {what}", flush=True)


def expect(condition, reason):
    if not condition:
        raise Failed(reason)


def wait_for(what, get, seconds=15.0):
    """Asks again until there is an answer that counts; what was last wrong is told."""
    end = time.monotonic() + seconds
    while True:
        try:
            answer = get()
            if answer:
                return answer
            reason = f"{answer!r}"
        except (OSError, Failed) as error:
            reason = str(error)
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {seconds:g} s; {reason}")
        time.sleep(0.2)


def fetch(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"} if data else {})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.read().decode()
    except urllib.error.HTTPError as error:
        raise Failed(f"{url}: {error.code}: {error.read().decode()[:300]}") from None


def tool(*command, **options):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, **options)
    expect(result.returncode == 0, f"{' '.join(map(str, command[:3]))}: {result.stdout}{result.stderr}")
    return result.stdout


class Ports:
    """Ports of 127.0.0.1 that nobody has; the lowest ones from the first on, where one is given."""

    def __init__(self, first):
        self.next = first

    def take(self):
        while True:
            with socket.socket() as free:
                try:
                    free.bind(("127.0.0.1", self.next))
                except OSError:
                    self.next += 1
                    continue
                port = free.getsockname()[1]
            if self.next:
                self.next += 1
            return port


class Process:
    def __init__(self, name, folder, command):
        self.log = folder / f"{name}.log"
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log, cwd=folder)

    def end(self, how=signal.SIGTERM):
        if self.child.poll() is None:
            self.child.send_signal(how)
            try:
                self.child.wait(timeout=8)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()


class Node:
    def __init__(self, chaind, folder, port):
        self.chaind, self.folder, self.port, self.process = chaind, folder, port, None
        self.url = f"http://127.0.0.1:{port}"
        self.instance = f"127.0.0.1:{port}"
        # As nodes without --url name themselves.
        self.member = f"http://localhost:{port}"
        self.database = folder / str(port) / "chain.db"

    def start(self, sync_file="sync.json"):
        self.process = Process(
            f"node-{self.port}", self.folder,
            [self.chaind, "serve", "--port", self.port, "--data-dir", self.folder / str(self.port), "--sync-file", sync_file,
             "--interval-seconds", "1"])

    def is_ready(self):
        expect(self.process.child.poll() is None, f"{self.url} has ended: {self.process.log.read_text()[-500:]}")
        return "ok" in fetch(f"{self.url}/ready")

    def end(self, how=signal.SIGTERM):
        if self.process:
            self.process.end(how)


class Prometheus:
    def __init__(self, program, folder, port, instances):
        self.url = f"http://127.0.0.1:{port}"
        rules = (MONITORING / "alerts.yml").read_text()
        (folder / "alerts.yml").write_text(re.sub(r"(?m)^(\s+for:) \w+$", r"\1 2s", rules))
        targets = "".join(f"          - {instance}\n" for instance in instances)
        (folder / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\nrule_files: [alerts.yml]\n"
            "scrape_configs:\n  - job_name: chaind\n    static_configs:\n      - targets:\n" + targets
            + "        labels: {group: ledger, appends: expected}\n")
        self.process = Process(
            "prometheus", folder,
            [program, "--config.file=prometheus.yml", "--storage.tsdb.path=prometheus", "--log.level=warn",
             f"--web.listen-address=127.0.0.1:{port}"])

    def ask(self, path, **parameters):
        answer = json.loads(fetch(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"))
        expect(answer["status"] == "success", f"{path}: {answer}")
        return answer["data"]

    def values(self, expression):
        """The values of now, by instance."""
        result = self.ask("query", query=expression)["result"]
        return {sample["metric"].get("instance", ""): float(sample["value"][1]) for sample in result}

    def alerts(self, state):
        return {(a["labels"]["alertname"], a["labels"].get("instance", a["labels"].get("member", "")))
                for a in self.ask("alerts")["alerts"] if a["state"] == state}


def rules_of(text):
    """Name and lines of each alert: as much of YAML as alerts.yml has."""
    return {part.split("\n", 1)[0].strip(): part for part in text.split("- alert: ")[1:]}


def check_files(promtool, documentation):
    tool(promtool, "check", "rules", MONITORING / "alerts.yml")
    tool(promtool, "check", "config", MONITORING / "prometheus.yml")
    done("promtool check rules alerts.yml, check config prometheus.yml")

    alerts = rules_of((MONITORING / "alerts.yml").read_text())
    tests = (MONITORING / "alerts_test.yml").read_text()
    sections = set(re.findall(r"(?m)^#+ (.+)$", documentation))
    for name, rule in alerts.items():
        expect(re.search(r"severity: (critical|warning|info)}", rule), f"{name} has no severity")
        for annotation in ("summary", "description"):
            expect(re.search(rf'{annotation}: "\S', rule), f"{name} has no {annotation}")
        expect(f"runbook: docs/monitoring/monitoring.md#{name.lower()}\n" in rule, f"{name} has no runbook, or another's")
        expect(name in sections, f"monitoring.md has no section {name}")
        expect(f'alertname="{name}"' in tests, f"no test lets {name} fire")
    figures = set(re.findall(r"(?m)^\| `(\w+)`", documentation))
    for file in ("alerts.yml", "dashboard.json"):
        text = (MONITORING / file).read_text().replace("chaind_(head|scrub|validation)_timestamp_seconds", "")
        text = text.replace("chaind_(scrub|validation)_timestamp_seconds", "")
        for name in set(re.findall(r"\b(?:chaind|process)_[a-z_]+", text)):
            known = re.sub(r"_(bucket|sum|count)$", "", name) in figures
            expect(known or name in figures, f"{file}: there is no figure {name}")
    for section in sections:
        expect(not re.fullmatch(r"Chaind\w+", section) or section in alerts, f"monitoring.md: {section} is no alert")
    done(f"{len(alerts)} alerts have a severity, a summary, a description, a test, and a section in monitoring.md, and name no figure that is not there")


def panels_of(dashboard):
    return [panel for outer in dashboard["panels"] for panel in [outer] + outer.get("panels", [])]


def check_dashboard():
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    panels = panels_of(dashboard)
    ids = [panel["id"] for panel in panels]
    expect(len(ids) == len(set(ids)), "two panels have one id")
    taken = {}
    for panel in panels:
        place = panel["gridPos"]
        expect(place["x"] + place["w"] <= 24, f"{panel['title']} is out of the grid")
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                other = taken.setdefault((x, y), panel["title"])
                expect(other == panel["title"], f"{panel['title']} lies over {other}")
        for target in panel.get("targets", []):
            expect(target["datasource"]["uid"] == "${datasource}", f"{panel['title']} names a data source")
    names = {variable["name"] for variable in dashboard["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]+)\b", json.dumps(dashboard))) - {"__rate_interval"}
    expect({"datasource", "instance"} <= names and used <= names, f"variables {names}, used {used}")
    done(f"dashboard.json: {len(panels)} panels, in their places, with the data source as a variable")
    return dashboard


def check_metrics(promtool, nodes, documentation):
    table = dict(re.findall(r"(?m)^\| `(\w+)`[^|]*\| [^|]+ \| (.+?) \|$", documentation))
    for node in nodes:
        text = fetch(f"{node.url}/metrics")
        tool(promtool, "check", "metrics", input=text)
        for name, meaning in re.findall(r"(?m)^# HELP (\w+) (.+)$", text):
            expect(table.get(name) == meaning, f"metrics.md says of {name}: {table.get(name)!r}, and the node: {meaning!r}")
    done("promtool check metrics accepts the figures of each node, and reference/metrics.md has each with its meaning")


def check_expressions(prometheus, dashboard):
    def concrete(expression):
        for name, value in (("$__rate_interval", "15s"), ("$job", "chaind"), ("$group", ".*"), ("$instance", ".*")):
            expression = expression.replace(name, value)
        return expression

    count = 0
    now = time.time()
    for panel in panels_of(dashboard):
        for target in panel.get("targets", []):
            expression = concrete(target["expr"])
            if target.get("instant"):
                data = prometheus.ask("query", query=expression)
            else:
                data = prometheus.ask("query_range", query=expression, start=now - 5, end=now, step=1)
            expect(data["result"] or EMPTY_EXPRESSIONS.search(expression),
                   f"{panel['title']} shows nothing: {expression}")
            count += 1
    for annotation in dashboard["annotations"]["list"]:
        if "expr" in annotation:
            prometheus.ask("query_range", query=concrete(annotation["expr"]), start=now - 5, end=now, step=1)
            count += 1
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            series, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["definition"]).groups()
            values = prometheus.ask(f"label/{label}/values", **{"match[]": concrete(series)})
            expect(values, f"the variable {variable['name']} has no values")
            count += 1
    done(f"{count} expressions of dashboard.json are evaluated, and return what they should")

    rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    for rule in rules:
        expect(rule["health"] == "ok", f"{rule['name']}: {rule['health']}: {rule.get('lastError')}")
    done(f"{len(rules)} rules are evaluated without an error")


def damage(database):
    """Flips a bit of a text in the file of a node that does not run."""
    connection = sqlite3.connect(database)
    try:
        for position, content in connection.execute("SELECT position, content FROM runs").fetchall():
            place = content.find(DAMAGED_TEXT.encode())
            if place >= 0:
                bad = bytearray(content)
                bad[place] ^= 1
                connection.execute("UPDATE runs SET content = ? WHERE position = ?", (bytes(bad), position))
                connection.commit()
                return
    finally:
        connection.close()
    raise Failed("the text that is to be damaged is not in the file")


def play(chaind, programs, folder, ports, processes):
    promtool, documentation = programs["promtool"], documentation_text()
    # It takes a while, and nothing waits for it.
    tests = subprocess.Popen(
        [promtool, "test", "rules", str(MONITORING / "alerts_test.yml")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    processes.append(lambda: (tests.kill(), tests.wait()))

    nodes = [Node(chaind, folder, ports.take()) for _ in range(3)]
    for node in nodes:
        node.start()
        processes.append(functools.partial(node.end, signal.SIGKILL))
    prometheus = Prometheus(programs["prometheus"], folder, ports.take(), [node.instance for node in nodes])
    processes.append(prometheus.process.end)
    check_files(promtool, documentation)
    dashboard = check_dashboard()

    for node in nodes:
        wait_for(f"{node.url} is ready", node.is_ready)
    wait_for("all are up", lambda: prometheus.values("up") == {node.instance: 1 for node in nodes}, 20)
    done("Prometheus scrapes three nodes: all are up")
    wait_for("members", lambda: prometheus.values('count by (instance) (chaind_member_state{state="up"})')
             == {node.instance: 2 for node in nodes})
    done("each node sees two members that are up")

    posts = 0
    for count in range(7):
        for node in nodes:
            text = DAMAGED_TEXT if posts == 10 else f"block {posts}"
            fetch(f"{node.url}/blocks/?wait=3", {"data": text})
            posts += 1
    fetch(f"{nodes[0].url}/blocks/batch?wait=3", {"data": [f"batch {index}" for index in range(29)]})
    blocks = posts + 29
    everywhere = {node.instance: blocks for node in nodes}
    for name in ("chaind_head_height", "chaind_validated_height", "chaind_appended_blocks_total",
                 "chaind_append_batch_blocks_sum"):
        wait_for(name, lambda: prometheus.values(name) == everywhere or expect(False, f"{name}: {prometheus.values(name)}"))
    done(f"{blocks} blocks were appended on three nodes: each has that height, validated, and counts so many")
    wait_for("requests", lambda: prometheus.values(
        'sum(chaind_http_request_duration_seconds_count{route=~"/blocks/|/blocks/batch", status="200"})') == {"": posts + 1})
    done(f"their {posts + 1} requests are counted")
    check_metrics(promtool, nodes, documentation)

    # Until the scrub has come round, 10 s after the start.
    wait_for("the scrub", lambda: len(prometheus.values("rate(chaind_scrubbed_bytes_total[15s])")) == 3, 20)
    check_expressions(prometheus, dashboard)
    firing = {alert for alert in prometheus.alerts("firing") if alert[0] not in ALERTS_OF_MACHINE}
    expect(not firing, f"alerts fire although all is well: {firing}")
    done("no alert fires while all is well")

    killed, others = nodes[2], nodes[:2]
    killed.end(signal.SIGKILL)
    down = ("ChaindNodeDown", killed.instance)
    wait_for("up is 0", lambda: prometheus.values("up").get(killed.instance) == 0)
    wait_for("the alert is pending", lambda: down in prometheus.alerts("pending") | prometheus.alerts("firing"))
    wait_for("the alert fires", lambda: down in prometheus.alerts("firing"))
    done("a node is killed: its up is 0, and ChaindNodeDown fires")
    removed = f'chaind_member_state{{state="removed", member="{killed.member}"}}'
    wait_for("removed", lambda: prometheus.values(removed) == {node.instance: 1 for node in others})
    wait_for("the alert fires", lambda: ("ChaindMemberRemoved", killed.member) in prometheus.alerts("firing"))
    done("the others have removed it, and ChaindMemberRemoved fires")

    # The file knows the members too, so they have to be away for a damaged block to stay.
    for node in others:
        node.end()
    damage(killed.database)
    killed.start("alone.json")
    wait_for("damaged", lambda: prometheus.values("chaind_damaged_blocks").get(killed.instance) == 1)
    wait_for("the validation", lambda: prometheus.values("chaind_validation_valid").get(killed.instance) == 0)
    for name in ("ChaindDamagedBlocks", "ChaindValidationFailed"):
        wait_for(f"{name} fires", lambda: (name, killed.instance) in prometheus.alerts("firing"))
    done("a bit is flipped in its file: chaind_damaged_blocks is 1, ChaindDamagedBlocks and ChaindValidationFailed fire")

    for node in others:
        node.start()
    wait_for("repaired", lambda: prometheus.values("chaind_damaged_blocks").get(killed.instance) == 0, 25)
    wait_for("counted", lambda: prometheus.values("chaind_repairs_total").get(killed.instance) == 1)
    fetch(f"{killed.url}/blocks/valid")
    wait_for("the alert fires", lambda: ("ChaindBlocksRepaired", killed.instance) in prometheus.alerts("firing"))
    wait_for("the others are over", lambda: not {name for name, instance in prometheus.alerts("firing")
                                                 if name in ("ChaindDamagedBlocks", "ChaindValidationFailed")})
    done("the others come back and it is repaired: ChaindBlocksRepaired fires, and after a validation the others are over")

    output, _ = tests.communicate()
    expect(tests.returncode == 0, f"promtool test rules: {output}")
    done("promtool test rules alerts_test.yml")


def documentation_text():
    return (MONITORING / "monitoring.md").read_text() + (MONITORING.parent / "reference" / "metrics.md").read_text()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chaind", type=pathlib.Path, help="the program")
    parser.add_argument("--first-port", type=int, default=0, help="take the lowest free ports from this one on, not any")
    arguments = parser.parse_args()

    def stop(number, frame):
        raise Failed("it took too long" if number == signal.SIGALRM else "it was stopped")

    for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    signal.alarm(SECONDS_MAX - 8)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="chaind-monitoring-"))
    processes = []
    try:
        programs = {}
        for name in ("prometheus", "promtool"):
            programs[name] = shutil.which(name)
            expect(programs[name], f"{name} is not installed (apt-get install --no-install-recommends prometheus)")
        expect(arguments.chaind.is_file(), f"{arguments.chaind} is no file")
        play(arguments.chaind.resolve(), programs, folder, Ports(arguments.first_port), processes)
        return 0
    except (Failed, OSError, subprocess.SubprocessError, sqlite3.Error, ValueError, KeyError) as error:
        print(f"FAILED  {error}", flush=True)
        return 1
    finally:
        # Nothing may keep what was started from being ended.
        signal.alarm(0)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for end in reversed(processes):
            end()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
