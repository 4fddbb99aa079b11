"""Tells Ray that this machine, bought on spot, will be taken away, so that training writes a checkpoint before.

python spot_notice.py &      # beside `ray start` on each worker; the image has it in /opt/physioclr

AWS gives notice two minutes before, Google Cloud 30 seconds. Nothing in open-source Ray listens for it. On a machine
that is not on spot, or in no cloud, the program ends at once.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable

AWS = os.environ.get("SPOT_NOTICE_AWS", "http://169.254.169.254/latest")
GOOGLE = os.environ.get("SPOT_NOTICE_GOOGLE", "http://metadata.google.internal/computeMetadata/v1/instance")
POLL_SECONDS = float(os.environ.get("SPOT_NOTICE_POLL_SECONDS", "5"))
SPARE_SECONDS = 15  # what is left of the notice when Ray must be done


def answer(url: str, headers: dict[str, str], method: str = "GET") -> str | None:
    """What the machine's metadata service says, None where it says nothing or is not there."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers, method=method), timeout=2) as reply:
            return str(reply.read().decode().strip())
    except (urllib.error.URLError, OSError):
        return None


def aws(path: str) -> str | None:
    """Of an AWS machine. Each question needs a fresh token, as the files in cluster/ demand."""
    token = answer(f"{AWS}/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"}, "PUT")
    return answer(f"{AWS}/meta-data/{path}", {"X-aws-ec2-metadata-token": token}) if token else None


def google(path: str) -> str | None:
    """Of a Google Cloud machine."""
    return answer(f"{GOOGLE}/{path}", {"Metadata-Flavor": "Google"})


def where() -> tuple[Callable[[], bool], int] | None:
    """How to ask whether notice was given, and how many seconds before the end that is. None: not on spot."""
    if aws("instance-life-cycle") == "spot":
        return lambda: aws("spot/instance-action") is not None, 120
    if google("scheduling/preemptible") == "TRUE":
        return lambda: google("preempted") == "TRUE", 30
    return None


def drain(seconds: int) -> None:
    """Let Ray know that this node goes in so many seconds."""
    words = ["--reason=DRAIN_NODE_REASON_PREEMPTION", "--reason-message=spot notice"]
    subprocess.run(["ray", "drain-node", *words, f"--deadline-remaining-seconds={seconds}"], check=True)


def main() -> int:
    """Wait for notice and hand it on."""
    found = where()
    if found is None:
        print("This machine is not on spot.")
        return 0
    given, before = found
    while not given():
        time.sleep(POLL_SECONDS)
    print("Notice: the machine is taken away.", flush=True)
    drain(max(before - SPARE_SECONDS, 5))
    return 0


if __name__ == "__main__":
    sys.exit(main())
