"""Random damage to files, the same in every test run."""

import numpy as np

from keras_ilsvrc import InputError


def damaged(content, random):
    """Return the bytes with some changed, cut off, left out or put in."""
    content, at = bytearray(content), random.integers(len(content))
    how = random.integers(4)
    if how == 0:
        content[at] = random.integers(256)
    elif how == 1:
        del content[at:]
    elif how == 2:
        del content[at : at + random.integers(1, 20)]
    else:
        content[at:at] = random.bytes(random.integers(1, 9))
    return bytes(content)


def not_one_line(paths, read, count, name):
    """Damage one of the files at a time; return what `read` raised but one line with a name."""
    random, wrong = np.random.default_rng(0), []
    for number in range(count):
        path = paths[number % len(paths)]
        whole = path.read_bytes()
        path.write_bytes(damaged(whole, random))
        try:
            read()
        except InputError as error:
            if len(str(error)) > 600 or name not in str(error):
                wrong.append((path.name, str(error)))
        except Exception as error:
            wrong.append((path.name, type(error), str(error)))
        path.write_bytes(whole)
    return wrong
