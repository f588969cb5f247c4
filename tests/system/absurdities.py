"""Values that nobody means: beyond ranges, out of place, made to break whoever reads them."""

from typing import Final

INT32: Final = (-(2**31), -1, 0, 1, 2, 100, 101, 1000, 2**31 - 1)
INT64: Final = (*INT32, -(2**63), 2**53 + 1, 2**63 - 1)
UINT64: Final = (0, 1, 2**32 - 1, 2**64 - 1)
REALS: Final = (0.0, -0.0, -1.0, 1e308, 5e-324, float("nan"), float("inf"), float("-inf"))
# Seconds and nanoseconds beyond what a Timestamp, a Duration or a clock can hold.
SECONDS: Final = (0, 1, -1, 253402300799, 253402300800, -62135596801, 315576000001, 2**63 - 1)
NANOS: Final = (0, 1, -1, 999999999, 1000000000, 2**31 - 1, -(2**31))
# Absurd texts: they break parsers, paths, filters, columns and logs.
TEXTS: Final = (
    "", " ", "-", "*", ".", "..", "../../../../etc/passwd", "/", "//", "/etc/passwd", "\\", "\0",
    "a\0b", "a\nb", "%2e%2e%2f", "%00", "%s%s%n", "{0}", "${HOME}", "`id`", "$(id)", "'", '"',
    "' OR 1=1 --", "\u202egpj.exe", "\ufeff", "\u200b", "\U0001f4a5" * 40, "e\u0301", "\u212a",
    "\u0130", "\u00df", "\u017fubscriptions/default", "null", "None", "NaN", "0x10",
    "latest", "1.2.3.4", "01.02.03", "2147483648.0.0", "\u0663.\u0660.\u0660", "a" * 81,
    "a" * 5000, "/" * 3000,
    "a/" * 2000, "subscriptions/" * 300, "subscriptions/-", "subscriptions/-/resourceGroups/-",
    "subscriptions/default/", "/subscriptions/default", "subscriptions/default//", "file:///etc",
    "http://169.254.169.254/latest/meta-data", "https://user:secret@example.org/x?sig=abc#y",
    "javascript:alert(1)", "(((" * 300, "((((((((((a = 1))))))))))", "NOT " * 500,
    'name = "' + "x" * 3000 + '"', "a.b.c.d.e.f = 1", 'state = "x" AND', "OR OR OR", "name:*",
    "create_time desc, name", "name asc, name asc", "; drop table galleries",
    "eyJhbGciOiJub25lIn0.",
    "A" * 400, "====", "2024-13-45T99:99:99Z", "Microsoft.Compute/*", "*/read", "*" * 300,
)  # fmt: skip
# Masks that name nothing, everything, output fields, map keys, and far too much.
PATHS: Final = (
    "*", "", ".", "..", "name", "uid", "etag", "nothing", "tags", "tags.a", "tags.`a b`", "*.*",
    "location", "gallery.name", "description", "sharing_profile", "sharing_profile.mode",
    "target_regions", "target_regions[0]", "Description", "a" * 2000, "a." * 900, "\0", "é",
)  # fmt: skip
