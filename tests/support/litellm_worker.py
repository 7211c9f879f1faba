"""LiteLLM in its own environment: calls in, outcomes out, one JSON object per line.

A line holds the arguments of `litellm.completion`; its answer is `{"response", "chunks", "cost", "headers"}`
or `{"error", "status", "message", "chunks"}`. The Python of `tests.support.packages.LITELLM` runs it, so it
imports nothing of the project.
"""

import json
import sys

import litellm


def answer(arguments):
    """One call of `litellm.completion`; a stream is read to its end and put together again by LiteLLM."""
    chunks = []
    try:
        response = litellm.completion(**arguments)
        if arguments.get("stream"):
            hidden = response._hidden_params
            # One by one: a stream that breaks leaves what came before.
            for chunk in response:
                chunks.append(chunk.model_dump())  # noqa: PERF401
            built = litellm.stream_chunk_builder(chunks, messages=arguments["messages"])
        else:
            built, hidden = response, response._hidden_params
    except Exception as error:  # noqa: BLE001 - whatever it raises is what the test asks about
        return {
            "error": type(error).__name__,
            "status": getattr(error, "status_code", None),
            "message": str(error),
            "chunks": chunks,
        }
    return {
        "response": built.model_dump(),
        "chunks": chunks,
        "cost": hidden.get("response_cost"),
        "headers": hidden.get("additional_headers") or {},
    }


def main():
    """Answers until the input ends."""
    # What LiteLLM and its dependencies print must not stand between the answers.
    out, sys.stdout = sys.stdout, sys.stderr
    print(json.dumps({"ready": True}), file=out, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line)), default=str), file=out, flush=True)


if __name__ == "__main__":
    main()
