"""Many small cases in one test: fixtures take longer than the cases do."""

import inspect


def each_of(names, cases):
    """Makes one test of all cases; each that fails is reported. Otherwise as `parametrize`.

    Fixtures are made once for all cases.
    """
    names = names.split(", ") if isinstance(names, str) else names

    def decorate(check):
        def test(subtests, **fixtures):
            for case in cases:
                values = case if len(names) > 1 else (case,)
                with subtests.test(case=repr(case)[:200]):
                    check(**dict(zip(names, values, strict=True)), **fixtures)

        own = [x for key, x in inspect.signature(check).parameters.items() if key not in names]
        subtests = inspect.Parameter("subtests", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        test.__signature__ = inspect.Signature([subtests, *own])
        test.__doc__ = check.__doc__
        return test

    return decorate
