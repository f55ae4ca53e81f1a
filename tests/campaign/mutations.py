"""What goes wrong with a case on its way from the scanner to disk: each mutation spoils the files of a copy.

A case is a mapping of ``ctp``, ``cbf``, ``cbv``, ``mtt`` and ``tmax`` to NIfTI files that are not compressed, as
ISLES 2018 has them. A mutation gets the case, another patient's case and a generator, and changes files in place.
"""

import gzip
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import nibabel as nib
import numpy as np

Case = dict[str, Path]
Mutation = Callable[[Case, Case, np.random.Generator], None]

MAPS = ("cbf", "cbv", "mtt", "tmax")
HEADER_BYTES, OFFSET = 348, 352
FIELDS: Mapping[str, tuple[int, str, tuple[float, ...]]] = {
    # name: first byte, type, values to choose from
    "dim[0]": (40, "<i2", (0, 1, 3, 5, 7, 8, -4, 32767)),
    "dim[1]": (42, "<i2", (0, 1, 64, 127, 129, -128, 32767)),
    "dim[3]": (46, "<i2", (0, 1, 3, 5, 32767)),
    "dim[4]": (48, "<i2", (0, 1, 2, 20, 32767)),
    "datatype": (70, "<i2", (0, 1, 2, 4, 8, 32, 64, 128, 512, 768, 1792)),
    "bitpix": (72, "<i2", (0, 8, 16, 64)),
    "pixdim[0]": (76, "<f4", (0.0, 1.0, -1.0, 5.0, np.nan)),
    "pixdim[1]": (80, "<f4", (0.0, -1.7, np.nan, np.inf, 1e-30, 1e30, 0.0017, 1700.0, 0.1, 10.0)),
    "pixdim[3]": (88, "<f4", (0.0, -5.0, np.nan, 1e-30, 0.005, 5000.0)),
    "pixdim[4]": (92, "<f4", (0.0, -1.0, np.nan, np.inf, 1e-6, 0.001, 0.05, 15.0, 1000.0, 1500.0, 1e30)),
    "vox_offset": (108, "<f4", (0.0, 348.0, 100.0, 353.0, 480.0, 1e9, -352.0, np.nan)),
    "scl_slope": (112, "<f4", (0.0, 0.1, 10.0, -1.0, np.nan, np.inf, 1e30)),
    "scl_inter": (116, "<f4", (1024.0, -1024.0, np.nan, np.inf)),
    "xyzt_units": (123, "u1", (0, 1, 2, 3, 8, 10, 16, 18, 24, 26, 255)),
    "qform_code": (252, "<i2", (0, 1, 2, 5, -1)),
    "sform_code": (254, "<i2", (0, 1, 2, 5, -1)),
    "quatern_b": (256, "<f4", (0.5, 1.0, 5.0, np.nan)),
    "srow_x[0]": (280, "<f4", (0.0, -1.0, 1.8, 1000.0, np.nan)),
    "srow_y[1]": (300, "<f4", (0.0, -1.0, 0.5)),
    "magic": (344, "S4", (b"n+1", b"ni1", b"n+2", b"xxxx")),  # type: ignore[dict-item]
}


def load(path: Path) -> tuple[bytes, np.ndarray]:
    """The header with its extension flag, and the voxels ``(X, Y, Z[, T])``."""
    voxels = np.asanyarray(nib.load(path, mmap=False).dataobj).copy()
    return path.read_bytes()[:OFFSET], voxels


def save(path: Path, header: bytes, voxels: np.ndarray) -> None:
    """Voxels in a shape and type that may have changed."""
    changed = nib.Nifti1Header(header[:HEADER_BYTES])
    zooms = changed.get_zooms()
    changed.set_data_dtype(voxels.dtype)
    changed.set_data_shape(voxels.shape)
    changed.set_zooms(zooms[: voxels.ndim])
    path.write_bytes(changed.binaryblock + bytes(4) + voxels.tobytes(order="F"))


