"""What an attack may cost, and why these figures."""

from __future__ import annotations

# A page or a text message that is a second late is late for nobody.
ANSWER_SECONDS = 1.0
# The short form runs a build without optimization beside other work, so others may wait longer.
SHORT_FACTOR = 4.0
# A replica that is stopped inside a transaction may hold up the others until PostgreSQL ends the
# transaction, and then they may wait for their answer.
FROZEN_SECONDS = 10.0

# What attackers without a token may make the process grow by: the buffers of 4,096 connections, as
# many as may be open, of 20 kB each, and some room.
MEMORY_MB = 100.0
# What the holder of a token may make it grow by: bodies and exports in flight are bounded.
TOKEN_MEMORY_MB = 200.0

# Somebody with a browser, with a script, and with more connections than a service accepts.
CONNECTIONS = (1, 1_000, 5_000)
# When clients of the storm hang up: while many requests are inside their transaction.
HANG_UP_SECONDS = (0.003, 0.030)

# The pause between two requests of the probe that stands for everybody else.
PROBE_SECONDS = 0.2
PROBE_TIMEOUT_SECONDS = 15.0
