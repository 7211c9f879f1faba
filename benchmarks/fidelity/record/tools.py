"""The tools that are offered: those of the agents, and those of six MCP servers."""

from __future__ import annotations

import json
from pathlib import Path

ENVELOPES = Path(__file__).parents[2] / "routing" / "data" / "envelopes"
"""What harnesses put around a request, in small form; shared with the evaluation of routing."""

_SERVERS = {
    "github": """
list_issues|Lists issues of a repository with their number, title, state, labels, assignees and times. Results come in pages; give `page` and `per_page` to go on.|owner:string:Owner of the repository, a user or an organization;repo:string:Name of the repository;state:string:open, closed or all;labels:array:Only issues that have all of these labels;since:string:Only issues changed after this time, ISO 8601;page:integer:Page, from 1;per_page:integer:Results per page, 100 at most
get_issue|Gets one issue with its whole body and all its metadata.|owner:string:Owner of the repository;repo:string:Name of the repository;issue_number:integer:Number of the issue
create_issue|Creates an issue in a repository. Check first that there is none like it.|owner:string:Owner of the repository;repo:string:Name of the repository;title:string:Title of the issue;body:string:Text in Markdown;labels:array:Labels to set;assignees:array:Logins of people
add_issue_comment|Adds a comment to an issue or a pull request.|owner:string:Owner;repo:string:Repository;issue_number:integer:Number;body:string:The comment in Markdown
list_pull_requests|Lists pull requests of a repository, the newest first.|owner:string:Owner;repo:string:Repository;state:string:open, closed or all;base:string:Only those into this branch;head:string:Only those from this branch
get_pull_request|Gets a pull request: its text, its branches, whether it can be merged, its reviewers.|owner:string:Owner;repo:string:Repository;pull_number:integer:Number
get_pull_request_files|Lists the files that a pull request changes, with the patch of each.|owner:string:Owner;repo:string:Repository;pull_number:integer:Number
create_pull_request|Opens a pull request from one branch into another.|owner:string:Owner;repo:string:Repository;title:string:Title;body:string:Text in Markdown;head:string:Branch with the changes;base:string:Branch that they go into;draft:boolean:Open it as a draft
merge_pull_request|Merges a pull request.|owner:string:Owner;repo:string:Repository;pull_number:integer:Number;merge_method:string:merge, squash or rebase
search_code|Searches code in all repositories that the token may read, by GitHub's search syntax.|q:string:The search;sort:string:indexed or nothing;order:string:asc or desc;page:integer:Page, from 1
get_file_contents|Gets a file or a folder of a repository at a branch, a tag or a commit.|owner:string:Owner;repo:string:Repository;path:string:Path in the repository;ref:string:Branch, tag or commit
list_workflow_runs|Lists runs of a workflow with their conclusion, branch and times.|owner:string:Owner;repo:string:Repository;workflow_id:string:Id or file name of the workflow;status:string:Only runs of this status or conclusion
get_job_logs|Gets the log of a job of a workflow run, or of all its failed jobs.|owner:string:Owner;repo:string:Repository;job_id:integer:Id of the job;run_id:integer:Id of the run, together with failed_only;failed_only:boolean:Only failed jobs;tail_lines:integer:Only so many lines from the end
""",
    "jira": """
search_issues|Searches issues by JQL and returns the fields that are asked for.|jql:string:The search in JQL;fields:array:Names of fields, by default summary, status and assignee;max_results:integer:100 at most;start_at:integer:Index of the first result
get_ticket|Gets an issue by its key, with description, comments and links.|key:string:Key of the issue such as PAY-1203;expand:array:Further parts: changelog, renderedFields, transitions
create_ticket|Creates an issue in a project.|project:string:Key of the project;type:string:Bug, Task, Story or Epic;summary:string:One line;description:string:Text in Jira's markup;priority:string:Name of the priority
transition_ticket|Moves an issue to another status by one of the transitions that are open to it.|key:string:Key of the issue;transition:string:Id or name of the transition;comment:string:Comment to add
add_worklog|Adds time to an issue.|key:string:Key;time_spent:string:For instance 1h 30m;started:string:ISO 8601;comment:string:What was done
list_sprints|Lists the sprints of a board.|board_id:integer:Id of the board;state:string:active, future or closed
""",
    "postgres": """
query|Runs one read-only SQL statement in a transaction that is rolled back, and returns rows as JSON.|sql:string:The statement;parameters:array:Values for $1 and so on;limit:integer:Most rows, 1000 by default
list_tables|Lists tables of a schema with an estimate of their rows and their size on disk.|schema:string:Schema, public by default
describe_table|Describes columns, types, defaults, indexes, keys and triggers of a table.|schema:string:Schema;table:string:Name of the table
explain|Explains how a statement would run, as JSON.|sql:string:The statement;analyze:boolean:Run it and measure
list_locks|Lists the locks that are held or waited for, with the statements.|min_wait_ms:integer:Only waits that are longer
""",
    "browser": """
navigate|Goes to an address and waits until the page is idle.|url:string:The address;timeout:integer:Milliseconds
snapshot|Gives the accessibility tree of the page; better than a screenshot for acting on it.|
click|Clicks an element of the newest snapshot.|element:string:What it is, in words for people;ref:string:Its reference in the snapshot;button:string:left, right or middle
type|Types text into an element that can be edited.|element:string:What it is;ref:string:Its reference;text:string:The text;submit:boolean:Press Enter afterwards
select_option|Chooses options of a list.|element:string:What it is;ref:string:Its reference;values:array:Values to choose
press_key|Presses a key.|key:string:Name of the key such as ArrowLeft or a
console_messages|Gives all messages of the console since the page was opened.|level:string:Only this level
network_requests|Gives all network requests since the page was opened.|pattern:string:Only addresses that match
take_screenshot|Takes a picture of the page or of an element.|element:string:What it is;ref:string:Its reference;full_page:boolean:The whole page
wait_for|Waits until a text appears or disappears, or a time passes.|text:string:Text to appear;text_gone:string:Text to disappear;time:integer:Seconds
""",
    "slack": """
list_channels|Lists channels of the workspace with their ids, topics and numbers of members.|limit:integer:200 at most;cursor:string:Where to go on
post_message|Posts a message to a channel.|channel_id:string:Id of the channel;text:string:The message
reply_to_thread|Answers in a thread.|channel_id:string:Id of the channel;thread_ts:string:Time stamp of the first message;text:string:The answer
channel_history|Gets the newest messages of a channel.|channel_id:string:Id of the channel;limit:integer:Number of messages
search_messages|Searches messages that the token may see.|query:string:The search with Slack's modifiers;count:integer:Results per page
""",
    "sentry": """
find_errors|Finds errors of a project, the most frequent first, with counts and times.|organization:string:Slug of the organization;project:string:Slug of the project;query:string:Search in Sentry's syntax;sort:string:freq, date or new
get_error|Gets an error with its newest event, stack trace and tags.|organization:string:Slug of the organization;issue_id:string:Id of the error, such as PAY-4F;event_id:string:Only this event
list_releases|Lists the releases of a project.|organization:string:Slug of the organization;project:string:Slug of the project
resolve_error|Marks an error as resolved, now or in a release.|organization:string:Slug;issue_id:string:Id;in_release:string:Version of the release
""",
}


