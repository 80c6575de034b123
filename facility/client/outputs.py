"""What cells show, from the messages of a kernel: the outputs of nbformat 4."""

from __future__ import annotations

from typing import Any

from facility.client.kernel import Message

Output = dict[str, Any]
"""One output of a code cell, as nbformat 4 has it."""


class OutputCollector:
    """Turns messages into the outputs of one cell after the other.

    Guarantees: the order is the kernel's; text of one stream in a row is one output;
    ``clear_output(wait=True)`` clears with the next output; ``update_display_data``
    changes displays of earlier cells too. The state of widgets is left out.
    """

    def __init__(self) -> None:
        self._displays: dict[str, list[Output]] = {}
        self._outputs: list[Output] = []
        self._clear_next = False

    def begin(self, outputs: list[Output]) -> None:
        """Collect into this list from now on."""
        self._outputs = outputs
        self._clear_next = False

    def handle(self, message: Message) -> None:
        """Take one message of the current cell into account."""
        content = message.content
        match message.kind:
            case "stream":
                self._stream(content["name"], content["text"])
            case "display_data":
                self._display(content, {"output_type": "display_data"})
            case "execute_result":
                self._display(
                    content,
                    {
                        "output_type": "execute_result",
                        "execution_count": content["execution_count"],
                    },
                )
            case "update_display_data":
                for output in self._displays.get(_display_id(content), ()):
                    output["data"] = content["data"]
                    output["metadata"] = content.get("metadata", {})
            case "error":
                self._append(
                    {
                        "output_type": "error",
                        "ename": content["ename"],
                        "evalue": content["evalue"],
                        "traceback": content["traceback"],
                    }
                )
            case "clear_output":
                if content.get("wait"):
                    self._clear_next = True
                else:
                    self._outputs.clear()

    def _stream(self, name: str, text: str) -> None:
        last = self._outputs[-1] if self._outputs and not self._clear_next else {}
        if last.get("output_type") == "stream" and last["name"] == name:
            last["text"] += text
        else:
            self._append({"output_type": "stream", "name": name, "text": text})

    def _display(self, content: dict[str, Any], head: Output) -> None:
        output = {
            **head,
            "data": content["data"],
            "metadata": content.get("metadata", {}),
        }
        self._append(output)
        if name := _display_id(content):
            self._displays.setdefault(name, []).append(output)

    def _append(self, output: Output) -> None:
        if self._clear_next:
            self._outputs.clear()
            self._clear_next = False
        self._outputs.append(output)


def _display_id(content: dict[str, Any]) -> str:
    return str(content.get("transient", {}).get("display_id", ""))
