import dataclasses
import inspect
import json
import math

import numpy as np
import pytest

from minigrid import CharModel, UserError
from minigrid.nn.cells import CELLS
from minigrid.nn.options import (
    CHOICES,
    MODELS,
    MOST,
    ModelOptions,
    ModelSettings,
    Range,
    check_fields,
    check_sizes,
    checked,
    option,
    value_type,
)

FIELDS = {field.name: field for field in dataclasses.fields(ModelOptions)}
SIZE = f"from 1 to {MOST:,}"


def made(**options):
    return ModelOptions(**{"vocab_size": 5} | options)


@dataclasses.dataclass(frozen=True)
class Example:
    """Options of every kind."""

    kind: str = option("a", choices=("a", "b"))
    note: str | None = option(None)
    count: int = option(3, least=2)
    ratio: float = option(0.5, above=0, most=1, advice="halve it")
    loud: bool = option(False)

    def __post_init__(self) -> None:
        check_fields(self)


# -- the fields of a model


@pytest.mark.parametrize(
    ("name", "lowest", "highest", "words"),
    [
        ("vocab_size", 1, MOST, SIZE),
        ("hidden", 1, MOST, SIZE),
        ("layers", 1, 1000, "from 1 to 1,000"),
        ("embedding", 0, MOST, f"from 0 to {MOST:,}"),
    ],
)
def test_bounds_of_whole_numbers(name, lowest, highest, words):
    model = {"model": "lstm"}
    for value in (lowest, highest):
        assert getattr(made(**model | {name: value}), name) == value
    for value in (lowest - 1, highest + 1, 10**400):
        with pytest.raises(UserError) as error:
            made(**model | {name: value})
        assert str(error.value).startswith(f"`{name}` must be {words}, not {str(value)[:50]}")


@pytest.mark.parametrize(
    ("seed", "words"), [(-1, "at least 0, not -1"), (2**64, f"at most 18,446,744,073,709,551,615, not {2**64}")]
)
def test_a_very_large_bound_is_named_only_if_it_is_exceeded(seed, words):
    for possible in (0, 2**64 - 1):
        assert made(seed=possible).seed == possible
    with pytest.raises(UserError) as error:
        made(seed=seed)
    assert str(error.value) == f"`seed` must be {words}"


def test_bounds_of_dropout():
    assert made(dropout=0).dropout == 0.0
    assert made(dropout=0.999).dropout == 0.999
    for value in (-1e-9, 1.0, 2.0):
        with pytest.raises(UserError, match=f"^`dropout` must be at least 0 and less than 1, not {value}$"):
            made(dropout=value)
    for value in (math.nan, math.inf, -math.inf):
        with pytest.raises(UserError, match=f"^`dropout` must be a finite number, not {value}$"):
            made(dropout=value)


@pytest.mark.parametrize("name", CHOICES)
def test_choices(name):
    *others, last = CHOICES[name]
    for choice in CHOICES[name]:
        assert getattr(made(**{name: choice}), name) == choice
    with pytest.raises(UserError, match=f"^`{name}` must be {', '.join(others)} or {last}, not 'xyz'$"):
        made(**{name: "xyz"})
    with pytest.raises(UserError, match=rf" \(did you mean {last}\?\)$"):
        made(**{name: last + last[-1]})
    with pytest.raises(UserError, match=f"^`{name}` is empty: give a value, or leave it out$"):
        made(**{name: ""})


@pytest.mark.parametrize("name", FIELDS)
def test_wrong_types(name):
    kind = value_type(FIELDS[name])
    words = {int: "a whole number", float: "a number", str: "a string"}[kind]
    wrong = {int: ["2", 2.0, True, [2]], float: ["0.5", True, 1j], str: [1, True, b"grid", ["grid"]]}[kind]
    if FIELDS[name].default is not None:
        wrong.append(None)
    for value in wrong:
        with pytest.raises(UserError) as error:
            made(**{name: value})
        assert str(error.value) == f"`{name}` must be {words}, not {value!r}"


