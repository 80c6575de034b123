"""The token detectors of detect-secrets, as rules of ours.

Those that go by entropy or by a keyword alone are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from detect_secrets.plugins import (
    aws,
    azure_storage_key,
    github_token,
    gitlab_token,
    openai,
    pypi_token,
    sendgrid,
    slack,
    square_oauth,
    stripe,
    telegram_token,
)

from offload.snapshot.secrets.rules import Rule, is_placeholder

_TOKEN = re.compile(r"[^\s\"'<>,;]{1,300}")


def detectors() -> Iterator[Rule]:
    """Yield rules of detect-secrets' detectors of tokens; nothing is verified online."""
    chosen: tuple[tuple[type, tuple[bytes, ...]], ...] = (
        (aws.AWSKeyDetector, (b"AKIA", b"ASIA", b"ABIA", b"ACCA", b"A3T")),
        (azure_storage_key.AzureStorageKeyDetector, (b"AccountKey=",)),
        (
            github_token.GitHubTokenDetector,
            (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_"),
        ),
        (
            gitlab_token.GitLabTokenDetector,
            tuple(
                b"glpat- gldt- glft- glsoat- glrt- GR1348941 glcbt- glimt- glptt- "
                b"glagent- gloas-".split()
            ),
        ),
        (openai.OpenAIDetector, (b"T3BlbkFJ",)),
        (pypi_token.PypiTokenDetector, (b"pypi-AgE",)),
        (sendgrid.SendGridDetector, (b"SG.",)),
        (slack.SlackDetector, (b"xox", b"hooks.slack.com")),
        (square_oauth.SquareOAuthDetector, (b"sq0csp-",)),
        (stripe.StripeDetector, (b"k_live_",)),
        (telegram_token.TelegramBotTokenDetector, (b":AA",)),
    )
    for detector, needles in chosen:
        plugin = detector()
        yield Rule(
            plugin.secret_type, needles, _by_line(plugin.analyze_string, needles)
        )


def _by_line(
    analyze: Callable[[str], Iterator[str]], needles: tuple[bytes, ...]
) -> Callable[[str], Iterator[int]]:
    words = tuple(needle.decode() for needle in needles)

    def find(text: str) -> Iterator[int]:
        position = 0
        for line in text.splitlines(keepends=True):
            if any(word in line for word in words):
                start = -1
                for value in analyze(line.rstrip()):
                    # Some detectors give no more than the beginning of a token.
                    start = max(line.find(value, start + 1), line.find(value), 0)
                    token = _TOKEN.match(line, start)
                    before = line[start - 1 : start] if start > 0 else ""
                    is_real = token is not None and not is_placeholder(token[0])
                    if is_real and not before.isalnum():
                        yield position + start
            position += len(line)

    return find
