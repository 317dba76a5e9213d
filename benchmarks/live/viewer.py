"""People who watch: each takes the preview and the events as fast as they come. A process of its own, as they are.

python -m benchmarks.live.viewer http://127.0.0.1:8080 --viewers 4
"""

from __future__ import annotations

import argparse
import threading
import urllib.request
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect


def preview(url: str) -> None:
    with urllib.request.urlopen(f"{url}/api/v1/cameras/0/preview") as stream:
        while stream.read(65536):
            pass


def events(url: str) -> None:
    with connect(f"ws://{urlsplit(url).netloc}/api/v1/events") as socket:
        try:
            while True:
                socket.recv()
        except ConnectionClosed:
            pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--viewers", type=int, default=1)
    args = parser.parse_args()
    threads = [
        threading.Thread(target=what, args=(args.url,)) for what in (preview, events) for _ in range(args.viewers)
    ]
    for thread in threads:
        thread.start()
    print("watching", flush=True)
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
