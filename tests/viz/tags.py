"""Reads a page strictly."""

import re
from html.parser import HTMLParser

VOID = ("img", "meta", "link", "input")


class Tags(HTMLParser):
    """Counts of tags; every opened one must be closed in order, and every image described."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.seen, self.words = [], [], []
        self.feed(re.sub("<wbr>|</?span>", "", text))  # these only say where a line may break
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        assert tag != "img" or dict(attrs)["alt"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += [data] if data.strip() and self.open[-1] not in ("style", "script") else []
