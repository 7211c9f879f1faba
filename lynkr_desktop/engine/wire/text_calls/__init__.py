"""Tool calls that a model wrote as text, made into tool calls.

`events.py` stands in the stream of canonical events, `scanner.py` tells calls from ordinary text,
`formats.py` and what it imports know how models write them, `tools.py` knows what was offered,
`reader.py` lets all of them read text that arrives in pieces as though it were whole.
"""

from lynkr_desktop.engine.wire.text_calls.events import TextToolCalls

__all__ = ["TextToolCalls"]
