"""The demo site on eventlet's own server: ``python -m demo.eventlet_server PORT``."""

import os
import signal
import sys

import eventlet

eventlet.monkey_patch()

from eventlet import wsgi  # noqa: E402

from demo.wsgi import application  # noqa: E402

if __name__ == "__main__":
    # eventlet stops gracefully only after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    wsgi.server(eventlet.listen(("127.0.0.1", int(sys.argv[1]))), application)
