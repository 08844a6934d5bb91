"""Markdown parts that the pages of years and of networks have in common."""

import re

# {year: title of its chapter}
TITLES = {
    1998: "LeNet-5",
    2010: "before the networks",
    2011: "before the networks, again",
    2012: "AlexNet",
    2013: "ZFNet and Network in Network",
    2014: "VGG and GoogLeNet",
    2015: "ResNet and batch normalisation",
    2016: "pre-activation",
}


def table(head, rows, sides):
    """Return the lines of a Markdown table; `sides` aligns each column: l for left, r for right."""
    marks = {"l": "---", "r": "---:"}
    lines = [[*head], [marks[side] for side in sides], *rows]
    cells = ([str(cell).replace("|", "&#124;") for cell in line] for line in lines)
    return [*(f"| {' | '.join(line)} |" for line in cells), ""]


def published(net):
    """Return the parameters, errors and protocol of a net as cells of a table."""
    count = "any depth" if net.parameters is None else f"{net.parameters:,}"
    return [count, error(net.top1_error), error(net.top5_error), net.protocol or ""]


def error(value):
    """Return an error in % as text, which is empty for None."""
    return "" if value is None else f"{value:g}"


def placed(text):
    """Return the rank of a net in the challenge as a sentence."""
    text = re.sub(r"^(?=\d{4}:)", "in the challenge of ", text)
    return f"{text[:1].upper()}{text[1:]}."


def linked(text):
    """Return a text with links for all references to arXiv."""
    return re.sub(r"arXiv:(\d{4}\.\d{4,5})", r"[\g<0>](https://arxiv.org/abs/\1)", text)


def picture(file, words, target):
    """Return the lines of an image that links to a page or file of the built documentation."""
    return [f"```{{image}} {file}", f":alt: {words}", f":target: {target}", "```", ""]
