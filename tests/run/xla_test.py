"""What `configure` sets, in processes of their own: jax must not be imported yet."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jaxvision.run import xla

ROOT = Path(__file__).parent.parent.parent
YNN = "--xla_cpu_experimental_ynn_fusion_type"


def run(code, **env):
    clean = {
        k: v for k, v in os.environ.items() if k not in ("XLA_FLAGS", "JAX_COMPILATION_CACHE_DIR", "GLIBC_TUNABLES")
    }
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**clean, **env}, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


SHOW = "import json, os; print(json.dumps({k: v for k, v in os.environ.items()}))"


def test_flags_and_cache_are_set_and_jax_starts_with_them():
    code = "import sys; from jaxvision.run import xla; assert 'jax' not in sys.modules; xla.configure(); "
    env = run(code + "import jax; jax.devices(); " + SHOW)
    assert env["JAX_COMPILATION_CACHE_DIR"].endswith("/.cache/jaxvision/xla")
    assert env["XLA_FLAGS"] == f"{YNN}=LIBRARY_FUSION_TYPE_DOT,LIBRARY_FUSION_TYPE_REDUCE"


def test_determinism_is_for_gpus_and_only_where_it_is_asked_for(monkeypatch):
    call = "from jaxvision.run import xla; xla.configure(True); "
    assert "--xla_gpu_deterministic_ops=true" in run(call + SHOW)["XLA_FLAGS"].split()
    mine = "--xla_gpu_deterministic_ops=false"
    assert run(call + SHOW, XLA_FLAGS=mine)["XLA_FLAGS"].count("deterministic") == 1
    monkeypatch.setenv("XLA_FLAGS", "")
    xla.check_determinism(True)  # a CPU gives the same bits anyway
    monkeypatch.setattr("jax.default_backend", lambda: "gpu")
    xla.check_determinism(False)
    with pytest.raises(ValueError, match="--deterministic: this jaxlib has no setting xla_gpu_deterministic_ops"):
        xla.check_determinism(True)


def test_what_the_user_set_stays():
    mine = {"XLA_FLAGS": f"{YNN}=LIBRARY_FUSION_TYPE_DOT", "JAX_COMPILATION_CACHE_DIR": "/tmp/mine"}
    env = run("from jaxvision.run import xla; xla.configure(); " + SHOW, **mine)
    assert {k: env[k] for k in mine} == mine


def test_other_flags_of_the_user_are_kept():
    other = "--xla_force_host_platform_device_count=2"
    env = run("from jaxvision.run import xla; xla.configure(); import jax; jax.devices(); " + SHOW, XLA_FLAGS=other)
    assert env["XLA_FLAGS"].startswith(f"{other} {YNN}=")


def test_the_name_of_a_message_s_field_is_no_flag(tmp_path, monkeypatch):
    """jaxlib 0.11 took `xla_cpu_use_fusion_emitters` away and kept a field of that name; XLA aborts at such a flag."""
    library = tmp_path / "library.so"
    library.write_bytes(b"...\0xla_cpu_kept\0...\x0cxla_cpu_gone\x18...ONE.TWO...")
    monkeypatch.setattr(xla, "_library", lambda: library)
    assert xla.known("xla_cpu_kept") and xla.known("xla_cpu_kept", "ONE", "TWO")
    assert not xla.known("xla_cpu_gone") and not xla.known("xla_cpu_kept", "THREE")


def test_a_flag_that_jaxlib_does_not_know_is_left_out(monkeypatch):
    monkeypatch.delitem(sys.modules, "jax")
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setattr(xla, "_FLAGS", {"xla_cpu_no_such_flag": ("true",)})
    xla.configure()
    assert os.environ["XLA_FLAGS"] == ""


def test_after_jax_it_is_too_late():
    with pytest.raises(RuntimeError, match="already imported"):
        xla.configure()


def test_huge_pages_start_the_process_again_once():
    code = "from jaxvision.run import xla; xla.reexec_with_huge_pages(); " + SHOW
    offered = xla._THP.exists() and "[madvise]" in xla._THP.read_text()
    env = run(code, GLIBC_TUNABLES="glibc.malloc.check=0")
    assert env["GLIBC_TUNABLES"] == "glibc.malloc.check=0" + (":glibc.malloc.hugetlb=1" if offered else "")
    assert run(code, GLIBC_TUNABLES="glibc.malloc.hugetlb=0")["GLIBC_TUNABLES"] == "glibc.malloc.hugetlb=0"
