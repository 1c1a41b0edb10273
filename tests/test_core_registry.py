"""Provider packages: third parties are picked up, broken ones are one clear line."""

from __future__ import annotations

import sys

import pytest

from tests.helpers_data import cli, install_provider, providers  # noqa: F401 - a fixture
from wbench import registry
from wbench.errors import MissingDependencyError, PluginError, UnknownNameError

GOOD = 'api = 1\n[models.acme]\nobject = "acme:Model"\nsummary = "a test model"\n'

BROKEN = {
    "bad-toml": "api = 1\n[models",
    "not-utf8": None,
    "no-manifest": None,
    "other-api": "api = 99\n",
    "no-api": "[models]\n",
    "table-expected": "api = 1\nmodels = 5\n",
    "no-object": 'api = 1\n[models.x]\nsummary = "x"\n',
    "requires-text": 'api = 1\n[models.x]\nobject = "a:b"\nrequires = "numpy"\n',
    "bad-pattern": "api = 1\nrecipes = 5\n",
    "absolute-pattern": 'api = 1\nrecipes = "/*.toml"\n',
    "half": 'api = 1\n[models.half]\nobject = "a:b"\n[commands.x]\nsummary = "no object"\n',
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_provider_is_one_warning_and_the_rest_works(case, providers, capsys):  # noqa: F811
    home = install_provider(providers, "broken_sim", BROKEN[case])
    install_provider(providers, "acme", GOOD)
    if case == "not-utf8":
        (home / "provider.toml").write_bytes(b"api = 1 # \xff\xfe")
    code, out, err = cli(capsys, "list", "models", "--format", "csv")
    assert code == 0
    assert "acme,," in out
    assert "half" not in out  # all or nothing of a provider
    warnings = [line for line in err.splitlines() if line]
    assert len(warnings) == 1
    assert warnings[0].startswith("warning: broken_sim: ")
    assert "broken_sim" in cli(capsys, "doctor")[2]


def test_an_entry_point_to_a_package_that_is_gone_or_fails_to_import(providers, capsys):  # noqa: F811
    info = install_provider(providers, "gone", "api = 1").parent / "gone-1.0.dist-info"
    (info / "entry_points.txt").write_text(
        f"[{registry.GROUP}]\na = no_such_package\nb = gone.missing\nc = explodes.inner\n"
    )
    (providers / "explodes.py").write_text("raise RuntimeError('boom')")
    code, out, err = cli(capsys, "list", "generators", "--format", "csv")
    assert code == 0
    assert "plane-wave" in out
    assert err.count("warning:") == 3
    assert "boom" in err


def test_an_entry_whose_code_is_broken_fails_only_when_it_is_used(providers, capsys):  # noqa: F811
    manifest = "api = 1\n" + "".join(
        f'[generators.{name}]\nobject = "{reference}"\nsummary = "x"\n'
        for name, reference in {
            "bad-import": "acme.boom:G",
            "bad-syntax": "acme.syntax:G",
            "leaves": "acme.leaves:G",
            "no-attribute": "acme:G",
            "no-generator": "acme:Thing",
            "raises": "acme:Raises",
        }.items()
    )
    code = "class Thing: pass\nclass Raises:\n    def __init__(self): raise ValueError('boom')\n"
    home = install_provider(providers, "acme", manifest, code)
    (home / "boom.py").write_text("import no_such_thing_at_all")
    (home / "syntax.py").write_text("def broken(:\n")
    (home / "leaves.py").write_text("import sys; sys.exit(0)")
    from wbench.run.plan import load_generator

    reasons = {
        "bad-import": "no_such_thing_at_all",
        "bad-syntax": "line 1",
        "leaves": "SystemExit",
        "no-attribute": "Thing",
        "no-generator": "not a wbench.Generator",
        "raises": "boom",
    }
    for name, reason in reasons.items():
        with pytest.raises(PluginError, match=reason):
            load_generator(name)
    assert cli(capsys, "list", "generators")[0] == 0


def test_a_name_that_two_providers_offer_stays_with_the_first(providers):  # noqa: F811
    install_provider(providers, "acme", GOOD)
    install_provider(providers, "bcme", GOOD.replace("acme:", "bcme:"))
    found = registry.registry()
    assert found.get("model", "acme").provider == "acme"
    assert found.problems == ("bcme: model 'acme' is already offered by acme",)


@pytest.mark.parametrize(
    ("table", "command"),
    [
        ('requires = ["no_such_simulator"]', "pip install no_such_simulator "),
        ('requires = ["no_such.rt", "absent_too"]', "pip install no_such.rt absent_too "),
        ('requires = ["no_such"]\ninstall = "pip install \'acme[sim]\'"', "pip install 'acme[sim]' "),
    ],
)
def test_a_missing_simulator_names_the_command(table, command, providers):  # noqa: F811
    manifest = f'api = 1\n[generators.acme]\nobject = "acme:G"\nsummary = "x"\n{table}\n'
    install_provider(providers, "acme", manifest, "class G: pass")
    with pytest.raises(MissingDependencyError) as caught:
        registry.load("generator", "acme")
    assert caught.value.next_step.startswith(command)
    assert caught.value.exit_code == 3
    assert registry.load("generator", "acme", ready=False).__name__ == "G"


def test_our_own_simulator_is_named_as_pip_knows_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sionna", None)  # as if it were not installed
    with pytest.raises(MissingDependencyError) as caught:
        registry.load("generator", "sionna-38901")
    assert caught.value.next_step.startswith("pip install")
    assert "sionna" in caught.value.next_step
    code, _, err = cli(capsys, "generate", "snap-umi", "--size", "tiny", "--out", "never")
    assert code == 3
    assert "pip install" in err


def test_unknown_names_mention_providers_that_could_not_be_read(providers):  # noqa: F811
    install_provider(providers, "broken_sim", "api = 7")
    with pytest.raises(UnknownNameError, match=r"plane-wave.*broken_sim"):
        registry.registry().get("generator", "plane-wav")


def test_import_file(tmp_path):
    path = tmp_path / "model.py"
    path.write_text("class A: pass\n")
    cls = registry.import_reference(f"{path}:A")
    assert cls is registry.import_reference(f"{path}:A")  # one module, so that instances know their class
    for text, reason in (("class A(:", "line 1"), ("1/0", "ZeroDivisionError"), ("exit(3)", "SystemExit")):
        bad = tmp_path / f"bad{len(text)}.py"
        bad.write_text(text)
        with pytest.raises(PluginError, match=reason):
            registry.import_reference(f"{bad}:A")
    with pytest.raises(PluginError, match="No such file"):
        registry.import_reference(f"{tmp_path}/none.py:A")
    with pytest.raises(PluginError, match="it has the classes A"):
        registry.import_reference(f"{path}:B")
