"""One conversation of the OpenHands SDK with its terminal and its file editor, in its own environment.

`python openhands_worker.py <settings>` takes `{"base_url", "api_key", "model", "timeout", "max_retries",
"workspace", "prompt"}` as JSON and prints how it ended, as one JSON object. The Python of
`tests.support.packages.OPENHANDS` runs it, so it imports nothing of the project.
"""

import json
import sys

from openhands.sdk import LLM, Agent, Conversation, Tool
from openhands.tools.file_editor import FileEditorTool
from openhands.tools.terminal import TerminalTool
from pydantic import SecretStr


def main():
    """Runs it to its end."""
    # What the SDK prints must not stand beside the answer.
    out, sys.stdout = sys.stdout, sys.stderr
    settings = json.loads(sys.argv[1])
    llm = LLM(
        # LiteLLM wants the protocol before a model that it does not know.
        model=f"openai/{settings['model']}",
        base_url=settings["base_url"],
        api_key=SecretStr(settings["api_key"]),
        timeout=int(settings["timeout"]),
        num_retries=settings["max_retries"],
        usage_id="agent",
    )
    tools = [
        # A plain shell: tmux would outlive the conversation.
        Tool(name=TerminalTool.name, params={"terminal_type": "subprocess"}),
        Tool(name=FileEditorTool.name),
    ]
    conversation = Conversation(
        agent=Agent(llm=llm, tools=tools), workspace=settings["workspace"], visualizer=None
    )
    conversation.send_message(settings["prompt"])
    conversation.run()
    outcome = {
        "status": conversation.state.execution_status.value,
        "cost": llm.metrics.accumulated_cost,
        "usage": llm.metrics.accumulated_token_usage.model_dump(),
        "events": [event.model_dump(mode="json") for event in conversation.state.events],
    }
    conversation.close()
    print(json.dumps(outcome), file=out, flush=True)


if __name__ == "__main__":
    main()
