"""Files of kinds that are not read, by how they begin: what is said of them then names their kind."""

from __future__ import annotations

_BRAND = slice(8, 12)  # of a file that begins with a box `ftyp`
_BRANDS = {
    b"avif": "an AVIF picture",
    b"avis": "an AVIF picture",
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"), "a HEIC picture"),
    b"crx ": "a raw photo",
}
_STARTS = {
    b"\xff\x0a": "a JPEG XL picture",
    b"\0\0\0\x0cJXL ": "a JPEG XL picture",
    b"\0\0\0\x0cjP  ": "a JPEG 2000 picture",
    b"\xff\x4f\xff\x51": "a JPEG 2000 picture",
    b"8BPS": "a Photoshop file",
    b"%PDF": "a PDF file",
    b"%!PS": "a PostScript file",
    b"<svg": "an SVG drawing",
    b"<?xml": "an XML file, such as an SVG drawing",
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
    b"\0\0\1\0": "an icon",
    b"v/1\x01": "an OpenEXR picture",
    b"SIMPLE  =": "a FITS file",
    b"\x89HDF": "an HDF5 file",
    b"CDF": "a NetCDF file",
    b"\x1f\x8b": "a file that is compressed with gzip",
    b"version https://git-lfs": "a placeholder of Git LFS in place of a file",
    b"\x1aE\xdf\xa3": "a video",
}


def kind_of(data: bytes) -> str | None:
    """What a file of another kind is, with its article; None if that is not known."""
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[_BRAND], "a video")
    return next((kind for start, kind in _STARTS.items() if data.startswith(start)), None)
