"""The child process that runs llama.cpp: `python -m lynkr_desktop.engine.providers.embedded.worker`.

It reads a line of JSON with the key that requests must carry from its standard input, loads the model, prints
a line of JSON with its address, and serves the OpenAI protocol on a free loopback port until its standard
input ends. That happens when the engine closes it, and also when the engine dies in any way, on every system.
Imports nothing of ours, so that it starts fast; llama.cpp logs to standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading

import psutil

_PROMPT_CACHE_MIB = 1024
"""Memory for the state of prompts that were pushed out of the one slot: a small request between two turns of
an agent must not cost the agent's long prefix (20,000 tokens of Qwen2.5-Coder 1.5B take 570 MB)."""


def main() -> int:
    """Runs until standard input ends. Returns 1 when the model could not be loaded."""
    parser = argparse.ArgumentParser(description="Runs one local model for the engine.")
    parser.add_argument("--model", required=True, help="path of the GGUF file")
    parser.add_argument("--name", required=True, help="what answers call the model")
    parser.add_argument("--context", type=int, required=True, help="context window in tokens")
    parser.add_argument("--threads", type=int, required=True, help="processor threads")
    arguments = parser.parse_args()

    # Ctrl-C in a terminal reaches the whole process group: requests in flight are the engine's to drain.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _yield_to_others()
    key = json.loads(sys.stdin.buffer.readline())["key"]
    threading.Thread(target=_exit_with_parent, name="parent watch", daemon=True).start()

    import xllamacpp  # after the watch began: it is large

    params = xllamacpp.CommonParams()
    params.model.path = arguments.model
    params.model_alias = {arguments.name}
    params.n_ctx = arguments.context
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = arguments.threads
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.use_jinja = True
    params.ui = False
    params.endpoint_slots = False
    # One slot: prompts are worked off in order, each with the whole window. Two slots that share the window
    # were no faster on a CPU, and two agents' prompts of 19,000 tokens do not fit into 32,768.
    params.n_parallel = 1
    params.cache_prompt = True
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        print(f"E cannot load {arguments.model}: {error}", file=sys.stderr)
        return 1
    print(json.dumps({"address": server.listening_address}), flush=True)
    threading.Event().wait()
    return 0


def _exit_with_parent() -> None:
    """Ends the process at once when the parent is gone, in the midst of whatever it does."""
    # Not through sys.stdin: its lock, held by this thread, would break the interpreter's shutdown.
    while os.read(0, 4096):
        pass
    os._exit(0)


def _yield_to_others() -> None:
    """Lowers our priority, so that the engine and the tray stay quick while every core computes."""
    if sys.platform == "win32":
        psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
    else:
        os.nice(5)


if __name__ == "__main__":
    sys.exit(main())
