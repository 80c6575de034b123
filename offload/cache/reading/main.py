"""``offload-cache``: a site's cache of published environments, by hand and by cron.

Exit codes: 0 done; 1 not possible (not in the repository, refused, damaged, no space);
2 wrong input or settings; 3 nobody answers and it is not here; 130 after Ctrl-C. Each
failure is one line, and so is each problem of the settings.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from facility.errors import ExitCode, FacilityError
from facility.text import amount, counted, reason
from offload.cache.errors import CacheError
from offload.cache.reading.cache import RepositoryCache
from offload.cache.reading.errors import AbsentError
from offload.cache.reading.mounting import Mount
from offload.cache.reading.paths import image_path
from offload.cache.reading.progress import progress
from offload.cache.reading.settings import load_settings
from offload.cache.reading.showing import shown


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; exits as the module says."""
    options = _parser().parse_args(arguments)
    try:
        settings = load_settings(options.config)
        # Absolute: links lead there.
        with RepositoryCache(options.folder.absolute(), settings) as cache:
            command: Callable[[RepositoryCache, argparse.Namespace], None] = options.run
            command(cache, options)
    except FacilityError as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"offload-cache: {line}\n")
        sys.exit(error.exit_code)
    except OSError as error:
        sys.stderr.write(f"offload-cache: {reason(error)}\n")
        sys.exit(ExitCode.FAILED)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    sys.exit(ExitCode.OK)


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with the command."""

    def error(self, message: str) -> NoReturn:
        line = f"offload-cache: {message} (`{self.prog} --help` says what there is)"
        self.exit(ExitCode.USAGE, f"{line}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="offload-cache",
        description="Keeps what jobs of this site read of published environments.",
        epilog="Exit codes: 0 done; 1 not possible; 2 wrong input or settings; 3 nobody "
        "answers and it is not here; 130 after Ctrl-C.",
    )
    parser.add_argument(
        "--config",
        type=Path,
        required=True,
        help="YAML: fqrn, urls, proxies, master_keys, quota_bytes, refresh_s, ...",
    )
    parser.add_argument(
        "--folder", type=Path, default=_default_folder(), help="default: %(default)s"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str,
        run: Callable[[RepositoryCache, argparse.Namespace], None],
        about: str,
    ) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=about, description=about)
        made.set_defaults(run=run)
        return made

    status = command("status", _status, "say what is here, and of which revision")
    status.add_argument("--json", action="store_true", help="print JSON")
    command("refresh", _refresh, "ask for the newest revision")
    command("serve", _serve, "stay up to date and below the quota, until stopped")
    get = command("get", _get, "make an image's tree; print where it is")
    get.add_argument("image", help="sha256:HEX")
    get.add_argument("--wait", type=_seconds, default=0.0, metavar="SECONDS")
    copy = command("copy", _copy, "make a folder of one's own of what an image has")
    copy.add_argument("image", help="sha256:HEX")
    copy.add_argument("target", type=Path, help="must not exist")
    copy.add_argument("only", nargs="*", help="paths in the image; default: all")
    show = command(
        "show", _show, "whole or lazily, whichever is ready sooner, until stopped"
    )
    show.add_argument("image", help="sha256:HEX")
    show.add_argument("where", type=Path, help="nothing yet, or an empty folder")
    mount = command("mount", _mount, "show an image lazily, until stopped or unmounted")
    mount.add_argument("image", help="sha256:HEX")
    mount.add_argument("where", type=Path, help="an empty folder")
    pin = command("pin", _pin, "keep images for a job")
    pin.add_argument("uid", help="the job's name")
    pin.add_argument("image", nargs="+", help="sha256:HEX, or a path of the repository")
    unpin = command("unpin", _unpin, "forget what a job needed")
    unpin.add_argument("uid", help="the job's name")
    command("gc", _gc, "give up what no job needs, down to the quota")
    command("verify", _verify, "read every byte of all trees; mend what is damaged")
    return parser


def _seconds(text: str) -> float:
    with suppress(ValueError):
        if 0 <= (seconds := float(text)) < math.inf:
            return seconds
    raise argparse.ArgumentTypeError(f"expected seconds, got {text!r}")


def _default_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "analysis-facility/repositories"


def _status(cache: RepositoryCache, options: argparse.Namespace) -> None:
    revision = cache.view().revision
    quota = cache.settings.quota_bytes
    if options.json:
        document = {
            "fqrn": revision.fqrn,
            "revision": revision.number,
            "published": revision.published.isoformat(),
            "note": revision.note,
            "size": cache.size(),
            "quota": quota,
            "trees": cache.trees(),
        }
        _say(json.dumps(document, indent=1))
        return
    _say(_told(cache))
    most = "" if quota is None else f" of {amount(quota)}"
    _say(f"{amount(cache.size())} kept{most}")
    for tree in cache.trees():
        _say(tree)


def _refresh(cache: RepositoryCache, _: argparse.Namespace) -> None:
    cache.refresh()
    _say(_told(cache))


def _serve(cache: RepositoryCache, _: argparse.Namespace) -> None:
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    last = ""
    while True:
        try:
            cache.refresh()
            told = _told(cache)
            cache.collect()
            _report(cache)
        except CacheError as error:
            told = str(error)
        if told != last:
            _say(told)
            last = told
        if stopped.wait(max(1.0, cache.settings.refresh_s)):
            return


def _get(cache: RepositoryCache, options: argparse.Namespace) -> None:
    if options.wait:
        cache.wait(options.image, options.wait)
    with progress(
        "fetching", lambda: cache.added, lambda: cache.amount(options.image).size
    ):
        place = cache.image(options.image)
    if place is None:
        raise AbsentError(
            f"{options.image}: not in {cache.settings.fqrn} (yet); --wait waits for it"
        )
    _say(str(place))


def _copy(cache: RepositoryCache, options: argparse.Namespace) -> None:
    path = os.fsdecode(image_path(options.image))
    for below in ("", *(f"/{each.strip('/')}" for each in options.only)):
        if cache.find(path + below) is None:
            raise AbsentError(
                f"{options.image}{below}: not in {cache.settings.fqrn} (yet)"
            )
    cache.materialise(path, options.target, tuple(options.only))


def _show(cache: RepositoryCache, options: argparse.Namespace) -> None:
    _end_when_stopped()
    with shown(cache, options.image, options.where) as image:
        _say(
            f"{options.where}: ready, {image.way} (whole in "
            f"{image.choice.whole_s:.1f} s, lazily in {image.choice.lazy_s:.1f} s)"
        )
        with suppress(SystemExit):  # stopped: that is how it is meant to end
            image.wait()
    _report_quietly(cache)


def _mount(cache: RepositoryCache, options: argparse.Namespace) -> None:
    _end_when_stopped()
    with Mount(cache, options.image, options.where) as mount:
        _say(f"{options.where}: ready")
        with suppress(SystemExit):
            mount.wait()
    _report_quietly(cache)


def _end_when_stopped() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(ExitCode.OK))


def _report(cache: RepositoryCache) -> None:
    if cache.settings.report is not None:
        # Late: who tells nobody need not load what sends.
        from offload.cache.reading.reporting import report_traces

        report_traces(cache.folder, cache.settings.report)


def _report_quietly(cache: RepositoryCache) -> None:
    try:
        _report(cache)
    except CacheError as error:  # the job has had what it needed
        sys.stderr.write(f"offload-cache: not reported: {error}\n")


def _pin(cache: RepositoryCache, options: argparse.Namespace) -> None:
    cache.pin(options.uid, *options.image)


def _unpin(cache: RepositoryCache, options: argparse.Namespace) -> None:
    cache.unpin(options.uid)


def _gc(cache: RepositoryCache, _: argparse.Namespace) -> None:
    freed = cache.collect()
    trees, files = counted(len(freed.trees), "tree"), counted(freed.contents, "file")
    _say(f"{amount(freed.freed)} freed ({trees}, {files}), {amount(freed.size)} kept")


def _verify(cache: RepositoryCache, _: argparse.Namespace) -> None:
    mended = cache.verify()
    entries = counted(mended, "entry", "entries")
    _say(f"{counted(len(cache.trees()), 'tree')} read, {entries} mended")


def _told(cache: RepositoryCache) -> str:
    revision = cache.view().revision
    told = (
        f"{revision.fqrn}: revision {revision.number} of "
        f"{revision.published:%Y-%m-%d %H:%M:%S} UTC"
    )
    return told if revision.note is None else f"{told} ({revision.note})"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
