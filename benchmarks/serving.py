"""Load on `videolm serve`: many clients at once on one server, which is killed and started again if asked.

    python -m benchmarks.serving --model shapes --requests 200 --clients 20 [--kill]

Each client sends one request after the other, polls it to its end, fetches the film and checks that it is
one; an answer 429 is waited for as Retry-After says, and counted. Prints a line of JSON: seconds from
acceptance to completion (median, p95), requests lost, failed or doubled, refusals, and the server's resident
memory after the first tenth of the requests and at the end.
"""

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from tempfile import TemporaryDirectory

import httpx

_COLOURS, _SHAPES = ("red", "blue", "green", "yellow"), ("square", "circle", "triangle")
_POLL_SECONDS = 0.25
_MEBIBYTE = 2**20


@dataclass
class Seen:
    """What the clients saw, by seed."""

    ids: dict[int, str] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    refusals: int = 0


class Server:
    """The server, as a process of its own."""

    def __init__(self, model: str, jobs: Path):
        self.command = [
            sys.executable, "-m", "videolm.cli.main", "serve", "--model", model, "--port", "0",
            "--jobs", str(jobs), "--queue", "8",
        ]  # fmt: skip
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        match = re.search(r"at (http://\S+)/v1", self.process.stdout.readline())
        if match is None:
            raise ValueError("the server did not start; what it printed stands above")
        self.address = match[1]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    @property
    def memory(self) -> float:
        """Resident, in MiB."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / _MEBIBYTE


def client(server: Server, work: SimpleQueue, seen: Seen) -> None:
    """Send requests until there are none left."""
    while True:
        try:
            seed = work.get_nowait()
        except Empty:
            return
        text = f"a {_COLOURS[seed % 4]} {_SHAPES[seed % 3]} moves right"
        created = _asked(server, seen, "POST", "", json={"prompt": text, "seed": seed}).json()
        seen.ids[seed] = created["id"]
        while (job := _asked(server, seen, "GET", f"/{created['id']}").json())["status"] not in _ENDS:
            time.sleep(_POLL_SECONDS)
        film = _asked(server, seen, "GET", f"/{created['id']}/content").content
        if job["status"] == "failed" or film[4:8] != b"ftyp" or job["seed"] != seed:
            seen.failed.append(created["id"])
        seen.seconds[seed] = job["completed_at"] - job["created_at"]


_ENDS = ("completed", "failed")


def _asked(server: Server, seen: Seen, method: str, path: str, **options: object) -> httpx.Response:
    """An answer that is none of a full queue or of a server that is just not there."""
    while True:
        try:
            url = f"{server.address}/v1/videos{path}"
            answer = httpx.request(method, url, timeout=60, trust_env=False, **options)  # type: ignore[arg-type]
        except httpx.TransportError:
            time.sleep(1)
            continue
        if answer.status_code not in (429, 503):
            answer.raise_for_status()
            return answer
        seen.refusals += 1
        time.sleep(float(answer.headers.get("Retry-After", 1)))


def measure(model: str, requests: int, clients: int, kill: bool) -> dict[str, object]:
    """Run the load; the record that is printed."""
    with TemporaryDirectory() as folder:
        server, seen, work = Server(model, Path(folder)), Seen(), SimpleQueue()
        for seed in range(requests):
            work.put(seed)
        threads = [threading.Thread(target=client, args=(server, work, seen)) for _ in range(clients)]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        first, killed = 0.0, False
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.2)
            if not first and len(seen.seconds) >= requests // 10:
                first = server.memory
            if kill and not killed and len(seen.seconds) >= requests // 2:
                server.kill()
                server.start()
                killed, first = True, 0.0
        wall = time.monotonic() - started
        listed = _all_jobs(server)
        memory = server.memory
        server.kill()
    times = sorted(seen.seconds.values())
    return {
        "requests": requests,
        "clients": clients,
        "killed": killed,
        "wall_s": round(wall, 1),
        "median_s": round(statistics.median(times), 1),
        "p95_s": round(times[max(int(0.95 * len(times)) - 1, 0)], 1),
        "lost": requests - len(set(seen.ids.values()) & set(listed)),
        "doubled": len(listed) - len(set(seen.ids.values())),
        "failed": len(seen.failed),
        "refused_429": seen.refusals,
        "memory_mib": [round(first), round(memory)],
    }


def _all_jobs(server: Server) -> list[str]:
    found: list[str] = []
    while True:
        query = {"limit": "100"} | ({"after": found[-1]} if found else {})
        page = httpx.get(f"{server.address}/v1/videos", params=query, trust_env=False).json()
        found += [job["id"] for job in page["data"]]
        if not page["has_more"]:
            return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="shapes")
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--kill", action="store_true", help="kill the server after half of the requests")
    given = parser.parse_args()
    print(json.dumps(measure(given.model, given.requests, given.clients, given.kill)))


if __name__ == "__main__":
    main()
