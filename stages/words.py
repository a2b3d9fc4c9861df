"""What counts as a word, and which texts are equal but for case, punctuation and spacing."""

import unicodedata

import regex

# Thai, Lao, Chinese and Japanese, without the Korean letters among these
UNSPACED = r"\u0e00-\u0eff\u2e80-\u2fff\u3001-\u312f\u3190-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
WORD = rf"[{UNSPACED}]|[^\s{UNSPACED}]+"  # what stands between spaces, or a character of those


def normalize(text: str) -> str:
    """A text without case, punctuation and spacing; one that has nothing else is only stripped.

    Words are separated by single spaces; punctuation other than _ counts as a space, an apostrophe as nothing. Symbols
    such as emoji are kept, and so are unassigned characters, which may be emoji of a later Unicode.
    """
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", text).casefold())  # which parts some letters
    plain = regex.sub(r"['\u2019]", "", folded)
    return " ".join(regex.sub(r"(?!_)[\p{P}\p{Cc}\p{Cf}\p{Co}\p{Cs}]", " ", plain).split()) or text.strip()
