"""The token detectors of detect-secrets, as rules of ours.

Those that go by entropy or by a keyword alone are left out.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from offload.snapshot.secrets.rule import Rule, is_placeholder

_TOKEN = re.compile(r"[^\s\"'<>,;]{1,300}")


_CHOSEN = (
    ("aws.AWSKeyDetector", "AWS Access Key", "AKIA ASIA ABIA ACCA A3T"),
    (
        "azure_storage_key.AzureStorageKeyDetector",
        "Azure Storage Account access key",
        "AccountKey=",
    ),
    ("github_token.GitHubTokenDetector", "GitHub Token", "ghp_ gho_ ghu_ ghs_ ghr_"),
    (
        "gitlab_token.GitLabTokenDetector",
        "GitLab Token",
        "glpat- gldt- glft- glsoat- glrt- GR1348941 glcbt- glimt- glptt- glagent- gloas-",
    ),
    ("openai.OpenAIDetector", "OpenAI Token", "T3BlbkFJ"),
    ("pypi_token.PypiTokenDetector", "PyPI Token", "pypi-AgE"),
    ("sendgrid.SendGridDetector", "SendGrid API Key", "SG."),
    ("slack.SlackDetector", "Slack Token", "xox hooks.slack.com"),
    ("square_oauth.SquareOAuthDetector", "Square OAuth Secret", "sq0csp-"),
    ("stripe.StripeDetector", "Stripe Access Key", "k_live_"),
    ("telegram_token.TelegramBotTokenDetector", "Telegram Bot Token", ":AA"),
)
"""Module and class, what it finds, and words without which it finds nothing."""


def detectors() -> Iterator[Rule]:
    """Yield rules of detect-secrets' detectors of tokens; nothing is verified online.

    It is imported (0.1 s) when a word of one is met: in most trees none ever is.
    """
    for name, kind, words in _CHOSEN:
        needles = tuple(word.encode() for word in words.split())
        yield Rule(kind, needles, _by_line(name, needles))


@cache
def plugin(name: str) -> Any:
    """Return a detector by its module and class."""
    module, _, detector = name.partition(".")
    found = importlib.import_module(f"detect_secrets.plugins.{module}")
    return getattr(found, detector)()


def _by_line(name: str, needles: tuple[bytes, ...]) -> Callable[[str], Iterator[int]]:
    words = tuple(needle.decode() for needle in needles)

    def find(text: str) -> Iterator[int]:
        position = 0
        for line in text.splitlines(keepends=True):
            if any(word in line for word in words):
                start = -1
                for value in plugin(name).analyze_string(line.rstrip()):
                    # Some detectors give no more than the beginning of a token.
                    start = max(line.find(value, start + 1), line.find(value), 0)
                    token = _TOKEN.match(line, start)
                    before = line[start - 1 : start] if start > 0 else ""
                    is_real = token is not None and not is_placeholder(token[0])
                    if is_real and not before.isalnum():
                        yield position + start
            position += len(line)

    return find
