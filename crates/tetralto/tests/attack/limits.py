"""The limits for attacks and the reasons for them."""

from __future__ import annotations

# Nobody notices if a page or a text message is a second late.
ANSWER_SECONDS = 1.0
# The short run uses a debug build on a busy machine, so other clients may wait longer.
SHORT_FACTOR = 4.0
# A replica that is stopped inside a transaction may block others until PostgreSQL ends the
# transaction. After that they may wait ANSWER_SECONDS.
FROZEN_SECONDS = 10.0

# Memory growth that attackers without a token may cause: the buffers of 4,096 connections (the
# maximum) of 20 kB each, and a margin.
MEMORY_MB = 100.0
# Memory growth that the holder of a token may cause: bodies and exports in flight are bounded.
TOKEN_MEMORY_MB = 200.0

# A browser, a script, and more connections than a service accepts.
CONNECTIONS = (1, 1_000, 5_000)
# Time after which clients of the storm disconnect: most requests are inside their transaction.
HANG_UP_SECONDS = (0.003, 0.030)

# Pause between two requests of the probe, which represents all other clients.
PROBE_SECONDS = 0.2
PROBE_TIMEOUT_SECONDS = 15.0
