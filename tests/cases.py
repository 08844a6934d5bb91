"""Helper that runs many small cases in one test, because fixtures take longer than the cases."""

import inspect


def each_of(name, cases):
    """Makes one test of all cases, in which each that fails is reported.

    Otherwise as `parametrize` of one argument, but fixtures are made once for all cases.
    """
    assert cases

    def decorate(check):
        def test(subtests, **fixtures):
            for case in cases:
                with subtests.test(case=case):
                    check(**{name: case}, **fixtures)

        own = inspect.signature(check).parameters
        subtests = inspect.Parameter("subtests", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        given = [subtests, *(own[key] for key in own if key != name)]
        test.__signature__ = inspect.Signature(given)
        test.__doc__ = check.__doc__
        return test

    return decorate
