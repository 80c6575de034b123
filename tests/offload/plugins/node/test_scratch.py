"""A pod's folder on a disk that everybody may write to."""

import os

import pytest

from offload.plugins.node.folder import PodError
from offload.plugins.node.scratch import make_own


def test_it_is_the_jobs_own(tmp_path):
    scratch = tmp_path / "disk/facility-1-2"
    for _ in range(2):  # the second: a wrapper that was started again
        make_own(scratch)
        assert scratch.stat().st_mode & 0o777 == 0o700


def test_what_leads_elsewhere_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o755)
    (tmp_path / "scratch").symlink_to("elsewhere")
    with pytest.raises(PodError, match="expected a folder of the job's own"):
        make_own(tmp_path / "scratch")
    assert (tmp_path / "elsewhere").stat().st_mode & 0o777 == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder to somebody else")
def test_what_somebody_else_has_made_is_refused(tmp_path):
    (tmp_path / "scratch").mkdir()
    os.chown(tmp_path / "scratch", 65534, 65534)
    with pytest.raises(PodError, match="remove it"):
        make_own(tmp_path / "scratch")
