"""Recognize what column names, channel names and words in foreign files usually mean."""

from __future__ import annotations

import re
from collections.abc import Sequence

from polytask.cohort.input_specs import Modality
from polytask.kinds.header_words import RESERVED_COLUMNS, RESERVED_TASKS, parse_cell_number

EMPTY_CELL_WORDS = (
    "NA",
    "N/A",
    "n/a",
    "#N/A",
    "NaN",
    "nan",
    "NAN",
    "null",
    "NULL",
    "na",
    "<NA>",
    "NaT",
    "--",
    "[Not Available]",
    "[Not Applicable]",
    "[Not Evaluated]",
    "[Unknown]",
    "Not Reported",
    "not reported",
    "unknown",
    "Unknown",
    "UNKNOWN",
    "Not Collected",
    "Not Recorded",
    "Not Recorded In Database",
)
"""Words of a foreign table that mean "unknown"; they are read as empty cells."""
IDENTITY_NAMES: dict[str, tuple[str, ...]] = {
    "subject": ("subject", "subject_id", "subjectid", "subject id", "patient", "patient_id", "patientid", "patient id",
                "participant", "participant_id", "participant id", "patid", "pat_id", "pid",
                "case_submitter_id", "cases.submitter_id", "case", "case_id", "caseid", "case id", "id", "image_id",
                "imageid", "bcr_patient_barcode", "submitter_id"),
    "visit": ("visit", "session", "session_id", "ses", "timepoint"),
    "day": ("day", "days_since_baseline", "offset"),
    "site": ("site", "center", "centre", "hospital", "institution"),
    "split": ("split", "set", "partition"),
}  # fmt: skip
SPLIT_WORDS = {"train": "train", "training": "train", "val": "train", "valid": "train", "validation": "train",
               "test": "test", "testing": "test"}  # fmt: skip
IMAGE_ID_NAMES = ("image", "image_name", "imagename", "image name", "image index", "img", "id_code", "file",
                  "file_name", "filename", "file name")  # fmt: skip
"""Columns of image names, with or without file ending; they name the subject if no other column does."""
_SITE_NAME = re.compile(
    r"site|cent(er|re)|hospital|institut|clinic$|vendor|scanner|manufacturer|data_?set|cohort|^source|_source$|"
    r"registry|country",
    re.I,
)
_NOT_SITE_NAME = re.compile(r"tissue_site|tumou?r|anatom|lesion|metasta|body", re.I)
DEMOGRAPHIC_NAME = re.compile(
    r"^(patient|subject|participant)?[ _.]?(age|sex|gender|height|weight|bmi|body_mass_index|is_?(fe)?male|race|"
    r"ethnicity|race_?id|pack_?years|education|educ|pteducat)"
    r"($|[ _.(]+(at|in|approx(imate)?|years|yrs|y|kg|cm|m|id|code)($|[ _.)].*))",
    re.I,
)
"""Matches names of columns that describe a person and are not a question about an image."""
_TIME_UNIT_FORMS = {
    "months": r"months?|mos?|mths?",
    "weeks": r"weeks?|wks?",
    "years": r"years?|yrs?",
    "days": r"days?",
}
EVENT_YES_WORDS = frozenset(
    {"1", "dead", "deceased", "died", "death", "yes", "y", "true", "event", "observed"}
    | {"relapse", "relapsed", "recurrence", "recurred", "progression", "progressed"}
)
EVENT_NO_WORDS = frozenset(
    {"0", "alive", "living", "censored", "no", "n", "false", "none"}
    | {"free", "diseasefree", "disease free", "progression free"}
)
_ROMAN_NUMERALS = {"0": 0, "I": 1, "II": 2, "III": 3, "IV": 4, "V": 5}


def make_clean_name(name: str) -> str:
    """Turn any text into a valid name: letters, digits, `-` and `_`, not starting with `-`."""
    # The header allows no name that starts with "-", and reserved names have a meaning of their own.
    clean = re.sub(r"[^A-Za-z0-9_-]+", "_", name.strip()).strip("_").lstrip("-") or "x"
    return f"{clean}_" if clean in (*RESERVED_COLUMNS, *RESERVED_TASKS) else clean


