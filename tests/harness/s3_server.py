"""moto's S3, with one creator of a key at a time: python3 s3_server.py HOST PORT

S3 decides a conditional write as one step. moto looks whether the key is there and then writes, in threads of
their own, so that under load two of several creators may both be told that they were first. Here a PUT with
`If-None-Match` holds its key's lock until moto has answered. Nothing else is changed, and no answer is made up.
"""

import sys
import threading
from weakref import WeakValueDictionary

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple


class Lock:
    """A lock that a weak dictionary can hold."""

    def __init__(self):
        self.held = threading.Lock()


class OneCreatorAtATime:
    """WSGI: conditional writes of one path one after the other, everything else as it comes."""

    def __init__(self, application):
        self.application = application
        self.guard = threading.Lock()
        self.locks: WeakValueDictionary[str, Lock] = WeakValueDictionary()

    def __call__(self, environ, start_response):
        if environ["REQUEST_METHOD"] != "PUT" or "HTTP_IF_NONE_MATCH" not in environ:
            return self.application(environ, start_response)
        with self.guard:
            lock = self.locks.setdefault(environ["PATH_INFO"], Lock())
        with lock.held:
            # The whole answer: moto has written when its body is there.
            return list(self.application(environ, start_response))


def main(host: str, port: int) -> None:
    application = DomainDispatcherApplication(create_backend_app)
    run_simple(host, port, OneCreatorAtATime(application), threaded=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
