"""Decides which requests of a log are for files instead of pages.

visitor-analytics applies the same rules to ``POST /import``; ``access_log_cases.jsonl`` tests both.
"""

from __future__ import annotations

import re

_EXTENSIONS = {
    "asset": "css js mjs map wasm png jpg jpeg gif svg webp avif ico cur bmp tif tiff apng jxl "
    "heic woff woff2 ttf otf eot",
    "media": "mp3 mp4 webm ogg oga ogv opus wav flac aac avi mov mkv m4a m4v m4s mpg mpeg m3u "
    "m3u8 mpd ts vtt srt",
    "feed": "rss atom rdf",
    "manifest": "webmanifest manifest appcache",
    "document": "pdf epub doc docx xls xlsx ppt pptx odt ods odp rtf",
    "download": "zip gz tgz tar bz2 xz zst 7z rar",
    "data": "json jsonld geojson ndjson xml txt csv yaml yml ics",
}
_KINDS = {name: kind for kind, names in _EXTENSIONS.items() for name in names.split()}
_FILES = {
    "robots.txt": "robots",
    **dict.fromkeys(("feed.xml", "rss.xml", "atom.xml", "index.xml", "feed.json"), "feed"),
    **dict.fromkeys(("manifest.json", "browserconfig.xml"), "manifest"),
}


def file_kind(target: str) -> str | None:
    """Return the kind of file that a target names; ``None`` for a page."""
    path = re.split("[?#]", target, maxsplit=1)[0]
    if path.startswith("/.well-known/"):
        return "well_known"
    file = path.rpartition("/")[2].partition(";")[0].lower()
    name, _, extension = file.rpartition(".")
    if file in _FILES:
        return _FILES[file]
    if name.startswith("sitemap") and extension in ("xml", "gz", "txt"):
        return "sitemap"
    return _KINDS.get(extension) if "." in file else None


def skip_reason(method: str, target: str, status: int) -> str | None:
    """Return why a request is not a page view; ``None`` if it is one."""
    if method != "GET":
        return "method"
    if not (200 <= status <= 299 or status == 304 or 400 <= status <= 599):
        return "status"
    return file_kind(target)
