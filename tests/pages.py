"""Reader for HTML pages."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """The pictures, the references and the words of a page."""

    def __init__(self, text):
        super().__init__()
        self.pictures, self.references, self.words, self.tags = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        held = dict(attributes)
        self.tags.append(tag)
        if tag == "img":
            self.pictures.append(held)
        self.references += [
            held[name] for name in ("src", "href", "srcset", "data") if name in held
        ]

    def handle_data(self, data):
        self.words.append(data)
