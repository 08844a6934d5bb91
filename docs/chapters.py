"""Generate the chapters of the story, one page for each year, from `nets/story.py`."""

from page_parts import TITLES, linked, picture, placed, published, table

from keras_ilsvrc.nets import NETS
from keras_ilsvrc.nets.story import HUMAN, STORY, YEARS

BEFORE = {  # {year before the challenge: introduction of its chapter}
    1998: "The forerunner: all parts of the later networks, for digits of 32x32 pixels."
}


def chapter(year):
    """Return the page of a year: entries of the challenge, and papers with their networks."""
    lines = [f"# {year}: {TITLES[year]}", "", YEARS.get(year) or BEFORE[year], ""]
    lines += _entries(year)
    papers = {}
    for net in NETS.values():
        if net.year == year:
            papers.setdefault((net.paper, net.place, net.news), []).append(net)
    papers = dict(sorted(papers.items(), key=lambda row: row[0][1].startswith("not a challenge")))
    pictured = [entry.net for entry in STORY if entry.year == year and entry.net]
    pictured += [next(iter(papers.values()))[0].name] if papers and not pictured else []
    shown = set()
    for (paper, place, news), nets in papers.items():
        ends = list(dict.fromkeys((nets[0].name, nets[-1].name)))
        heading = (" and " if len(nets) < 3 else " to ").join(ends)
        lines += [f"## {heading}", "", f"{linked(paper)}. {placed(place)}", ""]
        lines += ["" if news in shown else "\n".join(f"- {text}" for text in news), ""]
        shown.add(news)
        lines += table(
            ("net", "parameters", "top-1 %", "top-5 %", "protocol"),
            ([f"[`{net.name}`](../nets/{net.name}.md)", *published(net)] for net in nets),
            "lrrrl",
        )
        for net in nets:
            if net.name in pictured:
                start = f"../nets/{net.name}"
                words = f"The outputs of the layers of {net.name}, to scale"
                lines += picture(f"{start}_volumes.svg", words, f"{start}.html")
    names = [f"../nets/{net.name}" for nets in papers.values() for net in nets]
    return "\n".join([*lines, *(["```{toctree}", ":hidden:", "", *names, "```"] if names else [])])


def _entries(year):
    """Return the table of the challenge entries of a year, and its sources, as lines."""
    entries = [entry for entry in STORY if entry.year == year]
    if not entries:
        return []
    rows, notes = [], []
    for entry in entries:
        name = f"[{entry.name}](../nets/{entry.net}.md)" if entry.net else entry.name
        counts = (entry.layers, entry.parameters, entry.macs)
        training = entry.training.value if entry.training else ""
        numbers = ("" if count is None else f"{count:,}" for count in counts)
        rows.append([entry.place, name, str(entry.error), *numbers, training])
        notes.append(f"{entry.name}: {linked(entry.error.source)}")
    head = ("place", "entry", "top-5 %", "layers", "parameters", "multiply-adds", "training")
    lines = table(head, rows, "llrrrrl")
    lines += [f"Sources. {'; '.join(notes)}. "]
    lines[-1] += f"The error of a human is {HUMAN} % ({linked(HUMAN.source)})."
    if any(not entry.error.verified for entry in entries):
        lines[-1] += " Errors with a ? are quoted from other publications."
    return [*lines, ""]