def names(*servers: str) -> tuple[str, ...]:
    """Names of the tools of some servers."""
    return tuple(tool["name"] for server in servers for tool in _of_server(server))


def every_tool() -> list[dict[str, object]]:
    """All tools."""
    tools: dict[str, dict[str, object]] = {}
    for shape in ("claude_code", "codex", "openhands"):
        envelope = json.loads((ENVELOPES / f"{shape}.json").read_text())
        tools |= {tool["name"]: tool for tool in envelope["tools"]}
    for server in _SERVERS:
        tools |= {str(tool["name"]): tool for tool in _of_server(server)}
    return list(tools.values())


def _of_server(server: str) -> list[dict[str, str]]:
    tools = []
    for line in _SERVERS[server].strip().splitlines():
        name, description, parameters = line.split("|")
        properties = {}
        for parameter in filter(None, parameters.split(";")):
            key, kind, about = parameter.split(":", 2)
            items = {"items": {"type": "string"}} if kind == "array" else {}
            properties[key] = {"type": kind, "description": about, **items}
        schema = {
            "type": "object",
            "properties": properties,
            "required": list(properties)[:2],
            "additionalProperties": False,
            "$schema": "http://json-schema.org/draft-07/schema#",
        }
        tools.append({"name": f"mcp__{server}__{name}", "description": description, "input_schema": schema})
    return tools
