"""An extract as C: one header and one source of words, golden vectors, and the code beside them."""

from collections.abc import Iterable, Iterator
from importlib.resources import files
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .evaluator import Decided, decide
from .export import Extract, Words
from .export_image import pack, work_bytes

CODE: Final = (
    "auricle_detector.h",
    "auricle_detector.c",
    "auricle_projection.c",
    "auricle_extract.c",
    "auricle_golden_test.c",
    "auricle_check.c",
    "auricle_detector_parts.h",
)
"""What every extract needs beside it, the same for all."""

RANDOM_CODE: Final = ("auricle_random.c",)
"""What extracts with random features need beside it."""

RANDOM_CODE_BYTES_MAX: Final = 1024
"""Flash that it takes at most, as below."""

CODE_BYTES_MAX: Final = 6 * 1024
"""Flash that the detector's code takes at most on a Cortex-M, optimised for size; a test builds and
measures it."""

PRINTABLE: Final = range(0x20, 0x7F)

_A_LINE: Final = 8
_COMMENT: Final = "/* Made by `auricle export-c`; not to be edited. */"


def write_c(extract: Extract, features: NDArray[np.uint8]) -> dict[str, bytes]:
    """All files of a C export by name.

    features: uint8 [n, width], the samples of the golden vectors; what is decided of them is worked
    out here.  Raises ExportError where the extract's parts do not fit together.
    """
    image = pack(extract)
    made = {
        "auricle_knowledge.h": _header(extract, len(image) // 4, len(features)),
        "auricle_knowledge.c": _source(extract, np.frombuffer(image, "<u4").astype(np.uint32)),
        "auricle_golden.c": _golden(features, decided_words(decide(extract, features))),
    }
    code = files(__package__) / "c"
    copied = {name: (code / name).read_bytes() for name in _code(extract)}
    return {name: text.encode() for name, text in made.items()} | copied | {"knowledge.bin": image}


def _code(extract: Extract) -> tuple[str, ...]:
    return CODE + RANDOM_CODE if extract.random else CODE


def code_bytes(extract: Extract) -> int:
    """Bytes of flash to count for the detector's code."""
    return CODE_BYTES_MAX + (RANDOM_CODE_BYTES_MAX if extract.random else 0)


def ram_bytes(extract: Extract) -> int:
    """Bytes of RAM for one decision: features, hypervector and working space."""
    return extract.width + extract.bits // 8 + work_bytes(extract)


def decided_words(decided: Decided) -> Words:
    """Decisions as the test programs write them: the hypervector's words, then score, concept,
    domain, label, answer and known, uint32 [n, bits / 32 + 6]."""
    numbers = (
        decided.score,
        decided.concept,
        decided.domain,
        decided.label,
        decided.answer,
        decided.known,
    )
    return np.concatenate([decided.bits, np.stack(numbers, axis=1).astype(np.uint32)], axis=1)


def _header(extract: Extract, words: int, golden: int) -> str:
    numbers = {
        "WIDTH": extract.width,
        "BITS": extract.bits,
        "HYPERVECTOR_WORDS": extract.bits // 32,
        "WORK_WORDS": work_bytes(extract) // 4,
        "EXTRACT_WORDS": words,
        "CONCEPTS": len(extract.concepts),
        "DOMAINS": len(extract.domains),
        "LABELS": len(extract.labels),
        "GOLDEN": golden,
        "GOLDEN_WORDS": extract.bits // 32 + 6,
    }
    lines = [f"#define AURICLE_{name} {number}" for name, number in numbers.items()]
    return text_of(
        [
            _COMMENT,
            "#ifndef AURICLE_KNOWLEDGE_H",
            "#define AURICLE_KNOWLEDGE_H",
            "",
            "#include <stdint.h>",
            "",
            *lines,
            f"#define AURICLE_OPEN {'auricle_open_random' if extract.random else 'auricle_open'}",
            "",
            "extern const uint32_t auricle_knowledge[AURICLE_EXTRACT_WORDS];",
            "extern const char *const auricle_domains[AURICLE_DOMAINS];",
            "extern const char *const auricle_labels[AURICLE_LABELS];",
            "",
            "/* Samples, and what has to be decided of each. */",
            "extern const uint8_t auricle_golden_features[AURICLE_GOLDEN][AURICLE_WIDTH];",
            "extern const uint32_t auricle_golden_decided[AURICLE_GOLDEN][AURICLE_GOLDEN_WORDS];",
            "",
            "#endif",
        ]
    )


def _source(extract: Extract, words: Words) -> str:
    return text_of(
        [
            _COMMENT,
            '#include "auricle_knowledge.h"',
            "",
            "const uint32_t auricle_knowledge[AURICLE_EXTRACT_WORDS] = {",
            *_table(words, 8),
            "};",
            "",
            *_names("domains", extract.domains),
            "",
            *_names("labels", extract.labels),
        ]
    )


def _golden(features: NDArray[np.uint8], decided: Words) -> str:
    return text_of(
        [
            _COMMENT,
            '#include "auricle_knowledge.h"',
            "",
            "const uint8_t auricle_golden_features[AURICLE_GOLDEN][AURICLE_WIDTH] = {",
            *(line for row in features for line in ("{", *_table(row, 2), "},")),
            "};",
            "",
            "const uint32_t auricle_golden_decided[AURICLE_GOLDEN][AURICLE_GOLDEN_WORDS] = {",
            *(line for row in decided for line in ("{", *_table(row, 8), "},")),
            "};",
        ]
    )


def text_of(lines: Iterable[str]) -> str:
    """Join lines to the text of a file."""
    return "\n".join(lines) + "\n"


def _table(numbers: Iterable[np.generic], digits: int) -> Iterator[str]:
    shown = [f"0x{int(number):0{digits}X}u," for number in numbers]
    for at in range(0, len(shown), _A_LINE):
        yield "    " + " ".join(shown[at : at + _A_LINE])


def _names(what: str, names: tuple[str, ...]) -> list[str]:
    held = [f"    {quoted(name)}," for name in names]
    return [f"const char *const auricle_{what}[AURICLE_{what.upper()}] = {{", *held, "};"]


def quoted(text: str) -> str:
    """A name as a C string that no compiler can read as anything else: all bytes of its UTF-8 that
    are not plain letters, digits or the like are escaped in octal."""
    plain = "".join(
        chr(byte) if byte in PRINTABLE and chr(byte) not in '"\\?' else f"\\{byte:03o}"
        for byte in text.encode()
    )
    return f'"{plain}"'
