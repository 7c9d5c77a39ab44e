"""The client of the benchmarks: a stall of its own is no burst, a stall of the server is seen."""

import asyncio
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from client import AT_ONCE, Pace, ask_at_rate

RATE = 500


def test_what_a_client_could_not_send_is_sent_later_and_not_at_once() -> None:
    async def send() -> tuple[list[float], Pace]:
        pace, times = Pace(RATE), []
        pace.begin()
        for number in range(RATE // 2):
            await pace.next()
            times.append(time.perf_counter())
            if number == RATE // 10:
                time.sleep(0.2)  # noqa: ASYNC251  the stall
        return times, pace

    times, pace = asyncio.run(send())
    assert pace.sent == len(times)
    assert pace.shifts > 0
    assert pace.longest > 0.15
    assert pace.shifted >= pace.longest
    crowd = max(sum(at <= other < at + 0.01 for other in times) for at in times)
    assert crowd < 5 * AT_ONCE * RATE  # of the hundred that were held back


class Stalling(BaseHTTPRequestHandler):
    """Answers one request at a time, and one of them late."""

    protocol_version = "HTTP/1.1"
    turn, served = threading.Lock(), 0

    def do_GET(self) -> None:
        with self.turn:
            Stalling.served += 1
            if Stalling.served == RATE // 5:
                time.sleep(0.4)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


def test_a_server_that_stalls_is_seen_by_all_that_were_due() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Stalling) as server:
        threading.Thread(target=server.serve_forever).start()
        answers = asyncio.run(ask_at_rate(server.server_port, ["token"] * RATE, RATE, 4))
        server.shutdown()
    assert {one.status for one in answers} == {200}
    assert max(one.seconds for one in answers) > 0.35
    assert sum(one.seconds > 0.2 for one in answers) > 0.1 * RATE