def test_numpy_numbers_become_python_numbers():
    options = made(
        vocab_size=np.int64(7), hidden=np.int32(4), layers=np.uint8(1), dropout=np.float32(0.5), seed=np.uint64(2**63)
    )
    assert (options.vocab_size, options.hidden, options.layers, options.dropout, options.seed) == (7, 4, 1, 0.5, 2**63)
    assert {type(options.hidden), type(options.seed), type(options.dropout)} == {int, float}
    json.dumps(dataclasses.asdict(options))
    for wrong in (np.float64(4), np.bool_(True)):
        with pytest.raises(UserError, match=r"^`hidden` must be a whole number"):
            made(hidden=wrong)


def test_whole_numbers_become_rates():
    assert repr(made(dropout=0).dropout) == "0.0"
    with pytest.raises(UserError, match=r"^`dropout` must be a finite number, not -inf$"):
        made(dropout=-(10**400))


def test_options_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        made().hidden = 3


def test_options_are_given_by_name():
    with pytest.raises(TypeError):
        ModelOptions("grid")


@pytest.mark.parametrize(
    ("model", "filled_in"),
    [
        ("grid", {"tie": "depth", "priority": "depth", "lstm_output": "standard", "embedding": 128}),
        ("lstm", {"tie": None, "priority": None, "lstm_output": "standard", "embedding": 128}),
        ("gru", {"tie": None, "priority": None, "lstm_output": None, "embedding": 128}),
        ("rnn", {"tie": None, "priority": None, "lstm_output": None, "embedding": 128}),
    ],
)
def test_defaults_are_filled_in(model, filled_in):
    options = made(model=model)
    assert {name: getattr(options, name) for name in filled_in} == filled_in
    assert ModelOptions(**dataclasses.asdict(options)) == options


def test_the_embedding_is_as_large_as_a_layer_unless_given():
    assert made(hidden=7).embedding == 7
    assert made(model="gru", hidden=7, embedding=0).embedding == 0
    assert made(model="rnn", hidden=7, embedding=9).embedding == 9


@pytest.mark.parametrize("embedding", [0, 6, 8])
def test_a_grid_needs_an_embedding_of_its_own_size(embedding):
    assert made(hidden=7, embedding=7).embedding == 7
    with pytest.raises(UserError, match=rf"^`embedding` must equal `hidden` \(7\) in a grid model, not {embedding}:"):
        made(hidden=7, embedding=embedding)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", ["tie", "priority", "lstm_output"])
def test_options_of_other_models_are_refused(model, name):
    models = FIELDS[name].metadata["models"]
    for choice in CHOICES[name]:
        if model in models:
            assert getattr(made(model=model, **{name: choice}), name) == choice
        else:
            with pytest.raises(UserError) as error:
                made(model=model, **{name: choice})
            assert str(error.value) == (
                f"`{name}` does not apply to `model` {model}, only to {' and '.join(models)}: "
                "leave it out, or choose another model"
            )


# -- agreement with the model


def test_the_model_has_the_same_parameters_and_defaults():
    parameters = dict(inspect.signature(CharModel.__init__).parameters)
    del parameters["self"]
    assert set(parameters) == set(FIELDS)
    for name, parameter in parameters.items():
        default = None if parameter.default is inspect.Parameter.empty else parameter.default
        assert default == (None if FIELDS[name].default is dataclasses.MISSING else FIELDS[name].default)
        assert parameter.annotation == FIELDS[name].type
    required = [name for name, parameter in parameters.items() if parameter.default is inspect.Parameter.empty]
    assert required == ["vocab_size"]


def test_the_model_keeps_its_options():
    given = {"model": "lstm", "vocab_size": 3, "hidden": 4, "layers": 1, "dropout": 0.25, "embedding": 2, "seed": 9}
    assert CharModel(**given).options == ModelOptions(**given)


