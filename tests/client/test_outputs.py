import pytest

from facility.client.kernel import Message
from facility.client.outputs import OutputCollector


def _message(kind: str, **content) -> Message:
    return Message(kind, "iopub", "request", content, {})


def _text(text: str, name: str = "stdout") -> Message:
    return _message("stream", name=name, text=text)


def _display(text: str, display_id: str | None = None, kind="display_data") -> Message:
    transient = {} if display_id is None else {"display_id": display_id}
    return _message(kind, data={"text/plain": text}, metadata={}, transient=transient)


def _collect(*messages: Message) -> list[dict]:
    outputs: list[dict] = []
    collector = OutputCollector()
    collector.begin(outputs)
    for message in messages:
        collector.handle(message)
    return outputs


def _shown(text: str) -> dict:
    return {
        "output_type": "display_data",
        "data": {"text/plain": text},
        "metadata": {},
    }


def _stream(text: str, name: str = "stdout") -> dict:
    return {"output_type": "stream", "name": name, "text": text}


@pytest.mark.parametrize(
    ("messages", "outputs"),
    [
        ([_text("a"), _text("b\n")], [_stream("ab\n")]),
        (
            [_text("a"), _text("!", "stderr"), _text("b")],
            [_stream("a"), _stream("!", "stderr"), _stream("b")],
        ),
        ([_text("a"), _display("x"), _text("b")], None),
        ([_display("x")], [_shown("x")]),
        ([_text("a"), _message("clear_output", wait=False)], []),
        ([_text("a"), _message("clear_output", wait=True)], [_stream("a")]),
        (
            [_text("a"), _message("clear_output", wait=True), _text("b")],
            [_stream("b")],
        ),
        (
            [
                _text("a"),
                _message("clear_output", wait=True),
                _display("x"),
                _display("y"),
            ],
            [_shown("x"), _shown("y")],
        ),
        (
            [_display("x", "1"), _display("y", "1", "update_display_data")],
            [_shown("y")],
        ),
        ([_display("y", "unknown", "update_display_data")], []),
        ([_message("comm_open", comm_id="1"), _message("status")], []),
    ],
)
def test_messages_become_outputs(messages, outputs):
    if outputs is None:
        outputs = [_stream("a"), _shown("x"), _stream("b")]
    assert _collect(*messages) == outputs


def test_results_and_errors_keep_what_nbformat_asks_for():
    result = _message(
        "execute_result", data={"text/plain": "4"}, metadata={}, execution_count=2
    )
    error = _message("error", ename="E", evalue="v", traceback=["t"])
    assert _collect(result, error) == [
        {
            "output_type": "execute_result",
            "execution_count": 2,
            "data": {"text/plain": "4"},
            "metadata": {},
        },
        {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["t"]},
    ]


def test_a_later_cell_updates_an_earlier_ones_display():
    first: list[dict] = []
    second: list[dict] = []
    collector = OutputCollector()
    collector.begin(first)
    collector.handle(_display("0 %", "bar"))
    collector.begin(second)
    collector.handle(_display("100 %", "bar", "update_display_data"))
    assert first == [_shown("100 %")]
    assert second == []


def test_a_pending_clear_does_not_reach_into_the_next_cell():
    first: list[dict] = []
    collector = OutputCollector()
    collector.begin(first)
    collector.handle(_text("a"))
    collector.handle(_message("clear_output", wait=True))
    second: list[dict] = []
    collector.begin(second)
    collector.handle(_text("b"))
    assert first == [_stream("a")]
    assert second == [_stream("b")]
