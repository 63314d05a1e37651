"""A server that stands in for a provider: whatever is asked, its answer is the same."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class StandIn:
    """Answers with this text, each time after so many seconds, as a deployment wants a provider. `requests` counts what was asked."""

    def __init__(self, text: str, seconds: float = 0.0) -> None:
        self.seconds, self.requests = seconds, 0
        message = {"role": "assistant", "content": text}
        self.reply = json.dumps(
            {
                "choices": [{"message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 50, "completion_tokens": 12},
            }
        ).encode()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.stand_in = self
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answers(self) -> None:
        """It always does."""

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Handler(BaseHTTPRequestHandler):
    """One connection to the stand-in."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        stand_in = self.server.stand_in
        self.rfile.read(int(self.headers["content-length"]))
        stand_in.requests += 1
        time.sleep(stand_in.seconds)
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(stand_in.reply)))
        self.end_headers()
        self.wfile.write(stand_in.reply)

    def log_message(self, *_: object) -> None:
        """Nothing: one line a document is noise."""
