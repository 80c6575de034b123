"""What we say of others' detectors without importing them."""

import subprocess
import sys

import pytest

from offload.snapshot.secrets import detectors


@pytest.mark.parametrize(("name", "kind", "words"), detectors._CHOSEN)
def test_kinds_are_the_detectors_own(name, kind, words):
    assert detectors.plugin(name).secret_type == kind
    assert words.split()


def test_they_are_imported_when_a_word_is_met():
    code = (
        "import sys; from offload.snapshot.secrets.inspection import inspect\n"
        "inspect(b'a.py', b'token = None')\n"
        "assert 'detect_secrets' not in sys.modules\n"
        "(found,) = inspect(b'a.py', b'key = \"AKIA%s\"' % (b'QZRTYUIOPLKJHGF7'))\n"
        "assert found.kind == 'AWS Access Key', found\n"
        "assert 'detect_secrets' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
