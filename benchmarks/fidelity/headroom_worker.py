"""Shortens prompts by `headroom-ai`; run by that library's own Python. A line of JSON in, a line out."""

import json
import logging
import os
import sys

import headroom

out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what the library prints must not come between our lines
logging.disable(logging.CRITICAL)
for line in sys.stdin:
    asked = json.loads(line)
    if "messages" in asked:
        made = headroom.compress(asked["messages"], model="claude-sonnet-4-5-20250929")
        answer = {"messages": made.messages}
    else:
        answer = {"version": headroom.__version__}
    out.write(json.dumps(answer) + "\n")
    out.flush()