def guess_modality(name: str) -> Modality:
    """Guess the modality of a channel from words in its name; `other` if nothing fits."""
    words = set(re.split(r"[^a-z0-9]+", name.lower()))
    flat = name.lower()
    if "ct" in words or "cbct" in words:
        return "CT"
    if words & {"pet", "suv", "pt", "fdg"}:
        return "PET"
    if words & {"xr", "cxr", "xray", "dx", "cr", "mammography"} or "x-ray" in flat:
        return "XR"
    if words & {"us", "ultrasound", "sonography", "sonogram", "bmode", "echocardiography", "ivus"}:
        return "US"
    if words & {"oct", "octa"}:
        return "OCT"
    if words & {"rgb", "dermoscopy", "photo", "fundus"}:
        return "RGB"
    if words & {"mr", "mri", "adc", "dwi", "swi", "dce", "pre", "post"} or re.search(
        r"flair|(^|[^a-z])t[12]", flat
    ):
        return "MR"
    return "other"


def find_identity_column(kind: str, columns: Sequence[str]) -> str | None:
    """Find the column for an identity field (`subject`, `visit`, `day`, `site`, `split`), or None."""
    # Reversed: of names that differ only in case, the first column of the table is kept.
    lower = {c.lower(): c for c in reversed(columns)}
    return next((lower[name] for name in IDENTITY_NAMES[kind] if name in lower), None)


def order_grade_words(name: str, words: Sequence[str]) -> list[str] | None:
    """Sort the words of a column of grades or stages: 1, 2 or G1, G2 or I, II.

    Returns:
        the words in order, or None if the column's name means no grade or the words do not count up.
    """
    if not re.search(r"grade|stage|birads|rads|class_?score|rcb", name.lower()):
        return None
    steps: dict[str, float] = {}
    for word in words:
        match = re.fullmatch(r"[A-Za-z]*[ _-]?(\d+(?:\.0+)?)", word)
        value = (
            parse_cell_number(word)
            if parse_cell_number(word) is not None
            else float(match[1])
            if match
            else None
        )
        roman = _ROMAN_NUMERALS.get(re.sub(r"^(stage|grade)\s*", "", word, flags=re.I).upper())
        step = value if value is not None else roman
        if step is None:
            return None
        steps[word] = float(step)
    return sorted(steps, key=lambda w: steps[w]) if len(set(steps.values())) == len(steps) > 1 else None


def looks_like_site(name: str) -> bool:
    """Whether a column's name says where the data came from: hospital, scanner, country and the like."""
    return bool(_SITE_NAME.search(name)) and not _NOT_SITE_NAME.search(name)


def map_event_words(name: str, words: Sequence[str]) -> tuple[dict[str, str], str] | None:
    """Read the words of a column that says whether the event was observed.

    "1:DECEASED" is read by its number; 1 and 2 are read as in R (2 = observed); in a column of censoring 1 means
    censored.

    Returns:
        (word → "0" or "1", explanation for people), or None if a word is unclear.
    """
    # In a column `censored`, yes and 1 mean that the event was not observed, so that the bits are flipped.
    turned = "cens" in name.lower() and "event" not in name.lower()
    plain = {w: (w.split(":")[0] if re.match(r"^[01]:", w) else w).strip().lower() for w in words}
    numbers = {parse_cell_number(p) for p in plain.values()}
    if numbers <= {1.0, 2.0} and 2.0 in numbers:
        return {
            w: "1" if parse_cell_number(p) == 2 else "0" for w, p in plain.items()
        }, "2 = observed, 1 = censored"
    bits = {}
    for word, text in plain.items():
        value = parse_cell_number(text)
        bit = (
            ("1" if text in EVENT_YES_WORDS else "0" if text in EVENT_NO_WORDS else None)
            if value is None
            else {1.0: "1", 0.0: "0"}.get(value)
        )
        if bit is None:
            return None
        # Such a word keeps its meaning even in a column of censoring.
        named = text in ("censored", "alive", "dead", "deceased", "died", "death")
        bits[word] = str(1 - int(bit)) if turned and not named else bit
    ones, zeros = ([w for w in words if bits[w] == bit] for bit in ("1", "0"))
    return (
        bits,
        f"{' '.join(map(repr, ones)) or 'nothing'} = observed, {' '.join(map(repr, zeros)) or 'nothing'} = censored",
    )


def guess_time_unit(name: str) -> str:
    """Find the unit in the name of a time column: `days`, `weeks`, `months` or `years`; "" if it names none."""
    lower = name.lower()
    if unit_in_name := next((f"{unit}s" for unit in ("month", "week", "year", "day") if unit in lower), ""):
        return unit_in_name
    words = re.split(r"[^a-z]+", lower)
    return next(
        (unit for unit, form in _TIME_UNIT_FORMS.items() if any(re.fullmatch(form, w) for w in words)), ""
    )
