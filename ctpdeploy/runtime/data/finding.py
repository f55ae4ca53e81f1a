"""Findings: assumptions, fallbacks and contradictions behind a result, for its reader."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["CODES", "SEVERITIES", "Code", "Finding", "Severity", "by_severity", "finding"]

Severity = Literal["refusal", "serious", "caution", "note"]

SEVERITIES: Final[tuple[Severity, ...]] = ("refusal", "serious", "caution", "note")
"""From the gravest: no right mask is possible, and there is none; the result may be wrong; it may be less exact;
something was done otherwise than usual."""


@dataclass(frozen=True)
class Finding:
    """One thing to know of a result.

    Attributes:
        code: stable name for programs, one of ``CODES`` unless it comes from somebody else's reader or backend.
        severity: one of ``SEVERITIES``.
        sentence: for people, complete and with its figures.
    """

    code: str
    severity: Severity
    sentence: str

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True)
class Code:
    """The severity and the meaning of all findings of one code.

    Attributes:
        severity: of each of them.
        meaning: for the documents, a clause without a full stop.
    """

    severity: Severity
    meaning: str


CODES: Final[dict[str, Code]] = {
    "series-not-hu": Code("refusal", "the series shows no brain, or one that is not of 15 to 60 HU"),
    "frames-broken": Code(
        "refusal", "half of a slice changes by 22 HU or more between two frames, as where one is blank"
    ),
    "series-disordered": Code("refusal", "the brain's mean curve goes up and down as only frames out of order do"),
    "series-reversed": Code("refusal", "the brain is brighter at the start of the series than at its end"),
    "series-without-bolus": Code("refusal", "the brain's mean curve changes by less than 2.5 HU"),
    "maps-identical": Code("refusal", "two perfusion maps are one and the same volume"),
    "maps-in-air": Code("refusal", "over 10 % of a map's positive voxels lie where the series has air"),
    "frames-jump": Code("serious", "a slice changes by 12 HU or more between two frames; motion, or a cut frame"),
    "series-uneven": Code("serious", "the brain's mean curve goes up and down more than a bolus; motion, or disorder"),
    "series-clipped": Code("serious", "over a hundredth of the voxels share the greatest value, as in a window"),
    "series-without-baseline": Code("serious", "the series begins when contrast agent has come already"),
    "series-ends-early": Code(
        "serious", "over 0.55 of the brain's rise is left at the end of the series; late tissue is missed"
    ),
    "frames-identical": Code("serious", "a frame is the one before over again, in at least one slice"),
    "head-moved": Code("serious", "the head lies over 1.5 mm in the plane from where it was in the first frames"),
    "brain-left-out": Code(
        "serious", "over 5 ml of the brain in one piece are no tissue, as haemorrhage, old infarcts and metal are not"
    ),
    "slice-without-brain": Code(
        "serious", "a slice shows less than half of the brain of the one beside it, as where the skull is open"
    ),
    "brain-beyond-field": Code("serious", "the brain reaches over 4 mm beyond the field that the networks see"),
    "lesion-outside-tissue": Code("serious", "over 10 % of the lesion lies in air, fat or bone"),
    "sides-not-stated": Code("serious", "no form code of a header is set; where it is the series', no side is named"),
    "sides-contradict": Code(
        "serious", "fields of a header disagree on left, front or top; where it is the series', no side is named"
    ),
    "sizes-contradict": Code("serious", "the affine and pixdim state voxel sizes over 1 % apart; the affine is taken"),
    "bytes-left-over": Code("serious", "a file is longer than its header says; voxels may be shifted"),
    "maps-of-another": Code(
        "serious", "a map does not go with what the series shows; another scan's, of another kind, mirrored or shifted"
    ),
    "maps-swapped": Code("serious", "Tmax goes with CBV / CBF more than MTT does"),
    "durations-contradict": Code(
        "serious", "MTT is not of the bolus in the series, or Tmax not of MTT, as where one is counted in frames"
    ),
    "maps-empty": Code("serious", "all perfusion maps are zero"),
    "maps-contradict": Code("serious", "MTT is not 60 CBV / CBF, as where maps are swapped or one is in another unit"),
    "tmax-too-long": Code("serious", "Tmax, its highest hundredth aside, is longer than the series"),
    "pixels-not-square": Code("serious", "a DICOM header states pixels over 1 % from square, which no scanner makes"),
    "tmax-low": Code("serious", "the median Tmax of the healthier hemisphere is under 1 s, as where an AIF is venous"),
    "arterial-input-late": Code(
        "serious", "the arterial input is less than 2.5 s before the brain: it may be no artery, and Tmax too short"
    ),
    "networks-poor": Code(
        "serious", "the networks were not validated, or their mean Dice was under 0.2 (`--allow-poor`)"
    ),
    "case-known": Code("caution", "the networks were trained on this scan, or it chose their epoch and threshold"),
    "tmax-high": Code("caution", "the median Tmax of the healthier hemisphere is over 4.5 s; the delay may be global"),
    "bolus-unusual": Code(
        "caution", "the bolus takes less than 11 or more than 25 s; the frame interval may be wrong, or the heart slow"
    ),
    "maps-not-compared": Code("caution", "maps show too little of the brain to be compared with the series"),
    "forms-contradict": Code("caution", "sform and qform lay voxels over half of one apart; the sform is taken"),
    "bits-contradict": Code("caution", "the bits a voxel in a header are not those of its type, which is taken"),
    "unit-unknown": Code("caution", "a header counts lengths in a unit that does not exist; mm are taken"),
    "interval-unit-contradicts": Code(
        "caution", "the frame interval is impossible in the unit stated; it is taken in the one in which it is possible"
    ),
    "interval-assumed": Code("caution", "the file does not state how far apart the frames are; 1 s is assumed"),
    "phase-dropped": Code("caution", "the last phase of a DICOM series lacks slices and is left out"),
    "rescale-varies": Code("caution", "images of a DICOM series, a file each, differ in their rescale"),
    "images-missing": Code("caution", "the numbers of a DICOM series' instances leave some out; not all may have come"),
    "arrival-by-silence": Code(
        "caution", "a node that received the study could not count its images, and took silence for its end"
    ),
    "result-replaced": Code("caution", "an earlier result of the study was of fewer images; this one takes its place"),
    "files-unreadable": Code("caution", "files beside the images of a DICOM study cannot be read; some may be its"),
    "images-left-out": Code("caution", "a DICOM series holds images beside its CT perfusion scan; they are left out"),
    "series-in-slabs": Code("caution", "a DICOM study holds several slabs, each a case; a lesion may lie across them"),
    "series-chosen": Code("note", "several DICOM series show one CT perfusion scan; one of them is taken"),
    "images-twice": Code("note", "DICOM images were there twice; each is read once"),
    "no-vein": Code("caution", "no vein was found, so the arterial input is not corrected for partial volume"),
    "arterial-input-weak": Code("caution", "arteries are faint, less than 40 HU or found on averages of voxels"),
    "window-start": Code("caution", "q(t) has no rise of K steps; the perfusion window starts at the first frame"),
    "window-end": Code("caution", "q(t) has no fall of K steps after T_s; the window ends at the last frame"),
    "window-short": Code("caution", "the window holds fewer frames than the networks take; the whole series is taken"),
    "frames-repeated": Code("caution", "the series holds fewer frames than the networks take; some are repeated"),
    "maps-not-used": Code("caution", "a DICOM study has perfusion maps that cannot be taken; they were computed"),
    "maps-computed": Code("note", "perfusion maps were computed from the series"),
    "maps-of-study": Code("note", "perfusion maps were not computed but taken from series of the DICOM study"),
    "maps-in-colour": Code("note", "a DICOM study has perfusion maps in colours alone, which hold no values"),
    "maps-set-aside": Code("note", "maps that come with the case were not asked for (`--maps computed`)"),
    "slices-averaged": Code("note", "thin slices were averaged to slabs as thick as the networks know"),
    "times-resampled": Code("note", "frame times are unequal; the series was resampled for the maps"),
    "run-again-in-float32": Code(
        "note", "the device returned NaN or infinity; the case was run again on the processor"
    ),
    "batches-halved": Code("note", "the device ran out of memory; the networks ran in smaller batches"),
    "graphs-disabled": Code("note", "a CUDA graph gave something else than its kernels; graphs are not used any more"),
}
"""Every code of ctpdeploy's own; ``docs/files.md`` lists them from here."""


def finding(code: str, sentence: str) -> Finding:
    """A finding of a code in ``CODES``, with its severity.

    Raises:
        KeyError: there is no such code.
    """
    return Finding(code, CODES[code].severity, sentence)


def by_severity(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The gravest first, those of one severity in the order given, each once."""
    return tuple(sorted(dict.fromkeys(findings), key=lambda found: SEVERITIES.index(found.severity)))
