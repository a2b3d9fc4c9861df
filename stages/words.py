"""What counts as a word: what stands between spaces, or a character of a script that is written without them."""

UNSPACED = r"\u0e00-\u0eff\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Thai, Lao, Chinese, Japanese
WORD = rf"[{UNSPACED}]|[^\s{UNSPACED}]+"