def edited(role: str, change: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Mutation:
    """A change of the voxels of one file."""

    def mutate(case: Case, _: Case, rng: np.random.Generator) -> None:
        header, voxels = load(case[role])
        save(case[role], header, np.ascontiguousarray(change(voxels, rng)))

    return mutate


def all_maps(change: Callable[[np.ndarray], np.ndarray]) -> Mutation:
    """The same change of all maps."""

    def mutate(case: Case, other: Case, rng: np.random.Generator) -> None:
        for role in MAPS:
            edited(role, lambda voxels, _: change(voxels))(case, other, rng)

    return mutate


def exchanged(one: str, two: str) -> Mutation:
    """Two maps, each in the unit and type of its own file, given for one another."""

    def mutate(case: Case, _: Case, __: np.random.Generator) -> None:
        case[one], case[two] = case[two], case[one]

    return mutate


def spoiled_frames(value: float, *, rows: bool = False) -> Mutation:
    """Some frames, or half of their rows, set to one value."""

    def change(series: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        first = int(rng.integers(series.shape[3] - 3))
        part = slice(None, series.shape[1] // 2) if rows else slice(None)
        series[:, part, :, first : first + int(rng.integers(1, 4))] = value
        return series

    return edited("ctp", change)


def shuffled(series: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return series[..., rng.permutation(series.shape[3])]


def as_text(series: np.ndarray, _: np.random.Generator) -> np.ndarray:
    return series[..., sorted(range(series.shape[3]), key=str)]


def replaced(role: str, by: str) -> Mutation:
    """Another patient's file."""

    def mutate(case: Case, other: Case, _: np.random.Generator) -> None:
        shutil.copyfile(other[by], case[role])

    return mutate


def others_maps(case: Case, other: Case, _: np.random.Generator) -> None:
    for role in MAPS:
        shutil.copyfile(other[role], case[role])


def one_file_twice(case: Case, _: Case, rng: np.random.Generator) -> None:
    one, two = rng.choice(MAPS, 2, replace=False)
    case[str(one)] = case[str(two)]


def background(value: float) -> Mutation:
    def mutate(case: Case, other: Case, rng: np.random.Generator) -> None:
        edited(str(rng.choice(MAPS)), lambda voxels, _: np.where(voxels == 0, value, voxels).astype(np.float32))(
            case, other, rng
        )

    return mutate


def with_nan(case: Case, other: Case, rng: np.random.Generator) -> None:
    def change(voxels: np.ndarray, _: np.random.Generator) -> np.ndarray:
        voxels = voxels.astype(np.float32)
        voxels.flat[rng.integers(voxels.size, size=5)] = rng.choice([np.nan, np.inf])
        return voxels

    edited(str(rng.choice(["ctp", *MAPS])), change)(case, other, rng)


def cut(case: Case, _: Case, rng: np.random.Generator) -> None:
    path = case[str(rng.choice(["ctp", *MAPS]))]
    content = path.read_bytes()
    path.write_bytes(content[: int(rng.integers(len(content)))])


def longer(case: Case, _: Case, rng: np.random.Generator) -> None:
    path = case[str(rng.choice(["ctp", *MAPS]))]
    path.write_bytes(path.read_bytes() + bytes(int(rng.integers(1, 100_000))))


def damaged_gzip(case: Case, _: Case, rng: np.random.Generator) -> None:
    role = str(rng.choice(["ctp", *MAPS]))
    packed = bytearray(gzip.compress(case[role].read_bytes(), 1))
    if rng.random() < 0.5:
        packed = packed[: int(rng.integers(len(packed)))]
    else:
        packed[int(rng.integers(len(packed)))] ^= 1 << int(rng.integers(8))
    case[role] = case[role].with_suffix(".nii.gz")
    case[role].write_bytes(bytes(packed))


def header_field(name: str) -> Mutation:
    first, kind, values = FIELDS[name]

    def mutate(case: Case, _: Case, rng: np.random.Generator) -> None:
        path = case[str(rng.choice(["ctp", "ctp", *MAPS]))]
        content = bytearray(path.read_bytes())
        field = np.array([values[int(rng.integers(len(values)))]]).astype(kind).tobytes()
        content[first : first + len(field)] = field
        path.write_bytes(bytes(content))

    return mutate


def header_byte(case: Case, _: Case, rng: np.random.Generator) -> None:
    path = case[str(rng.choice(["ctp", *MAPS]))]
    content = bytearray(path.read_bytes())
    content[int(rng.integers(HEADER_BYTES))] = int(rng.integers(256))
    path.write_bytes(bytes(content))


MUTATIONS: dict[str, Mutation] = {
    # values of the series
    "intercept lost": edited("ctp", lambda hu, _: hu + 1024),
    "slope lost": edited("ctp", lambda hu, rng: hu * float(rng.choice([0.001, 0.1, 10.0]))),
    "scaled to 1": edited("ctp", lambda hu, _: (hu - hu.min()) / np.ptp(hu)),
    "scaled to 255": edited("ctp", lambda hu, _: np.rint(255 * (hu - hu.min()) / np.ptp(hu)).astype(np.uint8)),
    "clipped to a window": edited("ctp", lambda hu, _: np.clip(hu, 0, 80).astype(np.int16)),
    "unsigned": edited("ctp", lambda hu, _: np.rint(hu).astype(np.int16).view(np.uint16)),
    # frames of the series
    "blank frames": spoiled_frames(0.0),
    "frames of air": spoiled_frames(-1000.0),
    "saturated frames": spoiled_frames(3071.0),
    "half frames": spoiled_frames(0.0, rows=True),
    "time reversed": edited("ctp", lambda hu, _: hu[..., ::-1]),
    "frames sorted as text": edited("ctp", as_text),
    "frames shuffled": edited("ctp", shuffled),
    "only the first frames": edited("ctp", lambda hu, rng: hu[..., : int(rng.integers(1, 12))]),
    "only the last frames": edited("ctp", lambda hu, rng: hu[..., int(rng.integers(12, 30)) :]),
    "one frame again and again": edited("ctp", lambda hu, _: np.repeat(hu[..., :1], hu.shape[3], axis=3)),
    # maps beside the series
    **{f"{one} and {two} exchanged": exchanged(one, two) for one in MAPS for two in MAPS if one < two},
    "maps mirrored": all_maps(lambda volume: volume[::-1]),
    "maps face down": all_maps(lambda volume: volume[:, ::-1]),
    "maps upside down": all_maps(lambda volume: volume[:, :, ::-1]),
    "maps turned": all_maps(lambda volume: np.rot90(volume)),
    "maps shifted": all_maps(lambda volume: np.roll(volume, 8, axis=0)),
    **{f"{role} mirrored": edited(role, lambda volume, _: volume[::-1]) for role in MAPS},
    **{f"{role} of another patient": replaced(role, role) for role in MAPS},
    "maps of another patient": others_maps,
    "one file for two maps": one_file_twice,
    "a background of 100": background(100.0),
    "a background of 32767": background(32767.0),
    "a background of 65535": background(65535.0),
    "Tmax constant": edited("tmax", lambda tmax, _: np.where(tmax > 0, 5.0, 0.0)),
    "Tmax zero": edited("tmax", lambda tmax, _: np.zeros_like(tmax)),
    "Tmax in tenths": edited("tmax", lambda tmax, _: tmax * 10),
    "Tmax in minutes": edited("tmax", lambda tmax, _: tmax / 60),
    "MTT in milliseconds": edited("mtt", lambda mtt, _: mtt * 1000),
    "NaN or infinity": with_nan,
    # files
    "a file cut short": cut,
    "a file too long": longer,
    "gzip damaged": damaged_gzip,
    "a header's byte": header_byte,
    **{f"{name} of a header": header_field(name) for name in FIELDS},
}
"""By name; values, swaps, lengths, compression and headers."""