def test_every_model_has_a_cell():
    assert tuple(CELLS) == MODELS
    assert FIELDS["model"].metadata["choices"] == MODELS


def test_every_setting_of_a_run_has_a_help_text():
    for field in dataclasses.fields(ModelSettings):
        assert field.metadata["help"], field.name
    assert CHOICES.keys() == {"model", "tie", "priority", "lstm_output", "dtype", "backend"}


# -- the tools


def test_an_option_of_every_kind():
    assert Example() == Example("a", None, 3, 0.5, False)
    example = Example(kind="b", note="text", count=np.int64(2), ratio=1, loud=np.bool_(True))
    assert (example.kind, example.note, example.count, example.ratio, example.loud) == ("b", "text", 2, 1.0, True)
    assert (type(example.ratio), example.loud is True) == (float, True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "c"}, "`kind` must be a or b, not 'c'"),
        ({"note": ""}, "`note` is empty: give a value, or leave it out"),
        ({"count": 1}, "`count` must be at least 2, not 1"),
        ({"ratio": 0}, "`ratio` must be greater than 0 and at most 1, not 0.0: halve it"),
        ({"ratio": math.nan}, "`ratio` must be a finite number, not nan: halve it"),
        ({"ratio": "1"}, "`ratio` must be a number, not '1'"),
        ({"loud": 1}, "`loud` must be true or false, not 1"),
        ({"loud": None}, "`loud` must be true or false, not None"),
    ],
)
def test_values_that_are_refused(options, words):
    with pytest.raises(UserError) as error:
        Example(**options)
    assert str(error.value) == words


def test_the_type_of_a_field_leaves_none_aside():
    kinds = {field.name: value_type(field) for field in dataclasses.fields(Example)}
    assert kinds == {"kind": str, "note": str, "count": int, "ratio": float, "loud": bool}


def test_checked_returns_the_value_in_the_type_of_the_field():
    fields = {field.name: field for field in dataclasses.fields(Example)}
    assert repr(checked(fields["ratio"], 1)) == "1.0"
    assert checked(fields["note"], None) is None


@pytest.mark.parametrize(
    ("bounds", "inside", "outside", "words"),
    [
        ({}, [-math.inf, 0, math.nan], [], ""),
        ({"least": 2}, [2, 3], [1, math.nan], "at least 2"),
        ({"most": 2}, [2, 1], [3, math.nan], "at most 2"),
        ({"above": 2}, [2.1], [2, math.nan], "greater than 2"),
        ({"below": 2}, [1.9], [2, math.nan], "less than 2"),
        ({"least": 0, "below": 1}, [0, 0.9], [-0.1, 1], "at least 0 and less than 1"),
        ({"above": 0, "most": 1}, [0.1, 1], [0, 1.1], "greater than 0 and at most 1"),
        ({"least": 1, "most": 1000}, [1, 1000], [0, 1001], "from 1 to 1,000"),
        ({"least": 1, "most": 10**12}, [1, 10**12], [0], "at least 1"),
        ({"least": 1, "most": 10**12}, [], [10**400], "at most 1,000,000,000,000"),
    ],
)
def test_ranges(bounds, inside, outside, words):
    allowed = Range(**bounds)
    assert all(allowed.allows(value) for value in inside)
    assert not any(allowed.allows(value) for value in outside)
    assert all(allowed.wanted(value) == words for value in outside)


def test_sizes():
    check_sizes(steps=1, batch=np.int64(MOST))
    for size in (0, MOST + 1):
        with pytest.raises(UserError, match=f"^`batch` must be {SIZE}, not {size}$"):
            check_sizes(steps=1, batch=size)
    for size in (1.0, "1", True, None):
        with pytest.raises(UserError, match=f"^`steps` must be a whole number, not {size!r}$"):
            check_sizes(steps=size)
