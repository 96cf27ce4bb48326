"""A LangGraph agent that asks about many topics at once and writes one report, within the limits of one key.

    python langgraph_agent.py "tides" "moons" "comets"

The graph fans out, one model call a topic; none of its nodes knows of limits, which are those of PACELINE_CONFIG, or of
limits.yaml.
"""

from __future__ import annotations

import asyncio
import operator
import os
import sys
from typing import Annotated, Any, TypedDict

import paceline
import paceline.langchain
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

limiter = paceline.Limiter(config=os.environ.get("PACELINE_CONFIG", "limits.yaml"))
model = ChatOpenAI(
    model=os.environ.get("MODEL", "gpt-4o"), max_tokens=200, **paceline.langchain.clients(limiter)
)


class State(TypedDict):
    topics: list[str]
    notes: Annotated[list[str], operator.add]
    calls: Annotated[int, operator.add]
    report: str


def plan(state: State) -> list[Send]:
    return [Send("research", {"topic": topic}) for topic in state["topics"]]


async def research(task: dict[str, str]) -> dict[str, Any]:
    note = await model.ainvoke(f"What should everyone know about {task['topic']}?")
    return {"notes": [note.text], "calls": 1}


async def write(state: State) -> dict[str, Any]:
    report = ""
    async for chunk in model.astream("Write one report of these notes:\n" + "\n".join(state["notes"])):
        report += chunk.text
    return {"report": report, "calls": 1}


def graph() -> Any:
    builder = StateGraph(State)
    builder.add_node("research", research)
    builder.add_node("write", write)
    builder.add_conditional_edges(START, plan, ["research"])
    builder.add_edge("research", "write")
    builder.add_edge("write", END)
    return builder.compile()


async def main(topics: list[str]) -> None:
    state = await graph().ainvoke({"topics": topics, "notes": [], "calls": 0})
    await limiter.aclose()
    print(f"{len(state['notes'])} topics, {state['calls']} model calls, a report of {len(state['report'])} characters")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
