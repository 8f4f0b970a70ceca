from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.bridge.board import M3, measure_footprint, missing_tools
from firmware_bridge import pack_extract, write_c
from firmware_bridge.export_c import CODE_BYTES_MAX, RANDOM_CODE_BYTES_MAX, quoted
from tests.extracts import PLAIN, Form, extract_of, samples_of

COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-pedantic", "-Werror"]
FLASH_BYTES_MAX = 12 * 1024
RAM_BYTES_MAX = 6 * 1024


def written(folder: Path, form: Form = PLAIN) -> Path:
    """The files of an export, in a folder."""
    extract = replace(extract_of(form), labels=('a "b"', "??/", "naïve\n", "\\"))
    for name, content in write_c(extract, samples_of(form)).items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.skipif(not COMPILERS, reason="no C compiler is installed: the export was not built")
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("form", [PLAIN, replace(PLAIN, random=True)], ids=["plain", "random"])
def test_an_export_builds_without_a_warning_and_agrees(tmp_path, compiler, form):
    """All files together compile as strict C99, and the test program finds nothing different; the
    code for random features comes along where they are used."""
    folder = written(tmp_path, form)
    assert (folder / "auricle_random.c").exists() == form.random
    sources = sorted(str(path) for path in folder.glob("*.c"))
    program = folder / "golden"
    command = [compiler, *STRICT, "-O2", *sources, "-o", str(program)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    ran = subprocess.run([program], capture_output=True, text=True, check=False)
    samples = len(samples_of(form))
    assert ran.stdout == f"knowledge: {samples} of {samples} golden vectors agree\n"
    assert ran.returncode == 0


@pytest.mark.skipif(not COMPILERS, reason="no C compiler is installed: the export was not built")
def test_the_test_program_finds_a_changed_bit(tmp_path):
    """One changed bit of an expected decision is a difference."""
    folder = written(tmp_path)
    golden = folder / "auricle_golden.c"
    text = golden.read_text("utf-8")
    at = text.index("0x", text.index("auricle_golden_expected"))
    other = "1" if text[at + 9] == "0" else "0"
    golden.write_text(text[: at + 9] + other + text[at + 10 :], "utf-8")
    sources = sorted(str(path) for path in folder.glob("*.c"))
    command = [COMPILERS[0], *sources, "-o", str(folder / "golden")]
    subprocess.run(command, check=True)
    ran = subprocess.run([folder / "golden"], capture_output=True, text=True, check=False)
    samples = len(samples_of(PLAIN))
    assert ran.stdout == f"knowledge: {samples - 1} of {samples} golden vectors agree\n"
    assert ran.returncode == 1


def test_names_are_strings_that_nothing_breaks_out_of():
    """Quotes, backslashes, trigraphs and line ends of a name are escaped."""
    assert quoted('a"b\\c??/\n') == '"a\\042b\\134c\\077\\077/\\012"'
    assert quoted("ü") == '"\\303\\274"'
    assert re.fullmatch(r'"[ -~]*"', quoted("".join(map(chr, range(256)))))


def test_the_binary_is_the_array(tmp_path):
    """knowledge.bin, for slots and the wire, holds the words of the array."""
    extract = extract_of(PLAIN)
    files = write_c(extract, samples_of(PLAIN))
    assert files["knowledge.bin"] == pack_extract(extract)
    shown = re.findall(r"0x([0-9A-F]{8})u", files["auricle_knowledge.c"].decode())
    words = b"".join(int(word, 16).to_bytes(4, "little") for word in shown)
    assert words == files["knowledge.bin"]


@pytest.mark.skipif(bool(missing_tools()), reason=f"sizes not measured: {missing_tools()}")
def test_code_and_memory_keep_their_bounds(tmp_path):
    """Link and detector stay below 12 KiB of flash and 6 KiB of RAM, the detector below what an
    export counts for it."""
    sizes = measure_footprint(M3, tmp_path)
    assert sizes["detector_flash"] <= CODE_BYTES_MAX
    assert sizes["random_flash"] - sizes["detector_flash"] <= RANDOM_CODE_BYTES_MAX
    assert sizes["both_flash"] <= FLASH_BYTES_MAX
    assert sizes["both_ram"] <= RAM_BYTES_MAX
