"""What counts as a word, and which texts are equal but for case, punctuation and spacing."""

import re
import unicodedata

UNSPACED = r"\u0e00-\u0eff\u2e80-\u2fff\u3001-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Thai, Lao, Chinese, Japanese
WORD = rf"[{UNSPACED}]|[^\s{UNSPACED}]+"  # what stands between spaces, or a character of those


def normalize(text: str) -> str:
    """A text without case, punctuation and spacing; one that has nothing else is left as it is.

    Words are separated by single spaces; punctuation counts as a space, an apostrophe as nothing.
    """
    plain = re.sub(r"['\u2019]", "", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(re.sub(r"[^\w\s]+", _kept, plain).split()) or text.strip()


def _kept(match: re.Match[str]) -> str:
    """Keep combining marks, which make other letters, and symbols such as emoji; put a space for anything else.

    Characters that are not in Python's version of Unicode are kept too: they may be emoji of a later one.
    """
    return "".join(c if re.match("M|S|Cn", unicodedata.category(c)) else " " for c in match[0])
