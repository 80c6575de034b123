import logging

import pytest

from hub_config.log_scrubbing import scrub, scrub_record


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        (
            "403 GET /hub/login?token=abc-_1 (127.0.0.1): no",
            "403 GET /hub/login?token=[secret] (127.0.0.1): no",
        ),
        ("/a?x=1&token=b&y=2", "/a?x=1&token=[secret]&y=2"),
        ("/a?access_token=b", "/a?access_token=[secret]"),
        ("/cb?code=b&state=c", "/cb?code=[secret]&state=[secret]"),
        ("'/a?token=b'", "'/a?token=[secret]'"),
        ("/a?next=/b", "/a?next=/b"),
        ("tokens=3", "tokens=3"),
        ("", ""),
    ],
)
def test_values_of_secret_parameters_are_left_out(text, scrubbed):
    assert scrub(text) == scrubbed


def test_a_record_is_scrubbed_after_its_arguments_are_in():
    record = logging.LogRecord(
        "tornado.general", 30, "", 0, "%d %s", (403, "/a?token=b"), None
    )
    assert scrub_record(record)
    assert record.getMessage() == "403 /a?token=[secret]"


def test_percent_signs_survive():
    record = logging.LogRecord("hub", 20, "", 0, "%s", ("/a?x=%41",), None)
    scrub_record(record)
    assert record.getMessage() == "/a?x=%41"
