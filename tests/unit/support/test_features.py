"""The rules about skipping: they decide whether a green run means anything."""

from __future__ import annotations

import pytest

from tests import conftest
from tests.support import features

pytest_plugins = ["pytester"]


def feature(*, since, present):
    """Make a feature that this kernel has or has not."""
    return features.Feature("teleporting", since, lambda: present)


def test_a_present_feature_is_no_obstacle():
    """
    Whatever the kernel's number says.
    """
    features.require(feature(since=(99, 0), present=True))


def test_an_old_kernel_is_an_honest_skip():
    """
    The reason names the feature and the kernel that brought it.
    """
    with pytest.raises(features.KernelTooOldError, match=r"needs teleporting \(Linux 99\.0\)"):
        features.require(feature(since=(99, 0), present=False))


def test_a_new_kernel_without_the_feature_is_a_failure():
    """
    Otherwise a broken probe would skip everything everywhere.
    """
    with pytest.raises(pytest.fail.Exception, match=r"yet kernels since 2\.6 have it"):
        features.require(feature(since=(2, 6), present=False))


def test_the_running_kernel_has_what_its_number_promises():
    """
    The probes of features.py see what is there.
    """
    for each in (features.MMAPABLE_ARRAY, features.XDP_LINK, features.LIVE_FRAMES):
        features.require(each)


@pytest.mark.parametrize(
    ("held", "tier", "missing"),
    [
        ((), "unit", None),
        ((), "bpf", "CAP_BPF and CAP_NET_ADMIN"),
        (("CAP_BPF", "CAP_NET_ADMIN"), "netns", "CAP_SYS_ADMIN"),
        (("CAP_SYS_ADMIN",), "netns", "CAP_NET_ADMIN"),
    ],
)
def test_missing_privilege_names_what_is_missing(monkeypatch, held, tier, missing):
    """
    And what to type; CAP_SYS_ADMIN stands for CAP_BPF.
    """
    mask = sum(1 << features.CAPABILITY[name] for name in held)
    monkeypatch.setattr(features, "effective_capabilities", lambda: mask)

    reason = features.missing_privilege(tier)

    assert reason == (missing and f"{tier} tests need {missing}; run them as root: sudo make test")


def test_bpf_tests_need_a_place_for_their_pins(monkeypatch):
    """
    Privilege alone is not enough.
    """
    monkeypatch.setattr(features, "effective_capabilities", lambda: ~0)
    monkeypatch.setattr(features.os.path, "ismount", lambda _: False)

    assert "sudo make setup" in features.missing_privilege("bpf")


@pytest.mark.parametrize(
    ("path", "tier"),
    [
        ("tests/unit/test_model.py", "unit"),
        ("tests/architecture/test_imports.py", "unit"),
        ("tests/packets/test_parse.py", "bpf"),
        ("tests/netns/deep/test_nat.py", "netns"),
        ("elsewhere/netns/test_x.py", "unit"),
    ],
)
def test_the_folder_decides_the_tier(tmp_path, path, tier):
    """
    Nobody has to remember a marker.
    """
    assert tier == conftest.tier_of(tmp_path / path, tmp_path)


def test_a_misspelt_requirement_is_refused(monkeypatch):
    """
    LBCTL_REQUIRE=pbf would require nothing at all.
    """
    monkeypatch.setenv("LBCTL_REQUIRE", "netns, pbf")

    with pytest.raises(pytest.UsageError, match="no such tier 'pbf'"):
        conftest.required_tiers()


SKIPS = """
import pytest
from tests.support import features

def test_skipped():
    pytest.skip("no such tool")

@pytest.mark.skipif(True, reason="not today")
def test_marked():
    pass

def test_old_kernel():
    features.require(features.Feature("teleporting", (99, 0), lambda: False))

@pytest.mark.xfail(strict=True)
def test_known_bug():
    assert False
"""
SKIPS_WHOLE_FILE = 'import pytest\npytest.importorskip("no_such_module")\n'


@pytest.mark.parametrize(
    ("required", "skipped", "failed"), [("", 4, 0), ("bpf", 4, 0), ("bpf,netns", 1, 3)]
)
def test_a_required_tier_may_not_be_skipped(pytester, monkeypatch, required, skipped, failed):
    """
    A skip in a test, by a mark or of a file fails; an old kernel and a known bug do not.
    """
    monkeypatch.setattr(features, "missing_privilege", lambda _: None)
    monkeypatch.setenv("LBCTL_REQUIRE", required)
    folder = pytester.mkdir("tests") / "netns"
    folder.mkdir()
    (folder / "test_skips.py").write_text(SKIPS)
    (folder / "test_whole.py").write_text(SKIPS_WHOLE_FILE)

    options = ["-p", "tests.conftest", "--continue-on-collection-errors", "--import-mode=importlib"]
    result = pytester.runpytest_inprocess(*options)

    outcomes = result.parseoutcomes()
    found = outcomes.get("skipped", 0), outcomes.get("failed", 0) + outcomes.get("errors", 0)
    assert (skipped, failed) == found
    assert 1 == outcomes["xfailed"]
